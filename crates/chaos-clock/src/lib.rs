//! Wall clocks of unmodified programs, moved while they run: jumps, drifts and strobes, one clock per node, without root.
//!
//! ```no_run
//! # fn main() -> Result<(), chaos_clock::ClockError> {
//! use chaos_clock::{Clock, Rate, Reset, Scope};
//!
//! let clock = Clock::new(Scope::Wall)?;
//! let mut server = clock.spawn(std::process::Command::new("etcd").arg("--name=n1"))?;
//! clock.jump(-3_600_000_000_000)?; // one hour back, at once
//! clock.set_rate(Rate::new(1.5)?); // and from now on three seconds for two
//! clock.reset(Reset::Jump); // true time again
//! # Ok(()) }
//! ```
//!
//! **The idea.** Programs read clocks by calling the *vDSO*, code that the kernel maps into each of them, and find it through a
//! word on their first stack. When a program is executed, that word is pointed to a copy of the vDSO in which the functions
//! that read clocks are ours: they call the real ones, and then apply the line that stands in a page of memory which the
//! harness shares with all processes of the node. Static programs, Go and the JVM are no exception, since nothing is preloaded.
//!
//! **Every exec is met**, that of a shell's child or of a daemon's daemon too. A seccomp filter, inherited by whatever the first
//! program starts, has execs (nothing else) ask the harness first; the harness traces the thread until the new program's first
//! instruction, swaps the vDSO, and lets it go. Nothing stays traced, so that signals and stops are as always.
//!
//! **What keeps true time**: whoever makes the system call itself instead of calling the vDSO (old static C programs), 32-bit
//! programs, what the kernel stamps (files, packets), and timers. A program of which it is known that it has true time is told
//! by [`Clock::take_missed`]; [`has_clock`] looks whether a process has a clock.
//!
//! **What it needs**: x86_64, Linux 5.19, the permission to trace one's own processes, and that nobody else has a seccomp listener
//! on the same processes. [`trial`] finds out. A filter needs either `CAP_SYS_ADMIN` in the user namespace, as a run's nodes
//! have before they are executed, or `no_new_privs`, which is set if need be.
//!
//! **What it costs** (`examples/clock_cost.rs`; two busy cores): 6 ns for a reading of the clock (20 without), 34 ns for any system
//! call (106), since there is a filter, and a millisecond for an exec. Programs that see no clock cost nothing.
//!
//! **The other way**, where it is asked for: [`Preload`] has libfaketime in every program. It moves what reads clocks through the C
//! library, and nothing else; [`can_be_preloaded`] says which programs those are.
//!
//! The crate knows processes and pages; nothing of elections, plans or networks.

#![cfg_attr(
    not(target_arch = "x86_64"),
    expect(dead_code, reason = "elsewhere no clock can be made, so that nothing behind it is used")
)]

mod clock;
mod error;
#[cfg_attr(not(target_arch = "x86_64"), path = "elsewhere.rs")]
mod exec;
#[cfg(target_arch = "x86_64")]
mod image;
mod keeper;
mod law;
mod page;
mod preload;
mod program;
mod strobe;
mod sys;
#[cfg(target_arch = "x86_64")]
mod tracee;
mod trial;

use std::ffi::CStr;
use std::io;
use std::path::Path;

pub use clock::{Change, Clock, Reset, Scope, wait};
pub use error::{ClockError, Miss};
pub use law::{OFFSET_NS_MAX, RATE_MAX, Rate};
pub use preload::{LIBRARY, Preload, find_library, trial_of_library};
pub use program::{Unfit, can_be_preloaded};
pub use strobe::{PERIOD_MAX, PERIOD_MIN, Strobe, Strobed};
pub use trial::{Refusal, trial};

/// The size of the processor's pages.
const PAGE: usize = 4096;
/// What clock pages are called in `/proc/PID/maps`.
const PAGE_NAME: &CStr = c"chaos-clock";

/// A program that runs with true time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// Its number.
    pub pid: u32,
    /// Why.
    pub miss: Miss,
}

/// Whether a process has a clock, by its directory in `/proc`.
///
/// # Errors
/// If its memory map can't be read; also if the process is gone.
pub fn has_clock(process: &Path) -> io::Result<bool> {
    let maps = std::fs::read_to_string(process.join("maps"))?;
    let name = format!("/memfd:{} ", PAGE_NAME.to_string_lossy());
    // The harness may write to its clocks, and so may a copy of it between fork and exec.
    Ok(maps.lines().any(|line| line.contains(" r--s ") && line.contains(&name)))
}
