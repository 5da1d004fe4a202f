//! Nodes of several processes, processes that refuse to be root, and commands that reach into a node.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use chaos_cluster::{NodeAccess, StartError};
use chaos_engine::{Event, FaultChange};
use chaos_history::{NodeId, NodeLife};
use chaos_net::{FilterKind, Network, Star};
use chaos_plan::KillSignal;
use chaos_systems::{CommandLine, Launch, LaunchProcess, Preparation};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::rig::{LONG, Rig, Stub, process, shell, states};
use crate::{Case, eventually};

pub(crate) const CASES: &[Case] = &[
    ("processes_start_in_order_with_logs_of_their_own", processes_start_in_order),
    ("a_further_process_that_ends_leaves_the_node_up", a_further_process_that_ends),
    ("a_kill_of_the_node_ends_all_of_its_processes", a_kill_of_the_node_ends_all),
    ("a_main_process_that_ends_is_the_end_of_the_node", a_main_process_that_ends),
    ("a_further_process_that_cannot_start_fails_the_node", a_further_process_that_cannot_start),
    ("a_further_process_that_ends_at_once_fails_the_start", a_further_process_that_ends_at_once),
    ("a_process_that_refuses_to_be_root_is_somebody_else", a_process_that_refuses_to_be_root),
    ("postgresql_lets_itself_be_set_up", postgresql_lets_itself_be_set_up),
    ("a_probe_sees_what_the_node_sees", a_probe_sees_what_the_node_sees),
];

const KILL: FaultChange = FaultChange::Kill(KillSignal::KILL);
const IDLE: &str = "exec sleep 1000";

fn with_processes(processes: Vec<LaunchProcess>) -> Stub {
    Stub::new(1, 0, move |_, _| Launch { processes: processes.clone(), ..Launch::default() })
}

fn started(processes: Vec<LaunchProcess>) -> Rig {
    let mut rig = Rig::of(Path::new("/tmp"), with_processes(processes));
    rig.try_start().unwrap();
    rig
}

fn pid_of_further(rig: &Rig, name: &str) -> Pid {
    let found = rig.history().events.into_iter().rev().find_map(|recorded| match recorded.event {
        chaos_history::Event::Node(event) => match event.life {
            NodeLife::ProcessStarted { process, pid } if process == name => Some(pid),
            _ => None,
        },
        _ => None,
    });
    Pid::from_raw(i32::try_from(found.unwrap()).unwrap())
}

fn processes_start_in_order() {
    let rig = started(vec![
        process("server", &format!("echo out; echo err >&2; {IDLE}")),
        process("agent", &format!("echo agent out; echo agent err >&2; {IDLE}")),
        process("sidecar", IDLE),
    ]);
    assert_eq!(rig.further_of(1), ["+agent", "+sidecar"]);
    eventually("all said something", LONG, || rig.file(1, "agent.stderr.log") == "agent err\n");
    eventually("and the main one too", LONG, || rig.file(1, "stderr.log") == "err\n");
    assert_eq!(
        (rig.file(1, "stdout.log").as_str(), rig.file(1, "agent.stdout.log").as_str()),
        ("out\n", "agent out\n")
    );
    assert_eq!(states().len(), 3);
}

fn a_further_process_that_ends() {
    let mut rig = started(vec![process("server", IDLE), process("agent", IDLE)]);
    kill(pid_of_further(&rig, "agent"), Signal::SIGKILL).unwrap();
    let life = rig.until("the agent's end", |_, event| match event {
        Event::Node { life: life @ NodeLife::ProcessExited { .. }, .. } => Some(life.clone()),
        Event::Node { life: NodeLife::Exited { .. }, .. } => panic!("the node is up"),
        _ => None,
    });
    let expect = NodeLife::ProcessExited { process: "agent".to_owned(), code: None, signal: Some(9), expected: false };
    assert_eq!(life, expect);
    assert_eq!((states().len(), rig.further_of(1)), (1, vec!["+agent".to_owned(), "!agent".to_owned()]));
    // A restart leaves alone who is up.
    assert_eq!(rig.fault(FaultChange::Restart, &[1]).error, None);
    assert_eq!(rig.pids_of(1).len(), 1);
}

fn a_kill_of_the_node_ends_all() {
    let mut rig = started(vec![process("server", IDLE), process("agent", &format!("(setsid sleep 1000 &); {IDLE}"))]);
    eventually("all run", LONG, || states().len() == 3);
    for round in 1..=2 {
        let event = rig.fault(KILL, &[1]);
        assert!(event.error.is_none() && event.stamps.effect.is_some(), "{event:?}");
        eventually("nobody is left", LONG, || states().is_empty());
        assert_eq!(rig.fault(FaultChange::Restart, &[1]).error, None);
        eventually("all run again", LONG, || states().len() == 3);
        assert_eq!(
            rig.further_of(1),
            ["+agent", "-agent"].repeat(round).into_iter().chain(["+agent"]).collect::<Vec<_>>()
        );
    }
}

fn a_main_process_that_ends() {
    let mut rig = started(vec![process("server", IDLE), process("agent", IDLE)]);
    kill(Pid::from_raw(rig.pids_of(1)[0]), Signal::SIGKILL).unwrap();
    assert_eq!(rig.exit_of(1), NodeLife::Exited { code: None, signal: Some(9), expected: false });
    assert_eq!(states().len(), 1, "the agent lives on");
    assert_eq!(rig.fault(FaultChange::Restart, &[1]).error, None);
    eventually("both run, once", LONG, || states().len() == 2);
    assert_eq!(rig.further_of(1), ["+agent", "-agent", "+agent"], "it was ended as a leftover");
}

