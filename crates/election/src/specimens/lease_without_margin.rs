//! `lease-without-margin`: a leader's lease is as long as its voters' promise, as if all clocks went alike.
//!
//! Broken rule: clocks differ in rate: a lease of ℓ is safe up to a drift of (T − ℓ) / (T + ℓ), which is none for ℓ = T (thesis
//! §6.4.1).
//!
//! Seen in:
//! - thesis §6.4.1, clock drift bound: <https://github.com/ongardie/dissertation>
//!
//! Shows with: lease reads, check-quorum off, clocks that go 0.85 times as fast on the leader as on its voters.
//!
//! Made visible by: A leader with a slow clock that is cut off: its lease lasts longer than the others' promise, by the drift.
//! The sound lease of 80 percent bears it.
//!
//! Convicts it: Linearizable, by `workloads/museum/lease-without-margin.yaml`.

use std::time::Duration;

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;
use crate::types::Nanos;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "lease-without-margin",
    about: "a leader's lease is as long as its voters' promise, as if all clocks went alike",
    replaces: "Rules::lease_until",
    instances: &["https://github.com/ongardie/dissertation"],
    configuration: "lease reads, check-quorum off, clocks that go 0.85 times as fast on the leader as on its voters",
    plan: "3 nodes whose clocks go at different rates, clients that read by lease: cut the slow leader off, again and again",
    property: "Linearizable",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(LeaseWithoutMargin),
};

/// A leader's lease is as long as its voters' promise, as if all clocks went alike.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct LeaseWithoutMargin;

impl Rules for LeaseWithoutMargin {
    fn lease_until(&self, sent: Nanos, promise: Duration, _percent: u32) -> Nanos {
        sent + promise
    }
}
