//! `lease-kept-on-transfer`: a leader reads from its lease while its successor campaigns at its own request.
//!
//! Broken rule: a transfer releases the voters from their promise; no lease from then on (thesis §6.4.1).
//!
//! Seen in:
//! - tikv #1593: <https://github.com/tikv/tikv/issues/1593>
//!
//! Shows with: lease reads.
//!
//! Made visible by: A transfer whose end the old leader does not hear of: the successor is elected within the old leader's
//! lease.
//!
//! Convicts it: Linearizable, by `workloads/museum/lease-kept-on-transfer.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "lease-kept-on-transfer",
    about: "a leader reads from its lease while its successor campaigns at its own request",
    replaces: "Rules::lease_allowed",
    instances: &["https://github.com/tikv/tikv/issues/1593"],
    configuration: "lease reads",
    plan: "3 nodes with long timeouts, clients that read by lease: delay what reaches the leader, and have it hand over. \
        Its successor writes while it still reads",
    property: "Linearizable",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(LeaseKeptOnTransfer),
};

/// A leader reads from its lease while its successor campaigns at its own request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct LeaseKeptOnTransfer;

impl Rules for LeaseKeptOnTransfer {
    fn lease_allowed(&self, _transferring: bool, _timeout_now_sent: bool) -> bool {
        true
    }
}
