//! Making the plan itself smaller: fewer steps, plainer faults, shorter times, what is seen in the place of times.

use std::collections::BTreeSet;
use std::time::Duration;

use chaos_plan::{
    Condition, CutMode, Fault, LeaderChange, LinkConditions, Phase, Step, StepAction, Target, Workload, all_steps,
};

use super::Shrinker;
use crate::generate::triggers::on;
use crate::mutate::each_knob;
use crate::tree::{each_list, exactly, without};

/// Fewer and plainer steps.
pub(super) fn simplify(shrinker: &mut Shrinker<'_>) {
    let mut number = 0;
    while number < all_steps(&shrinker.best.workload.faults.steps).len() {
        // What has been taken away is followed by another step of the same number.
        if !take_away(shrinker, number) {
            unroll(shrinker, number);
            plainer(shrinker, number);
            number += 1;
        }
    }
    take_pairs_away(shrinker);
}

/// Tries the plan without this step, if it is not a fault: those are taken away together, before.
fn take_away(shrinker: &mut Shrinker<'_>, number: usize) -> bool {
    let steps = &shrinker.best.workload.faults.steps;
    if !is_frame(steps, number) {
        return false;
    }
    let steps = without_frame(steps, number);
    shrinker.try_with(|workload| workload.faults.steps = steps)
}

/// Whether there is such a step that is no fault.
fn is_frame(steps: &[Step], number: usize) -> bool {
    all_steps(steps).into_iter().any(|step| step.number == number && step.fault().is_none())
}

/// The steps without this one; what is inside of it stays.
fn without_frame(steps: &[Step], number: usize) -> Vec<Step> {
    let Some(step) = all_steps(steps).into_iter().find(|step| step.number == number) else { return steps.to_vec() };
    if step.action.nested().is_empty() {
        return without(steps, &BTreeSet::from([number]));
    }
    instead(steps, number, step.action.nested().into_iter().flatten().cloned().collect())
}

/// Takes two steps away that are no faults: of two conditions that each wait for the other's doing, neither can go alone.
fn take_pairs_away(shrinker: &mut Shrinker<'_>) {
    let mut tried = 0;
    let mut second = 1;
    while second < all_steps(&shrinker.best.workload.faults.steps).len() && tried < PAIRS_MAX {
        let mut taken = false;
        for first in 0..second {
            let steps = &shrinker.best.workload.faults.steps;
            if !is_frame(steps, first) || !is_frame(steps, second) {
                continue;
            }
            tried += 1;
            // Numbers stay as they are until the plan is put into its form again.
            let steps = without_frame(&without_frame(steps, second), first);
            if shrinker.try_with(|workload| workload.faults.steps = steps) {
                taken = true;
                break;
            }
        }
        if !taken {
            second += 1;
        }
    }
}

fn step_of(workload: &Workload, number: usize) -> Option<&Step> {
    all_steps(&workload.faults.steps).into_iter().find(|step| step.number == number)
}

/// The steps with others in the place of that of this number.
fn instead(steps: &[Step], number: usize, others: Vec<Step>) -> Vec<Step> {
    let mut steps = steps.to_vec();
    let mut others = Some(others);
    each_list(&mut steps, &mut |list| {
        if let Some(at) = list.iter().position(|step| step.number == number) {
            list.splice(at..=at, others.take().unwrap_or_default());
        }
    });
    steps
}

/// Fewer rounds.
fn unroll(shrinker: &mut Shrinker<'_>, number: usize) {
    loop {
        let Some(Step { action: StepAction::Repeat { times, .. }, .. }) = step_of(&shrinker.best.workload, number)
        else {
            return;
        };
        let fewer = [times / 2, times - 1].into_iter().filter(|fewer| *fewer >= 1 && fewer < times);
        let fewer: BTreeSet<u32> = fewer.collect();
        let taken = fewer.into_iter().any(|fewer| {
            shrinker.try_with(|workload| {
                each_action(&mut workload.faults.steps, number, &mut |action| {
                    if let StepAction::Repeat { times, until, .. } = action {
                        *times = fewer;
                        *until = None;
                    }
                });
            })
        });
        if !taken {
            return;
        }
    }
}

fn each_action(steps: &mut Vec<Step>, number: usize, change: &mut dyn FnMut(&mut StepAction)) {
    each_list(steps, &mut |list| {
        list.iter_mut().filter(|step| step.number == number).for_each(|step| change(&mut step.action));
    });
}

