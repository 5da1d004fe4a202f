//! Probes: datagrams between the nodes' namespaces that show which links carry packets.
//!
//! The idea: every namespace holds one UDP socket of ours on port 9 (discard), which no node program uses. A round sends
//! one datagram over each probed link, then one *fence* from the switch to each receiver, itself included. When the
//! fence has arrived and the datagram has not, the datagram counts as lost. A fence can overtake (its way is one hop
//! shorter), so a verdict takes two agreeing rounds in a row, and a datagram of an earlier round that arrives late in the
//! second one breaks the agreement.
//!
//! No fence comes over a leg that is cut. There the kernel's refusal to send it is the proof for the way to the node (the packet
//! filter drops what leaves a local socket with EPERM), and the switch's own fence for the way back.
//!
//! Refuses to infer loss from a time-out alone: without its fence a receiver has no verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::star::{SWITCH, SWITCH_ADDRESS};
use crate::{Link, NetError, monotonic_ns};

/// The UDP port of the probes in every namespace.
pub(crate) const PORT: u16 = 9;

const MAGIC: u32 = 0x6368_6173;
const FROM_SWITCH: u32 = u32::MAX;
const DATAGRAM_LEN: usize = 16;
/// The default receive buffer holds more small datagrams than this per node in the largest star.
const PROBED_LINKS_MAX: usize = 512;
const WAIT_FOR_FENCE: Duration = Duration::from_millis(20);

/// What a confirmation rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Agreement {
    pub(crate) in_force_ns: u64,
    pub(crate) confirmed_ns: u64,
    pub(crate) links_probed: usize,
    pub(crate) rounds: u32,
}

/// The probe sockets of a star.
#[derive(Debug)]
pub(crate) struct Prober {
    nodes: Vec<UdpSocket>,
    switch: UdpSocket,
    addresses: Vec<Ipv4Addr>,
    round: u32,
}

