//! The nemesis and the client generators as one machine without input or output.
//!
//! It takes observations, completions and the passing of time, and emits commands. It never touches a clock, a socket or a
//! file: a world does ([`World`]), which makes one plan run the same against real processes and against a simulation.

mod world;

pub use world::{Capabilities, Command, Completed, Event, FaultChange, FaultCommand, Finished, Invocation, World};
