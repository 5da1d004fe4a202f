//! What the words of a fault plan do.

use std::collections::BTreeSet;

use chaos_engine::{Command, Cut, FaultChange, Finished};
use chaos_history::{FaultEdge, FaultKind, Link, Mark, NodeId};
use chaos_plan::{Choice, Partition, Phase, StepAction, Target};

use crate::audit::{Run, audited, run};
use crate::fake_world::Quirks;
use crate::plans::{
    HEARTBEAT, await_leader, await_stable, crash_loop, isolate, kill, lasting, ms, nodes, open, pause, phased, range,
    repeat, slow, step, together, wait, workload,
};

fn under(count: usize, steps: Vec<StepAction>) -> Run {
    audited(&workload(count, steps), 1, Quirks::default())
}

fn shape(run: &Run) -> Vec<(u32, FaultEdge, Vec<u16>)> {
    let numbers = |nodes: &[NodeId]| nodes.iter().map(|node| node.number()).collect();
    run.faults().map(|(_, fault)| (fault.id.0, fault.edge, numbers(&fault.nodes))).collect()
}

#[test]
fn each_leader_is_hit_as_it_leads() {
    let steps = vec![repeat(5, vec![lasting(isolate(Target::Leader), 1_000, 1_000), await_stable(300, 5_000)])];
    let run = under(5, steps);
    let begins = run.edges(FaultEdge::Begin);
    assert_eq!(begins.len(), 5);
    for (_, fault) in &begins {
        assert_eq!(fault.leader.map(|(node, _)| vec![node]), Some(fault.nodes.clone()));
        assert_eq!(fault.links.len(), 8);
    }
    let terms: Vec<_> = begins.iter().filter_map(|(_, fault)| fault.leader.map(|(_, term)| term)).collect();
    assert!(terms.is_sorted_by(|one, next| one < next), "each cut ends a term: {terms:?}");
    assert!(!run.remarked(&["skipped"]) && !run.remarked(&["in vain"]), "{:?}", run.remarks());
}

#[test]
fn a_fault_lasts_from_its_effect_for_as_long_as_it_says() {
    let run = under(3, vec![repeat(10, vec![lasting(pause(Target::Follower), 100, 200), wait(100, 100)])]);
    let mut lengths = BTreeSet::new();
    for ((begin, _), (end, fault)) in run.edges(FaultEdge::Begin).into_iter().zip(run.edges(FaultEdge::End)) {
        let lasted = end.since(begin);
        // 0.3 ms is what the toy world takes until the effect.
        assert!((ms(100)..=ms(201)).contains(&lasted), "{lasted:?}");
        assert_eq!(fault.scheduled, end);
        lengths.insert(lasted);
    }
    assert!(lengths.len() > 5, "the lengths are drawn: {lengths:?}");
}

#[test]
fn faults_begin_at_every_phase_of_the_heartbeat() {
    let run = under(3, vec![repeat(200, vec![lasting(pause(Target::Follower), 10, 10)])]);
    let ends = run.edges(FaultEdge::End);
    let begins = run.edges(FaultEdge::Begin);
    let mut quarters = [0; 4];
    for ((end, _), (begin, fault)) in ends.iter().zip(&begins[1..]) {
        assert_eq!(fault.scheduled, *begin, "an injection is scheduled for after its phase was drawn");
        let phase = begin.since(*end);
        assert!(phase < HEARTBEAT + ms(1), "{phase:?}");
        let quarter = (phase.as_micros() * 4 / HEARTBEAT.as_micros()).min(3);
        quarters[usize::try_from(quarter).unwrap()] += 1;
    }
    assert!(quarters.iter().all(|count| (25..75).contains(count)), "{quarters:?}");
}

