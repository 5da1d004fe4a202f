//! Nodes whose clocks are moved while they run, and whose processes are otherwise those of any run.

use std::path::Path;
use std::time::{Duration, SystemTime};

use chaos_clock::{Rate, Reset, Scope};
use chaos_cluster::{ClockChange, Clocks, ProcessError};
use chaos_engine::{Command, FaultChange, World};
use chaos_history::{FaultId, NodeId, NodeLife};
use chaos_plan::{ClockFault, Hindrance, KillSignal};
use chaos_systems::{Launch, LaunchProcess, Preparation};

use crate::rig::{LONG, Rig, Stub, process, shell, states};
use crate::{Case, eventually};

pub(crate) const CASES: &[Case] = &[
    ("a_moved_clock_is_seen_by_all_that_a_node_runs_and_by_no_other_node", a_moved_clock),
    ("a_node_keeps_its_clock_over_a_restart_and_a_pause", a_node_keeps_its_clock),
    ("a_fault_moves_a_clock_over_a_restart_until_it_ends", a_fault_moves_a_clock),
    ("a_strobe_lasts_until_the_clock_is_reset", a_strobe),
    ("a_node_that_executes_itself_all_the_time_has_not_ended", a_restless_node),
    ("a_program_that_refuses_to_be_root_sees_the_clock", a_program_that_refuses_to_be_root),
    ("a_process_that_has_true_time_is_told", a_process_that_has_true_time),
    ("a_program_that_is_missing_fails_the_start_with_clocks_too", a_missing_program),
    ("a_preloaded_clock_jumps_drifts_and_returns", a_preloaded_clock),
    ("a_run_without_clocks_touches_no_program", a_run_without_clocks),
];

const HOUR: i64 = 3_600_000_000_000;
const JUMP: ClockChange = ClockChange::Jump { by_ns: HOUR };
const RESET: ClockChange = ClockChange::Reset(Reset::Jump);
const BACK: FaultChange = FaultChange::Hinder(Hindrance::Clock(ClockFault::Jump { by_ns: -2 * HOUR }));
const KILL: FaultChange = FaultChange::Kill(KillSignal::KILL);
/// Tells the time again and again, by a program that is executed for it.
const TELLS: &str = "while :; do date +%s; sleep 0.01; done";

fn rig(processes: Vec<LaunchProcess>, nodes: usize) -> Rig {
    let stub = Stub::new(nodes, 0, move |_, _| Launch { processes: processes.clone(), ..Launch::default() });
    started(stub)
}

fn started(stub: Stub) -> Rig {
    let mut rig = Rig::with_clocks(Path::new("/tmp"), stub, Some(Clocks::Swapped(Scope::Wall)));
    rig.try_start().unwrap();
    rig
}

fn set(rig: &mut Rig, number: u16, change: ClockChange) -> i64 {
    let before = rig.clock.now();
    let set = rig.world.set_clock(NodeId::new(number), change).unwrap();
    assert!(before <= set.call_begin && set.call_begin <= set.call_end && set.call_end <= rig.clock.now(), "{set:?}");
    assert!(set.without.is_empty(), "all of the node's processes see its clock");
    set.offset_ns
}

/// Waits until the last line of a node's log tells a time that is so many hours off, give or take a minute.
fn tells(rig: &Rig, number: u16, log: &str, hours: i64) {
    eventually(&format!("n{number} tells a time in {log} that is {hours} h off"), LONG, || {
        let text = rig.file(number, log);
        // The last line may not be whole.
        let Some(line) = text.rsplit('\n').nth(1) else { return false };
        let now = i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
        (line.trim().parse::<i64>().unwrap() - now - 3600 * hours).abs() < 60
    });
}

fn a_moved_clock() {
    let daemon = format!("(setsid sh -c '{TELLS}' &) & exec sleep 1000");
    let mut rig = rig(vec![process("server", TELLS), process("agent", &daemon)], 2);
    for number in [1, 2] {
        tells(&rig, number, "stdout.log", 0);
        tells(&rig, number, "agent.stdout.log", 0);
    }
    assert_eq!(set(&mut rig, 1, JUMP), HOUR);
    assert_eq!(set(&mut rig, 2, ClockChange::Jump { by_ns: -2 * HOUR }), -2 * HOUR);
    for (number, hours) in [(1, 1), (2, -2)] {
        tells(&rig, number, "stdout.log", hours);
        tells(&rig, number, "agent.stdout.log", hours);
    }
    assert_eq!(set(&mut rig, 1, RESET), 0);
    set(&mut rig, 2, ClockChange::Rate(Rate::new(0.0).unwrap()));
    tells(&rig, 1, "stdout.log", 0);
    tells(&rig, 1, "agent.stdout.log", 0);
    tells(&rig, 2, "stdout.log", -2);
    let error = rig.world.set_clock(NodeId::new(1), ClockChange::Jump { by_ns: i64::MAX }).unwrap_err();
    assert!(matches!(error, ProcessError::ClockChange { .. }), "{error:?}");
}

