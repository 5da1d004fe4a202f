//! Faults at the file system, and power losses, seen by programs and by what they find afterwards.
//!
//! Runs in user and mount namespaces of its own, so that an ordinary user may mount and nothing stays. Says loudly what is skipped.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test runner: its output is its result, a panic its failure"
)]

mod faults;
mod losses;
#[path = "../support/program.rs"]
mod program;
mod refusals;
mod witnesses;

use std::panic::catch_unwind;
use std::process::ExitCode;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

/// A test: the claim that it holds to, and how.
pub(crate) type Case = (&'static str, fn());

/// What this program is called with to be refused a mount.
pub(crate) const IN_VAIN: &str = "mount-in-vain";

fn main() -> ExitCode {
    // What cargo and nextest may add (`--nocapture`, …) changes nothing here.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    if let [word, directory] = &words[..]
        && word == IN_VAIN
    {
        return refusals::mount_in_vain(directory);
    }
    enter_namespaces();
    if let Err(error) = chaos_disk::trial::mount() {
        println!("SKIPPED, all of it: {}", chain(&error));
        return ExitCode::SUCCESS;
    }
    let mut failed = 0;
    for (claim, body) in [faults::CASES, losses::CASES, refusals::CASES, witnesses::CASES].concat() {
        if words.iter().all(|word| claim.contains(word.as_str())) {
            let passed = catch_unwind(body).is_ok();
            println!("test {claim} ... {}", if passed { "ok" } else { "FAILED" });
            failed += usize::from(!passed);
        }
    }
    println!("{failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn enter_namespaces() {
    if geteuid().is_root() {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
    } else {
        enter_user_namespace(CloneFlags::CLONE_NEWNS);
    }
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
}

/// As the same user, and whatever else is new with it.
pub(crate) fn enter_user_namespace(beside: CloneFlags) {
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | beside).unwrap();
    std::fs::write("/proc/self/setgroups", "deny").unwrap();
    std::fs::write("/proc/self/uid_map", format!("{uid} {uid} 1")).unwrap();
    std::fs::write("/proc/self/gid_map", format!("{gid} {gid} 1")).unwrap();
}

fn chain(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {}", chain(cause)))
}
