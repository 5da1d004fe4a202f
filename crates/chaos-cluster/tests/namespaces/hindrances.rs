//! Nodes that run on, worse than before: that it is so, seen from outside, and that afterwards it is as it was.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use chaos_engine::{Command, FaultChange, World};
use chaos_history::{FaultId, NodeId, NodeLife};
use chaos_plan::{Hindrance, KillSignal, Limit};
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

use crate::rig::{LONG, Rig, states};
use crate::{Case, eventually};

pub(crate) const CASES: &[Case] = &[
    ("a_slowed_node_goes_on_at_a_part_of_its_speed_and_then_at_full_speed", a_slowed_node_goes_on),
    ("a_slowed_node_can_be_killed_and_runs_freely_when_it_is_started_again", a_slowed_node_can_be_killed),
    ("a_starved_node_shares_one_processor_with_burners_and_gets_its_own_back", a_starved_node_shares),
    ("a_node_without_descriptors_runs_on_and_gets_them_back", a_node_without_descriptors),
    ("a_node_that_ends_for_want_of_memory_is_started_when_that_is_over", a_node_without_memory),
    ("a_crash_loops_kill_and_start_leave_a_trail_of_lives", a_crash_loops_beats),
    ("hindering_a_node_that_is_gone_is_an_error_and_relaxing_it_none", hindering_nobody),
];

const BUSY: &str = "while :; do :; done";
const SLOW: FaultChange =
    FaultChange::Hinder(Hindrance::Slow { run: Duration::from_millis(2), every: Duration::from_millis(40) });
const STARVE: FaultChange = FaultChange::Hinder(Hindrance::Starve { share_millionths: 100_000 });

