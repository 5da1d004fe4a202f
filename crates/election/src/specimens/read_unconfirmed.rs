//! `read-unconfirmed`: a leader answers linearizable reads from what it has, without asking whether it still leads.
//!
//! Broken rule: "the leader needs to make sure it has not been superseded by a newer leader of which it is unaware" (thesis
//! §6.4). Leader and term are checked, the quorum is not.
//!
//! Seen in xraft #40 and atomix #1013, and in etcd and Consul of 2014 (aphyr.com/posts/316).
//!
//! Made visible by a leader that was deposed and does not know it. The stale window opens with the successor's first commit and
//! closes when the old leader steps down. Isolation: the successor comes `T_min` + about `R / (s + 1)` after the cut (`R` the
//! spread of the timeouts, `s` the followers that time out), CheckQuorum ends the old leader `T_max` to `T_max` + heartbeat after
//! it: with 150–300/40 ms and five nodes from about 190 to 320 ms, so 100 ms or more of stale reads per cut. Readers must be
//! pinned to every node, or stay with the old leader through errors, and writers must reach the successor. Pause: reads that
//! queue in the old leader's sockets are served at the resume if they are read before the timer or the successor's message. With
//! `check_quorum` off the window of an isolated leader lasts as long as the partition: certain conviction.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::{ReadConsistency, ReadPath, Rules};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "read-unconfirmed",
    about: "a leader answers linearizable reads without asking whether it still leads",
    replaces: "Rules::read_path",
    instances: &[
        "https://github.com/xnnyygn/xraft/issues/40",
        "https://github.com/atomix/atomix/issues/1013",
        "https://aphyr.com/posts/316",
    ],
    configuration: "check-quorum off widens the window from 100 ms to that of the cut",
    plan: "3 or 5 nodes, readers pinned to every node at 100/s or more and a writer elsewhere: isolate the leader for 1 s, \
        or pause it for 150 to 1350 ms with reads in its sockets, again and again. It serves its old state from the \
        successor's first commit (from about 150 ms) to its own step-down (at 300 to 340 ms). Without check-quorum the \
        window lasts as long as the partition",
    property: "Linearizable",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(ReadUnconfirmed),
};

/// A leader that trusts itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadUnconfirmed;

impl Rules for ReadUnconfirmed {
    fn read_path(&self, _consistency: ReadConsistency, _lease_valid: bool) -> ReadPath {
        ReadPath::AtOnce
    }
}
