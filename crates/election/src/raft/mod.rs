//! Raft as a function of its inputs.

mod config;
mod io;
mod message;

pub use config::{Config, ConfigError};
pub use io::{
    Entry, EntryPayload, Event, HardState, Input, Outcome, Output, Persist, ReadConsistency, Recovered, Role, Snapshot,
    SnapshotMeta, Status,
};
pub use message::{Append, AppendReply, Ballot, InstallReply, InstallSnapshot, Message, TimeoutNow, Vote, VoteReply};
