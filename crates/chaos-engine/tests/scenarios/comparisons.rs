//! When replicas are compared, and for how long.

use chaos_engine::Command;
use chaos_history::{ClientRole, Mark, NodeId, ReplicaOutcome, ReplicaState, RunNanos};
use chaos_plan::{Check, Workload};

use crate::audit::{Run, audited};
use crate::fake_world::Quirks;
use crate::plans::{ms, wait, workload};

fn compared() -> Workload {
    Workload { checks: vec![Check::ReplicasAgree], ..workload(3, vec![wait(1_000, 1_000)]) }
}

fn holds(value: &str, revision: Option<u64>) -> ReplicaOutcome {
    ReplicaOutcome::Told(ReplicaState { value: value.to_owned(), revision })
}

fn with(replicas: fn(NodeId, RunNanos) -> ReplicaOutcome) -> Run {
    audited(&compared(), 1, Quirks { replicas: Some(replicas), ..Quirks::default() })
}

/// When nodes were asked, one moment a question.
fn asked(run: &Run) -> Vec<RunNanos> {
    let asked = run.world.commands.iter().filter(|(_, command)| matches!(command, Command::Compare { .. }));
    asked.map(|(at, _)| *at).collect()
}

#[test]
fn nodes_that_hold_the_same_are_asked_once_after_the_load_and_before_the_final_reads() {
    let run = with(|_, _| holds("a", Some(7)));
    let asked = asked(&run);
    assert_eq!(asked.len(), 3);
    let first_read = run.invocations().find(|(_, invocation)| invocation.role == ClientRole::Final).unwrap().0;
    assert!(asked.iter().all(|at| run.mark(Mark::LoadEnd) <= *at && *at < first_read));
}

#[test]
fn nodes_that_lag_or_are_silent_are_asked_again_until_they_hold_the_same() {
    let lagging = with(|node, at| {
        let behind = node == NodeId::new(2) && at < RunNanos(0) + ms(5_000);
        if behind { holds("a", Some(6)) } else { holds("b", Some(7)) }
    });
    let silent = with(|node, at| {
        let silent = node == NodeId::new(2) && at < RunNanos(0) + ms(5_000);
        if silent { ReplicaOutcome::Silent("refused".to_owned()) } else { holds("b", None) }
    });
    for run in [lagging, silent] {
        let asked = asked(&run);
        assert!(asked.len() > 3 && asked.len().is_multiple_of(3), "{}", asked.len());
        let last = *asked.last().unwrap();
        assert!(RunNanos(0) + ms(5_000) <= last && last < RunNanos(0) + ms(5_500), "{last}");
    }
}

#[test]
fn nodes_that_never_agree_are_asked_for_ten_seconds() {
    let run = with(|node, _| holds(&node.to_string(), None));
    let asked = asked(&run);
    let lasted = asked.last().unwrap().since(asked[0]);
    assert!(ms(9_500) < lasted && lasted <= ms(10_000), "{lasted:?}");
}

#[test]
fn different_states_of_one_revision_end_the_comparison_at_once() {
    assert_eq!(asked(&with(|node, _| holds(&node.to_string(), Some(9)))).len(), 3);
}

#[test]
fn a_system_without_such_a_question_is_asked_once_and_remarked() {
    let run = audited(&compared(), 1, Quirks::default());
    assert_eq!(asked(&run).len(), 3);
    assert!(run.remarked(&["can't be asked what its replicas hold"]), "{:?}", run.remarks());
    let run = audited(&workload(3, vec![wait(1_000, 1_000)]), 1, Quirks::default());
    assert_eq!(asked(&run).len(), 0, "a plan that doesn't check it asks nobody");
}
