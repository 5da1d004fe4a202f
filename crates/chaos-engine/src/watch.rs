//! A condition of a plan, watched for since some moment.

use chaos_history::NodeId;
use chaos_plan::{Condition, LeaderChange, TermMark};

use crate::tidings::Tidings;

/// What is watched for.
#[derive(Clone, Copy, Debug)]
enum Goal {
    Elections(u64),
    Losses(u64),
    /// Any leader but this one.
    LeaderBeside(Option<NodeId>),
    Votes(u64),
    Term(u64),
    Acknowledged(u64),
    /// A leader's word beyond so many of them, that fewer nanoseconds are left.
    LeaseBelow {
        words: u64,
        bound: u128,
    },
}

/// A condition with what it is reckoned from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch(Goal);

impl Watch {
    /// Watches from now on; `acknowledged` is how many operations were so far.
    pub(crate) fn new(condition: Condition, tidings: &Tidings, acknowledged: u64) -> Self {
        Self(match condition {
            Condition::Leader(LeaderChange::Elected) => Goal::Elections(tidings.elections + 1),
            Condition::Leader(LeaderChange::Another) => Goal::LeaderBeside(tidings.leader.map(|(node, _)| node)),
            Condition::Leader(LeaderChange::Lost) => Goal::Losses(tidings.losses + 1),
            Condition::VoteGranted => Goal::Votes(tidings.votes + 1),
            Condition::Term(TermMark::At(term)) => Goal::Term(term),
            Condition::Term(TermMark::Later(terms)) => Goal::Term(tidings.term.0.saturating_add(terms)),
            Condition::LeaseBelow(bound) => Goal::LeaseBelow { words: tidings.leases.0, bound: bound.as_nanos() },
            Condition::Operations(count) => Goal::Acknowledged(acknowledged.saturating_add(count)),
        })
    }

    /// Whether it has come.
    pub(crate) fn is_seen(&self, tidings: &Tidings, acknowledged: u64) -> bool {
        match self.0 {
            Goal::Elections(count) => tidings.elections >= count,
            Goal::Losses(count) => tidings.losses >= count,
            Goal::LeaderBeside(before) => tidings.leader.is_some_and(|(node, _)| Some(node) != before),
            Goal::Votes(count) => tidings.votes >= count,
            Goal::Term(term) => tidings.term.0 >= term,
            Goal::LeaseBelow { words, bound } => tidings.leases.0 > words && u128::from(tidings.leases.1) < bound,
            Goal::Acknowledged(count) => acknowledged >= count,
        }
    }
}
