//! Destroying established TCP connections from outside, as `ss -K` does.
//!
//! The idea: the kernel lists a namespace's sockets (`sock_diag`), and closes the one that is named to it; its program sees
//! "connection aborted" at its next call. A dual-stack socket is listed as one of IPv6 with a mapped address, so both
//! families are asked.
//!
//! Refuses to touch listening sockets, and those whose other end is none of the peers. Source: `sock_diag(7)`,
//! `include/uapi/linux/inet_diag.h`, `tcp_diag_destroy` in `net/ipv4/tcp_diag.c`.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::BorrowedFd;

use nix::sys::socket::SockProtocol;

use crate::netlink::{Batch, DUMP, Socket};
use crate::{NetError, namespace};

const LIST: u16 = 20;
const DESTROY: u16 = 21;
const TCP: u8 = 6;
/// `struct inet_diag_sockid`: ports, addresses, device, cookie.
const SOCKET_ID_LEN: usize = 48;
/// Before the socket's id in `struct inet_diag_msg`.
const LISTED_ID_AT: usize = 4;
const PEER_AT: usize = 20;
const IPV4: u8 = 2;
const IPV6: u8 = 10;
/// Every state but CLOSE, LISTEN and TIME_WAIT, by their numbers in `include/net/tcp_states.h`.
const CONNECTED: u32 = 0x1fff & !((1 << 6) | (1 << 7) | (1 << 10) | 1);

/// A socket as the kernel names it.
struct Found {
    family: u8,
    id: [u8; SOCKET_ID_LEN],
}

/// Destroys the namespace's TCP connections with these peers; returns how many.
pub(crate) fn destroy(namespace: BorrowedFd<'_>, peers: &BTreeSet<Ipv4Addr>) -> Result<u64, NetError> {
    let open = || Socket::open(SockProtocol::NetlinkSockDiag);
    let mut socket = namespace::in_namespace(namespace, open)
        .map_err(|error| NetError::system("open a sock_diag socket in a node's namespace", error))?;
    let mut destroyed = 0;
    for family in [IPV4, IPV6] {
        for found in list(&mut socket, family, peers)? {
            destroyed += u64::from(destroy_one(&mut socket, &found)?);
        }
    }
    Ok(destroyed)
}

fn list(socket: &mut Socket, family: u8, peers: &BTreeSet<Ipv4Addr>) -> Result<Vec<Found>, NetError> {
    let mut found = Vec::new();
    let mut batch = Batch::default();
    let request = request(family, &[0; SOCKET_ID_LEN]);
    batch.message(LIST, DUMP, &request, "list a node's connections", |_| ());
    let listed = socket.dump(batch, |message| found.extend(parse(message)));
    match listed {
        // A kernel without IPv6 has no connections of it.
        Err(NetError::Netlink { source, .. }) if family == IPV6 && source.errno.kind() == io::ErrorKind::NotFound => (),
        other => other?,
    }
    found.retain(|found| peer_of(found).is_some_and(|peer| peers.contains(&peer)));
    Ok(found)
}

/// False when the connection had ended by itself.
fn destroy_one(socket: &mut Socket, found: &Found) -> Result<bool, NetError> {
    let mut batch = Batch::default();
    batch.message(DESTROY, 0, &request(found.family, &found.id), "destroy a connection", |_| ());
    match socket.transact(batch, 0) {
        Ok(()) => Ok(true),
        Err(NetError::Netlink { source, .. }) if source.errno.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// `struct inet_diag_req_v2`.
fn request(family: u8, id: &[u8; SOCKET_ID_LEN]) -> Vec<u8> {
    let mut request = vec![family, TCP, 0, 0];
    request.extend(CONNECTED.to_ne_bytes());
    request.extend(id);
    request
}

fn parse(message: &[u8]) -> Option<Found> {
    let id = message.get(LISTED_ID_AT..LISTED_ID_AT + SOCKET_ID_LEN)?.try_into().ok()?;
    Some(Found { family: *message.first()?, id })
}

fn peer_of(found: &Found) -> Option<Ipv4Addr> {
    let address: [u8; 16] = found.id.get(PEER_AT..PEER_AT + 16)?.try_into().ok()?;
    match found.family {
        IPV4 => Some(Ipv4Addr::new(address[0], address[1], address[2], address[3])),
        _ => Ipv6Addr::from(address).to_ipv4_mapped(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_read_from_both_families() {
        let mut message = vec![0; 72];
        message[0] = IPV4;
        message[LISTED_ID_AT + PEER_AT..][..4].copy_from_slice(&[10, 77, 0, 2]);
        assert_eq!(peer_of(&parse(&message).unwrap()), Some(Ipv4Addr::new(10, 77, 0, 2)));
        message[0] = IPV6;
        assert_eq!(peer_of(&parse(&message).unwrap()), None, "no mapped address");
        let mapped = Ipv4Addr::new(10, 77, 0, 3).to_ipv6_mapped().octets();
        message[LISTED_ID_AT + PEER_AT..][..16].copy_from_slice(&mapped);
        assert_eq!(peer_of(&parse(&message).unwrap()), Some(Ipv4Addr::new(10, 77, 0, 3)));
        assert!(parse(&message[..40]).is_none());
    }
}
