//! `changes-at-once`: a leader changes several members in one step.
//!
//! Broken rule: "only one server can be added or removed from the cluster at a time", so that old and new majorities overlap
//! (thesis §4.1).
//!
//! Seen in:
//! - async-raft #62: <https://github.com/async-raft/async-raft/issues/62>
//! - GitHub's ZooKeeper incident: <https://arpitbhayani.me/videos/what-happens-when-zookeeper-gets-multiple-leaders/>
//!
//! Shows with: default options, members that are replaced several at a time.
//!
//! Made visible by: A change by two members of which a minority hears: it elects by the old members and the rest by the new
//! ones.
//!
//! Convicts it: ElectionSafety, in untimed walks and by the script: the node's own interface has no words for a change
//! of several members.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::{ChangeRequest, ChangeVerdict, Rules};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "changes-at-once",
    about: "a leader changes several members in one step",
    replaces: "Rules::membership_change",
    instances: &[
        "https://github.com/async-raft/async-raft/issues/62",
        "https://arpitbhayani.me/videos/what-happens-when-zookeeper-gets-multiple-leaders/",
    ],
    configuration: "default options, members that are replaced several at a time",
    plan: "none: the node's own interface has no words for a change of several members",
    property: "ElectionSafety",
    shown: Shown::ByWalks("the node's own interface has no words for a change of several members"),
    clock: ClockKind::Monotonic,
    start: |start| start.with(ChangesAtOnce),
};

/// A leader changes several members in one step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct ChangesAtOnce;

impl Rules for ChangesAtOnce {
    fn membership_change(&self, _change: ChangeRequest<'_>) -> ChangeVerdict {
        ChangeVerdict::Accept
    }
}
