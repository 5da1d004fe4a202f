//! `vote-erased-on-step-down`: a voter that steps back to following within a term forgets its vote of that term.
//!
//! Broken rule: the vote belongs to the term ("votedFor: candidateId that received vote in current term", paper Fig. 2) and not
//! to the role.
//!
//! Seen in:
//! - redpanda #14: <https://github.com/redpanda-data/redpanda/pull/14>
//! - hazelcast #16643: <https://github.com/hazelcast/hazelcast/pull/16643>
//! - camunda #5356: <https://github.com/camunda/camunda/issues/5356>
//! - camunda #5368: <https://github.com/camunda/camunda/pull/5368>
//! - nats-server #5314: <https://github.com/nats-io/nats-server/pull/5314>
//! - CCF #8094: <https://github.com/microsoft/CCF/pull/8094>
//! - akka-raft #56: <https://github.com/ktoso/akka-raft/issues/56>
//!
//! Shows with: pre-vote and stickiness off.
//!
//! Made visible by: A voter hears an *empty* heartbeat of the leader that it has elected, which makes it a follower anew, and
//! then a candidate of the same term whose log is as good as its own. A heartbeat with the term's no-op hides it, since the
//! voter's log is then the better one: so the first message of the new leader must be lost and a later, empty one arrive before
//! it is sent again. That takes the loss of single messages; TCP sends again in order.
//!
//! Convicts it: SingleVote, in untimed walks and by the script: a message must be lost between two that arrive, which
//! connections don't do.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;
use crate::types::NodeId;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "vote-erased-on-step-down",
    about: "a voter that steps back to following within a term forgets its vote of that term",
    replaces: "Rules::vote_after_step_down",
    instances: &[
        "https://github.com/redpanda-data/redpanda/pull/14",
        "https://github.com/hazelcast/hazelcast/pull/16643",
        "https://github.com/camunda/camunda/issues/5356",
        "https://github.com/camunda/camunda/pull/5368",
        "https://github.com/nats-io/nats-server/pull/5314",
        "https://github.com/microsoft/CCF/pull/8094",
        "https://github.com/ktoso/akka-raft/issues/56",
    ],
    configuration: "pre-vote and stickiness off",
    plan: "none: a message must be lost between two that arrive, which connections don't do",
    property: "SingleVote",
    shown: Shown::ByWalks("a message must be lost between two that arrive, which connections don't do"),
    clock: ClockKind::Monotonic,
    start: |start| start.with(VoteErasedOnStepDown),
};

/// A voter that steps back to following within a term forgets its vote of that term.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct VoteErasedOnStepDown;

impl Rules for VoteErasedOnStepDown {
    fn vote_after_step_down(&self, _voted_for: Option<NodeId>) -> Option<NodeId> {
        None
    }
}
