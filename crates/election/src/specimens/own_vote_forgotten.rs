//! `own-vote-forgotten`: a candidate does not remember that it has voted for itself.
//!
//! Broken rule: a candidate "votes for itself" (paper §5.2), and that is its one vote of the term.
//!
//! Seen in:
//! - nebula #3415: <https://github.com/vesoft-inc/nebula/pull/3415>
//!
//! Shows with: default options.
//!
//! Made visible by: two candidates of one term: each still has a vote for the other. Nobody is led then, so neither pre-vote
//! nor stickiness hides it.
//!
//! Convicts it: SingleVote, by `workloads/museum/own-vote-forgotten.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;
use crate::types::NodeId;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "own-vote-forgotten",
    about: "a candidate does not remember that it has voted for itself",
    replaces: "Rules::own_vote",
    instances: &["https://github.com/vesoft-inc/nebula/pull/3415"],
    configuration: "default options",
    plan: "5 nodes: pause all of them for longer than the longest election timeout and resume them together, again and \
        again. All campaign for the same term and vote for each other too",
    property: "SingleVote",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(OwnVoteForgotten),
};

/// A candidate does not remember that it has voted for itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct OwnVoteForgotten;

impl Rules for OwnVoteForgotten {
    fn own_vote(&self, _own: NodeId) -> Option<NodeId> {
        None
    }
}
