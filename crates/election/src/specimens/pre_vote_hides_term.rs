//! `pre-vote-hides-term`: a voter that refuses does not tell its term.
//!
//! Broken rule: the reply carries "currentTerm, for candidate to update itself" (paper Fig. 2), in a pre-vote too (thesis
//! §9.6).
//!
//! Seen in:
//! - etcd #8243: <https://github.com/etcd-io/etcd/issues/8243>
//! - canonical/raft #279: <https://github.com/canonical/raft/issues/279>
//! - openraft #1796: <https://github.com/databendlabs/openraft/issues/1796>
//! - nats-server #5021: <https://github.com/nats-io/nats-server/pull/5021>
//!
//! Shows with: pre-vote on (the default).
//!
//! Made visible by: A majority of two, one with the longer log and one with the newer term: the first may never learn the term
//! without which its pre-votes are refused, the second is refused for its log.
//!
//! Convicts it: BoundedReelection, by `workloads/museum/pre-vote-hides-term.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;
use crate::types::Term;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "pre-vote-hides-term",
    about: "a voter that refuses does not tell its term",
    replaces: "Rules::vote_reply_term",
    instances: &[
        "https://github.com/etcd-io/etcd/issues/8243",
        "https://github.com/canonical/raft/issues/279",
        "https://github.com/databendlabs/openraft/issues/1796",
        "https://github.com/nats-io/nats-server/pull/5021",
    ],
    configuration: "pre-vote on (the default)",
    plan: "3 nodes: kill a candidate in the middle of its campaign, let the others write on under the old leader, then \
        leave the candidate and the better log alone with each other",
    property: "BoundedReelection",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(PreVoteHidesTerm),
};

/// A voter that refuses does not tell its term.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct PreVoteHidesTerm;

impl Rules for PreVoteHidesTerm {
    fn vote_reply_term(&self, _own: Term) -> Term {
        Term(0)
    }
}
