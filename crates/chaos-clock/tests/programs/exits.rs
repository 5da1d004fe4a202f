//! A program under a clock ends, stops and fails as any other, also while it executes another.

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use chaos_clock::{Clock, ClockError, Scope, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::probe::{Probe, eventually};

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

/// What `/proc/PID/status` says of this.
fn status_of(child: &Child, key: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap_or_else(|| panic!("no {key} in\n{status}")).trim().to_owned()
}

#[test]
fn an_exit_code_and_a_signal_reach_the_parent() {
    let clock = Clock::new(Scope::Wall).unwrap();
    for script in ["exit 7", "exec sh -c 'exec sh -c \"exit 7\"'"] {
        let mut child = clock.spawn(Command::new("sh").args(["-c", script])).unwrap();
        assert_eq!(wait(&mut child).unwrap().code(), Some(7), "{script}");
    }
    let mut child = clock.spawn(Command::new("sh").args(["-c", "kill -USR1 $$"])).unwrap();
    assert_eq!(wait(&mut child).unwrap().signal(), Some(Signal::SIGUSR1 as i32));
}

#[test]
fn a_program_that_is_not_there_is_told_at_once() {
    let clock = Clock::new(Scope::Wall).unwrap();
    for _ in 0..50 {
        match clock.spawn(&mut Command::new("/no/such/program")) {
            Err(ClockError::System { source, .. }) => assert_eq!(source.kind(), io::ErrorKind::NotFound),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(clock.given(), 0);
}

#[test]
fn nothing_stays_traced_and_a_stop_stops() {
    let clock = Clock::new(Scope::Wall).unwrap();
    let mut probe = Probe::start(&clock);
    probe.ask();
    assert_eq!(status_of(&probe.child, "TracerPid:"), "0");
    kill(pid_of(&probe.child), Signal::SIGSTOP).unwrap();
    eventually("the probe stops", || status_of(&probe.child, "State:").starts_with("T (stopped)"));
    clock.jump(1_000_000_000_000).unwrap();
    kill(pid_of(&probe.child), Signal::SIGCONT).unwrap();
    probe.ask().assert_offset("REALTIME after a pause", |shown| shown.wall, (1_000_000_000_000, 1_000_000_000_000));
}

/// A shell that does nothing but execute itself anew, after it has tried what isn't there.
fn restless() -> (tempfile::TempDir, Command) {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("restless");
    fs::write(&script, "no-such-program 2>/dev/null\nexec sh \"$0\"\n").unwrap();
    let mut command = Command::new("sh");
    command.arg(script).stdin(Stdio::null());
    (directory, command)
}

#[test]
fn a_program_is_killed_at_any_moment_of_an_exec() {
    for round in 0..40_u64 {
        let clock = Clock::new(Scope::Wall).unwrap();
        let (_directory, mut command) = restless();
        let mut child = clock.spawn(&mut command).unwrap();
        thread::sleep(Duration::from_micros(round * 137 % 3000));
        child.kill().unwrap();
        assert_eq!(wait(&mut child).unwrap().signal(), Some(Signal::SIGKILL as i32));
    }
}

#[test]
fn a_program_is_paused_at_any_moment_of_an_exec() {
    let clock = Clock::new(Scope::Wall).unwrap();
    let (_directory, mut command) = restless();
    let mut child = clock.spawn(&mut command).unwrap();
    for round in 0..60_u64 {
        thread::sleep(Duration::from_micros(round * 137 % 3000));
        kill(pid_of(&child), Signal::SIGSTOP).unwrap();
        eventually("it stops", || status_of(&child, "State:").starts_with("T (stopped)"));
        let given = clock.given();
        thread::sleep(Duration::from_millis(3));
        assert_eq!(status_of(&child, "State:"), "T (stopped)");
        assert!(clock.given() <= given + 1, "what is stopped executes nothing");
        kill(pid_of(&child), Signal::SIGCONT).unwrap();
        eventually("it goes on", || clock.given() > given + 1);
    }
    child.kill().unwrap();
    assert_eq!(wait(&mut child).unwrap().signal(), Some(Signal::SIGKILL as i32));
    assert_eq!(clock.take_missed(), []);
}

#[test]
fn signals_that_come_during_an_exec_are_not_lost() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("counts");
    // Ignored signals stay ignored over an exec, and a signal to be seen needs a handler, which an exec takes away. So the
    // end is the witness: each round one signal, and each time the program dies of it.
    fs::write(&script, "exec sh \"$0\"\n").unwrap();
    for round in 0..40_u64 {
        let clock = Clock::new(Scope::Wall).unwrap();
        let mut child = clock.spawn(Command::new("sh").arg(&script).stdin(Stdio::null())).unwrap();
        thread::sleep(Duration::from_micros(round * 137 % 3000));
        kill(pid_of(&child), Signal::SIGUSR2).unwrap();
        assert_eq!(wait(&mut child).unwrap().signal(), Some(Signal::SIGUSR2 as i32));
    }
}
