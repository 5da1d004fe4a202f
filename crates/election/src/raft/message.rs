//! What Raft nodes say to each other (paper Fig. 2 and 13, thesis Fig. 3.1 and §3.10).
//!
//! `Append` is also the heartbeat. It carries a *round* number that the reply echoes, and that one mechanism serves
//! ReadIndex, the lease and CheckQuorum. Messages may be lost, delayed, duplicated and reordered; they are never forged.
//! The sender is not part of the message: the shell knows it from the connection.

use serde::{Deserialize, Serialize};

use super::io::{Entry, Snapshot};
use crate::types::{LogIndex, Term};

/// A message between two nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Asks for a vote (RequestVote).
    Vote(Vote),
    /// Answers a `Vote`.
    VoteReply(VoteReply),
    /// Replicates entries and says "I lead" (AppendEntries).
    Append(Append),
    /// Answers an `Append`.
    AppendReply(AppendReply),
    /// Replaces a log that lies before the leader's oldest entry (InstallSnapshot, in one piece).
    InstallSnapshot(InstallSnapshot),
    /// Answers an `InstallSnapshot`.
    InstallReply(InstallReply),
    /// The leader asks its chosen successor to campaign at once (thesis §3.10).
    TimeoutNow(TimeoutNow),
}

impl Message {
    /// The sender's term. For a `Vote` it is the term asked for, which in a pre-vote the sender has not entered.
    #[must_use]
    pub fn term(&self) -> Term {
        match self {
            Self::Vote(m) => m.term,
            Self::VoteReply(m) => m.term,
            Self::Append(m) => m.term,
            Self::AppendReply(m) => m.term,
            Self::InstallSnapshot(m) => m.term,
            Self::InstallReply(m) => m.term,
            Self::TimeoutNow(m) => m.term,
        }
    }
}

/// Which kind of election a vote is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ballot {
    /// A question without consequences: would you vote for me in `term`? (thesis §9.6)
    Pre,
    /// A real vote.
    Election,
    /// A real vote that the leader itself asked for: voters disregard their promise to it (thesis §3.10, §4.2.3).
    Transfer,
}

/// RequestVote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// The term that the candidate wants to lead.
    pub term: Term,
    /// Which kind of election.
    pub ballot: Ballot,
    /// The index of the candidate's last entry.
    pub last_index: LogIndex,
    /// The term of the candidate's last entry.
    pub last_term: Term,
}

/// The answer to RequestVote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteReply {
    /// The voter's own term; if it is newer, the candidate gives up.
    pub term: Term,
    /// The term that was asked for: a reply counts for that election only.
    pub for_term: Term,
    /// Whether this answers a pre-vote.
    pub pre: bool,
    /// Whether the vote was given.
    pub granted: bool,
}

/// AppendEntries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Append {
    /// The leader's term.
    pub term: Term,
    /// The entry right before `entries`.
    pub prev_index: LogIndex,
    /// Its term.
    pub prev_term: Term,
    /// Consecutive entries from `prev_index + 1` on; none in a pure heartbeat.
    pub entries: Vec<Entry>,
    /// The leader's commit index.
    pub commit: LogIndex,
    /// The leader's round at the time of sending; the first of a term is 1.
    pub round: u64,
}

/// The answer to AppendEntries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppendReply {
    /// The follower's own term.
    pub term: Term,
    /// Echoed from the `Append`; 0 if that came from an earlier term. The sender may lead `term` by now, and its old rounds
    /// must not pass for new ones.
    pub round: u64,
    /// Whether the logs agreed at `prev_index`.
    pub accepted: bool,
    /// Accepted: the last index known to equal the leader's log. Rejected: where the logs may agree, a hint.
    pub index: LogIndex,
}

/// InstallSnapshot, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallSnapshot {
    /// The leader's term.
    pub term: Term,
    /// The leader's round at the time of sending; the first of a term is 1.
    pub round: u64,
    /// The snapshot.
    pub snapshot: Box<Snapshot>,
}

/// The answer to InstallSnapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallReply {
    /// The follower's own term.
    pub term: Term,
    /// Echoed from the `InstallSnapshot`; 0 if that came from an earlier term.
    pub round: u64,
    /// The last index known to equal the leader's log.
    pub index: LogIndex,
}

/// TimeoutNow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeoutNow {
    /// The leader's term.
    pub term: Term,
}
