//! `local-reads`: every node answers linearizable reads from what it has applied itself.
//!
//! Broken rule: a linearizable read goes through the leader, and through a round of its own (thesis §6.4).
//!
//! Seen in:
//! - xraft #40: <https://github.com/xnnyygn/xraft/issues/40>
//! - etcd and Consul of 2014: <https://aphyr.com/posts/316>
//!
//! Shows with: default options, clients pinned to every node.
//!
//! Made visible by: any delay between commit and followers: they answer from the past, even without a fault.
//!
//! Convicts it: Linearizable, by `workloads/museum/local-reads.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use super::start::Wrapper;
use crate::raft::{Input, ReadConsistency};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "local-reads",
    about: "every node answers linearizable reads from what it has applied itself",
    replaces: "Wrapper::hears (reads)",
    instances: &["https://github.com/xnnyygn/xraft/issues/40", "https://aphyr.com/posts/316"],
    configuration: "default options, clients pinned to every node",
    plan: "5 nodes, readers pinned to every node: cut a follower off for a second, again and again",
    property: "Linearizable",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.behind(LocalReads),
};

/// Every node answers linearizable reads from what it has applied itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct LocalReads;

impl Wrapper for LocalReads {
    fn hears(&mut self, input: Input) -> Input {
        if let Input::Read { request, .. } = input {
            return Input::Read { request, consistency: ReadConsistency::Local };
        }
        input
    }
}
