//! Short stories, one a property: what a protocol does in the situation that it is known for.

use std::collections::BTreeSet;

use election::{NodeId, Protocol, Term};

use crate::world::World;

fn all<P: Protocol>(world: &World<P>) -> Vec<NodeId> {
    world.ids()
}

fn elected<P: Protocol>(world: &mut World<P>, ids: &[NodeId]) -> (NodeId, Term) {
    world.run_until("a leader", |world| world.agreed(ids).is_some());
    world.agreed(ids).unwrap()
}

/// Who leads in a later term than this one.
fn elected_after<P: Protocol>(world: &mut World<P>, ids: &[NodeId], term: Term) -> (NodeId, Term) {
    world.run_until("a later leader", |world| {
        ids.iter().any(|id| world.claims.iter().any(|(later, leaders)| *later > term && leaders.contains(id)))
    });
    elected(world, ids)
}

const fn n(number: u64) -> NodeId {
    NodeId(number)
}

#[test]
fn the_highest_node_bullies_its_way_in_when_it_comes_back() {
    let mut world = World::new(5, 1, crate::bully);
    let ids = all(&world);
    let (first, term) = elected(&mut world, &ids);
    assert_eq!(first, n(5));
    world.crash(n(5));
    let (second, next) = elected(&mut world, &ids[..4]);
    assert!(second == n(4) && next > term);
    world.start(n(5));
    let (third, last) = elected(&mut world, &ids);
    assert!(third == n(5) && last > next);
}

/// Its known defect, by every formulation of it: no majority is asked for.
#[test]
fn bully_has_two_leaders_of_one_term_in_a_partition() {
    let mut world = World::new(5, 1, crate::bully);
    let ids = all(&world);
    elected(&mut world, &ids);
    world.crash(n(5));
    elected_after(&mut world, &ids[..4], Term(1));
    world.cut_off(&BTreeSet::from([n(4), n(3)]));
    world.start(n(5));
    world.cuts.extend([(n(5), n(4)), (n(5), n(3)), (n(4), n(5)), (n(3), n(5))]);
    world.run_for(1_000);
    assert_eq!(world.leaders(), [n(4), n(5)], "each side has its own");
    let (term, both) = world.double().unwrap();
    assert_eq!((*term, both), (Term(2), &BTreeSet::from([n(4), n(5)])), "and they number their reigns alike");
    world.cuts.clear();
    let (leader, _) = elected(&mut world, &ids);
    assert_eq!(leader, n(5));
}

#[test]
fn a_ring_mends_itself_around_the_dead_and_takes_them_back() {
    let mut world = World::new(5, 1, crate::ring);
    let ids = all(&world);
    assert_eq!(elected(&mut world, &ids).0, n(5));
    world.crash(n(2));
    world.crash(n(5));
    let left = [n(1), n(3), n(4)];
    assert_eq!(elected(&mut world, &left).0, n(4));
    world.start(n(2));
    // It hears of the leader without disturbing it: its predecessor has been asking after it.
    let before = elected(&mut world, &[n(1), n(2), n(3), n(4)]);
    world.run_for(1_000);
    assert_eq!(world.agreed(&[n(1), n(2), n(3), n(4)]), Some(before));
}

#[test]
fn a_ring_that_is_cut_in_two_closes_twice() {
    let mut world = World::new(5, 1, crate::ring);
    let ids = all(&world);
    elected(&mut world, &ids);
    world.cut_off(&BTreeSet::from([n(1), n(2)]));
    world.run_for(2_000);
    assert_eq!(world.leaders(), [n(2), n(5)]);
    world.cuts.clear();
    // The leader of the newer reign stays, the other one submits.
    let (_, newest) = (elected(&mut world, &ids), world.claims.keys().max().copied());
    assert_eq!(world.agreed(&ids).map(|(leader, term)| (leader, Some(term))), Some((n(2), newest)));
}

