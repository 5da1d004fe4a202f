//! `no-check-quorum`: a leader that hears from no majority stays a leader.
//!
//! Broken rule: "a leader steps down if an election timeout elapses without a successful round of heartbeats to a majority of
//! its cluster" (thesis §6.2).
//!
//! Seen in:
//! - openraft #2080: <https://github.com/databendlabs/openraft/issues/2080>
//! - ratis #149: <https://github.com/apache/ratis/pull/149>
//! - etcd #4779: <https://github.com/etcd-io/etcd/pull/4779>
//! - neo4j #8266: <https://github.com/neo4j/neo4j/pull/8266>
//!
//! Shows with: default options (the same as `check-quorum: false`, which its users may believe to be on).
//!
//! Made visible by: A leader that is cut off for long: two lead at once for as long as the cut lasts, in different terms,
//! instead of for one election timeout at most.
//!
//! Convicts it: OneLeaderAtATime, by `workloads/museum/no-check-quorum.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::{Rules, StepDown};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "no-check-quorum",
    about: "a leader that hears from no majority stays a leader",
    replaces: "Rules::steps_down",
    instances: &[
        "https://github.com/databendlabs/openraft/issues/2080",
        "https://github.com/apache/ratis/pull/149",
        "https://github.com/etcd-io/etcd/pull/4779",
        "https://github.com/neo4j/neo4j/pull/8266",
    ],
    configuration: "default options (the same as `check-quorum: false`, which its users may believe to be on)",
    plan: "5 nodes: cut the leader off for two seconds, again and again, and allow two leaders to overlap for one",
    property: "OneLeaderAtATime",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(NoCheckQuorum),
};

/// A leader that hears from no majority stays a leader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct NoCheckQuorum;

impl Rules for NoCheckQuorum {
    fn steps_down(&self, cause: StepDown) -> bool {
        match cause {
            StepDown::QuorumLost => false,
            StepDown::HigherTerm | StepDown::Removed => true,
        }
    }
}
