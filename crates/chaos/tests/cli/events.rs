//! `chaos run --format json`: the stream keeps the shape that its documentation shows, and nothing else is on standard output.
#![allow(clippy::unwrap_used, reason = "a test that can't set itself up fails")]

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;

use crate::support::{chaos, host_can_run, output, stderr};
use serde_json::Value;

const PLAN: &str = "\
system: raft
nodes: 3
faults:
  name: short
  steps:
    - kill: leader
      for: 800ms
    - await: { stable: 200ms, within: 5s }
checks: [election-safety, linearizable, no-lost-writes]
settle: 200ms
";

/// Every kind of event with its keys, as the module's header shows them: one literal example each.
fn documented() -> BTreeMap<String, Vec<String>> {
    let source = include_str!("../../src/events.rs");
    let examples = source.lines().filter_map(|line| line.strip_prefix("//! ")).filter(|line| line.starts_with('{'));
    let shapes: BTreeMap<String, Vec<String>> =
        examples.map(|line| shape(&serde_json::from_str(line).unwrap())).collect();
    assert_eq!(shapes.len(), 11, "{:?}", shapes.keys());
    shapes
}

/// The kind of an event, and its keys in order.
fn shape(event: &Value) -> (String, Vec<String>) {
    let keys = event.as_object().expect("an object").keys().cloned().collect();
    (event["event"].as_str().expect("a kind").to_owned(), keys)
}

/// All lines of a stream, each held against the documentation.
fn events(stdout: &[u8]) -> Vec<Value> {
    let documented = documented();
    let text = String::from_utf8(stdout.to_vec()).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for event in &events {
        let (kind, keys) = shape(event);
        assert_eq!(documented.get(&kind), Some(&keys), "{event}");
    }
    events
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().unwrap()).collect()
}

#[test]
fn a_run_is_told_from_its_start_to_its_verdict_in_the_documented_shapes() {
    if !host_can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (plan, out) = (folder.path().join("plan.yaml"), folder.path().join("run"));
    fs::write(&plan, PLAN).unwrap();
    let (plan, out_text) = (plan.to_str().unwrap(), out.to_str().unwrap());
    let run = output(&mut chaos(&["run", plan, "--seed", "7", "--format", "json", "--out", out_text]));
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    assert_eq!(stderr(&run), "", "people are told nothing");
    let events = events(&run.stdout);
    let kinds = kinds(&events);
    assert_eq!((kinds[0], *kinds.last().unwrap()), ("run-started", "verdict"));
    assert_eq!(events[0]["schema"], "chaos.events/1");
    assert_eq!((events[0]["seed"].as_u64(), events[0]["faults"].as_u64()), (Some(7), Some(1)));
    for (kind, least) in
        [("leader", 2), ("fault-begin", 1), ("fault-end", 1), ("node-exited", 1), ("node-started", 1), ("progress", 2)]
    {
        let count = kinds.iter().filter(|there| **there == kind).count();
        assert!(count >= least, "{count} of {kind}");
    }
    let verdict = events.last().unwrap();
    assert_eq!((verdict["verdict"].as_str(), verdict["exit_code"].as_u64()), (Some("pass"), Some(0)));
    for key in ["directory", "report_html", "report_json", "history", "plan"] {
        assert!(fs::metadata(verdict[key].as_str().unwrap()).is_ok(), "{key}");
    }
    let again = verdict["again"][0].as_str().unwrap();
    assert_eq!(again, format!("chaos run {plan} --seed 7"));
    // What the report says of itself is the same, and the plan that is saved runs.
    assert_eq!(crate::support::report(&out)["run"]["given"], again);
    assert_eq!(output(&mut chaos(&["plan", verdict["plan"].as_str().unwrap()])).status.code(), Some(0));
}

#[test]
fn the_first_violation_is_an_alarm_and_the_verdict_still_comes() {
    if !host_can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let run = output(&mut chaos(&[
        "run",
        "crates/chaos/tests/specimens/double-vote.yaml",
        "--seed",
        "1",
        "--stop-on-violation",
        "--set",
        "system.raft.specimen=double-vote",
        "--format",
        "json",
        "--out",
        out.to_str().unwrap(),
    ]));
    assert_eq!(run.status.code(), Some(1), "{}", stderr(&run));
    let events = events(&run.stdout);
    let alarm = events.iter().find(|event| event["event"] == "alarm").expect("an alarm");
    assert!(["ElectionSafety", "SingleVote"].contains(&alarm["property"].as_str().unwrap()), "{alarm}");
    assert!(kinds(&events).contains(&"interrupted"));
    assert_eq!(events.last().unwrap()["verdict"], "fail");
}

#[test]
fn a_run_that_is_refused_says_so_in_the_stream_too() {
    let run = output(&mut chaos(&["run", "kill", "--set", "nods=3", "--format", "json"]));
    assert_eq!(run.status.code(), Some(254));
    let events = events(&run.stdout);
    assert_eq!(kinds(&events), ["failed"]);
    assert_eq!(events[0]["exit_code"], 254);
    assert!(events[0]["message"].as_str().unwrap().contains("did you mean `nodes`"), "{}", events[0]);
    assert!(stderr(&run).contains("did you mean `nodes`"), "people are told as always");
}

#[test]
fn a_run_outlives_the_reader_of_its_events() {
    if !host_can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (plan, out) = (folder.path().join("plan.yaml"), folder.path().join("run"));
    fs::write(&plan, "system: raft\nnodes: 1\nfaults: none\nchecks: [election-safety]\nsettle: 100ms\n").unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let arguments = ["run", plan.to_str().unwrap(), "--format", "json", "--out", out.to_str().unwrap()];
    let status = chaos(&arguments).stdout(writer).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(out.join("report.json").is_file());
}
