# shellcheck shell=bash disable=SC2034,SC2154,SC2016
# etcd of Debian 12: the last 3.4 that it carries, and the control of the 3.5.1 finding.
versions=(3.4.23)
licence='Apache-2.0'
needs=(apt-get)

fetch() {
    debian "$2" "etcd-server=$1-*" "etcd-client=$1-*"
    wrapper "$2" etcd root/usr/bin/etcd
    wrapper "$2" etcdctl root/usr/bin/etcdctl
}

prove() {
    "$2/bin/etcd" --version
    "$2/bin/etcdctl" version
}
