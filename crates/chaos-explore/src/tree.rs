//! Plans as trees that are cut and put together: what the drawing, changing and shrinking of plans have in common.
//!
//! Whatever these functions make, [`normal`] puts into the one form that a plan would be read in: steps are numbered in reading order, a
//! `together` has at least two branches, nothing is empty, what begins with others has no phase of its own. So a plan that is held in
//! memory is the plan that its file gives, draws and all: a step's number names its random stream.

use std::collections::BTreeSet;
use std::time::Duration;

use chaos_history::{FaultKind, SourcePlace};
use chaos_plan::{
    DurationRange, Fault, FaultPlan, Hold, Partition, Phase, Step, StepAction, Target, Workload, all_steps,
    load_source, resolved_yaml,
};

/// What places of drawn plans call their file.
pub(crate) const FILE: &str = "explore";

/// A step that is not numbered yet.
pub(crate) fn step(action: StepAction) -> Step {
    Step { number: 0, place: place(0), action }
}

/// Where a step stands that nobody has written: the line tells its number.
fn place(number: usize) -> SourcePlace {
    SourcePlace { file: FILE.to_owned(), line: number + 1, column: 1 }
}

/// The number of the step that stands there, in a workload in its [`normal`] form.
#[must_use]
pub fn step_at(place: &SourcePlace) -> Option<usize> {
    (place.file == FILE && place.line > 0).then(|| place.line - 1)
}

/// This long, without a draw.
pub(crate) fn exactly(time: Duration) -> DurationRange {
    DurationRange { min: time, max: time }
}

/// A wait.
pub(crate) fn wait(time: Duration) -> Step {
    step(StepAction::Wait(exactly(time)))
}

/// A fault that lasts this long, without a draw.
pub(crate) fn fault_for(fault: Fault, time: Duration) -> Step {
    let time = if ends_at_once(fault.kind()) { Duration::ZERO } else { time.max(Duration::from_millis(1)) };
    let hold = Hold::For(exactly(time));
    step(StepAction::Fault { fault, hold, phase: Phase::AtOnce, name: None })
}

/// Whether faults of this kind are over as soon as they are done.
pub(crate) fn ends_at_once(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::CorruptFile | FaultKind::Transfer)
}

/// Branches that begin together; one alone is a list of steps.
pub(crate) fn together(mut branches: Vec<Vec<Step>>) -> Vec<Step> {
    branches.retain(|branch| !branch.is_empty());
    match branches.len() {
        0 | 1 => branches.pop().unwrap_or_default(),
        _ => vec![step(StepAction::Together { phase: Phase::AtOnce, branches })],
    }
}

/// Replaces every step by what `change` makes of it, what is inside of it first.
pub(crate) fn rebuild(steps: Vec<Step>, change: &mut dyn FnMut(Step) -> Vec<Step>) -> Vec<Step> {
    let mut made = Vec::new();
    for mut step in steps {
        for inner in lists(&mut step.action) {
            *inner = rebuild(std::mem::take(inner), change);
        }
        made.extend(change(step));
    }
    made
}

/// The lists of steps inside of an action.
fn lists(action: &mut StepAction) -> Vec<&mut Vec<Step>> {
    match action {
        StepAction::On { steps, .. } | StepAction::Repeat { steps, .. } => vec![steps],
        StepAction::Together { branches, .. } => branches.iter_mut().collect(),
        StepAction::Random { choices, .. } => choices.iter_mut().map(|choice| &mut choice.steps).collect(),
        StepAction::Fault { .. }
        | StepAction::Restart { .. }
        | StepAction::Resume { .. }
        | StepAction::Heal
        | StepAction::Await { .. }
        | StepAction::Wait(_) => Vec::new(),
    }
}

/// Calls `change` for every list of steps of a plan, inner ones first.
pub(crate) fn each_list(steps: &mut Vec<Step>, change: &mut dyn FnMut(&mut Vec<Step>)) {
    for step in steps.iter_mut() {
        for inner in lists(&mut step.action) {
            each_list(inner, change);
        }
    }
    change(steps);
}

