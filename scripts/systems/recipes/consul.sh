# shellcheck shell=bash disable=SC2034
# HashiCorp Consul, built from its Go modules (about seven minutes on two cores, the first time).
# 1.16.2 is under the MPL; 1.16.6 and later are under the BUSL, which forbids competing with the vendor, not testing.
# Its raft is github.com/hashicorp/raft 1.5.0; that of 1.22 is 1.7.3, whose elections begin with a pre-vote.
versions=(1.16.2 1.22.3)
licence='MPL-2.0 (1.16.2); BUSL-1.1 (1.22.3)'
needs=(go)

fetch() {
    # shellcheck source=scripts/systems/lib-go.sh
    source "$here/lib-go.sh"
    go_build "$2" "consul-${1%.*}" '' consul=github.com/hashicorp/consul
}

prove() { "$2/bin/consul" version; }
