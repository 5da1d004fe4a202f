//! `one-is-enough`: one node is a majority, whatever the number of members.
//!
//! Broken rule: any two quorums share a member (paper §5.2).
//!
//! Seen in:
//! - elasticsearch #2488: <https://github.com/elastic/elasticsearch/issues/2488>
//!
//! Shows with: default options (in Elasticsearch: `minimum_master_nodes: 1`).
//!
//! Made visible by: any fault that leaves a node without a leader for a while: it elects itself. A term has as many leaders as
//! there were candidates.
//!
//! Convicts it: ElectionSafety, by `workloads/museum/one-is-enough.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "one-is-enough",
    about: "one node is a majority, whatever the number of members",
    replaces: "Rules::quorum",
    instances: &["https://github.com/elastic/elasticsearch/issues/2488"],
    configuration: "default options (in Elasticsearch: `minimum_master_nodes: 1`)",
    plan: "3 nodes: cut all links, again and again. Each node elects itself, in the same term",
    property: "ElectionSafety",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(OneIsEnough),
};

/// One node is a majority, whatever the number of members.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct OneIsEnough;

impl Rules for OneIsEnough {
    fn quorum(&self, _members: usize) -> usize {
        1
    }
}
