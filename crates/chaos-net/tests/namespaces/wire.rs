//! Numbered datagrams between nodes, for what a link does to its packets.
//!
//! Senders go on only when all has come that the fabric lets go of what they sent, so that no buffer overflows on a slow
//! machine. So no claim depends on how fast the machine is.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use chaos_net::{Conditions, ConditionsReceipt, FabricCounters, FilterKind, Link, Star, in_namespace, monotonic_ns};

use crate::eventually;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Fewer than any socket buffers.
const WINDOW: u32 = 50;

/// A datagram that has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) number: u32,
    /// From the call that sent it to the one that received it.
    pub(crate) took: Duration,
}

/// A star with a socket in each node.
pub(crate) struct Wires {
    pub(crate) star: Star,
    pub(crate) sockets: Vec<UdpSocket>,
}

impl Wires {
    pub(crate) fn new(nodes: usize) -> Self {
        let star = Star::build(nodes, FilterKind::Nftables).unwrap_or_else(|error| panic!("{}", error.chain()));
        let socket = |node| {
            let address = SocketAddr::from((star.address(node), 5000));
            let socket = in_namespace(star.namespace(node), || UdpSocket::bind(address)).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        };
        let sockets = (0..nodes).map(socket).collect();
        Self { star, sockets }
    }

    /// Sets and confirms the same conditions on some links; none heals all.
    pub(crate) fn set(&mut self, links: &[Link], conditions: Conditions, seed: u64) -> ConditionsReceipt {
        let all: BTreeMap<Link, Conditions> = links.iter().map(|link| (*link, conditions)).collect();
        let receipt = self.star.set_conditions(&all, seed).unwrap_or_else(|error| panic!("{}", error.chain()));
        assert!(receipt.call_begin_ns <= receipt.call_end_ns && receipt.call_end_ns <= monotonic_ns());
        receipt
    }

    pub(crate) fn confirm(&mut self) {
        let effect = self.star.confirm_conditions(PATIENCE).unwrap_or_else(|error| panic!("{}", error.chain()));
        assert!(effect.in_force_ns < effect.confirmed_ns && effect.links_probed > 0, "{effect:?}");
    }

    pub(crate) fn counters(&self) -> FabricCounters {
        let counters = self.star.fabric_counters().unwrap();
        assert_eq!(counters.overflowed, 0, "no packet is lost that was not to be lost");
        counters
    }

    pub(crate) fn send(&self, link: Link, number: u32, length: usize) {
        let mut datagram = vec![0x5a; length.max(12)];
        datagram[..4].copy_from_slice(&number.to_be_bytes());
        datagram[4..12].copy_from_slice(&monotonic_ns().to_be_bytes());
        let target = self.sockets[link.to].local_addr().unwrap();
        self.sockets[link.from].send_to(&datagram, target).unwrap();
    }

    /// What has arrived at a node so far.
    pub(crate) fn receive(&self, node: usize) -> Vec<Arrived> {
        let mut arrived = Vec::new();
        let mut datagram = [0; 2048];
        while let Ok(length) = self.sockets[node].recv(&mut datagram) {
            assert!(length >= 12);
            let sent_ns = u64::from_be_bytes(datagram[4..12].try_into().unwrap());
            let took = Duration::from_nanos(monotonic_ns() - sent_ns);
            arrived.push(Arrived { number: u32::from_be_bytes(datagram[..4].try_into().unwrap()), took });
        }
        arrived
    }

    /// Sends `count` datagrams over a link with conditions and returns those that arrive, in the order in which they do.
    pub(crate) fn exchange(&self, link: Link, count: u32, gap: Duration) -> Vec<Arrived> {
        let before = self.counters().links[&link];
        let mut arrived = Vec::new();
        let begin = Instant::now();
        for number in 0..count {
            // An open-loop sender: a slow machine makes it catch up, not drift.
            while begin.elapsed() < gap * number {
                arrived.extend(self.receive(link.to));
                std::thread::sleep(Duration::from_micros(200));
            }
            self.send(link, number, 64);
            if number % WINDOW == WINDOW - 1 || number == count - 1 {
                eventually("all arrives that is not lost", PATIENCE, || {
                    arrived.extend(self.receive(link.to));
                    let after = self.counters().links[&link];
                    let gone = (after.lost - before.lost) + (after.overran - before.overran);
                    let expected = u64::from(number) + 1 - gone + (after.duplicated - before.duplicated);
                    after.packets - before.packets == u64::from(number) + 1 && arrived.len() as u64 >= expected
                });
            }
        }
        arrived
    }
}

/// The numbers of what has arrived, in its order.
pub(crate) fn numbers(arrived: &[Arrived]) -> Vec<u32> {
    arrived.iter().map(|arrived| arrived.number).collect()
}
