//! The namespaces, the star and its cuts against the real kernel.
//!
//! How cases are run: [`runner`]. *Inside* cases are controllers of fresh namespaces; *host* cases start controllers and look at
//! them from outside.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test runner: its output is its result, a panic its failure"
)]

mod capture;
mod conditions;
mod cuts;
mod doctor;
mod host;
mod inside;
mod orphans;
mod runner;
mod star;
mod wire;

use std::process::ExitCode;

pub(crate) use self::runner::{Case, SKIP_CODE, eventually};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["--controller", role, _marker] = words[..] {
        return host::run_controller(role);
    }
    let inside =
        [inside::CASES, star::CASES, conditions::CASES, cuts::CASES, capture::CASES, orphans::CASES, doctor::CASES]
            .concat();
    runner::Suite { inside, prepare: || (), host: host::CASES }.run(&words)
}
