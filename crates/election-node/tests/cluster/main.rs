//! Real processes on loopback: they elect, serve, survive what is done to them, and say what they can't do.
//!
//! Nothing sleeps for a guess: every wait is for a condition, with a deadline. Each test has addresses, directories and
//! processes of its own; the processes die with the test.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "in a test a panic is the report, and stderr its place")]

mod algorithms;
mod failover;
mod operating;
mod recording;
mod serving;
mod starting;
mod support;
mod sys;
