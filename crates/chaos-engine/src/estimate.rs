//! How long a plan will take, roughly: for the live view's bar, and for nothing else.
//!
//! Drawn times count with their mean, waiting for a leader with a typical failover. An estimate that is wrong makes the bar
//! move unevenly; no decision depends on it.

use std::time::Duration;

use chaos_history::RunNanos;
use chaos_plan::{Awaited, DurationRange, Hold, Step, StepAction};

/// What waiting for a leader typically takes.
const ELECTION: Duration = Duration::from_millis(500);
/// What injecting a fault or taking it back typically takes, the drawn phase of the heartbeat included.
const EDGE: Duration = Duration::from_millis(50);

/// The estimate for one step with all that is in it.
pub(crate) fn step(step: &Step) -> Duration {
    match &step.action {
        StepAction::Fault { hold, .. } => match hold {
            Hold::For(range) => mean(*range) + 2 * EDGE,
            Hold::Until(until) => ELECTION.min(until.within) + until.plus + 2 * EDGE,
            Hold::Open => EDGE,
        },
        StepAction::Restart { .. } | StepAction::Resume { .. } | StepAction::Heal => EDGE,
        StepAction::Await { what, within } => match what {
            Awaited::Leader => ELECTION.min(*within),
            Awaited::Stable(time) => (ELECTION + *time).min(*within),
        },
        StepAction::Wait(range) => mean(*range),
        StepAction::On { after, within, steps, .. } => ELECTION.min(*within) + mean(*after) + all(steps),
        StepAction::Together { branches, .. } => {
            branches.iter().map(|steps| all(steps)).max().unwrap_or(Duration::ZERO) + EDGE
        }
        StepAction::Repeat { times, until, steps } => {
            let whole = all(steps).saturating_mul(*times);
            until.and_then(|stop| stop.within).map_or(whole, |within| whole.min(within))
        }
        StepAction::Random { lasting, .. } => *lasting,
    }
}

/// The estimate for steps one after another.
pub(crate) fn all(steps: &[Step]) -> Duration {
    steps.iter().map(step).fold(Duration::ZERO, Duration::saturating_add)
}

/// How many fault steps there will be, repeats counted; `None` if that is drawn.
pub(crate) fn faults(steps: &[Step]) -> Option<u32> {
    steps.iter().try_fold(0_u32, |sum, step| {
        let times = match &step.action {
            StepAction::Fault { .. } => return Some(sum.saturating_add(1)),
            StepAction::Repeat { until: Some(_), .. } | StepAction::Random { .. } => return None,
            StepAction::Repeat { times, until: None, .. } => *times,
            StepAction::On { .. }
            | StepAction::Together { .. }
            | StepAction::Restart { .. }
            | StepAction::Resume { .. }
            | StepAction::Heal
            | StepAction::Await { .. }
            | StepAction::Wait(_) => 1,
        };
        let inside =
            step.action.nested().into_iter().map(faults).try_fold(0_u32, |sum, of| Some(sum.saturating_add(of?)))?;
        Some(sum.saturating_add(inside.saturating_mul(times)))
    })
}

fn mean(range: DurationRange) -> Duration {
    (range.min + range.max) / 2
}

/// Adds up the estimates of the steps that are behind, as the plan passes them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauge {
    done: Duration,
    /// The step that counts now: the depth of the stack it was taken from, its estimate and its start. Steps inside a random
    /// step don't count, the random step itself does.
    current: Option<(usize, Duration, RunNanos)>,
}

impl Gauge {
    /// A step is begun that was taken from a stack of this depth.
    pub(crate) fn enter(&mut self, depth: usize, estimate: Duration, now: RunNanos) {
        self.current.get_or_insert((depth, estimate, now));
    }

    /// The machine is about to take a step from a stack of this depth: whatever was taken from there, or deeper, is over.
    pub(crate) fn leave(&mut self, depth: usize) {
        if let Some((_, estimate, _)) = self.current.take_if(|(entered, _, _)| depth <= *entered) {
            self.done += estimate;
        }
    }

    /// How much of the whole estimate is behind.
    pub(crate) fn done(&self, now: RunNanos) -> Duration {
        self.done + self.current.map_or(Duration::ZERO, |(_, estimate, since)| now.since(since).min(estimate))
    }
}