/// The steps without those of these numbers, and without what has become pointless: whoever waited for nothing else, and branches,
/// repetitions and conditions that set off nothing any more.
pub(crate) fn without(steps: &[Step], numbers: &BTreeSet<usize>) -> Vec<Step> {
    let mut left = rebuild(steps.to_vec(), &mut |mut step| {
        if numbers.contains(&step.number) {
            return Vec::new();
        }
        if let StepAction::Together { branches, .. } = &mut step.action {
            branches.retain(|branch| does_something(branch));
        }
        let had_faults = steps_of(steps, step.number).is_some_and(|inner| does_something(&inner));
        let has_faults = step.action.nested().into_iter().any(does_something);
        if had_faults && !has_faults { Vec::new() } else { vec![step] }
    });
    undo_something(&mut left);
    while left.last().is_some_and(|step| matches!(step.action, StepAction::Wait(_) | StepAction::Await { .. })) {
        left.pop();
    }
    left
}

/// All that is inside of the step of this number.
fn steps_of(steps: &[Step], number: usize) -> Option<Vec<Step>> {
    let step = all_steps(steps).into_iter().find(|step| step.number == number)?;
    Some(step.action.nested().into_iter().flatten().cloned().collect())
}

/// Whether the steps break something or mend it.
fn does_something(steps: &[Step]) -> bool {
    all_steps(steps).into_iter().any(|step| {
        matches!(
            step.action,
            StepAction::Fault { .. } | StepAction::Restart { .. } | StepAction::Resume { .. } | StepAction::Heal
        )
    })
}

/// Calls `change` for everybody at whom a fault aims.
pub(crate) fn each_target(fault: &mut Fault, change: &mut dyn FnMut(&mut Target)) {
    match fault {
        Fault::Kill { target, .. }
        | Fault::Pause { target, .. }
        | Fault::FreezeHost { target }
        | Fault::CrashLoop { target, .. }
        | Fault::PowerLoss { target, .. }
        | Fault::CorruptFile { target, .. }
        | Fault::RemoveMember { target }
        | Fault::Hinder { target, .. }
        | Fault::Transfer { to: Some(target) }
        | Fault::Partition(Partition::Isolate(target) | Partition::Bridge(target), _)
        | Fault::Partition(Partition::OneWay { from: target, to: None }, _) => change(target),
        Fault::Partition(Partition::OneWay { from, to: Some(to) }, _) => {
            change(from);
            change(to);
        }
        Fault::Partition(Partition::Groups(groups), _) => groups.iter_mut().for_each(change),
        Fault::Partition(Partition::Cut(links), _) | Fault::Link { links, .. } => {
            for link in links {
                change(&mut link.from);
                change(&mut link.to);
            }
        }
        Fault::Partition(Partition::Halves | Partition::MajoritiesRing, _) | Fault::Transfer { to: None } => {}
    }
}

/// The numbers of the steps that inject a fault, in reading order.
pub(crate) fn fault_numbers(steps: &[Step]) -> Vec<usize> {
    all_steps(steps).into_iter().filter(|step| step.fault().is_some()).map(|step| step.number).collect()
}

/// Puts a workload's plan into its normal form.
#[must_use]
pub fn normal(mut workload: Workload) -> Workload {
    let mut steps = tidy(std::mem::take(&mut workload.faults.steps));
    undo_something(&mut steps);
    begin_with_others(&mut steps, 0);
    number(&mut steps, &mut 0);
    if steps.is_empty() {
        // What a reader makes of `faults: none`.
        workload.faults = FaultPlan { name: "none".to_owned(), about: String::new(), steps };
    } else {
        workload.faults.steps = steps;
    }
    workload
}

