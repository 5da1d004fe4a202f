//! `old-snapshot-taken`: a follower takes any snapshot, also one that is older than what it has.
//!
//! Broken rule: "retain log entries following it" if the follower already has what a snapshot describes (paper §7).
//!
//! Seen in:
//! - willemt/raft #118: <https://github.com/willemt/raft/pull/118>
//!
//! Shows with: a small `snapshot_threshold`.
//!
//! Made visible by: A snapshot that arrives twice, or late: state machine and commit index go back. A connection delivers it
//! once and in order.
//!
//! Convicts it: Linearizable, in untimed walks and by the script: an old message must arrive after newer ones, which
//! connections don't do.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;
use crate::types::LogIndex;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "old-snapshot-taken",
    about: "a follower takes any snapshot, also one that is older than what it has",
    replaces: "Rules::accepts_snapshot",
    instances: &["https://github.com/willemt/raft/pull/118"],
    configuration: "a small `snapshot_threshold`",
    plan: "none: an old message must arrive after newer ones, which connections don't do",
    property: "Linearizable",
    shown: Shown::ByWalks("an old message must arrive after newer ones, which connections don't do"),
    clock: ClockKind::Monotonic,
    start: |start| start.with(OldSnapshotTaken),
};

/// A follower takes any snapshot, also one that is older than what it has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct OldSnapshotTaken;

impl Rules for OldSnapshotTaken {
    fn accepts_snapshot(&self, _snapshot: LogIndex, _commit: LogIndex) -> bool {
        true
    }
}
