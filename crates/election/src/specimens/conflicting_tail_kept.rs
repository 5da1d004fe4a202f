//! `conflicting-tail-kept`: a follower keeps its own entries where the leader's are different.
//!
//! Broken rule: "if an existing entry conflicts with a new one (same index but different terms), delete the existing entry and
//! all that follow it" (paper Fig. 2).
//!
//! Seen in:
//! - mofa #1151: <https://github.com/mofa-org/mofa/pull/1151>
//!
//! Shows with: check-quorum off, so that a leader that is cut off goes on appending.
//!
//! Made visible by: A leader that comes back with entries of its own: it says that it has the successor's entries and applies
//! its own ones in their place. Whoever reads from it as a later leader sees another past.
//!
//! Convicts it: Linearizable, by `workloads/museum/conflicting-tail-kept.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;
use crate::types::Term;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "conflicting-tail-kept",
    about: "a follower keeps its own entries where the leader's are different",
    replaces: "Rules::conflicts",
    instances: &["https://github.com/mofa-org/mofa/pull/1151"],
    configuration: "check-quorum off, so that a leader that is cut off goes on appending",
    plan: "3 nodes and many keys: cut the leader off while its clients keep writing to it, heal, and cut the next one off, \
        again and again, until one that has kept its tail leads",
    property: "Linearizable",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(ConflictingTailKept),
};

/// A follower keeps its own entries where the leader's are different.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct ConflictingTailKept;

impl Rules for ConflictingTailKept {
    fn conflicts(&self, _existing: Term, _incoming: Term) -> bool {
        false
    }
}
