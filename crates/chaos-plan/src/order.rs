//! What only the whole plan shows: a heal before its partition, a plan longer than its limit, a hope that nothing can meet.
//!
//! Steps are judged in reading order. The steps of a loop or of an `on` count as read once; of the choices of a `random` and the
//! branches of a `together` any may come first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chaos_history::FaultKind;

use crate::control::all_steps;
use crate::error::{Mistake, Mistakes};
use crate::fault::{Fault, Hindrance, undone_by};
use crate::model::{Awaited, Hold, Step, StepAction};
use crate::parts::ClockFault;
use crate::read::ReadPlan;
use crate::source::Place;
use crate::wire::CutMode;

/// The kinds of fault that the steps can inject.
pub(crate) fn kinds(steps: &[Step]) -> BTreeSet<FaultKind> {
    all_steps(steps).into_iter().filter_map(Step::fault).map(Fault::kind).collect()
}

/// The time that the steps take at least.
#[must_use]
pub fn shortest(steps: &[Step]) -> Duration {
    steps.iter().map(|step| shortest_step(&step.action)).fold(Duration::ZERO, Duration::saturating_add)
}

fn shortest_step(action: &StepAction) -> Duration {
    match action {
        StepAction::Fault { hold: Hold::For(range), .. } | StepAction::Wait(range) => range.min,
        StepAction::Await { what: Awaited::Stable(lasting), .. } => *lasting,
        StepAction::Repeat { times, until: None, steps } => shortest(steps).saturating_mul(*times),
        // It may be seen in the first round.
        StepAction::Repeat { times: _, until: Some(_), steps } => shortest(steps),
        // It may be seen at once, or in vain.
        StepAction::On { after, within, steps, .. } => after.min.saturating_add(shortest(steps)).min(*within),
        StepAction::Together { branches, .. } => {
            branches.iter().map(|steps| shortest(steps)).max().unwrap_or(Duration::ZERO)
        }
        StepAction::Random { lasting, .. } => *lasting,
        StepAction::Fault { hold: Hold::Until(until), .. } => until.plus,
        StepAction::Fault { hold: Hold::Open, .. }
        | StepAction::Await { what: Awaited::Leader, .. }
        | StepAction::Restart { .. }
        | StepAction::Resume { .. }
        | StepAction::Heal => Duration::ZERO,
    }
}

