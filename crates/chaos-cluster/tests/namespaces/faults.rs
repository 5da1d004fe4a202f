//! What faults do to nodes, and that it is told as it was.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use chaos_engine::{Cut, FaultChange};
use chaos_history::{Link, NodeId, NodeLife};
use chaos_plan::KillSignal;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::rig::{LONG, Rig, states};
use crate::{Case, eventually};

pub(crate) const CASES: &[Case] = &[
    ("a_kill_ends_daemons_and_double_forks_and_is_confirmed_after", a_kill_ends_daemons),
    ("a_kill_ends_what_keeps_forking", a_kill_ends_what_keeps_forking),
    ("who_ignores_sigterm_is_ended_by_force_after_5_s", who_ignores_sigterm_is_ended_by_force),
    ("an_orderly_end_is_waited_for", an_orderly_end_is_waited_for),
    ("a_pause_stops_daemons_and_busy_forks_and_a_resume_lets_them_go_on", a_pause_stops_everything),
    ("a_paused_node_can_be_killed", a_paused_node_can_be_killed),
    ("a_kill_ends_daemons_of_a_main_process_that_is_gone", a_kill_ends_daemons_without_a_main_process),
    ("an_end_before_the_kill_is_nobodys_doing", an_end_before_the_kill_is_nobodys_doing),
    ("a_restart_of_a_running_node_changes_nothing", a_restart_of_a_running_node_changes_nothing),
    ("a_fault_on_nothing_is_an_error_and_on_some_a_remark", a_fault_on_nothing_is_an_error),
    ("a_cut_is_confirmed_and_a_refused_one_is_an_error", a_cut_is_confirmed),
    ("a_frozen_host_is_stopped_and_out_of_reach_and_no_connection_to_it_is_reset", a_frozen_host_is_out_of_reach),
    ("a_kill_is_by_any_signal_that_ends_a_process", a_kill_is_by_any_signal),
    ("numbers_of_an_outer_proc_are_translated", numbers_of_an_outer_proc_are_translated),
];

const KILL: FaultChange = FaultChange::Kill(KillSignal::KILL);
const TERM: FaultChange = FaultChange::Kill(KillSignal::TERM);
const DAEMONS: &str = "(setsid sleep 1000 &) ; setsid sh -c 'sleep 1000 & sleep 1000' & exec sleep 1000";
const IDLE: &str = "exec sleep 1000";

fn signal_to(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// Waits until so many processes are left. A process that has left its namespace on its way out runs no code of its own any
/// more, but is listed for a moment longer.
fn left(count: usize) {
    eventually("the dead are gone", LONG, || states().len() == count);
}

/// Waits until a script says that it is what the case needs.
fn ready(number: u16) {
    let path = format!("/tmp/ready{number}");
    eventually("the script is ready", LONG, || std::path::Path::new(&path).exists());
}

fn a_kill_ends_daemons() {
    let mut rig = Rig::started(&[DAEMONS, IDLE]);
    eventually("all daemons run", LONG, || states().len() == 6);
    let event = rig.fault(KILL, &[1]);
    assert!(event.error.is_none() && event.stamps.effect > Some(event.stamps.call_begin), "{event:?}");
    left(1);
    let history = serde_lines(&rig);
    let (exit, fault) = (position(&history, "\"exited\""), position(&history, "\"fault\""));
    assert!(exit < fault && history[exit].contains("\"expected\":true"), "{}", history[exit]);
}

fn serde_lines(rig: &Rig) -> Vec<String> {
    std::fs::read_to_string(rig.directory.history()).unwrap().lines().map(str::to_owned).collect()
}

fn position(lines: &[String], word: &str) -> usize {
    lines.iter().position(|line| line.contains(word)).unwrap()
}

fn a_kill_ends_what_keeps_forking() {
    let storm = "while :; do (setsid sh -c 'sleep 0.02; sleep 1000' &); sleep 0.002; done";
    let mut rig = Rig::started(&[storm]);
    eventually("a storm", LONG, || states().len() > 30);
    let event = rig.fault(KILL, &[1]);
    assert!(event.error.is_none() && event.stamps.effect.is_some(), "{event:?}");
    left(0);
}

fn who_ignores_sigterm_is_ended_by_force() {
    let deaf = "trap '' TERM; touch /tmp/ready1; while :; do sleep 1000; done";
    let deaf_daemon = "(trap '' TERM; setsid sleep 1000 &) ; touch /tmp/ready2; exec sleep 1000";
    let mut rig = Rig::started(&[deaf, deaf_daemon, IDLE]);
    ready(1);
    ready(2);
    eventually("all run", LONG, || states().len() == 5);
    let event = rig.fault(TERM, &[1, 2]);
    let took = event.stamps.effect.unwrap().since(event.stamps.call_end);
    assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(8), "{took:?}");
    assert_eq!(event.error, None);
    left(1);
    for node in ["n1", "n2"] {
        assert!(rig.remarks().contains(&format!("{node} did not end within 5s of SIGTERM; it gets SIGKILL")));
    }
}

