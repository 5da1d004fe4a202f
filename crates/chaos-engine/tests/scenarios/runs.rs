//! The phases of a run, and its ends before the end.

use chaos_engine::{Command, Engine, Event, Finished, NodeState, Phase, Rounds};
use chaos_history::{ClientRole, Completion, FaultEdge, FaultKind, Mark, RunNanos, Seed};
use chaos_plan::Target;

use crate::audit::{audit, audited, run, run_with};
use crate::fake_world::Quirks;
use crate::plans::{await_stable, isolate, kill, lasting, ms, nodes, open, pause, repeat, wait, workload};

fn interrupt_at(millis: u64) -> Quirks {
    Quirks { interrupts: vec![RunNanos(0) + ms(millis)], ..Quirks::default() }
}

#[test]
fn a_run_passes_its_landmarks_in_order() {
    let run = audited(&workload(3, vec![lasting(isolate(Target::Leader), 500, 500)]), 1, Quirks::default());
    assert_eq!(run.finished, Finished::Completed);
    let marks: Vec<Mark> = run.marks().into_iter().map(|(_, mark)| mark).collect();
    assert_eq!(marks, [Mark::LoadBegin, Mark::FaultsBegin, Mark::FaultsEnd, Mark::LoadEnd, Mark::RunEnd]);
    assert!(run.mark(Mark::FaultsBegin).since(run.mark(Mark::LoadBegin)) >= ms(1_000), "there is a warm-up");
    assert!(run.mark(Mark::LoadEnd).since(run.mark(Mark::FaultsEnd)) >= ms(500), "it settles");
    let mut phases: Vec<Phase> = run.progress.iter().map(|(_, progress)| progress.phase).collect();
    phases.dedup();
    let most = [Phase::Starting, Phase::Load, Phase::Faults, Phase::Settling];
    assert_eq!(phases[..4], most);
    assert_eq!(phases.last(), Some(&Phase::Done));
    let load = run.invocations().filter(|(_, invocation)| invocation.role != ClientRole::Final);
    for (at, _) in load {
        assert!((run.mark(Mark::LoadBegin)..run.mark(Mark::LoadEnd)).contains(&at));
    }
}

#[test]
fn every_key_is_read_at_the_end_when_the_load_has_ended() {
    let run = audited(&workload(3, vec![lasting(kill(Target::Leader), 300, 300)]), 1, Quirks::default());
    let operations = run.operations();
    let reads = || operations.iter().filter(|operation| operation.role == ClientRole::Final);
    assert!(reads().all(|read| read.invoked >= run.mark(Mark::LoadEnd)));
    for key in ["k0", "k1", "k2"] {
        let ok = reads().filter(|read| read.action.key() == key && matches!(read.completion, Completion::Ok(_)));
        assert_eq!(ok.count(), 1, "{key}");
    }
}

#[test]
fn keys_that_cannot_be_read_are_named() {
    let quirks = Quirks { ends_fail: [1].into(), ..Quirks::default() };
    let run = run(&workload(3, vec![open(kill(Target::All))]), 1, quirks);
    assert!(run.remarked(&["no final read succeeded of k0, k1, k2"]), "{:?}", run.remarks());
    let tried = run.ended.since(run.mark(Mark::LoadEnd));
    assert!((ms(10_000)..ms(11_000)).contains(&tried), "{tried:?}");
    assert_eq!(run.finished, Finished::Completed);
    let reads = run.operations().into_iter().filter(|operation| operation.role == ClientRole::Final).count();
    assert!((100..5_000).contains(&reads), "refused readers rest: {reads}");
}

#[test]
fn a_cluster_without_a_leader_is_never_ready() {
    let quirks = Quirks { never_elects: true, ..Quirks::default() };
    let run = run(&workload(3, vec![lasting(kill(Target::Leader), 300, 300)]), 1, quirks);
    let Finished::NeverReady { seen } = &run.finished else { panic!("{:?}", run.finished) };
    assert!(seen.contains("n1 named nobody in term 0") && seen.contains("n3"), "{seen}");
    assert_eq!(run.ended, RunNanos(0) + ms(5_000));
    assert_eq!((run.faults().count(), run.invocations().count()), (0, 0));
    let marks: Vec<Mark> = run.marks().iter().map(|(_, mark)| *mark).collect();
    assert_eq!(marks, [Mark::Interrupted], "the history says that there was no run");
}

#[test]
fn the_time_limit_ends_the_faults_and_the_run_still_reads_its_keys() {
    let mut workload = workload(5, vec![repeat(1_000, vec![lasting(isolate(Target::Leader), 900, 900)])]);
    (workload.limit, workload.settle) = (ms(10_000), ms(30_000));
    let run = audited(&workload, 1, Quirks::default());
    assert_eq!(run.finished, Finished::LimitReached);
    assert!(run.ended < RunNanos(0) + ms(12_000), "{}", run.ended);
    assert!(run.remarked(&["the time limit ends the fault plan"]));
    assert!(run.operations().iter().any(|operation| operation.role == ClientRole::Final));
}

