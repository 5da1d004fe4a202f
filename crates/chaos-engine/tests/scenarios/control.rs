//! What sets steps off, does them at the same time, repeats them, and chooses among them.

use std::collections::BTreeSet;
use std::time::Duration;

use chaos_engine::Command;
use chaos_history::FaultEdge::{Begin, End};
use chaos_history::{Completion, ElectionRole, FaultKind, Mark, NodeId, ObservationOutcome, RunNanos, Term};
use chaos_plan::{Choice, Condition, LeaderChange, LinkSelector, Partition, Phase, StepAction, Target, TermMark, Ways};

use crate::audit::{Run, audited};
use crate::fake_world::Quirks;
use crate::plans::{
    HEARTBEAT, await_stable, isolate, kill, lasting, ms, named, nodes, on, open, pause, phased, range, repeat,
    repeat_until, step, together, wait, workload,
};

fn under(count: usize, steps: Vec<StepAction>) -> Run {
    audited(&workload(count, steps), 1, Quirks::default())
}

fn at_once(action: StepAction) -> StepAction {
    phased(action, Phase::AtOnce)
}

const ELECTED: Condition = Condition::Leader(LeaderChange::Elected);
const LOST: Condition = Condition::Leader(LeaderChange::Lost);
const ANOTHER: Condition = Condition::Leader(LeaderChange::Another);

/// When a majority of the nodes first said that they follow somebody in this term, as the engine was told.
fn elected_at(run: &Run, term: u64) -> RunNanos {
    let mut told: BTreeSet<NodeId> = BTreeSet::new();
    for (at, observation) in &run.world.told {
        if let ObservationOutcome::Answered(belief) = &observation.outcome
            && belief.term == Term(term)
            && belief.leader.is_some()
        {
            told.insert(observation.node);
            let claimed = run.world.told.iter().any(|(before, other)| {
                before <= at
                    && matches!(&other.outcome, ObservationOutcome::Answered(belief)
                        if belief.role == ElectionRole::Leader && belief.term == Term(term))
            });
            if claimed && told.len() > run.world.nodes() / 2 {
                return *at;
            }
        }
    }
    panic!("nobody was elected in term {term}");
}

#[test]
fn what_an_election_sets_off_begins_in_the_very_step_that_is_told_of_it() {
    let steps = vec![
        lasting(kill(Target::Leader), 1_000, 1_000),
        await_stable(300, 5_000),
        open(isolate(Target::Leader)),
        on(ELECTED, 5_000, vec![at_once(lasting(pause(Target::Leader), 100, 100))]),
    ];
    let run = under(5, steps);
    let begins = run.edges(Begin);
    let (paused, fault) = begins[2];
    assert_eq!(paused, elected_at(&run, 3), "at the same stamp as the observation");
    assert_eq!((fault.scheduled, fault.leader.map(|(_, term)| term)), (paused, Some(Term(3))));
    assert!(!run.remarked(&["in vain"]), "{:?}", run.remarks());
}

#[test]
fn what_an_event_sets_off_may_come_a_drawn_time_later() {
    let delayed = |after| StepAction::On {
        condition: Condition::Term(TermMark::Later(1)),
        after,
        within: ms(5_000),
        steps: vec![step(at_once(lasting(pause(Target::Random), 10, 10)))],
    };
    let steps = vec![repeat(
        20,
        vec![
            open(kill(Target::Leader)),
            delayed(range(20, 60)),
            StepAction::Restart { target: None },
            await_stable(50, 5_000),
        ],
    )];
    let run = under(5, steps);
    let begins = run.edges(Begin);
    let mut delays = BTreeSet::new();
    for (index, (at, fault)) in begins.iter().filter(|(_, fault)| fault.kind == FaultKind::Pause).enumerate() {
        assert_eq!(fault.scheduled, *at);
        let term = u64::try_from(index).unwrap() + 2;
        let first = run.world.told.iter().find(|(_, observation)| match &observation.outcome {
            ObservationOutcome::Answered(belief) => belief.term == Term(term),
            ObservationOutcome::Silent(_) => false,
        });
        let after = at.since(first.expect("the term was seen").0);
        assert!((ms(20)..=ms(60)).contains(&after), "{after:?}");
        delays.insert(after);
    }
    assert_eq!(delays.len(), 20, "each is drawn");
}