/// The fault in its plainest form.
fn plainer(shrinker: &mut Shrinker<'_>, number: usize) {
    let Some(fault) = step_of(&shrinker.best.workload, number).and_then(Step::fault).cloned() else { return };
    for plain in plainer_forms(&fault) {
        shrinker.try_with(|workload| {
            each_action(&mut workload.faults.steps, number, &mut |action| {
                if let StepAction::Fault { fault, name, .. } = action {
                    *fault = plain.clone();
                    *name = None;
                }
            });
        });
    }
    plainer_target(shrinker, number);
    // A drawn part of a heartbeat later is what a plan means that says nothing of it.
    shrinker.try_with(|workload| {
        each_action(&mut workload.faults.steps, number, &mut |action| {
            if let StepAction::Fault { phase, .. } = action {
                *phase = Phase::Drawn;
            }
        });
    });
}

fn plainer_forms(fault: &Fault) -> Vec<Fault> {
    match fault {
        Fault::Partition(shape, mode) if *mode != CutMode::default() => vec![Fault::partition(shape.clone())],
        Fault::Link { links, conditions } => {
            let delay_only = LinkConditions { delay: conditions.delay, ..LinkConditions::default() };
            let without_jitter = LinkConditions { jitter: None, ..*conditions };
            let without_loss = LinkConditions { loss: None, ..*conditions };
            [delay_only, without_jitter, without_loss]
                .into_iter()
                .filter(|plain| plain != conditions && *plain != LinkConditions::default())
                .map(|conditions| Fault::Link { links: links.clone(), conditions })
                .collect()
        }
        Fault::Kill { target, process: None, .. } => {
            vec![Fault::Kill { target: target.clone(), process: None, signal: chaos_plan::KillSignal::KILL }]
        }
        Fault::Partition(..)
        | Fault::Kill { .. }
        | Fault::Pause { .. }
        | Fault::FreezeHost { .. }
        | Fault::CrashLoop { .. }
        | Fault::PowerLoss { .. }
        | Fault::CorruptFile { .. }
        | Fault::Transfer { .. }
        | Fault::RemoveMember { .. }
        | Fault::Hinder { .. } => Vec::new(),
    }
}

/// What begins together, earlier together: two faults that must meet can't be moved one by one.
pub(super) fn earlier(shrinker: &mut Shrinker<'_>) {
    let togethers = |workload: &Workload| -> Vec<(usize, usize)> {
        let steps = all_steps(&workload.faults.steps);
        let togethers = steps.into_iter().filter_map(|step| match &step.action {
            StepAction::Together { branches, .. } => Some((step.number, branches.len())),
            StepAction::Fault { .. }
            | StepAction::On { .. }
            | StepAction::Restart { .. }
            | StepAction::Resume { .. }
            | StepAction::Heal
            | StepAction::Await { .. }
            | StepAction::Wait(_)
            | StepAction::Repeat { .. }
            | StepAction::Random { .. } => None,
        });
        togethers.collect()
    };
    for (number, count) in togethers(&shrinker.best.workload) {
        let pairs = (0..count).flat_map(|one| (one + 1..count).map(move |other| vec![one, other]));
        let groups: Vec<Vec<usize>> = std::iter::once((0..count).collect()).chain(pairs.take(PAIRS_MAX)).collect();
        for group in groups {
            for divisor in [1, 2] {
                // An earlier success may have taken the step's number away; then nothing comes of this.
                shrinker.try_with(|workload| begin_earlier(workload, number, &group, divisor));
            }
        }
    }
}

/// How many pairs are tried, of branches that are moved together and of steps that are taken away.
const PAIRS_MAX: usize = 28;

/// Takes as much from the waits with which these branches begin as the shortest of them has, or a part of it.
fn begin_earlier(workload: &mut Workload, number: usize, group: &[usize], divisor: u32) {
    each_action(&mut workload.faults.steps, number, &mut |action| {
        let StepAction::Together { branches, .. } = action else { return };
        let mut waits: Vec<&mut chaos_plan::DurationRange> = Vec::new();
        for (_, branch) in branches.iter_mut().enumerate().filter(|(index, _)| group.contains(index)) {
            if let Some(Step { action: StepAction::Wait(range), .. }) = branch.first_mut() {
                waits.push(range);
            }
        }
        let Some(least) = waits.iter().map(|range| range.min).min() else { return };
        let away = (least / divisor).saturating_sub(Duration::from_millis(1));
        for range in waits {
            *range = exactly(range.max - away);
        }
    });
}

