//! Single nodes that run otherwise than the others: the effect is seen from outside, and the report tells it.
#![allow(clippy::unwrap_used, reason = "a test that can't set itself up fails")]

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{chaos, host_can_run, output, report, stderr};
use serde_json::Value;

/// The views that the observers recorded, as `(node, role, term, leader)`.
fn views(out: &Path) -> Vec<(String, String, u64, Option<String>)> {
    let history = fs::read_to_string(out.join("history.jsonl")).unwrap();
    let lines = history.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let view = |line: Value| {
        let node = text(&line.get("observation")?["node"])?;
        let told = line["observation"]["outcome"].get("answered")?;
        Some((node, text(&told["role"])?, told["term"].as_u64()?, text(&told["leader"])))
    };
    lines.filter_map(view).collect()
}

#[test]
fn the_one_node_with_a_short_timeout_wins_the_first_election_and_the_next_without_it_is_slow() {
    if !host_can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let plan = folder.path().join("one-fast.yaml");
    // Whoever else campaigns does so two seconds after n2, so only n2 can win at first; once it is gone, nobody can for two seconds.
    let text = "name: one-fast\nsystem:\n  raft: { election-timeout: 2s..3s }\n  nodes:\n    \
                n2: { election-timeout: 150ms..200ms }\nnodes: 3\nfaults:\n  steps:\n    - await: leader\n    - wait: 200ms\n    \
                - kill: leader\n      for: 4s\n";
    fs::write(&plan, text).unwrap();
    let run = ["run", plan.to_str().unwrap(), "--quiet", "--seed", "3", "--out", out.to_str().unwrap()];
    let ended = output(&mut chaos(&run));
    assert_eq!(ended.status.code(), Some(0), "{}", stderr(&ended));

    let first = views(&out).into_iter().find(|(_, role, ..)| role == "leader").expect("somebody led");
    assert_eq!(first.0, "n2");
    let report = report(&out);
    let nodes = &report["run"]["tested"]["nodes"];
    assert_eq!(nodes[0]["node"], "n2", "{nodes}");
    assert_eq!(nodes[0]["settings"][0]["name"], "election-timeout");
    assert_eq!(nodes[0]["settings"][0]["value"], "150ms..200ms");
    // The floor is that of the shortest timeout, and there is no mean to expect.
    let floor = &report["measured"]["floor"];
    assert_eq!(floor["timing"]["mixed"], true, "{floor}");
    assert!(floor["elected"]["min"].as_u64().is_some_and(|least| least < 200_000_000), "{floor}");
    assert_eq!(floor["elected"]["mean"], Value::Null, "{floor}");
    let saved = fs::read_to_string(out.join("plan.yaml")).unwrap();
    assert!(saved.contains("  nodes:\n    n2:\n      election-timeout: 150ms..200ms\n"), "{saved}");
}

#[test]
fn a_broken_node_among_sound_ones_is_named_in_the_report() {
    if !host_can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let broken = "system.nodes.n3.specimen=double-vote";
    let run = ["run", "kill", "--set", broken, "--set", "faults=none", "--set", "settle=1s", "--set", "nodes=3"];
    let ended =
        output(chaos(&run).args(["--quiet", "--set", "checks=[term-monotonic]", "--out", out.to_str().unwrap()]));
    assert!(out.join("report.json").is_file(), "{}", stderr(&ended));
    let report = report(&out);
    assert_eq!(report["run"]["specimen"], "double-vote at n3");
    assert_eq!(report["run"]["tested"]["nodes"][0]["settings"][0]["name"], "specimen");
}

#[test]
fn an_unknown_specimen_of_one_node_is_refused_before_the_start() {
    let ended = output(&mut chaos(&["run", "kill", "--set", "system.nodes.n3.specimen=double-vot"]));
    assert_eq!(ended.status.code(), Some(254));
    let told = stderr(&ended);
    assert!(told.contains("system.nodes.n3.specimen") && told.contains("`double-vote`"), "{told}");
}

