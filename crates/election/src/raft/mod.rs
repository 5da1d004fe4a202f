//! Raft as a function of its inputs.
//!
//! [`Raft::step`] is the only way in; [`Output`] is the only way out; [`Rules`] holds every decision. The files follow the
//! protocol: `node` (the way in and out), `roles` (who may become what), `election`, `follower` and `replication` (the two sides of the log), `requests`
//! (the shell's side), `membership` (who counts), on top of `log` and `leadership` (bookkeeping that decides nothing).
//!
//! Source: paper (all of it) and thesis §3.10 (transfer), §4.1 (one member at a time), §6.4 (reads), §9.6 (pre-vote).

mod bytes;
mod config;
mod election;
mod follower;
mod io;
mod leadership;
mod log;
mod membership;
mod message;
mod node;
mod replication;
mod requests;
mod roles;
mod rules;

pub use bytes::CommandBytes;
pub use config::{Config, ConfigError};
pub use io::{
    Entry, EntryPayload, Event, HardState, Input, Outcome, Output, Persist, ReadConsistency, Recovered, Role, Snapshot,
    SnapshotMeta, Status,
};
pub use message::{Append, AppendReply, Ballot, InstallReply, InstallSnapshot, Message, TimeoutNow, Vote, VoteReply};
pub use node::Raft;
pub use rules::{ChangeRequest, ChangeVerdict, ReadPath, Rules, Sound, StepDown};