fn a_node_keeps_its_clock() {
    let mut rig = rig(vec![process("server", TELLS)], 1);
    set(&mut rig, 1, JUMP);
    tells(&rig, 1, "stdout.log", 1);
    assert_eq!(rig.fault(KILL, &[1]).error, None);
    // A node that is down has a clock as well.
    assert_eq!(set(&mut rig, 1, JUMP), 2 * HOUR);
    assert_eq!(rig.fault(FaultChange::Restart, &[1]).error, None);
    tells(&rig, 1, "stdout.log", 2);
    for _ in 0..5 {
        let paused = rig.fault(FaultChange::Pause, &[1]);
        assert!(paused.error.is_none() && paused.stamps.effect.is_some(), "{paused:?}");
        // A shell that waits for its child to execute is in the kernel, and stops when it comes back from there.
        // One that is being given its clock is held by who gives it, and stops when that lets go.
        eventually("all are stopped", LONG, || states().iter().all(|state| matches!(state.1, 'T' | 'D')));
        assert_eq!(rig.fault(FaultChange::Resume, &[1]).error, None);
    }
    set(&mut rig, 1, JUMP);
    tells(&rig, 1, "stdout.log", 3);
}

fn a_fault_moves_a_clock() {
    let mut rig = rig(vec![process("server", TELLS)], 2);
    let event = rig.fault(BACK, &[1]);
    assert!(event.error.is_none() && event.stamps.effect.is_some(), "{event:?} {}", rig.remarks());
    tells(&rig, 1, "stdout.log", -2);
    let nodes = vec![NodeId::new(1)];
    let alter = |change| Command::Alter { fault: FaultId(1), change, nodes: nodes.clone(), process: None };
    rig.world.execute(alter(KILL)).unwrap();
    rig.exit_of(1);
    std::fs::write(rig.directory.node(NodeId::new(1)).join("stdout.log"), "").unwrap();
    rig.world.execute(alter(FaultChange::Restart)).unwrap();
    tells(&rig, 1, "stdout.log", -2);
    tells(&rig, 2, "stdout.log", 0);
    let event = rig.fault(FaultChange::Relax, &[1]);
    assert!(event.error.is_none() && event.stamps.effect.is_some(), "{event:?} {}", rig.remarks());
    tells(&rig, 1, "stdout.log", 0);
}

fn a_strobe() {
    let mut rig = rig(vec![process("server", TELLS)], 1);
    let period = Duration::from_millis(300);
    assert_eq!(set(&mut rig, 1, ClockChange::Strobe { by_ns: HOUR, period }), HOUR);
    for hours in [1, 0, 1, 0] {
        tells(&rig, 1, "stdout.log", hours);
    }
    assert_eq!(set(&mut rig, 1, ClockChange::Strobe { by_ns: 5 * HOUR, period }), 5 * HOUR);
    tells(&rig, 1, "stdout.log", 5);
    assert_eq!(set(&mut rig, 1, RESET), 0);
    tells(&rig, 1, "stdout.log", 0);
}

fn a_restless_node() {
    std::fs::write("/tmp/restless", "date +%s\nexec sh \"$0\"\n").unwrap();
    let mut rig = rig(vec![process("server", "exec sh /tmp/restless")], 1);
    set(&mut rig, 1, JUMP);
    tells(&rig, 1, "stdout.log", 1);
    eventually("it has executed itself often", LONG, || rig.file(1, "stdout.log").lines().count() > 100);
    assert_eq!(rig.fault(KILL, &[1]).error, None);
    // Had it seemed to end before, it would have been started again, or its end not have been meant.
    let expect = NodeLife::Exited { code: None, signal: Some(9), expected: true };
    let exits = rig.history().events.into_iter().filter_map(|recorded| match recorded.event {
        chaos_history::Event::Node(event) if matches!(event.life, NodeLife::Exited { .. }) => Some(event.life),
        _ => None,
    });
    assert_eq!(exits.collect::<Vec<_>>(), [expect]);
}

