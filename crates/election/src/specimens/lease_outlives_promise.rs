//! `lease-outlives-promise`: a leader's lease is three times as long as its voters' promise.
//!
//! Broken rule: a lease must end before the promise that it rests on does (thesis §6.4.1).
//!
//! Seen in:
//! - atomix #1013: <https://github.com/atomix/atomix/issues/1013>
//!
//! Shows with: lease reads, check-quorum off.
//!
//! Made visible by: A leader that is cut off: the others elect while it still reads from its lease.
//!
//! Convicts it: Linearizable, by `workloads/museum/lease-outlives-promise.yaml`.

use std::time::Duration;

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;
use crate::types::Nanos;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "lease-outlives-promise",
    about: "a leader's lease is three times as long as its voters' promise",
    replaces: "Rules::lease_until",
    instances: &["https://github.com/atomix/atomix/issues/1013"],
    configuration: "lease reads, check-quorum off",
    plan: "5 nodes, clients that read by lease: cut the leader off for a second, again and again",
    property: "Linearizable",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(LeaseOutlivesPromise),
};

/// A leader's lease is three times as long as its voters' promise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct LeaseOutlivesPromise;

impl Rules for LeaseOutlivesPromise {
    fn lease_until(&self, sent: Nanos, promise: Duration, _percent: u32) -> Nanos {
        sent + promise * 3
    }
}
