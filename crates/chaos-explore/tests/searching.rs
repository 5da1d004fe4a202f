//! The search as a whole, in worlds of rules.

mod fake;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};

use chaos_explore::generate::Space;
use chaos_explore::{Explored, Found, Outcome, SearchOptions, Stage, Trials, Tried, readable_yaml, search};
use chaos_history::{FaultKind, Seed};
use chaos_plan::Workload;
use fake::{Fake, pause_and_kill};

fn space() -> Space {
    Space::of_reference(None, FaultKind::ALL.into_iter().collect())
}

fn options(trials: u64, threads: usize) -> SearchOptions {
    let threads = NonZeroUsize::new(threads).expect("at least one");
    SearchOptions { trials_max: Some(trials), ..SearchOptions::simulated(Seed(7), threads) }
}

fn found(world: &dyn Trials, options: &SearchOptions) -> Found {
    search(world, &space(), options, &|| false, &mut |_, _| {})
}

#[test]
fn a_bug_is_found_made_small_and_told() {
    let world = Fake { rule: Box::new(pause_and_kill) };
    let found = found(&world, &options(5_000, 2));
    let [bug] = found.bugs.as_slice() else { panic!("{} bugs", found.bugs.len()) };
    assert_eq!(bug.faults.1, 2, "{}", readable_yaml(&bug.workload));
    assert!(bug.signature.starts_with("linearizable.") && bug.signature.contains("pause-leader"), "{}", bug.signature);
    assert!(world.run(&bug.workload, bug.seed).gravest().is_some());
    assert_eq!(bug.share.map(|share| share.failed), Some(100), "the rule leaves nothing to chance");
    assert!(found.mismatches.is_empty() && found.twice > 0);
    let json = Explored::new(&found, Seed(7), Tried::Simulated, "x").to_json().unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["bugs"][0]["faults"], 2);
    assert_eq!(json["trials"], found.trials);
    assert_eq!(
        json["marks_never"].as_array().map(Vec::len),
        Some(chaos_explore::MARKS.len()),
        "this world has no marks"
    );
}

#[test]
fn the_same_is_found_on_any_number_of_processors() {
    let world = Fake { rule: Box::new(pause_and_kill) };
    let keep_going = |threads| SearchOptions { keep_going: true, ..options(1_200, threads) };
    let one = found(&world, &keep_going(1));
    assert_eq!(one, found(&world, &keep_going(5)));
    assert_eq!(one.trials, 1_200);
    let mut signatures: Vec<&str> = one.bugs.iter().map(|bug| bug.signature.as_str()).collect();
    signatures.sort_unstable();
    signatures.dedup();
    assert_eq!(signatures.len(), one.bugs.len(), "no bug is told twice");
    let drawn: u64 = one.yields.values().map(|gains| gains.trials).sum();
    assert_eq!(drawn, one.trials);
    assert!(one.yields.len() >= 4, "what was learnt is used: {:?}", one.yields);
}

#[test]
fn a_sound_world_has_no_bugs() {
    let world = Fake { rule: Box::new(|_, _, _| None) };
    let found = found(&world, &options(500, 2));
    assert_eq!((found.trials, found.bugs.len(), found.first_violation), (500, 0, None));
    assert!(found.violations.is_empty());
}

/// A world that never happens the same way twice.
struct Restless(AtomicU64);

impl Trials for Restless {
    fn run(&self, _: &Workload, _: Seed) -> Outcome {
        Outcome { hash: Some(self.0.fetch_add(1, Ordering::Relaxed)), ..Outcome::default() }
    }
}

#[test]
fn a_world_that_does_not_repeat_itself_is_told_of() {
    let found = found(&Restless(AtomicU64::new(0)), &options(400, 1));
    assert_eq!((found.twice, found.mismatches.len()), (4, 4));
}

#[test]
fn it_ends_when_it_is_told_to_and_tells_what_it_does() {
    let world = Fake { rule: Box::new(pause_and_kill) };
    let asked = AtomicU64::new(0);
    let stop = || asked.fetch_add(1, Ordering::Relaxed) >= 70;
    let quiet = Fake { rule: Box::new(|_, _, _| None) };
    let no_end = SearchOptions { trials_max: None, ..options(0, 2) };
    let cut = search(&quiet, &space(), &no_end, &stop, &mut |_, _| {});
    assert!((1..80).contains(&cut.trials), "{}", cut.trials);
    let mut stages = Vec::new();
    search(&world, &space(), &options(5_000, 2), &|| false, &mut |_, stage| stages.push(stage));
    stages.dedup();
    let wanted =
        [Stage::Searching, Stage::Shrinking("linearizable"), Stage::Amplifying("linearizable"), Stage::Searching];
    assert_eq!(stages, wanted);
}

struct Unable;

impl Trials for Unable {
    fn run(&self, _: &Workload, _: Seed) -> Outcome {
        Outcome { broken: Some("no such program".to_owned()), ..Outcome::default() }
    }
}

#[test]
fn trials_that_could_not_be_done_are_counted_apart() {
    let found = found(&Unable, &options(50, 1));
    assert_eq!(found.broken.get("no such program"), Some(&50));
    assert_eq!(found.states.len(), 0);
}
