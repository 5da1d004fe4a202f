//! One list of steps being done: a machine with an explicit stack that stands at one step and says until when it has nothing to do.
//!
//! Branches of a `together` are machines of their own under the one that came to it. They share what belongs to the plan
//! ([`Shared`]) and nothing else: a branch may take back another one's fault, which then ends early.
//!
//! What begins with others aims at the world as it was before the first of them (`Surroundings::fixed`): pausing the leader and
//! cutting off a follower at the same moment are both about the leader that there was. Draws of later branches still avoid whom
//! earlier ones hit.

mod faulting;
mod steps;
mod together;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chaos_history::{FaultId, NodeId, RunNanos, Seed, SourcePlace};
use chaos_plan::{Awaited, Choice, Condition, DurationRange, Fault, Phase, Step, Stop, Until};

use crate::estimate::Gauge;
use crate::faults::FaultsUnderWay;
use crate::in_words;
use crate::random::{self, Stream};
use crate::view::{ClusterView, Leader};
use crate::watch::Watch;
use crate::world::Command;

/// For how long a fault waits for a leader to aim at.
pub(crate) const TARGET_WITHIN: Duration = Duration::from_secs(10);
/// For how long the plan waits for the world's answer to a fault command.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The shortest pause of a random step.
pub(crate) const BREATH: Duration = Duration::from_millis(1);
/// How many steps may follow each other without time passing; then the machine takes a breath, so that a plan that only
/// counts can't keep the engine from its other work.
pub(crate) const STEPS_WITHOUT_TIME_MAX: usize = 1_000;

/// Whom a majority names, and whether it works, at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaders {
    named: Option<Leader>,
    working: Option<Leader>,
}

/// What the machines work on, lent for one turn.
pub(crate) struct Surroundings<'a> {
    pub(crate) now: RunNanos,
    pub(crate) view: &'a mut ClusterView,
    pub(crate) faults: &'a mut FaultsUnderWay,
    /// How many operations have been acknowledged so far.
    pub(crate) acknowledged: u64,
    /// The leaders at whom everything aims that begins now; `None`: those that the view has.
    pub(crate) fixed: Option<Leaders>,
    pub(crate) out: &'a mut Vec<Command>,
}

impl Surroundings<'_> {
    fn leaders(&self) -> Leaders {
        let seen =
            || Leaders { named: self.view.majority_leader(self.now), working: self.view.working_leader(self.now) };
        self.fixed.unwrap_or_else(seen)
    }

    fn watch(&self, condition: Condition) -> Watch {
        Watch::new(condition, self.view.tidings(), self.acknowledged)
    }

    fn has_seen(&self, watch: &Watch) -> bool {
        watch.is_seen(self.view.tidings(), self.acknowledged)
    }

    fn remark(&mut self, text: String) {
        self.out.push(Command::Remark(text));
    }
}

/// What belongs to the whole plan.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    seed: Seed,
    heartbeat: Duration,
    streams: BTreeMap<usize, Stream>,
    /// Whom the steps have hit that have a name.
    named: BTreeMap<String, Vec<NodeId>>,
    /// The weights of each swarm's choices, by the number of its step: those that take no part have none.
    swarms: BTreeMap<usize, Vec<u32>>,
    pub(crate) faults_done: u32,
}

impl Shared {
    /// Of a plan of which nothing has been done.
    pub(crate) fn new(seed: Seed, heartbeat: Duration) -> Self {
        Self {
            seed,
            heartbeat,
            streams: BTreeMap::new(),
            named: BTreeMap::new(),
            swarms: BTreeMap::new(),
            faults_done: 0,
        }
    }

    fn stream(&mut self, number: usize) -> &mut Stream {
        self.names_and_stream(number).1
    }

    /// The names, and the stream of a step.
    fn names_and_stream(&mut self, number: usize) -> (&BTreeMap<String, Vec<NodeId>>, &mut Stream) {
        let seed = self.seed;
        let new = || random::stream(seed, &format!("step {number}"));
        (&self.named, self.streams.entry(number).or_insert_with(new))
    }
}

