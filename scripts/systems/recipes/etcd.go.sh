# shellcheck shell=bash disable=SC2034
# Current etcd, built from its Go modules (about a minute on two cores). They need Go 1.26 or newer.
versions=(3.6.16 3.5.35 3.7.3)
licence='Apache-2.0'
needs=(go)

fetch() {
    # shellcheck source=scripts/systems/lib-go.sh
    source "$here/lib-go.sh"
    # Plain `go build` packages have no commit to name; the release scripts set it, and so do we.
    go_build "$2" "etcd-${1%.*}" "-X go.etcd.io/etcd/api/v3/version.GitSHA=v$1" \
        etcd=go.etcd.io/etcd/server/v3 etcdctl=go.etcd.io/etcd/etcdctl/v3 etcdutl=go.etcd.io/etcd/etcdutl/v3
}

prove() {
    "$2/bin/etcd" --version
    "$2/bin/etcdctl" version
    "$2/bin/etcdutl" version
}