#[test]
fn two_versions_of_etcd_make_one_cluster() {
    let cache = std::env::var_os("CHAOS_SYSTEMS").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/chaos/systems")));
    let there = |version: &str| cache.as_ref().is_some_and(|cache| cache.join("etcd").join(version).is_dir());
    if !host_can_run() {
        return;
    }
    if !there("3.4.23") || !there("3.5.35") {
        eprintln!("SKIPPED: needs `scripts/systems/install etcd@3.4.23 etcd@3.5.35`");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let calm = ["--set", "faults=none", "--set", "system.profile=fast", "--set", "settle=2s"];
    let run = ["run", "mixed-versions", "--quiet", "--seed", "1", "--out", out.to_str().unwrap()];
    let ended = output(chaos(&run).args(calm));
    assert!(out.join("report.json").is_file(), "{}", stderr(&ended));
    // Each process says of itself what it is: etcd writes its version into its log when it starts.
    for (node, version) in [("n1", "3.4.23"), ("n2", "3.4.23"), ("n3", "3.5.35")] {
        let log = fs::read_to_string(out.join("nodes").join(node).join("stderr.log")).unwrap();
        let other = if version == "3.4.23" { "3.5.35" } else { "3.4.23" };
        let says = |version: &str| log.contains(&format!("\"etcd-version\":\"{version}\""));
        assert!(says(version) && !says(other), "{node} is not {version}");
    }
    let tested = &report(&out)["run"]["tested"];
    assert_eq!(tested["version"], "3.4.23", "{tested}");
    assert_eq!(tested["nodes"][0]["node"], "n3", "{tested}");
    assert_eq!(tested["nodes"][0]["settings"][0]["value"], "3.5.35", "{tested}");
    assert_eq!(tested["nodes"][0]["programs"][0]["value"], "3.5.35", "{tested}");
}

#[test]
fn libfaketime_moves_clocks_where_it_is_asked_for_and_a_static_program_is_refused() {
    if !host_can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let way = ["--set", "clocks=libfaketime", "--set", "faults=clock-jump", "--set", "nodes=3", "--quiet", "--out"];
    let run = |more: &[&str]| output(chaos(&["run", "kill"]).args(way).arg(&out).args(more));
    let there = chaos_clock::find_library(None).is_ok();
    if there {
        // A file that has the head of a program, and no loader.
        let program = folder.path().join("static-node");
        let mut bytes = vec![0_u8; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        fs::write(&program, bytes).unwrap();
        let set = format!("system.raft.program={}", program.display());
        let refused = run(&["--set", &set]);
        let told = stderr(&refused);
        assert_eq!(refused.status.code(), Some(254), "{told}");
        assert!(told.contains("static-node is a static program") && told.contains("faults/clock-jump.yaml:"), "{told}");
        fs::remove_dir_all(&out).unwrap();
    }
    // How soon a cluster elects, and how often, is not the question.
    let ended = run(&["--set", "checks=[term-monotonic]"]);
    if !there {
        let told = stderr(&ended);
        assert_eq!(ended.status.code(), Some(254), "{told}");
        assert!(told.contains("libfaketime") && told.contains("remedy"), "{told}");
        eprintln!("SKIPPED: libfaketime is not installed");
        return;
    }
    assert!(matches!(ended.status.code(), Some(0 | 2 | 3)), "{}", stderr(&ended));
    let history = fs::read_to_string(out.join("history.jsonl")).unwrap();
    let faults: Vec<Value> = history.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let faults: Vec<&Value> = faults.iter().filter_map(|line| line.get("fault")).collect();
    assert!(
        !faults.is_empty() && faults.iter().all(|fault| fault.get("error").is_none_or(Value::is_null)),
        "{faults:?}"
    );
    let left: Vec<_> = fs::read_dir(out.join("nodes")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "the files of the clocks are gone: {left:?}");
}
