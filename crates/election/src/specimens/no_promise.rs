//! `no-promise`: a voter that hears a leader votes for others all the same.
//!
//! Broken rule: "if a server receives a RequestVote request within the minimum election timeout of hearing from a current
//! leader, it does not update its term or grant its vote" (thesis §4.2.3).
//!
//! Seen in:
//! - etcd #8499: <https://github.com/etcd-io/etcd/issues/8499>
//! - etcd #14893: <https://github.com/etcd-io/etcd/issues/14893>
//!
//! Shows with: lease reads, check-quorum off.
//!
//! Made visible by: A leader that is cut off, and a follower that is quick to campaign: it is elected while the lease holds.
//! (Beside that, a node that comes back deposes a healthy leader.)
//!
//! Convicts it: Linearizable, by `workloads/museum/no-promise.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::{Ballot, Rules};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "no-promise",
    about: "a voter that hears a leader votes for others all the same",
    replaces: "Rules::keeps_promise",
    instances: &["https://github.com/etcd-io/etcd/issues/8499", "https://github.com/etcd-io/etcd/issues/14893"],
    configuration: "lease reads, check-quorum off",
    plan: "3 nodes, of which one has short timeouts, clients that read by lease: cut the leader off, again and again",
    property: "Linearizable",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(NoPromise),
};

/// A voter that hears a leader votes for others all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct NoPromise;

impl Rules for NoPromise {
    fn keeps_promise(&self, _ballot: Ballot, _stickiness: bool, _led: bool) -> bool {
        false
    }
}