/// A socket for probes in the calling thread's namespace.
pub(crate) fn socket(address: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(SocketAddrV4::new(address, PORT))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// What one round has shown.
struct Round {
    delivered: BTreeSet<Link>,
    /// Receivers whose fence did not come: nothing is known about links to them.
    silent: BTreeSet<usize>,
    /// A datagram of an earlier round came late.
    late: bool,
}

impl Prober {
    pub(crate) fn new(nodes: Vec<UdpSocket>, switch: UdpSocket, addresses: Vec<Ipv4Addr>) -> Self {
        Self { nodes, switch, addresses, round: 0 }
    }

    /// Probes until exactly the links outside of `cut` deliver, in two rounds in a row. An open link that `is_slow` may
    /// deliver after its fence, and is left out.
    pub(crate) fn confirm(
        &mut self,
        cut: &BTreeSet<Link>,
        is_slow: impl Fn(&Link) -> bool,
        within: Duration,
    ) -> Result<Agreement, NetError> {
        let deadline = Instant::now() + within;
        let mut links = self.choose_links(cut);
        links.retain(|link| cut.contains(link) || !is_slow(link));
        let expected: BTreeSet<Link> = links.iter().filter(|link| !cut.contains(link)).copied().collect();
        let mut agreed_since = None;
        let mut rounds = 0;
        loop {
            let begin_ns = monotonic_ns();
            let round = self.run_round(&links, deadline)?;
            rounds += 1;
            let agrees = round.delivered == expected && round.silent.is_empty();
            match agreed_since {
                Some(in_force_ns) if agrees && !round.late => {
                    let confirmed_ns = monotonic_ns();
                    return Ok(Agreement { in_force_ns, confirmed_ns, links_probed: links.len(), rounds });
                }
                Some(_) | None => agreed_since = agrees.then_some(begin_ns),
            }
            if Instant::now() >= deadline {
                return Err(NetError::NotConfirmed { within, detail: disagreement(&round, &expected) });
            }
        }
    }

    /// Sends a probe over each link and waits for all of them; how long each took that has come by the deadline.
    pub(crate) fn time_links(
        &mut self,
        links: &[Link],
        deadline: Instant,
    ) -> Result<BTreeMap<Link, Duration>, NetError> {
        self.round = self.round.wrapping_add(1);
        let mut times = BTreeMap::new();
        let mut sent = BTreeMap::new();
        for link in links {
            sent.insert(*link, Instant::now());
            // One that can't be sent doesn't arrive, which is told.
            let _ = self.nodes[link.from].send_to(&self.datagram(as_u32(link.from)), self.target(link.to));
        }
        let failed = |error| NetError::system("receive a probe", error);
        let receivers: BTreeSet<usize> = links.iter().map(|link| link.to).collect();
        let mut round = Round { delivered: BTreeSet::new(), silent: BTreeSet::new(), late: false };
        while times.len() < links.len() && Instant::now() < deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            wait_readable(receivers.iter().map(|to| &self.nodes[*to]), left).map_err(failed)?;
            for to in &receivers {
                self.receive_all(*to, &mut round).map_err(failed)?;
            }
            for link in std::mem::take(&mut round.delivered) {
                times.extend(sent.get(&link).map(|sent| (link, sent.elapsed())));
            }
        }
        Ok(times)
    }

    /// All links of a small star; of a larger one an even choice among the cut ones and the others.
    pub(crate) fn choose_links(&self, cut: &BTreeSet<Link>) -> Vec<Link> {
        let ends = || (0..self.nodes.len()).chain([SWITCH]);
        let all = ends().flat_map(|from| ends().map(move |to| Link { from, to }));
        let (cut, open): (Vec<_>, Vec<_>) =
            all.filter(|link| link.from != link.to).partition(|link| cut.contains(link));
        if cut.len() + open.len() <= PROBED_LINKS_MAX {
            return [cut, open].concat();
        }
        let half = PROBED_LINKS_MAX / 2;
        let some = |links: Vec<Link>| {
            let step = links.len().div_ceil(half).max(1);
            links.into_iter().step_by(step).collect::<Vec<_>>()
        };
        [some(cut), some(open)].concat()
    }

    fn run_round(&mut self, links: &[Link], deadline: Instant) -> Result<Round, NetError> {
        self.round = self.round.wrapping_add(1);
        let failed = |error| NetError::system("receive a probe", error);
        let mut round = Round { delivered: BTreeSet::new(), silent: BTreeSet::new(), late: false };
        // What the switch sends to a node is the fence.
        for link in links.iter().filter(|link| link.from != SWITCH) {
            // A datagram that can't be sent was not delivered, which is what the round is to find out.
            let _ = self.nodes[link.from].send_to(&self.datagram(as_u32(link.from)), self.target(link.to));
        }
        let receivers: BTreeSet<usize> = links.iter().map(|link| link.to).collect();
        let refused = |to: &usize| {
            let sent = self.switch.send_to(&self.datagram(FROM_SWITCH), self.target(*to));
            sent.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
        };
        let (unfenced, fenced): (Vec<usize>, Vec<usize>) = receivers.into_iter().partition(refused);
        for to in fenced {
            let wait_until = deadline.min(Instant::now() + WAIT_FOR_FENCE);
            let mut fenced = false;
            loop {
                fenced |= self.receive_all(to, &mut round).map_err(failed)?;
                if fenced {
                    let fence = Link { from: SWITCH, to };
                    round.delivered.extend(links.contains(&fence).then_some(fence));
                    break;
                }
                let left = wait_until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    round.silent.insert(to);
                    break;
                }
                wait_readable([self.socket(to)], left).map_err(failed)?;
            }
        }
        for to in unfenced {
            self.receive_all(to, &mut round).map_err(failed)?;
        }
        Ok(round)
    }

    fn socket(&self, end: usize) -> &UdpSocket {
        if end == SWITCH { &self.switch } else { &self.nodes[end] }
    }

    /// Takes what the receiver's socket holds; true when this round's fence was among it.
    fn receive_all(&self, to: usize, round: &mut Round) -> io::Result<bool> {
        let mut fenced = false;
        let mut buffer = [0; DATAGRAM_LEN];
        loop {
            let length = match self.socket(to).recv(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(fenced),
                // An ICMP error for an earlier send, for example from before a link was up.
                Err(error) if error.kind() == io::ErrorKind::Interrupted || is_about_a_peer(&error) => continue,
                Err(error) => return Err(error),
            };
            let Some((number, from)) = parse(&buffer[..length]) else { continue };
            if number != self.round {
                round.late |= from != FROM_SWITCH;
            } else if from == FROM_SWITCH {
                fenced = true;
            } else if let Ok(from) = usize::try_from(from) {
                round.delivered.insert(Link { from, to });
            }
        }
    }

    fn datagram(&self, from: u32) -> [u8; DATAGRAM_LEN] {
        let mut datagram = [0; DATAGRAM_LEN];
        datagram[..4].copy_from_slice(&MAGIC.to_be_bytes());
        datagram[4..8].copy_from_slice(&self.round.to_be_bytes());
        datagram[8..12].copy_from_slice(&from.to_be_bytes());
        datagram
    }

    fn target(&self, to: usize) -> SocketAddrV4 {
        SocketAddrV4::new(if to == SWITCH { SWITCH_ADDRESS } else { self.addresses[to] }, PORT)
    }
}