#[test]
fn the_time_limit_cuts_settling_short() {
    let mut workload = workload(3, vec![wait(1_000, 1_000)]);
    (workload.limit, workload.settle) = (ms(5_000), ms(60_000));
    let run = audited(&workload, 1, Quirks::default());
    assert_eq!(run.finished, Finished::LimitReached);
    assert!(run.ended < RunNanos(0) + ms(6_500), "{}", run.ended);
}

#[test]
fn an_interrupted_run_lifts_its_faults_reads_every_key_and_ends_soon() {
    let steps =
        vec![open(isolate(Target::Leader)), open(pause(nodes(&[4]))), open(kill(nodes(&[5]))), wait(60_000, 60_000)];
    let run = audited(&workload(5, steps), 1, interrupt_at(4_000));
    assert_eq!(run.finished, Finished::Interrupted);
    assert!(run.ended.since(RunNanos(0) + ms(4_000)) <= ms(4_000), "{}", run.ended);
    assert!(run.marks().iter().any(|(_, mark)| *mark == Mark::LoadEnd), "the final reads have begun");
    assert_eq!(run.edges(FaultEdge::End).len(), 3);
    assert!(run.marks().iter().any(|(_, mark)| *mark == Mark::Interrupted));
    assert!(!run.marks().iter().any(|(_, mark)| *mark == Mark::RunEnd));
}

#[test]
fn an_interrupted_run_does_not_wait_for_a_world_that_never_answers() {
    let quirks = Quirks { is_mute: true, ..interrupt_at(3_000) };
    let run = run(&workload(3, vec![lasting(pause(nodes(&[3])), 100, 100)]), 1, quirks);
    assert_eq!(run.finished, Finished::Interrupted);
    assert!(run.ended <= RunNanos(0) + ms(3_000 + 5_000), "{}", run.ended);
    assert_eq!(run.edges(FaultEdge::End).len(), 1);
}

#[test]
fn asking_twice_to_end_ends_at_once() {
    let mut quirks = Quirks { is_mute: true, ..interrupt_at(3_000) };
    quirks.interrupts.push(RunNanos(0) + ms(3_200));
    let run = run(&workload(3, vec![lasting(pause(nodes(&[3])), 100, 100)]), 1, quirks);
    assert_eq!((run.finished.clone(), run.ended), (Finished::Interrupted, RunNanos(0) + ms(3_200)));
    assert_eq!(run.edges(FaultEdge::End).len(), 1);
}

#[test]
fn nothing_follows_the_end_of_a_run() {
    let mut engine = Engine::new(&workload(3, vec![]), Seed(1), RunNanos(0));
    let mut out = Vec::new();
    engine.step(RunNanos(1), Event::Interrupt { why: "by the user".to_owned() }, &mut out);
    assert_eq!(out.last(), Some(&Command::Finish(Finished::Interrupted)));
    out.clear();
    engine.step(RunNanos(2), Event::Interrupt { why: "by the user".to_owned() }, &mut out);
    engine.step(RunNanos(u64::MAX - 1), Event::Tick, &mut out);
    assert_eq!(out, []);
}

fn accompanied(steps: Vec<chaos_plan::StepAction>, rounds: Rounds, concludes_ms: u64) -> crate::audit::Run {
    let quirks = Quirks { concludes: Some(RunNanos(0) + ms(concludes_ms)), ..Quirks::default() };
    let mut workload = workload(3, steps);
    // Nobody knows how long the accompanied takes, so no limit of the workload's ends it.
    workload.limit = ms(5_000);
    let run = run_with(&workload, 1, quirks, |engine| engine.accompanying(rounds));
    audit(&run);
    run
}

#[test]
fn a_run_that_accompanies_something_does_its_plan_again_until_that_is_over_and_then_ends_in_order() {
    let run =
        accompanied(vec![lasting(kill(Target::Leader), 300, 300), await_stable(200, 5_000)], Rounds::Many, 20_000);
    assert_eq!(run.finished, Finished::Completed);
    let (begins, ends) = (run.edges(FaultEdge::Begin), run.edges(FaultEdge::End));
    assert!(begins.len() >= 8, "{} rounds", begins.len());
    assert_eq!(begins.len(), ends.len(), "every fault was taken back");
    assert!(begins.last().unwrap().0 > RunNanos(0) + ms(18_000), "until the end");
    assert!(begins.iter().all(|(at, _)| *at <= RunNanos(0) + ms(20_000)), "and not after it");
    let marks: Vec<Mark> = run.marks().into_iter().map(|(_, mark)| mark).collect();
    assert_eq!(marks, [Mark::LoadBegin, Mark::FaultsBegin, Mark::FaultsEnd, Mark::LoadEnd, Mark::RunEnd]);
    assert_eq!(run.progress.last().unwrap().1.faults_total, None);
}

