//! The shrinker against rules whose smallest failing plan is known.

mod fake;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use chaos_explore::generate::{Space, draw};
use chaos_explore::tree::well_formed;
use chaos_explore::{AmplifyOptions, Failing, ShrinkOptions, Shrunk, Trials, amplify, readable_yaml, shrink};
use chaos_history::{FaultKind, Seed};
use chaos_plan::{Check, Fault, Step, Workload, all_steps};
use fake::{Fake, Rule, pairs, pause_and_kill};

fn space() -> Space {
    Space::of_reference(None, FaultKind::ALL.into_iter().collect())
}

/// Drawn plans that fail by the rule.
fn failing(world: &Fake, search: u64, count: usize) -> Vec<Failing> {
    let space = space();
    let drawn = (0..60_000).map(|number| draw(&space, Seed(search), number, &[]));
    let failing = drawn.filter_map(|drawn| {
        let violation = world.run(&drawn.workload, drawn.seed).gravest().cloned()?;
        Some(Failing { workload: drawn.workload, seed: drawn.seed, violation })
    });
    let failing: Vec<Failing> = failing.take(count).collect();
    assert_eq!(failing.len(), count, "the rule fails too seldom");
    failing
}

fn kinds(workload: &Workload) -> Vec<&'static str> {
    let steps = all_steps(&workload.faults.steps);
    let mut kinds: Vec<_> = steps.into_iter().filter_map(Step::fault).map(|fault| fault.kind().name()).collect();
    kinds.sort_unstable();
    kinds
}

/// What must hold of everything that the shrinker hands back.
fn is_honest(world: &Fake, shrunk: &Shrunk, options: ShrinkOptions) {
    let Failing { workload, seed, violation } = &shrunk.failing;
    let again = world.run(workload, *seed);
    assert_eq!(again.violation_of(Check::Linearizable), Some(violation), "{}", readable_yaml(workload));
    assert_eq!(well_formed(workload.clone()).as_ref(), Some(workload), "it is what its file gives");
    assert!(shrunk.runs <= options.runs_max, "{} runs", shrunk.runs);
}

#[test]
fn a_pause_and_a_kill_are_all_that_is_left() {
    let world = Fake { rule: Box::new(pause_and_kill) };
    let options = ShrinkOptions::default();
    for failing in failing(&world, 1, 40) {
        let shrunk = shrink(&world, failing.clone(), options);
        is_honest(&world, &shrunk, options);
        assert!(shrunk.complete);
        let yaml = readable_yaml(&shrunk.failing.workload);
        assert_eq!(kinds(&shrunk.failing.workload), ["kill", "pause"], "{yaml}");
        assert!(shrunk.failing.workload.nodes == 3, "the rule counts no nodes: {yaml}");
        assert!(shrunk.failing.workload.clients.is_empty(), "and asks nobody: {yaml}");
        assert_eq!(shrink(&world, failing, options), shrunk, "the same again");
    }
}

#[test]
fn what_the_rule_needs_of_the_surroundings_stays() {
    let rule: Rule = Box::new(|workload, timeline, seed| {
        let impatient = workload.clients.iter().any(|load| load.pinned && load.timeout.as_millis() <= 250);
        pause_and_kill(workload, timeline, seed).filter(|_| impatient && workload.nodes >= 3)
    });
    let world = Fake { rule };
    let options = ShrinkOptions::default();
    for failing in failing(&world, 2, 15) {
        let shrunk = shrink(&world, failing, options);
        is_honest(&world, &shrunk, options);
        let workload = &shrunk.failing.workload;
        assert_eq!((workload.nodes, kinds(workload)), (3, vec!["kill", "pause"]));
        let load = &workload.clients[0];
        assert!(load.pinned && load.roaming == 0 && load.keys == 1, "{}", readable_yaml(workload));
    }
}

#[test]
fn every_kind_that_is_needed_is_left_once() {
    let needed = [FaultKind::Kill, FaultKind::Pause, FaultKind::Partition, FaultKind::FreezeHost];
    for count in 1..=needed.len() {
        let wanted: BTreeSet<FaultKind> = needed[..count].iter().copied().collect();
        let rule_wants = wanted.clone();
        let rule: Rule = Box::new(move |_, timeline, _| {
            let there: BTreeSet<FaultKind> = timeline.faults.iter().map(|fault| fault.kind).collect();
            let last = timeline.faults.iter().map(|fault| fault.at).max()?;
            rule_wants.is_subset(&there).then_some(last)
        });
        let world = Fake { rule };
        let options = ShrinkOptions::default();
        for failing in failing(&world, 3, 8) {
            let shrunk = shrink(&world, failing, options);
            is_honest(&world, &shrunk, options);
            let steps = all_steps(&shrunk.failing.workload.faults.steps);
            let left: Vec<FaultKind> = steps.into_iter().filter_map(Step::fault).map(Fault::kind).collect();
            assert_eq!(left.len(), count, "{}", readable_yaml(&shrunk.failing.workload));
            assert_eq!(left.into_iter().collect::<BTreeSet<_>>(), wanted);
        }
    }
}

