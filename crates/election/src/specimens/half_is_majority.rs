//! `half-is-majority`: half of the members, rounded down, decide; at least one.
//!
//! Broken rule: any two quorums share a member (paper §5.2). The `+ 1` of `n / 2 + 1` is missing, as in the many Elasticsearch
//! clusters whose `minimum_master_nodes` was set to `n / 2` or left at 1 (issues #2488, #10935).
//!
//! Made visible by a partition into halves: 2|2 of four nodes, 2|3 of five. Each side has a quorum, keeps or elects a leader
//! (CheckQuorum counts with the same wrong quorum and keeps it in office), commits and acknowledges. Writes of the losing side
//! are lost at the heal, and reads on it are stale meanwhile: linearizability, NoAcknowledgedWriteLost, LeaderOverlap. If
//! neither side has the old leader (kill it first) both elect in the same term: ElectionSafety. Three nodes elect themselves
//! alone as soon as they are cut off. No option of the protocol hides it.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "half-is-majority",
    about: "half of the members, rounded down, count as a majority (at least one)",
    replaces: "Rules::quorum",
    instances: &[
        "https://github.com/elastic/elasticsearch/issues/2488",
        "https://github.com/elastic/elasticsearch/issues/10935",
    ],
    configuration: "default options",
    plan: "4 or 5 nodes, clients pinned to every node: partition into halves (2|2 or 2|3) for 2 s. Both sides elect, or \
        keep, a leader and commit: lost acknowledged writes and stale reads; with 3 nodes any node that is cut off \
        elects itself",
    property: "Linearizable",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(HalfIsMajority),
};

/// A node that takes half for a majority.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HalfIsMajority;

impl Rules for HalfIsMajority {
    fn quorum(&self, members: usize) -> usize {
        (members / 2).max(1)
    }
}
