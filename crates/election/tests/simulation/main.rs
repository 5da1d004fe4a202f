//! A cluster of the real core in a simulated world, under random faults: the sound rules keep every promise, and each specimen is
//! convicted of what its documentation says.
//!
//! A failing seed is printed; `simulate(Sound, seed)` repeats it exactly.

#![expect(clippy::unwrap_used, reason = "a test may panic; the lint exempts only the test functions themselves")]

mod checks;
mod faults;
mod mutants;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use election::NodeId;
use election::raft::{Config, Rules, Sound};
use election::specimens::{DoubleVote, HalfIsMajority, NoStepDown, ReadUnconfirmed};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use checks::Property;
use world::{MS, Setup, World};

/// What a seed decides: the size of the cluster, options on or off, limits, clocks, and the faults in use.
fn setup(seed: u64, default_options: bool) -> Setup {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5e70);
    let nodes = [3, 3, 4, 5, 5][rng.random_range(0..5usize)];
    let mut config = Config::new((1..=nodes).map(NodeId));
    config.snapshot_threshold = [15, 60, 10_000][rng.random_range(0..3usize)];
    config.trailing_entries = [0, 5, 50][rng.random_range(0..3usize)];
    config.max_batch_entries = [1, 8, 256][rng.random_range(0..3usize)];
    config.max_inflight = [1, 4, 16][rng.random_range(0..3usize)];
    let options: [bool; 3] = std::array::from_fn(|_| default_options || rng.random_bool(0.75));
    [config.pre_vote, config.check_quorum, config.stickiness] = options;
    config.lease_reads = config.stickiness;
    let mut faults: BTreeSet<u32> = (0..faults::KINDS).filter(|_| rng.random_bool(0.4)).collect();
    // From a stream of its own, so that the other draws of a seed stay what they were.
    if ChaCha8Rng::seed_from_u64(seed ^ 0x10e5).random_bool(0.3) {
        faults.remove(&faults::MEMBERS);
        faults.insert(faults::REPLACE);
    }
    Setup {
        config,
        skew_per_mille: [0, 50, 100][rng.random_range(0..3usize)],
        loss_percent: [0, 0, 2, 10][rng.random_range(0..4usize)],
        duplicate_percent: [0, 5][rng.random_range(0..2usize)],
        spike_percent: [0, 0, 3, 20][rng.random_range(0..4usize)],
        faults,
    }
}

/// Runs one seed to its end: five seconds of faults, three of calm.
fn simulate_in<R: Rules + Clone>(setup: Setup, rules: R, seed: u64) -> BTreeMap<Property, String> {
    let mut world = World::new(setup, rules, seed);
    world.run_until(5_000 * MS);
    world.heal_all();
    world.run_until(6_500 * MS);
    let known = world.checks.revision_known;
    world.run_until(8_000 * MS);
    if world.checks.revision_known == known {
        world.checks.violated(Property::Progress, || "no write in the last 1.5 s of calm".to_owned());
    }
    if world.claims() > 1 {
        world.checks.violated(Property::NoStaleLeaderAfterHeal, || "two leaders after 3 s of calm".to_owned());
    }
    let disks: Vec<_> = world.nodes.values().map(|node| &node.disk).collect();
    world.checks.logs(&disks);
    world.checks.violations
}

fn simulate<R: Rules + Clone>(rules: R, seed: u64, default_options: bool) -> BTreeMap<Property, String> {
    simulate_in(setup(seed, default_options), rules, seed)
}

#[test]
fn sound_rules_keep_every_promise() {
    let failures: Vec<_> = std::thread::scope(|scope| {
        let run = |from: u64| {
            scope.spawn(move || {
                let seeds = (from..200).step_by(2);
                seeds
                    .map(|seed| (seed, simulate(Sound, seed, false)))
                    .filter(|(_, v)| !v.is_empty())
                    .collect::<Vec<_>>()
            })
        };
        let workers = [run(0), run(1)];
        workers.into_iter().flat_map(|worker| worker.join().expect("no seed panics")).collect()
    });
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Seeds that once failed, each by a mistake of the core or of a check. The faults that a seed draws have changed since; the exact
/// cases are the scripts 13, 17 and 21.
#[test]
fn seeds_that_found_mistakes_stay_sound() {
    let seeds = [
        (94, false),   // a leader that had appended its own removal never campaigned again
        (896, true),   // a voter forgot its promise for a term that it had learned of otherwise
        (1148, true),  // the same
        (323, false),  // an answer to an earlier leadership of the node confirmed a read of the present one
        (833, false),  // the same
        (391, true),   // late answers kept a leader in office that nobody followed any more
        (9537, false), // a vote that came late elected the leader of an old term: harmless, and no check may say otherwise
    ];
    for (seed, default_options) in seeds {
        let violations = simulate(Sound, seed, default_options);
        assert!(violations.is_empty(), "seed {seed}: {violations:?}");
    }
}

/// Under these rules, each of these properties fails in some of 40 seeds with default options.
#[track_caller]
fn convicts<R: Rules + Clone>(rules: R, expected: &[Property]) {
    let found: BTreeSet<Property> = (0..40).flat_map(|seed| simulate(rules.clone(), seed, true).into_keys()).collect();
    let missed: Vec<_> = expected.iter().filter(|property| !found.contains(property)).collect();
    assert!(missed.is_empty(), "not seen: {missed:?}; seen: {found:?}");
}

#[test]
fn double_vote_is_convicted() {
    convicts(DoubleVote, &[Property::SingleVote, Property::ElectionSafety]);
}

#[test]
fn half_is_majority_is_convicted() {
    let expected = [Property::ElectionSafety, Property::StateMachineSafety, Property::LinearizableReads];
    convicts(HalfIsMajority, &expected);
}

#[test]
fn no_step_down_is_convicted() {
    convicts(NoStepDown, &[Property::NoStaleLeaderAfterHeal, Property::LeaderOverlap]);
}

#[test]
fn read_unconfirmed_is_convicted() {
    convicts(ReadUnconfirmed, &[Property::LinearizableReads]);
}

/// Clients write all the time; leadership moves on request, members go, lose their disks and return, and nodes crash meanwhile.
#[test]
fn transfers_and_replacements_under_load_keep_every_promise() {
    let mut returned = 0;
    for seed in 0..60 {
        let mut setup = setup(seed, true);
        setup.faults = BTreeSet::from([5, 9, faults::REPLACE]);
        let mut world = World::new(setup, Sound, seed);
        world.run_until(5_000 * MS);
        world.heal_all();
        world.run_until(8_000 * MS);
        returned += world.returned;
        assert!(world.checks.violations.is_empty(), "seed {seed}: {:?}", world.checks.violations);
    }
    assert!(returned > 60, "only {returned} nodes returned");
}

#[test]
fn a_quiet_cluster_elects_once_and_stays() {
    let mut quiet = setup(1, true);
    quiet.faults = BTreeSet::new();
    (quiet.loss_percent, quiet.spike_percent, quiet.skew_per_mille) = (0, 0, 0);
    assert!(quiet.config.election_timeout_min > Duration::from_millis(100));
    assert!(simulate_in(quiet, Sound, 1).is_empty());
}
