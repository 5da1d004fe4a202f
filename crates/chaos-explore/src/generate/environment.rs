//! What surrounds the faults: how many nodes, with which options, asked by which clients, over which network.
//!
//! Faults alone don't find what only impatient clients see: a lease that is too long was invisible for ten thousand seeds while every
//! client waited 400 ms before it asked another node, and took about 120 once that was drawn too. So clients' patience, numbers and
//! rates are drawn, nearly always with one client per node that stays there.
//!
//! What is drawn must be sound: options under which the sound node promises less are not drawn together (a lease for reads needs voters
//! that stick to their leader), or the search would find the options instead of a bug.

use std::time::Duration;

use chaos_history::NodeId;
use chaos_plan::{
    Check, Clients, Distribution, DurationRange, Fault, Jitter, LinkConditions, LinkSelector, Loss, Mix, RaftOptions,
    ReadConsistency, System, Target, Ways, Work, Workload,
};

use super::Space;
use crate::draw::Draws;

/// Draws everything around the plan. Of a user's workload, the nodes, the checks and what is asked are the user's.
pub(super) fn draw(workload: &mut Workload, space: &Space, draws: &mut Draws) {
    if !space.own {
        workload.nodes = draws.weighted(&[(5, 3), (1, 4), (4, 5)]);
        if draws.percent(65) {
            // Only some runs wait to see the cluster recover: it takes as long as the faults themselves.
            workload.checks.retain(|check| is_safety(*check));
            workload.settle = Duration::from_secs(1);
        }
    }
    if let System::Raft(raft) = &mut workload.system
        && !space.own
    {
        options(raft, workload.nodes, draws);
    }
    for load in &mut workload.clients {
        clients(load, space.own, draws);
    }
}

fn is_safety(check: Check) -> bool {
    match check {
        Check::ElectionSafety
        | Check::TermMonotonic
        | Check::Linearizable
        | Check::NoAcknowledgedWriteLost
        | Check::MutualExclusion
        | Check::Fencing
        | Check::ExclusiveAccess
        | Check::ReplicasAgree
        | Check::OneLeaderAtATime { .. } => true,
        Check::BoundedReelection { .. } | Check::Recovers { .. } | Check::NoStaleLeaderAfterHeal { .. } => false,
    }
}

/// Draws options of the reference node, in a cluster of so many.
pub(crate) fn options(raft: &mut RaftOptions, nodes: usize, draws: &mut Draws) {
    raft.pre_vote = draws.percent(60);
    raft.lease_reads = draws.percent(30);
    // Without these a lease proves nothing (Ongaro's thesis, §6.4.1).
    raft.check_quorum = raft.lease_reads || draws.percent(75);
    raft.stickiness = raft.lease_reads || draws.percent(75);
    raft.read =
        if raft.lease_reads && draws.percent(70) { ReadConsistency::Lease } else { ReadConsistency::Linearizable };
    let (min, max) = draws.weighted(&[(5, (150, 300)), (2, (150, 200)), (1, (150, 160)), (1, (300, 600))]);
    raft.election_timeout = DurationRange { min: Duration::from_millis(min), max: Duration::from_millis(max) };
    raft.nodes.clear();
    if draws.percent(20) {
        // A lease bears clocks whose rates differ by a factor of 1.25.
        let rate = draws.one_of(&["0.82", "0.9", "1.1", "1.2"]);
        let arguments = vec!["--clock-rate".to_owned(), rate.to_owned()];
        let node = NodeId::from_index(draws.index(nodes));
        raft.nodes.insert(node, RaftOptions { arguments, ..raft.clone() });
    }
}

/// Draws how a load asks. Whether its clients hold things is the workload's.
pub(crate) fn clients(load: &mut Clients, own: bool, draws: &mut Draws) {
    let patience = draws.one_of(&[60, 100, 150, 250, 400, 1_000]);
    match &mut load.work {
        Work::Register(mix) => {
            *mix = Mix { read: draws.one_of(&[1, 2, 4]), write: draws.one_of(&[1, 2]), cas: draws.one_of(&[0, 1, 1]) };
        }
        Work::Set { .. } => {}
        // They are asked as the workload says: their patience is what it tests.
        Work::Lock(_) | Work::Election { .. } => return,
    }
    load.timeout = Duration::from_millis(patience);
    load.pinned = draws.percent(85);
    load.roaming = draws.index(4) + usize::from(!load.pinned);
    if !own {
        load.keys = draws.one_of(&[1, 1, 2, 4]);
        load.rate_per_second = draws.one_of(&[40.0, 60.0, 100.0, 150.0]);
    }
}

/// A network that is slower than the host's own, all the time.
pub(super) fn weather(draws: &mut Draws) -> Fault {
    let links = vec![LinkSelector { from: Target::All, to: Target::All, ways: Ways::One }];
    Fault::Link { links, conditions: conditions(draws) }
}

/// What a link may do to its packets, at least a delay.
pub(super) fn conditions(draws: &mut Draws) -> LinkConditions {
    let delay = draws.millis_by_magnitude(1, 60);
    let jitter = draws.percent(50).then(|| Jitter {
        by: draws.millis_by_magnitude(1, u64::try_from(delay.as_millis()).unwrap_or(1).max(1)),
        like: draws.one_of(&[Distribution::Normal, Distribution::Pareto]),
    });
    let loss = draws.percent(30).then(|| Loss { share_millionths: draws.one_of(&[10_000, 50_000, 200_000]), burst: 1 });
    LinkConditions { delay, jitter, loss, ..LinkConditions::default() }
}
