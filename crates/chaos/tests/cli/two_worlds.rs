//! The same plans in both worlds: what must agree does, whoever's processes those are.
//!
//! Times differ, and so may whom a draw hits after the worlds have gone different ways. What must not differ: which faults happen in which
//! order, how many nodes and links each has and whether the leader is among them, which processes end and start, and the verdicts.
#![allow(clippy::unwrap_used, reason = "a test that can't set itself up fails")]

use std::fs;
use std::path::Path;

use crate::support::{chaos, host_can_run, output, report, stderr};

/// Bodies of plans, one a kind of fault that both worlds know.
const BODIES: &[(&str, &str)] = &[
    ("kill", "    - kill: leader\n      for: 700ms"),
    ("orderly-end", "    - kill: { node: leader, signal: TERM }\n      for: 700ms"),
    ("pause", "    - pause: leader\n      for: 900ms"),
    ("isolate", "    - partition: { isolate: leader }\n      for: 1200ms"),
    ("held", "    - partition: { isolate: leader, drop: hold }\n      for: 500ms"),
    ("one-way", "    - partition: { one-way: { from: leader } }\n      for: 900ms"),
    ("transfer", "    - transfer: { node: leader, to: follower }"),
    ("slow", "    - slow: { node: follower, run: 1ms, every: 10ms }\n      for: 600ms"),
    ("link", "    - link: { between: all, delay: 5ms }\n      for: 600ms"),
];

fn plan(body: &str) -> String {
    format!(
        "name: both\nabout: Of a test.\nsystem: raft\nnodes: 3\nclients:\n  - register: {{ keys: 2, rate: 80/s, mix: {{ read: 2, write: 1, cas: 1 }} }}\n\
         checks: [election-safety, term-monotonic, linearizable, no-lost-writes]\nsettle: 500ms\nfaults:\n  name: steps\n  about: Of a test.\n  steps:\n    \
         - await: {{ stable: 200ms, within: 10s }}\n{body}\n    - await: {{ stable: 200ms, within: 10s }}\n"
    )
}

/// What happened, without times: the faults' edges, the ends and starts of processes, the verdicts.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    exit_code: Option<i32>,
    faults: Vec<String>,
    lives: Vec<String>,
    verdicts: Vec<(String, String)>,
}

fn seen(world: &str, name: &str, body: &str, folder: &Path) -> Seen {
    let file = folder.join(format!("{name}.yaml"));
    fs::write(&file, plan(body)).unwrap();
    let out = folder.join(format!("{name}-{world}"));
    let (file, path) = (file.to_str().unwrap(), out.to_str().unwrap());
    let run = output(&mut chaos(&["run", file, "--world", world, "--quiet", "--seed", "5", "--out", path]));
    let exit_code = run.status.code();
    assert!(exit_code.is_some_and(|code| code < 4), "{world}, {name}: {}", stderr(&run));
    let report = report(&out);
    let checks = report["checks"].as_array().expect("checks");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let verdicts = checks.iter().map(|check| (text(&check["property"]), text(&check["verdict"]))).collect();
    let history = fs::read_to_string(out.join("history.jsonl")).unwrap();
    assert_eq!(history.lines().next().unwrap().contains("\"simulated\""), world == "sim", "the header says it");
    let lines = history.lines().skip(1).map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let (mut faults, mut lives) = (Vec::new(), Vec::new());
    let mut is_over = false;
    for line in lines {
        is_over |= line["note"]["mark"] == "run_end";
        if let Some(fault) = line["fault"].as_object() {
            let nodes = fault["nodes"].as_array().expect("nodes");
            let links = fault.get("links").and_then(|links| links.as_array()).map_or(0, Vec::len);
            let hits_leader = fault.get("leader").is_some_and(|leader| nodes.contains(&leader[0]));
            let failed = fault.get("error").is_some();
            faults.push(format!(
                "{} {} `{}`: {} nodes, {links} links, leader {hits_leader}, failed {failed}",
                text(&fault["kind"]),
                text(&fault["edge"]),
                text(&fault["label"]),
                nodes.len()
            ));
        }
        if let Some(node) = line["node"].as_object().filter(|_| !is_over) {
            let life = &node["life"];
            lives.push(match life.as_object().and_then(|life| life.iter().next()) {
                Some((what, how)) if what == "exited" => {
                    format!("exited {} {} {}", how["code"], how["signal"], how["expected"])
                }
                Some((what, _)) => what.clone(),
                None => text(life),
            });
        }
    }
    // Of several nodes that start at once, nobody promises the order.
    lives.sort_unstable();
    Seen { exit_code, faults, lives, verdicts }
}

#[test]
fn both_worlds_agree_on_faults_lives_and_verdicts() {
    if !host_can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, body) in BODIES {
        let real = seen("real", name, body, folder.path());
        let simulated = seen("sim", name, body, folder.path());
        assert!(!real.faults.is_empty(), "{name}: the fault was injected");
        assert_eq!(simulated, real, "{name}");
    }
}

#[test]
fn what_the_simulator_can_not_do_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |arguments: &[&str], expected: &str| {
        let out = folder.path().join("out");
        let mut words = vec!["run", "--world", "sim", "--out", out.to_str().unwrap()];
        words.extend(arguments);
        let run = output(&mut chaos(&words));
        assert_eq!(run.status.code(), Some(254), "{}", stderr(&run));
        assert!(stderr(&run).contains(expected), "{}", stderr(&run));
        assert!(!out.exists(), "it leaves no directory behind");
    };
    refused(&["kill", "--set", "faults=faults/bit-rot.yaml"], "its disks hold entries and no files");
    refused(&["workloads/mixed-versions.yaml"], "real systems need real processes");
}

#[test]
fn a_simulated_run_is_the_same_file_twice_but_for_the_time_of_day() {
    let folder = tempfile::tempdir().unwrap();
    let history = |name: &str| {
        let out = folder.path().join(name);
        let run = output(&mut chaos(&[
            "run",
            "kill",
            "--world",
            "sim",
            "--quiet",
            "--seed",
            "9",
            "--out",
            out.to_str().unwrap(),
        ]));
        assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
        assert!(out.join("report.html").is_file());
        let report = report(&out);
        assert_eq!(report["run"]["acted_on"], "simulation");
        assert!(report["run"]["command"].as_str().unwrap().ends_with("--world sim"));
        let text = fs::read_to_string(out.join("history.jsonl")).unwrap();
        text.split_once('\n').unwrap().1.to_owned()
    };
    assert_eq!(history("one"), history("other"));
}