#[test]
fn open_faults_stay_until_they_are_taken_back() {
    let steps = vec![
        open(kill(nodes(&[4]))),
        open(kill(nodes(&[5]))),
        wait(500, 500),
        StepAction::Restart { target: None },
        open(pause(nodes(&[2, 3]))),
        StepAction::Resume { target: Some(nodes(&[3])) },
        wait(100, 100),
        StepAction::Resume { target: None },
    ];
    let run = under(5, steps);
    use FaultEdge::{Begin, End};
    let expect = [
        (1, Begin, vec![4]),
        (2, Begin, vec![5]),
        (1, End, vec![4]),
        (2, End, vec![5]),
        (3, Begin, vec![2, 3]),
        (3, End, vec![2]),
    ];
    assert_eq!(shape(&run), expect);
    let relieved = run.world.commands.iter().any(|(_, command)| match command {
        Command::Alter { fault, change, nodes, .. } => {
            (fault.0, change, &nodes[..]) == (3, &FaultChange::Resume, &[NodeId::new(3)])
        }
        Command::Fault(_)
        | Command::Invoke(_)
        | Command::Mark(..)
        | Command::Remark(_)
        | Command::Compare { .. }
        | Command::Finish(_) => false,
    });
    assert!(relieved);
    assert!(run.edges(End).iter().all(|(_, fault)| fault.source.is_some()), "the plan took them back itself");
}

#[test]
fn a_frozen_leader_is_out_of_reach_for_all_until_it_thaws() {
    let freeze = chaos_plan::Fault::FreezeHost { target: Target::Leader };
    let run = under(3, vec![repeat(2, vec![lasting(freeze, 1_000, 1_000), await_stable(300, 5_000)])]);
    for (_, fault) in run.edges(FaultEdge::Begin) {
        let (leader, _) = fault.leader.unwrap();
        assert_eq!((fault.kind, &fault.nodes[..], fault.links.len()), (FaultKind::FreezeHost, &[leader][..], 4));
        let FaultChange::Freeze(cut) = &fault.change else { panic!("{fault:?}") };
        assert_eq!((cut.links.len(), &cut.legs), (4, &BTreeSet::from([leader])));
    }
    for (_, fault) in run.edges(FaultEdge::End) {
        assert_eq!(fault.change, FaultChange::Thaw(Cut::default()));
    }
    assert_eq!(run.edges(FaultEdge::End).len(), 2);
}

#[test]
fn a_node_that_its_crash_loop_is_killing_is_not_paused() {
    for seed in 0..40 {
        let at_once = |fault| phased(lasting(fault, 0, 900), Phase::AtOnce);
        let branches = vec![vec![at_once(crash_loop(Target::Majority))], vec![at_once(pause(Target::Follower))]];
        // That no fault hits what was hit already is a part of the audit.
        audited(&workload(5, vec![repeat(5, vec![together(branches)])]), seed, Quirks::default());
    }
}

#[test]
fn a_crash_loop_kills_and_starts_its_nodes_until_it_ends_with_them_up() {
    for seed in 1..20 {
        let steps = vec![lasting(crash_loop(nodes(&[2, 3])), 2_000, 2_500)];
        let run = audited(&workload(5, steps), seed, Quirks::default());
        let (begins, ends) = (run.edges(FaultEdge::Begin), run.edges(FaultEdge::End));
        assert_eq!((begins.len(), ends.len()), (1, 1));
        assert_eq!(ends[0].1.change, FaultChange::Restart);
        for node in [2, 3].map(NodeId::new) {
            let mut beats = vec![(begins[0].0, true)];
            beats.extend(run.world.commands.iter().filter_map(|(at, command)| match command {
                Command::Alter { change, nodes, .. } if nodes.contains(&node) => {
                    Some((*at, matches!(change, FaultChange::Kill(_))))
                }
                Command::Alter { .. }
                | Command::Fault(_)
                | Command::Invoke(_)
                | Command::Mark(..)
                | Command::Remark(_)
                | Command::Compare { .. }
                | Command::Finish(_) => None,
            }));
            assert!(beats.len() > 8, "{beats:?}");
            for (one, next) in beats.iter().zip(&beats[1..]) {
                let (least, most) = if one.1 { (50, 51) } else { (100, 301) };
                let lasted = next.0.since(one.0);
                assert!(one.1 != next.1 && ms(least) <= lasted && lasted <= ms(most), "{lasted:?} in {beats:?}");
            }
        }
    }
}

