//! `no-step-down`: once leader, always leader.
//!
//! Broken rules: "If a candidate or leader discovers that its term is out of date, it immediately reverts to follower state"
//! (paper §5.1) and CheckQuorum (thesis §6.2).
//!
//! Seen in ratis #149, etcd #4779 and neo4j #8266 (no step-down without a quorum), openraft #2080 (a leader without a quorum
//! keeps heartbeating).
//!
//! Made visible by any fault that deposes a leader and leaves its process alive: isolate or pause it for longer than the longest
//! election timeout plus an election, then heal. It claims its old term for ever: NoStaleLeaderAfterHeal, LeaderOverlap without
//! bound. It ignores its successor, so its log stays behind; in a cluster of three the next crash then stops all progress
//! (BoundedReelection). Writes sent to it never end (`Info`), local reads on it are stale; linearizable reads are not, for
//! the round is never answered. No option hides it: both causes are refused.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::{Rules, StepDown};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "no-step-down",
    about: "a leader stays one, whatever newer terms it hears of and however few followers answer",
    replaces: "Rules::steps_down",
    instances: &[
        "https://github.com/apache/ratis/pull/149",
        "https://github.com/etcd-io/etcd/pull/4779",
        "https://github.com/neo4j/neo4j/pull/8266",
        "https://github.com/databendlabs/openraft/issues/2080",
    ],
    configuration: "default options",
    plan: "3 or 5 nodes: isolate or pause the leader for 1 s, then heal. It still claims its old term beside its successor",
    property: "NoStaleLeaderAfterHeal",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(NoStepDown),
};

/// A leader that never gives up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoStepDown;

impl Rules for NoStepDown {
    fn steps_down(&self, cause: StepDown) -> bool {
        match cause {
            StepDown::HigherTerm | StepDown::QuorumLost => false,
            StepDown::Removed => true,
        }
    }
}
