//! A network without namespaces: a TCP proxy per directed link, all on the host's loopback.
//!
//! ```text
//!   node i ──▶ 127.a.b.(16·i+j) ══ proxies' thread ══▶ 127.a.b.j : node j      the same port on both sides
//! ```
//!
//! The idea: node j listens on an address of its own, and every other node is given another address for it, behind which stands this
//! proxy. So a link can be cut, delayed and slowed down where nothing may be done to packets: in containers, and on hosts that let
//! nobody make namespaces. The harness and clients use the nodes' own addresses, past the proxies, and reach a node that is cut off.
//!
//! What it acts on are *streams*, and that is its limit. A cut direction keeps its bytes, and connects hang over it in the kernel as they
//! do over a real cut; but acknowledgements are the kernel's, so a one-way cut lets the bytes of the other way pass for as long as it
//! lasts, where lost packets would soon stop both. Handshakes take no delay. A peer that isn't there accepts a connection and resets it.
//!
//! Refuses: everything that is done to packets (loss, duplicates, reordering, corruption, jitter, captures), cuts that hold or are
//! kicked (what hangs in a handshake can't be let go at a moment of ours), UDP, and cutting a node off from the harness.

mod addresses;
mod door;
mod flow;
mod stream;
mod thread;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use nix::sys::eventfd::{EfdFlags, EventFd};

use self::addresses::Block;
pub use self::addresses::PROXIED_NODES_MAX;
pub(crate) use self::addresses::random;
use self::door::{Door, is_free};
use self::thread::{Order, Wanted};
use crate::{
    Conditions, ConditionsReceipt, CutMode, CutReceipt, DropMode, HealMode, Link, Loss, NetError, monotonic_ns,
};

/// How many blocks of addresses are tried, if something listens in one after the other.
const BLOCKS_TRIED: usize = 4;

/// The proxies of a run. They end when it is dropped.
#[derive(Debug)]
pub struct Proxies {
    block: Arc<Block>,
    nodes: usize,
    cuts: BTreeMap<Link, CutMode>,
    conditions: BTreeMap<Link, Conditions>,
    /// Dropped first, which ends the thread.
    orders: Option<Sender<Order>>,
    wake: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Proxies {
    /// Sets up the proxies between so many nodes, for connections to these ports.
    ///
    /// # Errors
    /// [`NetError::NodeCount`]; [`NetError::PortTaken`] if something on this host listens on a port at all addresses; otherwise what
    /// the kernel refuses.
    pub fn build(nodes: usize, ports: &BTreeSet<u16>) -> Result<Self, NetError> {
        if !(1..=PROXIED_NODES_MAX).contains(&nodes) {
            return Err(NetError::NodeCount { nodes, max: PROXIED_NODES_MAX });
        }
        let setup = |error: io::Error| NetError::system("set up the proxies between nodes", error);
        let (block, doors) = claim(nodes, ports)?;
        let block = Arc::new(block);
        let wake = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC);
        let wake = Arc::new(wake.map_err(|error| setup(error.into()))?);
        let (orders, given) = channel();
        let proxies = thread::Proxies::new(Arc::clone(&block), doors, Arc::clone(&wake), given).map_err(setup)?;
        let thread = std::thread::Builder::new().name("chaos-proxies".to_owned()).spawn(|| proxies.run());
        let thread = Some(thread.map_err(setup)?);
        let (cuts, conditions) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { block, nodes, cuts, conditions, orders: Some(orders), wake, thread })
    }

    /// How many nodes there are.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// The node's own address, where it listens and the harness reaches it.
    ///
    /// # Panics
    /// When there is no such node.
    #[must_use]
    pub fn address(&self, node_index: usize) -> Ipv4Addr {
        assert!(node_index < self.nodes, "there is no node {node_index} of {}", self.nodes);
        self.block.node(node_index)
    }

    /// The address under which `viewer` reaches `peer`: a proxy's, or its own.
    ///
    /// # Panics
    /// When there is no such node.
    #[must_use]
    pub fn address_seen(&self, viewer: usize, peer: usize) -> Ipv4Addr {
        assert!(viewer.max(peer) < self.nodes, "there is no node {viewer} or {peer} of {}", self.nodes);
        self.block.seen(viewer, peer)
    }

    /// An address for the harness's own services, which nodes reach always.
    #[must_use]
    pub fn harness_address(&self) -> Ipv4Addr {
        self.block.harness()
    }

    /// The cut that was set last.
    #[must_use]
    pub fn cuts(&self) -> &BTreeMap<Link, CutMode> {
        &self.cuts
    }

    /// The conditions that were set last.
    #[must_use]
    pub fn conditions(&self) -> &BTreeMap<Link, Conditions> {
        &self.conditions
    }

    /// Replaces the whole map of cut links at once; the empty map heals everything. In force when this returns.
    ///
    /// # Errors
    /// [`NetError::NoSuchLink`], [`NetError::NotOnStreams`], before anything is changed; [`NetError::ProxiesEnded`]; what the
    /// kernel refuses.
    pub fn set_cuts(&mut self, cuts: &BTreeMap<Link, CutMode>) -> Result<CutReceipt, NetError> {
        self.require_links(cuts.keys())?;
        cuts.values().try_for_each(|mode| cut_of_streams(*mode).map_err(NetError::NotOnStreams))?;
        let wanted = Wanted { cuts: cuts.clone(), conditions: self.conditions.clone() };
        let (call_begin_ns, call_end_ns, destroyed) = self.order(wanted)?;
        self.cuts.clone_from(cuts);
        Ok(CutReceipt { call_begin_ns, call_end_ns, released: 0, destroyed, effect: None })
    }

    /// Replaces all links' conditions at once; the empty map heals everything. What is under way keeps its delay, so that nothing
    /// overtakes. In force when this returns.
    ///
    /// # Errors
    /// As [`Proxies::set_cuts`].
    pub fn set_conditions(&mut self, conditions: &BTreeMap<Link, Conditions>) -> Result<ConditionsReceipt, NetError> {
        self.require_links(conditions.keys())?;
        conditions.values().try_for_each(|wanted| conditions_of_streams(wanted).map_err(NetError::NotOnStreams))?;
        let wanted = Wanted { cuts: self.cuts.clone(), conditions: conditions.clone() };
        let (call_begin_ns, call_end_ns, _) = self.order(wanted)?;
        self.conditions.clone_from(conditions);
        Ok(ConditionsReceipt { call_begin_ns, call_end_ns, released: 0 })
    }

    /// Before, after, and the connections that were reset.
    fn order(&self, wanted: Wanted) -> Result<(u64, u64, u64), NetError> {
        let (answer, answers) = channel();
        let begin_ns = monotonic_ns();
        let orders = self.orders.as_ref().ok_or(NetError::ProxiesEnded)?;
        orders.send(Order { wanted, answer }).map_err(|_| NetError::ProxiesEnded)?;
        // A thread that has ended has closed the channel, and the answer doesn't come.
        let _ = self.wake.write(1);
        let answer = answers.recv().map_err(|_| NetError::ProxiesEnded)?;
        let reset = answer.map_err(|error| NetError::system("open or close the way to a node", error))?;
        Ok((begin_ns, monotonic_ns(), reset))
    }

    fn require_links<'a>(&self, links: impl IntoIterator<Item = &'a Link>) -> Result<(), NetError> {
        let nodes = self.nodes;
        let bad = links.into_iter().find(|link| link.from == link.to || link.from.max(link.to) >= nodes);
        bad.map_or(Ok(()), |Link { from, to }| Err(NetError::NoSuchLink { from: *from, to: *to, nodes }))
    }
}

