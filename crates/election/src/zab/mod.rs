//! ZooKeeper's election: votes spread until a majority agrees on a candidate, and that candidate leads once a majority has entered
//! a new epoch with it.
//!
//! *Fast leader election* finds a candidate: every looking node votes, at first for itself, tells all others, and takes over each
//! vote that is better than its own: of a newer epoch, or in the same of a higher node. When a majority votes alike, and no better
//! vote comes for a heartbeat, that is the candidate. It is a guess that costs no safety. *Discovery* makes a leader of it: those
//! who follow tell the newest epoch that they have accepted (`FollowerInfo`); the candidate proposes one above all of a majority
//! (`NewEpoch`), which each accepts once and from one node only, durably. *Synchronization* is what is left of it without a log:
//! the followers make the epoch their current one (`NewLeader`), and when a majority has, the candidate leads, and says so
//! (`UpToDate`).
//!
//! ```text
//! looking ─Notification→ all … a majority agrees on n3
//! n1, n2 ─FollowerInfo→ n3 ─NewEpoch 7→ n1, n2 ─AckEpoch→ n3 ─NewLeader→ n1, n2 ─AckNewLeader→ n3 leads ─UpToDate→ n1, n2
//! ```
//!
//! **What it promises.** One leader per epoch: two majorities have a node in common, and that accepts an epoch from one candidate
//! only. Who leads has the newest current epoch of a majority, so whatever an earlier leader could have committed. Not one leader
//! at a time: a leader that is cut off or paused learns of its successor only when it misses its majority (`timeout_max`). A
//! minority has no leader.
//!
//! *Term* is the accepted epoch. Persisted are the accepted epoch with the candidate that it was accepted from, as term and vote,
//! and the current epoch, as the one entry of a log whose only content it is.
//!
//! Messages per election: between (n − 1)² and more, as votes are changed, for the notifications, and 6 (n − 1) for the rest.
//!
//! Sources: F. Junqueira, B. Reed and M. Serafini, "Zab: High-performance broadcast for primary-backup systems", DSN 2011, §V
//! (phases 1 and 2); A. Medeiros, "ZooKeeper's atomic broadcast protocol: theory and practice", Aalto University 2012, §3.2 (fast
//! leader election), §4; Apache ZooKeeper, `FastLeaderElection.java` (the answer to who looks late, the wait for better votes).
//! There is no transaction log here, so a vote has the epoch alone where ZooKeeper's has the last transaction.

mod looking;
mod node;
mod serving;

use serde::{Deserialize, Serialize};

use crate::member;
use crate::protocol::{Algorithm, Kind, Protocol};
use crate::raft::{Input, Output, Status};
use crate::types::{Nanos, NodeId, Term};

pub use self::node::Zab;

/// Whom a node wants, and what that one has to show. The order is that of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Vote {
    /// The current epoch of the candidate.
    pub epoch: Term,
    /// The candidate.
    pub candidate: NodeId,
}

/// What the sender of a notification is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Doing {
    /// It looks for a leader.
    Looking,
    /// It follows its candidate.
    Following,
    /// It is the candidate.
    Leading,
}

/// What nodes say to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// My vote.
    Notification {
        /// The sender's round of voting; votes of other rounds don't count together.
        round: u64,
        /// The vote.
        vote: Vote,
        /// What the sender is doing.
        doing: Doing,
    },
    /// To the candidate: I follow you, and have accepted this epoch.
    FollowerInfo {
        /// The epoch accepted last.
        accepted: Term,
        /// From whom.
        of: Option<NodeId>,
    },
    /// From the candidate: let this be the epoch.
    NewEpoch {
        /// The epoch.
        epoch: Term,
    },
    /// It is accepted.
    AckEpoch {
        /// The epoch.
        epoch: Term,
        /// The follower's current epoch until now.
        current: Term,
    },
    /// From the candidate: make it your current epoch.
    NewLeader {
        /// The epoch.
        epoch: Term,
    },
    /// It is.
    AckNewLeader {
        /// The epoch.
        epoch: Term,
    },
    /// From the leader: a majority has entered the epoch.
    UpToDate {
        /// The epoch.
        epoch: Term,
    },
    /// From the leader: I am here.
    Ping {
        /// The epoch.
        epoch: Term,
    },
    /// So am I.
    Pong {
        /// The epoch.
        epoch: Term,
    },
}

impl Protocol for Zab {
    const ALGORITHM: Algorithm = Algorithm::Zab;
    const KINDS: &'static [Kind] = &[
        Kind::electing("notification"),
        Kind::electing("follower_info"),
        Kind::electing("new_epoch"),
        Kind::electing("ack_epoch"),
        Kind::electing("new_leader"),
        Kind::electing("ack_new_leader"),
        Kind::electing("up_to_date"),
        Kind::keeping("ping"),
        Kind::keeping("pong"),
    ];

    type Message = Message;

    fn step(&mut self, now: Nanos, input: Input<Message>, out: &mut Vec<Output<Message>>) {
        member::step(self, now, input, out);
    }

    fn deadline(&self) -> Nanos {
        Self::deadline(self)
    }

    fn status(&self, now: Nanos) -> Status {
        Self::status(self, now)
    }

    fn kind(message: &Message) -> &'static str {
        match message {
            Message::Notification { .. } => "notification",
            Message::FollowerInfo { .. } => "follower_info",
            Message::NewEpoch { .. } => "new_epoch",
            Message::AckEpoch { .. } => "ack_epoch",
            Message::NewLeader { .. } => "new_leader",
            Message::AckNewLeader { .. } => "ack_new_leader",
            Message::UpToDate { .. } => "up_to_date",
            Message::Ping { .. } => "ping",
            Message::Pong { .. } => "pong",
        }
    }
}