fn an_orderly_end_is_waited_for() {
    let mut rig = Rig::started(&["trap 'sleep 0.2; exit 4' TERM; touch /tmp/ready1; while :; do sleep 0.01; done"]);
    ready(1);
    rig.command(chaos_history::FaultEdge::Begin, TERM, &[1]);
    assert_eq!(rig.exit_of(1), NodeLife::Exited { code: Some(4), signal: None, expected: true });
    let event = rig.answer();
    assert!(event.error.is_none() && event.stamps.effect > Some(event.stamps.call_end), "{event:?}");
}

fn a_pause_stops_everything() {
    let busy = "setsid sh -c 'while :; do :; done' & setsid sh -c 'while :; do /bin/true; done' & while :; do true | true; done";
    let mut rig = Rig::started(&[busy, IDLE]);
    eventually("all run", LONG, || states().len() >= 3);
    let other = rig.pids_of(2)[0];
    let mut late = 0;
    for _ in 0..50 {
        let event = rig.fault(FaultChange::Pause, &[1]);
        let paused = states();
        // D: a parent that waits in the kernel for its vfork, with the SIGSTOP ahead of it.
        let stopped =
            |states: &[(i32, char)]| states.iter().all(|&(pid, state)| matches!(state, 'T' | 'D') == (pid != other));
        if event.stamps.effect.is_none() && rig.remarks().contains("were still running") {
            // It is told that this one has no effect yet: on a busy host a thread may wait long for a processor to stop on.
            late += 1;
            eventually("all stop", LONG, || stopped(&states()));
        } else {
            assert!(event.stamps.effect >= Some(event.stamps.call_end), "{event:?} {} {paused:?}", rig.remarks());
            assert!(stopped(&paused), "{paused:?}");
        }
        let event = rig.fault(FaultChange::Resume, &[1]);
        assert!(event.error.is_none() && event.stamps.effect.is_some(), "{event:?}");
        eventually("all go on", LONG, || states().iter().all(|&(_, state)| state != 'T'));
    }
    assert!(late <= 5, "{late} of 50 pauses had no effect within 100 ms: {}", rig.remarks());
    assert_eq!(rig.pids_of(1).len(), 1, "nothing was started again");
}

fn a_paused_node_can_be_killed() {
    let mut rig = Rig::started(&[DAEMONS]);
    assert_eq!(rig.fault(FaultChange::Pause, &[1]).error, None);
    assert_eq!(rig.fault(KILL, &[1]).error, None);
    left(0);
    assert_eq!(rig.fault(FaultChange::Resume, &[1]).error, None, "there is nothing to resume, and that is no error");
}

fn a_kill_ends_daemons_without_a_main_process() {
    let mut rig = Rig::started(&[DAEMONS]);
    eventually("all daemons run", LONG, || states().len() == 5);
    signal_to(rig.pids_of(1)[0], Signal::SIGKILL);
    assert_eq!(rig.exit_of(1), NodeLife::Exited { code: None, signal: Some(9), expected: false });
    assert_eq!(states().len(), 4, "the daemons live on");
    assert_eq!(rig.fault(FaultChange::Pause, &[1]).error, None);
    assert!(states().iter().all(|state| matches!(state.1, 'T' | 'D')));
    assert_eq!(rig.fault(FaultChange::Resume, &[1]).error, None);
    eventually("all go on", LONG, || states().iter().all(|&(_, state)| state != 'T'));
    let event = rig.fault(KILL, &[1]);
    assert!(event.error.is_none() && event.stamps.effect.is_some(), "{event:?}");
    left(0);
    // And a restart finds the place empty, also if nobody has killed the daemons.
    assert_eq!(rig.fault(FaultChange::Restart, &[1]).error, None);
    eventually("all daemons run", LONG, || states().len() == 5);
    signal_to(rig.pids_of(1)[1], Signal::SIGKILL);
    rig.exit_of(1);
    assert_eq!(rig.fault(FaultChange::Restart, &[1]).error, None);
    eventually("all daemons run, once", LONG, || states().len() == 5);
    assert!(rig.remarks().contains("n1 had left 4 processes behind"), "{}", rig.remarks());
}

