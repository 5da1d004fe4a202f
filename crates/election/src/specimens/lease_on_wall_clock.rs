//! `lease-on-wall-clock`: a node reads the time of day where the protocol means a clock that never goes back.
//!
//! Broken rule: a lease rests on clocks whose rates are bounded (thesis §6.4.1); the time of day is set by people and programs.
//!
//! Seen in:
//! - tikv #964: <https://github.com/tikv/tikv/issues/964>
//! - sofa-jraft #58: <https://github.com/sofastack/sofa-jraft/pull/58>
//! - client-go #448: <https://github.com/kubernetes/client-go/issues/448>
//!
//! Shows with: lease reads, check-quorum on or off.
//!
//! Made visible by: A leader whose clock is set back: its lease is as long again, and nobody hears of it meanwhile, since its
//! heartbeats wait for the same clock.
//!
//! Convicts it: Linearizable, by `workloads/museum/lease-on-wall-clock.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Sound;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "lease-on-wall-clock",
    about: "a node reads the time of day where the protocol means a clock that never goes back",
    replaces: "the clock of the shell",
    instances: &[
        "https://github.com/tikv/tikv/issues/964",
        "https://github.com/sofastack/sofa-jraft/pull/58",
        "https://github.com/kubernetes/client-go/issues/448",
    ],
    configuration: "lease reads, check-quorum on or off",
    plan: "3 nodes, clients that read by lease from every node: set the leader's clock back by a minute while it is cut \
        off, again and again",
    property: "Linearizable",
    shown: Shown::ByProcesses,
    clock: ClockKind::Wall,
    start: |start| start.with(Sound),
};
