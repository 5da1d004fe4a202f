//! The few rtnetlink messages that a star of nodes needs: links, addresses, routes, neighbours.
//!
//! Refuses to be a general library: only what `star` uses is here. Forwarding and the silence of IPv6 are set as link
//! attributes, not through `/proc/sys`, so that they work where that is read-only.
//! Source: `rtnetlink(7)`, `include/uapi/linux/{if_link,rtnetlink,neighbour,if_addr}.h`.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::netlink::{Attributes, Batch, CREATE, EXCLUSIVE, NESTED};

/// The loopback device's index in every network namespace.
pub(crate) const LOOPBACK: u32 = 1;

/// A device's hardware address.
pub(crate) type Mac = [u8; 6];

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const NEW_ADDRESS: u16 = 20;
const DELETE_ADDRESS: u16 = 21;
const NEW_ROUTE: u16 = 24;
const NEW_NEIGHBOUR: u16 = 28;

const FLAG_UP: u32 = 1;
const LINK_ADDRESS: u16 = 1;
const LINK_NAME: u16 = 3;
const LINK_INFO: u16 = 18;
const LINK_AF_SPEC: u16 = 26;
const LINK_NAMESPACE_FD: u16 = 28;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const VETH_PEER: u16 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u16 = 10;
const INET_CONF: u16 = 1;
const DEVCONF_FORWARDING: u16 = 1;
const INET6_ADDR_GEN_MODE: u16 = 8;
const ADDR_GEN_NONE: u8 = 1;

/// One end of a veth pair.
#[derive(Debug)]
pub(crate) struct VethEnd<'a> {
    pub(crate) name: &'a str,
    pub(crate) index: u32,
    pub(crate) mac: Mac,
}

/// Creates a pair: `near` here, `far` already inside the other namespace, so that nothing is moved or renamed. Both down:
/// the kernel refuses a peer that is created up.
pub(crate) fn veth(batch: &mut Batch, near: &VethEnd<'_>, far: &VethEnd<'_>, far_namespace: BorrowedFd<'_>) {
    let label = format!("create link `{}`", near.name);
    batch.message(NEW_LINK, CREATE | EXCLUSIVE, &link_header(near.index, 0, 0), label, |attributes| {
        name_and_mac(attributes, near);
        attributes.nest(LINK_INFO, |info| {
            info.put_str(INFO_KIND, "veth");
            info.nest(INFO_DATA, |data| {
                data.nest(VETH_PEER, |peer| {
                    peer.raw(&link_header(far.index, 0, 0));
                    name_and_mac(peer, far);
                    peer.put(LINK_NAMESPACE_FD, &far_namespace.as_raw_fd().to_ne_bytes());
                });
            });
        });
    });
}

/// Brings a link up.
pub(crate) fn up(batch: &mut Batch, index: u32) {
    batch.message(NEW_LINK, 0, &link_header(index, FLAG_UP, FLAG_UP), format!("bring link {index} up"), |_| ());
}

/// Deletes a link (and with it the other end of a pair).
pub(crate) fn delete(batch: &mut Batch, index: u32) {
    batch.message(DELETE_LINK, 0, &link_header(index, 0, 0), format!("delete link {index}"), |_| ());
}

/// Has IPv4 packets that arrive on the link forwarded.
pub(crate) fn forward(batch: &mut Batch, index: u32) {
    let label = format!("switch forwarding on for link {index}");
    batch.message(NEW_LINK, 0, &link_header(index, 0, 0), label, |attributes| {
        attributes.nest(LINK_AF_SPEC | NESTED, |families| {
            families.nest(u16::from(AF_INET) | NESTED, |inet| {
                inet.nest(INET_CONF | NESTED, |conf| conf.put(DEVCONF_FORWARDING, &1_u32.to_ne_bytes()));
            });
        });
    });
}

