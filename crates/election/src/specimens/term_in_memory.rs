//! `term-in-memory`: a node that restarts takes its term from its log.
//!
//! Broken rule: "currentTerm" is persistent and "increases monotonically" (paper Fig. 2).
//!
//! Seen in:
//! - raft.tla #5: <https://github.com/ongardie/raft.tla/pull/5>
//! - nebula #2405, two term variables: <https://github.com/vesoft-inc/nebula/issues/2405>
//!
//! Shows with: pre-vote off, so that terms rise without entries.
//!
//! Made visible by: A node that restarts in a term from which it has no entry: the term falls, and with it the vote is
//! forgotten.
//!
//! Convicts it: TermMonotonic, by `workloads/museum/term-in-memory.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use super::start::Wrapper;
use crate::raft::{HardState, Recovered};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "term-in-memory",
    about: "a node that restarts takes its term from its log",
    replaces: "Wrapper::recovers",
    instances: &["https://github.com/ongardie/raft.tla/pull/5", "https://github.com/vesoft-inc/nebula/issues/2405"],
    configuration: "pre-vote off, so that terms rise without entries",
    plan: "3 nodes: cut a follower off until it has campaigned a few times, kill it and start it again there",
    property: "TermMonotonic",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.behind(TermInMemory),
};

/// A node that restarts takes its term from its log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct TermInMemory;

impl Wrapper for TermInMemory {
    fn recovers(&mut self, mut recovered: Recovered) -> Recovered {
        let of_snapshot = recovered.snapshot.as_ref().map(|snapshot| snapshot.meta.last_term);
        let term = recovered.entries.last().map(|entry| entry.term).or(of_snapshot).unwrap_or_default();
        recovered.hard = HardState { term, voted_for: None };
        recovered
    }
}
