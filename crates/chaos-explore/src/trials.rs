//! What the search asks of a world: run this workload under this seed, and say what happened.
//!
//! The search knows neither processes nor simulators. Whatever answers [`Trials`] can be searched: the simulator at some hundred
//! trials a second, real processes of any system at some tens a minute, a table of rules in a test.

use std::collections::{BTreeMap, BTreeSet};

use chaos_history::{RunNanos, Seed};
use chaos_plan::{Check, Workload};

/// A world to search.
///
/// The same workload and seed should give the same outcome; where they can't (real processes), [`Outcome::hash`] is `None`, and the
/// search tries things more than once.
pub trait Trials: Sync {
    /// Runs the workload under the seed, from the first node's start to the last check.
    fn run(&self, workload: &Workload, seed: Seed) -> Outcome;
}

/// What a trial showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The checks of the workload that are violated.
    pub violations: Vec<Violation>,
    /// The checks of which nothing can be said.
    pub undecided: BTreeSet<&'static str>,
    /// What it came by.
    pub coverage: Coverage,
    /// The faults that began, in the order in which they did.
    pub faults: Vec<FaultSeen>,
    /// Stands for everything that happened, where the same must happen again under the same seed.
    pub hash: Option<u64>,
    /// Why there was no trial at all, if there was none: the world could not do what the plan asks.
    pub broken: Option<String>,
}

impl Outcome {
    /// The violation of this check, if it is violated.
    #[must_use]
    pub fn violation_of(&self, check: Check) -> Option<&Violation> {
        self.violations.iter().find(|violation| violation.check.name() == check.name())
    }

    /// The violation that is worth most: of safety before liveness, and of what is nearest to the election.
    #[must_use]
    pub fn gravest(&self) -> Option<&Violation> {
        self.violations.iter().min_by_key(|violation| (rank(violation.check), violation.at))
    }
}

/// A violated check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The check, as the workload has it.
    pub check: Check,
    /// One sentence of the witness.
    pub sentence: String,
    /// When the violation was complete.
    pub at: RunNanos,
    /// The faults that were under way then, in the plan's words.
    pub active: Vec<String>,
}

/// A fault that began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultSeen {
    /// The number of the plan's step.
    pub step: usize,
    /// When it began.
    pub at: RunNanos,
}

/// What a trial came by, for comparing trials: whether this one was anywhere where no other was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Abstract states of the cluster, hashed.
    pub states: BTreeSet<u64>,
    /// How often each noteworthy thing happened; those that did not are left out.
    pub marks: BTreeMap<&'static str, u64>,
}

/// What comes first where several checks are violated: a second leader also loses writes and makes reads stale.
fn rank(check: Check) -> u8 {
    match check {
        Check::ElectionSafety => 0,
        Check::TermMonotonic => 1,
        Check::MutualExclusion => 2,
        Check::Fencing => 3,
        Check::ExclusiveAccess => 4,
        Check::Linearizable => 5,
        Check::NoAcknowledgedWriteLost => 6,
        Check::ReplicasAgree => 7,
        Check::OneLeaderAtATime { .. } => 8,
        Check::NoStaleLeaderAfterHeal { .. } => 9,
        Check::BoundedReelection { .. } => 10,
        Check::Recovers { .. } => 11,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn safety_outranks_liveness_whatever_came_first() {
        let violation = |check, at| Violation { check, sentence: String::new(), at: RunNanos(at), active: Vec::new() };
        let recovers = Check::Recovers { within: Duration::from_secs(1) };
        let violations = vec![violation(recovers, 1), violation(Check::Linearizable, 9)];
        let outcome = Outcome { violations, ..Outcome::default() };
        assert_eq!(outcome.gravest().map(|violation| violation.check), Some(Check::Linearizable));
        assert!(outcome.violation_of(Check::ElectionSafety).is_none());
        assert!(outcome.violation_of(Check::Recovers { within: Duration::ZERO }).is_some(), "whatever its bound");
    }
}
