//! `rejection-advances-match`: a leader takes a rejection for an acknowledgement.
//!
//! Broken rule: a rejection proves nothing about the follower's log; what it carries is a hint (paper §5.3).
//!
//! Seen in:
//! - CCF #2835: <https://github.com/microsoft/CCF/pull/2835>
//! - CCF #5674: <https://github.com/microsoft/CCF/issues/5674>
//!
//! Shows with: check-quorum off, so that a leader that is cut off goes on appending.
//!
//! Made visible by: a follower that comes back with entries of its own, under a leader that was elected later and knows nothing
//! of them: it believes that they agree where they don't, never goes back further, and the follower never catches up. Once that
//! is a majority nothing is committed any more, although everybody is up and connected.
//!
//! Convicts it: Recovers, by `workloads/museum/rejection-advances-match.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;
use crate::types::LogIndex;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "rejection-advances-match",
    about: "a leader takes a rejection for an acknowledgement",
    replaces: "Rules::acknowledged",
    instances: &["https://github.com/microsoft/CCF/pull/2835", "https://github.com/microsoft/CCF/issues/5674"],
    configuration: "check-quorum off, so that a leader that is cut off goes on appending",
    plan: "3 nodes: cut one leader after the other off while clients write to it, change leaders several times meanwhile, \
        heal, and wait for a write. Two of three logs are stuck then",
    property: "Recovers",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(RejectionAdvancesMatch),
};

/// A leader takes a rejection for an acknowledgement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct RejectionAdvancesMatch;

impl Rules for RejectionAdvancesMatch {
    fn acknowledged(&self, _accepted: bool, index: LogIndex) -> Option<LogIndex> {
        Some(index)
    }
}
