//! Drivers of the systems under test: how a node is started, how it is asked who leads, how a client reads and writes.
//!
//! A driver translates one system's protocol into the words of the history, and it is where the difference between "it did
//! not happen" and "nobody knows" is decided, so each driver says for every answer which of the two it is. Drivers inject no
//! faults and judge nothing.

mod access;
mod client;
mod defined;
mod driver;
mod probe;
mod raft;
mod resp;

pub use access::{Addresses, Enter, Views};
pub use client::{
    ClientError, ClientSetup, OVSDB_SCHEMA, PROTOCOL_TEXT, RuleOutcome, RuleReport, check_client, drivers, open,
};
pub use defined::{
    DefinedDriver, DefinedError, DefinedSetup, Examined, Misunderstood, Programs, cache, is_program, on_path,
};
pub use driver::{
    Answer, AskedOf, Change, ChangeOf, Client, CommandLine, Driver, Launch, LaunchFile, LaunchProcess, ObserverFacts,
    Preparation, ProbeError, Pushed, Told, Unchanged, Watch,
};
pub use raft::RaftDriver;
