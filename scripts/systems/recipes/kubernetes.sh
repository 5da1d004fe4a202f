# shellcheck shell=bash disable=SC2034
# Kubernetes' Lease: the real kube-apiserver, the etcd that it stores in, and a candidate of ours
# (src/kube-candidate) on client-go's leader election. The first build takes eight minutes on two cores and, when
# it links, 1.8 GB of memory. k8s.io/kubernetes requires its own parts as v0.0.0, so src/kubernetes/go.mod replaces
# each by its release. The API server learns its version from the linker, or else believes to be a development build.
versions=(1.36.3)
licence='Apache-2.0'
needs=(go)

fetch() {
    # shellcheck source=scripts/systems/lib-go.sh
    source "$here/lib-go.sh"
    local v=k8s.io/component-base/version rest=${1#*.}
    go_build "$2" kubernetes "-X $v.gitVersion=v$1 -X $v.gitMajor=${1%%.*} -X $v.gitMinor=${rest%%.*}" \
        kube-apiserver=k8s.io/kubernetes/cmd/kube-apiserver
    go_build "$2" kube-candidate '' kube-candidate=.
    go_build "$2" etcd-3.6 '' etcd=go.etcd.io/etcd/server/v3 etcdctl=go.etcd.io/etcd/etcdctl/v3
}

prove() {
    "$2/bin/kube-apiserver" --version
    "$2/bin/kube-candidate" -version
    "$2/bin/etcd" --version
}