fn a_program_that_refuses_to_be_root() {
    let mut server = process("server", &format!("id -u >&2; {TELLS}"));
    server.command.nonroot = true;
    let mut rig = rig(vec![server], 1);
    set(&mut rig, 1, JUMP);
    tells(&rig, 1, "stdout.log", 1);
    assert_ne!(rig.file(1, "stderr.log").trim(), "0");
}

/// Commands that prepare a node have true time, and so has a daemon that one of them leaves behind.
fn a_process_that_has_true_time() {
    let stub = Stub {
        after_start: |_| {
            let command = shell("(setsid sleep 1000 &) &");
            vec![Preparation { command, retry_for: Duration::ZERO }]
        },
        ..Stub::new(1, 0, |_, _| Launch { processes: vec![process("server", TELLS)], ..Launch::default() })
    };
    let mut rig = started(stub);
    let set = rig.world.set_clock(NodeId::new(1), JUMP).unwrap();
    let [daemon] = set.without[..] else { panic!("{set:?}") };
    assert_eq!(std::fs::read_to_string(format!("/proc/{daemon}/comm")).unwrap(), "sleep\n");
    tells(&rig, 1, "stdout.log", 1);
    let event = rig.fault(BACK, &[1]);
    assert_eq!((event.error, event.stamps.effect), (None, None));
    let remark = format!("processes [{daemon}] of n1 have true time all the same");
    assert!(rig.remarks().contains(&remark), "{}", rig.remarks());
}

fn a_missing_program() {
    let mut command = shell("");
    command.program = "/no/such/program".into();
    let processes = vec![LaunchProcess { name: "server".to_owned(), command }];
    let stub = Stub::new(1, 0, move |_, _| Launch { processes: processes.clone(), ..Launch::default() });
    let mut rig = Rig::with_clocks(Path::new("/tmp"), stub, Some(Clocks::Swapped(Scope::Wall)));
    let error = chaos_net::chain(&rig.try_start().unwrap_err());
    assert!(error.contains("/no/such/program") && error.contains("No such file"), "{error}");
}

fn a_run_without_clocks() {
    let mut rig = Rig::started(&["exec sleep 1000"]);
    let pid = rig.pids_of(1)[0];
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("Seccomp:\t0") && status.contains("TracerPid:\t0"), "{status}");
    let error = rig.world.set_clock(NodeId::new(1), JUMP).unwrap_err();
    assert!(matches!(error, ProcessError::NoClock(_)), "{error:?}");
}

#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
fn a_preloaded_clock() {
    let Ok(library) = chaos_clock::find_library(None) else {
        eprintln!("SKIPPED: libfaketime is not installed");
        return;
    };
    // What a killed program leaves there is to go with this test.
    chaos_net::isolation::mount_tmpfs(Path::new("/dev/shm"), None).unwrap();
    let daemon = format!("(setsid sh -c '{TELLS}' &) & exec sleep 1000");
    let processes = vec![process("server", TELLS), process("agent", &daemon)];
    let stub = Stub::new(2, 0, move |_, _| Launch { processes: processes.clone(), ..Launch::default() });
    let mut rig = Rig::with_clocks(Path::new("/tmp"), stub, Some(Clocks::Preloaded { library }));
    rig.try_start().unwrap();
    tells(&rig, 1, "stdout.log", 0);
    assert_eq!(set(&mut rig, 1, JUMP), HOUR);
    for (number, hours) in [(1, 1), (2, 0)] {
        tells(&rig, number, "stdout.log", hours);
        tells(&rig, number, "agent.stdout.log", hours);
    }
    // Sixty-four seconds in each: an hour more takes a minute, two seconds are over two minutes.
    set(&mut rig, 1, ClockChange::Rate(Rate::new(64.0).unwrap()));
    eventually("the clock of n1 drifts ahead", LONG, || {
        let text = rig.file(1, "stdout.log");
        let shown: i64 = text.rsplit('\n').nth(1).and_then(|line| line.trim().parse().ok()).unwrap_or_default();
        let now = i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
        shown - now > 3600 + 100
    });
    assert_eq!(set(&mut rig, 1, RESET), 0);
    tells(&rig, 1, "stdout.log", 0);
    tells(&rig, 1, "agent.stdout.log", 0);
    assert!(rig.world.finish().is_ok());
}
