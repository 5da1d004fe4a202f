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

use crate::raft::Rules;
use crate::types::NodeId;

/// A voter that has a vote for everyone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DoubleVote;

impl Rules for DoubleVote {
    fn grants_vote(&self, _voted_for: Option<NodeId>, _candidate: NodeId) -> bool {
        true
    }
}
