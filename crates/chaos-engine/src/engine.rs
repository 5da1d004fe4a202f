//! The engine: the phases of a run, around the nemesis and the clients.
//!
//! ```text
//! starting ─▶ warm-up ─▶ faults ─▶ lifting ─▶ settling ─▶ draining (─▶ comparing) ─▶ final reads ─▶ done
//!    │      (load runs …………………………………………………………)                              ▲
//!    └ no leader in time ──────────────────────────────────────────────────────┤
//!           interrupted, at any time: lift every fault, wait 1 s at most ──────┘
//! ```
//!
//! A run that accompanies something ([`Engine::accompanying`]) has no end of its own: its plan is done again, or the load goes
//! on without faults, until it is concluded; then it lifts, settles and reads like any other.
//!
//! It owns no clock and no socket. What is due is done in the step that reaches its time, so after each step the deadline
//! lies in the future: an engine that asks to be called again at once is a bug, and asserted not to happen.

use std::time::Duration;

use chaos_history::{Mark, NodeId, RunNanos, Seed, Term};
use chaos_plan::{Check, System, Workload};

use crate::client::Numbers;
use crate::comparison::{self, Comparison};
use crate::estimate;
use crate::faults::{FaultsUnderWay, Lift};
use crate::final_reads::{self, FinalReads, ToRead};
use crate::load::Counts;
use crate::loads::Loads;
use crate::machine::{ANSWER_WITHIN, Surroundings};
use crate::nemesis::Nemesis;
use crate::progress::{NodeStatus, Phase, Progress};
use crate::view::ClusterView;
use crate::world::{Command, Event, Finished};

/// For how long the load runs before the first fault.
const WARM_UP: Duration = Duration::from_secs(1);
/// How long the load still runs after the time limit has ended the faults.
const SETTLE_AFTER_LIMIT: Duration = Duration::from_secs(1);
/// How much longer than its own deadlines the world may take to complete operations.
const GRACE: Duration = Duration::from_secs(1);
/// For how long an interrupted run waits for its faults to be taken back, and then again for its operations to end.
const INTERRUPT_WITHIN: Duration = Duration::from_secs(1);
/// For how long an interrupted run tries to read every key: without these reads nobody can tell whether a write was lost.
const READ_AFTER_INTERRUPT: Duration = Duration::from_secs(2);
/// The phase of the heartbeat is drawn from this where the system's heartbeat isn't known.
const HEARTBEAT_UNKNOWN: Duration = Duration::from_millis(100);
/// For how long nothing is broken between two rounds of a plan that is done again.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(500);
/// How often at most a step looks how much of the run is behind.
const GAUGE_EVERY: Duration = Duration::from_millis(10);
/// What starting, and then reading at the end, typically takes: for the estimate of progress.
const TYPICAL_EDGE: Duration = Duration::from_millis(500);

/// Where the run stands.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Starting {
        until: RunNanos,
    },
    WarmUp {
        until: RunNanos,
    },
    Faults,
    /// The plan is through, but what it accompanies goes on: its open faults are taken back first, and nothing else happens
    /// before `from`.
    BetweenRounds {
        from: RunNanos,
        until: RunNanos,
    },
    /// The plan is through and not done again; the load goes on.
    Accompanying,
    Lifting {
        until: RunNanos,
    },
    Settling {
        until: RunNanos,
    },
    Draining {
        until: RunNanos,
    },
    Comparing {
        until: RunNanos,
    },
    FinalReads {
        until: RunNanos,
    },
    Interrupted {
        until: RunNanos,
    },
    Done,
}

/// What a plan does when it is through while that which it accompanies goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounds {
    /// It is over; the load goes on.
    One,
    /// It begins again, from its first step, with new draws.
    Many,
}

/// What ends the fault plan.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Course {
    /// Its own last step, or the time limit.
    OwnEnd,
    /// [`Event::Conclude`] alone.
    Accompanies(Rounds),
    /// It came, for this reason.
    Concluded(String),
}

