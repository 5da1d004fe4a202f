#!/usr/bin/env bash
# A client of Redis that speaks chaos-client/1: an example of a driver in plain bash, without any other program.
#
# One connection per operation, by bash's /dev/tcp. `fail` only if there is no connection or if Redis says by its first word
# that it did not carry the command out; otherwise `info`. It never tries again. It reads only the flat JSON that the harness
# writes: a field is found by its name, and values are decimal digits, so no text in them can end early.
#
#     chaos client check --endpoint 127.0.0.1:6379 bash workloads/clients/shell/redis-client.sh

cas="local old = redis.call('GET', KEYS[1]) \
local same = (ARGV[1] == '1' and old == ARGV[2]) or (ARGV[1] == '0' and not old) \
if same then redis.call('SET', KEYS[1], ARGV[3]) end return { same and 1 or 0, old }"

# field NAME LINE: the text or number of a flat field in $REPLY; empty if it is null or not there.
field() {
    REPLY=
    case $2 in *"\"$1\":"*) ;; *) return ;; esac
    local rest=${2#*"\"$1\":"}
    case $rest in
        '"'*) rest=${rest#'"'} REPLY=${rest%%'"'*} ;;
        null*) ;;
        *) REPLY=${rest%%[,\}]*} ;;
    esac
}

# quoted TEXT: as a JSON text in $REPLY; what isn't printable ASCII becomes a question mark.
quoted() {
    local LC_ALL=C text=${1//[!\ -~]/\?}
    text=${text//\\/\\\\}
    REPLY="\"${text//\"/\\\"}\""
}

# One reply into $kind and $text (kind `_`: nothing); a list's length is its text. Fails if it doesn't come whole.
reply() {
    local line LC_ALL=C
    IFS= read -r -t 30 line <&3 || return 1
    line=${line%$'\r'} kind=${line:0:1} text=${line:1}
    case $kind in
        '$')
            [[ $text =~ ^(-1|[0-9]+)$ ]] || return 1
            if [ "$text" = -1 ]; then kind=_ text=; return; fi
            local length=$text
            text=
            if [ "$length" -gt 0 ]; then IFS= read -r -t 30 -N "$length" text <&3 || return 1; fi
            IFS= read -r -t 30 line <&3 && [ "$line" = $'\r' ]
            ;;
        '*' | :) [[ $text =~ ^-?[0-9]+$ ]] ;;
        + | -) ;;
        *) return 1 ;;
    esac
}

# ask WORD…: sends a command and reads the first part of its reply. 1: not connected; 2: no whole answer.
ask() {
    local word question="*$#"$'\r\n' LC_ALL=C
    for word in "$@"; do question+="\$${#word}"$'\r\n'"$word"$'\r\n'; done
    { exec 3<>"/dev/tcp/$host/$port"; } 2>/dev/null || return 1
    { printf %s "$question" >&3; } 2>/dev/null && reply || return 2
}

done_with() { printf '{"type":"done","id":%s,"outcome":"%s"%s}\n' "$id" "$1" "$2"; }

# The end of an operation that did not succeed, by what `ask` returned or what Redis answered.
no_success() {
    local error=$text outcome=info
    case $1 in
        1) outcome=fail error='not connected' ;;
        2) error='no whole answer' ;;
        *)
            case $kind$text in
                -READONLY* | -LOADING* | -MASTERDOWN* | -MISCONF* | -NOREPLICAS* | -OOM* | -NOAUTH* | -WRONGTYPE*)
                    outcome=fail ;;
            esac
            ;;
    esac
    quoted "$error"
    done_with "$outcome" ",\"error\":$REPLY"
}

# The value in $kind and $text as JSON in $REPLY.
value() { if [ "$kind" = _ ]; then REPLY=null; else quoted "$text"; fi; }

carry_out() {
    local line=$1 op key new expect there swapped list count n
    field id "$line"; id=$REPLY
    field op "$line"; op=$REPLY
    field key "$line"; key=$REPLY
    field value "$line"; new=$REPLY
    field expect "$line"; expect=$REPLY there=0
    [ -n "$expect" ] && there=1
    case $op in
        read) set -- GET "$key" ;;
        write) set -- SET "$key" "$new" ;;
        cas) set -- EVAL "$cas" 1 "$key" "$there" "$expect" "$new" ;;
        add) set -- SADD "$key" "$new" ;;
        elements) set -- SMEMBERS "$key" ;;
        *) done_with fail ',"error":"no words for this"'; return ;;
    esac
    ask "$@" || { no_success $?; return; }
    case $op$kind in
        'read$' | read_) value; done_with ok ",\"value\":$REPLY" ;;
        write+ | add:) done_with ok ;;
        'cas*')
            reply && swapped=$text && reply || { no_success 2; return; }
            value
            [ "$swapped" = 1 ] && swapped=true || swapped=false
            done_with ok ",\"swapped\":$swapped,\"observed\":$REPLY"
            ;;
        'elements*')
            count=$text list=
            for ((n = 0; n < count; n++)); do
                reply || { no_success 2; return; }
                value
                list+=${list:+,}$REPLY
            done
            done_with ok ",\"values\":[$list]"
            ;;
        *) no_success 0 ;;
    esac
}

while IFS= read -r line; do
    field type "$line"
    case $REPLY in
        hello)
            field endpoint "$line"
            host=${REPLY%:*} port=${REPLY##*:}
            echo '{"type":"ready","protocol":"chaos-client/1","ops":["read","write","cas","add","elements"]}'
            ;;
        op) carry_out "$line"; { exec 3>&-; } 2>/dev/null ;;
        close) exit ;;
    esac
done
