//! The loads of clients that hold something.

use std::collections::{BTreeMap, BTreeSet};

use chaos_history::{Action, Completion, Mark, OpResult, Operation, ProcessId};
use chaos_plan::{Clients, LockWork, Target, Work, Workload};

use crate::audit::{Run, audited};
use crate::fake_world::Quirks;
use crate::plans::{lasting, ms, pause, range, wait, workload};

fn with_lock(fencing: bool) -> Workload {
    let mut workload = workload(3, vec![wait(5_000, 5_000)]);
    let work = Work::Lock(LockWork { hold: range(20, 60), accesses: 3, fencing });
    workload.clients = vec![Clients { work, keys: 2, roaming: 5, timeout: ms(2_000), ..Clients::of_lock() }];
    workload
}

/// The operations of each process, in order.
fn by_process(run: &Run) -> BTreeMap<ProcessId, Vec<Operation>> {
    let mut processes: BTreeMap<ProcessId, Vec<Operation>> = BTreeMap::new();
    for operation in run.operations() {
        processes.entry(operation.process).or_default().push(operation);
    }
    processes
}

fn is_acquired(operation: &Operation) -> Option<u64> {
    match operation.completion {
        Completion::Ok(OpResult::Acquired { token }) => token,
        Completion::Ok(_) | Completion::Fail(_) | Completion::Info(_) => None,
    }
}

/// What a process did, one letter per operation; small if it was not answered with ok.
fn story(operations: &[Operation]) -> String {
    let letter = |operation: &Operation| {
        let letter = match operation.action {
            Action::Acquire { .. } => 'A',
            Action::Access { .. } => 'X',
            Action::Release { .. } => 'R',
            Action::Read { .. } | Action::Write { .. } | Action::Cas { .. } => '?',
            Action::Add { .. } | Action::Elements { .. } => '?',
        };
        let ok = matches!(operation.completion, Completion::Ok(_));
        if ok { letter } else { letter.to_ascii_lowercase() }
    };
    operations.iter().map(letter).collect()
}

#[test]
fn a_holder_uses_the_resource_while_it_holds_and_gives_back_in_time() {
    let run = audited(&with_lock(true), 1, Quirks::default());
    let processes = by_process(&run);
    assert_eq!(processes.len(), 5);
    for operations in processes.values() {
        let story = story(operations);
        // The end of the load may cut the last hold short.
        assert!(["", "AR", "AXR", "AXXR"].contains(&story.replace("AXXXR", "").as_str()), "{story}");
        assert!(story.len() >= 5 * 5, "it gets its turn: {story}");
        for hold in operations.chunks_exact(5) {
            let (token, since) = (is_acquired(&hold[0]), hold[0].completed.expect("it was answered"));
            assert!(token.is_some());
            let lasted = hold[4].invoked.since(since);
            assert!((ms(20)..=ms(61)).contains(&lasted), "{lasted:?}");
            for access in &hold[1..4] {
                assert_eq!(access.action, Action::Access { key: hold[0].action.key().to_owned(), token });
                assert_eq!(access.completion, Completion::Ok(OpResult::Accessed { accepted: true }));
            }
        }
    }
    let keys: BTreeSet<String> = run.operations().iter().map(|operation| operation.action.key().to_owned()).collect();
    assert_eq!(keys, BTreeSet::from(["l0".to_owned(), "l1".to_owned()]));
    assert_eq!(run.remarks(), Vec::<&str>::new());
}

#[test]
fn who_is_not_to_fence_shows_no_token() {
    let run = audited(&with_lock(false), 1, Quirks::default());
    let accesses: Vec<Operation> =
        run.operations().into_iter().filter(|operation| matches!(operation.action, Action::Access { .. })).collect();
    assert!(accesses.len() > 50);
    assert!(accesses.iter().all(|access| matches!(access.action, Action::Access { token: None, .. })));
}

#[test]
fn who_is_refused_by_the_resource_gives_up_its_hold() {
    let run = audited(&with_lock(true), 1, Quirks { locks_are_shared: true, ..Quirks::default() });
    let stories: Vec<String> = by_process(&run).values().map(|operations| story(operations)).collect();
    let refused = Completion::Ok(OpResult::Accessed { accepted: false });
    let mut met = 0;
    for operations in by_process(&run).values() {
        for pair in operations.windows(2).filter(|pair| pair[0].completion == refused) {
            met += 1;
            assert!(matches!(pair[1].action, Action::Release { .. }), "{stories:?}");
        }
    }
    assert!(met > 5, "holders of one lock get in each other's way");
}

#[test]
fn nothing_is_held_when_the_run_ends() {
    let mut workload = with_lock(true);
    workload.faults.steps = crate::plans::workload(3, vec![lasting(pause(Target::Leader), 700, 700)]).faults.steps;
    for seed in 1..=10 {
        let run = audited(&workload, seed, Quirks::default());
        for operations in by_process(&run).values() {
            let last = story(operations).chars().last().expect("a process did something");
            assert!("aRr".contains(last), "seed {seed}: {}", story(operations));
        }
        let end = run.mark(Mark::LoadEnd);
        let late = run.operations().into_iter().filter(|operation| operation.invoked > end);
        assert_eq!(late.count(), 0, "locks leave nothing to read");
    }
}

#[test]
fn after_an_unknown_outcome_a_client_is_a_new_process() {
    let mut workload = with_lock(true);
    workload.clients[0].timeout = ms(300);
    workload.faults.steps = crate::plans::workload(3, vec![lasting(pause(Target::Leader), 700, 700)]).faults.steps;
    let run = audited(&workload, 1, Quirks::default());
    let processes = by_process(&run);
    assert!(processes.len() > 5);
    for operations in processes.values() {
        let unknown = operations.iter().position(|operation| matches!(operation.completion, Completion::Info(_)));
        assert!(unknown.is_none_or(|at| at + 1 == operations.len()), "{}", story(operations));
    }
}

#[test]
fn candidates_campaign_hold_and_resign() {
    let mut workload = workload(3, vec![wait(20_000, 20_000)]);
    workload.clients = vec![Clients::of_election()];
    let run = audited(&workload, 1, Quirks::default());
    let processes = by_process(&run);
    assert_eq!(processes.len(), 3);
    for operations in processes.values() {
        assert_eq!(story(operations).replace("AR", ""), "");
        assert!(operations.len() >= 4);
        assert!(operations.iter().all(|operation| operation.action.key() == "e0"));
    }
}

#[test]
fn a_lock_load_leaves_the_register_loads_draws_alone() {
    let alone = audited(&workload(3, vec![wait(5_000, 5_000)]), 5, Quirks::default());
    let mut both = workload(3, vec![wait(5_000, 5_000)]);
    both.clients.extend(with_lock(true).clients);
    let both = audited(&both, 5, Quirks::default());
    let dues = |run: &Run| {
        let load = run.mark(Mark::LoadEnd);
        let of_registers = run.operations().into_iter().filter(|operation| operation.action.key().starts_with('k'));
        of_registers.map(|operation| operation.due).filter(|due| *due < load).collect::<BTreeSet<_>>()
    };
    assert_eq!(dues(&alone), dues(&both));
    assert!(dues(&alone).len() > 500);
}