/// The nemesis and the clients of one run, without input or output: events in, commands out.
#[derive(Clone, Debug)]
pub struct Engine {
    seed: Seed,
    nodes: usize,
    plan_name: String,
    settle: Duration,
    limit_at: RunNanos,
    faults_total: Option<u32>,
    estimate_plan: Duration,

    now: RunNanos,
    stage: Stage,
    course: Course,
    ending: Finished,
    /// How much of the estimated time was behind at most, as of `gauged`.
    fraction: f64,
    gauged: RunNanos,
    /// Until when nothing has to be done, as of the last step.
    due: RunNanos,
    view: ClusterView,
    faults: FaultsUnderWay,
    nemesis: Nemesis,
    load: Loads,
    /// Whether replicas are to be compared.
    compares: bool,
    comparison: Option<Comparison>,
    final_reads: Option<FinalReads>,
    numbers: Numbers,
}

impl Engine {
    /// An engine for one run of the workload, which begins now. `seed` counts, not the workload's own.
    ///
    /// # Panics
    /// If the workload has no nodes; plans are validated.
    #[must_use]
    pub fn new(workload: &Workload, seed: Seed, now: RunNanos) -> Self {
        assert!(workload.nodes > 0, "a cluster has nodes");
        let heartbeat = match &workload.system {
            System::Raft(options) => NodeId::all(workload.nodes).map(|node| options.of_node(node).heartbeat).max(),
            System::Defined(defined) => {
                defined.timings(workload.nodes).into_iter().flatten().map(|timing| timing.heartbeat).max()
            }
        };
        let heartbeat = heartbeat.filter(|heartbeat| !heartbeat.is_zero()).unwrap_or(HEARTBEAT_UNKNOWN);
        let mut numbers = Numbers::default();
        let load = Loads::new(&workload.clients, workload.nodes, seed, &mut numbers);
        let this = Self {
            seed,
            nodes: workload.nodes,
            plan_name: workload.faults.name.clone(),
            settle: workload.settle,
            limit_at: now + workload.limit,
            faults_total: estimate::faults(&workload.faults.steps),
            estimate_plan: estimate::all(&workload.faults.steps),
            now,
            stage: Stage::Starting { until: now + workload.start_within.min(workload.limit) },
            course: Course::OwnEnd,
            ending: Finished::Completed,
            fraction: 0.0,
            gauged: now,
            due: now,
            view: ClusterView::new(workload.nodes, workload.observe.every, workload.system.testimony())
                .with_service(workload.system.service_nodes()),
            faults: FaultsUnderWay::default(),
            nemesis: Nemesis::new(&workload.faults, seed, heartbeat),
            load,
            compares: workload.checks.contains(&Check::ReplicasAgree),
            comparison: None,
            final_reads: None,
            numbers,
        };
        Self { due: this.next_due(), ..this }
    }

    /// The same for a run that accompanies something else and goes on until [`Event::Conclude`]: neither the plan's end nor the
    /// workload's limit ends it.
    #[must_use]
    pub fn accompanying(self, rounds: Rounds) -> Self {
        // How often the plan will be done, nobody knows.
        let faults_total = if rounds == Rounds::One { self.faults_total } else { None };
        Self { course: Course::Accompanies(rounds), limit_at: RunNanos(u64::MAX), faults_total, ..self }
    }

    /// Takes an event in, does everything that is due, and appends what the world is to do. A stamp that lies before an earlier
    /// one counts as that one: events of concurrent sources may arrive out of order. After [`Command::Finish`] nothing follows.
    pub fn step(&mut self, now: RunNanos, event: Event, out: &mut Vec<Command>) {
        self.take(now, &event, out);
    }

