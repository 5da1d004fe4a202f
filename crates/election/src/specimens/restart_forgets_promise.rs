//! `restart-forgets-promise`: a voter that was restarted votes at once, although a lease rests on the promise that it has
//! forgotten.
//!
//! Broken rule: a restarted voter must wait as if it had just heard a leader (thesis §6.4.1 with §4.2.3).
//!
//! Seen in:
//! - nebula #5352: <https://github.com/vesoft-inc/nebula/issues/5352>
//! - nebula #5379: <https://github.com/vesoft-inc/nebula/issues/5379>
//!
//! Shows with: lease reads, check-quorum off.
//!
//! Made visible by: A leader that is cut off in the moment in which a voter restarts: that voter helps to elect another one
//! while the lease holds.
//!
//! Convicts it: Linearizable, by `workloads/museum/restart-forgets-promise.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "restart-forgets-promise",
    about: "a voter that was restarted votes at once, although a lease rests on the promise that it has forgotten",
    replaces: "Rules::promises_after_restart",
    instances: &[
        "https://github.com/vesoft-inc/nebula/issues/5352",
        "https://github.com/vesoft-inc/nebula/issues/5379",
    ],
    configuration: "lease reads, check-quorum off",
    plan: "3 nodes, of which one has short timeouts, clients that read by lease: cut the leader off and restart the patient \
        voter together",
    property: "Linearizable",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(RestartForgetsPromise),
};

/// A voter that was restarted votes at once, although a lease rests on the promise that it has forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct RestartForgetsPromise;

impl Rules for RestartForgetsPromise {
    fn promises_after_restart(&self) -> bool {
        false
    }
}
