//! `vote-in-memory`: votes are never written to the disk.
//!
//! Broken rule: "votedFor" is among the persistent state, "updated on stable storage before responding to RPCs" (paper Fig. 2).
//!
//! Seen in:
//! - hashicorp/raft #661, term and vote in two writes: <https://github.com/hashicorp/raft/issues/661>
//! - tikv #9579, a peer destroyed with its vote: <https://github.com/tikv/tikv/issues/9579>
//!
//! Shows with: pre-vote and stickiness off (a restarted voter's promise hides it otherwise).
//!
//! Made visible by: A voter that is killed right after its vote and asked by another candidate of the same term when it is
//! back, before the winner's no-op makes its log the better one.
//!
//! Convicts it: SingleVote, by `workloads/museum/vote-in-memory.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use super::start::Wrapper;
use crate::raft::{HardState, Output};
use crate::types::Nanos;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "vote-in-memory",
    about: "votes are never written to the disk",
    replaces: "Wrapper::does (what is to be persisted)",
    instances: &["https://github.com/hashicorp/raft/issues/661", "https://github.com/tikv/tikv/issues/9579"],
    configuration: "pre-vote and stickiness off (a restarted voter's promise hides it otherwise)",
    plan: "3 nodes in a chain with different timeouts: kill the voter in the middle and its candidate as soon as it has \
        voted; the other end of the chain then campaigns for the same term",
    property: "SingleVote",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.behind(VoteInMemory),
};

/// Votes are never written to the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct VoteInMemory;

impl Wrapper for VoteInMemory {
    fn does(&mut self, _now: Nanos, mut outputs: Vec<Output>) -> Vec<Output> {
        for output in &mut outputs {
            if let Output::Persist(persist) = output {
                persist.hard = persist.hard.map(|hard| HardState { voted_for: None, ..hard });
            }
        }
        outputs
    }
}
