//! Where the nodes of a run live on the host's loopback, and under which addresses they see each other.
//!
//! ```text
//!   127.a.b.j          node j, from 1; it listens here, and the harness asks it here
//!   127.a.b.(16·i+j)   node j as node i sees it: the proxy of the link i → j
//!   127.a.b.240        the harness
//! ```
//!
//! All of 127.0.0.0/8 is loopback on Linux, so each run draws a /24 of its own. Runs side by side keep out of each other's way by a
//! claim, which the kernel takes back however the run ends: an abstract socket (`unix(7)`), which lies in the same network namespace
//! as the addresses.
//!
//! Refuses: more than [`PROXIED_NODES_MAX`] nodes, for which a /24 has no room.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::Ipv4Addr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

/// The most nodes that a run through proxies can have, service nodes included: a link has half a byte for either end.
pub const PROXIED_NODES_MAX: usize = 15;

/// How many blocks are tried before the run is told that there is none.
const DRAWS: usize = 64;

/// A /24 of the loopback network that no other run has.
#[derive(Debug)]
pub(crate) struct Block {
    second: u8,
    third: u8,
    /// Held for as long as the block is this run's.
    _claim: UnixListener,
}

impl Block {
    /// Draws a block that no other run has claimed.
    pub(crate) fn draw() -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..DRAWS {
            let [second, third, ..] = random().to_ne_bytes();
            // 127.0 is where people and distributions have names for addresses.
            let second = 16 + second % 224;
            match Self::claim(second, third) {
                Ok(claim) => return Ok(Self { second, third, _claim: claim }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn claim(second: u8, third: u8) -> io::Result<UnixListener> {
        let name = SocketAddr::from_abstract_name(format!("chaos-proxies-127.{second}.{third}"))?;
        UnixListener::bind_addr(&name)
    }

    /// The node's own address.
    pub(crate) fn node(&self, node: usize) -> Ipv4Addr {
        self.at(number(node))
    }

    /// The address under which `viewer` knows `peer`.
    pub(crate) fn seen(&self, viewer: usize, peer: usize) -> Ipv4Addr {
        if viewer == peer { self.node(peer) } else { self.at(16 * number(viewer) + number(peer)) }
    }

    /// The harness's address.
    pub(crate) fn harness(&self) -> Ipv4Addr {
        self.at(240)
    }

    fn at(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.second, self.third, last)
    }
}

fn number(node: usize) -> u8 {
    u8::try_from(node + 1).ok().filter(|number| *number < 16).expect("there are at most PROXIED_NODES_MAX nodes")
}

/// A number that nobody foresees; the standard library draws the keys of its hash maps so.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_node_every_view_and_the_harness_have_an_address_of_their_own() {
        let block = Block::draw().unwrap();
        let views = (0..PROXIED_NODES_MAX).flat_map(|i| (0..PROXIED_NODES_MAX).map(move |j| (i, j)));
        let mut all: BTreeSet<Ipv4Addr> = views.map(|(viewer, peer)| block.seen(viewer, peer)).collect();
        assert_eq!(all.len(), PROXIED_NODES_MAX * PROXIED_NODES_MAX);
        assert!((0..PROXIED_NODES_MAX).all(|node| all.contains(&block.node(node))), "a node sees itself where it is");
        assert!(all.insert(block.harness()));
    }

    #[test]
    fn a_block_is_one_runs_until_it_is_dropped() {
        let block = Block::draw().unwrap();
        let (second, third) = (block.second, block.third);
        assert!(Block::claim(second, third).is_err());
        drop(block);
        assert!(Block::claim(second, third).is_ok());
    }
}
