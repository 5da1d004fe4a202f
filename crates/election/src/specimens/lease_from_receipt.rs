//! `lease-from-receipt`: a leader's lease begins when the answers of its voters come.
//!
//! Broken rule: the lease begins when the answered round was sent (thesis §6.4.1): the voters' promise is as old as that.
//!
//! Seen in:
//! - thesis §6.4.1, start of the lease: <https://github.com/ongardie/dissertation>
//! - hashicorp/raft, `setLastContact` after any reply: <https://github.com/hashicorp/raft/blob/main/replication.go>
//!
//! Shows with: lease reads, check-quorum off.
//!
//! Made visible by: answers that take long: they renew the lease of a leader whose voters have not heard it for all that time.
//!
//! Convicts it: Linearizable, by `workloads/museum/lease-from-receipt.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;
use crate::types::Nanos;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "lease-from-receipt",
    about: "a leader's lease begins when the answers of its voters come",
    replaces: "Rules::lease_from",
    instances: &[
        "https://github.com/ongardie/dissertation",
        "https://github.com/hashicorp/raft/blob/main/replication.go",
    ],
    configuration: "lease reads, check-quorum off",
    plan: "3 nodes, clients that read by lease: delay what reaches the leader, then cut what it sends. Answers keep coming, \
        and keep its lease up while the others elect",
    property: "Linearizable",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(LeaseFromReceipt),
};

/// A leader's lease begins when the answers of its voters come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct LeaseFromReceipt;

impl Rules for LeaseFromReceipt {
    fn lease_from(&self, _sent: Nanos, answered: Nanos) -> Nanos {
        answered
    }
}
