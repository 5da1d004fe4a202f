//! What a plan's checks mean to the checkers: one list for runs that are judged and for trials that are searched.

use chaos_check::Property;
use chaos_plan::{Check, System, Workload};

/// Everything that a workload wants checked, check by check.
#[must_use]
pub fn demands(workload: &Workload) -> Vec<(Check, Vec<Property>)> {
    // Whoever asks for one leader per term asks for single votes on the side; of a system that shows none, nobody has asked.
    let shows_votes = match &workload.system {
        System::Raft(_) => true,
        System::Defined(defined) => {
            defined.definition.observers.first().is_some_and(|observer| observer.voted_for.is_some())
        }
    };
    let wanted = |check: &Check| {
        let properties = properties(*check).into_iter();
        (*check, properties.filter(|property| shows_votes || *property != Property::SingleVote).collect())
    };
    workload.checks.iter().map(wanted).collect()
}

/// A plan's check as the checkers' properties. A node that votes twice is on its way to two leaders, so whoever asks for one
/// leader per term asks for one vote too.
#[must_use]
pub fn properties(check: Check) -> Vec<Property> {
    match check {
        Check::ElectionSafety => vec![Property::ElectionSafety, Property::SingleVote],
        Check::TermMonotonic => vec![Property::TermMonotonic],
        Check::Linearizable => vec![Property::Linearizable],
        Check::NoAcknowledgedWriteLost => vec![Property::NoAcknowledgedWriteLost],
        Check::MutualExclusion => vec![Property::MutualExclusion],
        Check::Fencing => vec![Property::FencingMonotonic],
        Check::ExclusiveAccess => vec![Property::ExclusiveAccess],
        Check::ReplicasAgree => vec![Property::ReplicasAgree],
        Check::BoundedReelection { within } => vec![Property::BoundedReelection { within }],
        Check::Recovers { within } => vec![Property::Recovers { within }],
        Check::NoStaleLeaderAfterHeal { within } => vec![Property::NoStaleLeaderAfterHeal { within }],
        Check::OneLeaderAtATime { overlap } => vec![Property::OneLeaderAtATime { allowed: overlap }],
    }
}
