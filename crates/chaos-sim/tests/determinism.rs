//! One seed, one run: to the bit, on any thread; another seed, another run.

use std::collections::BTreeSet;

use chaos_check::Property;
use chaos_history::Seed;
use chaos_sim::{Keep, SimOptions, Watching, simulate};

mod support;
use support::{run, workload};

/// A bit of everything.
const MIXTURE: &str = "    - await: leader
    - random:
        for: 6s
        every: 100ms..400ms
        choices:
          - { weight: 2, steps: [{ kill: random, for: 100ms..700ms }] }
          - { weight: 2, steps: [{ pause: leader, for: 100ms..700ms }] }
          - { weight: 2, steps: [{ partition: { isolate: leader }, for: 200ms..900ms }] }
          - { weight: 1, steps: [{ power-loss: random, for: 100ms..700ms }] }
          - { weight: 1, steps: [{ freeze-host: random, for: 100ms..700ms }] }
          - { weight: 1, steps: [{ slow: { node: random, run: 1ms, every: 10ms }, for: 500ms }] }
          - { weight: 1, steps: [{ link: { between: all, delay: 5ms, jitter: 2ms, loss: 5% }, for: 500ms }] }
    - await: { stable: 300ms, within: 15s }";

#[test]
fn a_seed_is_a_run_to_the_bit_whatever_thread_it_runs_on() {
    let workload = workload("", MIXTURE);
    let mut hashes = BTreeSet::new();
    for seed in 0..12 {
        let one = run(&workload, seed);
        let other = std::thread::scope(|scope| scope.spawn(|| run(&workload, seed)).join()).expect("it does not panic");
        assert_eq!(one.hash, other.hash, "seed {seed}");
        assert_eq!(one, other, "seed {seed}");
        hashes.insert(one.hash);
    }
    assert_eq!(hashes.len(), 12, "seeds differ");
}

#[test]
fn a_run_is_the_same_whether_it_is_kept_or_watched_or_neither() {
    let workload = workload("", MIXTURE);
    let kept = run(&workload, 5);
    let watching = Watching::For(vec![Property::ElectionSafety, Property::Linearizable, Property::TermMonotonic]);
    for options in [
        SimOptions { keep: Keep::Nothing, ..SimOptions::default() },
        SimOptions { keep: Keep::Nothing, watching, ..SimOptions::default() },
    ] {
        let other = simulate(&workload, Seed(5), &options).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((other.hash, other.end, other.operations), (kept.hash, kept.end, kept.operations));
        assert!(other.history.events.is_empty() && other.alarm.is_none());
    }
}

#[test]
fn a_run_away_is_stopped() {
    let options = SimOptions { happenings_max: 1_000, ..SimOptions::default() };
    let error = simulate(&workload("", MIXTURE), Seed(1), &options).expect_err("a thousand things don't suffice");
    assert_eq!(error.to_string(), "simulate on: more than 1000 things have happened");
}
