//! Runs a fault plan: a machine with an explicit stack that stands at one step and says until when it has nothing to do.
//!
//! What the steps mean here, where a reader of a plan might ask:
//! - Every fault begins after a delay drawn from one heartbeat, so that over many repeats faults hit every phase of it. Its
//!   `scheduled` stamp is the moment after that delay.
//! - A target is resolved at that moment. If it needs a leader and there is none, the step waits for one ([`TARGET_WITHIN`] in
//!   all), draws a delay again (or every such fault would come at one phase after an election), and is skipped with a remark
//!   when none comes.
//! - `for:` counts from the fault's confirmed effect. The plan goes on when the world has answered the fault's end.
//! - `until:` waits for a claim, made since that effect, of another node than the one that led when the fault was aimed, in a newer
//!   term. When none comes in time, that is remarked, and the fault ends as well.
//! - A fault without `for:` stays; the plan goes on when the world has answered its begin.
//! - A fault that could not be injected is remarked, undone and passed over.
//! - `restart` and `resume` of some of a fault's nodes relieve those; the fault ends when all are back. A node that ended by
//!   itself is a finding and is not started again.
//! - `await` that sees nothing in time is remarked, and the plan goes on: whether that is a violation is a checker's verdict.
//! - `random` draws a pause, then a choice, until its time is over; a choice that runs is finished.
//!
//! Every step draws from its own stream (`step <number>`), see [`crate::random`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chaos_history::{FaultId, FaultKind, RunNanos, Seed, SourcePlace};
use chaos_plan::{Awaited, Choice, DurationRange, Fault, FaultPlan, Hold, Step, StepAction, Target, Until};

use crate::estimate;
use crate::faults::{Aimed, FaultsUnderWay, Lift};
use crate::label;
use crate::partition;
use crate::random::{self, Stream};
use crate::target::{self, Unresolved};
use crate::view::ClusterView;
use crate::world::{self, Command, FaultChange};

/// For how long a fault waits for a leader to aim at.
pub(crate) const TARGET_WITHIN: Duration = Duration::from_secs(10);
/// For how long the plan waits for the world's answer to a fault command.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How many steps may follow each other without time passing; then the machine takes a breath, so that a plan that only
/// counts can't keep the engine from its other work.
const STEPS_WITHOUT_TIME_MAX: usize = 1_000;
/// That breath, and the shortest pause of a random step.
const BREATH: Duration = Duration::from_millis(1);

/// What the machine works on, lent for one turn.
pub(crate) struct Surroundings<'a> {
    pub(crate) now: RunNanos,
    pub(crate) view: &'a mut ClusterView,
    pub(crate) faults: &'a mut FaultsUnderWay,
    pub(crate) out: &'a mut Vec<Command>,
}

/// A list of steps that is being done.
#[derive(Clone, Debug)]
enum Frame {
    Sequence { steps: Arc<[Step]>, next: usize, rounds_left: u32 },
    Random { number: usize, until: RunNanos, every: DurationRange, choices: Arc<[Choice]>, paused: bool },
}

/// How long a fault is to last.
#[derive(Clone, Copy, Debug)]
enum Lasting {
    /// So long.
    Drawn(Duration),
    /// Until something is seen.
    Until(Until),
    /// It stays.
    Open,
}

/// A fault step with what was drawn for it.
#[derive(Clone, Debug)]
struct FaultStep {
    number: usize,
    place: SourcePlace,
    label: String,
    fault: Fault,
    lasting: Lasting,
    /// When it stops waiting for a leader.
    give_up: RunNanos,
}

/// Where the machine stands.
#[derive(Clone, Debug)]
enum Doing {
    Next,
    Aiming { step: FaultStep, at: RunNanos },
    WithoutTarget { step: FaultStep },
    Beginning { step: FaultStep, fault: FaultId, until: RunNanos },
    Enduring { step: FaultStep, fault: FaultId, condition: Until, since: RunNanos, until: RunNanos },
    Holding { step: FaultStep, fault: FaultId, until: RunNanos },
    Ending { label: String, faults: BTreeSet<FaultId>, of_fault_step: bool, until: RunNanos },
    Awaiting { what: Awaited, within: Duration, place: SourcePlace, until: RunNanos },
    Waiting { until: RunNanos },
    Ended,
}

