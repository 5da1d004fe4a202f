//! The steps in their order: loops, choices, waits, and what sets steps off.

use chaos_history::{FaultKind, RunNanos};
use chaos_plan::{Awaited, Choice, Hold, Phase, Step, StepAction, Stop};

use super::{
    ANSWER_WITHIN, BREATH, Doing, FaultStep, Frame, Lasting, Machine, OnStep, Repeating, Round, Shared, Stopping,
    Surroundings, TARGET_WITHIN, TogetherStep, at_place,
};
use crate::estimate;
use crate::in_words;
use crate::random::{self, Stream};
use crate::target::Unresolved;

impl Machine {
    /// One move, and whether there was one.
    pub(super) fn turn(&mut self, doing: Doing, shared: &mut Shared, around: &mut Surroundings<'_>) -> (Doing, bool) {
        let now = around.now;
        match doing {
            Doing::Next => (self.next(shared, around), true),
            Doing::Watching { step, watch, until } => {
                if around.has_seen(&watch) {
                    (self.set_off(step, shared, now), true)
                } else if now >= until {
                    (leave_out(&step, shared, around), true)
                } else {
                    (Doing::Watching { step, watch, until }, false)
                }
            }
            Doing::Aiming { step, at } if now >= at => (self.inject(step, at, shared, around), true),
            Doing::WithoutTarget { step } if around.leaders().working.is_some() => {
                (self.aim(step, shared, around), true)
            }
            Doing::WithoutTarget { step } if now >= step.give_up => {
                (Self::skip(&step, Unresolved::NoLeader, shared, around), true)
            }
            Doing::Gathering { step, at } if now >= at => (self.begin_together(step, shared, around), true),
            Doing::WithoutLeader { step } if around.leaders().working.is_some() || now >= step.give_up => {
                (self.gather(step, shared, around), true)
            }
            Doing::Together { branches } => Self::beside(branches, shared, around),
            Doing::Beginning { step, fault, until } if !around.faults.is_beginning(fault) || now >= until => {
                (Self::begun(step, fault, shared, around), true)
            }
            Doing::Enduring { step, fault, condition, since, until } => {
                Self::endure(step, fault, condition, (since, until), around)
            }
            Doing::Holding { step, fault, until } if now >= until || !around.faults.is_under_way(fault) => {
                (Self::take_back(step, fault, until, around), true)
            }
            Doing::Ending { faults, of_fault_step, label, until } => {
                let over = !faults.iter().any(|fault| around.faults.is_under_way(*fault));
                if !over && now < until {
                    return (Doing::Ending { faults, of_fault_step, label, until }, false);
                }
                if !over {
                    let waited = ANSWER_WITHIN.as_secs();
                    around.remark(format!("no answer within {waited}s that `{label}` was taken back"));
                }
                shared.faults_done += u32::from(of_fault_step);
                (Doing::Next, true)
            }
            Doing::Awaiting { what, within, place, until } => {
                if is_seen(what, around) {
                    return (Doing::Next, true);
                }
                if now < until {
                    return (Doing::Awaiting { what, within, place, until }, false);
                }
                let (what, seen, at) = (in_words::awaited(what), around.view.seen(now), at_place(&place));
                around.remark(format!("waited {within:?} in vain for {what} ({at}): {seen}"));
                (Doing::Next, true)
            }
            Doing::Waiting { until } if now >= until => (Doing::Next, true),
            waiting @ (Doing::Aiming { .. }
            | Doing::WithoutTarget { .. }
            | Doing::Gathering { .. }
            | Doing::WithoutLeader { .. }
            | Doing::Beginning { .. }
            | Doing::Holding { .. }
            | Doing::Waiting { .. }
            | Doing::Ended) => (waiting, false),
        }
    }

    /// Takes the next step off the stack.
    fn next(&mut self, shared: &mut Shared, around: &mut Surroundings<'_>) -> Doing {
        let now = around.now;
        let depth = self.stack.len();
        self.gauge.leave(depth);
        match self.stack.last_mut() {
            None => Doing::Ended,
            Some(Frame::Sequence { steps, next, repeating }) => {
                if let Some(step) = steps.get(*next).cloned() {
                    *next += 1;
                    return self.start(step, depth, shared, around);
                }
                if repeating.as_mut().is_some_and(|repeating| another_round(repeating, around)) {
                    *next = 0;
                } else {
                    self.stack.pop();
                }
                Doing::Next
            }
            Some(Frame::Random { number, until, every, weights, choices, paused }) => {
                let stream = shared.stream(*number);
                if !*paused {
                    *paused = true;
                    let pause = stream.within(*every).max(BREATH);
                    return Doing::Waiting { until: (now + pause).min(*until) };
                }
                *paused = false;
                if now >= *until || choices.is_empty() {
                    self.stack.pop();
                    return Doing::Next;
                }
                let steps = choices[stream.weighted(weights)].steps.clone().into();
                self.stack.push(Frame::Sequence { steps, next: 0, repeating: None });
                Doing::Next
            }
        }
    }

