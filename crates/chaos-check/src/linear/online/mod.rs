//! Judging a history while it is being made: operations come in by stamp, and a violation is seen with the answer that makes
//! it one.
//!
//! A stream says *that* there is a violation and with which answer. The counterexample comes from [`check`](super::check()) on
//! what was recorded until then. Refuses to know clocks: stamps are the caller's.

mod register;
mod zones;

pub use register::{Answer, Invocation, RegisterStream, Seen, StreamError};