    /// [`Engine::step`] for whoever still needs the event.
    pub(crate) fn take(&mut self, now: RunNanos, event: &Event, out: &mut Vec<Command>) {
        if matches!(self.stage, Stage::Done) {
            return;
        }
        self.now = self.now.max(now);
        let now = self.now;
        match event {
            Event::Tick => {}
            Event::Observed(observation) => self.view.observed(observation),
            Event::Completed(completed) => {
                if !self.load.completed(completed, now, &mut self.numbers)
                    && let Some(reads) = &mut self.final_reads
                {
                    reads.completed(completed, now, &mut self.numbers);
                }
            }
            Event::Compared { node, outcome } => {
                if let Some(comparison) = &mut self.comparison {
                    comparison.answered(*node, outcome.as_ref(), now);
                }
            }
            Event::FaultDone(event) => self.faults.answered(event, now, out),
            Event::Node { node, life } => {
                self.view.node(*node, life);
                self.faults.node(*node, life, now, out);
            }
            Event::Interrupt { why } => self.interrupt(why.clone(), out),
            Event::Conclude { why } => {
                if let Course::Accompanies(_) = self.course {
                    self.course = Course::Concluded(why.clone());
                }
            }
        }
        self.view.faults(&self.faults);
        self.view.advance(now);
        while self.turn(out) {}
        self.faults.advance(now, out);
        self.load.advance(now, &mut self.numbers, out);
        if now.since(self.gauged) >= GAUGE_EVERY {
            self.gauged = now;
            self.fraction = self.fraction.max(self.estimated_fraction());
        }
        self.due = self.next_due();
        assert!(self.due > now, "nothing is due in {:?}, yet the engine asks to be called at once", self.stage);
    }

    /// Until when nothing has to be done unless something happens; after the end, never.
    #[must_use]
    pub fn deadline(&self) -> RunNanos {
        self.due
    }

    fn next_due(&self) -> RunNanos {
        let never = RunNanos(u64::MAX);
        let own = match self.stage {
            Stage::Done => return never,
            Stage::Accompanying => self.limit_at,
            Stage::BetweenRounds { from, until } => {
                if self.faults.is_empty() {
                    from
                } else {
                    until
                }
            }
            Stage::Starting { until }
            | Stage::Lifting { until }
            | Stage::Draining { until }
            | Stage::Interrupted { until } => until,
            Stage::WarmUp { until } => until.min(self.limit_at),
            Stage::Faults => self.nemesis.deadline(&self.view).map_or(self.limit_at, |at| at.min(self.limit_at)),
            Stage::Settling { until } if self.ending == Finished::Completed => until.min(self.limit_at),
            Stage::Settling { until } => until,
            Stage::Comparing { until } => {
                let round = self.comparison.as_ref().and_then(Comparison::deadline);
                round.map_or(until, |at| at.min(until))
            }
            Stage::FinalReads { until } => {
                let reads = self.final_reads.as_ref().and_then(|reads| reads.deadline(self.now));
                reads.map_or(until, |at| at.min(until))
            }
        };
        [self.load.deadline(), self.faults.deadline()].into_iter().flatten().fold(own, RunNanos::min)
    }

    /// One move from stage to stage, or none.
    fn turn(&mut self, out: &mut Vec<Command>) -> bool {
        let now = self.now;
        match self.stage {
            Stage::Starting { until } => self.start(until, out),
            Stage::WarmUp { .. } | Stage::Faults | Stage::BetweenRounds { .. } | Stage::Accompanying
                if matches!(self.course, Course::Concluded(_)) =>
            {
                self.lift(out)
            }
            Stage::WarmUp { .. } | Stage::Faults if now >= self.limit_at => {
                self.ending = Finished::LimitReached;
                out.push(Command::Remark("the time limit ends the fault plan".to_owned()));
                self.lift(out)
            }
            Stage::WarmUp { until } if now >= until => {
                out.push(Command::Mark(Mark::FaultsBegin, self.plan_name.clone()));
                self.becomes(Stage::Faults)
            }
            Stage::Faults => {
                let (view, faults, acknowledged) = (&mut self.view, &mut self.faults, self.load.counts().ok);
                self.nemesis.advance(&mut Surroundings { now, view, faults, acknowledged, fixed: None, out });
                self.nemesis.has_ended() && self.plan_is_through(out)
            }
            Stage::BetweenRounds { from, until } => self.next_round(from, until, out),
            Stage::Lifting { until } => self.settle(until, out),
            Stage::Settling { until } if now >= self.limit_at && self.ending == Finished::Completed => {
                self.ending = Finished::LimitReached;
                self.becomes(Stage::Settling { until: until.min(now + SETTLE_AFTER_LIMIT) })
            }
            Stage::Settling { until } if now >= until => {
                self.load.stop();
                let patience = if self.is_interrupted() { INTERRUPT_WITHIN } else { self.load.timeout() + GRACE };
                self.becomes(Stage::Draining { until: now + patience })
            }
            Stage::Draining { until } => self.drain(until, out),
            Stage::Comparing { until } => self.compare(until, out),
            Stage::FinalReads { until } => self.read(until, out),
            Stage::Interrupted { until } => {
                let reading = self.final_reads.as_ref().map_or(0, FinalReads::under_way);
                let over = self.faults.is_empty() && self.load.under_way() + reading == 0;
                if over || now >= until {
                    self.faults.force(&self.clean_up(), out);
                    self.finish(Finished::Interrupted, out);
                }
                false
            }
            Stage::WarmUp { .. } | Stage::Settling { .. } | Stage::Accompanying | Stage::Done => false,
        }
    }