#[test]
fn a_plan_that_is_done_once_leaves_the_load_running_until_what_it_accompanies_is_over() {
    let run = accompanied(vec![open(isolate(Target::Leader)), wait(500, 500)], Rounds::One, 20_000);
    assert_eq!(run.finished, Finished::Completed);
    assert_eq!(run.edges(FaultEdge::Begin).len(), 1);
    let (healed, _) = run.edges(FaultEdge::End)[0];
    assert!(healed < RunNanos(0) + ms(6_000), "what the plan left open is taken back when it is through: {healed}");
    assert!(run.mark(Mark::FaultsEnd) >= RunNanos(0) + ms(20_000));
    assert!(run.invocations().any(|(at, _)| at > RunNanos(0) + ms(19_900)), "the load goes on");
}

#[test]
fn a_plan_without_steps_accompanies_quietly() {
    let run = accompanied(vec![], Rounds::Many, 3_000);
    assert_eq!((run.finished.clone(), run.edges(FaultEdge::Begin).len()), (Finished::Completed, 0));
    assert!(run.ended > RunNanos(0) + ms(3_000));
}

#[test]
fn what_is_over_at_once_ends_the_plan_before_its_first_fault() {
    let run = accompanied(vec![lasting(kill(Target::Leader), 300, 300)], Rounds::Many, 1);
    assert_eq!(run.finished, Finished::Completed);
    assert_eq!(run.edges(FaultEdge::Begin).len(), 0);
    assert!(run.marks().iter().any(|(_, mark)| *mark == Mark::RunEnd));
}

#[test]
fn a_run_that_accompanies_nothing_takes_no_notice_of_a_conclusion() {
    let quirks = Quirks { concludes: Some(RunNanos(0) + ms(10)), ..Quirks::default() };
    let run = audited(&workload(3, vec![lasting(kill(Target::Leader), 300, 300)]), 1, quirks);
    assert_eq!(run.edges(FaultEdge::Begin).len(), 1);
}

#[test]
fn the_state_of_each_node_can_be_looked_at() {
    let steps = vec![open(kill(nodes(&[2]))), open(pause(nodes(&[3]))), wait(2_000, 2_000)];
    let mut engine_seen = Vec::new();
    let mut engine = Engine::new(&workload(5, steps), Seed(1), RunNanos(0));
    let mut world = crate::fake_world::FakeWorld::new(5, Quirks::default());
    chaos_engine::drive(&mut engine, &mut world, &mut |now, _, engine| {
        if now > RunNanos(0) + ms(2_500) && engine_seen.is_empty() {
            engine_seen = engine.node_statuses();
        }
    })
    .unwrap();
    let states: Vec<NodeState> = engine_seen.iter().map(|status| status.state).collect();
    assert_eq!(states, [NodeState::Up, NodeState::Killed, NodeState::Paused, NodeState::Up, NodeState::Up]);
    let leader = engine_seen[0].belief.unwrap();
    assert_eq!(
        (leader.role, leader.leader),
        (chaos_history::ElectionRole::Leader, Some(chaos_history::NodeId::new(1)))
    );
    assert!(engine_seen.iter().all(|status| status.cut_from.is_empty()));
}

#[test]
fn the_live_view_counts_what_happens() {
    let steps = vec![repeat(3, vec![lasting(kill(Target::Leader), 500, 500), await_stable(200, 5_000)])];
    let run = audited(&workload(3, steps), 1, Quirks::default());
    let (_, last) = run.progress.last().unwrap();
    assert_eq!((last.faults_done, last.faults_total), (3, Some(3)));
    let ends = last.operations.ok + last.operations.fail + last.operations.info;
    assert_eq!(ends, u64::try_from(run.operations().len()).unwrap());
    let (_, broken) = run.progress.iter().find(|(_, progress)| !progress.active_faults.is_empty()).unwrap();
    assert_eq!((broken.phase, &broken.active_faults[..]), (Phase::Faults, &["kill leader".to_owned()][..]));
    assert!(run.progress.iter().any(|(_, progress)| progress.waiting_for.starts_with("`kill leader` to last until")));
}

#[test]
fn a_plan_that_asks_for_more_than_the_world_can_is_known_before_the_run() {
    let workload = workload(3, vec![repeat(2, vec![lasting(kill(Target::Leader), 1, 1), open(isolate(Target::All))])]);
    let mut capabilities = chaos_engine::Capabilities::default();
    capabilities.faults.insert(FaultKind::Kill);
    assert_eq!(capabilities.missing(&workload.faults), [FaultKind::Partition].into());
}