fn an_end_before_the_kill_is_nobodys_doing() {
    let mut rig = Rig::started(&[IDLE]);
    let pid = rig.pids_of(1)[0];
    signal_to(pid, Signal::SIGKILL);
    // The world has not heard of it yet; it is not asked for events here.
    eventually("it is dead", LONG, || states().is_empty());
    rig.command(chaos_history::FaultEdge::Begin, KILL, &[1]);
    let event = rig.answer();
    assert_eq!((event.error.as_deref(), event.stamps.effect), (Some("n1 is not running"), None));
    assert_eq!(rig.exit_of(1), NodeLife::Exited { code: None, signal: Some(9), expected: false });
    // A restart doesn't take a dead process for a running one either.
    assert_eq!(rig.fault(FaultChange::Restart, &[1]).error, None);
    signal_to(rig.pids_of(1)[1], Signal::SIGKILL);
    eventually("it is dead", LONG, || states().is_empty());
    assert_eq!(rig.fault(FaultChange::Restart, &[1]).error, None);
    assert_eq!(rig.pids_of(1).len(), 3);
    left(1);
    let exits = serde_lines(&rig).iter().filter(|line| line.contains("\"exited\"")).count();
    assert_eq!(exits, 2, "each end is told once");
}

fn a_restart_of_a_running_node_changes_nothing() {
    let mut rig = Rig::started(&[IDLE]);
    let alive = |rig: &Rig| (rig.pids_of(1), states().into_iter().map(|(pid, _)| pid).collect::<Vec<i32>>());
    let before = alive(&rig);
    assert_eq!(rig.fault(FaultChange::Restart, &[1]).error, None);
    assert_eq!(alive(&rig), before);
    assert_eq!(rig.fault(FaultChange::Resume, &[1]).error, None);
    assert_eq!(alive(&rig), before);
}

fn a_fault_on_nothing_is_an_error() {
    let mut rig = Rig::started(&[IDLE, IDLE]);
    assert_eq!(rig.fault(KILL, &[1]).error, None);
    for change in [KILL, TERM, FaultChange::Pause] {
        let event = rig.fault(change.clone(), &[1]);
        assert_eq!((event.error.as_deref(), event.stamps.effect), (Some("n1 is not running"), None), "{change:?}");
    }
    let event = rig.fault(FaultChange::Pause, &[1, 2]);
    assert!(event.error.is_none() && event.stamps.effect.is_some(), "{event:?}");
    assert!(rig.remarks().contains("missed a node: n1 is not running"), "{}", rig.remarks());
}

fn a_cut_is_confirmed() {
    let mut rig = Rig::started(&[IDLE, IDLE, IDLE]);
    let link = |from, to| Link { from: NodeId::new(from), to: NodeId::new(to) };
    let mut last = None;
    for links in [vec![link(1, 2)], vec![link(1, 2), link(2, 1), link(3, 1)], vec![]] {
        let event = rig.fault(FaultChange::Cut(Cut::of_links(links)), &[1]);
        assert!(event.error.is_none(), "{event:?}");
        let effect = event.stamps.effect.expect("probes agree");
        assert!(last < Some(event.stamps.call_begin) && effect.since(event.stamps.call_begin) < LONG);
        last = Some(effect);
    }
    let event = rig.fault(FaultChange::Cut(Cut::of_links([link(1, 9)])), &[1]);
    assert!(event.error.is_some() && event.stamps.effect.is_none(), "{event:?}");
}

