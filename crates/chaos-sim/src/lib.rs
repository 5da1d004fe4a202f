//! The second world: the plans, engine, checkers and reports of real runs, over nodes in virtual time.
//!
//! A [`SimWorld`] is a [`World`](chaos_engine::World) as the one of real processes is. It runs the very cores of this project's nodes
//! ([`election::Protocol`]) with a shell that does what the reference node's does (batches, group commit, publishing after the sync), a
//! network with the semantics of TCP, disks that can lose what was not synced, clocks, clients and observers. One thread, one queue; one
//! seed decides everything. Ten seconds of five nodes under load take milliseconds.
//!
//! ```
//! use chaos_history::Seed;
//! use chaos_sim::{SimOptions, simulate};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let workload = chaos_plan::load("kill".as_ref(), &["nodes=3".to_owned()])?.workload;
//! let one = simulate(&workload, Seed(7), &SimOptions::default())?;
//! let again = simulate(&workload, Seed(7), &SimOptions::default())?;
//! assert_eq!(one.hash, again.hash);
//! assert_eq!(one.history, again.history);
//! # Ok(())
//! # }
//! ```
//!
//! **What a plan may count on.** `tests/conformance` holds the same faults against both worlds, and `scripts/sim-against-real.sh` the
//! times to fail over. What the simulator can't do it refuses before the run ([`capabilities`]), with the reason.
//!
//! **Thousands of seeds.** [`simulate`] is a pure function of its arguments: call it from as many threads as there are processors. With
//! [`Keep::Nothing`] and [`Watching::For`] nothing is kept but a hash and the first violation; a seed that has one is simulated again with
//! its history.
//!
//! **Protocols of your own.** Implement [`Program`] and call [`simulate_program`].
//!
//! What it refuses to do: read a clock, draw an unseeded number, use a float or the host's mathematics library in a decision, go through a
//! map in an order that differs between runs, start a process, open a socket.

mod capabilities;
mod clients;
mod clock;
mod disk;
mod fate;
mod faults;
mod happening;
mod machine;
mod network;
mod node;
mod observers;
mod program;
mod queue;
mod random;
mod record;
mod shell;
mod simulate;
mod tables;
mod timings;
mod walk;
mod wire;
mod world;

pub use capabilities::{capabilities, lack};
pub use program::{Program, ProgramError, RaftProgram, Start, Transport};
pub use random::ALGORITHM;
pub use record::{Memory, Nowhere, Sink};
pub use simulate::{
    Keep, OnProgress, SimError, SimOptions, Simulated, Watching, check, header, remark, simulate, simulate_into,
    simulate_program,
};
pub use timings::{Delay, Timings};
pub use walk::{Letter, Move, Told, WalkOptions, WalkProperty, WalkViolation, Walked, narrate, retrace, walk};
pub use world::{SimWorld, SimWorldError, Watch, WorldOptions};
