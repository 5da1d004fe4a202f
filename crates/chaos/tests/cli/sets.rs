//! `chaos run --repeat` and `chaos compare`, on real runs: a set keeps what was done whatever ends it, never hides a violation,
//! and leaves nothing behind.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use crate::support::{assert_gone, chaos, host_can_run, output, stderr, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const SHORT: &str = "
name: short
system: raft
nodes: 3
clients: [register: { keys: 2, rate: 50/s, timeout: 300ms }]
faults:
  about: Kill the leader six times.
  steps:
    - await: leader
    - repeat: 6
      steps:
        - kill: leader
        - await: { leader: true, within: 10s }
        - restart: all
        - await: { stable: 100ms, within: 10s }
checks: [election-safety]
settle: 100ms
";

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(path).expect("readable")).expect("JSON")
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

#[test]
fn a_set_pools_its_runs_and_is_compared_with_another() {
    if !host_can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (workload, set) = (folder.path().join("short.yaml"), folder.path().join("set"));
    fs::write(&workload, SHORT).unwrap();
    let out = ["--out", text(&set), "--seed", "5", "--set", "system.raft.heartbeat=30ms"];
    let ran = output(chaos(&["run", text(&workload), "--repeat", "2"]).args(out));
    assert_eq!(code(&ran), Some(0), "{}", stderr(&ran));

    let found = json(&set.join("set.json"));
    assert_eq!((&found["schema"], &found["ended"]), (&"chaos.set/1".into(), &"complete".into()));
    assert_eq!((found["failovers"].as_u64(), found["runs"].as_array().unwrap().len()), (Some(12), 2));
    let seeds: Vec<u64> = found["runs"].as_array().unwrap().iter().map(|run| run["seed"].as_u64().unwrap()).collect();
    assert!(seeds[0] == 5 && seeds[1] != 5, "{seeds:?}");
    let runs_of: Vec<u64> = ["001", "002"]
        .iter()
        .map(|run| crate::support::report(&set.join(run))["run"]["seed"].as_u64().unwrap())
        .collect();
    assert_eq!(runs_of, seeds);

    // Twelve failovers a side: enough for medians.
    let slow = folder.path().join("slow");
    let out = ["--out", text(&slow), "--set", "system.raft.election-timeout=700ms..900ms"];
    let ran = output(chaos(&["run", text(&workload), "--repeat", "2", "--jobs", "2"]).args(out));
    assert_eq!(code(&ran), Some(0), "{}", stderr(&ran));
    let slower = output(&mut chaos(&["compare", text(&set), text(&slow)]));
    let words = String::from_utf8_lossy(&slower.stdout).into_owned();
    assert_eq!(code(&slower), Some(3), "{words}{}", stderr(&slower));
    assert!(words.contains("system.raft.election-timeout") && words.contains("150ms..300ms → 700ms..900ms"), "{words}");

    // The same through a baseline, the other way round, for programs.
    let baseline = folder.path().join("baseline.json");
    let saved = output(&mut chaos(&["compare", "--save-baseline", text(&baseline), text(&slow)]));
    assert_eq!(code(&saved), Some(0), "{}", stderr(&saved));
    let faster = output(&mut chaos(&["compare", text(&baseline), text(&set), "--format", "json"]));
    assert_eq!(code(&faster), Some(0), "{}", stderr(&faster));
    let faster: serde_json::Value = serde_json::from_slice(&faster.stdout).expect("JSON");
    let rows = faster["comparison"]["rows"].as_array().unwrap();
    let elected = rows.iter().find(|row| row["phase"] == "elected" && row["statistic"] == "p50").unwrap();
    assert_eq!(elected["outcome"], "faster", "{elected}");

    // A set against itself, and a run that is too short to say anything.
    assert_eq!(code(&output(&mut chaos(&["compare", text(&set), text(&set)]))), Some(0));
    let run = set.join("001");
    assert_eq!(code(&output(&mut chaos(&["compare", text(&set), text(&run)]))), Some(2));
    let mixed = output(&mut chaos(&["compare", text(&set), text(&slow), "--vs", text(&set)]));
    assert_eq!(code(&mixed), Some(254));
    assert!(stderr(&mixed).contains("election-timeout"), "{}", stderr(&mixed));
}

#[test]
fn a_violation_ends_the_set_and_outranks_what_went_well() {
    if !host_can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set");
    let specimen = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/specimens/double-vote.yaml");
    let out = ["--out", text(&set), "--set", "system.raft.specimen=double-vote"];
    let ran = output(chaos(&["run", text(&specimen), "--repeat", "3"]).args(out));
    assert_eq!(code(&ran), Some(1), "{}", stderr(&ran));
    let found = json(&set.join("set.json"));
    let runs = found["runs"].as_array().unwrap();
    assert_eq!((&found["ended"], &found["verdict"]), (&"violation".into(), &"fail".into()));
    assert_eq!(runs.last().unwrap()["exit_code"], 1);
    assert!(!set.join("003").exists() || runs.len() == 3, "a set goes on after a violation");
    // As B of a comparison it is a violation, whatever the times say.
    let compared = output(&mut chaos(&["compare", text(&set), text(&set)]));
    assert!(matches!(code(&compared), Some(1 | 254)), "{}", stderr(&compared));
}

#[test]
fn an_interrupted_set_keeps_what_was_done() {
    if !host_can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (workload, set) = (folder.path().join("short.yaml"), folder.path().join("set"));
    fs::write(&workload, SHORT).unwrap();
    let mut child = chaos(&["run", text(&workload), "--repeat", "50", "--out", text(&set)])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("chaos starts");
    wait_for("second run", &mut child, || set.join("002/history.jsonl").is_file());
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2));
    let found = json(&set.join("set.json"));
    assert_eq!((&found["ended"], &found["runs"][0]["exit_code"]), (&"interrupted".into(), &0.into()));
    assert_gone(text(&set), Duration::from_secs(10));
}

#[test]
fn a_killed_set_leaves_no_process() {
    if !host_can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (workload, set) = (folder.path().join("short.yaml"), folder.path().join("set"));
    fs::write(&workload, SHORT).unwrap();
    let mut child = chaos(&["run", text(&workload), "--repeat", "50", "--out", text(&set)])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("chaos starts");
    wait_for("first run", &mut child, || set.join("001/history.jsonl").is_file());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_gone(text(&set), Duration::from_secs(10));
    assert_eq!(json(&set.join("set.json"))["ended"], "running");
}

#[test]
fn what_cannot_be_run_is_not_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let workload = folder.path().join("wrong.yaml");
    fs::write(&workload, "name: wrong\nsystem: raft\nnodes: 99\n").unwrap();
    let set = folder.path().join("set");
    let refused = output(&mut chaos(&["run", text(&workload), "--repeat", "3", "--out", text(&set)]));
    assert_eq!(code(&refused), Some(254), "{}", stderr(&refused));
    assert!(!set.exists());
}