    /// The plan's last step is done.
    fn plan_is_through(&mut self, out: &mut Vec<Command>) -> bool {
        match self.course {
            Course::OwnEnd | Course::Concluded(_) => self.lift(out),
            Course::Accompanies(_) => {
                let lift = self.clean_up();
                self.faults.lift_all(None, &lift, out);
                let (from, until) = (self.now + BETWEEN_ROUNDS, self.now + ANSWER_WITHIN);
                self.becomes(Stage::BetweenRounds { from, until })
            }
        }
    }

    /// The plan again, if it is to be done again and does anything at all.
    fn next_round(&mut self, from: RunNanos, until: RunNanos, out: &mut Vec<Command>) -> bool {
        if !self.all_taken_back(until, out) || self.now < from {
            return false;
        }
        if self.course == Course::Accompanies(Rounds::Many) && self.nemesis.begin_again() {
            return self.becomes(Stage::Faults);
        }
        self.becomes(Stage::Accompanying)
    }

    fn becomes(&mut self, stage: Stage) -> bool {
        self.stage = stage;
        true
    }

    /// The harness's own wish to take faults back.
    fn clean_up(&self) -> Lift {
        Lift { scheduled: self.now, source: None }
    }

    fn start(&mut self, until: RunNanos, out: &mut Vec<Command>) -> bool {
        if let Some((leader, term)) = self.view.awaited_leader(self.now) {
            out.push(Command::Mark(Mark::LoadBegin, self.view.led(leader, term)));
            self.load.begin(self.now);
            return self.becomes(Stage::WarmUp { until: self.now + WARM_UP });
        }
        if self.now >= until {
            let seen = self.view.seen(self.now);
            out.push(Command::Mark(Mark::Interrupted, format!("no majority named a leader in time: {seen}")));
            self.finish(Finished::NeverReady { seen }, out);
        }
        false
    }

    fn lift(&mut self, out: &mut Vec<Command>) -> bool {
        self.nemesis.stop();
        let lift = self.clean_up();
        self.faults.lift_all(None, &lift, out);
        self.becomes(Stage::Lifting { until: self.now + ANSWER_WITHIN })
    }

    fn settle(&mut self, until: RunNanos, out: &mut Vec<Command>) -> bool {
        if !self.all_taken_back(until, out) {
            return false;
        }
        let why = match &self.course {
            Course::Concluded(why) => why.clone(),
            Course::OwnEnd | Course::Accompanies(_) => String::new(),
        };
        out.push(Command::Mark(Mark::FaultsEnd, why));
        let settle = match self.ending {
            Finished::Interrupted => Duration::ZERO,
            Finished::LimitReached => self.settle.min(SETTLE_AFTER_LIMIT),
            Finished::Completed | Finished::NeverReady { .. } => self.settle,
        };
        self.becomes(Stage::Settling { until: self.now + settle })
    }

