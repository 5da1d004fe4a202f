//! The search on the simulator: broken nodes are found, the sound one is acquitted.

use std::num::NonZeroUsize;

use chaos_check::Budget;
use chaos_explore::generate::Space;
use chaos_explore::{Found, Outcome, SearchOptions, Trials, demands, judge, readable_yaml, search};
use chaos_history::Seed;
use chaos_plan::Workload;
use chaos_sim::{SimOptions, capabilities, simulate};

struct Simulator;

impl Trials for Simulator {
    fn run(&self, workload: &Workload, seed: Seed) -> Outcome {
        match simulate(workload, seed, &SimOptions::default()) {
            Ok(simulated) => {
                let outcome = judge(&simulated.history, &demands(workload), &Budget::default());
                Outcome { hash: Some(simulated.hash), ..outcome }
            }
            Err(error) => Outcome { broken: Some(error.to_string()), ..Outcome::default() },
        }
    }
}

fn explore(specimen: Option<&str>, trials: u64, keep_going: bool) -> Found {
    let space = Space::of_reference(specimen, capabilities().faults);
    let options = SearchOptions {
        trials_max: Some(trials),
        keep_going,
        twice_every: 25,
        ..SearchOptions::simulated(Seed(1), NonZeroUsize::new(2).expect("above zero"))
    };
    search(&Simulator, &space, &options, &|| false, &mut |_, _| {})
}

fn finds(specimen: &str, trials: u64) {
    let found = explore(Some(specimen), trials, false);
    let [bug] = found.bugs.as_slice() else { panic!("{specimen}: no bug in {} trials", found.trials) };
    let yaml = readable_yaml(&bug.workload);
    assert!(Simulator.run(&bug.workload, bug.seed).violation_of(bug.check).is_some(), "{yaml}");
    assert!(bug.faults.1 <= 3, "{yaml}");
    assert_eq!(found.mismatches, Vec::<u64>::new());
}

#[test]
fn a_node_that_votes_twice_is_found() {
    finds("double-vote", 200);
}

#[test]
fn a_node_that_answers_reads_unconfirmed_is_found() {
    finds("read-unconfirmed", 200);
}

#[test]
fn the_sound_node_is_acquitted() {
    let found = explore(None, 150, true);
    let bugs: Vec<String> =
        found.bugs.iter().map(|bug| format!("{}\n{}", bug.sentence, readable_yaml(&bug.workload))).collect();
    assert!(bugs.is_empty(), "{}", bugs.join("\n"));
    assert!(found.broken.is_empty(), "{:?}", found.broken);
    assert!(found.states.len() > 100, "{} states", found.states.len());
    assert!(found.mismatches.is_empty() && found.twice > 0);
}
