//! `ignores-newer-term`: a leader does not mind newer terms.
//!
//! Broken rule: "if a candidate or leader discovers that its term is out of date, it immediately reverts to follower state"
//! (paper §5.1).
//!
//! Seen in:
//! - nats-server #5021, a reply that hides the newer term: <https://github.com/nats-io/nats-server/pull/5021>
//! - etcd #15247, a deposed leader that goes on: <https://github.com/etcd-io/etcd/issues/15247>
//!
//! Shows with: check-quorum off (it makes up for the mistake: nobody answers a deposed leader).
//!
//! Made visible by: any fault that deposes a leader and leaves its process alive: after the heal it still claims its old term.
//!
//! Convicts it: NoStaleLeaderAfterHeal, by `workloads/museum/ignores-newer-term.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::{Rules, StepDown};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "ignores-newer-term",
    about: "a leader does not mind newer terms",
    replaces: "Rules::steps_down",
    instances: &["https://github.com/nats-io/nats-server/pull/5021", "https://github.com/etcd-io/etcd/issues/15247"],
    configuration: "check-quorum off (it makes up for the mistake: nobody answers a deposed leader)",
    plan: "5 nodes: cut the leader off until it has a successor, then heal",
    property: "NoStaleLeaderAfterHeal",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(IgnoresNewerTerm),
};

/// A leader does not mind newer terms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct IgnoresNewerTerm;

impl Rules for IgnoresNewerTerm {
    fn steps_down(&self, cause: StepDown) -> bool {
        match cause {
            StepDown::HigherTerm => false,
            StepDown::QuorumLost | StepDown::Removed => true,
        }
    }
}
