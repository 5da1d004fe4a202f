//! What reaches the history and the engine, and when.

use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::Command as Program;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chaos_cluster::WorldError;
use chaos_engine::{Command, Event, Invocation, World};
use chaos_history::{self as history, Action, ClientRole, HistoryError, NodeId, OpId, OpPhase, ProcessId, RunNanos};

use crate::Case;
use crate::rig::{LONG, Rig};

pub(crate) const CASES: &[Case] = &[
    ("every_operation_ends_once_and_by_its_deadline", every_operation_ends_once),
    ("what_the_engine_sees_is_recorded_and_soon_on_disk", what_the_engine_sees_is_recorded),
    ("a_full_disk_ends_the_run_and_keeps_what_was_written", a_full_disk_ends_the_run),
    ("dense_deadlines_starve_nothing", dense_deadlines_starve_nothing),
    ("answers_that_make_no_sense_are_told_once_and_counted", answers_that_make_no_sense_are_told_once),
    ("a_node_that_prints_for_ever_fills_no_disk", a_node_that_prints_for_ever_fills_no_disk),
    ("a_stall_of_the_controller_is_recorded", a_stall_of_the_controller_is_recorded),
];

const IDLE: &str = "exec sleep 1000";

fn every_operation_ends_once() {
    let mut rig = Rig::started(&[IDLE]);
    // Telling where the driver panicked takes a loaded host its time.
    let deadline = rig.clock.now() + Duration::from_millis(1_500);
    for (id, key) in (0..).zip(["answered", "panics", "never", "never"]) {
        let (due, action) = (rig.clock.now(), Action::Read { key: key.to_owned() });
        let (id, process, node) = (OpId(id), ProcessId(id), NodeId::new(1));
        // The last one has no time at all.
        let deadline = if id == OpId(3) { due } else { deadline };
        let invocation = Invocation { id, process, node, role: ClientRole::Roaming, due, deadline, action };
        rig.world.execute(Command::Invoke(invocation)).unwrap();
    }
    let mut ends: Vec<(u64, RunNanos, OpPhase)> = Vec::new();
    let give_up = deadline + Duration::from_millis(300);
    while rig.clock.now() < give_up {
        let (at, event) = rig.world.next_event(give_up).unwrap();
        if let Event::Completed(completed) = event {
            ends.push((completed.id.0, at, completed.phase));
        }
    }
    ends.sort_by_key(|end| end.0);
    let ids: Vec<u64> = ends.iter().map(|end| end.0).collect();
    assert_eq!(ids, [0, 1, 2, 3], "each once");
    assert!(matches!(ends[0].2, OpPhase::Ok(_)) && ends[0].1 < deadline, "{ends:?}");
    let info = |phase: &OpPhase, word: &str| matches!(phase, OpPhase::Info { error } if error.contains(word));
    assert!(info(&ends[1].2, "panicked") && info(&ends[2].2, "in time") && info(&ends[3].2, "in time"), "{ends:?}");
    assert!(ends[2].1 >= deadline && ends[3].1 < deadline, "{ends:?}");
    let joined = history::operations(&rig_history(&mut rig)).unwrap();
    assert_eq!(joined.iter().filter(|operation| operation.completed.is_some()).count(), 4);
}

fn rig_history(rig: &mut Rig) -> Vec<history::Recorded> {
    // A landmark is flushed at once, and with it all before.
    rig.world.execute(Command::Remark("read here".to_owned())).unwrap();
    rig.history().events
}

fn what_the_engine_sees_is_recorded() {
    let mut rig = Rig::started(&[IDLE, IDLE]);
    let give_up = rig.clock.now() + Duration::from_millis(600);
    let mut seen = Vec::new();
    while rig.clock.now() < give_up {
        let (_, event) = rig.world.next_event(rig.clock.now() + Duration::from_millis(5)).unwrap();
        if let Event::Observed(observation) = event {
            seen.push(observation);
        }
        let read = rig.clock.now();
        let on_disk =
            rig.history().events.iter().filter(|line| matches!(line.event, history::Event::Observation(_))).count();
        // 50 ms, and as much again for a busy host.
        let old =
            seen.iter().filter(|observation| read.since(observation.received) > Duration::from_millis(100)).count();
        assert!(old <= on_disk, "{old} observations are old, {on_disk} are in the file");
    }
    assert!(seen.len() > 100, "{} observations", seen.len());
    let recorded: Vec<_> = rig_history(&mut rig).into_iter().map(|line| line.event).collect();
    for observation in seen {
        assert!(recorded.contains(&history::Event::Observation(observation.clone())), "{observation:?}");
    }
}

fn a_full_disk_ends_the_run() {
    let small = Path::new("/tmp/small");
    std::fs::create_dir(small).unwrap();
    chaos_net::isolation::mount_tmpfs(small, Some(64 << 10)).unwrap();
    let mut rig = Rig::new(small, &[IDLE, IDLE]);
    rig.try_start().unwrap();
    let give_up = rig.clock.now() + LONG;
    let error = loop {
        match rig.world.next_event(give_up) {
            Ok(_) => assert!(rig.clock.now() < give_up, "the disk never gets full"),
            Err(error) => break error,
        }
    };
    let WorldError::History(HistoryError::Io { path, source, .. }) = &error else { panic!("{error:?}") };
    assert_eq!((path, source.kind()), (&rig.directory.history(), std::io::ErrorKind::StorageFull));
    assert!(rig.history().events.len() > 50, "what was written before is readable");
    let path = rig.directory.history();
    drop(rig);
    assert!(history::History::read(&path).unwrap().events.len() > 50);
    crate::eventually("nobody is left", LONG, || crate::rig::states().is_empty());
}