/// Whether a packet, IP header first, is a probe from node to node.
pub(crate) fn is_between_nodes(packet: &[u8]) -> bool {
    const UDP: u8 = 17;
    let header_len = packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
    let port = PORT.to_be_bytes();
    let ports = [port[0], port[1], port[0], port[1]];
    packet.get(9) == Some(&UDP)
        && packet.get(header_len..).is_some_and(|udp| udp.starts_with(&ports) && udp.get(8..).and_then(parse).is_some())
}

/// Round and sender of a probe.
fn parse(datagram: &[u8]) -> Option<(u32, u32)> {
    let word = |at: usize| Some(u32::from_be_bytes(datagram.get(at..at + 4)?.try_into().ok()?));
    (word(0)? == MAGIC && datagram.len() == DATAGRAM_LEN).then_some(())?;
    Some((word(4)?, word(8)?))
}

fn is_about_a_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable
    )
}

/// Waits until one of the sockets has something.
fn wait_readable<'a>(sockets: impl IntoIterator<Item = &'a UdpSocket>, at_most: Duration) -> io::Result<()> {
    // Rounded up, so that a last fraction of a millisecond does not spin.
    let timeout = PollTimeout::try_from(at_most + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX);
    let mut waited: Vec<_> = sockets.into_iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
    match poll(&mut waited, timeout) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn disagreement(round: &Round, expected: &BTreeSet<Link>) -> String {
    if !round.silent.is_empty() {
        return format!("the switch does not reach the nodes {:?}", round.silent);
    }
    let leaks: Vec<_> = round.delivered.difference(expected).collect();
    let losses: Vec<_> = expected.difference(&round.delivered).collect();
    format!(
        "{} links deliver that should be cut {leaks:?}, {} are cut that should deliver {losses:?}",
        leaks.len(),
        losses.len()
    )
}

fn as_u32(node_index: usize) -> u32 {
    u32::try_from(node_index).expect("a star has at most NODES_MAX nodes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_datagrams_are_not_probes() {
        let mut ours = [0; DATAGRAM_LEN];
        ours[..4].copy_from_slice(&MAGIC.to_be_bytes());
        ours[7] = 3;
        ours[11] = 4;
        assert_eq!(parse(&ours), Some((3, 4)));
        assert_eq!(parse(&ours[..12]), None);
        assert_eq!(parse(b""), None);
        assert_eq!(parse(&[0; DATAGRAM_LEN]), None);
    }
}
