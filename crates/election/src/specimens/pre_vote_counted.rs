//! `pre-vote-counted`: a candidate counts answers to its pre-vote as votes.
//!
//! Broken rule: a pre-vote is a question without consequences (thesis §9.6): who answers it promises nothing.
//!
//! Seen in:
//! - daos raft #70: <https://github.com/daos-stack/raft/pull/70>
//!
//! Shows with: five nodes, pre-vote on (the default).
//!
//! Made visible by: pre-votes that arrive after the quorum that was waited for: they are for the term in which the node then
//! campaigns, and two of them make it a leader for whom nobody has voted. Voters give pre-votes to everybody, so several
//! candidates of a contested election win.
//!
//! Convicts it: ElectionSafety, by `workloads/museum/pre-vote-counted.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::{Rules, VoteReply};
use crate::types::Term;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "pre-vote-counted",
    about: "a candidate counts answers to its pre-vote as votes",
    replaces: "Rules::counts_vote",
    instances: &["https://github.com/daos-stack/raft/pull/70"],
    configuration: "five nodes, pre-vote on (the default)",
    plan: "5 nodes: pause all of them for longer than the longest election timeout and resume them together, again and \
        again",
    property: "ElectionSafety",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(PreVoteCounted),
};

/// A candidate counts answers to its pre-vote as votes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct PreVoteCounted;

impl Rules for PreVoteCounted {
    fn counts_vote(&self, term: Term, _pre: bool, reply: &VoteReply) -> bool {
        reply.granted && reply.for_term == term
    }
}
