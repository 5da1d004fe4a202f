//! The nemesis and the client generators as one machine without input or output.
//!
//! It takes observations, completions and the passing of time, and emits commands. It never touches a clock, a socket or a
//! file: a world does ([`World`]), which makes one plan run the same against real processes and against a simulation.
//!
//! The same workload, seed and events give the same commands: whatever is drawn comes from streams that are split by label,
//! and nothing here has an order that differs between runs.

mod client;
mod comparison;
mod drive;
mod engine;
mod estimate;
mod faults;
mod final_reads;
mod hold_load;
pub mod in_words;
mod load;
mod loads;
mod machine;
mod nemesis;
mod partition;
mod progress;
mod pulse;
mod random;
mod resource;
mod set_reads;
mod target;
mod tidings;
mod view;
mod watch;
mod world;

pub use drive::drive;
pub use engine::{Engine, Rounds};
pub use load::Counts;
pub use progress::{NodeBelief, NodeState, NodeStatus, Phase, Progress};
pub use resource::Resource;
pub use world::{Capabilities, Command, Completed, Cut, Event, FaultChange, FaultCommand, Finished, Invocation, World};
