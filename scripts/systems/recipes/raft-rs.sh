# shellcheck shell=bash disable=SC2034
# A replicated map of ours (src/raft-rs) around the crate raft, TiKV's; the version is the library's.
versions=(0.7.0)
licence='Apache-2.0'
needs=(cargo)

fetch() {
    # shellcheck source=scripts/systems/lib-cargo.sh
    source "$here/lib-cargo.sh"
    cargo_build "$2" raft-rs raft-rs raft
}

prove() { "$2/bin/raft-rs" --version; }