#[test]
fn the_loss_of_a_leader_is_seen_when_its_followers_name_it_no_longer() {
    // Isolated, the leader of the toy world goes on naming itself; the others follow the next one after 200 ms.
    let steps = vec![open(isolate(Target::Leader)), on(LOST, 5_000, vec![StepAction::Heal])];
    let run = under(5, steps);
    let (cut, _) = run.edges(Begin)[0];
    let (healed, fault) = run.edges(End)[0];
    assert!(fault.source.is_some(), "the plan healed it");
    assert!((ms(190)..ms(210)).contains(&healed.since(cut)), "{:?}", healed.since(cut));
}

#[test]
fn a_vote_sets_off_what_waits_for_one() {
    let voting = Quirks { votes: true, ..Quirks::default() };
    let steps = vec![
        wait(500, 500),
        open(kill(Target::Leader)),
        on(Condition::VoteGranted, 5_000, vec![at_once(lasting(pause(Target::Voter), 10, 10))]),
    ];
    let run = audited(&workload(3, steps.clone()), 1, voting);
    let granted = run.world.told.iter().find(|(_, observation)| match &observation.outcome {
        ObservationOutcome::Answered(belief) => {
            belief.term == Term(2) && belief.voted_for.is_some_and(|voted| voted != observation.node)
        }
        ObservationOutcome::Silent(_) => false,
    });
    let (at, observation) = granted.expect("somebody voted");
    let (struck, fault) = run.edges(Begin)[1];
    assert_eq!((struck, fault.nodes.as_slice()), (*at, [observation.node].as_slice()), "and hits the voter");
    // Votes of terms that are over set nothing off.
    let run = under(3, steps);
    assert!(run.remarked(&["waited 5s in vain for a vote in a newer term", "its steps are left out", "test.yaml:3"]));
    assert_eq!(run.edges(Begin).len(), 1);
    assert_eq!(run.progress.last().map(|(_, progress)| progress.faults_done), Some(2), "it is counted as passed over");
}

#[test]
fn acknowledged_operations_are_counted_from_the_steps_beginning() {
    let pauses =
        |count| on(Condition::Operations(count), 20_000, vec![at_once(lasting(pause(Target::Follower), 10, 10))]);
    let run = under(3, vec![pauses(100), pauses(200)]);
    let acknowledged = |until: RunNanos| {
        let operations = run.operations();
        let done = operations.iter().filter(|operation| {
            matches!(operation.completion, Completion::Ok(_)) && operation.completed.is_some_and(|at| at <= until)
        });
        done.count()
    };
    let [(first, _), (second, _)] = run.edges(Begin)[..] else { panic!("two pauses") };
    let before = acknowledged(run.mark(Mark::FaultsBegin));
    assert_eq!(acknowledged(first), before + 100);
    assert_eq!(acknowledged(second), acknowledged(run.edges(End)[0].0) + 200);
}

#[test]
fn branches_begin_in_one_step_and_aim_at_the_world_before_it() {
    let partition = isolate(Target::Follower);
    let branches = vec![
        vec![at_once(lasting(pause(Target::Leader), 300, 300))],
        vec![at_once(lasting(partition, 700, 700))],
        vec![wait(100, 100), lasting(pause(Target::Follower), 10, 10)],
    ];
    let run = under(5, vec![wait(400, 400), together(branches), open(kill(nodes(&[5])))]);
    let begins = run.edges(Begin);
    assert_eq!(begins[0].0, begins[1].0, "in the same step");
    let (leader, cut) = (begins[0].1, begins[1].1);
    assert_eq!(leader.leader.map(|(node, _)| vec![node]), Some(leader.nodes.clone()));
    assert_eq!(cut.leader, leader.leader, "the leader that there was before the pause");
    assert_ne!(cut.nodes, leader.nodes, "a follower of that leader");
    let latest = run.edges(End).iter().take(3).map(|(at, _)| *at).max();
    assert!(begins[3].0 >= latest.unwrap(), "the next step waits for the longest branch");
    assert!(begins[3].0.since(begins[0].0) >= ms(700));
}