/// Shorter and rounder times.
pub(super) fn shorten(shrinker: &mut Shrinker<'_>) {
    let count = each_knob(&mut shrinker.best.workload.faults.steps.clone(), &mut |_, _| {});
    for which in 0..count {
        halve(shrinker, which);
        round(shrinker, which);
    }
}

/// The time of this number, and the least that it may be.
fn knob(workload: &Workload, which: usize) -> Option<(Duration, Duration)> {
    let mut found = None;
    each_knob(&mut workload.faults.steps.clone(), &mut |number, knob| {
        if number == which {
            found = Some((knob.get().max, knob.least));
        }
    });
    found
}

fn set(shrinker: &mut Shrinker<'_>, which: usize, time: Duration) -> bool {
    shrinker.try_with(|workload| {
        each_knob(&mut workload.faults.steps, &mut |number, knob| {
            if number == which {
                knob.set(time);
            }
        });
    })
}

/// Half as long, as long as that fails.
fn halve(shrinker: &mut Shrinker<'_>, which: usize) {
    while let Some((time, least)) = knob(&shrinker.best.workload, which) {
        let half = Duration::from_millis(u64::try_from(time.as_millis() / 2).unwrap_or(u64::MAX)).max(least);
        if half >= time || !set(shrinker, which, half) {
            return;
        }
    }
}

/// A number that a person would have written: one digit if that fails too, else two.
fn round(shrinker: &mut Shrinker<'_>, which: usize) {
    let Some((time, _)) = knob(&shrinker.best.workload, which) else { return };
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    for digits in [1, 2] {
        let mut unit = 1;
        while millis / unit >= 10_u64.pow(digits) {
            unit *= 10;
        }
        let (down, up) = (millis / unit * unit, millis.div_ceil(unit) * unit);
        if down == millis && exactly(time).min == Duration::from_millis(millis) {
            return;
        }
        if [down, up].into_iter().any(|millis| set(shrinker, which, Duration::from_millis(millis))) {
            return;
        }
    }
}

/// What follows a wait, set off by what may be seen then. A plan that says so means the same under another seed and in another world,
/// where "after 1,287 ms" means nothing.
pub(super) fn say_what_is_seen(shrinker: &mut Shrinker<'_>) {
    let conditions =
        [Condition::Leader(LeaderChange::Elected), Condition::VoteGranted, Condition::Leader(LeaderChange::Lost)];
    let waits = |workload: &Workload| -> Vec<usize> {
        let steps = all_steps(&workload.faults.steps);
        steps.iter().filter(|step| matches!(step.action, StepAction::Wait(_))).map(|step| step.number).collect()
    };
    let mut tried = 0;
    while let Some(number) = waits(&shrinker.best.workload).get(tried).copied() {
        let taken = conditions.into_iter().any(|condition| follow(shrinker, number, condition));
        tried += usize::from(!taken);
    }
}

/// The leader, or a follower, in the place of whoever else is meant: roles say the same under every seed, and one node less than several.
fn plainer_target(shrinker: &mut Shrinker<'_>, number: usize) {
    for role in [Target::Leader, Target::Follower] {
        shrinker.try_with(|workload| {
            each_action(&mut workload.faults.steps, number, &mut |action| {
                if let StepAction::Fault { fault, .. } = action {
                    aim(fault, &role);
                }
            });
        });
    }
}

fn aim(fault: &mut Fault, role: &Target) {
    if let Fault::Kill { target, .. }
    | Fault::Pause { target, .. }
    | Fault::FreezeHost { target }
    | Fault::CrashLoop { target, .. }
    | Fault::PowerLoss { target, .. }
    | Fault::Hinder { target, .. }
    | Fault::Partition(chaos_plan::Partition::Isolate(target) | chaos_plan::Partition::Bridge(target), _) = fault
        && *target != Target::Leader
    {
        *target = role.clone();
    }
}

/// The rest of the list, at once after the condition.
fn follow(shrinker: &mut Shrinker<'_>, number: usize, condition: Condition) -> bool {
    shrinker.try_with(|workload| {
        each_list(&mut workload.faults.steps, &mut |list| {
            let Some(at) = list.iter().position(|step| step.number == number) else { return };
            let steps = list.split_off(at + 1);
            if steps.is_empty() {
                return;
            }
            list.truncate(at);
            list.push(on(condition, Duration::ZERO, steps));
        });
    })
}
