//! What every election protocol is to its shell: a function of time and input, with a deadline and a status.
//!
//! A shell (the process with sockets and a disk, or the simulator) is written once against [`Protocol`]; which protocol it runs is
//! chosen at its start.

use std::fmt::{self, Debug};
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::raft::{Ballot, Input, Message, Output, Raft, Rules, Status};
use crate::types::Nanos;

/// One node of an election protocol. The ordering law of [`raft::Output`](crate::raft::Output) holds for all of them.
pub trait Protocol {
    /// Which one it is.
    const ALGORITHM: Algorithm;
    /// Every kind of message that it has.
    const KINDS: &'static [Kind];

    /// What its nodes say to each other.
    type Message: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + 'static;

    /// Takes one input and appends what it leads to. `now` must never fall.
    fn step(&mut self, now: Nanos, input: Input<Self::Message>, out: &mut Vec<Output<Self::Message>>);

    /// When the node needs an [`Input::Tick`] at the latest.
    fn deadline(&self) -> Nanos;

    /// What the node would say about itself.
    fn status(&self, now: Nanos) -> Status;

    /// The name of a message's kind, one of [`KINDS`](Self::KINDS).
    fn kind(message: &Self::Message) -> &'static str;
}

/// A kind of message, for counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Its name, as in `vote_reply`.
    pub name: &'static str,
    /// What such messages are sent for.
    pub purpose: Purpose,
}

impl Kind {
    /// A kind that brings an election about.
    pub(crate) const fn electing(name: &'static str) -> Self {
        Self { name, purpose: Purpose::Election }
    }

    /// A kind that keeps or uses a leadership.
    pub(crate) const fn keeping(name: &'static str) -> Self {
        Self { name, purpose: Purpose::Leadership }
    }
}

/// What a message is sent for; the cost of an election is counted in those of the first purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To find, make or announce a leader.
    Election,
    /// To keep one, or to work under it: heartbeats, renewals, entries.
    Leadership,
}

impl Purpose {
    /// The word for it in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Election => "election",
            Self::Leadership => "leadership",
        }
    }
}

/// A protocol by name, for a command line and for the first words on a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// [`raft`](crate::raft).
    #[default]
    Raft,
    /// [`bully`](crate::bully).
    Bully,
    /// [`ring`](crate::ring).
    Ring,
    /// [`lease`](crate::lease).
    Lease,
    /// [`paxos_lease`](crate::paxos_lease).
    PaxosLease,
    /// [`zab`](crate::zab).
    Zab,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Raft, Self::Bully, Self::Ring, Self::Lease, Self::PaxosLease, Self::Zab];

    /// The name on a command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raft => "raft",
            Self::Bully => "bully",
            Self::Ring => "ring",
            Self::Lease => "lease",
            Self::PaxosLease => "paxos-lease",
            Self::Zab => "zab",
        }
    }

    /// Whether it keeps a log: one that doesn't elects leaders and has no word for reads, writes, transfers and changes of members.
    #[must_use]
    pub fn replicates(self) -> bool {
        match self {
            Self::Raft => true,
            Self::Bully | Self::Ring | Self::Lease | Self::PaxosLease | Self::Zab => false,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
            .ok_or_else(|| UnknownAlgorithm(name.to_owned()))
    }
}

/// A name that no protocol has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("find the algorithm `{0}`: known are {known}", known = Algorithm::ALL.map(Algorithm::as_str).join(", "))]
pub struct UnknownAlgorithm(pub String);

impl<R: Rules> Protocol for Raft<R> {
    const ALGORITHM: Algorithm = Algorithm::Raft;
    const KINDS: &'static [Kind] = &[
        Kind::electing("pre_vote"),
        Kind::electing("pre_vote_reply"),
        Kind::electing("vote"),
        Kind::electing("vote_reply"),
        Kind::keeping("append"),
        Kind::keeping("append_reply"),
        Kind::keeping("install_snapshot"),
        Kind::keeping("install_reply"),
        Kind::electing("timeout_now"),
    ];

    type Message = Message;

    fn step(&mut self, now: Nanos, input: Input, out: &mut Vec<Output>) {
        Self::step(self, now, input, out);
    }

    fn deadline(&self) -> Nanos {
        Self::deadline(self)
    }

    fn status(&self, now: Nanos) -> Status {
        Self::status(self, now)
    }

    fn kind(message: &Message) -> &'static str {
        match message {
            Message::Vote(vote) => match vote.ballot {
                Ballot::Pre => "pre_vote",
                Ballot::Election | Ballot::Transfer => "vote",
            },
            Message::VoteReply(reply) if reply.pre => "pre_vote_reply",
            Message::VoteReply(_) => "vote_reply",
            Message::Append(_) => "append",
            Message::AppendReply(_) => "append_reply",
            Message::InstallSnapshot(_) => "install_snapshot",
            Message::InstallReply(_) => "install_reply",
            Message::TimeoutNow(_) => "timeout_now",
        }
    }
}