#[test]
fn branches_wait_for_a_leader_before_any_of_them_begins() {
    let branches = || {
        vec![
            vec![at_once(lasting(pause(nodes(&[3])), 100, 100))],
            vec![at_once(lasting(isolate(Target::Leader), 100, 100))],
        ]
    };
    let run = under(5, vec![open(kill(Target::Leader)), together(branches())]);
    let begins = run.edges(Begin);
    assert_eq!(begins[1].0, begins[2].0);
    // The toy fails over 200 ms after it last saw its leader well.
    assert!(begins[1].0.since(begins[0].0) >= ms(190), "{:?}", begins[1].0.since(begins[0].0));
    // Nobody can lead: the branch that needs nobody begins when the other one gives up.
    let run = under(3, vec![open(kill(nodes(&[1, 2]))), wait(600, 600), together(branches())]);
    let begins = run.edges(Begin);
    assert_eq!(begins.len(), 2);
    assert!((ms(10_500)..ms(10_700)).contains(&begins[1].0.since(begins[0].0)));
    assert!(run.remarked(&["skipped `isolate leader`", "no majority"]), "{:?}", run.remarks());
}

#[test]
fn branches_draw_other_nodes_than_each_other_and_none_is_hit_twice() {
    for seed in 0..20 {
        let branch = || vec![at_once(lasting(pause(Target::Follower), 100, 100))];
        let run = audited(&workload(5, vec![together(vec![branch(), branch(), branch()])]), seed, Quirks::default());
        let hit: BTreeSet<NodeId> = run.edges(Begin).iter().flat_map(|(_, fault)| fault.nodes.clone()).collect();
        assert_eq!((hit.len(), run.edges(Begin).len()), (3, 3));
    }
}

#[test]
fn a_branch_whose_fault_another_one_takes_back_is_over() {
    let branches = vec![vec![lasting(isolate(Target::Follower), 5_000, 5_000)], vec![wait(500, 500), StepAction::Heal]];
    let run = under(5, vec![together(branches)]);
    let lasted = run.edges(End)[0].0.since(run.edges(Begin)[0].0);
    assert!(lasted < ms(600), "{lasted:?}");
    let whole = run.mark(Mark::FaultsEnd).since(run.mark(Mark::FaultsBegin));
    assert!(whole < ms(600), "nobody goes on holding what is gone: {whole:?}");
}

#[test]
fn later_steps_aim_at_the_nodes_that_a_name_stands_for() {
    let everybody_else = Target::AllBut(Box::new(Target::Named("first".to_owned())));
    let steps = vec![
        named(lasting(pause(Target::Random), 100, 100), "first"),
        lasting(kill(Target::Named("first".to_owned())), 100, 100),
        lasting(pause(everybody_else), 50, 50),
        named(open(kill(Target::Random)), "second"),
        StepAction::Restart { target: Some(Target::Named("second".to_owned())) },
    ];
    let run = under(5, steps);
    let begins = run.edges(Begin);
    assert_eq!(begins[0].1.nodes, begins[1].1.nodes);
    let others: Vec<NodeId> = NodeId::all(5).filter(|node| *node != begins[0].1.nodes[0]).collect();
    assert_eq!(begins[2].1.nodes, others);
    assert_eq!(run.edges(End)[3].1.nodes, begins[3].1.nodes);
    assert!(run.edges(End)[3].1.source.is_some());
}

