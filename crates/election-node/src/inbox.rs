//! What reaches the protocol thread: messages of peers, requests of clients, the wish to stop.
//!
//! One bounded channel; putting something in never waits. When it is full a message of a peer is lost (every protocol copes) and a
//! client is told `busy` (definite: nothing happened), so a node that can't keep up says so instead of growing.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use election::raft::ReadConsistency;
use election::{LogIndex, NodeId, Term};
use tokio::sync::oneshot;

use crate::machine::{Command, Effect, Versioned};
use crate::metrics::Metrics;

/// The most deliveries that wait.
const CAPACITY: usize = 8192;

/// Something for the protocol thread.
#[derive(Debug)]
pub(crate) enum Delivery<M> {
    /// A peer said something.
    Message { from: NodeId, message: M },
    /// A peer has dialled: it is up, in this life.
    Met { from: NodeId },
    /// A client wants something.
    Request(Request),
    /// Finish and return.
    Stop,
}

/// A client's request and where its answer goes.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) action: Action,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// What a client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Replicate a command.
    Propose(Command),
    /// Read a key.
    Read { key: String, consistency: ReadConsistency },
    /// Move leadership.
    Transfer { to: Option<NodeId> },
    /// Make a node a member, in the life in which it was met last.
    AddMember(NodeId),
    /// Make a member none, in whatever life it is.
    RemoveMember(NodeId),
}

/// How a request ended.
pub(crate) type Answer = Result<Success, Denial>;

/// A request that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Success {
    /// The command is committed at this entry, with this effect.
    Applied { index: LogIndex, term: Term, effect: Effect },
    /// What the key holds.
    Value(Option<Versioned>),
    /// This node has handed its leadership over; who leads now, if that is known, and this node's term.
    Transferred { leader: Option<NodeId>, term: Term },
    /// The new members are committed.
    MembershipChanged { index: LogIndex, members: BTreeSet<NodeId> },
}

/// A request that was not done, or of which nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    /// Nothing happened: this node does not lead.
    NotLeader { leader: Option<NodeId> },
    /// Nothing happened: a limit is reached.
    Busy,
    /// Nothing happened, and never will.
    Invalid,
    /// Nothing happened: another node did not catch up in time.
    GivenUp,
    /// Leadership was lost half-way: it may have happened, or may happen yet.
    Superseded,
}

/// Puts deliveries in.
#[derive(Debug, Clone)]
pub(crate) struct Inbox<M> {
    sender: SyncSender<Delivery<M>>,
    metrics: Arc<Metrics>,
}

/// The way in for requests, which are the same whatever the protocol.
pub(crate) trait Requests: Debug + Send + Sync {
    /// Delivers a request; the receiver of its answer, or `None` if there is no room.
    fn request(&self, action: Action) -> Option<oneshot::Receiver<Answer>>;
}

impl<M: Debug + Send> Requests for Inbox<M> {
    fn request(&self, action: Action) -> Option<oneshot::Receiver<Answer>> {
        let (answer, receiver) = oneshot::channel();
        self.sender.try_send(Delivery::Request(Request { action, answer })).ok().map(|()| receiver)
    }
}

impl<M> Inbox<M> {
    /// An inbox and its reading end.
    pub(crate) fn new(metrics: Arc<Metrics>) -> (Self, Receiver<Delivery<M>>) {
        let (sender, receiver) = sync_channel(CAPACITY);
        (Self { sender, metrics }, receiver)
    }

    /// Delivers a message of a peer, or loses it.
    pub(crate) fn message(&self, from: NodeId, message: M) {
        self.metrics.messages_received.fetch_add(1, Relaxed);
        if self.sender.try_send(Delivery::Message { from, message }).is_err() {
            self.metrics.messages_dropped_in.fetch_add(1, Relaxed);
        }
    }

    /// Tells of a peer that has dialled, or doesn't: it will dial again.
    pub(crate) fn met(&self, from: NodeId) {
        let _ = self.sender.try_send(Delivery::Met { from });
    }

    /// Asks the protocol thread to return; waits for room.
    pub(crate) fn stop(&self) {
        // A closed channel means that the thread has returned already.
        let _ = self.sender.send(Delivery::Stop);
    }
}
