# shellcheck shell=bash disable=SC2034,SC2154,SC2016
# RabbitMQ of Debian 12 with the Erlang that it runs on. The programs are the plain ones, not
# Debian's scripts that change to the user `rabbitmq`. Whoever starts a node sets HOME (for
# .erlang.cookie) and RABBITMQ_{NODENAME,CONFIG_FILE,MNESIA_BASE,LOG_BASE,ENABLED_PLUGINS_FILE}.
versions=(3.10.8)
licence='MPL-2.0 (RabbitMQ), Apache-2.0 (Erlang/OTP)'
needs=(apt-get)

fetch() {
    debian "$2" "rabbitmq-server=$1-*" -- logrotate socat adduser libwrap0
    local erlang=root/usr/lib/erlang program script
    # Erlang's start scripts name the directory that they were packaged for; here they look where
    # they stand. erlexec reads ROOTDIR and BINDIR only, so that is all that has to change.
    for script in "$2/$erlang"/bin/erl "$2/$erlang"/erts-*/bin/erl; do
        sed -i 's|^\( *\)ROOTDIR=/usr/lib/erlang$|\1ROOTDIR=${CHAOS_ERLANG:?set by the programs in bin/}|' "$script"
        grep -q CHAOS_ERLANG "$script"
        if grep -q '=/usr/lib/erlang' "$script"; then
            echo "$script still names its packaged directory"
            return 1
        fi
    done
    # RUNNING_UNDER_SYSTEMD only means: become the Erlang machine instead of watching over it, so
    # that the process that was started is the one that is paused and killed.
    for program in rabbitmq-server rabbitmqctl rabbitmq-diagnostics rabbitmq-queues rabbitmq-plugins; do
        wrapper "$2" "$program" "root/usr/lib/rabbitmq/lib/rabbitmq_server-$1/sbin/$program" \
            'export CHAOS_ERLANG="$here/'"$erlang"'" RUNNING_UNDER_SYSTEMD=true' \
            'export PATH="$CHAOS_ERLANG/bin:$PATH"' \
            'export RABBITMQ_CONF_ENV_FILE="${RABBITMQ_CONF_ENV_FILE:-/dev/null}"'
    done
    wrapper "$2" epmd "$erlang/bin/epmd"
}

# Asked of the Erlang machine: rabbitmqctl would start a port mapper, which outlives the question.
prove() {
    local lib="$2/root/usr/lib/rabbitmq/lib/rabbitmq_server-$1/plugins"
    export CHAOS_ERLANG="$2/root/usr/lib/erlang" ERL_CRASH_DUMP=/dev/null
    ERL_LIBS="$lib" "$CHAOS_ERLANG/bin/erl" -noinput -boot start_clean -eval \
        'ok = application:load(rabbit), {ok, V} = application:get_key(rabbit, vsn),
         {ok, _} = application:ensure_all_started(ssl), io:format("rabbitmq ~s~n", [V]), halt().'
}
