//! The reference node: sockets, disk and clock around the election protocols.
//!
//! The idea: the protocol decides everything and touches nothing (`election`); this crate touches everything and decides
//! nothing. It gives the protocol a clock, carries its messages over TCP, makes its log durable before anything that rests
//! on it leaves the node, and answers clients and observers over HTTP. [`main`] is the whole program; `election-node` and
//! `chaos node` both call it.
//!
//! ```text
//!   HTTP clients ─┐   requests                        ┌─ journal, snapshot   (storage)
//!   observers  ───┤→ inbox → protocol thread (driver) ┤
//!   peers (TCP) ──┘   messages     │  publishes       └─ keys and values     (machine)
//!                                  └→ state → /status, /events
//! ```
//!
//! What it refuses: a protocol decision, forwarding requests to the leader, client sessions, and going on after a disk error.

mod arguments;
mod choice;
mod clock;
mod counts;
mod driver;
mod error;
mod http;
mod inbox;
mod machine;
mod metrics;
mod recording;
mod run;
mod state;
mod storage;
mod transport;
mod work;

pub use arguments::{DurationRange, NodeArguments, Peer};
pub use recording::{Moment, ReplayError, Replayed, replay};
pub use run::main;