/// Notes every fault that a filter which only cuts can't make.
pub(crate) fn check_filter(plan: &ReadPlan, mistakes: &mut Mistakes) {
    for (number, fault) in faults(&plan.plan.steps) {
        if fault.kind() == FaultKind::Link || fault.cut_mode() != CutMode::default() {
            let mistake = Mistake::at(plan.places[number], "`filter: iptables` only cuts, and loses packets");
            mistakes.note(mistake.label("this needs the filter `nftables`").help("leave `filter` out"));
        }
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

/// The past of each kind of which there is one.
#[derive(Clone, Default)]
struct Pasts(BTreeMap<FaultKind, Past>);

impl Pasts {
    fn of(&mut self, kind: FaultKind) -> &mut Past {
        self.0.entry(kind).or_insert(Past::Never)
    }
}

/// Notes every restart, resume and heal that has nothing to take back, and what a run can't have both of.
pub(crate) fn check(plan: &ReadPlan, mistakes: &mut Mistakes) {
    Walk { places: &plan.places, mistakes }.steps(&plan.plan.steps, &mut Pasts::default());
    agree(plan, mistakes);
}

/// Notes what is said in two ways of which a run has one: what clocks go at a rate, and which file system loses its power.
fn agree(plan: &ReadPlan, mistakes: &mut Mistakes) {
    let faults = faults(&plan.plan.steps);
    let rates = faults.iter().filter_map(|(number, fault)| {
        let Fault::Hinder { how: Hindrance::Clock(ClockFault::Rate { monotonic, .. }), .. } = fault else {
            return None;
        };
        Some((plan.places[*number], *monotonic))
    });
    same(rates, mistakes, |place| {
        Mistake::at(place, "rates of clocks with and without `monotonic`")
            .label("all rates of a plan are for the same clocks")
    });
    let file_systems = faults.iter().filter_map(|(number, fault)| {
        let Fault::PowerLoss { file_system, .. } = fault else { return None };
        Some((plan.places[*number], *file_system))
    });
    same(file_systems, mistakes, |place| {
        Mistake::at(place, "power losses of two kinds of `file-system`")
            .label("all power losses of a plan are of the same")
    });
}

/// Notes each that differs from the first.
fn same<T: PartialEq>(
    mut said: impl Iterator<Item = (Place, T)>,
    mistakes: &mut Mistakes,
    mistake: impl Fn(Place) -> Mistake,
) {
    let Some((first, wanted)) = said.next() else { return };
    for (place, _) in said.filter(|(_, other)| *other != wanted) {
        mistakes.note(mistake(place).also(first, "the first"));
    }
}

/// The faults with their steps' numbers, in reading order.
pub(crate) fn faults(steps: &[Step]) -> Vec<(usize, &Fault)> {
    all_steps(steps).into_iter().filter_map(|step| Some((step.number, step.fault()?))).collect()
}

struct Walk<'a> {
    places: &'a [Place],
    mistakes: &'a mut Mistakes,
}

impl Walk<'_> {
    fn steps(&mut self, steps: &[Step], pasts: &mut Pasts) {
        for step in steps {
            match &step.action {
                StepAction::Fault { fault, hold, .. } => {
                    let past = pasts.of(fault.kind());
                    match (hold, *past) {
                        (Hold::Open, _) => *past = Past::Open,
                        (Hold::For(_) | Hold::Until(_), Past::Never) => *past = Past::Timed,
                        (Hold::For(_) | Hold::Until(_), Past::Timed | Past::Open | Past::TakenBack) => {}
                    }
                }
                StepAction::Restart { target } => self.undo(step, FaultKind::Kill, target.is_none(), pasts),
                StepAction::Resume { target } => self.undo(step, FaultKind::Pause, target.is_none(), pasts),
                StepAction::Heal => self.undo(step, FaultKind::Partition, true, pasts),
                StepAction::Repeat { steps, .. } | StepAction::On { steps, .. } => self.steps(steps, pasts),
                StepAction::Random { .. } => self.in_any_order(&step.action.nested(), pasts),
                StepAction::Together { .. } => self.at_the_same_time(&step.action.nested(), pasts),
                StepAction::Await { .. } | StepAction::Wait(_) => {}
            }
        }
    }

    /// What one of the lists leaves open, any of them may find so.
    fn in_any_order(&mut self, lists: &[&[Step]], pasts: &mut Pasts) {
        left_open(lists, pasts);
        for steps in lists {
            self.steps(steps, &mut pasts.clone());
        }
    }

    /// A branch may take back whatever those beside it begin, be it about to end by itself.
    fn at_the_same_time(&mut self, branches: &[&[Step]], pasts: &mut Pasts) {
        for (index, steps) in branches.iter().enumerate() {
            let mut own = pasts.clone();
            let beside = branches.iter().enumerate().filter(|(other, _)| *other != index);
            for kind in beside.flat_map(|(_, steps)| kinds(steps)) {
                *own.of(kind) = Past::Open;
            }
            self.steps(steps, &mut own);
        }
        left_open(branches, pasts);
    }

    fn undo(&mut self, step: &Step, kind: FaultKind, all: bool, pasts: &mut Pasts) {
        let Some((verb, wrong)) = undone_by(kind) else { return };
        let name = kind.name();
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

/// Notes what one of the lists may leave open.
fn left_open(lists: &[&[Step]], pasts: &mut Pasts) {
    for kind in FaultKind::ALL {
        if lists.iter().any(|steps| opens(steps, kind)) {
            *pasts.of(kind) = Past::Open;
        }
    }
}

/// Whether a step injects a fault of this kind that doesn't end by itself.
fn opens(steps: &[Step], wanted: FaultKind) -> bool {
    all_steps(steps)
        .into_iter()
        .any(|step| matches!(&step.action, StepAction::Fault { fault, hold: Hold::Open, .. } if fault.kind() == wanted))
}
