//! The failovers of several runs of one system, kept apart by run.
//!
//! One run has too few failovers for a p99 and says nothing of how much runs differ; twenty have enough. But they are no
//! single sample: the failovers of one run share a host's mood, a first leader and a placement of processes. So a [`Pool`]
//! remembers which failover came from which run, and [`compare`](crate::compare) resamples runs before it resamples failovers.
//!
//! A failover that never came is a result. Left out, it would make a system that fails over rarely look fast. It is ranked
//! behind all that came: "worst-rank scores", Lachin, "Worst-rank score analysis with informatively missing observations in
//! clinical trials", Controlled Clinical Trials 20 (1999). Only what says nothing about the system (the run ended, no node could
//! reach a majority, no client asked) is left out.
//!
//! Refuses to judge: whether a run violated safety is told by its exit code, which the caller brings along.

use std::time::Duration;

use chaos_history::{FaultKind, Seed};
use chaos_plan::expect::Phase;
use serde::{Deserialize, Serialize};

use crate::analysis::{Failover, NotReached, PhaseOutcome, Phases, Why};
use crate::interval::nanos;

/// Runs of one system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// What was run.
    pub system: SystemFacts,
    /// The runs, in order.
    pub runs: Vec<PooledRun>,
}

/// What was run and where: that two pools can be compared at all, and what differs between them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemFacts {
    /// The workload's name.
    pub workload: String,
    /// The system under test.
    pub system: String,
    /// How many nodes.
    pub nodes: usize,
    /// The version of chaos, and the system's own where it is known.
    pub versions: Vec<Setting>,
    /// What is tuned: timeouts, options, the specimen.
    pub settings: Vec<Setting>,
    /// The machine.
    pub host: Vec<Setting>,
}

/// A name and its value, as people read them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// What.
    pub name: String,
    /// How much or which.
    pub value: String,
}

impl Setting {
    /// A setting.
    #[must_use]
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// One run of a pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PooledRun {
    /// Its seed.
    pub seed: Seed,
    /// How it ended: 0 pass, 1 a safety property is violated, 2 unknown, 3 an expectation was missed.
    pub exit_code: u8,
    /// Its failovers, in order of injection.
    pub failovers: Vec<PooledFailover>,
}

/// What a pool keeps of a failover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PooledFailover {
    /// The kind of fault.
    pub kind: FaultKind,
    /// t2 … t6.
    pub phases: Phases,
    /// Whether there was an election after the heal although a majority had a leader already; `None` without a heal.
    pub disturbed: Option<bool>,
    /// Whether the host stalled meanwhile.
    pub stalled: bool,
}

impl From<&Failover> for PooledFailover {
    fn from(failover: &Failover) -> Self {
        Self {
            kind: failover.kind,
            phases: failover.phases.clone(),
            disturbed: failover.aftermath.map(|aftermath| aftermath.elections > 0),
            stalled: failover.stalled,
        }
    }
}

impl PooledFailover {
    /// The phase that was not reached although nothing but the system stood in its way.
    fn never(&self, phase: Phase) -> Option<NotReached> {
        let telling = |missing: &NotReached| match missing.why {
            Why::FaultEnded | Why::NextFault | Why::NotElected => true,
            Why::RunEnded | Why::NoMajority | Why::NoClients | Why::NotTold => false,
        };
        // A later phase of a failover without an election is missing for the election's reason.
        match (&self.phases.elected, self.phases.get(phase)) {
            (_, PhaseOutcome::Reached(_)) => None,
            (PhaseOutcome::NotReached(elected), PhaseOutcome::NotReached(missing)) => {
                (telling(elected) && telling(missing)).then_some(*missing)
            }
            (PhaseOutcome::Reached(_), PhaseOutcome::NotReached(missing)) => telling(missing).then_some(*missing),
        }
    }
}

/// One phase of the failovers of one kind, by run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhaseSample {
    /// Per run the upper bounds of the time from t0, in nanoseconds, in order of injection. Runs without any are left out.
    pub runs: Vec<Vec<u64>>,
    /// How many of them never came, and stand at the worst rank.
    pub never: u64,
    /// The middle width of the samples' intervals: how far a quoted figure may lie above the truth.
    pub uncertainty: Duration,
}

impl PhaseSample {
    /// How many samples in all, those that never came included.
    #[must_use]
    pub fn n(&self) -> usize {
        self.runs.iter().map(Vec::len).sum()
    }
}

impl PooledRun {
    /// Whether it has a verdict, good or bad: exit code 0, 1, 3, or 4 (its wrapped command failed).
    #[must_use]
    pub fn judged(&self) -> bool {
        matches!(self.exit_code, 0 | 1 | 3 | 4)
    }
}