/// Takes out what is empty, and joins waits that follow each other.
fn tidy(steps: Vec<Step>) -> Vec<Step> {
    let mut steps = rebuild(steps, &mut |mut step| match &mut step.action {
        StepAction::Together { branches, .. } => {
            branches.retain(|branch| !branch.is_empty());
            match branches.len() {
                0 | 1 => branches.pop().unwrap_or_default(),
                _ => vec![step],
            }
        }
        StepAction::Repeat { steps, .. } if steps.is_empty() => Vec::new(),
        StepAction::Random { choices, .. } => {
            choices.retain(|choice| !choice.steps.is_empty());
            if choices.is_empty() { Vec::new() } else { vec![step] }
        }
        StepAction::Repeat { .. }
        | StepAction::On { .. }
        | StepAction::Fault { .. }
        | StepAction::Restart { .. }
        | StepAction::Resume { .. }
        | StepAction::Heal
        | StepAction::Await { .. }
        | StepAction::Wait(_) => vec![step],
    });
    each_list(&mut steps, &mut |list| {
        list.dedup_by(|next, before| {
            let (StepAction::Wait(next), StepAction::Wait(before)) = (&next.action, &mut before.action) else {
                return false;
            };
            before.min += next.min;
            before.max += next.max;
            true
        });
    });
    steps
}

/// Takes out what would take back faults of which there are none that stay.
fn undo_something(steps: &mut Vec<Step>) {
    let open: BTreeSet<FaultKind> = all_steps(steps)
        .into_iter()
        .filter_map(|step| match &step.action {
            StepAction::Fault { fault, hold: Hold::Open, .. } => Some(fault.kind()),
            StepAction::Fault { hold: Hold::For(_) | Hold::Until(_), .. }
            | StepAction::On { .. }
            | StepAction::Together { .. }
            | StepAction::Restart { .. }
            | StepAction::Resume { .. }
            | StepAction::Heal
            | StepAction::Await { .. }
            | StepAction::Wait(_)
            | StepAction::Repeat { .. }
            | StepAction::Random { .. } => None,
        })
        .collect();
    each_list(steps, &mut |list| {
        list.retain(|step| match step.action {
            StepAction::Restart { .. } => open.contains(&FaultKind::Kill),
            StepAction::Resume { .. } => open.contains(&FaultKind::Pause),
            StepAction::Heal => open.contains(&FaultKind::Partition),
            StepAction::Fault { .. }
            | StepAction::On { .. }
            | StepAction::Together { .. }
            | StepAction::Await { .. }
            | StepAction::Wait(_)
            | StepAction::Repeat { .. }
            | StepAction::Random { .. } => true,
        });
    });
}

/// Takes the phase from what begins with something else, and the sweep from what is not repeated.
fn begin_with_others(steps: &mut [Step], repeats: usize) {
    for step in steps {
        if let StepAction::Fault { phase: phase @ Phase::Sweep, .. }
        | StepAction::Together { phase: phase @ Phase::Sweep, .. } = &mut step.action
            && repeats == 0
        {
            *phase = Phase::Drawn;
        }
        let inside = repeats + usize::from(matches!(step.action, StepAction::Repeat { .. }));
        let is_together = matches!(step.action, StepAction::Together { .. });
        let is_on = matches!(step.action, StepAction::On { .. });
        for inner in step.action.nested_mut() {
            begin_with_others(inner, inside);
            if let Some(first) = inner.first_mut()
                && let StepAction::Fault { phase, .. } | StepAction::Together { phase, .. } = &mut first.action
                && (is_together || is_on && *phase == Phase::Drawn)
            {
                *phase = Phase::AtOnce;
            }
        }
    }
}

/// Numbers the steps in reading order.
fn number(steps: &mut [Step], next: &mut usize) {
    for step in steps {
        step.number = *next;
        step.place = place(*next);
        *next += 1;
        step.action.nested_mut().into_iter().for_each(|steps| number(steps, next));
    }
}

/// The workload in its normal form, if a file could hold it: it reads back to itself, so that no check of the plan's reader is
/// missing here.
#[must_use]
pub fn well_formed(workload: Workload) -> Option<Workload> {
    let workload = normal(workload);
    let nothing = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let source = chaos_plan::Source { name: "plan.yaml".to_owned(), text: resolved_yaml(&workload) };
    let loaded = load_source(source, &[], &nothing).ok()?;
    (loaded.workload == workload).then_some(workload)
}

#[cfg(test)]
mod tests {
    use chaos_plan::load_source;

    use super::*;

