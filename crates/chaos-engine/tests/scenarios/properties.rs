//! What holds for any plan, any seed, and an end at any moment.

use chaos_engine::{Command, Finished};
use chaos_history::{FaultEdge, Mark, RunNanos};
use chaos_plan::{
    Choice, Condition, Fault, Hold, KillSignal, LeaderChange, LinkSelector, Partition, Phase, StepAction, Target,
    TermMark, Until, Ways,
};
use proptest::prelude::*;

use crate::audit::{Run, audited};
use crate::fake_world::Quirks;
use crate::plans::{
    await_leader, await_stable, crash_loop, isolate, kill, lasting, ms, nodes, number, pause, range, repeat,
    repeat_until, slow, step, wait, workload,
};

/// Any target that a cluster of five can resolve.
fn any_target() -> impl Strategy<Value = Target> {
    prop_oneof![
        Just(Target::Leader),
        Just(Target::OldLeader),
        Just(Target::Follower),
        Just(Target::Followers),
        Just(Target::Random),
        Just(Target::Majority),
        Just(Target::Minority),
        Just(Target::MinorityWithLeader),
        Just(Target::All),
        (1_u16..=5, 1_u16..=5).prop_map(|(one, other)| nodes(&[one, other])),
        any_name().prop_map(Target::Named),
        Just(Target::AllBut(Box::new(Target::Leader))),
        any_name().prop_map(|name| Target::AllBut(Box::new(Target::Named(name)))),
    ]
}

/// Names that some step has, or none.
fn any_name() -> impl Strategy<Value = String> {
    "[ab]"
}

fn any_phase() -> impl Strategy<Value = Phase> {
    prop_oneof![
        Just(Phase::Drawn),
        Just(Phase::AtOnce),
        (0_u64..90).prop_map(|offset| Phase::Offset(range(offset, offset + 9))),
        Just(Phase::Sweep),
    ]
}

fn any_condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        prop_oneof![Just(LeaderChange::Elected), Just(LeaderChange::Another), Just(LeaderChange::Lost)]
            .prop_map(Condition::Leader),
        Just(Condition::VoteGranted),
        (1_u64..5).prop_map(|term| Condition::Term(TermMark::At(term))),
        (1_u64..3).prop_map(|terms| Condition::Term(TermMark::Later(terms))),
        (1_u64..300).prop_map(Condition::Operations),
    ]
}

fn any_link() -> impl Strategy<Value = LinkSelector> {
    let ways = prop_oneof![Just(Ways::One), Just(Ways::Both)];
    (any_target(), any_target(), ways).prop_map(|(from, to, ways)| LinkSelector { from, to, ways })
}

fn any_hold() -> impl Strategy<Value = Hold> {
    prop_oneof![
        (0_u64..600).prop_map(|length| Hold::For(range(length, length + 100))),
        (0_u64..300, 0_u64..900).prop_map(|(plus, within)| Hold::Until(Until { plus: ms(plus), within: ms(within) })),
        Just(Hold::Open),
    ]
}

fn any_fault() -> impl Strategy<Value = Fault> {
    let signal = prop_oneof![Just(KillSignal::KILL), Just(KillSignal::TERM)];
    prop_oneof![
        (any_target(), signal).prop_map(|(target, signal)| Fault::Kill { target, process: None, signal }),
        any_target().prop_map(pause),
        any_target().prop_map(isolate),
        any_target().prop_map(|target| Fault::FreezeHost { target }),
        any_target().prop_map(crash_loop),
        any_target().prop_map(slow),
        Just(Fault::partition(Partition::Halves)),
        Just(Fault::partition(Partition::MajoritiesRing)),
        any_target().prop_map(|target| Fault::partition(Partition::Bridge(target))),
        (any_target(), proptest::option::of(any_target()))
            .prop_map(|(from, to)| Fault::partition(Partition::OneWay { from, to })),
        proptest::collection::vec(any_target(), 1..3).prop_map(|groups| Fault::partition(Partition::Groups(groups))),
        proptest::collection::vec(any_link(), 1..3).prop_map(|links| Fault::partition(Partition::Cut(links))),
    ]
}

fn any_step() -> impl Strategy<Value = StepAction> {
    let leaf = prop_oneof![
        6 => (any_fault(), any_hold(), any_phase(), proptest::option::of(any_name()))
            .prop_map(|(fault, hold, phase, name)| StepAction::Fault { fault, hold, phase, name }),
        1 => proptest::option::of(any_target()).prop_map(|target| StepAction::Restart { target }),
        1 => proptest::option::of(any_target()).prop_map(|target| StepAction::Resume { target }),
        1 => Just(StepAction::Heal),
        1 => Just(await_leader(500)),
        1 => Just(await_stable(100, 700)),
        1 => (0_u64..300).prop_map(|length| wait(length, length + 50)),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        let steps = proptest::collection::vec(inner, 1..4);
        let choice = (1_u32..4, steps.clone())
            .prop_map(|(weight, steps)| Choice { weight, steps: steps.into_iter().map(step).collect() });
        let choices = proptest::collection::vec(choice, 1..3);
        prop_oneof![
            (1_u32..3, steps.clone()).prop_map(|(times, steps)| repeat(times, steps)),
            (1_u32..4, any_condition(), proptest::option::of(0_u64..900), steps.clone())
                .prop_map(|(times, until, within, steps)| repeat_until(times, until, within, steps)),
            (any_condition(), 0_u64..900, 0_u64..50, proptest::option::of(steps.clone())).prop_map(
                |(condition, within, after, steps)| StepAction::On {
                    condition,
                    after: range(after / 2, after),
                    within: ms(within),
                    steps: steps.unwrap_or_default().into_iter().map(step).collect(),
                }
            ),
            (any_phase(), proptest::collection::vec(steps, 1..4)).prop_map(|(phase, branches)| StepAction::Together {
                phase,
                branches: branches.into_iter().map(|steps| steps.into_iter().map(step).collect()).collect(),
            }),
            (0_u64..2_000, proptest::option::of(1_u32..1_000_000), choices).prop_map(
                |(length, swarm_millionths, choices)| StepAction::Random {
                    lasting: ms(length),
                    every: range(0, 200),
                    swarm_millionths,
                    choices
                }
            ),
        ]
    })
}

