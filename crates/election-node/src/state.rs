//! What the node says about itself: published by the protocol thread after every batch, read by everybody else.
//!
//! A reader never asks the protocol thread, so an observer that polls every few milliseconds costs it nothing. What is
//! published is durable: a term or a role appears only after the write that must precede it. And it is current: whoever reads
//! it checks `deadline`; once that has passed, the protocol thread owes a step (a leader may be about to find that its
//! quorum is gone; the process may just have been resumed), and the reader waits for the next publication instead of
//! repeating what may be over.

use std::sync::Arc;
use std::time::Duration;

use election::raft::{Role, Status};
use election::{LogIndex, Nanos, NodeId, Term};
use serde::{Serialize, Serializer};
use tokio::sync::watch;

use crate::clock::{Clock, Reading};

/// How late the protocol thread may be before readers wait for it.
const GRACE: Duration = Duration::from_millis(2);
/// How long readers wait for it at most; its disk may be stuck, and then the old state is all there is, with its date.
const PATIENCE: Duration = Duration::from_millis(100);

/// The node's own view, as of one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) id: NodeId,
    pub(crate) incarnation: u64,
    pub(crate) term: Term,
    pub(crate) role: Role,
    pub(crate) leader: Option<NodeId>,
    pub(crate) voted_for: Option<NodeId>,
    pub(crate) commit: LogIndex,
    pub(crate) last: LogIndex,
    pub(crate) snapshot: LogIndex,
    pub(crate) members: Vec<NodeId>,
    /// When the lease ends, on the node's clock.
    lease_until: Option<Nanos>,
    /// When a leader steps down that nobody answers any more, on the node's clock.
    quorum_until: Option<Nanos>,
    /// When this was true.
    pub(crate) as_of: Reading,
    /// When the protocol thread looks again at the latest.
    deadline: Nanos,
    pub(crate) specimen: Option<&'static str>,
}

impl State {
    /// What the protocol says, dressed for readers.
    pub(crate) fn new(
        status: Status,
        deadline: Nanos,
        as_of: Reading,
        incarnation: u64,
        specimen: Option<&'static str>,
    ) -> Self {
        Self {
            id: status.id,
            incarnation,
            term: status.term,
            role: status.role,
            leader: status.leader,
            voted_for: status.voted_for,
            commit: status.commit,
            last: status.last_index,
            snapshot: status.snapshot_index,
            members: status.members.iter().copied().collect(),
            lease_until: status.lease_remaining.map(|remaining| as_of.node + remaining),
            quorum_until: status.quorum_remaining.map(|remaining| as_of.node + remaining),
            as_of,
            deadline,
            specimen,
        }
    }

    /// The JSON object of `GET /status`, without a line end.
    pub(crate) fn status_json(&self, now: Reading) -> String {
        let remaining = self.lease_until.map(|until| until.since(now.node)).filter(|left| !left.is_zero());
        let view = StatusView {
            id: Name(self.id),
            incarnation: self.incarnation,
            term: self.term.0,
            role: role_name(self.role),
            leader: self.leader.map(Name),
            voted_for: self.voted_for.map(Name),
            commit: self.commit.0,
            last: self.last.0,
            snapshot: self.snapshot.0,
            members: self.members.iter().copied().map(Name).collect(),
            lease_remaining_ns: remaining.map(|left| u64::try_from(left.as_nanos()).unwrap_or(u64::MAX)),
            quorum_remaining_ns: self
                .quorum_until
                .map(|until| u64::try_from(until.since(now.node).as_nanos()).unwrap_or(u64::MAX)),
            as_of_ns: self.as_of.monotonic_ns,
            now_ns: now.monotonic_ns,
            clock_ns: now.node.0,
            specimen: self.specimen,
        };
        serde_json::to_string(&view).expect("a view has string keys and finite numbers")
    }

    /// One line of `GET /events`: what happened, when, and the state right after it.
    pub(crate) fn event_line(&self, kind: &str, at: Reading, detail: Detail) -> String {
        let view = EventView {
            kind,
            monotonic_ns: at.monotonic_ns,
            clock_ns: at.node.0,
            id: Name(self.id),
            incarnation: self.incarnation,
            term: self.term.0,
            role: role_name(self.role),
            leader: self.leader.map(Name),
            voted_for: self.voted_for.map(Name),
            commit: self.commit.0,
            detail,
        };
        let mut line = serde_json::to_string(&view).expect("a view has string keys and finite numbers");
        line.push('\n');
        line
    }
}

/// What an event has beyond the state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Detail {
    /// Of `granted`: the candidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<Name>,
    /// Of `members_changed` and `committed_overwritten`: the log entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) index: Option<u64>,
    /// Of `lagged`: how many lines this reader was too slow for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) missed: Option<u64>,
}

#[derive(Serialize)]
struct StatusView {
    id: Name,
    incarnation: u64,
    term: u64,
    role: &'static str,
    leader: Option<Name>,
    voted_for: Option<Name>,
    commit: u64,
    last: u64,
    snapshot: u64,
    members: Vec<Name>,
    lease_remaining_ns: Option<u64>,
    quorum_remaining_ns: Option<u64>,
    as_of_ns: u64,
    now_ns: u64,
    clock_ns: u64,
    specimen: Option<&'static str>,
}

#[derive(Serialize)]
struct EventView<'a> {
    kind: &'a str,
    monotonic_ns: u64,
    clock_ns: u64,
    id: Name,
    incarnation: u64,
    term: u64,
    role: &'static str,
    leader: Option<Name>,
    voted_for: Option<Name>,
    commit: u64,
    detail: Detail,
}

/// A node as JSON: `"n3"`, in whatever life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) NodeId);

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.name())
    }
}

/// The word for a role in JSON.
pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Follower => "follower",
        Role::PreCandidate => "pre_candidate",
        Role::Candidate => "candidate",
        Role::Leader => "leader",
    }
}

/// The reading end of the published state.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    receiver: watch::Receiver<Arc<State>>,
    clock: Clock,
}

impl Published {
    /// Reads what `receiver`'s sender publishes.
    pub(crate) fn new(receiver: watch::Receiver<Arc<State>>, clock: Clock) -> Self {
        Self { receiver, clock }
    }

    /// The last state, whatever its age.
    pub(crate) fn latest(&self) -> Arc<State> {
        Arc::clone(&self.receiver.borrow())
    }

    /// The state and the time, waiting a moment if the protocol thread is overdue.
    pub(crate) async fn current(&self) -> (Arc<State>, Reading) {
        let state = self.latest();
        let now = self.clock.read();
        if now.node <= state.deadline + GRACE {
            return (state, now);
        }
        drop(state);
        let mut receiver = self.receiver.clone();
        let wait = receiver.wait_for(|state| self.clock.read().node <= state.deadline + GRACE);
        // After the wait, in time or not, the newest state there is.
        let _ = tokio::time::timeout(PATIENCE, wait).await;
        (self.latest(), self.clock.read())
    }
}
