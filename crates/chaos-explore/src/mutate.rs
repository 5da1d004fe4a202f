//! Small changes of a plan: other times, other targets, one fault more or less, something seen in the place of a time.
//!
//! The search changes plans that were worth something, and amplification climbs by the same changes to the plan that fails most often. A
//! change may come to nothing that a plan could be; whoever asks for it has the result read back
//! ([`well_formed`](crate::tree::well_formed)).

use std::collections::BTreeSet;
use std::time::Duration;

use chaos_plan::{DurationRange, Fault, Hold, Step, StepAction, System, Workload, all_steps};

use crate::draw::Draws;
use crate::generate::{Space, environment, faults, retarget, triggers};
use crate::tree::{each_list, ends_at_once, exactly, fault_numbers, normal, step, wait, without};

/// A time in a plan that may be another one.
pub(crate) struct Knob<'a> {
    /// What it is.
    turn: Turn<'a>,
    /// The least that it may be.
    pub(crate) least: Duration,
}

enum Turn<'a> {
    Range(&'a mut DurationRange),
    Time(&'a mut Duration),
}

impl Knob<'_> {
    /// The longer end.
    pub(crate) fn get(&self) -> DurationRange {
        match &self.turn {
            Turn::Range(range) => **range,
            Turn::Time(time) => exactly(**time),
        }
    }

    /// Makes it just this long.
    pub(crate) fn set(&mut self, time: Duration) {
        let time = time.max(self.least);
        match &mut self.turn {
            Turn::Range(range) => **range = exactly(time),
            Turn::Time(own) => **own = time,
        }
    }
}

/// The times of a step's own.
fn knobs_of(action: &mut StepAction) -> Vec<Knob<'_>> {
    let least = Duration::from_millis(1);
    let range = |range, least| Knob { turn: Turn::Range(range), least };
    match action {
        StepAction::Wait(own) => vec![range(own, least)],
        StepAction::Fault { fault, hold: Hold::For(own), .. } if !ends_at_once(fault.kind()) => {
            let mut knobs = vec![range(own, least)];
            if let Fault::CrashLoop { up, down, .. } = fault {
                knobs.extend([range(up, least), range(down, least)]);
            } else if let Fault::Link { conditions, .. } = fault
                && !conditions.delay.is_zero()
            {
                knobs.push(Knob { turn: Turn::Time(&mut conditions.delay), least });
            }
            knobs
        }
        StepAction::Fault { hold: Hold::Until(until), .. } => {
            vec![Knob { turn: Turn::Time(&mut until.plus), least: Duration::ZERO }]
        }
        StepAction::On { after, .. } => vec![range(after, Duration::ZERO)],
        StepAction::Fault { hold: Hold::For(_) | Hold::Open, .. }
        | StepAction::Together { .. }
        | StepAction::Restart { .. }
        | StepAction::Resume { .. }
        | StepAction::Heal
        | StepAction::Await { .. }
        | StepAction::Repeat { .. }
        | StepAction::Random { .. } => Vec::new(),
    }
}

