//! Starting, being asked, and ending.

use std::path::Path;
use std::sync::atomic::Ordering;

use chaos_cluster::StartError;
use chaos_engine::{Event, FaultChange};
use chaos_history::{NodeId, ObservationOutcome};
use chaos_plan::KillSignal;

use crate::rig::{LONG, Rig, states};
use crate::{Case, eventually};

pub(crate) const CASES: &[Case] = &[
    ("a_node_that_ends_at_once_fails_the_start", a_node_that_ends_at_once_fails_the_start),
    ("a_program_that_is_missing_fails_the_start", a_program_that_is_missing_fails_the_start),
    ("an_observation_across_a_restart_is_silent", an_observation_across_a_restart_is_silent),
    ("a_dropped_world_leaves_no_process", a_dropped_world_leaves_no_process),
    ("a_finished_world_leaves_no_process", a_finished_world_leaves_no_process),
];

fn a_node_that_ends_at_once_fails_the_start() {
    let mut rig = Rig::new(Path::new("/tmp"), &["echo last words >&2; exit 3"]);
    // The stub answers for a node that is gone; held back, it doesn't.
    rig.driver.hold.store(true, Ordering::SeqCst);
    let error = rig.try_start().unwrap_err();
    let StartError::Exited { node, how, log } = &error else { panic!("{error:?}") };
    assert_eq!((*node, how.as_str()), (NodeId::new(1), "exit code 3"));
    assert_eq!(std::fs::read_to_string(log).unwrap(), "last words\n");
}

fn a_program_that_is_missing_fails_the_start() {
    // The shell is there; the directory for the node's logs isn't.
    let mut rig = Rig::new(Path::new("/tmp"), &["exec sleep 1000"]);
    std::fs::remove_dir_all(rig.directory.node(NodeId::new(1))).unwrap();
    std::fs::write(rig.directory.node(NodeId::new(1)), "in the way").unwrap();
    let error = rig.try_start().unwrap_err();
    assert!(matches!(error, StartError::Process(_)), "{error:?}");
    eventually("nobody is left", LONG, || states().is_empty());
}

fn an_observation_across_a_restart_is_silent() {
    let mut rig = Rig::started(&["exec sleep 1000"]);
    rig.driver.hold.store(true, Ordering::SeqCst);
    eventually("a question is under way", LONG, || rig.driver.held.load(Ordering::SeqCst) == 1);
    assert_eq!(rig.fault(FaultChange::Kill(KillSignal::KILL), &[1]).error, None);
    assert_eq!(rig.fault(FaultChange::Restart, &[1]).error, None);
    let restarted = rig.clock.now();
    rig.driver.hold.store(false, Ordering::SeqCst);
    let across = rig.until("the answer", |_, event| match event {
        Event::Observed(observation) if observation.received > restarted => Some(observation.clone()),
        _ => None,
    });
    assert!(across.sent < restarted && across.incarnation == 1, "{across:?}");
    assert_eq!(across.outcome, ObservationOutcome::Silent("restarted while it was asked".to_owned()));
    let next = rig.until("the next answer", |_, event| match event {
        Event::Observed(observation) => Some(observation.clone()),
        _ => None,
    });
    assert!(matches!(next.outcome, ObservationOutcome::Answered(_)) && next.incarnation == 2, "{next:?}");
}

const STUBBORN: &str = "trap '' TERM INT HUP; (setsid sleep 1000 &) ; while :; do (sleep 1000 &); sleep 0.01; done";

fn a_dropped_world_leaves_no_process() {
    let mut rig = Rig::started(&[STUBBORN, "exec sleep 1000", STUBBORN]);
    eventually("all run", LONG, || states().len() > 10);
    assert_eq!(rig.fault(FaultChange::Pause, &[1, 2]).error, None);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(rig.pids_of(3)[0]), nix::sys::signal::Signal::SIGKILL).unwrap();
    drop(rig.world);
    eventually("nobody is left", LONG, || states().is_empty());
}

fn a_finished_world_leaves_no_process() {
    let rig = Rig::started(&[STUBBORN]);
    rig.world.finish().unwrap();
    eventually("nobody is left", LONG, || states().is_empty());
    let text = std::fs::read_to_string(rig.directory.history()).unwrap();
    assert!(text.ends_with("\n") && text.lines().last().unwrap().contains("processor time"), "{text}");
}
