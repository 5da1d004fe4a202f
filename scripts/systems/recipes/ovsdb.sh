# shellcheck shell=bash disable=SC2034,SC2154,SC2016
# The database server of Open vSwitch, which clusters by Raft. Its switch is not used, and neither
# are the kernel's module tools and the Python bindings that come with it.
versions=(3.1.0)
licence='Apache-2.0'
needs=(apt-get)

fetch() {
    debian "$2" "openvswitch-switch=$1-*" "openvswitch-common=$1-*" -- \
        kmod uuid-runtime python3-netifaces python3-sortedcontainers python3-openvswitch
    wrapper "$2" ovsdb-server root/usr/sbin/ovsdb-server
    wrapper "$2" ovsdb-tool root/usr/bin/ovsdb-tool
    wrapper "$2" ovsdb-client root/usr/bin/ovsdb-client
    wrapper "$2" ovs-appctl root/usr/bin/ovs-appctl
}

prove() {
    local program
    for program in ovsdb-server ovsdb-tool ovsdb-client ovs-appctl; do "$2/bin/$program" --version; done
}
