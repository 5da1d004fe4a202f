//! The untimed walk acquits the sound node whatever it is led through, leads the same way twice, and convicts the nodes that break a promise
//! which doesn't rest on time.

use chaos_history::{NodeId, Seed};
use chaos_plan::RaftOptions;
use chaos_sim::{Letter, Move, RaftProgram, WalkOptions, WalkProperty, narrate, retrace, walk};

fn program(specimen: Option<&str>, nodes: usize) -> RaftProgram {
    let options = RaftOptions { specimen: specimen.map(str::to_owned), ..RaftOptions::default() };
    RaftProgram::new(&options, nodes).unwrap_or_else(|error| panic!("{error}"))
}

/// The same without what holds elections back, and so without leases.
fn eager(specimen: Option<&str>, nodes: usize, arguments: &[&str]) -> RaftProgram {
    let options = RaftOptions {
        specimen: specimen.map(str::to_owned),
        pre_vote: false,
        stickiness: false,
        lease_reads: false,
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        ..RaftOptions::default()
    };
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
fn a_walk_can_be_gone_again_by_its_moves_and_told() {
    let program = program(Some("no-log-check"), 3);
    let options = WalkOptions::default();
    let (seed, walked) = (0..400)
        .map(|seed| (Seed(seed), walk(&program, Seed(seed), &options)))
        .find(|(_, walked)| walked.violation.is_some())
        .unwrap();
    let again = retrace(&program, seed, &options, &walked.moves);
    assert_eq!((again.hash, &again.moves), (walked.hash, &walked.moves));
    assert_eq!(again.violation.map(|violation| violation.why), walked.violation.map(|violation| violation.why));

    // Without its end nothing is wrong yet; and what can't happen doesn't.
    let shorter = &walked.moves[..walked.moves.len() - 1];
    let sound = retrace(&program, seed, &options, shorter);
    assert_eq!((sound.violation, sound.moves.len()), (None, shorter.len()));
    let [one, other] = [1, 2].map(NodeId::new);
    let never_sent = Move::Lose { letter: Letter { from: one, to: other, newer: 40 } };
    assert_eq!(retrace(&program, seed, &options, &[never_sent]).moves, []);

    let story = narrate(&program, seed, &options, &walked.moves);
    assert_eq!(story.len(), walked.moves.len());
    let effects = || story.iter().flat_map(|told| &told.effects);
    assert!(effects().any(|effect| effect.contains(" leads term ")), "{story:?}");
    assert!(story.iter().any(|told| told.what.contains("vote reaches")), "{story:?}");
}

#[test]
fn figure_8_is_found_where_entries_travel_one_by_one_and_only_there() {
    let convicted = |batch_entries: &str, specimen: Option<&str>| {
        let program = eager(specimen, 3, &["--batch-entries", batch_entries]);
        let walks = WalkOptions { steps: 6_000, ..WalkOptions::default() };
        (0..120).filter(|seed| walk(&program, Seed(*seed), &walks).violation.is_some()).count()
    };
    assert!(convicted("1", Some("prior-term-commit")) > 0);
    assert_eq!(convicted("256", Some("prior-term-commit")), 0);
    assert_eq!(convicted("1", None), 0);
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
fn what_rests_on_time_is_not_held_against_a_walk() {
    assert_eq!(convicted_of("lease-outlives-promise", &WalkOptions::default(), 20), []);
}

#[test]
fn reads_changes_of_members_and_snapshots_bring_their_own_mistakes_to_light() {
    let convicted = |specimen: Option<&str>, nodes: usize, change: u32, arguments: &[&str]| {
        let program = eager(specimen, nodes, arguments);
        let walks = WalkOptions { nodes, change, steps: 6_000, ..WalkOptions::default() };
        let mut found: Vec<_> = (0..80)
            .filter_map(|seed| walk(&program, Seed(seed), &walks).violation)
            .map(|violation| violation.property)
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    };
    let small = &["--snapshot-threshold=4", "--trailing-entries=1"];
    assert_eq!(convicted(Some("read-unconfirmed"), 3, 0, &[]), [WalkProperty::LinearizableReads]);
    assert!(!convicted(Some("changes-at-once"), 3, 10, &[]).is_empty());
    for nodes in [3, 5] {
        assert_eq!(convicted(None, nodes, 10, small), []);
    }
}
