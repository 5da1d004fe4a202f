//! `prior-term-commit`: a leader commits entries of earlier terms by counting replicas.
//!
//! Broken rule: "only log entries from the leader's current term are committed by counting replicas" (paper §5.4.2, Fig. 8).
//!
//! Seen in:
//! - logcabin #44: <https://github.com/logcabin/logcabin/issues/44>
//! - PySyncObj #169: <https://github.com/bakwc/PySyncObj/issues/169>
//! - CCF #5748: <https://github.com/microsoft/CCF/pull/5748>
//!
//! Shows with: entries that travel one by one (`max_batch_entries` 1).
//!
//! Made visible by: Figure 8: an old entry reaches a majority without the no-op of the term in which it does, is committed, and
//! is overwritten by a leader that never had it. This node ships an old entry and its no-op in one message, so that the mistake
//! can't show with its own batches.
//!
//! Convicts it: Linearizable, in untimed walks and by the script: a batching leader ships an old entry together with
//! its no-op.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;
use crate::types::Term;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "prior-term-commit",
    about: "a leader commits entries of earlier terms by counting replicas",
    replaces: "Rules::may_commit",
    instances: &[
        "https://github.com/logcabin/logcabin/issues/44",
        "https://github.com/bakwc/PySyncObj/issues/169",
        "https://github.com/microsoft/CCF/pull/5748",
    ],
    configuration: "entries that travel one by one (`max_batch_entries` 1)",
    plan: "none: a batching leader ships an old entry together with its no-op",
    property: "Linearizable",
    shown: Shown::ByWalks("a batching leader ships an old entry together with its no-op"),
    clock: ClockKind::Monotonic,
    start: |start| start.with(PriorTermCommit),
};

/// A leader commits entries of earlier terms by counting replicas.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct PriorTermCommit;

impl Rules for PriorTermCommit {
    fn may_commit(&self, _entry: Term, _current: Term) -> bool {
        true
    }
}