#[test]
fn whatever_may_be_spent_what_comes_out_fails() {
    let world = Fake { rule: Box::new(pause_and_kill) };
    let mut smallest = usize::MAX;
    for runs_max in [1, 2, 5, 20, 60] {
        for failing in failing(&world, 4, 10) {
            let options = ShrinkOptions { runs_max, attempts: 1 };
            let shrunk = shrink(&world, failing, options);
            is_honest(&world, &shrunk, options);
            smallest = smallest.min(shrunk.faults.1);
        }
    }
    assert_eq!(smallest, 2, "it never leaves less than the rule needs");
}

#[test]
fn waits_give_way_to_what_is_seen() {
    let after_the_second = |workload: &Workload, timeline: &fake::Timeline, seed: Seed| {
        let second = *timeline.elections.get(1)?;
        pause_and_kill(workload, timeline, seed)?;
        pairs(timeline).into_iter().find(|at| *at >= second)
    };
    let world = Fake { rule: Box::new(after_the_second) };
    let options = ShrinkOptions::default();
    let shrunk: Vec<Shrunk> =
        failing(&world, 5, 12).into_iter().map(|failing| shrink(&world, failing, options)).collect();
    for shrunk in &shrunk {
        is_honest(&world, shrunk, options);
        assert!(shrunk.faults.1 <= 4, "{}", readable_yaml(&shrunk.failing.workload));
    }
    let with_on = |shrunk: &&Shrunk| readable_yaml(&shrunk.failing.workload).contains("on: {");
    assert!(shrunk.iter().filter(with_on).count() >= 6, "most say after what, not after how long");
}

/// Fails by chance: each pair has one in five, by the seed.
fn seldom(_: &Workload, timeline: &fake::Timeline, seed: Seed) -> Option<u64> {
    let mut draws = chaos_explore::draw::Draws::of(seed, "luck");
    pairs(timeline).into_iter().find(|_| draws.percent(20))
}

#[test]
fn amplified_plans_fail_more_often_and_say_how_often() {
    let world = Fake { rule: Box::new(seldom) };
    let threads = NonZeroUsize::new(2).unwrap();
    let options = AmplifyOptions { runs_max: 1_500, seeds: 24, held_out: 200 };
    for failing in failing(&world, 6, 4) {
        let shrunk = shrink(&world, failing, ShrinkOptions::default()).failing;
        let of = (&shrunk.workload, shrunk.seed);
        let amplified = amplify(&world, of, Check::Linearizable, &space(), options, threads);
        // One pair or two: under the seed that it was shrunk under, the first may have had no luck.
        assert!((0.1..0.5).contains(&amplified.before.share()), "{:?}", amplified.before);
        assert!(
            amplified.share.share() > amplified.before.share() + 0.2,
            "{:?} {}",
            amplified.share,
            readable_yaml(&amplified.workload)
        );
        // What it says holds of seeds that it has never seen.
        let fresh =
            (0..1_000).filter(|seed| !world.run(&amplified.workload, Seed(*seed)).violations.is_empty()).count();
        let truth = fresh as f64 / 1_000.0;
        let slack = 0.06;
        assert!(
            amplified.share.low - slack <= truth && truth <= amplified.share.high + slack,
            "{truth} {:?}",
            amplified.share
        );
        assert!(world.run(&amplified.workload, amplified.seed).gravest().is_some(), "and under the seed that it names");
        let again = amplify(&world, of, Check::Linearizable, &space(), options, NonZeroUsize::MIN);
        assert_eq!(again, amplified, "on any number of processors");
    }
}

#[test]
fn a_world_that_does_not_repeat_itself_is_asked_several_times() {
    let world = Fake { rule: Box::new(seldom) };
    let count = |attempts| -> usize {
        let options = ShrinkOptions { runs_max: 600, attempts };
        failing(&world, 7, 10).into_iter().map(|failing| shrink(&world, failing, options).faults.1).sum()
    };
    assert!(count(5) <= count(1), "more attempts never leave more");
    assert!(count(5) <= 24, "two faults each, with some slack for luck");
}

/// Fails by chance: each election has one in twelve, the first one included.
fn at_an_election(_: &Workload, timeline: &fake::Timeline, seed: Seed) -> Option<u64> {
    let mut draws = chaos_explore::draw::Draws::of(seed, "luck");
    timeline.elections.iter().copied().find(|_| draws.percent(8))
}

#[test]
fn what_fails_without_a_fault_by_luck_is_given_one_that_tries_its_luck_more_often() {
    let world = Fake { rule: Box::new(at_an_election) };
    let threads = NonZeroUsize::new(2).unwrap();
    let shrunk = failing(&world, 7, 12).into_iter().map(|failing| shrink(&world, failing, ShrinkOptions::default()));
    let at_the_first = shrunk.map(|shrunk| shrunk.failing).filter(|failing| kinds(&failing.workload).is_empty());
    let at_the_first: Vec<Failing> = at_the_first.take(3).collect();
    assert_eq!(at_the_first.len(), 3, "the first election is enough under many a seed");
    for shrunk in at_the_first {
        let of = (&shrunk.workload, shrunk.seed);
        let amplified = amplify(&world, of, Check::Linearizable, &space(), AmplifyOptions::default(), threads);
        let yaml = readable_yaml(&amplified.workload);
        assert!(amplified.share.share() > amplified.before.share() + 0.15, "{:?} {yaml}", amplified.share);
        assert!(!kinds(&amplified.workload).is_empty(), "{yaml}");
    }
}
