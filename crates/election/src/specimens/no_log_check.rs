//! `no-log-check`: a voter votes without comparing logs.
//!
//! Broken rule: "the voter denies its vote if its own log is more up-to-date than that of the candidate" (paper §5.4.1).
//!
//! Seen in:
//! - the paper's own argument for the rule: <https://raft.github.io/raft.pdf>
//! - OSDI 2018 study, bad leaders: <https://www.usenix.org/conference/osdi18/presentation/alquraan>
//!
//! Shows with: default options.
//!
//! Made visible by: A node that has missed committed entries and campaigns first: it wins, and its followers throw those
//! entries away.
//!
//! Convicts it: Linearizable, by `workloads/museum/no-log-check.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;
use crate::types::{LogIndex, Term};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "no-log-check",
    about: "a voter votes without comparing logs",
    replaces: "Rules::up_to_date",
    instances: &["https://raft.github.io/raft.pdf", "https://www.usenix.org/conference/osdi18/presentation/alquraan"],
    configuration: "default options",
    plan: "5 nodes, of which one has the shortest timeouts: cut that one off while clients write, then cut the leader off \
        and let it back in. It wins without the writes that were acknowledged meanwhile",
    property: "Linearizable",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(NoLogCheck),
};

/// A voter votes without comparing logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct NoLogCheck;

impl Rules for NoLogCheck {
    fn up_to_date(&self, _candidate: (Term, LogIndex), _voter: (Term, LogIndex)) -> bool {
        true
    }
}
