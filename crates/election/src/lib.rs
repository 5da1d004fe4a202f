//! Leader election without I/O: a Raft core that is a function of its inputs, and specimens that break one rule of it each.
//!
//! The idea: everything a protocol decides is in [`raft::Raft::step`]: it takes the time, one input, and appends outputs to a
//! list. Sockets, disks, clocks and threads are the shell's; randomness comes from a seed. So the same bytes run as a real
//! process, in a simulator, and under a script that a person can read.
//!
//! What it refuses to do: I/O, reading a clock, sleeping, logging, spawning. The sound path contains no bug code: a
//! [`specimens`] type replaces exactly one decision of the [`raft::Rules`] trait and is chosen at compile time.
//!
//! Source: D. Ongaro and J. Ousterhout, "In Search of an Understandable Consensus Algorithm (Extended Version)", 2014, cited
//! as *paper*; D. Ongaro, "Consensus: Bridging Theory and Practice", 2014, cited as *thesis*.

pub mod raft;
pub mod specimens;
mod types;

pub use types::{LogIndex, Nanos, NodeId, RequestId, Term};
