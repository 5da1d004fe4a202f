//! `stale-vote-counted`: a candidate counts votes that were given to it in an earlier election.
//!
//! Broken rule: a vote counts in the term in which it was given (paper §5.2); the voter may have given the present term's to
//! another one.
//!
//! Seen in:
//! - akka-raft #46: <https://github.com/ktoso/akka-raft/issues/46>
//! - akka-raft #47: <https://github.com/ktoso/akka-raft/issues/47>
//! - xraft #33: <https://github.com/xnnyygn/xraft/issues/33>
//! - little-raft #44: <https://github.com/andreev-io/little-raft/issues/44>
//! - eatonphil/raft-rs #3: <https://github.com/eatonphil/raft-rs/issues/3>
//!
//! Shows with: pre-vote and stickiness off.
//!
//! Made visible by: A vote that is under way for longer than its candidate waits: it is counted in the candidate's next
//! election, of which the voter may know nothing.
//!
//! Convicts it: ElectionSafety, by `workloads/museum/stale-vote-counted.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::{Rules, VoteReply};
use crate::types::Term;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "stale-vote-counted",
    about: "a candidate counts votes that were given to it in an earlier election",
    replaces: "Rules::counts_vote",
    instances: &[
        "https://github.com/ktoso/akka-raft/issues/46",
        "https://github.com/ktoso/akka-raft/issues/47",
        "https://github.com/xnnyygn/xraft/issues/33",
        "https://github.com/andreev-io/little-raft/issues/44",
        "https://github.com/eatonphil/raft-rs/issues/3",
    ],
    configuration: "pre-vote and stickiness off",
    plan: "3 nodes behind proxies: hold what is said to one of them, so that it campaigns and is elected without hearing of it; let it hear \
        when it campaigns again, in a term in which the others elect another one",
    property: "ElectionSafety",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(StaleVoteCounted),
};

/// A candidate counts votes that were given to it in an earlier election.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct StaleVoteCounted;

impl Rules for StaleVoteCounted {
    fn counts_vote(&self, _term: Term, pre: bool, reply: &VoteReply) -> bool {
        reply.granted && reply.pre == pre
    }
}
