//! `refusal-rearms-timer`: a voter that refuses its vote starts to wait anew.
//!
//! Broken rule: "without receiving AppendEntries RPC from current leader or granting vote to candidate: convert to candidate"
//! (paper Fig. 2).
//!
//! Seen in:
//! - akka-raft #43: <https://github.com/ktoso/akka-raft/issues/43>
//!
//! Shows with: pre-vote and stickiness off.
//!
//! Made visible by: A node that can't win, for its log is behind, and campaigns more often than the others wait: they never
//! campaign.
//!
//! Convicts it: BoundedReelection, by `workloads/museum/refusal-rearms-timer.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "refusal-rearms-timer",
    about: "a voter that refuses its vote starts to wait anew",
    replaces: "Rules::vote_rearms_timer",
    instances: &["https://github.com/ktoso/akka-raft/issues/43"],
    configuration: "pre-vote and stickiness off",
    plan: "5 nodes, of which one has the shortest timeouts: cut that one off while clients write, then let it in and kill \
        the leader",
    property: "BoundedReelection",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(RefusalRearmsTimer),
};

/// A voter that refuses its vote starts to wait anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct RefusalRearmsTimer;

impl Rules for RefusalRearmsTimer {
    fn vote_rearms_timer(&self, _granted: bool) -> bool {
        true
    }
}
