//! A world of rules in the place of a cluster: a plan becomes a timeline by simple reckoning, and a rule says what fails.
//!
//! Whoever takes the leader away has another one elected some 200 ms later; `on` waits for such a moment. That is all of it,
//! and enough to
//! know for each rule what the smallest failing plan is.

use std::time::Duration;

use chaos_explore::draw::Draws;
use chaos_explore::{Coverage, FaultSeen, Outcome, Trials, Violation};
use chaos_history::{FaultKind, RunNanos, Seed};
use chaos_plan::{Check, Hold, Step, StepAction, Target, Workload};

/// A fault of the timeline.
#[derive(Clone, Debug)]
pub(crate) struct Happening {
    pub(crate) step: usize,
    pub(crate) kind: FaultKind,
    pub(crate) at: u64,
    pub(crate) lasting: u64,
    pub(crate) at_leader: bool,
}

/// What a plan does when, in milliseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline {
    pub(crate) faults: Vec<Happening>,
    pub(crate) elections: Vec<u64>,
}

impl Timeline {
    /// The plan's timeline under a seed, which decides how long elections take.
    pub(crate) fn of(workload: &Workload, seed: Seed) -> Self {
        let mut timeline = Self { faults: Vec::new(), elections: vec![0] };
        // What is set off by elections makes elections.
        for _ in 0..4 {
            let mut faults = Vec::new();
            walk(&workload.faults.steps, 1, &timeline.elections, &mut faults);
            faults.sort_by_key(|fault| (fault.at, fault.step));
            faults.dedup_by_key(|fault| (fault.at, fault.step));
            let mut draws = Draws::of(seed, "elections");
            let dethroned = faults.iter().filter(|fault| fault.at_leader && fault.lasting >= 150);
            timeline.elections =
                std::iter::once(0).chain(dethroned.map(|fault| fault.at + draws.between(200, 240))).collect();
            timeline.faults = faults;
        }
        timeline
    }
}

/// A kind's place among all.
fn place(kind: FaultKind) -> u64 {
    let place = FaultKind::ALL.into_iter().position(|other| other == kind).expect("it is one of all");
    u64::try_from(place).expect("there are few")
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("plans are short")
}

/// Does the steps from a moment on; returns when they are over.
fn walk(steps: &[Step], mut now: u64, elections: &[u64], faults: &mut Vec<Happening>) -> u64 {
    for step in steps {
        now = match &step.action {
            StepAction::Fault { fault, hold, .. } => {
                let lasting = match hold {
                    Hold::For(range) => millis(range.max),
                    Hold::Until(until) => 250 + millis(until.plus),
                    Hold::Open => 0,
                };
                let at_leader = fault.targets().contains(&&Target::Leader);
                faults.push(Happening { step: step.number, kind: fault.kind(), at: now, lasting, at_leader });
                now + lasting
            }
            StepAction::On { after, within, steps, .. } => {
                let seen = elections.iter().find(|at| **at > now && **at <= now + millis(*within));
                seen.map_or(now + millis(*within), |at| walk(steps, at + millis(after.max), elections, faults))
            }
            StepAction::Together { branches, .. } => {
                branches.iter().map(|steps| walk(steps, now, elections, faults)).max().unwrap_or(now)
            }
            StepAction::Wait(range) => now + millis(range.max),
            StepAction::Repeat { times, steps, .. } => {
                (0..(*times).min(20)).fold(now, |now, _| walk(steps, now, elections, faults))
            }
            StepAction::Random { choices, .. } => {
                choices.iter().fold(now, |now, choice| walk(&choice.steps, now, elections, faults))
            }
            StepAction::Restart { .. } | StepAction::Resume { .. } | StepAction::Heal | StepAction::Await { .. } => now,
        };
    }
    now
}

/// When the violation was complete, if the rule finds one.
pub(crate) type Rule = Box<dyn Fn(&Workload, &Timeline, Seed) -> Option<u64> + Sync>;

/// A world of one rule.
pub(crate) struct Fake {
    pub(crate) rule: Rule,
}

impl Trials for Fake {
    fn run(&self, workload: &Workload, seed: Seed) -> Outcome {
        let timeline = Timeline::of(workload, seed);
        let at = |millis: u64| RunNanos(millis * 1_000_000);
        let violation = (self.rule)(workload, &timeline, seed).map(|instant| Violation {
            check: Check::Linearizable,
            sentence: "the rule says so".to_owned(),
            at: at(instant),
            active: Vec::new(),
        });
        let states = timeline.faults.windows(2).map(|two| 100 * place(two[0].kind) + place(two[1].kind)).collect();
        let faults = timeline.faults.iter().map(|fault| FaultSeen { step: fault.step, at: at(fault.at) }).collect();
        Outcome {
            violations: violation.into_iter().collect(),
            coverage: Coverage { states, ..Coverage::default() },
            faults,
            hash: Some(seed.0 ^ timeline.faults.iter().map(|fault| fault.at).sum::<u64>()),
            ..Outcome::default()
        }
    }
}

/// The leader is paused for more than 300 ms within a second of an election, and within 100 ms of that somebody is killed.
pub(crate) fn pause_and_kill(_: &Workload, timeline: &Timeline, _: Seed) -> Option<u64> {
    pairs(timeline).first().copied()
}

/// The moments at which both faults of [`pause_and_kill`] had begun.
pub(crate) fn pairs(timeline: &Timeline) -> Vec<u64> {
    let pauses =
        timeline.faults.iter().filter(|fault| fault.kind == FaultKind::Pause && fault.at_leader && fault.lasting > 300);
    let fresh = pauses.filter(|pause| timeline.elections.iter().any(|at| *at <= pause.at && pause.at < at + 1_000));
    let kills = || timeline.faults.iter().filter(|fault| fault.kind == FaultKind::Kill);
    fresh
        .flat_map(|pause| kills().filter(|kill| kill.at.abs_diff(pause.at) <= 100).map(|kill| kill.at.max(pause.at)))
        .collect()
}