#[test]
fn a_name_of_a_step_that_hit_nobody_is_nobody() {
    let steps = vec![
        open(kill(nodes(&[3]))),
        named(lasting(pause(nodes(&[3])), 50, 50), "nobody"),
        lasting(kill(Target::Named("nobody".to_owned())), 50, 50),
    ];
    let run = under(3, steps);
    assert_eq!(run.edges(Begin).len(), 1);
    assert!(run.remarked(&["skipped `kill $nobody`", "hit nobody"]), "{:?}", run.remarks());
}

#[test]
fn links_are_cut_as_they_are_named() {
    let link = |from, to, ways| LinkSelector { from, to, ways };
    let cut = Partition::Cut(vec![
        link(Target::Leader, Target::Follower, Ways::One),
        link(nodes(&[3]), nodes(&[4]), Ways::Both),
    ]);
    let run = under(5, vec![lasting(chaos_plan::Fault::partition(cut), 100, 100)]);
    let (_, fault) = run.edges(Begin)[0];
    assert_eq!((fault.links.len(), fault.label.as_str()), (3, "cut leader -> follower, n3 <-> n4"));
}

#[test]
fn a_repetition_ends_after_the_round_in_which_its_condition_came() {
    let round = || vec![lasting(pause(Target::Follower), 50, 50), wait(50, 50)];
    let kills = |times| {
        let mut steps = round();
        steps.push(lasting(kill(Target::Leader), 1_000, 1_000));
        repeat_until(times, ANOTHER, None, steps)
    };
    let run = under(5, vec![kills(100)]);
    assert_eq!(run.edges(Begin).len(), 2, "one round: the kill makes another one lead");
    let run = under(5, vec![repeat_until(7, ANOTHER, None, round())]);
    assert_eq!(run.edges(Begin).len(), 7);
    assert!(run.remarked(&["7 rounds passed without another leader (test.yaml:1)"]), "{:?}", run.remarks());
    let run = under(5, vec![repeat_until(1_000, ANOTHER, Some(1_000), round())]);
    let rounds = run.edges(Begin).len();
    assert!((5..12).contains(&rounds), "no round begins after a second: {rounds}");
    assert!(run.progress.iter().all(|(_, progress)| progress.faults_total.is_none()));
}

#[test]
fn a_swarm_keeps_to_its_choices_for_the_whole_run() {
    let choice = |action| Choice { weight: 1, steps: vec![step(action)] };
    let random = || StepAction::Random {
        lasting: ms(3_000),
        every: range(10, 30),
        swarm_millionths: Some(400_000),
        choices: (1..=5).map(|node| choice(lasting(pause(nodes(&[node])), 10, 10))).collect(),
    };
    let hit = |run: &Run| -> BTreeSet<NodeId> {
        run.edges(Begin).iter().flat_map(|(_, fault)| fault.nodes.clone()).collect()
    };
    let mut sizes = Vec::new();
    for seed in 0..40 {
        let run = audited(&workload(5, vec![repeat(3, vec![random()])]), seed, Quirks::default());
        let hit = hit(&run);
        let numbers: Vec<String> = hit.iter().map(|node| node.number().to_string()).collect();
        let told = format!("this run has {}", numbers.join(", "));
        assert_eq!(run.remarks().iter().filter(|remark| remark.ends_with(&told)).count(), 1, "{:?}", run.remarks());
        sizes.push(hit.len());
    }
    // Of five, each with 40 %: two on average, never none, and runs differ.
    let mean = sizes.iter().sum::<usize>() * 10 / sizes.len();
    assert!((15..27).contains(&mean) && sizes.iter().all(|size| *size > 0), "{sizes:?}");
    assert!(sizes.iter().collect::<BTreeSet<_>>().len() >= 3, "{sizes:?}");
}

