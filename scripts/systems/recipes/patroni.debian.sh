# shellcheck shell=bash disable=SC2034,SC2154,SC2016
# Patroni of Debian 12 on its PostgreSQL 15, run by the system's python3. This version puts the
# leader key unconditionally, so a primary that wakes up steals it back: a finding of ours.
versions=(3.0.2)
licence='MIT (Patroni), PostgreSQL (PostgreSQL)'
needs=(apt-get)

fetch() {
    local python=/usr/bin/python3 program
    debian_postgresql "$2" 15 "patroni=$1-*" python3-etcd
    # The interpreter is a package too; where the host lacks it, it has come along.
    [ ! -x "$2/root/usr/bin/python3" ] || python="\"\$here/root/usr/bin/python3\""
    for program in patroni patronictl; do
        wrapper "$2" "$program" "=$python -s \"\$here/root/usr/bin/$program\"" \
            'export PYTHONPATH="$here/root/usr/lib/python3/dist-packages"'
    done
}

prove() {
    "$2/bin/patroni" --version
    "$2/bin/postgres" --version
    "$2/bin/initdb" --version
    "$2/bin/pg_basebackup" --version
    "$2/bin/pg_rewind" --version
}