#[test]
fn faults_that_stop_or_start_a_node_are_not_mixed_on_it() {
    let steps = vec![
        open(slow(nodes(&[2]))),
        open(pause(nodes(&[2, 3]))),
        open(slow(nodes(&[2, 3]))),
        open(crash_loop(nodes(&[4]))),
        lasting(kill(nodes(&[4, 5])), 100, 100),
    ];
    let run = under(5, steps);
    let begun: Vec<(FaultKind, Vec<u16>)> = run
        .edges(FaultEdge::Begin)
        .into_iter()
        .map(|(_, fault)| (fault.kind, fault.nodes.iter().map(|node| node.number()).collect()))
        .collect();
    let expect = [
        (FaultKind::Slow, vec![2]),
        (FaultKind::Pause, vec![3]),
        (FaultKind::CrashLoop, vec![4]),
        (FaultKind::Kill, vec![5]),
    ];
    assert_eq!(begun, expect);
    assert!(run.remarked(&["skipped `slow n2, n3", "hit already"]), "{:?}", run.remarks());
}

#[test]
fn a_heal_takes_back_every_partition_and_cuts_overlap_without_loss() {
    let one_way = |from: u16, to: u16| {
        open(chaos_plan::Fault::partition(Partition::OneWay { from: nodes(&[from]), to: Some(nodes(&[to])) }))
    };
    let steps = vec![one_way(1, 2), one_way(1, 3), wait(50, 50), StepAction::Heal];
    let run = under(5, steps);
    let link = |to: u16| Link { from: NodeId::new(1), to: NodeId::new(to) };
    let cuts: Vec<FaultChange> = run.faults().map(|(_, fault)| fault.change.clone()).collect();
    let expect = [vec![link(2)], vec![link(2), link(3)], vec![link(3)], vec![]];
    assert_eq!(cuts, expect.map(|links| FaultChange::Cut(Cut::of_links(links))));
}

#[test]
fn what_the_plan_leaves_broken_is_lifted_at_its_end_by_the_harness() {
    let run =
        under(5, vec![open(kill(Target::Follower)), open(pause(Target::Follower)), open(isolate(Target::Leader))]);
    let ends = run.edges(FaultEdge::End);
    assert_eq!(ends.len(), 3);
    assert!(ends.iter().all(|(at, fault)| fault.source.is_none() && *at <= run.mark(Mark::FaultsEnd)));
    let kinds: BTreeSet<FaultKind> = ends.iter().map(|(_, fault)| fault.kind).collect();
    assert_eq!(kinds.len(), 3);
}

#[test]
fn the_old_leader_is_the_one_before_the_successor() {
    let steps = vec![
        open(isolate(Target::Leader)),
        await_leader(5_000),
        StepAction::Heal,
        await_stable(200, 5_000),
        lasting(kill(Target::OldLeader), 100, 100),
    ];
    let run = under(5, steps);
    let begins = run.edges(FaultEdge::Begin);
    assert_eq!(begins[1].1.nodes, begins[0].1.nodes);
    assert_ne!(begins[1].1.leader.map(|(node, _)| vec![node]), Some(begins[1].1.nodes.clone()));
}

#[test]
fn awaiting_a_leader_is_not_answered_by_the_one_that_was_just_cut_off() {
    let run = under(5, vec![open(isolate(Target::Leader)), await_leader(5_000), open(kill(Target::Leader))]);
    let begins = run.edges(FaultEdge::Begin);
    assert_ne!(begins[0].1.nodes, begins[1].1.nodes);
    assert!(begins[1].0.since(begins[0].0) >= ms(200), "the toy fails over in 200 ms");
}

