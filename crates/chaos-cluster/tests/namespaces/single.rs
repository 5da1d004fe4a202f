//! Faults that hit one process of a node, and nothing else.

use std::path::Path;
use std::time::Duration;

use chaos_engine::FaultChange;
use chaos_history::{Event, NodeLife};
use chaos_plan::KillSignal;
use chaos_systems::Launch;

use crate::rig::{LONG, Rig, Stub, process, states};
use crate::{Case, eventually};

pub(crate) const CASES: &[Case] = &[
    ("a_kill_of_one_process_leaves_the_others_and_its_children", a_kill_of_one_process),
    ("a_kill_of_the_main_process_alone_leaves_what_it_started", a_kill_of_the_main_process_alone),
    ("a_pause_of_one_process_stops_nothing_else", a_pause_of_one_process),
    ("with_children_all_descendants_are_hit", with_children_all_descendants_are_hit),
    ("one_process_that_ignores_sigterm_is_ended_by_force", one_process_that_ignores_sigterm),
    ("a_fault_on_a_process_that_is_gone_is_an_error", a_fault_on_a_process_that_is_gone),
];

const KILL: FaultChange = FaultChange::Kill(KillSignal::KILL);
const IDLE: &str = "exec sleep 1000";
/// Says that it is there, and where; has a child, which has one too.
const PARENT: &str = "sh -c 'sleep 1000 & wait' & wait";

fn rig(server: &str, agent: &str) -> Rig {
    let processes = vec![process("server", server), process("agent", agent)];
    let stub = Stub::new(1, 0, move |_, data| Launch {
        processes: processes.clone(),
        // A whole restart removes it, a restart of one process must not.
        remove: vec![data.join("lock")],
        ..Launch::default()
    });
    let mut rig = Rig::of(Path::new("/tmp"), stub);
    rig.try_start().unwrap();
    rig
}

fn alive(count: usize) {
    eventually("as many processes as there should be", LONG, || states().len() == count);
}

fn stopped() -> usize {
    states().iter().filter(|state| state.1 == 'T').count()
}

fn a_kill_of_one_process() {
    let mut rig = rig(IDLE, PARENT);
    alive(4);
    let event = rig.fault_of(KILL, &[1], Some("agent"));
    assert!(event.error.is_none() && event.stamps.effect.is_some(), "{event:?}");
    assert_eq!(event.process.as_deref(), Some("agent"));
    alive(3);
    assert_eq!(rig.further_of(1), ["+agent", "-agent"], "and it is said before the fault is");
    assert_eq!(rig.fault_of(FaultChange::Restart, &[1], Some("agent")).error, None);
    alive(6);
    assert_eq!((rig.further_of(1), rig.pids_of(1).len()), (vec!["+agent".into(), "-agent".into(), "+agent".into()], 1));
    // Who runs is left alone.
    assert_eq!(rig.fault_of(FaultChange::Restart, &[1], Some("agent")).error, None);
    assert_eq!(rig.fault_of(FaultChange::Restart, &[1], Some("server")).error, None);
    assert_eq!((states().len(), rig.pids_of(1).len()), (6, 1));
}

fn a_kill_of_the_main_process_alone() {
    let mut rig = rig(PARENT, IDLE);
    alive(4);
    let lock = rig.directory.node(chaos_history::NodeId::new(1)).join("data/lock");
    std::fs::write(&lock, "held by who runs on").unwrap();
    let event = rig.fault_of(KILL, &[1], Some("server"));
    assert!(event.error.is_none() && event.stamps.effect.is_some(), "{event:?}");
    let exits = rig.history().events.into_iter().filter_map(|recorded| match recorded.event {
        Event::Node(event) => Some(event.life).filter(|life| matches!(life, NodeLife::Exited { .. })),
        _ => None,
    });
    let expect = NodeLife::Exited { code: None, signal: Some(9), expected: true };
    assert_eq!(exits.collect::<Vec<_>>(), [expect], "and it is said before the fault is");
    alive(3);
    assert_eq!(rig.fault_of(FaultChange::Restart, &[1], Some("server")).error, None);
    alive(6);
    assert_eq!((rig.pids_of(1).len(), rig.further_of(1)), (2, vec!["+agent".to_owned()]));
    assert!(lock.exists());
    // The whole node is the whole node again.
    assert_eq!(rig.fault(KILL, &[1]).error, None);
    alive(0);
    assert_eq!(rig.fault_of(FaultChange::Restart, &[1], Some("agent")).error, None);
    assert_eq!(states().len(), 0, "there is no node to run an agent in");
    assert_eq!(rig.fault(FaultChange::Restart, &[1]).error, None);
    alive(4);
    assert!(!lock.exists());
}

fn a_pause_of_one_process() {
    let mut rig = rig(PARENT, "while :; do :; done");
    alive(4);
    for _ in 0..20 {
        let event = rig.fault_of(FaultChange::Pause, &[1], Some("agent"));
        assert!(event.error.is_none() && event.stamps.effect >= Some(event.stamps.call_end), "{event:?}");
        assert_eq!(stopped(), 1);
        assert_eq!(rig.fault_of(FaultChange::Resume, &[1], Some("agent")).error, None);
        eventually("it goes on", LONG, || stopped() == 0);
    }
    assert_eq!(rig.fault_of(FaultChange::Pause, &[1], Some("server")).error, None);
    assert_eq!(stopped(), 1, "its children run on");
}

fn with_children_all_descendants_are_hit() {
    let mut rig = rig(PARENT, PARENT);
    alive(6);
    let event = rig.fault_of(FaultChange::Pause, &[1], Some("server+"));
    assert!(event.error.is_none() && event.stamps.effect.is_some(), "{event:?}");
    assert_eq!(stopped(), 3);
    assert_eq!(rig.fault_of(FaultChange::Resume, &[1], Some("server+")).error, None);
    eventually("all go on", LONG, || stopped() == 0);
    assert_eq!(rig.fault_of(KILL, &[1], Some("agent+")).error, None);
    alive(3);
    assert_eq!(rig.further_of(1), ["+agent", "-agent"]);
}

fn one_process_that_ignores_sigterm() {
    let mut rig = rig(IDLE, "trap '' TERM; touch /tmp/deaf; while :; do sleep 1000; done");
    eventually("it is deaf", LONG, || Path::new("/tmp/deaf").exists());
    alive(3);
    let event = rig.fault_of(FaultChange::Kill(KillSignal::TERM), &[1], Some("agent"));
    let took = event.stamps.effect.unwrap().since(event.stamps.call_end);
    assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(8), "{took:?}");
    assert!(rig.remarks().contains("not all ended within 5s of SIGTERM"), "{}", rig.remarks());
    alive(2);
}

fn a_fault_on_a_process_that_is_gone() {
    let mut rig = rig(IDLE, IDLE);
    assert_eq!(rig.fault_of(KILL, &[1], Some("agent")).error, None);
    for change in [KILL, FaultChange::Pause] {
        let event = rig.fault_of(change, &[1], Some("agent"));
        assert_eq!(event.error.as_deref(), Some("n1 has no running process `agent`"));
        assert_eq!(event.stamps.effect, None);
    }
    assert_eq!(rig.fault_of(FaultChange::Resume, &[1], Some("agent")).error, None, "nobody is there to go on");
    let event = rig.fault_of(FaultChange::Restart, &[1], Some("nobody"));
    assert_eq!(event.error.as_deref(), Some("n1 has no running process `nobody`"));
}