/// The rounds of a repetition, from 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    index: u32,
    of: u32,
}

/// A repetition: where it is, and what ends it.
#[derive(Clone, Debug)]
struct Repeating {
    round: Round,
    stop: Option<Stopping>,
}

/// What ends a repetition early.
#[derive(Clone, Debug)]
struct Stopping {
    stop: Stop,
    watch: Watch,
    until: Option<RunNanos>,
    place: SourcePlace,
}

/// A list of steps that is being done.
#[derive(Clone, Debug)]
enum Frame {
    Sequence {
        steps: Arc<[Step]>,
        next: usize,
        repeating: Option<Repeating>,
    },
    Random {
        number: usize,
        until: RunNanos,
        every: DurationRange,
        weights: Vec<u32>,
        choices: Arc<[Choice]>,
        paused: bool,
    },
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
    phase: Phase,
    name: Option<String>,
    /// When it stops waiting for a leader.
    give_up: RunNanos,
}

/// A step whose branches begin at one moment.
#[derive(Clone, Debug)]
struct TogetherStep {
    number: usize,
    phase: Phase,
    branches: Vec<Vec<Step>>,
    /// When it stops waiting for a leader.
    give_up: RunNanos,
}

/// A step that something sets off.
#[derive(Clone, Debug)]
struct OnStep {
    number: usize,
    place: SourcePlace,
    condition: Condition,
    after: DurationRange,
    within: Duration,
    steps: Vec<Step>,
}

/// Where the machine stands.
#[derive(Clone, Debug)]
enum Doing {
    Next,
    Watching { step: OnStep, watch: Watch, until: RunNanos },
    Aiming { step: FaultStep, at: RunNanos },
    WithoutTarget { step: FaultStep },
    Gathering { step: TogetherStep, at: RunNanos },
    WithoutLeader { step: TogetherStep },
    Together { branches: Vec<Machine> },
    Beginning { step: FaultStep, fault: FaultId, until: RunNanos },
    Enduring { step: FaultStep, fault: FaultId, condition: Until, since: RunNanos, until: RunNanos },
    Holding { step: FaultStep, fault: FaultId, until: RunNanos },
    Ending { label: String, faults: BTreeSet<FaultId>, of_fault_step: bool, until: RunNanos },
    Awaiting { what: Awaited, within: Duration, place: SourcePlace, until: RunNanos },
    Waiting { until: RunNanos },
    Ended,
}

/// Does one list of steps.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    stack: Vec<Frame>,
    doing: Doing,
    /// The round of the repetition around the whole list.
    around: Option<Round>,
    /// How far it is; only the plan's own machine is asked.
    gauge: Gauge,
}

impl Machine {
    /// Stands before the first of the steps.
    pub(crate) fn new(steps: Arc<[Step]>, around: Option<Round>) -> Self {
        Self {
            stack: vec![Frame::Sequence { steps, next: 0, repeating: None }],
            doing: Doing::Next,
            around,
            gauge: Gauge::default(),
        }
    }

    /// Stands before the first of the steps again.
    pub(crate) fn begin_again(&mut self, steps: Arc<[Step]>) {
        self.stack = vec![Frame::Sequence { steps, next: 0, repeating: None }];
        self.doing = Doing::Next;
    }

