# shellcheck shell=bash disable=SC2034
# A replicated map of ours (src/openraft) around the crate openraft; the version is the library's.
# The newest stable release: 0.10 is an alpha.
versions=(0.9.25)
licence='MIT OR Apache-2.0'
needs=(cargo)

fetch() {
    # shellcheck source=scripts/systems/lib-cargo.sh
    source "$here/lib-cargo.sh"
    cargo_build "$2" openraft openraft openraft
}

prove() { "$2/bin/openraft" --version; }