/// Keeps IPv6 from giving the link an address, hence from duplicate detection and router solicitation. To be sent while
/// the link is down. Fails with EAFNOSUPPORT on a host without IPv6.
pub(crate) fn silence_ipv6(batch: &mut Batch, index: u32) {
    let label = format!("silence IPv6 on link {index}");
    batch.message(NEW_LINK, 0, &link_header(index, 0, 0), label, |attributes| {
        attributes.nest(LINK_AF_SPEC | NESTED, |families| {
            families.nest(AF_INET6 | NESTED, |inet6| inet6.put(INET6_ADDR_GEN_MODE, &[ADDR_GEN_NONE]));
        });
    });
}

/// Gives a link a /32 address.
pub(crate) fn address(batch: &mut Batch, index: u32, address: Ipv4Addr) {
    let mut header = vec![AF_INET, 32, 0, 0];
    header.extend(index.to_ne_bytes());
    let label = format!("give link {index} the address {address}");
    batch.message(NEW_ADDRESS, CREATE | EXCLUSIVE, &header, label, |attributes| {
        attributes.put(2, &address.octets());
        attributes.put(1, &address.octets());
    });
}

/// Takes a /32 address from a link.
pub(crate) fn drop_address(batch: &mut Batch, index: u32, address: Ipv4Addr) {
    let mut header = vec![AF_INET, 32, 0, 0];
    header.extend(index.to_ne_bytes());
    batch.message(DELETE_ADDRESS, 0, &header, format!("take the address {address} from link {index}"), |attributes| {
        attributes.put(2, &address.octets());
    });
}

/// A route over a link.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) to: Ipv4Addr,
    /// 32 for a host, 0 for the default route.
    pub(crate) prefix_len: u8,
    pub(crate) index: u32,
    pub(crate) gateway: Option<Ipv4Addr>,
    /// The source address of packets that this host sends over it.
    pub(crate) source: Option<Ipv4Addr>,
}

/// Adds a route to the main table.
pub(crate) fn route(batch: &mut Batch, route: &Route) {
    const TABLE_MAIN: u8 = 254;
    const PROTOCOL_STATIC: u8 = 4;
    const SCOPE_LINK: u8 = 253;
    const SCOPE_UNIVERSE: u8 = 0;
    const TYPE_UNICAST: u8 = 1;
    let scope = if route.gateway.is_some() { SCOPE_UNIVERSE } else { SCOPE_LINK };
    let header = [AF_INET, route.prefix_len, 0, 0, TABLE_MAIN, PROTOCOL_STATIC, scope, TYPE_UNICAST, 0, 0, 0, 0];
    let label = format!("add a route to {}/{}", route.to, route.prefix_len);
    batch.message(NEW_ROUTE, CREATE | EXCLUSIVE, &header, label, |attributes| {
        if route.prefix_len > 0 {
            attributes.put(1, &route.to.octets());
        }
        attributes.put(4, &route.index.to_ne_bytes());
        if let Some(gateway) = route.gateway {
            attributes.put(5, &gateway.octets());
        }
        if let Some(source) = route.source {
            attributes.put(7, &source.octets());
        }
    });
}

/// Adds a permanent neighbour, so that no ARP exchange delays the first packet or expires during a cut.
pub(crate) fn neighbour(batch: &mut Batch, index: u32, address: Ipv4Addr, mac: Mac) {
    const PERMANENT: u16 = 0x80;
    let mut header = vec![AF_INET, 0, 0, 0];
    header.extend(index.to_ne_bytes());
    header.extend(PERMANENT.to_ne_bytes());
    header.extend([0, 0]);
    let label = format!("add the neighbour {address}");
    batch.message(NEW_NEIGHBOUR, CREATE, &header, label, |attributes| {
        attributes.put(1, &address.octets());
        attributes.put(2, &mac);
    });
}

fn link_header(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&change.to_ne_bytes());
    header
}

fn name_and_mac(attributes: &mut Attributes<'_>, end: &VethEnd<'_>) {
    attributes.put_str(LINK_NAME, end.name);
    attributes.put(LINK_ADDRESS, &end.mac);
}
