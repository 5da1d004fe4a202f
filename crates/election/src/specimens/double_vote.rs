//! `double-vote`: a voter gives its vote of a term to everyone who asks.
//!
//! Broken rule: "Each server will vote for at most one candidate in a given term" (paper §5.2).
//!
//! Seen in kerala #18 (no memory of votes) and, as "the vote is erased by a step-down within the term", in redpanda #14,
//! hazelcast #16643, camunda #5356, nats-server #5314 and CCF #8094.
//!
//! Made visible by two candidates of one term. Pre-vote does not hide it: pre-votes are not remembered, so all candidates of a
//! simultaneous timeout pass them. Stickiness does not either, since the contest starts when nobody hears a leader. With real
//! processes: pause or kill the leader, pause every follower within the shortest election timeout (so that no heartbeat waits in
//! their sockets), resume them all after more than the longest one. All campaign at once; several win the same term and live
//! long enough to be believed by their followers. ElectionSafety fails; the two logs of one term then break LogMatching and
//! linearizability.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;
use crate::types::NodeId;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "double-vote",
    about: "a voter gives its vote of a term to everyone who asks",
    replaces: "Rules::grants_vote",
    instances: &[
        "https://github.com/djjonno/kerala/issues/18",
        "https://github.com/redpanda-data/redpanda/pull/14",
        "https://github.com/hazelcast/hazelcast/pull/16643",
        "https://github.com/camunda/camunda/issues/5356",
        "https://github.com/nats-io/nats-server/pull/5314",
        "https://github.com/microsoft/CCF/pull/8094",
    ],
    configuration: "default options",
    plan: "5 nodes: kill or pause the leader, pause all followers before their timers run out (within 150 ms), resume them \
        together after 400 ms. All campaign for the same term at once and several win it. Equal shortest and longest \
        election timeouts make every failover such a contest",
    property: "ElectionSafety",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(DoubleVote),
};

/// A voter that has a vote for everyone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DoubleVote;

impl Rules for DoubleVote {
    fn grants_vote(&self, _voted_for: Option<NodeId>, _candidate: NodeId) -> bool {
        true
    }
}
