//! A routed star: one network namespace per node around the controller's own, the switch.
//!
//! ```text
//!   node i: eth0 10.77.0.(i+1)/32, default via 169.254.1.1 ──veth── chaos-v(i+1) 169.254.1.1/32 :switch: lo 10.77.0.254
//! ```
//!
//! The idea: all packets between nodes cross one FORWARD hook, so one set of directed pairs describes any partition and
//! is changed at once; the switch itself reaches every node over its own leg, which no cut touches, so observers see both
//! sides. /32 legs with permanent neighbours mean no ARP between nodes and none that a cut could starve.
//!
//! Refuses: broadcast and multicast between nodes (there is no common segment); IPv6 between nodes; more than
//! [`NODES_MAX`] nodes. Source: RFC 3927 for the link-local gateway; `ip-route(8)`.

mod conditioned;
mod cut;
mod rules;

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType};

pub use self::conditioned::{ConditionsEffect, ConditionsReceipt};
pub use self::cut::{CutEffect, CutMode, CutReceipt, DropMode, HealMode};
use self::rules::{Rules, Wanted};
use crate::capture::{Capture, Leg};
use crate::fabric::Fabric;
use crate::iptables::Iptables;
use crate::netlink::{Batch, Socket};
use crate::nftables::{Nftables, Pair};
use crate::probe::{self, Prober};
use crate::rtnetlink::{self, LOOPBACK, Mac, Route, VethEnd};
use crate::{NetError, namespace};

/// In a [`Link`]: the switch itself, and with it whoever lives there.
pub const SWITCH: usize = usize::MAX;

/// The largest star: a full cut of it still fits one netlink transaction of an unprivileged socket.
pub const NODES_MAX: usize = 100;

pub(crate) const SWITCH_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 254);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// Above the indices of devices that a new namespace may be born with (`tunl0`, `sit0`).
const SWITCH_INDEX_BASE: u32 = 1000;
/// Differs from every index in the switch: the kernel delays the carrier of a pair with equal indices.
const NODE_INDEX: u32 = 900;
/// The links of a new star must carry packets within this.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// How packets of cut links are dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FilterKind {
    /// An nf_tables set, changed by our own netlink transaction.
    #[default]
    Nftables,
    /// `iptables-restore` in the switch.
    Iptables,
}

/// A directed link between two nodes, by index from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// The sending node.
    pub from: usize,
    /// The receiving node.
    pub to: usize,
}

#[derive(Debug)]
enum Filter {
    Nftables(Nftables),
    Iptables(Iptables),
}

/// A star of node namespaces around the namespace in which it was built. Dropping it removes links and rules, and the
/// namespaces that no process uses.
#[derive(Debug)]
pub struct Star {
    namespaces: Vec<OwnedFd>,
    links: Socket,
    filter: Filter,
    prober: Prober,
    wanted: Wanted,
    /// What `wanted` has been made into.
    rules: Rules,
    /// Started when a link's packets are first to be queued.
    fabric: Option<Fabric>,
}

impl Star {
    /// Builds the star in the calling thread's network namespace and returns once every link carries packets.
    ///
    /// To be called inside of [`crate::isolation::enter`], once per namespace: names and addresses are fixed.
    ///
    /// # Errors
    /// [`NetError::NodeCount`]; [`NetError::ProgramMissing`] for [`FilterKind::Iptables`]; otherwise what the kernel
    /// refuses, naming the object.
    pub fn build(nodes: usize, filter: FilterKind) -> Result<Self, NetError> {
        if !(1..=NODES_MAX).contains(&nodes) {
            return Err(NetError::NodeCount { nodes, max: NODES_MAX });
        }
        let namespaces = namespace::create(nodes)
            .map_err(|error| NetError::system("create the nodes' network namespaces", error))?;
        let mut links = open_route_socket()?;
        let ipv6 = has_ipv6();
        let mut batch = switch_batch(&namespaces, ipv6);
        let last_index = batch.len() - 1;
        links.transact(std::mem::take(&mut batch), last_index)?;
        let probes = namespace::in_each(&namespaces, |node_index| configure_node(node_index, ipv6))?;
        let switch_probe =
            probe::socket(SWITCH_ADDRESS).map_err(|error| NetError::system("open the switch's probe socket", error))?;
        let filter = match filter {
            FilterKind::Nftables => Filter::Nftables(Nftables::install()?),
            FilterKind::Iptables => Filter::Iptables(Iptables::install()?),
        };
        let addresses = (0..nodes).map(address_of).collect();
        let prober = Prober::new(probes, switch_probe, addresses);
        let mut star = Self {
            namespaces,
            links,
            filter,
            prober,
            wanted: Wanted::default(),
            rules: Rules::default(),
            fabric: None,
        };
        star.confirm_cut(READY_WITHIN)?;
        Ok(star)
    }

