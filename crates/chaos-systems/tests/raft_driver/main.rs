//! The driver of the reference node against servers made of canned bytes: which answer counts as what.
//!
//! Nothing here leaves the loopback interface. Each test has addresses of its own, since the node's ports are fixed.
#![expect(clippy::unwrap_used, reason = "tests")]

mod operations;
mod server;
mod views;