fn a_frozen_host_is_out_of_reach() {
    let busy = "while :; do :; done & while :; do /bin/true; done";
    let mut rig = Rig::started(&[busy, IDLE]);
    // The listener is the test's, the kernel that answers for it is the node's.
    let namespace = File::open(format!("/proc/{}/ns/net", rig.pids_of(1)[0])).unwrap();
    let address = SocketAddr::from((rig.world.address(NodeId::new(1)), 7000));
    let listener = chaos_net::in_namespace(namespace.as_fd(), || TcpListener::bind(address)).unwrap();
    let mut outside = TcpStream::connect(address).unwrap();
    let (mut inside, _) = listener.accept().unwrap();
    let soon = Some(Duration::from_millis(300));
    inside.set_read_timeout(soon).unwrap();
    outside.set_read_timeout(soon).unwrap();

    let link = |from, to| Link { from: NodeId::new(from), to: NodeId::new(to) };
    let legs = BTreeSet::from([NodeId::new(1)]);
    let event = rig.fault(FaultChange::Freeze(Cut { legs, ..Cut::of_links([link(1, 2), link(2, 1)]) }), &[1]);
    assert!(event.error.is_none() && event.stamps.effect >= Some(event.stamps.call_end), "{event:?} {}", rig.remarks());
    let other = rig.pids_of(2)[0];
    let frozen = states();
    assert!(frozen.iter().all(|&(pid, state)| matches!(state, 'T' | 'D') == (pid != other)), "{frozen:?}");
    outside.write_all(b"x").unwrap();
    assert_eq!(inside.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    inside.write_all(b"y").unwrap();
    assert_eq!(outside.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    let silence = TcpStream::connect_timeout(&address, Duration::from_millis(300)).unwrap_err();
    assert_eq!(silence.kind(), ErrorKind::TimedOut, "a kernel that runs would have taken the connection");

    let event = rig.fault(FaultChange::Thaw(Cut::default()), &[1]);
    assert!(event.error.is_none() && event.stamps.effect >= Some(event.stamps.call_end), "{event:?} {}", rig.remarks());
    eventually("all go on", LONG, || states().iter().all(|&(_, state)| state != 'T'));
    eventually("what was sent meanwhile arrives by the same connection", LONG, || inside.read(&mut [0]).is_ok());
    eventually("and what was sent back", LONG, || outside.read(&mut [0]).is_ok());
    // A node that ends while it is frozen is no error when it thaws.
    let legs = BTreeSet::from([NodeId::new(1)]);
    assert_eq!(rig.fault(FaultChange::Freeze(Cut { legs, ..Cut::default() }), &[1]).error, None);
    assert_eq!(rig.fault(KILL, &[1]).error, None);
    assert_eq!(rig.fault(FaultChange::Thaw(Cut::default()), &[1]).error, None);
}

fn a_kill_is_by_any_signal() {
    let mut rig = Rig::started(&[IDLE]);
    for name in ["ABRT", "SIGSEGV", "USR1"] {
        let signal = KillSignal::named(name).unwrap();
        assert_eq!(rig.fault(FaultChange::Kill(signal), &[1]).error, None);
        let last = serde_lines(&rig).into_iter().rfind(|line| line.contains("\"exited\"")).unwrap();
        let number = format!("SIG{}", signal.name()).parse::<Signal>().unwrap() as i32;
        assert!(last.contains(&format!("\"signal\":{number}")) && last.contains("\"expected\":true"), "{last}");
        assert_eq!(rig.fault(FaultChange::Restart, &[1]).error, None);
    }
    // That each name is one of this system's signals.
    assert!(KillSignal::ALL.iter().all(|signal| format!("SIG{}", signal.name()).parse::<Signal>().is_ok()));
}

fn numbers_of_an_outer_proc_are_translated() {
    let mut rig = Rig::started(&[DAEMONS, IDLE]);
    eventually("all daemons run", LONG, || states().len() == 6);
    let nodes = states();
    if let Err(error) = nix::mount::umount2("/proc", nix::mount::MntFlags::MNT_DETACH) {
        println!("the outer /proc can't be uncovered: {error}");
        std::process::exit(i32::from(crate::SKIP_CODE));
    }
    let shown = std::fs::read_link("/proc/self").unwrap();
    assert_ne!(shown.to_str().unwrap(), nix::unistd::getpid().to_string(), "this is the outer /proc");
    let event = rig.fault(FaultChange::Pause, &[1]);
    assert!(event.error.is_none() && event.stamps.effect.is_some(), "{event:?} {}", rig.remarks());
    let event = rig.fault(KILL, &[1]);
    assert!(event.error.is_none() && event.stamps.effect.is_some(), "{event:?}");
    let other = rig.pids_of(2)[0];
    let alive = |pid: i32| kill(Pid::from_raw(pid), None).is_ok();
    eventually("the init has taken the daemons", LONG, || nodes.iter().all(|&(pid, _)| alive(pid) == (pid == other)));
}
