//! Runs without namespaces, over proxies: what they find, what they refuse, and that they leave nothing on the host.
#![allow(clippy::unwrap_used, reason = "a test that can't set itself up fails")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::support::{assert_gone, chaos, output, report, stderr, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Runs leave directories under /tmp while they last, so that two at once could not be told apart.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const WORKLOAD: &str = "\
name: proxied
system: raft
nodes: 3
network: proxy
clients:
  - register: { keys: 2, rate: 100/s }
checks: [election-safety, linearizable, no-lost-writes]
faults:
  name: proxied
  steps:
    - await: leader
    - partition: { isolate: leader }
      for: 3s
    - await: { stable: 500ms, within: 20s }
";

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

fn workload(folder: &Path, steps: &str) -> PathBuf {
    let file = folder.join("proxied.yaml");
    fs::write(&file, format!("{WORKLOAD}{steps}")).unwrap();
    file
}

fn scratch_directories() -> BTreeSet<PathBuf> {
    let entries = fs::read_dir("/tmp").unwrap().flatten().map(|entry| entry.path());
    let is_scratch = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.strip_prefix("chaos-").is_some_and(|rest| rest.len() == 8 && rest.chars().all(|c| c.is_ascii_hexdigit()))
    };
    entries.filter(is_scratch).collect()
}

/// The failovers of one kind of fault that a report has, and those that reached a write.
fn failovers(report: &serde_json::Value, kind: &str) -> usize {
    let all = report["measured"]["failovers"].as_array().expect("failovers");
    all.iter().filter(|failover| failover["kind"] == kind).count()
}

fn assert_passed(run: &Output, out: &Path) -> serde_json::Value {
    assert_eq!(run.status.code(), Some(0), "{}{}", stderr(run), String::from_utf8_lossy(&run.stdout));
    let report = report(out);
    assert_eq!(report["run"]["acted_on"], "tcp_streams");
    report
}

#[test]
fn a_cluster_over_proxies_fails_over_under_every_fault_that_proxies_can_make() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let before = scratch_directories();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let more = "    - partition: { isolate: leader, drop: reject, heal: reset }
      for: 3s
    - await: { stable: 500ms, within: 20s }
    - partition: { one-way: { from: leader, to: followers } }
      for: 3s
    - await: { stable: 500ms, within: 20s }
    - link: { between: all, delay: 5ms, rate: 10mbit/s }
      for: 1s
    - kill: leader
      for: 2s
    - await: { stable: 500ms, within: 20s }
    - pause: leader
      for: 3s
    - await: { stable: 500ms, within: 20s }
";
    let file = workload(folder.path(), more);
    let run = output(&mut chaos(&["run", text(&file), "--seed", "3", "--out", text(&out)]));
    let report = assert_passed(&run, &out);
    assert!(failovers(&report, "partition") >= 2, "{}", report["measured"]["failovers"]);
    assert!(failovers(&report, "kill") == 1 && failovers(&report, "pause") == 1);
    let told = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(told.contains("faults on TCP streams only (network: proxy)"), "{told}");
    assert_gone(text(&out), Duration::from_secs(1));
    assert_eq!(scratch_directories(), before);
}

/// `chaos` where no namespace of any kind can be made: in a user namespace whose limits of namespaces are zero.
fn without_namespaces(arguments: &[&str]) -> Option<Output> {
    let script =
        "for limit in /proc/sys/user/max_*_namespaces; do echo 0 > $limit || exit 77; done; exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "sh", "-c", script, env!("CARGO_BIN_EXE_chaos")]).args(arguments);
    let run = command.current_dir(crate::support::root()).stdin(Stdio::null()).output().ok()?;
    let could = run.status.code() != Some(77) && !stderr(&run).starts_with("unshare:");
    could.then_some(run)
}

#[test]
fn where_namespaces_are_forbidden_the_other_way_is_named_with_its_limits_and_works() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("refused");
    let Some(refused) = without_namespaces(&["run", "partition", "--out", text(&out)]) else {
        eprintln!("SKIPPED: this host lets nobody make a user namespace in which there can be no others");
        return;
    };
    assert_eq!(refused.status.code(), Some(254), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("--network proxy"), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("packets can't be lost"), "{}", stderr(&refused));
    assert!(!out.exists(), "nothing is run in its place");

    let out = folder.path().join("run");
    let file = workload(folder.path(), "");
    let run = without_namespaces(&["run", text(&file), "--seed", "5", "--out", text(&out)]).unwrap();
    let report = assert_passed(&run, &out);
    assert_eq!(failovers(&report, "partition"), 1);
}