fn answers_that_make_no_sense_are_told_once() {
    let mut rig = Rig::started(&[IDLE, IDLE]);
    rig.driver.nonsense.store(true, Ordering::SeqCst);
    let (n1, mut seen) = (NodeId::new(1), 0);
    rig.until("several answers of n1", |_, event| match event {
        Event::Observed(observation) if observation.node == n1 => {
            let silent = matches!(observation.outcome, history::ObservationOutcome::Silent(_));
            seen += u32::from(silent);
            (seen > 5).then_some(())
        }
        _ => None,
    });
    let path = rig.directory.history();
    let remarks =
        |text: &str| text.matches("observer `node` at n1: an answer that makes no sense: `role` is `boss`").count();
    assert_eq!(remarks(&rig.remarks()), 1, "{}", rig.remarks());
    rig.world.finish().unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(text.matches("observer `node` at n1: in all").count(), 1, "how many there were");
}

fn a_node_that_prints_for_ever_fills_no_disk() {
    const PRINTED: u64 = 160 << 20;
    let script = format!("echo first; yes 'some noise' | head -c {PRINTED}; echo; echo last; exec sleep 1000");
    let mut rig = Rig::started(&[&script]);
    let log = rig.directory.node(NodeId::new(1)).join("stdout.log");
    let give_up = rig.clock.now() + LONG;
    let mut end = [0; 6];
    loop {
        rig.world.next_event(rig.clock.now() + Duration::from_millis(5)).unwrap();
        let file = std::fs::File::open(&log).unwrap();
        let facts = file.metadata().unwrap();
        if facts.len() > PRINTED && facts.blocks() * 512 < 96 << 20 {
            file.read_exact_at(&mut end, facts.len() - 6).unwrap();
            if end == *b"\nlast\n" {
                break;
            }
        }
        assert!(rig.clock.now() < give_up, "{} bytes, {} on the disk", facts.len(), facts.blocks() * 512);
    }
    // Whoever cut the file tells of it a moment later.
    let remarked = |rig: &Rig| rig.remarks().matches("n1 prints so much into stdout.log").count();
    while remarked(&rig) == 0 && rig.clock.now() < give_up {
        rig.world.next_event(rig.clock.now() + Duration::from_millis(5)).unwrap();
    }
    assert_eq!(remarked(&rig), 1, "{}", rig.remarks());
    rig.world.finish().unwrap();
    let kept = std::fs::read_to_string(&log).unwrap();
    assert!(kept.len() < 96 << 20, "{} bytes", kept.len());
    assert!(kept.starts_with("first\nsome noise\n") && kept.ends_with("\nlast\n"));
    let odd: Vec<&str> = kept.lines().filter(|line| !["first", "last", "some noise", ""].contains(line)).collect();
    assert!(matches!(odd[..], [left_out, ..] if left_out.ends_with("bytes are left out here]")), "{odd:?}");
    assert!(odd.len() <= 2, "beside that only the line that was cut by `head`: {odd:?}");
}

fn dense_deadlines_starve_nothing() {
    let mut rig = Rig::started(&[IDLE]);
    let (mut ticks, mut others) = (0_u32, 0_u32);
    let give_up = rig.clock.now() + LONG;
    while ticks < 50 || others < 50 {
        assert!(rig.clock.now() < give_up, "{ticks} ticks, {others} other events");
        // Always late already.
        match rig.world.next_event(RunNanos(0)).unwrap().1 {
            Event::Tick => ticks += 1,
            Event::Observed(_)
            | Event::Completed(_)
            | Event::Compared { .. }
            | Event::FaultDone(_)
            | Event::Node { .. }
            | Event::Conclude { .. }
            | Event::Interrupt { .. } => {
                others += 1;
            }
        }
    }
}

fn a_stall_of_the_controller_is_recorded() {
    let mut rig = Rig::started(&[IDLE]);
    let begin = rig.clock.now();
    let mut stopper = Program::new("sh").args(["-c", "kill -STOP $PPID; sleep 0.2; kill -CONT $PPID"]).spawn().unwrap();
    stopper.wait().unwrap();
    let give_up = rig.clock.now() + LONG;
    loop {
        rig.world.next_event(rig.clock.now() + Duration::from_millis(5)).unwrap();
        let stalls = rig_history(&mut rig).into_iter().filter_map(|line| match line.event {
            history::Event::Stall(stall) => Some(stall),
            _ => None,
        });
        let long = |stall: &history::Stall| stall.to > begin && stall.to.since(stall.from) > Duration::from_millis(150);
        if stalls.into_iter().any(|stall| long(&stall)) {
            return;
        }
        assert!(rig.clock.now() < give_up, "no stall in the history");
    }
}
