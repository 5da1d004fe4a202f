//! What only the whole plan shows: a heal before its partition, a plan longer than its limit, a hope that nothing can meet.
//!
//! Steps are judged in reading order. A loop's body counts as read once; of the choices of a `random` any may come first.

use std::collections::BTreeSet;
use std::time::Duration;

use chaos_history::FaultKind;

use crate::error::{Mistake, Mistakes};
use crate::model::{Awaited, Fault, Hold, Step, StepAction};
use crate::read::ReadPlan;
use crate::source::Place;

/// The kind of a fault, as histories and reports call it.
fn kind(fault: &Fault) -> FaultKind {
    match fault {
        Fault::Kill { .. } => FaultKind::Kill,
        Fault::Pause { .. } => FaultKind::Pause,
        Fault::Partition(_) => FaultKind::Partition,
    }
}

/// The kinds of fault that the steps can inject.
pub(crate) fn kinds(steps: &[Step]) -> BTreeSet<FaultKind> {
    let mut found = BTreeSet::new();
    for step in steps {
        match &step.action {
            StepAction::Fault { fault, .. } => {
                found.insert(kind(fault));
            }
            StepAction::Repeat { steps, .. } => found.extend(kinds(steps)),
            StepAction::Random { choices, .. } => {
                found.extend(choices.iter().flat_map(|choice| kinds(&choice.steps)));
            }
            StepAction::Restart { .. }
            | StepAction::Resume { .. }
            | StepAction::Heal
            | StepAction::Await { .. }
            | StepAction::Wait(_) => {}
        }
    }
    found
}

/// The time that the steps take at least.
pub(crate) fn shortest(steps: &[Step]) -> Duration {
    steps.iter().map(|step| shortest_step(&step.action)).fold(Duration::ZERO, Duration::saturating_add)
}

fn shortest_step(action: &StepAction) -> Duration {
    match action {
        StepAction::Fault { hold: Hold::For(range), .. } | StepAction::Wait(range) => range.min,
        StepAction::Await { what: Awaited::Stable(lasting), .. } => *lasting,
        StepAction::Repeat { times, steps } => shortest(steps).saturating_mul(*times),
        StepAction::Random { lasting, .. } => *lasting,
        StepAction::Fault { hold: Hold::Until(until), .. } => until.plus,
        StepAction::Fault { hold: Hold::Open, .. }
        | StepAction::Await { what: Awaited::Leader, .. }
        | StepAction::Restart { .. }
        | StepAction::Resume { .. }
        | StepAction::Heal => Duration::ZERO,
    }
}

/// What the plan has done so far with one kind of fault.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Past {
    /// Nothing.
    Never,
    /// Only faults that end by themselves.
    Timed,
    /// At least one that is still there.
    Open,
    /// All that were open are taken back.
    TakenBack,
}

#[derive(Clone, Copy)]
struct Pasts {
    kill: Past,
    pause: Past,
    partition: Past,
}

impl Pasts {
    fn of(&mut self, kind: FaultKind) -> &mut Past {
        match kind {
            FaultKind::Kill => &mut self.kill,
            FaultKind::Pause => &mut self.pause,
            FaultKind::Partition => &mut self.partition,
        }
    }
}

/// Notes every restart, resume and heal that has nothing to take back.
pub(crate) fn check(plan: &ReadPlan, mistakes: &mut Mistakes) {
    let mut pasts = Pasts { kill: Past::Never, pause: Past::Never, partition: Past::Never };
    Walk { places: &plan.places, mistakes }.steps(&plan.plan.steps, &mut pasts);
}

struct Walk<'a> {
    places: &'a [Place],
    mistakes: &'a mut Mistakes,
}

impl Walk<'_> {
    fn steps(&mut self, steps: &[Step], pasts: &mut Pasts) {
        for step in steps {
            match &step.action {
                StepAction::Fault { fault, hold } => {
                    let past = pasts.of(kind(fault));
                    match (hold, *past) {
                        (Hold::Open, _) => *past = Past::Open,
                        (Hold::For(_) | Hold::Until(_), Past::Never) => *past = Past::Timed,
                        (Hold::For(_) | Hold::Until(_), Past::Timed | Past::Open | Past::TakenBack) => {}
                    }
                }
                StepAction::Restart { target } => self.undo(step, FaultKind::Kill, target.is_none(), pasts),
                StepAction::Resume { target } => self.undo(step, FaultKind::Pause, target.is_none(), pasts),
                StepAction::Heal => self.undo(step, FaultKind::Partition, true, pasts),
                StepAction::Repeat { steps, .. } => self.steps(steps, pasts),
                StepAction::Random { choices, .. } => {
                    for kind in [FaultKind::Kill, FaultKind::Pause, FaultKind::Partition] {
                        if choices.iter().any(|choice| opens(&choice.steps, kind)) {
                            *pasts.of(kind) = Past::Open;
                        }
                    }
                    for choice in choices {
                        self.steps(&choice.steps, &mut pasts.clone());
                    }
                }
                StepAction::Await { .. } | StepAction::Wait(_) => {}
            }
        }
    }

    fn undo(&mut self, step: &Step, kind: FaultKind, all: bool, pasts: &mut Pasts) {
        let (verb, name, wrong) = match kind {
            FaultKind::Kill => ("restart", "kill", "nobody is down here"),
            FaultKind::Pause => ("resume", "pause", "nobody is paused here"),
            FaultKind::Partition => ("heal", "partition", "nothing is cut here"),
        };
        let past = pasts.of(kind);
        let why = match *past {
            Past::Open => {
                if all {
                    *past = Past::TakenBack;
                }
                return;
            }
            Past::Never => format!("no step before it is a {name}"),
            Past::Timed => format!("each {name} before it ends by itself, after its `for`"),
            Past::TakenBack => format!("an earlier {verb} has taken every {name} back"),
        };
        let place = self.places[step.number];
        self.mistakes.note(Mistake::at(place, format!("`{verb}` without its {name}: {wrong}")).label(why));
    }
}

/// Whether a step injects a fault of this kind that doesn't end by itself.
fn opens(steps: &[Step], wanted: FaultKind) -> bool {
    steps.iter().any(|step| match &step.action {
        StepAction::Fault { fault, hold: Hold::Open } => kind(fault) == wanted,
        StepAction::Repeat { steps, .. } => opens(steps, wanted),
        StepAction::Random { choices, .. } => choices.iter().any(|choice| opens(&choice.steps, wanted)),
        StepAction::Fault { hold: Hold::For(_) | Hold::Until(_), .. }
        | StepAction::Restart { .. }
        | StepAction::Resume { .. }
        | StepAction::Heal
        | StepAction::Await { .. }
        | StepAction::Wait(_) => false,
    })
}