    /// How many nodes there are.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.namespaces.len()
    }

    /// The node's address, `10.77.0.(node_index + 1)`.
    ///
    /// # Panics
    /// When there is no such node.
    #[must_use]
    pub fn address(&self, node_index: usize) -> Ipv4Addr {
        assert!(node_index < self.nodes(), "a star of {} nodes has no node {node_index}", self.nodes());
        address_of(node_index)
    }

    /// The switch's address, from which the controller's own traffic comes; nodes reach it always.
    #[must_use]
    pub fn switch_address(&self) -> Ipv4Addr {
        SWITCH_ADDRESS
    }

    /// The node's network namespace, for [`crate::in_namespace`] and [`crate::enter_namespace`].
    ///
    /// # Panics
    /// When there is no such node.
    #[must_use]
    pub fn namespace(&self, node_index: usize) -> BorrowedFd<'_> {
        self.namespaces[node_index].as_fd()
    }

    /// Captures what passes the switch into a pcapng file, in which each node is an interface of the name given here.
    ///
    /// A packet between nodes is captured twice: as it leaves the sender, before cuts and conditions, and as it goes to the
    /// receiver, behind them. To be called in the switch's network namespace.
    ///
    /// # Errors
    /// [`NetError::CaptureNames`]; when the kernel refuses a packet socket; when the file can't be written.
    pub fn capture(&self, file: File, names: &[String]) -> Result<Capture, NetError> {
        if names.len() != self.nodes() {
            return Err(NetError::CaptureNames { names: names.len(), nodes: self.nodes() });
        }
        let leg = |(node_index, name): (usize, &String)| Leg {
            name: name.clone(),
            address: address_of(node_index),
            index: switch_index(node_index),
        };
        Capture::start(file, names.iter().enumerate().map(leg).collect(), SWITCH_ADDRESS)
    }

    fn require_links<'a>(&self, links: impl IntoIterator<Item = &'a Link>, with_switch: bool) -> Result<(), NetError> {
        let nodes = self.nodes();
        let exists = |end: usize| end < nodes || (end == SWITCH && with_switch);
        let bad = links.into_iter().find(|link| link.from == link.to || !exists(link.from) || !exists(link.to));
        bad.map_or(Ok(()), |Link { from, to }| Err(NetError::NoSuchLink { from: *from, to: *to, nodes }))
    }
}

impl Drop for Star {
    fn drop(&mut self) {
        let removed = match &mut self.filter {
            Filter::Nftables(nftables) => nftables.remove(),
            Filter::Iptables(iptables) => iptables.remove(),
        };
        let mut batch = Batch::default();
        rtnetlink::drop_address(&mut batch, LOOPBACK, SWITCH_ADDRESS);
        (0..self.namespaces.len()).for_each(|node_index| rtnetlink::delete(&mut batch, switch_index(node_index)));
        let last_index = batch.len() - 1;
        if let Err(error) = removed.and(self.links.transact(batch, last_index)) {
            // They end with the namespace in any case.
            tracing::warn!(error = error.chain(), "links or rules of a star could not be removed");
        }
    }
}

fn address_of(end: usize) -> Ipv4Addr {
    if end == SWITCH { SWITCH_ADDRESS } else { Ipv4Addr::new(10, 77, 0, number_of(end)) }
}

