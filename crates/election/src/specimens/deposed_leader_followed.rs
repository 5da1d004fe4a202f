//! `deposed-leader-followed`: a follower follows any leader, also one of an older term than its own.
//!
//! Broken rule: "if a server receives a request with a stale term number, it rejects the request" (paper §5.1).
//!
//! Seen in:
//! - nebula #2405: <https://github.com/vesoft-inc/nebula/issues/2405>
//! - nebula #685: <https://github.com/vesoft-inc/nebula/issues/685>
//!
//! Shows with: check-quorum off, so that a leader that was cut off still calls.
//!
//! Made visible by: A deposed leader that is heard again: followers believe in it, in the term of its successor.
//!
//! Convicts it: ElectionSafety, by `workloads/museum/deposed-leader-followed.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;
use crate::types::Term;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "deposed-leader-followed",
    about: "a follower follows any leader, also one of an older term than its own",
    replaces: "Rules::is_deposed",
    instances: &["https://github.com/vesoft-inc/nebula/issues/2405", "https://github.com/vesoft-inc/nebula/issues/685"],
    configuration: "check-quorum off, so that a leader that was cut off still calls",
    plan: "5 nodes: cut the leader off until it has a successor; then open the way from it and keep the way to it closed",
    property: "ElectionSafety",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(DeposedLeaderFollowed),
};

/// A follower follows any leader, also one of an older term than its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct DeposedLeaderFollowed;

impl Rules for DeposedLeaderFollowed {
    fn is_deposed(&self, _message: Term, _own: Term) -> bool {
        false
    }
}
