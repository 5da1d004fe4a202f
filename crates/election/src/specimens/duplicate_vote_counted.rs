//! `duplicate-vote-counted`: a candidate counts replies instead of voters.
//!
//! Broken rule: "votes from a majority of the servers" (paper §5.2): a server is counted once, however often its reply arrives.
//!
//! Seen in:
//! - akka-raft #45: <https://github.com/ktoso/akka-raft/issues/45>
//! - xraft #27: <https://github.com/xnnyygn/xraft/issues/27>
//!
//! Shows with: five nodes, pre-vote off.
//!
//! Made visible by: A reply that arrives twice: with the candidate's own vote that makes three of five. A connection delivers
//! each reply once, and this node asks once, so it takes a transport that repeats messages.
//!
//! Convicts it: ElectionSafety, in untimed walks and by the script: a message must arrive twice, which connections
//! don't do.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;
use crate::types::NodeId;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "duplicate-vote-counted",
    about: "a candidate counts replies instead of voters",
    replaces: "Rules::counts_voter",
    instances: &["https://github.com/ktoso/akka-raft/issues/45", "https://github.com/xnnyygn/xraft/issues/27"],
    configuration: "five nodes, pre-vote off",
    plan: "none: a message must arrive twice, which connections don't do",
    property: "ElectionSafety",
    shown: Shown::ByWalks("a message must arrive twice, which connections don't do"),
    clock: ClockKind::Monotonic,
    start: |start| start.with(DuplicateVoteCounted),
};

/// A candidate counts replies instead of voters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct DuplicateVoteCounted;

impl Rules for DuplicateVoteCounted {
    fn counts_voter(&self, _counted: &[NodeId], _voter: NodeId) -> bool {
        true
    }
}
