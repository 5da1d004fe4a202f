//! What each protocol promises, over random schedules of crashes, pauses, partitions, losses and delays; and that the same schedules
//! convict those that promise nothing.

use std::collections::{BTreeMap, BTreeSet};

use election::{NodeId, Protocol};
use rand::RngExt;

use crate::world::{Begin, MS, World};

/// What a schedule can find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    /// Two leaders of one term.
    TwoOfOneTerm,
    /// Two leaders at one moment.
    TwoAtOnce,
    /// A node's term fell.
    TermFell,
    /// Half a minute of calm without a leader on whom all agree.
    NoAgreement,
}

/// How clocks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clocks {
    /// Within 10 percent of each other.
    Bounded,
    /// One at three fifths of the others' rate.
    OneSlow,
}

/// One random schedule: a second and a half of faults, then calm.
fn schedule<P: Protocol>(seed: u64, begin: Begin<P>, services: u64, clocks: Clocks) -> BTreeSet<Found> {
    let members = [3, 4, 5][usize::try_from(seed % 3).unwrap_or(0)];
    let mut world = World::new(members + services, seed, begin);
    let ids = world.ids();
    for id in &ids {
        let rate = match clocks {
            Clocks::Bounded => world.rng.random_range(950..=1050),
            Clocks::OneSlow if id.number() == 1 => 600,
            Clocks::OneSlow => 1000,
        };
        world.set_rate(*id, rate);
    }
    world.latency = [(MS, MS), (MS / 10, 5 * MS), (MS, 30 * MS)][world.rng.random_range(0..3usize)];
    world.loss_percent = [0, 0, 5, 20][world.rng.random_range(0..4usize)];
    let end = world.now + 1_500 * MS;
    while world.now < end {
        let some = ids[world.rng.random_range(0..ids.len())];
        match world.rng.random_range(0..8u32) {
            0 => world.crash(some),
            1 => world.sleep(some),
            2 => world.cut_off(&BTreeSet::from([some])),
            3 => {
                let side: BTreeSet<NodeId> = ids.iter().copied().filter(|_| world.rng.random_bool(0.5)).collect();
                world.cut_off(&side);
            }
            4 => world.cuts.clear(),
            5 => {
                let other = ids[world.rng.random_range(0..ids.len())];
                world.cuts.insert((some, other));
            }
            6 | 7 => ids.iter().for_each(|id| {
                world.wake(*id);
                world.start(*id);
            }),
            _ => unreachable!("eight kinds"),
        }
        let pause = world.rng.random_range(1..250);
        world.run_for(pause);
    }
    let found = |world: &World<P>| {
        let facts = [
            (Found::TwoOfOneTerm, world.double().is_some()),
            (Found::TwoAtOnce, world.overlap.is_some()),
            (Found::TermFell, world.fallen.is_some()),
        ];
        facts.into_iter().filter(|(_, is)| *is).map(|(found, _)| found).collect::<BTreeSet<_>>()
    };
    world.cuts.clear();
    world.loss_percent = 0;
    world.latency = (MS, MS);
    ids.iter().for_each(|id| {
        world.wake(*id);
        world.start(*id);
    });
    let candidates: Vec<NodeId> = ids[..ids.len() - usize::try_from(services).unwrap_or(0)].to_vec();
    let mut all = found(&world);
    if !settles(&mut world, &candidates) {
        all.insert(Found::NoAgreement);
    }
    all.extend(found(&world));
    all
}

/// Whether all agree on a leader within half a minute, and still do some timeouts later.
fn settles<P: Protocol>(world: &mut World<P>, candidates: &[NodeId]) -> bool {
    let end = world.now + 30_000 * MS;
    while world.now < end {
        let before = world.agreed(candidates);
        world.run_for(if before.is_some() { 700 } else { 50 });
        if before.is_some() && world.agreed(candidates) == before {
            return true;
        }
    }
    false
}

/// What so many schedules find, and the first seed of each.
fn schedules<P: Protocol>(count: u64, begin: Begin<P>, services: u64, clocks: Clocks) -> BTreeMap<Found, u64> {
    let part = |first: u64| {
        let mut found = BTreeMap::new();
        for seed in (first..count).step_by(2) {
            for one in schedule(seed, begin, services, clocks) {
                found.entry(one).or_insert(seed);
            }
        }
        found
    };
    std::thread::scope(|scope| {
        let halves = [scope.spawn(move || part(0)), scope.spawn(move || part(1))];
        let mut found = BTreeMap::new();
        for (one, seed) in halves.into_iter().flat_map(|half| half.join().unwrap()) {
            let first = found.entry(one).or_insert(seed);
            *first = seed.min(*first);
        }
        found
    })
}

const MANY: u64 = 10_000;

/// Zab, section V: an epoch has one leader; two leaders of different epochs may live at once, as in Raft.
#[test]
fn zab_has_one_leader_per_epoch_and_may_have_two_of_different_epochs_at_once() {
    let found = schedules(MANY, crate::zab, 0, Clocks::Bounded);
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), [Found::TwoAtOnce], "{found:?}");
}

#[test]
fn a_majority_leases_to_one_leader_per_ballot_and_one_at_a_time() {
    let found = schedules(MANY, crate::paxos_lease, 0, Clocks::Bounded);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_slow_clock_breaks_the_leases_of_a_majority_but_no_ballot() {
    let found = schedules(MANY / 5, crate::paxos_lease, 0, Clocks::OneSlow);
    assert!(found.contains_key(&Found::TwoAtOnce) && !found.contains_key(&Found::TwoOfOneTerm), "{found:?}");
}

#[test]
fn a_lock_service_leases_to_one_holder_per_token_and_one_at_a_time() {
    let found = schedules(MANY, crate::lease, 1, Clocks::Bounded);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_slow_clock_breaks_the_lease_of_a_service_but_no_token() {
    let found = schedules(MANY / 5, crate::lease, 1, Clocks::OneSlow);
    assert!(found.contains_key(&Found::TwoAtOnce) && !found.contains_key(&Found::TwoOfOneTerm), "{found:?}");
}

/// They promise nothing under such faults; what they do is to agree again when all is well.
#[test]
fn bully_and_ring_have_two_leaders_of_one_term_and_agree_once_all_is_well() {
    for (name, found) in [
        ("bully", schedules(MANY / 10, crate::bully, 0, Clocks::Bounded)),
        ("ring", schedules(MANY / 10, crate::ring, 0, Clocks::Bounded)),
    ] {
        let expected = BTreeSet::from([Found::TwoOfOneTerm, Found::TwoAtOnce]);
        assert_eq!(found.keys().copied().collect::<BTreeSet<_>>(), expected, "{name}: {found:?}");
    }
}

/// The same world holds Raft to its promise, so that it can be trusted with the others.
#[test]
fn raft_has_one_leader_per_term_in_this_world_too() {
    let found = schedules(MANY / 5, crate::raft, 0, Clocks::Bounded);
    assert!(found.keys().all(|found| *found == Found::TwoAtOnce), "{found:?}");
}
