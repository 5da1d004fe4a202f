# shellcheck shell=bash disable=SC2034
# A replicated map of ours (src/hashicorp-raft) around github.com/hashicorp/raft; the version is the library's.
# Not 1.8.0: its go-metrics has dropped a package that the newest raft-boltdb, 2.3.1, imports.
versions=(1.7.3)
licence='MPL-2.0'
needs=(go)

fetch() {
    # shellcheck source=scripts/systems/lib-go.sh
    source "$here/lib-go.sh"
    go_build "$2" hashicorp-raft '' hashicorp-raft=.
}

prove() { "$2/bin/hashicorp-raft" -version; }
