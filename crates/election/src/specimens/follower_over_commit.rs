//! `follower-over-commit`: a follower commits as far as its leader has, whether or not its log agrees so far.
//!
//! Broken rule: "min(leaderCommit, index of last new entry)" (paper Fig. 2).
//!
//! Seen in:
//! - copycat #265: <https://github.com/atomix/copycat/issues/265>
//! - scylla #9965: <https://github.com/scylladb/scylladb/issues/9965>
//!
//! Shows with: default options.
//!
//! Made visible by: A follower with a tail of its own that hears a heartbeat without entries: the leader's commit index covers
//! entries of that tail. The heartbeat must arrive without the entries that were sent before it.
//!
//! Convicts it: Linearizable, in untimed walks and by the script: a message must be lost between two that arrive, which
//! connections don't do.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;
use crate::types::LogIndex;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "follower-over-commit",
    about: "a follower commits as far as its leader has, whether or not its log agrees so far",
    replaces: "Rules::follower_commit",
    instances: &["https://github.com/atomix/copycat/issues/265", "https://github.com/scylladb/scylladb/issues/9965"],
    configuration: "default options",
    plan: "none: a message must be lost between two that arrive, which connections don't do",
    property: "Linearizable",
    shown: Shown::ByWalks("a message must be lost between two that arrive, which connections don't do"),
    clock: ClockKind::Monotonic,
    start: |start| start.with(FollowerOverCommit),
};

/// A follower commits as far as its leader has, whether or not its log agrees so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct FollowerOverCommit;

impl Rules for FollowerOverCommit {
    fn follower_commit(&self, leader_commit: LogIndex, _verified: LogIndex) -> LogIndex {
        leader_commit
    }
}