fn any_plan() -> impl Strategy<Value = Vec<StepAction>> {
    proptest::collection::vec(any_step(), 1..6)
}

fn trace(run: &Run) -> &[(RunNanos, Command)] {
    &run.world.commands
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_plan_ends_with_everything_taken_back(
        plan in any_plan(),
        seed: u64,
        failing in proptest::collection::btree_set(1_u32..12, 0..3),
    ) {
        let mut workload = workload(5, plan);
        workload.limit = ms(60_000);
        let run = audited(&workload, seed, Quirks { begins_fail: failing, ..Quirks::default() });
        prop_assert!(matches!(run.finished, Finished::Completed | Finished::LimitReached));
    }

    #[test]
    fn an_interrupt_at_any_moment_ends_with_everything_taken_back(plan in any_plan(), seed: u64, micros in 0_u64..8_000_000) {
        let at = RunNanos(micros * 1_000);
        let run = audited(&workload(5, plan), seed, Quirks { interrupts: vec![at], ..Quirks::default() });
        let before_the_end = run.marks().iter().any(|(_, mark)| *mark == Mark::Interrupted);
        prop_assert_eq!(run.finished == Finished::Interrupted, before_the_end);
        prop_assert!(!before_the_end || run.ended.since(at) <= ms(5_000));
    }

    #[test]
    fn the_same_seed_gives_the_same_run(plan in any_plan(), seed: u64) {
        let workload = workload(5, plan);
        let (one, other) = (audited(&workload, seed, Quirks::default()), audited(&workload, seed, Quirks::default()));
        prop_assert!(trace(&one) == trace(&other));
    }
}

/// A plan of which each step draws something.
fn drawing() -> Vec<StepAction> {
    vec![
        repeat(3, vec![lasting(pause(Target::Random), 100, 900), wait(50, 500)]),
        lasting(isolate(Target::Minority), 100, 900),
        await_stable(200, 5_000),
        lasting(kill(Target::Follower), 100, 900),
    ]
}

#[test]
fn different_seeds_give_different_runs() {
    let workload = workload(5, drawing());
    let (one, other) = (audited(&workload, 1, Quirks::default()), audited(&workload, 2, Quirks::default()));
    assert!(trace(&one) != trace(&other));
}

#[test]
fn without_its_last_step_a_plan_runs_the_same_up_to_there() {
    let whole = workload(5, drawing());
    let mut shorter = whole.clone();
    shorter.faults.steps.pop();
    let (whole, shorter) = (audited(&whole, 9, Quirks::default()), audited(&shorter, 9, Quirks::default()));
    let end = shorter.mark(Mark::FaultsEnd);
    let until_then = |run: &Run| trace(run).iter().filter(|(at, _)| *at < end).cloned().collect::<Vec<_>>();
    assert!(until_then(&whole) == until_then(&shorter));
    assert_eq!(whole.edges(FaultEdge::Begin).len(), shorter.edges(FaultEdge::Begin).len() + 1);
}

#[test]
fn without_an_earlier_step_the_later_ones_still_draw_the_same() {
    let whole = workload(5, drawing());
    let mut shorter = whole.clone();
    // Its steps keep their numbers, as whoever makes a failing plan smaller would leave them.
    shorter.faults.steps.remove(0);
    let last_two = |run: &Run| {
        let (begins, ends) = (run.edges(FaultEdge::Begin), run.edges(FaultEdge::End));
        let drawn = begins.iter().zip(&ends).map(|((begin, fault), (end, _))| (fault.nodes.clone(), end.since(*begin)));
        drawn.skip(begins.len() - 2).collect::<Vec<_>>()
    };
    let (whole, shorter) = (audited(&whole, 5, Quirks::default()), audited(&shorter, 5, Quirks::default()));
    assert_eq!(last_two(&whole), last_two(&shorter));
}

#[test]
fn steps_are_numbered_in_reading_order() {
    let mut steps: Vec<_> = drawing().into_iter().map(step).collect();
    number(&mut steps, &mut 0);
    assert_eq!(steps.iter().map(|step| step.number).collect::<Vec<_>>(), [0, 3, 4, 5]);
}