    /// Whether no fault is under way any more; what has not been answered by then is taken back by force.
    fn all_taken_back(&mut self, until: RunNanos, out: &mut Vec<Command>) -> bool {
        if self.faults.is_empty() {
            return true;
        }
        if self.now < until {
            return false;
        }
        let lift = self.clean_up();
        self.faults.force(&lift, out);
        let labels = self.faults.labels().join(", ");
        out.push(Command::Remark(format!("no answer that these were taken back: {labels}")));
        true
    }

    fn drain(&mut self, until: RunNanos, out: &mut Vec<Command>) -> bool {
        let left = self.load.under_way();
        if left > 0 {
            if self.now < until {
                return false;
            }
            out.push(Command::Remark(format!("{left} operations were never completed")));
        }
        let dropped = self.load.counts().dropped;
        if dropped > 0 {
            out.push(Command::Remark(format!(
                "{dropped} operations fell due but were never invoked: no client was free"
            )));
        }
        out.push(Command::Mark(Mark::LoadEnd, String::new()));
        if self.compares && !self.is_interrupted() {
            let until = self.now + comparison::WITHIN;
            self.comparison = Some(Comparison::new(self.nodes, self.now, until));
            return self.becomes(Stage::Comparing { until: until + GRACE });
        }
        self.begin_reading()
    }

    fn compare(&mut self, until: RunNanos, out: &mut Vec<Command>) -> bool {
        let comparison = self.comparison.as_mut().expect("the comparison is made as its stage begins");
        comparison.advance(self.now, out);
        if !comparison.is_over(self.now) && self.now < until {
            return false;
        }
        if comparison.is_impossible() {
            out.push(Command::Remark("the system can't be asked what its replicas hold".to_owned()));
        }
        self.begin_reading()
    }

    fn begin_reading(&mut self) -> bool {
        let first = self.view.working_leader(self.now).map_or(NodeId::new(1), |(leader, _)| leader);
        let objects = self.load.objects();
        let within = if self.is_interrupted() { READ_AFTER_INTERRUPT } else { final_reads::within(&objects) };
        let until = self.now + within;
        self.final_reads = Some(FinalReads::new(
            ToRead {
                objects,
                nodes: self.nodes,
                first,
                timeout: self.load.timeout().min(within),
                until,
                seed: self.seed,
            },
            &mut self.numbers,
        ));
        self.becomes(Stage::FinalReads { until: until + GRACE })
    }

    fn read(&mut self, until: RunNanos, out: &mut Vec<Command>) -> bool {
        let reads = self.final_reads.as_mut().expect("the reads are made as their stage begins");
        reads.advance(self.now, &mut self.numbers, out);
        if reads.is_over(self.now) || self.now >= until {
            out.extend(reads.unread_in_words().map(Command::Remark));
            if !self.is_interrupted() {
                out.push(Command::Mark(Mark::RunEnd, String::new()));
            }
            self.finish(self.ending.clone(), out);
        }
        false
    }

    fn is_interrupted(&self) -> bool {
        self.ending == Finished::Interrupted
    }

    fn interrupt(&mut self, why: String, out: &mut Vec<Command>) {
        if self.is_interrupted() {
            // Asked twice: no more waiting.
            self.stage = Stage::Interrupted { until: self.now };
            return;
        }
        self.ending = Finished::Interrupted;
        self.nemesis.stop();
        self.load.stop();
        let lift = self.clean_up();
        self.faults.lift_all(None, &lift, out);
        out.push(Command::Mark(Mark::Interrupted, why));
        let until = self.now + INTERRUPT_WITHIN;
        self.stage = match self.stage {
            // Nothing was written yet, so there is nothing to read.
            Stage::Starting { .. } | Stage::Interrupted { .. } | Stage::Done => Stage::Interrupted { until },
            Stage::WarmUp { .. }
            | Stage::Faults
            | Stage::BetweenRounds { .. }
            | Stage::Accompanying
            | Stage::Lifting { .. } => Stage::Lifting { until },
            Stage::Settling { .. } => Stage::Settling { until: self.now },
            // The reads have a limit of their own, and are what is left to learn.
            Stage::Comparing { .. } => Stage::Comparing { until: self.now },
            Stage::Draining { .. } | Stage::FinalReads { .. } => self.stage,
        };
    }

