//! What an election costs in messages, for 3, 5, 7 and 9 nodes: the orders of textbooks, counted.
//!
//! All links take a millisecond, and one node notices first unless the case says otherwise.

use std::time::Duration;

use election::bully::Bully;
use election::lease::Lease;
use election::paxos_lease::PaxosLease;
use election::raft::{Config, Raft, Recovered, Sound};
use election::ring::Ring;
use election::zab::Zab;
use election::{Nanos, NodeId, Protocol, Setup};

use crate::world::World;
use crate::{members, size};

const SIZES: [u64; 4] = [3, 5, 7, 9];

/// A setup in which this node notices first, by far.
fn noticed_first(id: NodeId, first: u64, members: impl Iterator<Item = NodeId>) -> Setup {
    let timeout = Duration::from_millis(if id.number() == first { 100 } else { 2_000 });
    Setup { timeout_min: timeout, timeout_max: timeout, ..Setup::new(members) }
}

/// Counts the messages of these kinds until all nodes that are up agree.
fn cost<P: Protocol>(world: &mut World<P>, kinds: &[&str]) -> u64 {
    let up: Vec<NodeId> = world.ids().into_iter().filter(|id| world.is_up(*id)).collect();
    world.run_until("an election", |world| world.agreed(&up).is_some());
    // What is under way is counted when it was sent; answers to it come a millisecond later.
    world.run_for(2);
    world.count(kinds)
}

fn bully_from(first: u64) -> impl Fn(u64) -> u64 {
    move |n| {
        let begin = match first {
            1 => |id: NodeId, world: &World<Bully>, disk: Recovered, now: Nanos, seed| {
                Bully::new(id, noticed_first(id, 1, members(size(world))), seed, &disk, now)
            },
            _ => |id: NodeId, world: &World<Bully>, disk: Recovered, now: Nanos, seed| {
                let second = size(world) as u64 - 1;
                Bully::new(id, noticed_first(id, second, members(size(world))), seed, &disk, now)
            },
        };
        let mut world = World::new(n, 1, begin);
        world.crash(NodeId(n));
        cost(&mut world, &["election", "answer", "coordinator"])
    }
}

/// Garcia-Molina 1982: every node that answers asks those above it.
#[test]
fn bully_costs_from_n_minus_1_to_about_n_squared() {
    let (best, worst) = (bully_from(0), bully_from(1));
    for n in SIZES {
        let (best, worst) = (best(n), worst(n));
        println!(
            "bully, n = {n}, the highest is dead: {best} if the second highest notices, {worst} if the lowest does"
        );
        assert_eq!((best, worst), (n - 1, n * n - n - 1), "n = {n}");
    }
}

fn ring_from(n: u64, first_is_highest: bool) -> u64 {
    let mut world = if first_is_highest {
        World::new(n, 1, |id: NodeId, world: &World<Ring>, disk: Recovered, now: Nanos, seed| {
            Ring::new(id, noticed_first(id, size(world) as u64, members(size(world))), seed, &disk, now)
        })
    } else {
        World::new(n, 1, |id: NodeId, world: &World<Ring>, disk: Recovered, now: Nanos, seed| {
            Ring::new(id, noticed_first(id, 1, members(size(world))), seed, &disk, now)
        })
    };
    cost(&mut world, &["election", "elected"])
}

/// Chang and Roberts 1979: up to n − 1 messages to reach the highest node, n for its number, n to announce it.
#[test]
fn ring_costs_from_2n_to_3n_minus_1() {
    for n in SIZES {
        let (best, worst) = (ring_from(n, true), ring_from(n, false));
        println!("ring, n = {n}: {best} if the highest notices, {worst} if the node behind it does");
        assert_eq!((best, worst), (2 * n, 3 * n - 1), "n = {n}");
    }
}

/// Ongaro and Ousterhout 2014: a round of votes, and the first heartbeat; pre-vote is another round.
#[test]
fn raft_costs_3_times_n_minus_1_and_2_more_with_pre_vote() {
    fn config(id: NodeId, world: &World<Raft<Sound>>, pre_vote: bool) -> Config {
        let Setup { members, timeout_min, timeout_max, .. } = noticed_first(id, 1, members(size(world)));
        let (election_timeout_min, election_timeout_max) = (timeout_min, timeout_max);
        Config { election_timeout_min, election_timeout_max, pre_vote, ..Config::new(members) }
    }
    for n in SIZES {
        let mut plain = World::new(n, 1, |id, world, disk, now, seed| {
            Raft::new(id, config(id, world, false), Sound, seed, disk, now)
        });
        let mut asking = World::new(n, 1, |id, world, disk, now, seed| {
            Raft::new(id, config(id, world, true), Sound, seed, disk, now)
        });
        let kinds = ["vote", "vote_reply", "pre_vote", "pre_vote_reply", "append"];
        let (plain, asking) = (cost(&mut plain, &kinds), cost(&mut asking, &kinds));
        println!("raft, n = {n}: {plain}, and {asking} with pre-vote");
        // The new leader's no-op travels as the announcement; its commitment is told with the next heartbeat.
        assert_eq!((plain, asking), (3 * (n - 1), 5 * (n - 1)), "n = {n}");
    }
}

#[test]
fn a_lease_of_a_majority_costs_5_times_n_minus_1() {
    for n in SIZES {
        let mut world = World::new(n, 1, |id, world: &World<PaxosLease>, disk, now, seed| {
            let setup = noticed_first(id, 1, members(size(world)));
            PaxosLease::new(id, setup, seed, &disk, now)
        });
        let answered = cost(&mut world, &["prepare", "promise", "propose", "accept", "refuse", "renew"]);
        println!("paxos-lease, n = {n}: {answered}");
        assert_eq!(answered, 5 * (n - 1), "n = {n}");
    }
}

/// Every candidate finds the lease free, and asks for it; one gets it.
#[test]
fn a_lease_of_a_service_costs_at_most_3_per_candidate() {
    for n in SIZES {
        let mut world = World::new(n + 1, 1, |id, world: &World<Lease>, disk, now, seed| {
            let service = NodeId(size(world) as u64);
            Lease::new(id, service, Setup::new(members(size(world) - 1)), seed, &disk, now)
        });
        let candidates: Vec<NodeId> = world.ids().into_iter().filter(|id| id.number() <= n).collect();
        world.run_until("a holder", |world| world.agreed(&candidates).is_some());
        let cost = world.count(&["free", "acquire", "grant"]);
        println!("lease, n = {n} candidates and a service: {cost}");
        assert!((3..=3 * n).contains(&cost), "n = {n}: {cost}");
    }
}

/// Each vote goes to all others, and is told again when it changes; what follows is a star of six messages a follower.
#[test]
fn zab_costs_n_squared_notifications_and_6_times_n_minus_1() {
    for n in SIZES {
        let mut world = World::new(n, 1, |id, world: &World<Zab>, disk, now, seed| {
            Zab::new(id, Setup::new(members(size(world))), seed, &disk, now)
        });
        let rest = ["follower_info", "new_epoch", "ack_epoch", "new_leader", "ack_new_leader", "up_to_date"];
        let star = cost(&mut world, &rest);
        let notifications = world.count(&["notification"]);
        println!("zab, n = {n}: {notifications} notifications and {star} others");
        assert_eq!(star, 6 * (n - 1), "n = {n}");
        // Everybody tells its vote once; at most, each time that it hears of a better one.
        assert!((n * (n - 1)..=n * n * (n - 1)).contains(&notifications), "n = {n}: {notifications}");
    }
}
