//! The real world: node processes, what is done to them, and the sockets that watch and use them.
//!
//! A node is every process in its network namespace, daemons and double forks included. Each is started, stopped, resumed
//! and killed by process id and never by name, and all are gone when the [`RealWorld`] is dropped. Faults are carried out on
//! the thread that decided them, so that no queue stands between the decision and the system call; what takes time (waiting
//! for an end, asking nodes, running operations) happens elsewhere and comes back as an event.
//!
//! Plans are unknown here, and so are packets: cutting links is `chaos-net`'s.

mod access;
mod aside;
mod changes;
mod clock;
mod clocks;
mod damage;
mod disk;
mod faults;
mod guest;
mod hinder;
mod inbox;
mod inspect;
mod logs;
mod observer;
mod oddities;
mod operations;
mod process;
mod recorder;
mod resource;
mod sessions;
mod signals;
mod single;
mod start;
mod sys;
mod testimony;
mod watchdog;
mod wires;
mod world;

pub use access::NodeAccess;
pub use clock::RunClock;
pub use clocks::ClockSet;
pub use guest::{Guest, GuestEnd, GuestHandle, GuestPlace, GuestStreams};
pub use process::{ClockChange, Clocks, Disks, ProcessError, stop_every_thread};
pub use recorder::Recorder;
pub use resource::RESOURCE_PORT;
pub use start::StartError;
pub use world::{Control, OnSignal, RealWorld, RealWorldOptions, Watch, WorldError};