#[test]
fn an_await_in_vain_is_remarked_and_the_plan_goes_on() {
    let steps = vec![open(kill(nodes(&[1, 2]))), await_leader(1_000), open(pause(nodes(&[3])))];
    let run = under(3, steps);
    assert!(run.remarked(&["waited 1s in vain for a leader", "test.yaml:2", "n3 named"]), "{:?}", run.remarks());
    let begins = run.edges(FaultEdge::Begin);
    let waited = begins[1].0.since(begins[0].0);
    assert!((ms(1_000)..ms(1_050)).contains(&waited), "{waited:?}");
    assert_eq!(run.finished, Finished::Completed);
}

#[test]
fn stability_counts_from_the_last_fault_edge() {
    let run = under(3, vec![wait(2_000, 2_000), lasting(pause(Target::Follower), 100, 100), await_stable(700, 5_000)]);
    let (healed, _) = run.edges(FaultEdge::End)[0];
    let waited = run.mark(Mark::FaultsEnd).since(healed);
    assert!((ms(700)..ms(720)).contains(&waited), "{waited:?}");
}

#[test]
fn a_fault_without_its_leader_waits_for_one_and_then_is_skipped() {
    let steps = vec![open(kill(nodes(&[1, 2]))), await_leader(1), wait(600, 600), open(isolate(Target::Leader))];
    let run = under(3, steps);
    assert_eq!(run.edges(FaultEdge::Begin).len(), 1);
    assert!(run.remarked(&["skipped `isolate leader`", "test.yaml:4", "no majority"]), "{:?}", run.remarks());
    let waited = run.mark(Mark::FaultsEnd).since(run.mark(Mark::FaultsBegin));
    assert!((ms(10_600)..ms(10_800)).contains(&waited), "{waited:?}");
    assert_eq!(run.progress.last().map(|(_, progress)| progress.faults_done), Some(2));
}

#[test]
fn a_fault_that_has_nobody_left_to_hit_is_skipped_at_once() {
    let steps =
        vec![open(kill(nodes(&[3]))), open(kill(nodes(&[3]))), open(pause(nodes(&[3]))), open(kill(Target::All))];
    let run = under(3, steps);
    let skipped = run.remarks().into_iter().filter(|remark| remark.starts_with("skipped")).count();
    assert_eq!(skipped, 2, "{:?}", run.remarks());
    assert_eq!(run.edges(FaultEdge::Begin)[1].1.nodes, [1, 2].map(NodeId::new));
}

#[test]
fn a_restart_without_anything_down_is_remarked() {
    let run = under(3, vec![StepAction::Restart { target: None }, StepAction::Heal]);
    assert!(run.remarked(&["`restart` had nothing to take back (test.yaml:1)"]));
    assert!(run.remarked(&["`heal` had nothing to take back (test.yaml:2)"]));
}

#[test]
fn a_fault_that_fails_to_begin_is_undone_and_the_plan_goes_on() {
    let steps = vec![repeat(3, vec![lasting(pause(Target::Follower), 1_000, 1_000)])];
    let quirks = Quirks { begins_fail: BTreeSet::from([2]), ..Quirks::default() };
    let run = audited(&workload(3, steps), 1, quirks);
    assert!(run.remarked(&["fault 2 (pause follower) was not injected", "told to fail"]));
    let edges = run.faults().map(|(_, fault)| (fault.id.0, fault.edge)).collect::<Vec<_>>();
    use FaultEdge::{Begin, End};
    assert_eq!(edges, [(1, Begin), (1, End), (2, Begin), (2, End), (3, Begin), (3, End)]);
    let (begins, ends) = (run.edges(Begin), run.edges(End));
    assert!(ends[1].0.since(begins[1].0) < ms(1), "nothing is held that isn't broken");
}

