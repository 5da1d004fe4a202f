# shellcheck shell=bash disable=SC2034,SC2154,SC2016
# NATS of Debian 12: before 2.10, so without /raftz and without a term to see.
versions=(2.9.10)
licence='Apache-2.0'
needs=(apt-get)

fetch() {
    debian "$2" "nats-server=$1-*"
    wrapper "$2" nats-server root/usr/sbin/nats-server
}

prove() { "$2/bin/nats-server" --version; }
