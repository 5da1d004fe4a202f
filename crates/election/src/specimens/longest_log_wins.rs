//! `longest-log-wins`: a voter compares the lengths of logs and not the terms of their last entries.
//!
//! Broken rule: "the log with the later term is more up-to-date" (paper §5.4.1); length decides between equal terms only.
//!
//! Seen in:
//! - the paper's own argument for the rule: <https://raft.github.io/raft.pdf>
//! - OSDI 2018 study, bad leaders (longest log, newest timestamp): <https://www.usenix.org/conference/osdi18/presentation/alquraan>
//!
//! Shows with: check-quorum off, so that a leader that is cut off goes on appending.
//!
//! Made visible by: a deposed leader that has appended more than its successor has committed: its long tail of dead entries
//! wins against what was acknowledged. Many keys, or the tail itself overwrites the evidence.
//!
//! Convicts it: Linearizable, by `workloads/museum/longest-log-wins.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;
use crate::types::{LogIndex, Term};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "longest-log-wins",
    about: "a voter compares the lengths of logs and not the terms of their last entries",
    replaces: "Rules::up_to_date",
    instances: &["https://raft.github.io/raft.pdf", "https://www.usenix.org/conference/osdi18/presentation/alquraan"],
    configuration: "check-quorum off, so that a leader that is cut off goes on appending",
    plan: "3 nodes: cut the leader off while its clients keep writing to it; as soon as a successor has acknowledged \
        writes, let the old leader in and kill the successor. The old one is elected for its longer log, and what was \
        acknowledged is gone",
    property: "Linearizable",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(LongestLogWins),
};

/// A voter compares the lengths of logs and not the terms of their last entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct LongestLogWins;

impl Rules for LongestLogWins {
    fn up_to_date(&self, candidate: (Term, LogIndex), voter: (Term, LogIndex)) -> bool {
        candidate.1 >= voter.1
    }
}