    /// How much of the estimated time of its steps is behind.
    pub(crate) fn done(&self, now: RunNanos) -> Duration {
        self.gauge.done(now)
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.doing, Doing::Ended)
    }

    /// Leaves the rest undone.
    pub(crate) fn stop(&mut self) {
        self.stack.clear();
        self.doing = Doing::Ended;
    }

    /// The round of the nearest repetition.
    fn round(&self) -> Option<Round> {
        let round = |frame: &Frame| match frame {
            Frame::Sequence { repeating, .. } => repeating.as_ref().map(|repeating| repeating.round),
            Frame::Random { .. } => None,
        };
        self.stack.iter().rev().find_map(round).or(self.around)
    }

    /// Until when there is nothing to do, if that depends on time alone.
    pub(crate) fn deadline(&self, view: &ClusterView) -> Option<RunNanos> {
        match &self.doing {
            Doing::Aiming { at, .. } | Doing::Gathering { at, .. } => Some(*at),
            Doing::WithoutTarget { step } => Some(step.give_up),
            Doing::WithoutLeader { step } => Some(step.give_up),
            Doing::Together { branches } => branches.iter().filter_map(|branch| branch.deadline(view)).min(),
            Doing::Awaiting { what: Awaited::Stable(time), until, .. } => {
                Some(view.stable_since().map_or(*until, |since| (since + *time).min(*until)))
            }
            Doing::Watching { until, .. }
            | Doing::Beginning { until, .. }
            | Doing::Enduring { until, .. }
            | Doing::Holding { until, .. }
            | Doing::Ending { until, .. }
            | Doing::Awaiting { what: Awaited::Leader, until, .. }
            | Doing::Waiting { until } => Some(*until),
            Doing::Next | Doing::Ended => None,
        }
    }

    /// What the machine waits for, for people; empty if for nothing.
    pub(crate) fn waiting_for(&self) -> String {
        match &self.doing {
            Doing::Next | Doing::Ended => String::new(),
            Doing::Watching { step, .. } => in_words::condition(step.condition),
            Doing::Aiming { step, .. } => format!("{} to {}", in_words::phase(step.phase), step.label),
            Doing::WithoutTarget { step } => format!("a leader, to {}", step.label),
            Doing::Gathering { step, .. } => {
                format!("{} to begin {} together", in_words::phase(step.phase), step.branches.len())
            }
            Doing::WithoutLeader { step } => format!("a leader, to begin {} together", step.branches.len()),
            Doing::Together { branches } => {
                let each = branches.iter().map(Self::waiting_for).filter(|waiting| !waiting.is_empty());
                each.collect::<Vec<_>>().join(", and ")
            }
            Doing::Beginning { step, .. } => format!("`{}` to take effect", step.label),
            Doing::Enduring { step, .. } => format!("another leader, to end `{}`", step.label),
            Doing::Holding { step, until, .. } => format!("`{}` to last until {until}", step.label),
            Doing::Ending { label, .. } => format!("`{label}` to be taken back"),
            Doing::Awaiting { what, .. } => in_words::awaited(*what),
            Doing::Waiting { until } => format!("time to pass until {until}"),
        }
    }

    /// Whether there is certainly no move: so it is at almost every event, and what is being done stays where it is.
    fn rests(&self, around: &Surroundings<'_>) -> bool {
        let now = around.now;
        match &self.doing {
            Doing::Ended => true,
            Doing::Waiting { until: at } | Doing::Aiming { at, .. } | Doing::Gathering { at, .. } => now < *at,
            Doing::Beginning { fault, until, .. } => now < *until && around.faults.is_beginning(*fault),
            Doing::Holding { fault, until, .. } => now < *until && around.faults.is_under_way(*fault),
            Doing::Next
            | Doing::Watching { .. }
            | Doing::WithoutTarget { .. }
            | Doing::WithoutLeader { .. }
            | Doing::Together { .. }
            | Doing::Enduring { .. }
            | Doing::Ending { .. }
            | Doing::Awaiting { .. } => false,
        }
    }

    /// One move, and whether there was one.
    pub(crate) fn go(&mut self, shared: &mut Shared, around: &mut Surroundings<'_>) -> bool {
        around.view.faults(around.faults);
        if self.rests(around) {
            return false;
        }
        let doing = std::mem::replace(&mut self.doing, Doing::Ended);
        let (doing, moved) = self.turn(doing, shared, around);
        self.doing = doing;
        moved
    }
}

fn at_place(place: &SourcePlace) -> String {
    format!("{}:{}", place.file, place.line)
}
