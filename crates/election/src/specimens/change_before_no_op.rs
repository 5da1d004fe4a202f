//! `change-before-no-op`: a leader changes the members before an entry of its own term is committed.
//!
//! Broken rule: "a leader may not append a configuration entry until it has committed an entry from its term" (Ongaro,
//! raft-dev, July 2015).
//!
//! Seen in:
//! - bug in single-server membership changes: <https://groups.google.com/g/raft-dev/c/t4xj6dJTP6E/m/d2D9LrWRza8J>
//!
//! Shows with: four nodes, two leaders that each remove one.
//!
//! Made visible by: two leaders, of which each takes out another member before it has committed anything of its term: two
//! majorities without a common member. It takes an operator who asks a deposed leader, which a majority no longer names.
//!
//! Convicts it: Linearizable, in untimed walks and by the script: a plan asks the leader that a majority names, and
//! this takes a change by one that is named no more.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::{ChangeRequest, ChangeVerdict, Rules, Sound};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "change-before-no-op",
    about: "a leader changes the members before an entry of its own term is committed",
    replaces: "Rules::membership_change",
    instances: &["https://groups.google.com/g/raft-dev/c/t4xj6dJTP6E/m/d2D9LrWRza8J"],
    configuration: "four nodes, two leaders that each remove one",
    plan: "none: a plan asks the leader that a majority names, and this takes a change by one that is named no more",
    property: "Linearizable",
    shown: Shown::ByWalks(
        "a plan asks the leader that a majority names, and this takes a change by one that is named no more",
    ),
    clock: ClockKind::Monotonic,
    start: |start| start.with(ChangeBeforeNoOp),
};

/// A leader changes the members before an entry of its own term is committed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct ChangeBeforeNoOp;

impl Rules for ChangeBeforeNoOp {
    fn membership_change(&self, change: ChangeRequest<'_>) -> ChangeVerdict {
        Sound.membership_change(ChangeRequest { noop_committed: true, ..change })
    }
}
