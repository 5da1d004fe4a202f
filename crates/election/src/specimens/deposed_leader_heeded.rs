//! `deposed-leader-heeded`: the heartbeats of a deposed leader keep a follower from campaigning.
//!
//! Broken rule: "without receiving AppendEntries RPC from *current* leader" (paper Fig. 2).
//!
//! Seen in:
//! - butane #32: <https://github.com/butaneprotocol/oracles/pull/32>
//! - openraft #1840, heartbeats that keep voters from electing: <https://github.com/databendlabs/openraft/pull/1840>
//!
//! Shows with: check-quorum off, so that a leader that hears nobody goes on calling.
//!
//! Made visible by: A deposed leader that hears nothing and is heard, when its successor dies.
//!
//! Convicts it: BoundedReelection, by `workloads/museum/deposed-leader-heeded.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "deposed-leader-heeded",
    about: "the heartbeats of a deposed leader keep a follower from campaigning",
    replaces: "Rules::deposed_rearms_timer",
    instances: &[
        "https://github.com/butaneprotocol/oracles/pull/32",
        "https://github.com/databendlabs/openraft/pull/1840",
    ],
    configuration: "check-quorum off, so that a leader that hears nobody goes on calling",
    plan: "5 nodes behind proxies, which keep one way of a connection open when the other is cut: cut the leader off until it has a \
        successor; then open the way from it and keep the way to it closed, and kill the successor",
    property: "BoundedReelection",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(DeposedLeaderHeeded),
};

/// The heartbeats of a deposed leader keep a follower from campaigning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct DeposedLeaderHeeded;

impl Rules for DeposedLeaderHeeded {
    fn deposed_rearms_timer(&self) -> bool {
        true
    }
}
