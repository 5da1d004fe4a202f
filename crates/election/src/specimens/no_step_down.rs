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

use crate::raft::{Rules, StepDown};

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