/// Calls `change` for every time of a plan, in reading order of their lists, with its number from 0. Returns how many there are.
pub(crate) fn each_knob(steps: &mut [Step], change: &mut dyn FnMut(usize, &mut Knob<'_>)) -> usize {
    fn walk(steps: &mut [Step], next: &mut usize, change: &mut dyn FnMut(usize, &mut Knob<'_>)) {
        for step in steps {
            for mut knob in knobs_of(&mut step.action) {
                change(*next, &mut knob);
                *next += 1;
            }
            for inner in step.action.nested_mut() {
                walk(inner, next, change);
            }
        }
    }
    let mut count = 0;
    walk(steps, &mut count, change);
    count
}

/// Makes one change of the plan or of what surrounds it.
pub(crate) fn change(workload: &mut Workload, space: &Space, draws: &mut Draws) {
    if workload.faults.steps.is_empty() {
        return add(workload, space, draws);
    }
    match draws.weighted(&[(8, 0), (3, 1), (3, 2), (2, 3), (2, 4), (3, 5), (2, 6), (2, 7)]) {
        0 => retime(workload, draws),
        1 => aim_elsewhere(workload, draws),
        2 => again_nearby(workload, draws),
        3 => remove_one(workload, draws),
        4 => add(workload, space, draws),
        5 => follow_what_is_seen(workload, draws),
        6 => repeat_more(workload, draws),
        _ => surround(workload, space, draws),
    }
}

/// Another time, near or far.
fn retime(workload: &mut Workload, draws: &mut Draws) {
    let count = each_knob(&mut workload.faults.steps, &mut |_, _| {});
    if count == 0 {
        return;
    }
    let (which, how) = (draws.index(count), draws.below(5));
    let (fresh, near) = (draws.millis_by_magnitude(1, 3_000), draws.millis_by_magnitude(1, 100));
    each_knob(&mut workload.faults.steps, &mut |number, knob| {
        if number == which {
            let now = knob.get().max;
            knob.set(whole_millis(match how {
                0 => fresh,
                1 => now / 2,
                2 => (now * 3 / 2).min(Duration::from_secs(10)),
                3 => now + near,
                _ => now.saturating_sub(near),
            }));
        }
    });
}

/// Rounded to milliseconds, up.
fn whole_millis(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

/// The time in so many digits, to the nearest.
pub(crate) fn rounded(time: Duration, digits: u32) -> Duration {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let mut unit = 1;
    while millis / unit >= 10_u64.pow(digits) {
        unit *= 10;
    }
    Duration::from_millis((millis + unit / 2) / unit * unit)
}

/// The number of one of the plan's faults.
fn one_fault(workload: &Workload, draws: &mut Draws) -> Option<usize> {
    let numbers = fault_numbers(&workload.faults.steps);
    (!numbers.is_empty()).then(|| draws.one_of(&numbers))
}

fn aim_elsewhere(workload: &mut Workload, draws: &mut Draws) {
    let nodes = workload.nodes;
    let Some(which) = one_fault(workload, draws) else { return };
    each_list(&mut workload.faults.steps, &mut |list| {
        for step in list.iter_mut().filter(|step| step.number == which) {
            if let StepAction::Fault { fault, .. } = &mut step.action {
                retarget(fault, nodes, draws);
            }
        }
    });
}

/// The same fault once more, soon after or at the same time.
fn again_nearby(workload: &mut Workload, draws: &mut Draws) {
    let Some(which) = one_fault(workload, draws) else { return };
    let pause = draws.millis_by_magnitude(1, 300);
    each_list(&mut workload.faults.steps, &mut |list| {
        let Some(at) = list.iter().position(|step| step.number == which) else { return };
        let mut copy = list[at].clone();
        if let StepAction::Fault { name, .. } = &mut copy.action {
            *name = None;
        }
        // Numbers are given anew; this one must not be found again.
        copy.number = usize::MAX;
        list.splice(at + 1..at + 1, [wait(pause), copy]);
    });
    *workload = normal(workload.clone());
}

fn remove_one(workload: &mut Workload, draws: &mut Draws) {
    let Some(which) = one_fault(workload, draws) else { return };
    workload.faults.steps = without(&workload.faults.steps, &BTreeSet::from([which]));
    *workload = normal(workload.clone());
}

/// A fault more, somewhere.
fn add(workload: &mut Workload, space: &Space, draws: &mut Draws) {
    let classes = space.classes(workload.nodes);
    if classes.is_empty() {
        return;
    }
    let class = draws.one_of(&classes);
    let fault = faults::timed(class, workload.nodes, draws);
    let before = wait(draws.millis_by_magnitude(1, 1_000));
    let lists = all_steps(&workload.faults.steps).iter().map(|step| step.action.nested().len()).sum::<usize>() + 1;
    let (which, mut next) = (draws.index(lists), 0);
    if workload.faults.steps.is_empty() {
        workload.faults.name = "changed".to_owned();
    }
    let mut add = Some([before, fault]);
    each_list(&mut workload.faults.steps, &mut |list| {
        if next == which
            && let Some(add) = add.take()
        {
            let at = draws.index(list.len() + 1);
            list.splice(at..at, add);
        }
        next += 1;
    });
    *workload = normal(workload.clone());
}

/// What began after a time begins after something was seen, or the other way round.
fn follow_what_is_seen(workload: &mut Workload, draws: &mut Draws) {
    let condition = triggers::condition(workload, draws);
    let after = if draws.percent(40) { Duration::ZERO } else { draws.millis_by_magnitude(1, 300) };
    let waits: Vec<usize> = all_steps(&workload.faults.steps)
        .into_iter()
        .filter(|step| matches!(step.action, StepAction::Wait(_) | StepAction::On { .. }))
        .map(|step| step.number)
        .collect();
    if waits.is_empty() {
        return;
    }
    let which = draws.one_of(&waits);
    each_list(&mut workload.faults.steps, &mut |list| {
        let Some(at) = list.iter().position(|step| step.number == which) else { return };
        if let StepAction::On { condition: own, after: own_after, .. } = &mut list[at].action {
            *own = condition;
            *own_after = exactly(after);
        } else if at + 1 < list.len() {
            // What follows in the list is set off by it.
            let steps = list.split_off(at + 1);
            list[at] = triggers::on(condition, after, steps);
        }
    });
    *workload = normal(workload.clone());
}

/// More rounds of a repetition; where there is none, rounds of everything.
fn repeat_more(workload: &mut Workload, draws: &mut Draws) {
    let times = draws.one_of(&[2, 3, 5, 8]);
    let mut changed = false;
    each_list(&mut workload.faults.steps, &mut |list| {
        for step in list.iter_mut() {
            if let StepAction::Repeat { times: own, .. } = &mut step.action
                && !changed
            {
                *own = times;
                changed = true;
            }
        }
    });
    if !changed {
        let awaits_first = matches!(workload.faults.steps.first(), Some(Step { action: StepAction::Await { .. }, .. }));
        let mut steps = workload.faults.steps.split_off(usize::from(awaits_first));
        steps.push(wait(draws.millis_by_magnitude(50, 800)));
        workload.faults.steps.push(step(StepAction::Repeat { times, until: None, steps }));
    }
    *workload = normal(workload.clone());
}

/// Other clients, or other options.
fn surround(workload: &mut Workload, space: &Space, draws: &mut Draws) {
    if let System::Raft(raft) = &mut workload.system
        && !space.own
        && draws.percent(30)
    {
        environment::options(raft, workload.nodes, draws);
        return;
    }
    for load in &mut workload.clients {
        environment::clients(load, space.own, draws);
    }
}

#[cfg(test)]
mod tests {
    use chaos_history::{FaultKind, Seed};

    use super::*;
    use crate::generate::draw;
    use crate::tree::well_formed;

    #[test]
    fn most_changes_are_plans_and_all_differ_from_what_was_changed() {
        let space = Space::of_reference(None, FaultKind::ALL.into_iter().collect());
        let (mut plans, mut same) = (0, 0);
        for number in 0..400 {
            let before = draw(&space, Seed(9), number, &[]).workload;
            let mut after = before.clone();
            change(&mut after, &space, &mut Draws::of(Seed(number), "change"));
            if let Some(after) = well_formed(after) {
                plans += 1;
                same += usize::from(after == before);
            }
        }
        assert!(plans > 340, "only {plans} of 400 changes are plans");
        assert!(same < 60, "{same} of {plans} changes changed nothing");
    }
}