    fn finish(&mut self, finished: Finished, out: &mut Vec<Command>) {
        self.load.stop();
        self.stage = Stage::Done;
        out.push(Command::Finish(finished));
    }

    /// What a live view shows.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let (phase, waiting_for) = match self.stage {
            Stage::Starting { .. } => (Phase::Starting, "a majority that names a leader".to_owned()),
            Stage::WarmUp { .. } => (Phase::Load, "the warm-up to end".to_owned()),
            Stage::Faults => (Phase::Faults, self.nemesis.waiting_for()),
            Stage::BetweenRounds { .. } => (Phase::Faults, "the fault plan's next round".to_owned()),
            Stage::Accompanying => (Phase::Faults, "what the run accompanies".to_owned()),
            Stage::Lifting { .. } => {
                let phase = if self.is_interrupted() { Phase::Stopping } else { Phase::Faults };
                (phase, "the last faults to be taken back".to_owned())
            }
            Stage::Settling { until } => (Phase::Settling, format!("time to pass until {until}")),
            Stage::Draining { .. } => (Phase::Settling, format!("{} operations to end", self.load.under_way())),
            Stage::Comparing { .. } => (Phase::FinalReads, "all nodes to hold the same".to_owned()),
            Stage::FinalReads { .. } => {
                let unread = self.final_reads.as_ref().map_or(0, FinalReads::unread);
                (Phase::FinalReads, format!("{unread} final reads"))
            }
            Stage::Interrupted { .. } => (Phase::Stopping, "faults to be taken back".to_owned()),
            Stage::Done => (Phase::Done, String::new()),
        };
        let reads = self.final_reads.as_ref().map_or(Counts::default(), FinalReads::counts);
        Progress {
            phase,
            leader: self.view.majority_leader(self.now),
            faults_done: self.nemesis.faults_done(),
            faults_total: self.faults_total,
            active_faults: self.faults.labels(),
            operations: self.load.counts().plus(reads),
            operations_waiting: self.load.waiting(),
            waiting_for,
            fraction: self.fraction.max(self.estimated_fraction()),
        }
    }

    /// Whom a majority of all nodes names at the moment, and in which term.
    #[must_use]
    pub fn leader(&self) -> Option<(NodeId, Term)> {
        self.view.majority_leader(self.now)
    }

    /// What is known of each node at the moment, in their order.
    #[must_use]
    pub fn node_statuses(&self) -> Vec<NodeStatus> {
        self.view.all().map(|node| self.view.status(node, self.now)).collect()
    }

    /// How much of the estimated time is behind.
    fn estimated_fraction(&self) -> f64 {
        let left_of = |until: RunNanos, whole: Duration| whole.saturating_sub(until.since(self.now));
        let before_faults = TYPICAL_EDGE + WARM_UP;
        let before_settling = before_faults + self.estimate_plan;
        let behind = match self.stage {
            Stage::Starting { .. } => Duration::ZERO,
            Stage::WarmUp { until } => TYPICAL_EDGE + left_of(until, WARM_UP),
            Stage::Faults => before_faults + self.nemesis.done(self.now).min(self.estimate_plan),
            Stage::BetweenRounds { .. } | Stage::Accompanying | Stage::Lifting { .. } => before_settling,
            Stage::Settling { until } => before_settling + left_of(until, self.settle),
            Stage::Draining { .. } | Stage::Comparing { .. } | Stage::FinalReads { .. } => {
                before_settling + self.settle
            }
            Stage::Interrupted { .. } => return self.fraction,
            Stage::Done => return 1.0,
        };
        let whole = before_settling + self.settle + TYPICAL_EDGE;
        behind.as_secs_f64() / whole.as_secs_f64()
    }
}
