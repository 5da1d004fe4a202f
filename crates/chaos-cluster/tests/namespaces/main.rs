//! The real world against the real kernel: processes that fork, ignore, vanish and come back.
//!
//! How cases are run: `runner`, which chaos-net's tests own. All of them are controllers of fresh namespaces.
#![expect(clippy::wildcard_enum_match_arm, reason = "each case picks out the one event that it waits for")]
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test runner: its output is its result, a panic its failure"
)]

mod bringing_up;
mod clocks;
mod disks;
mod evidence;
mod faults;
mod hindrances;
mod lives;
mod locks;
mod rig;
#[path = "../../../chaos-net/tests/namespaces/runner.rs"]
mod runner;
mod several;
mod single;

use std::process::ExitCode;

use chaos_net::isolation;

pub(crate) use self::runner::{Case, SKIP_CODE, eventually};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let inside = [
        faults::CASES,
        hindrances::CASES,
        lives::CASES,
        evidence::CASES,
        bringing_up::CASES,
        several::CASES,
        single::CASES,
        locks::CASES,
        disks::CASES,
        clocks::CASES,
    ]
    .concat();
    // Nothing of the host's is written to, and nothing is to be removed afterwards.
    let prepare = || isolation::mount_tmpfs(std::path::Path::new("/tmp"), None).unwrap();
    runner::Suite { inside, prepare, host: &[] }.run(&words)
}
