//! What the load does.

use std::collections::{BTreeMap, BTreeSet};

use chaos_history::{Action, ClientRole, Completion, Mark, NodeId, OpResult, RunNanos};
use chaos_plan::{Mix, Target, Work};

use crate::audit::{Run, audited};
use crate::fake_world::Quirks;
use crate::plans::{kill, lasting, ms, nodes, pause, wait, workload};

/// The moments at which the load's operations fell due.
fn dues(run: &Run) -> Vec<RunNanos> {
    let load = run.invocations().filter(|(_, invocation)| invocation.role != ClientRole::Final);
    let mut dues: Vec<RunNanos> = load.map(|(_, invocation)| invocation.due).collect();
    dues.sort_unstable();
    dues
}

fn dropped(run: &Run) -> u64 {
    run.progress.last().map_or(0, |(_, progress)| progress.operations.dropped)
}

#[test]
fn the_rate_is_kept_whatever_the_cluster_does() {
    let outages = vec![wait(5_000, 5_000), lasting(kill(Target::All), 5_000, 5_000), wait(10_000, 10_000)];
    for (steps, about) in [(vec![wait(20_000, 20_000)], "healthy"), (outages, "all down for a quarter")] {
        let run = audited(&workload(5, steps), 3, Quirks::default());
        let dues = dues(&run);
        let seconds = dues[dues.len() - 1].since(dues[0]).as_secs_f64();
        let rate = dues.len() as f64 / seconds;
        assert!((190.0..210.0).contains(&rate), "{about}: {rate}");
        assert!(dropped(&run) < 10, "{about}");
    }
}

#[test]
fn gaps_are_those_of_a_poisson_process() {
    let run = audited(&workload(5, vec![wait(30_000, 30_000)]), 4, Quirks::default());
    let dues = dues(&run);
    let gaps: Vec<f64> = dues.windows(2).map(|pair| pair[1].since(pair[0]).as_secs_f64()).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
    let variation = variance.sqrt() / mean;
    assert!((0.95..1.05).contains(&variation), "an exponential law has a coefficient of variation of 1: {variation}");
}

#[test]
fn an_operation_that_waits_for_its_client_keeps_its_due() {
    let run = audited(&workload(3, vec![lasting(pause(nodes(&[3])), 2_000, 2_000)]), 1, Quirks::default());
    let at_n3 = |operation: &&chaos_history::Operation| {
        operation.role == ClientRole::Pinned && operation.node == NodeId::new(3)
    };
    let operations = run.operations();
    let longest =
        operations.iter().filter(at_n3).map(|operation| operation.invoked.since(operation.due)).max().unwrap();
    // 33 operations a second fall due for a client that gets an answer every 300 ms.
    assert!(longest > ms(1_500), "{longest:?}");
    let others = operations.iter().filter(|operation| !at_n3(operation));
    let healthy = others.filter(|operation| operation.role == ClientRole::Pinned);
    let longest = healthy.map(|operation| operation.invoked.since(operation.due)).max().unwrap();
    assert!(longest < ms(200), "nobody else waits: {longest:?}");
}

#[test]
fn what_waits_is_bounded_and_what_overflows_is_counted() {
    let mut workload = workload(3, vec![lasting(pause(Target::All), 3_000, 3_000)]);
    workload.clients[0].rate_per_second = 10_000.0;
    let run = audited(&workload, 1, Quirks::default());
    let most = run.progress.iter().map(|(_, progress)| progress.operations_waiting).max();
    assert_eq!(most, Some(10_000));
    assert!(dropped(&run) > 15_000, "{}", dropped(&run));
    assert!(run.remarked(&[&dropped(&run).to_string(), "never invoked"]), "{:?}", run.remarks());
}

#[test]
fn refused_pinned_clients_build_no_backlog_at_any_rate() {
    for rate in [200.0, 2_000.0] {
        let mut workload = workload(5, vec![wait(5_000, 5_000)]);
        workload.clients[0].rate_per_second = rate;
        let run = audited(&workload, 1, Quirks::default());
        let pinned = run.operations().into_iter().filter(|operation| operation.role == ClientRole::Pinned);
        let longest = pinned.map(|operation| operation.invoked.since(operation.due)).max().unwrap();
        assert!(longest < ms(500), "{rate}/s: {longest:?}");
    }
}