/// How long after the beat before it each fault began, where the first beat is the leader's first claim.
fn phases(run: &Run) -> Vec<Duration> {
    let beat = run.world.told.iter().find(|(_, observation)| match &observation.outcome {
        ObservationOutcome::Answered(belief) => belief.role == ElectionRole::Leader,
        ObservationOutcome::Silent(_) => false,
    });
    let beat = beat.expect("somebody leads").0;
    let after = |at: RunNanos| {
        Duration::from_nanos(
            u64::try_from(at.since(beat).as_nanos() % HEARTBEAT.as_nanos()).expect("less than a heartbeat"),
        )
    };
    run.edges(Begin).iter().map(|(at, _)| after(*at)).collect()
}

#[test]
fn a_sweep_steps_through_the_heartbeat_evenly() {
    let fault = || phased(lasting(pause(Target::Follower), 33, 57), Phase::Sweep);
    let run = under(3, vec![repeat(8, vec![fault(), wait(1, 37)])]);
    let expect: Vec<Duration> = (0..8).map(|round| HEARTBEAT * round / 8).collect();
    assert_eq!(phases(&run), expect);
    // In the branches of a `together`, and in an `on`, it is the round around them that counts.
    let branch = vec![wait(1, 30), fault()];
    let run = under(3, vec![repeat(4, vec![together(vec![branch, vec![wait(5, 5)]])])]);
    assert_eq!(phases(&run), (0..4).map(|round| HEARTBEAT * round / 4).collect::<Vec<_>>());
}

#[test]
fn an_offset_is_drawn_from_its_range_after_a_beat() {
    let fault = phased(lasting(pause(Target::Follower), 20, 90), Phase::Offset(range(10, 15)));
    let run = under(3, vec![repeat(60, vec![fault])]);
    let phases = phases(&run);
    assert!(phases.iter().all(|phase| (ms(10)..=ms(15)).contains(phase)), "{phases:?}");
    assert!(phases.iter().collect::<BTreeSet<_>>().len() > 50);
}

#[test]
fn without_a_phase_a_fault_begins_when_its_turn_comes() {
    let run = under(3, vec![repeat(20, vec![at_once(lasting(pause(Target::Follower), 10, 10)), wait(30, 30)])]);
    for ((ended, _), (begun, _)) in run.edges(End).iter().zip(run.edges(Begin).iter().skip(1)) {
        assert!(begun.since(*ended) < ms(31), "{:?}", begun.since(*ended));
    }
}

#[test]
fn whoever_follows_a_run_is_told_what_all_branches_wait_for() {
    let branches = vec![vec![at_once(lasting(pause(Target::Leader), 300, 300))], vec![on(ANOTHER, 5_000, vec![])]];
    let run = under(5, vec![together(branches)]);
    let told = |parts: &[&str]| {
        run.progress.iter().any(|(_, progress)| parts.iter().all(|part| progress.waiting_for.contains(part)))
    };
    assert!(told(&["`pause leader` to last until", ", and another leader"]), "{:?}", run.progress);
}

#[test]
fn a_branch_draws_the_same_whatever_stands_beside_it() {
    let one = || vec![lasting(pause(nodes(&[2])), 100, 900), wait(50, 500)];
    let other = || vec![wait(50, 500), lasting(isolate(nodes(&[3])), 100, 900)];
    let both = workload(5, vec![together(vec![one(), other()])]);
    let mut alone = both.clone();
    let StepAction::Together { branches, .. } = &mut alone.faults.steps[0].action else { panic!("it is together") };
    branches.remove(0);
    let cuts = |run: &Run| {
        let cut = |command: &(RunNanos, Command)| match command {
            (at, Command::Fault(fault)) if fault.kind == FaultKind::Partition => Some((*at, fault.edge)),
            _ => None,
        };
        run.world.commands.iter().filter_map(cut).collect::<Vec<_>>()
    };
    let (both, alone) = (audited(&both, 3, Quirks::default()), audited(&alone, 3, Quirks::default()));
    assert_eq!(cuts(&both), cuts(&alone));
}