#[test]
fn what_proxies_cant_do_is_refused_at_its_line_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let plans = ["lossy-network", "mangled-packets", "heavy-tail", "live-migration", "power-loss"];
    for plan in plans {
        let faults = format!("faults={plan}");
        let words = ["run", "kill", "--network", "proxy", "--set", &faults, "--out", text(&out)];
        let run = output(&mut chaos(&words));
        assert_eq!(run.status.code(), Some(254), "{plan}: {}", stderr(&run));
        let place = format!("faults/{plan}.yaml:");
        assert!(
            stderr(&run).contains("`network: proxy` can't do this") && stderr(&run).contains(&place),
            "{}",
            stderr(&run)
        );
    }
    let run = output(&mut chaos(&["run", "kill", "--network", "proxy", "--system", "etcd", "--out", text(&out)]));
    assert_eq!(run.status.code(), Some(254));
    assert!(stderr(&run).contains("`etcd` can't run on `network: proxy`"), "{}", stderr(&run));
    assert!(!out.exists());
}

/// A node program that leaves a daemon behind: forked twice, in a session of its own, with an empty environment.
fn node_with_daemon(folder: &Path, seconds: u32) -> PathBuf {
    let program = folder.join("node.sh");
    let chaos = env!("CARGO_BIN_EXE_chaos");
    let script = format!("#!/bin/sh\n(setsid env -i sleep {seconds} &)\nexec {chaos} node \"$@\"\n");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

fn children_of(pid: Pid) -> Vec<Pid> {
    let parent = |entry: &fs::DirEntry| {
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        stat[stat.rfind(')')? + 1..].split_whitespace().nth(1)?.parse::<i32>().ok()
    };
    let all = fs::read_dir("/proc").unwrap().flatten();
    let children = all.filter(|entry| parent(entry) == Some(pid.as_raw()));
    children.filter_map(|entry| Some(Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))).collect()
}

#[test]
fn kill_9_of_stub_guard_or_controller_leaves_no_process_no_daemon_and_no_directory() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for (victim, name) in ["stub", "guard", "controller"].into_iter().enumerate() {
        let before = scratch_directories();
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        // Nobody else on this host sleeps for so long.
        let seconds = 1_000_000_000 + std::process::id() % 1_000_000 + u32::try_from(victim).unwrap() * 1_000_000;
        let daemon = format!("sleep\0{seconds}");
        let program = node_with_daemon(folder.path(), seconds);
        let program = format!("system.raft.program={}", text(&program));
        let file = workload(folder.path(), "");
        let words = ["run", text(&file), "--quiet", "--set", &program, "--out", text(&out)];
        let mut run = chaos(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let stub = Pid::from_raw(i32::try_from(run.id()).unwrap());
        wait_for("daemons and a leader", &mut run, || {
            let history = fs::read_to_string(out.join("history.jsonl")).unwrap_or_default();
            crate::support::processes_mentioning(&daemon).len() == 3 && history.contains("\"role\":\"leader\"")
        });
        let guard = children_of(stub)[0];
        // Daemons are the guard's children too; the controller is the one that has threads.
        let threads = |pid: &Pid| fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
        let controller = children_of(guard).into_iter().max_by_key(threads).unwrap();
        kill([stub, guard, controller][victim], Signal::SIGKILL).unwrap();
        run.wait().unwrap();
        assert_gone(text(&out), Duration::from_secs(3));
        assert_gone(&daemon, Duration::from_secs(3));
        let give_up = Instant::now() + Duration::from_secs(3);
        while scratch_directories() != before {
            assert!(Instant::now() < give_up, "{name}: {:?} is left", scratch_directories());
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(fs::metadata(out.join("history.jsonl")).unwrap().len() > 0);
    }
}

#[test]
fn a_process_that_was_there_before_is_none_of_the_runs() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let file = workload(folder.path(), "");
    // The shell's child becomes that of the stub, and then the guard is killed, so that the stub cleans up.
    let script = "sleep 1000 & echo $! > \"$0\"; shift; exec \"$@\"";
    let noted = folder.path().join("bystander");
    let mut run = Command::new("sh")
        .args(["-c", script, text(&noted), "-", env!("CARGO_BIN_EXE_chaos"), "run", text(&file), "--out", text(&out)])
        .current_dir(crate::support::root())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("a run", &mut run, || out.join("history.jsonl").exists());
    let bystander = Pid::from_raw(fs::read_to_string(&noted).unwrap().trim().parse().unwrap());
    let stub = Pid::from_raw(i32::try_from(run.id()).unwrap());
    let guard = children_of(stub).into_iter().find(|child| *child != bystander).unwrap();
    kill(guard, Signal::SIGKILL).unwrap();
    run.wait().unwrap();
    assert_gone(text(&out), Duration::from_secs(3));
    assert!(kill(bystander, None).is_ok(), "it was there before the run, and is still");
    kill(bystander, Signal::SIGKILL).unwrap();
}