impl Drop for Proxies {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.wake.write(1);
        if let Some(thread) = self.thread.take() {
            // It has said itself why, if it has panicked.
            let _ = thread.join();
        }
    }
}

/// Whether a stream can be cut and healed so; if not, why.
///
/// # Errors
/// The reason, for people.
pub fn cut_of_streams(mode: CutMode) -> Result<(), &'static str> {
    match (mode.drop, mode.heal) {
        (DropMode::Hold, _) => {
            Err("a proxy can't hold the packets of a handshake (`drop: hold`); `drop: lose` keeps the bytes of \
                                    connections until the heal, too")
        }
        (_, HealMode::Kick) => {
            Err("a proxy can't kick a handshake that hangs (`heal: kick`); leave `heal` out, or take `heal: reset`")
        }
        (DropMode::Lose | DropMode::Reject, HealMode::Natural | HealMode::Reset) => Ok(()),
    }
}

/// Whether a stream can have these conditions; if not, why.
///
/// # Errors
/// The reason, for people.
pub fn conditions_of_streams(conditions: &Conditions) -> Result<(), &'static str> {
    let Conditions { delay: _, jitter, loss, duplicate, reorder, corrupt, rate: _ } = conditions;
    let is_of_packets =
        jitter.is_some() || *loss != Loss::None || *duplicate > 0.0 || reorder.is_some() || *corrupt > 0.0;
    if is_of_packets {
        Err("a proxy has no packets to lose, jitter, copy, reorder or damage; it has `delay` and `rate`")
    } else {
        Ok(())
    }
}

/// A block of addresses in which nobody listens, with all doors open.
fn claim(nodes: usize, ports: &BTreeSet<u16>) -> Result<(Block, Vec<Door>), NetError> {
    let mut taken = None;
    for _ in 0..BLOCKS_TRIED {
        let block =
            Block::draw().map_err(|error| NetError::system("claim addresses of the loopback network", error))?;
        match doors(&block, nodes, ports)? {
            Ok(doors) => return Ok((block, doors)),
            Err(port) => taken = Some(port),
        }
    }
    // No two runs draw the same block so often: it is taken at every address.
    Err(NetError::PortTaken { port: taken.unwrap_or_default() })
}

/// All doors, or the port that is taken.
fn doors(block: &Block, nodes: usize, ports: &BTreeSet<u16>) -> Result<Result<Vec<Door>, u16>, NetError> {
    let mut doors = Vec::new();
    for &port in ports {
        let open = |error: io::Error| NetError::system(format!("open port {port} between nodes"), error);
        for peer in 0..nodes {
            if !is_free(SocketAddrV4::new(block.node(peer), port)).map_err(open)? {
                return Ok(Err(port));
            }
            for viewer in (0..nodes).filter(|viewer| *viewer != peer) {
                let address = SocketAddrV4::new(block.seen(viewer, peer), port);
                match Door::open(Link { from: viewer, to: peer }, address) {
                    Ok(door) => doors.push(door),
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Ok(Err(port)),
                    Err(error) => return Err(open(error)),
                }
            }
        }
    }
    Ok(Ok(doors))
}