    /// Begins a step.
    fn start(&mut self, step: Step, depth: usize, shared: &mut Shared, around: &mut Surroundings<'_>) -> Doing {
        let now = around.now;
        let estimate = estimate::step(&step);
        let Step { number, place, action } = step;
        if let StepAction::Repeat { times, until, steps } = action {
            if times > 0 {
                let stop = until.map(|stop| Stopping {
                    watch: around.watch(stop.condition),
                    until: stop.within.map(|within| now + within),
                    stop,
                    place,
                });
                let repeating = Some(Repeating { round: Round { index: 0, of: times }, stop });
                self.stack.push(Frame::Sequence { steps: steps.into(), next: 0, repeating });
            }
            return Doing::Next;
        }
        self.gauge.enter(depth, estimate, now);
        match action {
            StepAction::Fault { fault, hold, phase, name } => {
                let lasting = match hold {
                    Hold::For(range) => Lasting::Drawn(shared.stream(number).within(range)),
                    Hold::Until(until) => Lasting::Until(until),
                    Hold::Open => Lasting::Open,
                };
                if let Some(name) = &name {
                    // What it hit the last time is nobody's business any more.
                    shared.named.remove(name);
                }
                // With others that begin right now, there is no waiting.
                let begins_now = around.fixed.is_some() && phase == Phase::AtOnce;
                let give_up = if begins_now { now } else { now + TARGET_WITHIN };
                let label = in_words::fault(&fault);
                self.aim(FaultStep { number, place, label, fault, lasting, phase, name, give_up }, shared, around)
            }
            StepAction::On { condition, after, within, steps } => {
                let watch = around.watch(condition);
                let step = OnStep { number, place, condition, after, within, steps };
                Doing::Watching { step, watch, until: now + within }
            }
            StepAction::Together { phase, branches } => {
                self.gather(TogetherStep { number, phase, branches, give_up: now + TARGET_WITHIN }, shared, around)
            }
            StepAction::Restart { target } => {
                Self::bring_back((FaultKind::Kill, "restart"), target.as_ref(), (number, place), shared, around)
            }
            StepAction::Resume { target } => {
                Self::bring_back((FaultKind::Pause, "resume"), target.as_ref(), (number, place), shared, around)
            }
            StepAction::Heal => Self::bring_back((FaultKind::Partition, "heal"), None, (number, place), shared, around),
            StepAction::Await { what, within } => Doing::Awaiting { what, within, place, until: now + within },
            StepAction::Wait(range) => Doing::Waiting { until: now + shared.stream(number).within(range) },
            StepAction::Random { lasting, every, swarm_millionths, choices } => {
                let weights = taking_part(number, swarm_millionths, &choices, &at_place(&place), shared, around);
                let until = now + lasting;
                let choices = choices.into();
                self.stack.push(Frame::Random { number, until, every, weights, choices, paused: false });
                Doing::Next
            }
            StepAction::Repeat { .. } => unreachable!("a repeat is entered above"),
        }
    }

    /// The time after an event passes, and then its steps are done.
    fn set_off(&mut self, step: OnStep, shared: &mut Shared, now: RunNanos) -> Doing {
        let OnStep { number, after, steps, .. } = step;
        self.stack.push(Frame::Sequence { steps: steps.into(), next: 0, repeating: None });
        if after.max.is_zero() {
            return Doing::Next;
        }
        Doing::Waiting { until: now + shared.stream(number).within(after) }
    }
}

/// What was waited for did not come: its steps are for another moment than any that comes now.
fn leave_out(step: &OnStep, shared: &mut Shared, around: &mut Surroundings<'_>) -> Doing {
    let (what, at, seen) = (in_words::condition(step.condition), at_place(&step.place), around.view.seen(around.now));
    let left_out = if step.steps.is_empty() { "" } else { ", so its steps are left out" };
    around.remark(format!("waited {:?} in vain for {what} ({at}){left_out}: {seen}", step.within));
    shared.faults_done += estimate::faults(&step.steps).unwrap_or(0);
    Doing::Next
}

/// Whether a repetition that is through a round begins another one.
fn another_round(repeating: &mut Repeating, around: &mut Surroundings<'_>) -> bool {
    let Repeating { round, stop } = repeating;
    let is_last = round.index + 1 >= round.of;
    if let Some(Stopping { stop: Stop { condition, within: _ }, watch, until, place }) = stop {
        if around.has_seen(watch) {
            return false;
        }
        if is_last || until.is_some_and(|until| around.now >= until) {
            let (rounds, what, at) = (round.index + 1, in_words::condition(*condition), at_place(place));
            around.remark(format!("{rounds} rounds passed without {what} ({at})"));
            return false;
        }
    }
    round.index += 1;
    !is_last
}

/// The weights of the choices that take part in this run. Drawn once, from a stream of their own.
fn taking_part(
    number: usize,
    swarm_millionths: Option<u32>,
    choices: &[Choice],
    at: &str,
    shared: &mut Shared,
    around: &mut Surroundings<'_>,
) -> Vec<u32> {
    let all: Vec<u32> = choices.iter().map(|choice| choice.weight).collect();
    let Some(share) = swarm_millionths else { return all };
    if let Some(weights) = shared.swarms.get(&number) {
        return weights.clone();
    }
    let mut stream: Stream = random::stream(shared.seed, &format!("step {number} swarm"));
    let mut weights = all.clone();
    for weight in &mut weights {
        if stream.below(1_000_000) >= u64::from(share) {
            *weight = 0;
        }
    }
    let least = stream.index(all.len().max(1));
    if weights.iter().all(|weight| *weight == 0)
        && let Some(weight) = weights.get_mut(least)
    {
        *weight = all[least];
    }
    let numbers: Vec<String> = (1..)
        .zip(&weights)
        .filter(|(_, weight)| **weight > 0)
        .map(|(number, _): (u32, _)| number.to_string())
        .collect();
    around.remark(format!("of {} choices of `random` ({at}) this run has {}", all.len(), numbers.join(", ")));
    shared.swarms.insert(number, weights.clone());
    weights
}

fn is_seen(what: Awaited, around: &Surroundings<'_>) -> bool {
    match what {
        Awaited::Leader => around.view.awaited_leader(around.now).is_some(),
        Awaited::Stable(time) => around.view.stable_since().is_some_and(|since| around.now.since(since) >= time),
    }
}
