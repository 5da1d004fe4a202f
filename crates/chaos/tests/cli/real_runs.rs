//! The whole thing, on real processes: a sound cluster is acquitted, broken ones are convicted, and nothing is left behind.
#![allow(clippy::unwrap_used, reason = "a test that can't set itself up fails")]

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::support::{assert_gone, chaos, host_can_run, output, report, stderr, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// The property's verdict in a report: `valid`, `invalid` or `unknown`.
fn verdict(report: &serde_json::Value, property: &str) -> String {
    let checks = report["checks"].as_array().expect("checks");
    let check = checks.iter().find(|check| check["property"] == property).unwrap_or_else(|| panic!("no {property}"));
    check["verdict"].as_str().expect("a result").to_owned()
}

/// One cut, captured.
const CAPTURED: &str = "
system: raft
nodes: 3
capture: true
faults:
  steps:
    - await: leader
    - partition: { isolate: leader }
      for: 1s
    - await: { stable: 300ms, within: 5s }
";

#[test]
fn a_run_that_is_asked_to_leaves_every_packet_with_the_nodes_names() {
    if !host_can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let plan = folder.path().join("captured.yaml");
    fs::write(&plan, CAPTURED).unwrap();
    let run = output(&mut chaos(&["run", text(&plan), "--quiet", "--seed", "3", "--out", text(&out)]));
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let history = fs::read_to_string(out.join("history.jsonl")).unwrap();
    assert!(history.contains("the capture has "), "the history tells of it");
    let capture = fs::read(out.join("capture.pcapng")).unwrap();
    for name in [b"n1\0", b"n2\0", b"n3\0"] {
        assert!(capture.windows(3).any(|bytes| bytes == name), "addresses have the nodes' names");
    }
    // Enhanced packet blocks, by the direction that their flags (option 2, four bytes) tell: 1 came to a node, 2 left one.
    let blocks = |direction: u8| {
        let flags = [2, 0, 4, 0, direction, 0, 0, 0];
        capture.windows(flags.len()).filter(|bytes| *bytes == flags).count()
    };
    assert!(blocks(1) > 500 && blocks(2) > 500, "{} in, {} out", blocks(1), blocks(2));
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

/// A workload whose plan steers its steps by what is seen.
const STEERED: &str = "
name: steered
system: raft
nodes: 5
clients: [register: { rate: 50/s }]
checks: [election-safety]
faults:
  steps:
    - repeat: 3
      steps:
        - kill: leader
          name: first
        - on: { leader: elected }
          pause: leader
          until: { leader: another }
        - restart: $first
        - await: { stable: 200ms, within: 30s }
    - together:
        - { pause: leader, for: 300ms }
        - { partition: { cut: [follower <-> n1] }, for: 300ms }
settle: 500ms
";

#[test]
fn a_plan_hits_a_leader_as_it_is_elected_and_begins_branches_at_one_moment() {
    if !host_can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (workload, out) = (folder.path().join("steered.yaml"), folder.path().join("run"));
    fs::write(&workload, STEERED).unwrap();
    let run = output(&mut chaos(&["run", text(&workload), "--quiet", "--seed", "1", "--out", text(&out)]));
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let history = fs::read_to_string(out.join("history.jsonl")).unwrap();
    let events: Vec<serde_json::Value> =
        history.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
    let begins = |kind: &str| -> Vec<(usize, &serde_json::Value)> {
        let faults = events.iter().enumerate().map(|(line, event)| (line, &event["fault"]));
        faults.filter(|(_, fault)| fault["edge"] == "begin" && fault["kind"] == kind).collect()
    };
    let (kills, pauses) = (begins("kill"), begins("pause"));
    assert_eq!((kills.len(), pauses.len()), (3, 4), "{}", stderr(&run));
    for ((killed, kill), (paused, pause)) in kills.iter().zip(&pauses) {
        let [leader, term] = [0, 1].map(|index| &pause["leader"][index]);
        assert_eq!(pause["nodes"][0], *leader, "it is the leader that is hit");
        assert!(term.as_u64() > kill["leader"][1].as_u64(), "elected after the kill");
        let naming: std::collections::BTreeSet<&str> = events[*killed..*paused]
            .iter()
            .map(|event| &event["observation"])
            .filter(|seen| {
                let answered = &seen["outcome"]["answered"];
                answered["leader"] == *leader && answered["term"] == *term
            })
            .filter_map(|seen| seen["node"].as_str())
            .collect();
        assert!(naming.len() >= 3, "a majority has named it by then: {naming:?}");
    }
    let cut = begins("partition");
    assert_eq!(cut[0].1["stamps"]["scheduled"], pauses[3].1["stamps"]["scheduled"]);
    assert_eq!(cut[0].1["leader"], pauses[3].1["leader"]);
}
