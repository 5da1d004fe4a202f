//! The set load and its final reads.

use std::collections::{BTreeMap, BTreeSet};

use chaos_history::{Action, ClientRole, Completion, Mark, NodeId, OpResult, Operation, Value};
use chaos_plan::{Clients, Target, Work, Workload};

use crate::audit::{Run, audited};
use crate::fake_world::Quirks;
use crate::plans::{kill, lasting, ms, wait, workload};

fn with_set(reads_millionths: u32) -> Workload {
    let mut workload = workload(3, vec![wait(2_000, 2_000)]);
    let work = Work::Set { reads_millionths };
    workload.clients = vec![Clients { work, keys: 2, timeout: ms(300), ..Clients::of_set() }];
    workload
}

/// The final reads of sets that were answered.
fn finals(run: &Run) -> Vec<(Operation, BTreeSet<Value>)> {
    let answered = run.operations().into_iter().filter(|operation| operation.role == ClientRole::Final);
    answered
        .filter_map(|operation| match &operation.completion {
            Completion::Ok(OpResult::Elements { values, .. }) => {
                let values = values.iter().copied().collect();
                Some((operation, values))
            }
            Completion::Ok(_) | Completion::Fail(_) | Completion::Info(_) => None,
        })
        .collect()
}

fn acknowledged(run: &Run, key: &str) -> BTreeSet<Value> {
    let added = run.operations().into_iter().filter(|operation| operation.action.key() == key);
    let ok = added.filter(|operation| matches!(operation.completion, Completion::Ok(_)));
    ok.filter_map(|operation| operation.action.written()).collect()
}

#[test]
fn each_addition_is_of_a_new_element_and_reads_keep_their_share() {
    let mut workload = with_set(100_000);
    workload.faults.steps = crate::plans::workload(3, vec![wait(20_000, 20_000)]).faults.steps;
    let run = audited(&workload, 1, Quirks::default());
    let operations = run.operations();
    let load: Vec<&Operation> = operations.iter().filter(|operation| operation.role != ClientRole::Final).collect();
    let reads = load.iter().filter(|operation| matches!(operation.action, Action::Elements { .. })).count();
    let share = reads as f64 / load.len() as f64;
    assert!((0.08..0.12).contains(&share), "{share}");
    let elements: Vec<Value> = load.iter().filter_map(|operation| operation.action.written()).collect();
    assert_eq!(elements.iter().collect::<BTreeSet<_>>().len(), elements.len());
    let keys: BTreeSet<&str> = operations.iter().map(|operation| operation.action.key()).collect();
    assert_eq!(keys, BTreeSet::from(["s0", "s1"]));
}

#[test]
fn a_register_load_and_a_set_load_run_beside_each_other_on_keys_of_their_own() {
    let mut both = with_set(0);
    both.clients.push(workload(3, Vec::new()).clients.remove(0));
    let run = audited(&both, 1, Quirks::default());
    let mut kinds: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for operation in run.operations() {
        let kind = format!("{:?}", operation.action.object());
        kinds.entry(operation.action.key().to_owned()).or_default().insert(kind);
    }
    assert_eq!(kinds.keys().collect::<Vec<_>>(), ["k0", "k1", "k2", "s0", "s1"]);
    assert!(kinds.values().all(|kinds| kinds.len() == 1), "{kinds:?}");
}

#[test]
fn a_set_load_leaves_the_register_loads_draws_alone() {
    let alone = audited(&workload(3, vec![wait(2_000, 2_000)]), 5, Quirks::default());
    let mut both = workload(3, vec![wait(2_000, 2_000)]);
    both.clients.push(with_set(0).clients.remove(0));
    let both = audited(&both, 5, Quirks::default());
    let dues = |run: &Run| {
        let of_registers = run.operations().into_iter().filter(|operation| operation.action.key().starts_with('k'));
        of_registers
            .filter(|operation| operation.role != ClientRole::Final)
            .map(|operation| operation.due)
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(dues(&alone), dues(&both));
}

#[test]
fn every_set_is_read_at_every_node_that_reads() {
    let run = audited(&with_set(0), 1, Quirks { followers_read: true, ..Quirks::default() });
    let finals = finals(&run);
    let read: BTreeSet<(&str, NodeId)> =
        finals.iter().map(|(operation, _)| (operation.action.key(), operation.node)).collect();
    assert_eq!(read.len(), 6);
    assert_eq!(finals.len(), 6, "who shows everything is asked once");
    for (operation, values) in &finals {
        assert_eq!(*values, acknowledged(&run, operation.action.key()));
    }
    assert_eq!(run.remarks(), Vec::<&str>::new());
}

#[test]
fn nodes_that_refuse_are_given_up_once_another_has_answered() {
    let run = audited(&with_set(0), 1, Quirks::default());
    let read: BTreeSet<NodeId> = finals(&run).iter().map(|(operation, _)| operation.node).collect();
    assert_eq!(read.len(), 1);
    let took = run.mark(Mark::RunEnd).since(run.mark(Mark::LoadEnd));
    assert!(ms(3_000) <= took && took < ms(4_000), "{took:?}");
    assert!(run.remarked(&["no final read succeeded of s0 at n"]), "{:?}", run.remarks());
}

#[test]
fn a_node_that_lags_is_asked_until_it_has_caught_up() {
    let mut workload = with_set(0);
    workload.settle = ms(500);
    let healthy = Quirks { followers_read: true, ..Quirks::default() };
    let end = audited(&workload, 1, healthy.clone()).mark(Mark::LoadEnd);
    let run = audited(&workload, 1, Quirks { lags: Some((NodeId::new(3), end + ms(2_500))), ..healthy });
    let of_n3: Vec<usize> = finals(&run)
        .iter()
        .filter(|(operation, _)| operation.node == NodeId::new(3) && operation.action.key() == "s0")
        .map(|(_, values)| values.len())
        .collect();
    assert_eq!(of_n3[..of_n3.len() - 1], [0, 0, 0]);
    assert_eq!(of_n3.last(), Some(&acknowledged(&run, "s0").len()));
    assert!(run.mark(Mark::RunEnd).since(run.mark(Mark::LoadEnd)) < ms(4_500));
}

#[test]
fn what_no_node_has_is_looked_for_until_time_is_up() {
    let all = NodeId::all(3).collect();
    let run = audited(&with_set(0), 1, Quirks { forgets: Some((10, all)), followers_read: true, ..Quirks::default() });
    let took = run.mark(Mark::RunEnd).since(run.mark(Mark::LoadEnd));
    assert!(took >= ms(40_000), "{took:?}");
    assert!(run.remarked(&["n1 lacks", "elements of s0"]), "{:?}", run.remarks());
    let reads = finals(&run).iter().filter(|(operation, _)| operation.action.key() == "s0").count();
    assert!((96..=123).contains(&reads), "one a second and node: {reads}");
}

#[test]
fn sets_are_read_also_where_the_leader_was_killed() {
    let mut workload = with_set(0);
    workload.faults.steps = crate::plans::workload(3, vec![lasting(kill(Target::Leader), 1_000, 1_000)]).faults.steps;
    let run = audited(&workload, 1, Quirks { followers_read: true, ..Quirks::default() });
    assert_eq!(finals(&run).len(), 6);
}
