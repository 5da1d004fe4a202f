//! Leader election without I/O: protocols that are functions of their inputs, and specimens that break one rule of Raft each.
//!
//! The idea: everything a protocol decides is in [`Protocol::step`]: it takes the time, one input, and appends outputs to a
//! list. Sockets, disks, clocks and threads are the shell's; randomness comes from a seed. So the same bytes run as a real
//! process, in a simulator, and under a script that a person can read.
//!
//! What it refuses to do: I/O, reading a clock, sleeping, logging, spawning. The sound path contains no bug code: a
//! [`specimens`] type replaces exactly one decision of the [`raft::Rules`] trait and is chosen at compile time.
//!
//! | module | leader is | promises under partitions |
//! |---|---|---|
//! | [`raft`] | who has the votes of a majority | one leader per term |
//! | [`bully`] | the highest node that answers | nothing |
//! | [`ring`] | the highest node that the ring reaches | nothing |
//! | [`lease`] | who holds the lease of one lock service | one holder per fencing token; with bounded clocks, one at a time |
//! | [`paxos_lease`] | who holds a lease of a majority | one leader per ballot; with bounded clocks, one at a time |
//! | [`zab`] | whom a majority follows into a new epoch | one leader per epoch |
//!
//! Source of Raft: D. Ongaro and J. Ousterhout, "In Search of an Understandable Consensus Algorithm (Extended Version)", 2014, cited
//! as *paper*; D. Ongaro, "Consensus: Bridging Theory and Practice", 2014, cited as *thesis*.

pub mod bully;
pub mod lease;
mod member;
pub mod paxos_lease;
mod protocol;
pub mod raft;
pub mod ring;
mod setup;
pub mod specimens;
mod types;
pub mod zab;

pub use protocol::{Algorithm, Kind, Protocol, Purpose, UnknownAlgorithm};
pub use setup::Setup;
pub use types::{LogIndex, Nanos, NodeId, RequestId, Term};
