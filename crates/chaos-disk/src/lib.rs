//! Disk faults on unmodified programs, without root and without a patched kernel.
//!
//! The idea: a program knows its disk by system calls only, so a fault is either an answer to a call that the disk would not have
//! given, or a change of what the disk holds. Three layers, each usable alone:
//!
//! | layer | how | can do | needs |
//! |---|---|---|---|
//! | [`CallDisk`] | seccomp user notification: the kernel asks us before it carries out a call | slow, failing, full, read-only | Linux 5.19; no device, no mount, no root |
//! | [`MountDisk`] | a pass-through file system (FUSE) that remembers what is not on the disk yet | all of that, and power loss | `/dev/fuse` and mount(2) |
//! | [`corrupt`] | writes into the files behind the program's back | flipped bits, lost tails | write access to the files |
//!
//! What this crate refuses: to know nodes, elections, plans or networks; to touch a file outside of the directory that it was
//! given; to say that a fault is in force when the host can't do it ([`trial`] tries each layer for real).
//!
//! Sources: `seccomp_unotify(2)`, `fuse(4)`, `fsync(2)`; A. Rebello et al., "Can Applications Recover from fsync Failures?" (USENIX
//! ATC 2020); T. S. Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014).

mod calls;
mod control;
pub mod corrupt;
mod error;
mod fault;
mod monotonic;
mod sys;
pub mod trial;

mod durable;
mod mount;

pub use calls::{CallDisk, Reach};
pub use control::{Receipt, Touched};
pub use durable::{Durability, Keep, Loss};
pub use error::DiskError;
pub use fault::{Behaviour, DiskFault, Failure};
pub use mount::MountDisk;
