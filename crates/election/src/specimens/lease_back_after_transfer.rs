//! `lease-back-after-transfer`: a leader takes its lease up again when a transfer seems to have failed.
//!
//! Broken rule: the request to campaign may still be under way when the transfer is given up: no lease for the rest of the term
//! (thesis §3.10, §6.4.1).
//!
//! Seen in:
//! - found in a sound-looking prototype by a simulation like the one of this crate; the sibling of tikv #1593: <https://github.com/tikv/tikv/issues/1593>
//!
//! Shows with: lease reads.
//!
//! Made visible by: A request to campaign that arrives after the transfer was given up, while the old leader hears its
//! successor late.
//!
//! Convicts it: Linearizable, by `workloads/museum/lease-back-after-transfer.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "lease-back-after-transfer",
    about: "a leader takes its lease up again when a transfer seems to have failed",
    replaces: "Rules::lease_allowed",
    instances: &["https://github.com/tikv/tikv/issues/1593"],
    configuration: "lease reads",
    plan: "3 nodes, clients that read by lease: hold what the leader sends to its successor, have it hand over, and release \
        it after the leader has given up and taken its lease again; what reaches the old leader is delayed",
    property: "Linearizable",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(LeaseBackAfterTransfer),
};

/// A leader takes its lease up again when a transfer seems to have failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct LeaseBackAfterTransfer;

impl Rules for LeaseBackAfterTransfer {
    fn lease_allowed(&self, transferring: bool, _timeout_now_sent: bool) -> bool {
        !transferring
    }
}