impl Pool {
    /// The kinds of fault that took a leader away, in order.
    #[must_use]
    pub fn kinds(&self) -> Vec<FaultKind> {
        let mut kinds: Vec<FaultKind> = self.failovers().map(|failover| failover.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// The failovers of all runs.
    pub fn failovers(&self) -> impl Iterator<Item = &PooledFailover> {
        self.runs.iter().flat_map(|run| &run.failovers)
    }

    /// One phase of the failovers of one kind; the outcomes that say nothing about the system are left out.
    #[must_use]
    pub fn sample(&self, kind: FaultKind, phase: Phase) -> PhaseSample {
        let of_kind = |run: &PooledRun| -> Vec<PooledFailover> {
            run.failovers.iter().filter(|failover| failover.kind == kind).cloned().collect()
        };
        let runs: Vec<Vec<PooledFailover>> = self.runs.iter().map(of_kind).collect();
        let reached = || runs.iter().flatten().filter_map(|failover| failover.phases.get(phase).reached());
        let mut widths: Vec<Duration> = reached().map(|reached| reached.after.hi - reached.after.lo).collect();
        widths.sort_unstable();
        let never = || runs.iter().flatten().filter_map(|failover| failover.never(phase));
        let slowest = reached().map(|reached| reached.after.hi).chain(never().map(|missing| missing.watched)).max();
        let worst = nanos(slowest.unwrap_or_default());
        let value = |failover: &PooledFailover| match failover.phases.get(phase) {
            PhaseOutcome::Reached(reached) => Some(nanos(reached.after.hi)),
            PhaseOutcome::NotReached(_) => failover.never(phase).map(|_| worst),
        };
        let by_run = runs.iter().map(|run| run.iter().filter_map(value).collect::<Vec<u64>>());
        PhaseSample {
            never: never().count() as u64,
            uncertainty: widths.get(widths.len() / 2).copied().unwrap_or_default(),
            runs: by_run.filter(|run| !run.is_empty()).collect(),
        }
    }

    /// Of the failovers of one kind that could elect somebody: how many never did, and how many there were.
    #[must_use]
    pub fn never_elected(&self, kind: FaultKind) -> (u64, u64) {
        let of_kind = || self.failovers().filter(|failover| failover.kind == kind);
        let never = of_kind().filter(|failover| failover.never(Phase::Elected).is_some()).count() as u64;
        let elected = of_kind().filter(|failover| failover.phases.elected.reached().is_some()).count() as u64;
        (never, never + elected)
    }

    /// Of the failovers of one kind whose fault was healed: after how many the heal cost another election, and how many there
    /// were.
    #[must_use]
    pub fn disturbed(&self, kind: FaultKind) -> (u64, u64) {
        let healed = || self.failovers().filter(|one| one.kind == kind).filter_map(|one| one.disturbed);
        (healed().filter(|disturbed| *disturbed).count() as u64, healed().count() as u64)
    }

    /// How many runs violated safety, and how many there were.
    #[must_use]
    pub fn violated(&self) -> (u64, u64) {
        (self.runs.iter().filter(|run| run.exit_code == 1).count() as u64, self.runs.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use chaos_history::RunNanos;

    use super::*;
    use crate::analysis::Reached;
    use crate::interval::{Elapsed, Interval};

    fn after(ms: u64) -> PhaseOutcome {
        let at = Interval::new(RunNanos(0), RunNanos(0));
        let hi = Duration::from_millis(ms);
        PhaseOutcome::Reached(Reached { at, after: Elapsed { lo: hi - Duration::from_millis(2), hi } })
    }

    fn missing(why: Why, ms: u64) -> PhaseOutcome {
        PhaseOutcome::NotReached(NotReached { why, watched: Duration::from_millis(ms) })
    }

    fn failover(elected: PhaseOutcome, writable: PhaseOutcome) -> PooledFailover {
        let phases =
            Phases { detected: after(100), converged: elected.clone(), available: writable.clone(), elected, writable };
        PooledFailover { kind: FaultKind::Kill, phases, disturbed: None, stalled: false }
    }

    fn pool(runs: Vec<Vec<PooledFailover>>) -> Pool {
        let system = SystemFacts {
            workload: "kill".to_owned(),
            system: "raft".to_owned(),
            nodes: 3,
            versions: Vec::new(),
            settings: Vec::new(),
            host: Vec::new(),
        };
        let run = |failovers| PooledRun { seed: Seed(1), exit_code: 0, failovers };
        Pool { system, runs: runs.into_iter().map(run).collect() }
    }

    #[test]
    fn what_never_came_stands_behind_all_that_came() {
        let runs = vec![
            vec![
                failover(after(200), after(210)),
                failover(missing(Why::FaultEnded, 50), missing(Why::NotElected, 50)),
            ],
            vec![failover(after(900), after(910))],
        ];
        let sample = pool(runs).sample(FaultKind::Kill, Phase::Elected);
        assert_eq!(sample.runs, vec![vec![200_000_000, 900_000_000], vec![900_000_000]]);
        assert_eq!((sample.never, sample.n(), sample.uncertainty), (1, 3, Duration::from_millis(2)));
    }

    #[test]
    fn what_says_nothing_about_the_system_is_left_out() {
        let cut = |why| failover(missing(why, 10_000), missing(Why::NotElected, 10_000));
        let runs =
            vec![vec![cut(Why::RunEnded), cut(Why::NoMajority), failover(after(200), missing(Why::NoClients, 9))]];
        let pool = pool(runs);
        assert_eq!(pool.sample(FaultKind::Kill, Phase::Elected).runs, vec![vec![200_000_000]]);
        assert_eq!(pool.sample(FaultKind::Kill, Phase::Writable).n(), 0);
        assert_eq!(pool.never_elected(FaultKind::Kill), (0, 1));
    }

    #[test]
    fn kinds_are_never_mixed() {
        let mut paused = failover(after(300), after(310));
        paused.kind = FaultKind::Pause;
        let pool = pool(vec![vec![failover(after(200), after(210)), paused]]);
        assert_eq!(pool.kinds(), [FaultKind::Kill, FaultKind::Pause]);
        assert_eq!(pool.sample(FaultKind::Pause, Phase::Elected).runs, vec![vec![300_000_000]]);
        assert_eq!(pool.sample(FaultKind::Kill, Phase::Elected).runs, vec![vec![200_000_000]]);
    }
}