#[test]
fn half_of_the_operations_go_to_pinned_clients_evenly() {
    let run = audited(&workload(4, vec![wait(10_000, 10_000)]), 1, Quirks::default());
    let mut pinned: BTreeMap<NodeId, usize> = BTreeMap::new();
    let mut roaming = 0;
    for operation in run.operations() {
        match operation.role {
            ClientRole::Pinned => *pinned.entry(operation.node).or_default() += 1,
            ClientRole::Roaming => roaming += 1,
            ClientRole::Final => {}
        }
    }
    let total: usize = pinned.values().sum();
    assert_eq!(pinned.len(), 4);
    assert!(total.abs_diff(roaming) <= 10, "{total} {roaming}");
    assert!(pinned.values().all(|count| count.abs_diff(total / 4) <= 5), "{pinned:?}");
}

#[test]
fn roaming_clients_find_the_leader_again() {
    let run = audited(&workload(5, vec![lasting(kill(Target::Leader), 2_000, 2_000)]), 1, Quirks::default());
    let late = run.mark(Mark::FaultsEnd) - ms(1_000);
    let roaming = run.operations().into_iter().filter(|operation| operation.role == ClientRole::Roaming);
    let (ok, other): (Vec<_>, Vec<_>) = roaming
        .filter(|operation| operation.invoked > late)
        .partition(|operation| matches!(operation.completion, Completion::Ok(_)));
    assert!(ok.len() > 50 && other.len() < 5, "{} ok, {} not", ok.len(), other.len());
}

#[test]
fn only_one_kind_of_clients_gets_everything() {
    for (pinned, roaming, role) in [(true, 0, ClientRole::Pinned), (false, 2, ClientRole::Roaming)] {
        let mut workload = workload(3, vec![wait(2_000, 2_000)]);
        (workload.clients[0].pinned, workload.clients[0].roaming) = (pinned, roaming);
        let run = audited(&workload, 1, Quirks::default());
        let roles: Vec<ClientRole> = run.operations().iter().map(|operation| operation.role).collect();
        assert!(roles.iter().all(|seen| *seen == role || *seen == ClientRole::Final));
        assert!(roles.len() > 500);
    }
}

#[test]
fn the_mix_is_kept_and_every_key_is_used() {
    let mut workload = workload(3, vec![wait(20_000, 20_000)]);
    workload.clients[0].work = Work::Register(Mix { read: 1, write: 3, cas: 0 });
    let run = audited(&workload, 1, Quirks::default());
    let operations = run.operations();
    let load = operations.iter().filter(|operation| operation.role != ClientRole::Final);
    let (reads, writes): (Vec<_>, Vec<_>) = load.partition(|operation| matches!(operation.action, Action::Read { .. }));
    let share = writes.len() as f64 / reads.len() as f64;
    assert!((2.6..3.4).contains(&share), "{share}");
    assert!(writes.iter().all(|operation| matches!(operation.action, Action::Write { .. })));
    let keys: BTreeSet<&str> = operations.iter().map(|operation| operation.action.key()).collect();
    assert_eq!(keys, BTreeSet::from(["k0", "k1", "k2"]));
}

#[test]
fn most_compare_and_sets_swap() {
    let run = audited(&workload(3, vec![wait(10_000, 10_000)]), 1, Quirks::default());
    let (mut swapped, mut not) = (0, 0);
    for operation in run.operations() {
        match operation.completion {
            Completion::Ok(OpResult::Cas { swapped: true, .. }) => swapped += 1,
            Completion::Ok(OpResult::Cas { swapped: false, .. }) => not += 1,
            Completion::Ok(
                OpResult::Read { .. }
                | OpResult::Written { .. }
                | OpResult::Elements { .. }
                | OpResult::Acquired { .. }
                | OpResult::Released
                | OpResult::Accessed { .. },
            )
            | Completion::Fail(_)
            | Completion::Info(_) => {}
        }
    }
    assert!(swapped > 9 * not, "{swapped} swapped, {not} did not");
}

#[test]
fn a_workload_without_clients_has_no_load_and_still_reads_at_the_end() {
    let mut workload = workload(3, vec![wait(1_000, 1_000)]);
    (workload.clients[0].pinned, workload.clients[0].roaming) = (false, 0);
    let run = audited(&workload, 1, Quirks::default());
    assert!(run.operations().iter().all(|operation| operation.role == ClientRole::Final));
}
