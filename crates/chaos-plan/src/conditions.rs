//! Whether what a plan waits for can be seen at all: of this system, with these clients.
//!
//! A condition that can't come would let its steps be left out in every run, which is a plan that tests nothing and looks as if it
//! did. So it is a mistake, at its step's place.

use crate::control::{Condition, Stop, all_steps};
use crate::error::{Mistake, Mistakes};
use crate::model::{Clients, RaftOptions, Step, StepAction, System, Target};
use crate::read::ReadPlan;

/// Notes every condition of the plan, and every target, that can't be seen.
pub(crate) fn check(plan: &ReadPlan, system: &System, clients: &[Clients], mistakes: &mut Mistakes) {
    for (step, condition) in of(&plan.plan.steps) {
        if let Some(why) = hidden(condition, system, clients) {
            mistakes.note(Mistake::at(plan.places[step], format!("`{condition}` can never be seen")).label(why));
        }
    }
    let Some(why) = hidden(Condition::VoteGranted, system, clients) else { return };
    for step in all_steps(&plan.plan.steps) {
        if step.fault().is_some_and(|fault| fault.targets().into_iter().any(Target::needs_votes)) {
            mistakes.note(Mistake::at(plan.places[step.number], "nobody is ever seen to be the `voter`").label(why));
        }
    }
}

/// All conditions, each with the number of its step.
fn of(steps: &[Step]) -> Vec<(usize, Condition)> {
    let conditions = all_steps(steps).into_iter().filter_map(|step| {
        if let StepAction::On { condition, .. } | StepAction::Repeat { until: Some(Stop { condition, .. }), .. } =
            &step.action
        {
            return Some((step.number, *condition));
        }
        None
    });
    conditions.collect()
}

/// Why the condition can't be seen, if it can't.
fn hidden(condition: Condition, system: &System, clients: &[Clients]) -> Option<&'static str> {
    let observer = match system {
        System::Raft(_) => None,
        System::Defined(defined) => defined.definition.observers.first(),
    };
    match condition {
        Condition::Leader(_) => None,
        Condition::VoteGranted => observer
            .is_some_and(|observer| observer.voted_for.is_none() || observer.term.is_none())
            .then_some("the system's first observer shows no votes"),
        Condition::Term(_) => observer
            .is_some_and(|observer| observer.term.is_none())
            .then_some("the system's first observer shows no term"),
        Condition::LeaseBelow(_) => match system {
            System::Raft(all) => {
                // With neither, a leader has nothing that runs out.
                let tells = |options: &RaftOptions| options.check_quorum || options.lease_reads;
                (!std::iter::once(all).chain(all.nodes.values()).all(tells))
                    .then_some("a leader without `check-quorum` and without `lease-reads` has no lease")
            }
            System::Defined(_) => observer
                .is_some_and(|observer| observer.lease_remaining.is_none())
                .then_some("the system's first observer shows no lease"),
        },
        Condition::Operations(_) => clients.is_empty().then_some("this workload has no clients"),
    }
}
