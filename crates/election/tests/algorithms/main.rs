//! The protocols beside Raft in a tiny world: each keeps what it promises under random faults, shows the defect that it is known for, and
//! costs the messages that textbooks say.
//!
//! A failing seed is printed; the same seed is the same run.

#![expect(clippy::unwrap_used, reason = "a test may panic; the lint exempts only the test functions themselves")]

mod counts;
mod promises;
mod scenes;
mod world;

use election::bully::Bully;
use election::lease::Lease;
use election::paxos_lease::PaxosLease;
use election::raft::{Config, Raft, Recovered, Sound};
use election::ring::Ring;
use election::zab::Zab;
use election::{Nanos, NodeId, Setup};

use world::World;

fn members(count: usize) -> impl Iterator<Item = NodeId> {
    (1..=count as u64).map(NodeId)
}

fn size<P: election::Protocol>(world: &World<P>) -> usize {
    world.ids().len()
}

fn bully(id: NodeId, world: &World<Bully>, disk: Recovered, now: Nanos, seed: u64) -> Bully {
    Bully::new(id, Setup::new(members(size(world))), seed, &disk, now)
}

fn ring(id: NodeId, world: &World<Ring>, disk: Recovered, now: Nanos, seed: u64) -> Ring {
    Ring::new(id, Setup::new(members(size(world))), seed, &disk, now)
}

/// The last node is the lock service.
fn lease(id: NodeId, world: &World<Lease>, disk: Recovered, now: Nanos, seed: u64) -> Lease {
    let service = NodeId(size(world) as u64);
    Lease::new(id, service, Setup::new(members(size(world) - 1)), seed, &disk, now)
}

fn paxos_lease(id: NodeId, world: &World<PaxosLease>, disk: Recovered, now: Nanos, seed: u64) -> PaxosLease {
    PaxosLease::new(id, Setup::new(members(size(world))), seed, &disk, now)
}

fn zab(id: NodeId, world: &World<Zab>, disk: Recovered, now: Nanos, seed: u64) -> Zab {
    Zab::new(id, Setup::new(members(size(world))), seed, &disk, now)
}

fn raft(id: NodeId, world: &World<Raft<Sound>>, disk: Recovered, now: Nanos, seed: u64) -> Raft<Sound> {
    Raft::new(id, Config::new(members(size(world))), Sound, seed, disk, now)
}
