//! Tiny random histories of every model, each decided twice: by the library and by brute force.
//!
//! `CHAOS_FUZZ` sets the number of histories per model (100,000 if it is not set); `CHAOS_FUZZ_FROM` the first one's number,
//! so that a failing case, whose number is printed, can be looked at alone.

#![expect(clippy::print_stdout, reason = "a fuzz run reports how many histories it held against brute force")]

mod append;
mod collections;
mod harness;
mod locks;
mod register;
mod tokens;
