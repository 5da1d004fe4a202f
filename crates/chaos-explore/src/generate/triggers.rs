//! Faults that follow what is seen: "stop it 12 ms after it was elected".
//!
//! Windows between two messages open at no fixed moment, so a schedule by the clock hits them by luck alone. Something must happen to be
//! seen, though: a cluster that is left alone elects once. So drawn plans of this kind first [`shake`] the leader.

use std::time::Duration;

use chaos_history::FaultKind;
use chaos_plan::{
    Condition, Fault, KillSignal, LeaderChange, Partition, Phase, Step, StepAction, System, Target, TermMark, Workload,
};

use super::faults::{self, Class};
use crate::draw::Draws;
use crate::tree::{exactly, fault_for, step, wait};

/// How long drawn plans wait for what sets a fault off.
const WITHIN: Duration = Duration::from_secs(5);

/// A branch that dethrones the leader again and again, if the world can; mostly.
pub(super) fn shake(classes: &[Class], horizon: u64, draws: &mut Draws) -> Option<Vec<Step>> {
    let mut shapes: Vec<Fault> = Vec::new();
    for class in classes {
        match class.kind() {
            FaultKind::Kill => {
                shapes.push(Fault::Kill { target: Target::Leader, process: None, signal: KillSignal::KILL });
            }
            FaultKind::Pause => shapes.push(Fault::Pause { target: Target::Leader, process: None }),
            FaultKind::Partition if *class == Class::Isolate => {
                shapes.push(Fault::partition(Partition::Isolate(Target::Leader)));
            }
            FaultKind::Partition
            | FaultKind::FreezeHost
            | FaultKind::Link
            | FaultKind::CrashLoop
            | FaultKind::Slow
            | FaultKind::Starve
            | FaultKind::Limit
            | FaultKind::Clock
            | FaultKind::Disk
            | FaultKind::PowerLoss
            | FaultKind::CorruptFile
            | FaultKind::Transfer
            | FaultKind::RemoveMember => {}
        }
    }
    if shapes.is_empty() || draws.percent(15) {
        return None;
    }
    let fault = draws.one_of(&shapes);
    let (lasting, pause) = (draws.millis(200, 900), draws.millis(100, 900));
    let round = u64::try_from((lasting + pause).as_millis()).unwrap_or(1).max(1);
    let times = u32::try_from((horizon / round).clamp(1, 6)).unwrap_or(1);
    let steps = vec![fault_for(fault, lasting), wait(pause)];
    Some(vec![wait(draws.millis(1, 300)), repeat(times, steps)])
}

/// A branch of one fault that something sets off, once or several times.
pub(super) fn branch(class: Class, workload: &Workload, horizon: u64, draws: &mut Draws) -> Vec<Step> {
    let condition = condition(workload, draws);
    let mut fault = faults::timed(class, workload.nodes, draws);
    if condition == Condition::VoteGranted
        && draws.percent(50)
        && let StepAction::Fault { fault: Fault::Kill { target, .. } | Fault::Pause { target, .. }, .. } =
            &mut fault.action
    {
        *target = Target::Voter;
    }
    let after = if draws.percent(30) { Duration::ZERO } else { draws.millis_by_magnitude(1, 300) };
    let mut list = Vec::new();
    if draws.percent(30) {
        list.push(wait(draws.millis(1, horizon)));
    }
    list.push(on(condition, after, vec![fault]));
    if draws.percent(50) { vec![repeat(draws.one_of(&[2, 3, 5]), list)] } else { list }
}

/// Something that this workload can show.
pub(crate) fn condition(workload: &Workload, draws: &mut Draws) -> Condition {
    let (votes, terms, lease) = match &workload.system {
        System::Raft(options) => (4, 1, u32::from(options.check_quorum || options.lease_reads)),
        System::Defined(defined) => match defined.definition.observers.first() {
            Some(observer) => {
                let (votes, terms) = (observer.voted_for.is_some(), observer.term.is_some());
                (4 * u32::from(votes && terms), u32::from(terms), u32::from(observer.lease_remaining.is_some()))
            }
            None => (0, 0, 0),
        },
    };
    draws.weighted(&[
        (5, Condition::Leader(LeaderChange::Elected)),
        (2, Condition::Leader(LeaderChange::Lost)),
        (1, Condition::Leader(LeaderChange::Another)),
        (votes, Condition::VoteGranted),
        (terms, Condition::Term(TermMark::Later(1))),
        (lease, Condition::LeaseBelow(Duration::from_millis(60))),
    ])
}

/// Steps that something sets off.
pub(crate) fn on(condition: Condition, after: Duration, mut steps: Vec<Step>) -> Step {
    if let Some(first) = steps.first_mut()
        && let StepAction::Fault { phase, .. } = &mut first.action
    {
        *phase = Phase::AtOnce;
    }
    step(StepAction::On { condition, after: exactly(after), within: WITHIN, steps })
}

fn repeat(times: u32, steps: Vec<Step>) -> Step {
    if times <= 1 && steps.len() == 1 {
        return steps.into_iter().next().expect("there is one");
    }
    step(StepAction::Repeat { times, until: None, steps })
}