fn a_further_process_that_cannot_start() {
    let mut nowhere = process("agent", IDLE);
    nowhere.command.program = "/nowhere".into();
    let mut rig = Rig::of(Path::new("/tmp"), with_processes(vec![process("server", IDLE), nowhere]));
    let error = rig.try_start().unwrap_err();
    assert!(error.to_string().contains("start n1: run `/nowhere`"), "{error}");
    eventually("nobody is left", LONG, || states().is_empty());
    assert!(rig.pids_of(1).is_empty());
}

fn a_further_process_that_ends_at_once() {
    let mut rig = Rig::of(
        Path::new("/tmp"),
        with_processes(vec![process("server", IDLE), process("agent", "echo why >&2; exit 3")]),
    );
    rig.driver.hold.store(true, std::sync::atomic::Ordering::SeqCst);
    let error = rig.try_start().unwrap_err();
    let StartError::ProcessExited { node, process, how, log } = &error else { panic!("{error:?}") };
    assert_eq!((*node, process.as_str(), how.as_str()), (NodeId::new(1), "agent", "exit code 3"));
    assert_eq!(std::fs::read_to_string(log).unwrap(), "why\n");
}

fn a_process_that_refuses_to_be_root() {
    let script = "test $(id -u) != 0 && test $(stat -c %u /tmp/run) = $(id -u) && id -un && ip=$(cat /proc/net/fib_trie) && \
        echo \"$ip\" | grep -c 10.77.0.1 && echo mine > /tmp/run/mine && exec sleep 1000";
    let mut node = process("node", script);
    node.command.nonroot = true;
    let mut rig = started(vec![node]);
    eventually("it writes what root owns", LONG, || Path::new("/tmp/run/mine").exists());
    assert!(!rig.file(1, "stdout.log").is_empty(), "its uid has a name");
    // It is a process of the node as any other.
    let pause = rig.fault(FaultChange::Pause, &[1]);
    assert!(pause.error.is_none() && pause.stamps.effect.is_some(), "{pause:?}");
    assert!(states().iter().all(|state| state.1 == 'T') && states().len() == 1);
    assert_eq!(rig.fault(FaultChange::Resume, &[1]).error, None);
    assert_eq!(rig.fault(KILL, &[1]).error, None);
    eventually("nobody is left", LONG, || states().is_empty());
}

/// PostgreSQL's `initdb`, where an installed system has brought one.
fn initdb() -> Option<std::path::PathBuf> {
    let cache = std::env::var_os("CHAOS_SYSTEMS").map(std::path::PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(Path::new(&home).join(".cache/chaos/systems"))
    })?;
    let versions = std::fs::read_dir(cache.join("patroni")).ok()?.flatten();
    versions.map(|version| version.path().join("bin/initdb")).find(|program| program.exists())
}

fn postgresql_lets_itself_be_set_up() {
    let Some(program) = initdb() else {
        println!("no PostgreSQL is installed; `scripts/systems/install patroni` brings one");
        std::process::exit(i32::from(crate::SKIP_CODE));
    };
    let set_up = move |nonroot| {
        let program = program.clone();
        move |_: NodeId, data: &Path| {
            let arguments = vec!["--no-sync".into(), "-A".into(), "trust".into(), "-D".into(), data.join("pg").into()];
            let command = CommandLine { program: program.clone(), arguments, nonroot, ..CommandLine::default() };
            Launch {
                setup: vec![Preparation { command, retry_for: Duration::ZERO }],
                processes: vec![process("node", IDLE)],
                ..Launch::default()
            }
        }
    };
    let root = Path::new("/tmp/root");
    if nix::unistd::geteuid().is_root() {
        let plain = set_up(false)(NodeId::new(1), root).setup.remove(0).command;
        let output = Command::new(plain.program).args(plain.arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("cannot be run as root"), "{said}");
    }
    let mut rig = Rig::of(Path::new("/tmp"), Stub::new(1, 0, set_up(true)));
    if let Err(error) = rig.try_start() {
        panic!("{error}: {}", rig.file(1, "setup.log"));
    }
    assert!(rig.directory.node(NodeId::new(1)).join("data/pg/PG_VERSION").exists(), "{}", rig.file(1, "setup.log"));
}

fn a_probe_sees_what_the_node_sees() {
    let star = Network::Star(Box::new(Star::build(2, FilterKind::Nftables).unwrap()));
    let access = NodeAccess::of(&star).unwrap();
    let node = NodeId::new(2);
    let of_node = (access.addresses())(node).unwrap();
    assert!(of_node.contains(&star.address(1)) && !of_node.contains(&star.address(0)), "{of_node:?}");
    for nonroot in [false, true] {
        let line = shell("id -u; cat /proc/net/fib_trie");
        let mut command = Command::new(line.program);
        command.args(line.arguments);
        (access.enter(nonroot))(node, &mut command).unwrap();
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("10.77.0.2\n") && !text.contains("10.77.0.1\n"), "{text}");
        assert!(!nonroot || !text.starts_with("0\n"), "{text}");
    }
    let mut command = Command::new("true");
    assert!((access.enter(false))(NodeId::new(3), &mut command).is_err());
    assert!((access.addresses())(NodeId::new(3)).is_err());
}
