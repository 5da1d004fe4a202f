//! `n1=10.77.0.1,n2=10.77.0.2:7011/7012`: who is in the address book, and where.
//!
//! One syntax serves every case: `ID=HOST[:PEER_PORT[/HTTP_PORT]]`, the ports defaulting to `--peer-port` and
//! `--http-port`. Hosts are names, IPv4 addresses, or IPv6 addresses in brackets. The entry of the node itself says where it
//! listens; the other entries say where it *dials*, which need not be where those nodes listen (a proxy per link).

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use election::NodeId;

/// Where one node is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// A name or an IP address, without brackets.
    pub(crate) host: String,
    /// Port of the node-to-node connections.
    pub(crate) peer_port: u16,
    /// Port of the HTTP interface.
    pub(crate) http_port: u16,
}

impl Address {
    /// `HOST:PEER_PORT`.
    pub(crate) fn peer(&self) -> String {
        join_port(&self.host, self.peer_port)
    }

    /// `HOST:HTTP_PORT`.
    pub(crate) fn http(&self) -> String {
        join_port(&self.host, self.http_port)
    }
}

/// `HOST:PORT`, with brackets around an IPv6 address.
fn join_port(host: &str, port: u16) -> String {
    match host.parse() {
        Ok(IpAddr::V6(address)) => format!("[{address}]:{port}"),
        Ok(IpAddr::V4(_)) | Err(_) => format!("{host}:{port}"),
    }
}

/// Addresses by node.
pub(crate) type AddressBook = BTreeMap<NodeId, Address>;

/// One entry of `--cluster`, ports not yet filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    id: NodeId,
    host: String,
    peer_port: Option<u16>,
    http_port: Option<u16>,
}

impl Peer {
    /// The entry with the default ports filled in.
    pub(super) fn with_ports(&self, peer_port: u16, http_port: u16) -> (NodeId, Address) {
        let address = Address {
            host: self.host.clone(),
            peer_port: self.peer_port.unwrap_or(peer_port),
            http_port: self.http_port.unwrap_or(http_port),
        };
        (self.id, address)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.id, self.host)
    }
}

/// Parses `n1`, `n2`, …
pub(super) fn parse_node_id(text: &str) -> Result<NodeId, String> {
    let number = text.strip_prefix('n').and_then(|digits| digits.parse().ok()).filter(|number: &u32| *number > 0);
    number.map(|number| NodeId(number.into())).ok_or_else(|| format!("`{text}` is not a node: write n1, n2, …"))
}

/// Parses one entry of `--cluster`.
pub(super) fn parse_peer(text: &str) -> Result<Peer, String> {
    let shape = "write ID=HOST[:PEER_PORT[/HTTP_PORT]], for example n1=10.77.0.1 or n1=127.0.0.1:7011/7012";
    let (id, place) = text.split_once('=').ok_or_else(|| format!("`{text}` has no `=`: {shape}"))?;
    let id = parse_node_id(id)?;
    let (host, ports) = split_host(place).ok_or_else(|| format!("`{place}` is not an address: {shape}"))?;
    if host.is_empty() || host.chars().any(|c| c.is_whitespace() || c == '/') {
        return Err(format!("`{place}` has no host: {shape}"));
    }
    let port = |text: &str| {
        let number = text.parse().ok().filter(|port: &u16| *port > 0);
        number.ok_or_else(|| format!("`{text}` is not a port (1–65535): {shape}"))
    };
    let (peer_port, http_port) =
        match ports.map(|ports| ports.split_once('/').map_or((ports, None), |(p, h)| (p, Some(h)))) {
            None => (None, None),
            Some((peer, http)) => (Some(port(peer)?), http.map(port).transpose()?),
        };
    Ok(Peer { id, host: host.to_owned(), peer_port, http_port })
}

/// Splits `host:ports` or `[v6]:ports`; `None` for an IPv6 address without brackets or text after them.
fn split_host(place: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = place.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        return match rest.strip_prefix(':') {
            Some(ports) => Some((host, Some(ports))),
            None if rest.is_empty() => Some((host, None)),
            None => None,
        };
    }
    match place.split_once(':') {
        Some((_, ports)) if ports.contains(':') => None,
        Some((host, ports)) => Some((host, Some(ports))),
        None => Some((place, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_entry_is_understood() {
        let cases = [
            ("n1=10.77.0.1", "10.77.0.1:7001", "10.77.0.1:7002"),
            ("n2=127.0.0.1:7011", "127.0.0.1:7011", "127.0.0.1:7002"),
            ("n2=127.0.0.1:7011/7012", "127.0.0.1:7011", "127.0.0.1:7012"),
            ("n3=[::1]:7011/7012", "[::1]:7011", "[::1]:7012"),
            ("n3=[fd00::2]", "[fd00::2]:7001", "[fd00::2]:7002"),
            ("n10=node-10.example", "node-10.example:7001", "node-10.example:7002"),
        ];
        for (text, peer, http) in cases {
            let (_, address) = parse_peer(text).unwrap().with_ports(7001, 7002);
            assert_eq!((address.peer().as_str(), address.http().as_str()), (peer, http), "{text}");
        }
    }

    #[test]
    fn malformed_entries_are_refused_with_the_part_that_is_wrong() {
        let cases = [
            ("10.0.0.1", "no `=`"),
            ("x=10.0.0.1", "`x` is not a node"),
            ("n0=10.0.0.1", "`n0` is not a node"),
            ("n1=", "no host"),
            ("n1=:7001", "no host"),
            ("n1=h:", "`` is not a port"),
            ("n1=h:0", "`0` is not a port"),
            ("n1=h:70000", "`70000` is not a port"),
            ("n1=h:7001/", "`` is not a port"),
            ("n1=h/7002", "no host"),
            ("n1=::1", "not an address"),
            ("n1=[::1]7001", "not an address"),
            ("n1=[nonsense]:7001", "not an address"),
        ];
        for (text, expected) in cases {
            let message = parse_peer(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