#[test]
fn a_fault_that_fails_to_end_is_remarked_and_not_tried_again() {
    let quirks = Quirks { ends_fail: BTreeSet::from([1]), ..Quirks::default() };
    let run = run(&workload(3, vec![lasting(kill(nodes(&[3])), 100, 100)]), 1, quirks);
    assert!(run.remarked(&["fault 1 (kill n3) was not taken back"]));
    assert_eq!((run.faults().count(), run.finished.clone()), (2, Finished::Completed));
}

#[test]
fn a_world_that_never_answers_is_not_waited_for_for_ever() {
    let quirks = Quirks { is_mute: true, ..Quirks::default() };
    let run = run(&workload(3, vec![lasting(pause(nodes(&[3])), 100, 100), wait(10, 10)]), 1, quirks);
    let edges = run.faults().map(|(_, fault)| fault.edge).collect::<Vec<_>>();
    assert_eq!(edges, [FaultEdge::Begin, FaultEdge::End]);
    assert_eq!((run.world.paused.len(), run.finished.clone()), (0, Finished::Completed));
    assert!(run.remarked(&["no answer within 30s that `pause n3` took effect"]));
}

#[test]
fn random_steps_draw_by_weight_until_their_time_is_over() {
    let choice = |weight, action| Choice { weight, steps: vec![step(action)] };
    let random = StepAction::Random {
        lasting: ms(60_000),
        every: range(100, 300),
        swarm_millionths: None,
        choices: vec![
            choice(3, lasting(pause(Target::Random), 100, 100)),
            choice(1, lasting(kill(Target::Random), 100, 100)),
        ],
    };
    let run = under(5, vec![random]);
    let begins = run.edges(FaultEdge::Begin);
    let kills = begins.iter().filter(|(_, fault)| fault.kind == FaultKind::Kill).count();
    assert!((120..220).contains(&begins.len()), "{}", begins.len());
    assert!(kills * 3 < begins.len() && kills * 6 > begins.len(), "{kills} of {}", begins.len());
    let lasted = run.mark(Mark::FaultsEnd).since(run.mark(Mark::FaultsBegin));
    assert!((ms(60_000)..ms(60_500)).contains(&lasted), "{lasted:?}");
    assert!(run.progress.iter().all(|(_, progress)| progress.faults_total.is_none()));
}

#[test]
fn steps_that_take_no_time_leave_the_rest_of_the_engine_its_turn() {
    let mut workload = workload(3, vec![repeat(u32::MAX, vec![wait(0, 0)])]);
    workload.limit = ms(8_000);
    let run = audited(&workload, 1, Quirks::default());
    assert_eq!(run.finished, Finished::LimitReached);
    assert!(run.invocations().count() > 1_000);
}

#[test]
fn a_leader_that_is_cut_off_is_no_longer_a_target() {
    // No await between the two: the followers still name the deposed leader, and the kill waits for its successor.
    let run = under(5, vec![open(isolate(Target::Leader)), open(kill(Target::Leader))]);
    let begins = run.edges(FaultEdge::Begin);
    assert_ne!(begins[0].1.nodes, begins[1].1.nodes);
    assert!(begins[1].0.since(begins[0].0) >= ms(200), "the toy fails over in 200 ms");
}

#[test]
fn a_node_that_was_killed_while_paused_runs_after_its_restart() {
    let n3 = || nodes(&[3]);
    let restart = StepAction::Restart { target: None };
    let run = under(5, vec![open(pause(n3())), open(kill(n3())), restart, open(pause(n3())), wait(100, 100)]);
    let kinds: Vec<FaultKind> = run.edges(FaultEdge::Begin).iter().map(|(_, fault)| fault.kind).collect();
    assert_eq!(kinds, [FaultKind::Pause, FaultKind::Kill, FaultKind::Pause], "{:?}", run.remarks());
}
