//! The whole thing, on real processes: a sound cluster is acquitted, broken ones are convicted, and nothing is left behind.
#![allow(clippy::unwrap_used, reason = "a test that can't set itself up fails")]

#[allow(dead_code, reason = "each file of tests uses its part of it")]
mod support;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{assert_gone, chaos, host_can_run, output, report, stderr, wait_for};

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// The property's verdict in a report: `valid`, `invalid` or `unknown`.
fn verdict(report: &serde_json::Value, property: &str) -> String {
    let checks = report["checks"].as_array().expect("checks");
    let check = checks.iter().find(|check| check["property"] == property).unwrap_or_else(|| panic!("no {property}"));
    check["verdict"].as_str().expect("a result").to_owned()
}

#[test]
fn a_sound_cluster_survives_a_killed_leader_and_leaves_nothing_behind() {
    if !host_can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let run = output(&mut chaos(&["run", "kill", "--seed", "3", "--set", "nodes=3", "--out", text(&out)]));
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let report = report(&out);
    assert_eq!(report["exit_code"], 0);
    assert!(report["measured"]["failovers"].as_array().expect("failovers").len() >= 8);
    assert_eq!(verdict(&report, "ElectionSafety"), "valid");
    assert_eq!(verdict(&report, "Linearizable"), "valid");
    assert!(out.join("report.html").is_file());
    assert_gone(text(&out), Duration::from_secs(1));

    // A saved run is judged again to the same end.
    let again = output(&mut chaos(&["check", text(&out)]));
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
}

#[test]
fn kill_9_of_the_controller_leaves_nothing_but_a_history_that_can_be_read() {
    if !host_can_run() {
        return;
    }
    for (seed, lines) in [("1", 1), ("2", 400), ("3", 4000)] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let mut run = chaos(&["run", "partition", "--quiet", "--seed", seed, "--out", text(&out)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let history = out.join("history.jsonl");
        let written = || fs::read(&history).map_or(0, |bytes| bytes.iter().filter(|&&byte| byte == b'\n').count());
        wait_for("enough of a history", &mut run, || written() >= lines);
        kill(Pid::from_raw(i32::try_from(run.id()).unwrap()), Signal::SIGKILL).unwrap();
        assert_eq!(run.wait().unwrap().code(), None, "killed, not exited");
        assert_gone(text(&out), Duration::from_secs(1));
        let check = output(&mut chaos(&["check", text(&out)]));
        // Half a run is never a valid one, and nothing was wrong with it either.
        assert_eq!(check.status.code(), Some(2), "{}", stderr(&check));
    }
}

#[test]
fn ctrl_c_ends_a_run_early_with_a_report_of_what_happened() {
    if !host_can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut run = chaos(&["run", "partition", "--quiet", "--seed", "5", "--out", text(&out)])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let history = out.join("history.jsonl");
    let begun = || fs::read_to_string(&history).is_ok_and(|text| text.contains("\"edge\":\"begin\""));
    wait_for("a first fault", &mut run, begun);
    kill(Pid::from_raw(i32::try_from(run.id()).unwrap()), Signal::SIGINT).unwrap();
    let status = run.wait().unwrap();
    assert_eq!(status.code(), Some(2), "what was not run may have failed");
    let verdicts = report(&out);
    assert_eq!(verdict(&verdicts, "NoAcknowledgedWriteLost"), "valid", "every key was still read");
    assert!(report(&out)["measured"]["failovers"].is_array());
    let lines = fs::read_to_string(&history).unwrap();
    let count = |edge: &str| lines.matches(&format!("\"edge\":\"{edge}\"")).count();
    assert_eq!(count("begin"), count("end"), "every fault was taken back");
    assert_gone(text(&out), Duration::from_secs(1));
}
