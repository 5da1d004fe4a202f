//! Leadership that is handed over, and members that go and come back: the effects on a real etcd cluster, and what is refused before
//! anything starts. Without an installed etcd the former says that it is skipped.
#![allow(clippy::unwrap_used, reason = "a test that can't set itself up fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::{assert_gone, chaos, host_can_run, output, report, stderr};
use serde_json::Value;

const PLAN: &str = "
name: etcd-operations
system: { use: etcd, profile: fast, version: 3.5.1 }
nodes: 3
seed: 5
clients: [register: { keys: 3, rate: 60/s }]
checks: [election-safety, term-monotonic, linearizable, no-lost-writes, recovers: { within: 10s }]
faults:
  name: operations
  steps:
    - await: { stable: 1s, within: 30s }
    - transfer: leader
    - await: { stable: 500ms, within: 15s }
    - transfer: { node: leader, to: old-leader }
    - await: { stable: 6s, within: 30s }
    - remove-member: follower
      for: 1s
    - await: { stable: 6s, within: 60s }
    - remove-member: leader
      for: 1s
    - await: { stable: 2s, within: 60s }
";

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// Whether the system is installed where its definition looks for it.
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
fn is_installed(system: &str, version: &str) -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("CHAOS_SYSTEMS").or_else(|| {
        set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache"))).map(|at| at.join("chaos/systems"))
    });
    let there = cache.is_some_and(|cache| cache.join(system).join(version).is_dir());
    if !there {
        eprintln!("SKIPPED: {system} {version} is not installed (scripts/systems/install {system}@{version})");
    }
    there
}

/// The events of one kind, with their stamps, in the order of the history.
fn events(out: &Path, kind: &str) -> Vec<Value> {
    let history = fs::read_to_string(out.join("history.jsonl")).unwrap();
    let lines = history.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line.get(kind).is_some()).collect()
}

fn edges<'e>(faults: &'e [Value], kind: &str, edge: &str) -> Vec<&'e Value> {
    let all = faults.iter().map(|event| &event["fault"]);
    all.filter(|fault| fault["kind"] == kind && fault["edge"] == edge).collect()
}

/// Who claimed to lead first, asked after this moment.
fn leads_after(observations: &[Value], at: u64) -> Option<&str> {
    let told = observations.iter().map(|event| &event["observation"]);
    let mut claims =
        told.filter(|told| told["sent"].as_u64().unwrap() > at && told["outcome"]["answered"]["role"] == "leader");
    claims.next()?["node"].as_str()
}

#[test]
fn etcd_hands_its_leadership_over_and_members_go_and_come_back_with_empty_disks() {
    if !host_can_run() || !is_installed("etcd", "3.5.1") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (plan, out) = (folder.path().join("plan.yaml"), folder.path().join("run"));
    fs::write(&plan, PLAN).unwrap();
    let run = output(&mut chaos(&["run", text(&plan), "--keep", "--out", text(&out)]));
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let (faults, observations, nodes) = (events(&out, "fault"), events(&out, "observation"), events(&out, "node"));

    let transfers = edges(&faults, "transfer", "begin");
    assert_eq!(transfers.len(), 2);
    for transfer in &transfers {
        assert!(transfer["error"].is_null(), "{transfer}");
        let seen = transfer["stamps"]["effect"].as_u64().expect("another leader was seen");
        assert_ne!(leads_after(&observations, seen), transfer["leader"][0].as_str(), "{transfer}");
    }
    let second = transfers[1]["stamps"]["effect"].as_u64().unwrap();
    assert_eq!(leads_after(&observations, second), transfers[0]["leader"][0].as_str(), "it was told to whom");

    let (removals, returns) = (edges(&faults, "remove-member", "begin"), edges(&faults, "remove-member", "end"));
    assert_eq!((removals.len(), returns.len()), (2, 2));
    assert_eq!(removals[1]["nodes"][0], removals[1]["leader"][0], "the second one led");
    for (removal, back) in removals.iter().zip(&returns) {
        assert!(removal["error"].is_null() && back["error"].is_null(), "{removal} {back}");
        let (from, to) = (&removal["stamps"]["effect"], &back["stamps"]["call_begin"]);
        let (from, to) = (from.as_u64().unwrap() + 500_000_000, to.as_u64().unwrap());
        let answered = observations.iter().map(|event| &event["observation"]).any(|told| {
            let inside = told["sent"].as_u64().unwrap() > from && told["received"].as_u64().unwrap() < to;
            inside && told["node"] == removal["nodes"][0] && told["outcome"].get("answered").is_some()
        });
        assert!(!answered, "its processes have ended");
        let started = nodes.iter().filter(|event| {
            event["node"]["node"] == removal["nodes"][0] && event["node"]["life"].get("started").is_some()
        });
        assert!(started.count() >= 2);
        // What it was before is on no disk: etcd keeps a member's number in the name of no file, but its log of the run says it twice.
        let log = fs::read_to_string(out.join("nodes").join(removal["nodes"][0].as_str().unwrap()).join("stderr.log"));
        let log = log.unwrap();
        assert!(log.contains("\"initial-cluster-state\":\"existing\""), "it was started to join");
    }
    let report = report(&out);
    let kinds: Vec<&str> =
        report["measured"]["failovers"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["transfer", "transfer", "remove-member"], "each kind by itself, and a follower is no leader");
    assert_gone(text(&out), Duration::from_secs(1));
}

#[test]
fn what_a_system_can_not_be_told_is_refused_at_the_plans_line_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, out) = (folder.path().join("plan.yaml"), folder.path().join("run"));
    let steps = "name: case\nsystem: zookeeper\nnodes: 3\nfaults:\n  steps:\n    - transfer: leader\n";
    fs::write(&plan, steps).unwrap();
    let run = output(&mut chaos(&["run", text(&plan), "--out", text(&out)]));
    assert_eq!(run.status.code(), Some(254));
    let said = stderr(&run);
    for part in ["`transfer` can't be done to `zookeeper`", "plan.yaml:6:7", "`raft`", "`etcd`", "`redis`"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!out.exists());
}
