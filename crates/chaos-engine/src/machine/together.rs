//! Branches that begin at one moment.

use std::time::Duration;

use chaos_history::RunNanos;
use chaos_plan::{Phase, Step, StepAction, Target};

use super::{Doing, Machine, STEPS_WITHOUT_TIME_MAX, Shared, Surroundings, TogetherStep};

impl Machine {
    /// Draws the moment at which all branches begin.
    pub(super) fn gather(&mut self, step: TogetherStep, shared: &mut Shared, around: &Surroundings<'_>) -> Doing {
        let at = self.begins_at(step.phase, step.number, shared, around);
        Doing::Gathering { step, at }
    }

    /// Begins all branches, if there is whom they begin with.
    pub(super) fn begin_together(
        &mut self,
        step: TogetherStep,
        shared: &mut Shared,
        around: &mut Surroundings<'_>,
    ) -> Doing {
        let leaders = around.leaders();
        let lacks_leader = leaders.working.is_none() && step.branches.iter().any(|steps| begins_with_a_leader(steps));
        if lacks_leader && around.fixed.is_none() && around.now < step.give_up {
            return Doing::WithoutLeader { step };
        }
        let round = self.round();
        let mut branches: Vec<Self> = step.branches.into_iter().map(|steps| Self::new(steps.into(), round)).collect();
        let before = around.fixed.replace(leaders);
        for branch in &mut branches {
            // A branch that only counts goes on with the others' next turn.
            for _ in 0..STEPS_WITHOUT_TIME_MAX {
                if !branch.go(shared, around) {
                    break;
                }
            }
        }
        around.fixed = before;
        Doing::Together { branches }
    }

    /// One move of each branch.
    pub(super) fn beside(mut branches: Vec<Self>, shared: &mut Shared, around: &mut Surroundings<'_>) -> (Doing, bool) {
        let mut moved = false;
        for branch in &mut branches {
            moved |= branch.go(shared, around);
        }
        if branches.iter().all(Self::has_ended) {
            return (Doing::Next, true);
        }
        (Doing::Together { branches }, moved)
    }

    /// When something begins whose turn it is now.
    pub(super) fn begins_at(
        &mut self,
        phase: Phase,
        number: usize,
        shared: &mut Shared,
        around: &Surroundings<'_>,
    ) -> RunNanos {
        let (now, heartbeat) = (around.now, shared.heartbeat);
        let offset = match phase {
            Phase::Drawn => return now + shared.stream(number).below_duration(heartbeat),
            Phase::AtOnce => return now,
            Phase::Offset(range) => shared.stream(number).within(range),
            Phase::Sweep => self.round().map_or(Duration::ZERO, |round| heartbeat * round.index / round.of),
        };
        // The first beat is a multiple of the heartbeat ago, and so is the one after which it is `offset` at the moment looked for.
        let since = now.since(around.view.tidings().first_beat().unwrap_or(now)).as_nanos();
        let beat = heartbeat.as_nanos().max(1);
        let wait = (offset.as_nanos() % beat + beat - since % beat) % beat;
        now + Duration::from_nanos(u64::try_from(wait).unwrap_or(0))
    }
}

/// Whether what a list begins with can hit nobody while nobody leads.
fn begins_with_a_leader(steps: &[Step]) -> bool {
    match steps.first().map(|step| &step.action) {
        Some(StepAction::Fault { fault, .. }) => fault.targets().into_iter().any(Target::needs_leader),
        Some(StepAction::Together { branches, .. }) => branches.iter().any(|steps| begins_with_a_leader(steps)),
        Some(
            StepAction::On { .. }
            | StepAction::Repeat { .. }
            | StepAction::Random { .. }
            | StepAction::Restart { .. }
            | StepAction::Resume { .. }
            | StepAction::Heal
            | StepAction::Await { .. }
            | StepAction::Wait(_),
        )
        | None => false,
    }
}
