//! The untimed walk acquits the sound node whatever it is led through, leads the same way twice, and convicts the nodes that break a promise
//! which doesn't rest on time.

use chaos_history::Seed;
use chaos_plan::RaftOptions;
use chaos_sim::{RaftProgram, WalkOptions, WalkProperty, walk};

fn program(specimen: Option<&str>, nodes: usize) -> RaftProgram {
    let options = RaftOptions { specimen: specimen.map(str::to_owned), ..RaftOptions::default() };
    RaftProgram::new(&options, nodes).unwrap_or_else(|error| panic!("{error}"))
}

/// Which properties so many walks find violated.
fn convicted_of(specimen: &str, options: &WalkOptions, walks: u64) -> Vec<WalkProperty> {
    let program = program(Some(specimen), options.nodes);
    let mut found: Vec<_> = (0..walks)
        .filter_map(|seed| walk(&program, Seed(seed), options).violation)
        .map(|violation| violation.property)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[test]
fn the_sound_node_keeps_its_promises_in_any_order_of_things_and_makes_progress_in_some() {
    for nodes in [1, 3, 5] {
        let options = WalkOptions { nodes, ..WalkOptions::default() };
        let program = program(None, nodes);
        let (mut leaders, mut applied) = (0, 0);
        for seed in 0..60 {
            let walked = walk(&program, Seed(seed), &options);
            assert_eq!(walked.violation, None, "{nodes} nodes, seed {seed}");
            leaders += walked.leaders;
            applied += walked.applied;
        }
        // The more nodes, the seldomer a walk without any sense of time gets somewhere.
        assert!(leaders > 30 && applied > 30, "{nodes} nodes: {leaders} leaders, {applied} entries");
    }
}

#[test]
fn a_walk_leads_the_same_way_twice() {
    let program = program(None, 3);
    let options = WalkOptions::default();
    let hash = |seed| walk(&program, Seed(seed), &options).hash;
    assert_eq!(hash(4), hash(4));
    assert_ne!(hash(4), hash(5));
}

#[test]
fn a_second_vote_is_found() {
    let options = WalkOptions { nodes: 5, ..WalkOptions::default() };
    let found = convicted_of("double-vote", &options, 60);
    assert!(found.contains(&WalkProperty::SingleVote), "{found:?}");
}

#[test]
fn half_a_majority_is_found_by_what_it_commits() {
    let options = WalkOptions { nodes: 4, ..WalkOptions::default() };
    let found = convicted_of("half-is-majority", &options, 60);
    let expected = [WalkProperty::ElectionSafety, WalkProperty::LeaderCompleteness, WalkProperty::StateMachineSafety];
    assert!(found.iter().any(|property| expected.contains(property)), "{found:?}");
}

#[test]
fn what_only_reads_show_is_not_held_against_a_walk() {
    assert_eq!(convicted_of("read-unconfirmed", &WalkOptions::default(), 20), []);
}
