# shellcheck shell=bash disable=SC2034,SC2154,SC2016
# Redis of Debian 12. Sentinel is the same program: `redis-server FILE --sentinel`.
versions=(7.0.15)
licence='BSD-3-Clause'
needs=(apt-get)

fetch() {
    debian "$2" "redis-server=5:$1-*" "redis-tools=5:$1-*"
    wrapper "$2" redis-server root/usr/bin/redis-server
    wrapper "$2" redis-cli root/usr/bin/redis-cli
}

prove() {
    "$2/bin/redis-server" --version
    "$2/bin/redis-cli" --version
}