fn link_between((from, to): Pair) -> Option<Link> {
    let index_of = |address: Ipv4Addr| match address.octets() {
        _ if address == SWITCH_ADDRESS => Some(SWITCH),
        [10, 77, 0, number] => usize::from(number).checked_sub(1),
        _ => None,
    };
    Some(Link { from: index_of(from)?, to: index_of(to)? })
}

/// The link that a packet, IP header first, takes between two nodes.
pub(crate) fn link_of(packet: &[u8]) -> Option<Link> {
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?));
    link_between((address(12)?, address(16)?))
}

fn number_of(node_index: usize) -> u8 {
    u8::try_from(node_index + 1).expect("a star has at most NODES_MAX nodes")
}

fn switch_index(node_index: usize) -> u32 {
    SWITCH_INDEX_BASE + u32::from(number_of(node_index))
}

fn switch_mac(node_index: usize) -> Mac {
    [0x02, 0x77, 0, 0, 1, number_of(node_index)]
}

fn node_mac(node_index: usize) -> Mac {
    [0x02, 0x77, 0, 0, 2, number_of(node_index)]
}

fn open_route_socket() -> Result<Socket, NetError> {
    Socket::open(SockProtocol::NetlinkRoute).map_err(|error| NetError::system("open an rtnetlink socket", error))
}

/// A host without IPv6 refuses its link attributes.
fn has_ipv6() -> bool {
    nix::sys::socket::socket(AddressFamily::Inet6, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).is_ok()
}

/// The switch's whole side: its address, and per node a pair of links, an address, a route and a neighbour.
fn switch_batch(namespaces: &[OwnedFd], ipv6: bool) -> Batch {
    let mut batch = Batch::default();
    rtnetlink::up(&mut batch, LOOPBACK);
    rtnetlink::address(&mut batch, LOOPBACK, SWITCH_ADDRESS);
    for (node_index, namespace) in namespaces.iter().enumerate() {
        let (index, node) = (switch_index(node_index), address_of(node_index));
        let name = format!("chaos-v{}", node_index + 1);
        let near = VethEnd { name: &name, index, mac: switch_mac(node_index) };
        let far = VethEnd { name: "eth0", index: NODE_INDEX, mac: node_mac(node_index) };
        rtnetlink::veth(&mut batch, &near, &far, namespace.as_fd());
        rtnetlink::forward(&mut batch, index);
        if ipv6 {
            rtnetlink::silence_ipv6(&mut batch, index);
        }
        rtnetlink::up(&mut batch, index);
        rtnetlink::address(&mut batch, index, GATEWAY);
        let route = Route { to: node, prefix_len: 32, index, gateway: None, source: Some(SWITCH_ADDRESS) };
        rtnetlink::route(&mut batch, &route);
        rtnetlink::neighbour(&mut batch, index, node, node_mac(node_index));
    }
    batch
}

/// In the node's namespace: its side of the leg, and the probe socket.
fn configure_node(node_index: usize, ipv6: bool) -> Result<std::net::UdpSocket, NetError> {
    let own = address_of(node_index);
    let mut batch = Batch::default();
    rtnetlink::up(&mut batch, LOOPBACK);
    if ipv6 {
        rtnetlink::silence_ipv6(&mut batch, NODE_INDEX);
    }
    rtnetlink::up(&mut batch, NODE_INDEX);
    rtnetlink::address(&mut batch, NODE_INDEX, own);
    let gateway = Route { to: GATEWAY, prefix_len: 32, index: NODE_INDEX, gateway: None, source: None };
    rtnetlink::route(&mut batch, &gateway);
    let elsewhere = Ipv4Addr::UNSPECIFIED;
    let default = Route { to: elsewhere, prefix_len: 0, index: NODE_INDEX, gateway: Some(GATEWAY), source: Some(own) };
    rtnetlink::route(&mut batch, &default);
    rtnetlink::neighbour(&mut batch, NODE_INDEX, GATEWAY, switch_mac(node_index));
    let last_index = batch.len() - 1;
    open_route_socket()?.transact(batch, last_index)?;
    probe::socket(own).map_err(|error| NetError::system(format!("open the probe socket of node {node_index}"), error))
}
