# shellcheck shell=bash disable=SC2034,SC2154,SC2016
# keepalived of Debian 12: VRRP, which by design has two masters under a real cut. It is the
# negative control: a checker that acquits it is broken.
versions=(2.2.7)
licence='GPL-2.0-or-later'
needs=(apt-get)

fetch() {
    debian "$2" "keepalived=1:$1-*" -- pci.ids libsnmp-base
    wrapper "$2" keepalived root/usr/sbin/keepalived
}

prove() { "$2/bin/keepalived" --version; }
