//! Runs a fault plan, by a [`Machine`] that does its steps.
//!
//! What the steps mean here, where a reader of a plan might ask:
//! - Every fault begins after a delay drawn from one heartbeat, so that over many repeats faults hit every phase of it; `phase` says
//!   otherwise. Beats can't be seen: they are reckoned from when the newest leader was first heard to lead, and drift with its clock.
//!   The fault's `scheduled` stamp is the moment after that delay.
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
//! - `on` waits for the next such event from when its turn came, and acts in the very step that is told of it. What comes too late is
//!   remarked, and its steps are left out.
//! - `together` waits, like a fault, until there is a leader if a branch begins with one; then all branches begin in one step.
//! - `repeat` with `until` looks between two rounds whether the condition was seen since it began.
//! - `random` draws a pause, then a choice, until its time is over; a choice that runs is finished. A `swarm` draws which of them
//!   there are at all, once a run (Groce et al., "Swarm Testing", ISSTA 2012).
//!
//! Every step draws from its own stream (`step <number>`), see [`crate::random`].
//!
//! [`TARGET_WITHIN`]: crate::machine::TARGET_WITHIN

use std::sync::Arc;
use std::time::Duration;

use chaos_history::{RunNanos, Seed};
use chaos_plan::{FaultPlan, Step};

use crate::machine::{BREATH, Machine, STEPS_WITHOUT_TIME_MAX, Shared, Surroundings};
use crate::view::ClusterView;

/// The interpreter of one fault plan.
#[derive(Clone, Debug)]
pub(crate) struct Nemesis {
    steps: Arc<[Step]>,
    shared: Shared,
    machine: Machine,
    breath: Option<RunNanos>,
}

impl Nemesis {
    /// Stands before the plan's first step.
    pub(crate) fn new(plan: &FaultPlan, seed: Seed, heartbeat: Duration) -> Self {
        let steps: Arc<[Step]> = plan.steps.clone().into();
        let machine = Machine::new(Arc::clone(&steps), None);
        Self { steps, shared: Shared::new(seed, heartbeat), machine, breath: None }
    }

    /// Whether no step is left.
    pub(crate) fn has_ended(&self) -> bool {
        self.machine.has_ended()
    }

    /// Stands before the plan's first step again, with streams that go on where they are. Whether there is a step at all.
    pub(crate) fn begin_again(&mut self) -> bool {
        self.machine.begin_again(Arc::clone(&self.steps));
        !self.steps.is_empty()
    }

    /// Leaves the rest of the plan undone. Faults under way stay: their owner lifts them.
    pub(crate) fn stop(&mut self) {
        self.machine.stop();
        self.breath = None;
    }

    /// How many fault steps are over: ended, left open, or skipped.
    pub(crate) fn faults_done(&self) -> u32 {
        self.shared.faults_done
    }

    /// How much of the plan's estimated time is behind.
    pub(crate) fn done(&self, now: RunNanos) -> Duration {
        self.machine.done(now)
    }

    /// Until when there is nothing to do, if that depends on time alone.
    pub(crate) fn deadline(&self, view: &ClusterView) -> Option<RunNanos> {
        self.breath.or_else(|| self.machine.deadline(view))
    }

    /// What the plan waits for, for people.
    pub(crate) fn waiting_for(&self) -> String {
        self.machine.waiting_for()
    }

    /// Does everything that is due.
    pub(crate) fn advance(&mut self, around: &mut Surroundings<'_>) {
        if self.breath.is_some_and(|until| around.now < until) {
            return;
        }
        self.breath = None;
        for _ in 0..STEPS_WITHOUT_TIME_MAX {
            if !self.machine.go(&mut self.shared, around) {
                return;
            }
        }
        self.breath = Some(around.now + BREATH);
    }
}
