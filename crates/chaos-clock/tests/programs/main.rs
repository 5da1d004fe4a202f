//! Clocks of real programs, seen from outside: what a program says of the time is compared with true time.
//!
//! Most cases ask a *probe*, which is this very program, started under a clock: it answers each line on its standard input with
//! what its clocks show. The question lies between two true times, so that what is known of the answer depends on no speed.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "the helpers of tests: what isn't there is told, a panic is a failure"
)]

mod execs;
mod exits;
mod laws;
mod others;
mod probe;
mod torn;
