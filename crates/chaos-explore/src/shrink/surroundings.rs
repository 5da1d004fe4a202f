//! Making smaller what surrounds the plan: loads, options, nodes, the time after the last fault.

use std::time::Duration;

use chaos_history::NodeId;
use chaos_plan::{Clients, Mix, RaftOptions, System, Target, Work, Workload};

use super::Shrinker;
use crate::tree::each_list;

/// Fewer clients, plainer options, fewer nodes, as far as it fails all the same.
pub(super) fn simplify(shrinker: &mut Shrinker<'_>) {
    loads(shrinker);
    options(shrinker);
    fewer_nodes(shrinker);
    checks(shrinker);
}

fn loads(shrinker: &mut Shrinker<'_>) {
    // Without clients nothing is asked, and whatever the observers alone see is simplest of all.
    let mut index = shrinker.best.workload.clients.len();
    while index > 0 {
        index -= 1;
        shrinker.try_with(|workload| {
            workload.clients.remove(index);
            let asked = !workload.clients.is_empty();
            workload.checks.retain(|check| asked || check_needs_no_clients(*check));
        });
    }
    for index in 0..shrinker.best.workload.clients.len() {
        let change = |shrinker: &mut Shrinker<'_>, change: &dyn Fn(&mut Clients)| {
            shrinker.try_with(|workload| workload.clients.get_mut(index).into_iter().for_each(change))
        };
        match shrinker.best.workload.clients[index].work {
            Work::Register(mix) => {
                for plain in [Mix { cas: 0, ..mix }, Mix { read: 1, write: 1, cas: mix.cas.min(1) }] {
                    change(shrinker, &|load| load.work = Work::Register(plain));
                }
                change(shrinker, &|load| load.work = Work::Register(Mix { read: 1, write: 1, cas: 0 }));
            }
            Work::Set { .. } | Work::Lock(_) | Work::Election { .. } => {}
        }
        change(shrinker, &|load| load.keys = 1);
        change(shrinker, &|load| load.pinned = false);
        for roaming in [0, 1, 2] {
            if shrinker.best.workload.clients.get(index).is_some_and(|load| load.roaming > roaming) {
                change(shrinker, &|load| load.roaming = roaming);
            }
        }
        for rate in [20.0, 50.0] {
            if shrinker.best.workload.clients.get(index).is_some_and(|load| load.rate_per_second > rate) {
                change(shrinker, &|load| load.rate_per_second = rate);
            }
        }
    }
}

/// Whether a check can be made of what observers see.
fn check_needs_no_clients(check: chaos_plan::Check) -> bool {
    use chaos_plan::Check;
    match check {
        Check::ElectionSafety
        | Check::TermMonotonic
        | Check::BoundedReelection { .. }
        | Check::NoStaleLeaderAfterHeal { .. }
        | Check::OneLeaderAtATime { .. } => true,
        Check::Linearizable
        | Check::NoAcknowledgedWriteLost
        | Check::MutualExclusion
        | Check::Fencing
        | Check::ExclusiveAccess
        | Check::ReplicasAgree
        | Check::Recovers { .. } => false,
    }
}

/// Nodes alike, and options as they are where nobody says anything; each on its own, and first all at once.
fn options(shrinker: &mut Shrinker<'_>) {
    let changes: [fn(&mut RaftOptions); 6] = [
        |options| {
            let RaftOptions { specimen, program, arguments, nodes, .. } = options.clone();
            *options = RaftOptions { specimen, program, arguments, nodes, ..RaftOptions::default() };
        },
        |options| {
            let plain = RaftOptions::default();
            (options.lease_reads, options.read) = (plain.lease_reads, plain.read);
        },
        |options| options.pre_vote = RaftOptions::default().pre_vote,
        |options| options.check_quorum = RaftOptions::default().check_quorum,
        |options| options.stickiness = RaftOptions::default().stickiness,
        |options| {
            let plain = RaftOptions::default();
            (options.election_timeout, options.heartbeat) = (plain.election_timeout, plain.heartbeat);
        },
    ];
    let with = |shrinker: &mut Shrinker<'_>, change: &dyn Fn(&mut RaftOptions)| {
        if let System::Raft(_) = &shrinker.best.workload.system {
            shrinker.try_with(|workload| {
                if let System::Raft(options) = &mut workload.system {
                    change(options);
                }
            });
        }
    };
    with(shrinker, &|options| options.nodes.clear());
    for change in changes {
        with(shrinker, &|options| {
            let mut nodes = std::mem::take(&mut options.nodes);
            for options in nodes.values_mut().chain([&mut *options]) {
                change(options);
                // A lease needs both, or the search would have found the options.
                options.check_quorum |= options.lease_reads;
                options.stickiness |= options.lease_reads;
            }
            options.nodes = nodes;
        });
    }
}

/// Not below three: fewer are no cluster that anybody runs.
fn fewer_nodes(shrinker: &mut Shrinker<'_>) {
    for nodes in [3, 4] {
        if nodes < shrinker.best.workload.nodes && shrinker.try_with(|workload| with_nodes(workload, nodes)) {
            return;
        }
    }
}

/// The workload with so many nodes. Nodes that are no more are taken for the last that is.
fn with_nodes(workload: &mut Workload, nodes: usize) {
    workload.nodes = nodes;
    let last = NodeId::from_index(nodes - 1);
    each_list(&mut workload.faults.steps, &mut |list| {
        for step in list {
            let chaos_plan::StepAction::Fault { fault, .. } = &mut step.action else { continue };
            crate::tree::each_target(fault, &mut |target| {
                if let Target::Nodes(named) = target {
                    named.iter_mut().for_each(|node| *node = (*node).min(last));
                    named.dedup();
                }
            });
        }
    });
    if let System::Raft(options) = &mut workload.system {
        options.nodes.retain(|node, _| *node <= last);
    }
}

/// Only what is violated, and no longer after the last fault than that takes.
fn checks(shrinker: &mut Shrinker<'_>) {
    let violated = shrinker.check;
    shrinker.try_with(|workload| workload.checks.retain(|check| check.name() == violated.name()));
    for settle in [Duration::from_secs(1), Duration::from_secs(3)] {
        if settle < shrinker.best.workload.settle && shrinker.try_with(|workload| workload.settle = settle) {
            return;
        }
    }
}