    fn workload(steps: &str) -> Workload {
        let steps: String =
            steps.lines().map(|line| format!("    {}\n", line.trim_start_matches("        "))).collect();
        let text = format!("name: x\nsystem: raft\nnodes: 5\nfaults:\n  name: y\n  steps:\n{steps}");
        let nothing = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        let source = chaos_plan::Source { name: "x.yaml".to_owned(), text };
        normal(load_source(source, &[], &nothing).unwrap_or_else(|errors| panic!("{errors}")).workload)
    }

    fn verbs(steps: &[Step]) -> Vec<String> {
        all_steps(steps)
            .into_iter()
            .map(|step| match &step.action {
                StepAction::Fault { fault, .. } => fault.kind().name().to_owned(),
                StepAction::On { .. } => "on".to_owned(),
                StepAction::Together { .. } => "together".to_owned(),
                StepAction::Wait(range) => format!("wait {:?}", range.min),
                StepAction::Repeat { times, .. } => format!("repeat {times}"),
                StepAction::Await { .. } => "await".to_owned(),
                StepAction::Restart { .. } => "restart".to_owned(),
                StepAction::Resume { .. } => "resume".to_owned(),
                StepAction::Heal => "heal".to_owned(),
                StepAction::Random { .. } => "random".to_owned(),
            })
            .collect()
    }

    const PLAN: &str = "
        - await: leader
        - together:
            - steps: [wait: 1s, { kill: leader, for: 1s }]
            - steps: [wait: 2s, { pause: n2, for: 1s }]
        - on: { leader: elected }
          kill: leader
        - restart
        - await: { stable: 1s }";

    #[test]
    fn a_branch_that_does_nothing_any_more_is_gone_and_so_is_the_together() {
        let workload = workload(PLAN.trim_start_matches('\n'));
        let faults = fault_numbers(&workload.faults.steps);
        assert_eq!(faults.len(), 3);
        let left = without(&workload.faults.steps, &BTreeSet::from([faults[0]]));
        let left =
            normal(Workload { faults: FaultPlan { steps: left, ..workload.faults.clone() }, ..workload.clone() });
        assert_eq!(verbs(&left.faults.steps), ["await", "wait 2s", "pause", "on", "kill", "restart"]);
        assert!(well_formed(left).is_some());
    }

    #[test]
    fn an_undo_goes_with_what_it_undoes() {
        let workload = workload(PLAN.trim_start_matches('\n'));
        let faults = fault_numbers(&workload.faults.steps);
        let left = without(&workload.faults.steps, &BTreeSet::from([faults[2]]));
        let left = normal(Workload { faults: FaultPlan { steps: left, ..workload.faults.clone() }, ..workload });
        assert_eq!(verbs(&left.faults.steps), ["await", "together", "wait 1s", "kill", "wait 2s", "pause"]);
        assert!(well_formed(left).is_some());
    }

    #[test]
    fn nothing_left_is_what_a_reader_makes_of_no_faults() {
        let workload = workload(PLAN.trim_start_matches('\n'));
        let all: BTreeSet<usize> = fault_numbers(&workload.faults.steps).into_iter().collect();
        let left = without(&workload.faults.steps, &all);
        let left = well_formed(Workload { faults: FaultPlan { steps: left, ..workload.faults.clone() }, ..workload });
        assert!(left.is_some_and(|left| left.faults.steps.is_empty() && left.faults.name == "none"));
    }

    #[test]
    fn a_plan_that_no_file_could_hold_is_refused() {
        let mut workload = workload(PLAN.trim_start_matches('\n'));
        let nodes = vec![chaos_history::NodeId::new(9)];
        let fault = Fault::Pause { target: Target::Nodes(nodes), process: None };
        workload.faults.steps.push(fault_for(fault, Duration::from_secs(1)));
        assert!(well_formed(workload).is_none(), "there is no n9");
    }

    #[test]
    fn steps_tell_their_numbers_by_their_places() {
        let workload = workload(PLAN.trim_start_matches('\n'));
        for (number, step) in all_steps(&workload.faults.steps).into_iter().enumerate() {
            assert_eq!((step.number, step_at(&step.place)), (number, Some(number)));
        }
        assert_eq!(step_at(&SourcePlace { file: "x.yaml".to_owned(), line: 1, column: 1 }), None);
    }
}
