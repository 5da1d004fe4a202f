//! `leader-counted-twice`: a leader needs one follower too few to commit.
//!
//! Broken rule: an entry is committed "once the leader that created the entry has replicated it on a majority of the servers"
//! (paper §5.3).
//!
//! Seen in:
//! - openraft #1802: <https://github.com/databendlabs/openraft/issues/1802>
//! - nats-server #6944: <https://github.com/nats-io/nats-server/pull/6944>
//! - nats-server #6072: <https://github.com/nats-io/nats-server/pull/6072>
//! - nats-server #7209: <https://github.com/nats-io/nats-server/pull/7209>
//!
//! Shows with: default options.
//!
//! Made visible by: A leader that loses its majority and has not noticed yet: it acknowledges what too few have. With three
//! nodes it acknowledges alone.
//!
//! Convicts it: Linearizable, by `workloads/museum/leader-counted-twice.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "leader-counted-twice",
    about: "a leader needs one follower too few to commit",
    replaces: "Rules::commit_quorum",
    instances: &[
        "https://github.com/databendlabs/openraft/issues/1802",
        "https://github.com/nats-io/nats-server/pull/6944",
        "https://github.com/nats-io/nats-server/pull/6072",
        "https://github.com/nats-io/nats-server/pull/7209",
    ],
    configuration: "default options",
    plan: "3 nodes: cut the leader off while clients write, again and again. What it acknowledges before it steps down is \
        lost",
    property: "Linearizable",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(LeaderCountedTwice),
};

/// A leader needs one follower too few to commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct LeaderCountedTwice;

impl Rules for LeaderCountedTwice {
    fn commit_quorum(&self, members: usize) -> usize {
        (members / 2).max(1)
    }
}