/// The interpreter of one fault plan.
#[derive(Clone, Debug)]
pub(crate) struct Nemesis {
    seed: Seed,
    heartbeat: Duration,
    steps: Arc<[Step]>,
    streams: BTreeMap<usize, Stream>,
    stack: Vec<Frame>,
    doing: Doing,
    breath: Option<RunNanos>,
    faults_done: u32,
    gauge: estimate::Gauge,
}

impl Nemesis {
    /// Stands before the plan's first step.
    pub(crate) fn new(plan: &FaultPlan, seed: Seed, heartbeat: Duration) -> Self {
        let steps: Arc<[Step]> = plan.steps.clone().into();
        Self {
            seed,
            heartbeat,
            steps: Arc::clone(&steps),
            streams: BTreeMap::new(),
            stack: vec![Frame::Sequence { steps, next: 0, rounds_left: 0 }],
            doing: Doing::Next,
            breath: None,
            faults_done: 0,
            gauge: estimate::Gauge::default(),
        }
    }

    /// Whether no step is left.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.doing, Doing::Ended)
    }

    /// Stands before the plan's first step again, with streams that go on where they are. Whether there is a step at all.
    pub(crate) fn begin_again(&mut self) -> bool {
        self.stack = vec![Frame::Sequence { steps: Arc::clone(&self.steps), next: 0, rounds_left: 0 }];
        self.doing = Doing::Next;
        !self.steps.is_empty()
    }

    /// Leaves the rest of the plan undone. Faults under way stay: their owner lifts them.
    pub(crate) fn stop(&mut self) {
        self.stack.clear();
        self.doing = Doing::Ended;
        self.breath = None;
    }

    /// How many fault steps are over: ended, left open, or skipped.
    pub(crate) fn faults_done(&self) -> u32 {
        self.faults_done
    }

    /// How much of the plan's estimated time is behind.
    pub(crate) fn done(&self, now: RunNanos) -> Duration {
        self.gauge.done(now)
    }

    /// Until when there is nothing to do, if that depends on time alone.
    pub(crate) fn deadline(&self, view: &ClusterView) -> Option<RunNanos> {
        if self.breath.is_some() {
            return self.breath;
        }
        match &self.doing {
            Doing::Aiming { at, .. } => Some(*at),
            Doing::WithoutTarget { step } => Some(step.give_up),
            Doing::Awaiting { what: Awaited::Stable(time), until, .. } => {
                Some(view.stable_since().map_or(*until, |since| (since + *time).min(*until)))
            }
            Doing::Beginning { until, .. }
            | Doing::Enduring { until, .. }
            | Doing::Holding { until, .. }
            | Doing::Ending { until, .. }
            | Doing::Awaiting { what: Awaited::Leader, until, .. }
            | Doing::Waiting { until } => Some(*until),
            Doing::Next | Doing::Ended => None,
        }
    }

    /// What the plan waits for, for people.
    pub(crate) fn waiting_for(&self) -> String {
        match &self.doing {
            Doing::Next | Doing::Ended => String::new(),
            Doing::Aiming { step, .. } => format!("a random phase of the heartbeat to {}", step.label),
            Doing::WithoutTarget { step } => format!("a leader, to {}", step.label),
            Doing::Beginning { step, .. } => format!("`{}` to take effect", step.label),
            Doing::Enduring { step, .. } => format!("another leader, to end `{}`", step.label),
            Doing::Holding { step, until, .. } => format!("`{}` to last until {until}", step.label),
            Doing::Ending { label, .. } => format!("`{label}` to be taken back"),
            Doing::Awaiting { what, .. } => label::awaited(*what),
            Doing::Waiting { until } => format!("time to pass until {until}"),
        }
    }

    /// Does everything that is due.
    pub(crate) fn advance(&mut self, around: &mut Surroundings<'_>) {
        if self.breath.is_some_and(|until| around.now < until) {
            return;
        }
        self.breath = None;
        for _ in 0..STEPS_WITHOUT_TIME_MAX {
            around.view.faults(around.faults);
            let doing = std::mem::replace(&mut self.doing, Doing::Ended);
            let (doing, moved) = self.turn(doing, around);
            self.doing = doing;
            if !moved {
                return;
            }
        }
        self.breath = Some(around.now + BREATH);
    }

    /// One move, and whether there was one.
    fn turn(&mut self, doing: Doing, around: &mut Surroundings<'_>) -> (Doing, bool) {
        let now = around.now;
        match doing {
            Doing::Next => (self.next(around), true),
            Doing::Aiming { step, at } if now >= at => (self.inject(step, at, around), true),
            Doing::WithoutTarget { step } if around.view.working_leader(now).is_some() => (self.aim(step, now), true),
            Doing::WithoutTarget { step } if now >= step.give_up => {
                (self.skip(&step, Unresolved::NoLeader, around), true)
            }
            Doing::Beginning { step, fault, until } if !around.faults.is_beginning(fault) || now >= until => {
                (self.begun(step, fault, around), true)
            }
            Doing::Enduring { step, fault, condition, since, until } => {
                self.endure(step, fault, condition, (since, until), around)
            }
            Doing::Holding { step, fault, until } if now >= until => {
                around.faults.lift(fault, &Lift { scheduled: until, source: Some(step.place) }, around.out);
                (ending(step.label, BTreeSet::from([fault]), true, now), true)
            }
            Doing::Ending { faults, of_fault_step, label, until } => {
                let over = !faults.iter().any(|fault| around.faults.is_under_way(*fault));
                if !over && now < until {
                    return (Doing::Ending { faults, of_fault_step, label, until }, false);
                }
                if !over {
                    let waited = ANSWER_WITHIN.as_secs();
                    around
                        .out
                        .push(Command::Remark(format!("no answer within {waited}s that `{label}` was taken back")));
                }
                self.faults_done += u32::from(of_fault_step);
                (Doing::Next, true)
            }
            Doing::Awaiting { what, within, place, until } => {
                if is_seen(what, around) {
                    return (Doing::Next, true);
                }
                if now < until {
                    return (Doing::Awaiting { what, within, place, until }, false);
                }
                let (what, seen) = (label::awaited(what), around.view.seen(now));
                let at = at_place(&place);
                around.out.push(Command::Remark(format!("waited {within:?} in vain for {what} ({at}): {seen}")));
                (Doing::Next, true)
            }
            Doing::Waiting { until } if now >= until => (Doing::Next, true),
            waiting @ (Doing::Aiming { .. }
            | Doing::WithoutTarget { .. }
            | Doing::Beginning { .. }
            | Doing::Holding { .. }
            | Doing::Waiting { .. }
            | Doing::Ended) => (waiting, false),
        }
    }

    /// Takes the next step off the stack.
    fn next(&mut self, around: &mut Surroundings<'_>) -> Doing {
        let now = around.now;
        self.gauge.leave(self.stack.len());
        let depth = self.stack.len();
        match self.stack.last_mut() {
            None => Doing::Ended,
            Some(Frame::Sequence { steps, next, rounds_left }) => {
                if let Some(step) = steps.get(*next).cloned() {
                    *next += 1;
                    return self.start(step, depth, around);
                }
                if *rounds_left > 0 {
                    *rounds_left -= 1;
                    *next = 0;
                } else {
                    self.stack.pop();
                }
                Doing::Next
            }
            Some(Frame::Random { number, until, every, choices, paused }) => {
                let stream = self.streams.entry(*number).or_insert_with(|| step_stream(self.seed, *number));
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
                let weights: Vec<u32> = choices.iter().map(|choice| choice.weight).collect();
                let steps = choices[stream.weighted(&weights)].steps.clone().into();
                self.stack.push(Frame::Sequence { steps, next: 0, rounds_left: 0 });
                Doing::Next
            }
        }
    }

    fn stream(&mut self, number: usize) -> &mut Stream {
        self.streams.entry(number).or_insert_with(|| step_stream(self.seed, number))
    }

    /// Begins a step.
    fn start(&mut self, step: Step, depth: usize, around: &mut Surroundings<'_>) -> Doing {
        let now = around.now;
        let estimate = estimate::step(&step);
        match step.action {
            StepAction::Repeat { times, steps } => {
                if let Some(rounds_left) = times.checked_sub(1) {
                    self.stack.push(Frame::Sequence { steps: steps.into(), next: 0, rounds_left });
                }
                return Doing::Next;
            }
            StepAction::Random { .. }
            | StepAction::Fault { .. }
            | StepAction::Restart { .. }
            | StepAction::Resume { .. }
            | StepAction::Heal
            | StepAction::Await { .. }
            | StepAction::Wait(_) => self.gauge.enter(depth, estimate, now),
        }
        match step.action {
            StepAction::Fault { fault, hold } => {
                let lasting = match hold {
                    Hold::For(range) => Lasting::Drawn(self.stream(step.number).within(range)),
                    Hold::Until(until) => Lasting::Until(until),
                    Hold::Open => Lasting::Open,
                };
                let (label, give_up) = (label::fault(&fault), now + TARGET_WITHIN);
                self.aim(FaultStep { number: step.number, place: step.place, label, fault, lasting, give_up }, now)
            }
            StepAction::Restart { target } => {
                self.bring_back(FaultKind::Kill, target.as_ref(), step.number, step.place, around)
            }
            StepAction::Resume { target } => {
                self.bring_back(FaultKind::Pause, target.as_ref(), step.number, step.place, around)
            }
            StepAction::Heal => self.bring_back(FaultKind::Partition, None, step.number, step.place, around),
            StepAction::Await { what, within } => {
                Doing::Awaiting { what, within, place: step.place, until: now + within }
            }
            StepAction::Wait(range) => Doing::Waiting { until: now + self.stream(step.number).within(range) },
            StepAction::Random { lasting, every, choices } => {
                let (number, until) = (step.number, now + lasting);
                self.stack.push(Frame::Random { number, until, every, choices: choices.into(), paused: false });
                Doing::Next
            }
            StepAction::Repeat { .. } => unreachable!("a repeat is entered above"),
        }
    }

    /// Draws the phase of the heartbeat at which the fault is to begin.
    fn aim(&mut self, step: FaultStep, now: RunNanos) -> Doing {
        let heartbeat = self.heartbeat;
        let at = now + self.stream(step.number).below_duration(heartbeat);
        Doing::Aiming { step, at }
    }

    /// Resolves the fault and commands its begin.
    fn inject(&mut self, step: FaultStep, scheduled: RunNanos, around: &mut Surroundings<'_>) -> Doing {
        let now = around.now;
        match self.resolve(&step, scheduled, around) {
            Ok(aimed) => {
                let fault = around.faults.begin(aimed, around.out);
                Doing::Beginning { step, fault, until: now + ANSWER_WITHIN }
            }
            Err(Unresolved::NoLeader) if now < step.give_up => Doing::WithoutTarget { step },
            Err(unresolved) => self.skip(&step, unresolved, around),
        }
    }

    fn resolve(
        &mut self,
        step: &FaultStep,
        scheduled: RunNanos,
        around: &Surroundings<'_>,
    ) -> Result<Aimed, Unresolved> {
        let (view, now) = (&*around.view, around.now);
        let stream = self.stream(step.number);
        let none = BTreeSet::new();
        let (nodes, process, links, change) = match &step.fault {
            Fault::Kill { target, process, signal } => {
                let nodes = target::resolve(target, &none, view, now, stream)?;
                let nodes = target::still_to_kill(nodes, process.as_ref(), view)?;
                (nodes, process.clone(), Vec::new(), Some(FaultChange::Kill(*signal)))
            }
            Fault::Pause { target, process } => {
                let nodes = target::resolve(target, &none, view, now, stream)?;
                let nodes = target::still_to_pause(nodes, process.as_ref(), view)?;
                (nodes, process.clone(), Vec::new(), Some(FaultChange::Pause))
            }
            Fault::Partition(shape) => {
                let cut = partition::resolve(shape, view, now, stream)?;
                (cut.nodes, None, cut.links.into_iter().collect(), None)
            }
        };
        Ok(Aimed {
            kind: world::kind(&step.fault),
            label: step.label.clone(),
            nodes,
            process,
            links,
            change,
            leader: view.majority_leader(now),
            scheduled,
            source: Some(step.place.clone()),
        })
    }

    fn skip(&mut self, step: &FaultStep, unresolved: Unresolved, around: &mut Surroundings<'_>) -> Doing {
        let (label, at, reason) = (&step.label, at_place(&step.place), unresolved.reason());
        around.out.push(Command::Remark(format!("skipped `{label}` ({at}): {reason}")));
        self.faults_done += 1;
        Doing::Next
    }

    /// The world answered the begin, or didn't in time.
    fn begun(&mut self, step: FaultStep, fault: FaultId, around: &mut Surroundings<'_>) -> Doing {
        let now = around.now;
        if let Some(since) = around.faults.active_since(fault) {
            return match step.lasting {
                Lasting::Drawn(lasting) => Doing::Holding { step, fault, until: since + lasting },
                Lasting::Until(condition) => {
                    Doing::Enduring { step, fault, condition, since, until: since + condition.within }
                }
                Lasting::Open => {
                    self.faults_done += 1;
                    Doing::Next
                }
            };
        }
        if around.faults.is_beginning(fault) {
            let (label, waited) = (&step.label, ANSWER_WITHIN.as_secs());
            around.out.push(Command::Remark(format!("no answer within {waited}s that `{label}` took effect")));
            // It is taken back when the answer comes, or by force at the end of the run.
            around.faults.lift(fault, &Lift { scheduled: now, source: None }, around.out);
            self.faults_done += 1;
            return Doing::Next;
        }
        ending(step.label, BTreeSet::from([fault]), true, now)
    }

    /// Holds a fault until another node leads, or for as long as that may take.
    fn endure(
        &mut self,
        step: FaultStep,
        fault: FaultId,
        condition: Until,
        (since, until): (RunNanos, RunNanos),
        around: &mut Surroundings<'_>,
    ) -> (Doing, bool) {
        let now = around.now;
        if around.view.another_leads(around.faults.leader_before(fault), since) {
            return (Doing::Holding { step, fault, until: now + condition.plus }, true);
        }
        if now < until {
            return (Doing::Enduring { step, fault, condition, since, until }, false);
        }
        let (label, within, seen) = (&step.label, condition.within, around.view.seen(now));
        around.out.push(Command::Remark(format!("`{label}` lasted {within:?}, and nobody else led meanwhile: {seen}")));
        (Doing::Holding { step, fault, until: now }, true)
    }

    /// A restart, resume or heal.
    fn bring_back(
        &mut self,
        kind: FaultKind,
        whom: Option<&Target>,
        number: usize,
        place: SourcePlace,
        around: &mut Surroundings<'_>,
    ) -> Doing {
        let now = around.now;
        let verb = match kind {
            FaultKind::Kill => "restart",
            FaultKind::Pause => "resume",
            FaultKind::Partition => "heal",
        };
        let at = at_place(&place);
        let lift = Lift { scheduled: now, source: Some(place) };
        let commands_before = around.out.len();
        let faults = match whom {
            None => around.faults.lift_all(Some(kind), &lift, around.out),
            Some(whom) => {
                let held = around.faults.hit(kind);
                let nodes = target::among(whom, &held, around.view, self.stream(number));
                around.faults.bring_back(kind, &nodes, &lift, around.out)
            }
        };
        if faults.is_empty() && around.out.len() == commands_before {
            around.out.push(Command::Remark(format!("`{verb}` had nothing to take back ({at})")));
        }
        ending(verb.to_owned(), faults, false, now)
    }
}

fn step_stream(seed: Seed, number: usize) -> Stream {
    random::stream(seed, &format!("step {number}"))
}

fn ending(label: String, faults: BTreeSet<FaultId>, of_fault_step: bool, now: RunNanos) -> Doing {
    Doing::Ending { label, faults, of_fault_step, until: now + ANSWER_WITHIN }
}

fn is_seen(what: Awaited, around: &Surroundings<'_>) -> bool {
    match what {
        Awaited::Leader => around.view.awaited_leader(around.now).is_some(),
        Awaited::Stable(time) => around.view.stable_since().is_some_and(|since| around.now.since(since) >= time),
    }
}

fn at_place(place: &SourcePlace) -> String {
    format!("{}:{}", place.file, place.line)
}