/// How long a thread has run, by the scheduler's own books.
fn ran(schedstat: &str) -> u64 {
    let text = fs::read_to_string(schedstat).unwrap_or_default();
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// How long the nodes' main processes run while this many milliseconds pass.
fn progress(rig: &Rig, numbers: [u16; 2], millis: u64) -> [u64; 2] {
    let places = numbers.map(|number| format!("/proc/{}/schedstat", rig.pids_of(number).last().unwrap()));
    let before = places.clone().map(|place| ran(&place));
    std::thread::sleep(Duration::from_millis(millis));
    [0, 1].map(|index| ran(&places[index]) - before[index])
}

fn a_slowed_node_goes_on() {
    let mut rig = Rig::started(&[BUSY, BUSY]);
    let event = rig.fault(SLOW, &[1]);
    assert!(event.error.is_none() && event.stamps.effect.is_some(), "{event:?} {}", rig.remarks());
    // Its twin on the same host tells what it would have done; 1 in 20 is asked for, 1 in 3 is slow for certain.
    let [slowed, twin] = progress(&rig, [1, 2], 1500);
    assert!(slowed > 0 && slowed * 3 < twin, "{slowed} ns of {twin} ns");
    let event = rig.fault(FaultChange::Relax, &[1]);
    assert!(event.error.is_none() && event.stamps.effect.is_some(), "{event:?}");
    for _ in 0..20 {
        assert!(states().iter().all(|&(_, state)| state != 'T'), "{:?}", states());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(rig.pids_of(1).len(), 1);
}

fn a_slowed_node_can_be_killed() {
    let mut rig = Rig::started(&[BUSY]);
    assert_eq!(rig.fault(SLOW, &[1]).error, None);
    let kill = FaultChange::Kill(KillSignal::KILL);
    let nodes = vec![NodeId::new(1)];
    rig.world.execute(Command::Alter { fault: FaultId(1), change: kill, nodes, process: None }).unwrap();
    rig.exit_of(1);
    let restart =
        Command::Alter { fault: FaultId(1), change: FaultChange::Restart, nodes: vec![NodeId::new(1)], process: None };
    rig.world.execute(restart).unwrap();
    for _ in 0..20 {
        assert!(states().iter().all(|&(_, state)| state != 'T'), "{:?}", states());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(rig.fault(FaultChange::Relax, &[1]).error, None);
}

fn affinities(pid: i32) -> BTreeSet<Vec<usize>> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let numbers = threads.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let listed = |set: CpuSet| (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu) == Ok(true)).collect();
    numbers.filter_map(|number| sched_getaffinity(Pid::from_raw(number)).ok()).map(listed).collect()
}

/// The threads of this process that burn.
fn burners() -> Vec<String> {
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten().map(|entry| entry.path().display().to_string());
    let burns =
        |place: &String| fs::read_to_string(format!("{place}/comm")).is_ok_and(|name| name.trim() == "chaos-burn");
    threads.filter(burns).map(|place| format!("{place}/schedstat")).collect()
}

fn a_starved_node_shares() {
    let mut rig = Rig::started(&[BUSY, BUSY]);
    let (pid, other) = (rig.pids_of(1)[0], rig.pids_of(2)[0]);
    let (before, others) = (affinities(pid), affinities(other));
    let event = rig.fault(STARVE, &[1]);
    assert!(event.error.is_none() && event.stamps.effect.is_some(), "{event:?} {}", rig.remarks());
    let held = affinities(pid);
    assert!(held.len() == 1 && held.first().unwrap().len() == 1, "{held:?}");
    assert_eq!(affinities(other), others, "the other node is left alone");
    assert_eq!(burners().len(), 9);
    // All ten are on one processor, whatever else is there: the node should get a tenth of what they get together.
    let sum = || burners().iter().map(|place| ran(place)).sum::<u64>();
    let place = format!("/proc/{pid}/schedstat");
    eventually("they have run for a while", LONG, || sum() > 0);
    let (first, burnt) = (ran(&place), sum());
    eventually("the burners have run for a second", LONG, || sum() - burnt > 1_000_000_000);
    let (node, others) = (ran(&place) - first, sum() - burnt);
    assert!(node > 0 && node * 4 < others, "{node} ns beside {others} ns");
    let event = rig.fault(FaultChange::Relax, &[1]);
    assert!(event.error.is_none() && event.stamps.effect.is_some(), "{event:?}");
    assert_eq!((affinities(pid), burners().len()), (before, 0));
}

fn a_node_without_descriptors() {
    // Tells on a descriptor that is open, and only when it changes, whether another one can be had. A subshell tries, since a shell
    // that is limited in the middle of a redirection may end.
    let script = "while :; do if (: </dev/null); then now=free; else now=full; fi; \
                  [ \"$now\" = \"$was\" ] || echo $now; was=$now; done 2>/dev/null";
    let mut rig = Rig::started(&[script, script]);
    let last = |rig: &Rig, number| rig.file(number, "stdout.log").lines().last().unwrap_or_default().to_owned();
    eventually("both tell", LONG, || [1, 2].iter().all(|number| last(&rig, *number) == "free"));
    let event = rig.fault(FaultChange::Hinder(Hindrance::Limit(Limit::OpenFiles(3))), &[1]);
    assert!(event.error.is_none() && event.stamps.effect.is_some(), "{event:?} {}", rig.remarks());
    eventually("it can open nothing", LONG, || last(&rig, 1) == "full");
    assert_eq!(last(&rig, 2), "free");
    let event = rig.fault(FaultChange::Relax, &[1]);
    assert!(event.error.is_none() && event.stamps.effect.is_some(), "{event:?}");
    eventually("it can open files again", LONG, || last(&rig, 1) == "free");
}

fn a_node_without_memory() {
    let script = "while [ ! -e /tmp/go ]; do :; done; x=0123456789abcdef; \
                  while [ -e /tmp/go ]; do x=$x$x; done; while :; do :; done";
    let mut rig = Rig::started(&[script]);
    let event = rig.fault(FaultChange::Hinder(Hindrance::Limit(Limit::Memory { more_bytes: 4_000_000 })), &[1]);
    assert!(event.error.is_none() && event.stamps.effect.is_some(), "{event:?} {}", rig.remarks());
    fs::write("/tmp/go", "").unwrap();
    let end = rig.exit_of(1);
    assert!(matches!(end, NodeLife::Exited { expected: false, .. }), "{end:?}");
    fs::remove_file("/tmp/go").unwrap();
    let event = rig.fault(FaultChange::Relax, &[1]);
    assert!(event.error.is_none() && event.stamps.effect.is_some(), "{event:?}");
    assert_eq!((rig.pids_of(1).len(), states().len()), (2, 1));
    assert!(rig.remarks().contains("n1 had ended under its limit; it is started again"), "{}", rig.remarks());
}

fn a_crash_loops_beats() {
    let mut rig = Rig::started(&["(setsid sleep 1000 &) ; exec sleep 1000"]);
    for beat in 2..6 {
        let alter = |change| Command::Alter { fault: FaultId(1), change, nodes: vec![NodeId::new(1)], process: None };
        rig.world.execute(alter(FaultChange::Kill(KillSignal::KILL))).unwrap();
        assert_eq!(rig.exit_of(1), NodeLife::Exited { code: None, signal: Some(9), expected: true });
        rig.world.execute(alter(FaultChange::Restart)).unwrap();
        assert_eq!(rig.pids_of(1).len(), beat);
    }
    eventually("one life is left, with its daemon", LONG, || states().len() == 2);
}

fn hindering_nobody() {
    let mut rig = Rig::started(&["exec sleep 1000"]);
    assert_eq!(rig.fault(FaultChange::Kill(KillSignal::KILL), &[1]).error, None);
    for change in [SLOW, STARVE, FaultChange::Hinder(Hindrance::Limit(Limit::OpenFiles(3)))] {
        let event = rig.fault(change.clone(), &[1]);
        assert_eq!(event.error.as_deref(), Some("n1 is not running"), "{change:?}");
        assert_eq!(rig.fault(FaultChange::Relax, &[1]).error, None, "{change:?}");
    }
    assert_eq!(burners().len(), 0);
}