#[test]
fn a_paused_holder_no_longer_leads_when_it_wakes_and_its_token_is_old() {
    let mut world = World::new(4, 1, crate::lease);
    let candidates = all(&world)[..3].to_vec();
    let (holder, token) = elected(&mut world, &candidates);
    world.sleep(holder);
    let others: Vec<NodeId> = candidates.iter().copied().filter(|id| *id != holder).collect();
    let (second, newer) = elected(&mut world, &others);
    assert!(second != holder && newer > token, "a newer token fences the old one off");
    world.wake(holder);
    assert_eq!(world.leaders(), [second]);
    assert!(world.overlap.is_none());
}

#[test]
fn without_its_lock_service_nobody_leads_and_a_restarted_one_waits_for_old_leases() {
    let mut world = World::new(4, 1, crate::lease);
    let candidates = all(&world)[..3].to_vec();
    let (holder, token) = elected(&mut world, &candidates);
    world.crash(n(4));
    world.start(n(4));
    world.sleep(holder);
    // It has forgotten when it granted, not to whom: for one whole length it grants nothing.
    world.run_for(290);
    assert!(world.leaders().is_empty());
    let others: Vec<NodeId> = candidates.iter().copied().filter(|id| *id != holder).collect();
    assert!(elected(&mut world, &others).1 > token);
    world.crash(n(4));
    world.run_for(1_000);
    assert!(world.leaders().is_empty());
}

#[test]
fn a_leader_that_is_cut_off_gives_its_lease_up_before_the_majority_has_another() {
    let mut world = World::new(5, 1, crate::paxos_lease);
    let ids = all(&world);
    let (first, ballot) = elected(&mut world, &ids);
    world.cut_off(&BTreeSet::from([first]));
    let others: Vec<NodeId> = ids.iter().copied().filter(|id| *id != first).collect();
    let (second, next) = elected_after(&mut world, &others, ballot);
    assert!(second != first && next > ballot && next.0 % 1000 == second.number());
    assert!(world.overlap.is_none());
}

/// A node that comes back from a minority has promised ballots of its own: the leader goes above them, and stays the leader.
#[test]
fn a_ballot_from_a_minority_moves_the_leader_to_a_new_one_and_not_out() {
    let mut world = World::new(5, 1, crate::paxos_lease);
    let ids = all(&world);
    let (leader, ballot) = elected(&mut world, &ids);
    let far = if leader == n(1) { n(2) } else { n(1) };
    world.cut_off(&BTreeSet::from([far]));
    world.run_for(2_000);
    world.cuts.clear();
    let (same, above) = elected(&mut world, &ids);
    assert!(same == leader && above > ballot);
}

#[test]
fn minorities_of_majority_protocols_have_no_leader() {
    let mut leases = World::new(5, 1, crate::paxos_lease);
    let mut votes = World::new(5, 1, crate::zab);
    let ids = all(&leases);
    elected(&mut leases, &ids);
    elected(&mut votes, &ids);
    let minority = BTreeSet::from([n(4), n(5)]);
    leases.cut_off(&minority);
    votes.cut_off(&minority);
    leases.run_for(3_000);
    votes.run_for(3_000);
    for leaders in [leases.leaders(), votes.leaders()] {
        assert!(leaders.len() == 1 && !minority.contains(&leaders[0]), "{leaders:?}");
    }
}

#[test]
fn zab_elects_the_highest_of_those_with_the_newest_epoch() {
    let mut world = World::new(3, 1, crate::zab);
    let ids = all(&world);
    let (first, epoch) = elected(&mut world, &ids);
    assert_eq!(first, n(3));
    // n3 misses an epoch, so it is no longer the best candidate, though it is the highest.
    world.crash(n(3));
    let (second, next) = elected(&mut world, &ids[..2]);
    assert!(second == n(2) && next > epoch);
    world.crash(n(2));
    world.run_for(500);
    assert!(world.leaders().is_empty());
    world.start(n(3));
    let (third, last) = elected(&mut world, &[n(1), n(3)]);
    assert!(third == n(1) && last > next, "the epoch counts before the number");
}

#[test]
fn a_node_that_comes_late_finds_the_leader_that_zab_has() {
    let mut world = World::new(5, 1, crate::zab);
    let ids = all(&world);
    world.crash(n(5));
    let before = elected(&mut world, &ids[..4]);
    world.start(n(5));
    assert_eq!(elected(&mut world, &ids), before, "a higher number is no reason to change a leader");
}
