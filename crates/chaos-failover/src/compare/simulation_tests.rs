//! What the intervals and verdicts promise, measured on samples whose truth is known.
//!
//! The shapes are those that failovers have: a first timeout out of four (skewed), one in twenty with a split vote (a second
//! bump), long right tails, and values on the grid of a poll. The bounds leave three standard errors of the simulation itself.

use chaos_history::{FaultKind, RunNanos, Seed};

use super::*;
use crate::analysis::{NotReached, PhaseOutcome, Phases, Reached, Why};
use crate::interval::{Elapsed, Interval};
use crate::pool::{PooledFailover, PooledRun, SystemFacts};

/// Resamples in simulations: the noise that they add to one interval averages out over thousands of pairs.
const RESAMPLES: usize = 400;

impl Draws {
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Box and Muller.
    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// Milliseconds of one phase.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// 150 ms + the first of four timeouts in 150 ms − the heartbeat's age; one in twenty goes through a second round.
    Election,
    /// The same, as a poll every 10 ms sees it.
    Polled,
    /// A median of 100 ms and a right tail of e to the normal.
    LogNormal,
    /// 20 ms + an exponential of mean 100 ms.
    Exponential,
}

impl Shape {
    const ALL: [Self; 4] = [Self::Election, Self::Polled, Self::LogNormal, Self::Exponential];

    fn draw(self, draws: &mut Draws) -> f64 {
        match self {
            Self::Election | Self::Polled => {
                let mut round = || 150.0 + 150.0 * (0..4).map(|_| draws.uniform()).fold(1.0, f64::min);
                let (first, second) = (round(), round());
                let split = if draws.uniform() < 0.05 { second } else { 0.0 };
                let exact = first + split - 40.0 * draws.uniform();
                if matches!(self, Self::Polled) { (exact / 10.0).ceil() * 10.0 } else { exact }
            }
            Self::LogNormal => 100.0 * draws.normal().exp(),
            Self::Exponential => 20.0 - 100.0 * draws.uniform().ln(),
        }
    }

    /// The true quantile in nanoseconds, by a sample large enough.
    fn truth(self, quantile: f64) -> f64 {
        let mut draws = Draws::new(9, "truth");
        let values: Vec<u64> = (0..400_001).map(|_| ns(self.draw(&mut draws))).collect();
        Resampler::new(&[values], false).quantile(quantile)
    }
}

fn ns(ms: f64) -> u64 {
    nanos(Duration::from_secs_f64(ms / 1e3))
}

/// The share of pairs whose interval holds the true difference.
fn coverage(shape: Shape, n: usize, quantile: f64, factor: f64, pairs: u64) -> f64 {
    let truth = shape.truth(quantile) * (factor - 1.0);
    let mut held = 0;
    for pair in 0..pairs {
        let mut draws = Draws::new(pair, "coverage");
        let mut sample = |factor: f64| -> Vec<u64> { (0..n).map(|_| ns(shape.draw(&mut draws) * factor)).collect() };
        let (a, b) = (sample(1.0), sample(factor));
        let (mut a, mut b) = (Resampler::new(&[a], false), Resampler::new(&[b], false));
        let judged = differences(&mut a, &mut b, &[quantile], RESAMPLES, &mut draws)[0];
        held += u64::from((judged.lo - 1.0..=judged.hi + 1.0).contains(&truth));
    }
    held as f64 / pairs as f64
}

#[test]
fn an_interval_of_medians_holds_the_truth_in_95_of_100_pairs() {
    let mut total = (0.0, 0.0);
    for shape in Shape::ALL {
        for (n, pairs) in [(10, 400), (20, 300), (50, 200), (100, 100)] {
            for factor in [1.0, 1.2] {
                let held = coverage(shape, n, 0.5, factor, pairs);
                println!("{shape:?} n={n} factor {factor}: {held:.3}");
                assert!(held > 0.91, "{shape:?} n={n} factor {factor}: {held}");
                total = (total.0 + held * pairs as f64, total.1 + pairs as f64);
            }
        }
    }
    let (held, pairs) = (total.0 / total.1, total.1);
    println!("all: {held:.4} of {pairs} pairs");
    assert!(pairs >= 2000.0 && (0.94..0.985).contains(&held), "{held} of {pairs} pairs");
}

#[test]
fn an_interval_of_90th_percentiles_holds_the_truth_from_59_samples() {
    for shape in Shape::ALL {
        let held = coverage(shape, P90_SAMPLES, 0.9, 1.2, 500);
        println!("p90 {shape:?} n={P90_SAMPLES}: {held:.3}");
        assert!(held > 0.92, "{shape:?}: {held}");
    }
}

/// A run whose five phases follow each other; `mood` is what all of its failovers share.
fn run(draws: &mut Draws, shape: Shape, failovers: usize, factor: f64, spread: f64, never: f64) -> PooledRun {
    let mood = factor * (1.0 + spread * draws.normal()).max(0.3);
    let reached = |ms: f64| {
        let at = Interval::new(RunNanos(0), RunNanos(0));
        let hi = Duration::from_nanos(ns(ms));
        PhaseOutcome::Reached(Reached { at, after: Elapsed { lo: hi - Duration::from_micros(100), hi } })
    };
    let failover = |_| {
        let detected = mood * shape.draw(draws);
        let mut later = |ms: f64| ms + 5.0 * draws.uniform();
        let (elected, converged) = (later(detected), later(detected + 5.0));
        let (writable, available) = (later(converged), later(converged + 5.0));
        let phases = [detected, elected, converged, writable, available].map(reached);
        let [detected, mut elected, converged, writable, available] = phases;
        if draws.uniform() < never {
            elected = PhaseOutcome::NotReached(NotReached { why: Why::FaultEnded, watched: Duration::from_secs(4) });
        }
        let phases = Phases { detected, elected, converged, writable, available };
        PooledFailover { kind: FaultKind::Kill, phases, disturbed: Some(draws.uniform() < never), stalled: false }
    };
    let failovers = (0..failovers).map(failover).collect();
    PooledRun { seed: Seed(0), exit_code: 0, failovers }
}

fn pool(runs: Vec<PooledRun>) -> Pool {
    let system = SystemFacts {
        workload: "kill".to_owned(),
        system: "raft".to_owned(),
        nodes: 5,
        versions: Vec::new(),
        settings: Vec::new(),
        host: Vec::new(),
    };
    Pool { system, runs }
}

/// How many of the whole tables have a verdict: `runs` runs of `n` failovers a side.
fn alarms(tables: u64, shape: Shape, runs: usize, n: usize, factor: f64, spread: f64) -> f64 {
    let options = CompareOptions { min_effect_millionths: 0, resamples: 2000, seed: 3 };
    let mut alarms = 0;
    for table in 0..tables {
        let mut draws = Draws::new(table, "alarms");
        let mut side = |factor| pool((0..runs).map(|_| run(&mut draws, shape, n, factor, spread, 0.05)).collect());
        let (a, b) = (side(1.0), side(factor));
        let comparison = compare(&a, &b, &options).unwrap();
        let verdict = |outcome: &Outcome| matches!(outcome, Outcome::Slower | Outcome::Faster);
        alarms += u64::from(comparison.outcomes().any(|outcome| verdict(&outcome)));
    }
    alarms as f64 / tables as f64
}

#[test]
fn a_system_compared_with_itself_raises_an_alarm_in_one_of_twenty_tables_at_most() {
    for (shape, n) in [(Shape::Election, 10), (Shape::Election, 60), (Shape::LogNormal, 30), (Shape::Polled, 20)] {
        // Without the minimum effect, which would hide false alarms of small differences.
        let rate = alarms(200, shape, 1, n, 1.0, 0.0);
        println!("one run a side, {shape:?} n={n}: {rate:.3}");
        assert!(rate <= 0.05, "{shape:?} n={n}: {rate}");
    }
}

#[test]
fn runs_that_differ_among_themselves_raise_no_more_alarms() {
    for spread in [0.0, 0.05, 0.2] {
        let rate = alarms(150, Shape::Election, 6, 10, 1.0, spread);
        println!("six runs of ten a side, spread {spread}: {rate:.3}");
        assert!(rate <= 0.07, "spread {spread}: {rate}");
    }
}

#[test]
fn a_fifth_slower_is_found() {
    for (runs, n, least) in [(1, 40, 0.75), (1, 60, 0.9), (5, 20, 0.9)] {
        let power = alarms(60, Shape::Election, runs, n, 1.2, 0.0);
        println!("{runs} runs of {n} a side, 20 % slower: {power:.3} found");
        assert!(power >= least, "{runs} runs of {n}: {power}");
    }
}

#[test]
fn a_difference_below_the_minimum_is_none_and_its_direction_is_told_above_it() {
    let side = |label: &str, factor| {
        let mut draws = Draws::new(1, label);
        pool(vec![run(&mut draws, Shape::Election, 300, factor, 0.0, 0.0)])
    };
    let (a, b) = (side("a", 1.0), side("b", 1.12));
    let elected = |a: &Pool, b: &Pool, min_effect_millionths| {
        let options = CompareOptions { min_effect_millionths, resamples: 2000, seed: 3 };
        let comparison = compare(a, b, &options).unwrap();
        let row = comparison.rows.iter().find(|row| (row.phase, row.statistic) == (Phase::Elected, Statistic::P50));
        row.unwrap().outcome
    };
    assert_eq!(elected(&a, &b, 50_000), Outcome::Slower);
    assert_eq!(elected(&b, &a, 50_000), Outcome::Faster);
    assert_eq!(elected(&a, &b, 300_000), Outcome::NoDifferenceShown);
}

#[test]
fn few_samples_have_no_verdict_however_far_apart() {
    let side = |label: &str, n, factor| {
        let mut draws = Draws::new(1, label);
        pool(vec![run(&mut draws, Shape::Election, n, factor, 0.0, 0.0)])
    };
    let compared = compare(&side("a", 9, 1.0), &side("b", 100, 9.0), &CompareOptions::default()).unwrap();
    assert!(compared.nothing_tested());
    assert!(compared.rows.iter().all(|row| row.outcome == Outcome::TooFew && row.interval_ns.is_none()));
    assert!(!compared.regressed());
}

#[test]
fn electing_nobody_more_often_is_a_regression_of_its_own() {
    let side = |label: &str, never| {
        let mut draws = Draws::new(1, label);
        pool(vec![run(&mut draws, Shape::Election, 60, 1.0, 0.0, never)])
    };
    let (a, b) = (side("a", 0.0), side("b", 0.4));
    let compared = compare(&a, &b, &CompareOptions::default()).unwrap();
    assert_eq!(compared.rates[0].outcome, Outcome::Slower);
    assert!(compared.regressed());
    let back = compare(&b, &a, &CompareOptions::default()).unwrap();
    assert_eq!(back.rates[0].outcome, Outcome::Faster);
}

#[test]
fn other_systems_sizes_and_kinds_are_refused() {
    let sample = || pool(vec![run(&mut Draws::new(1, "a"), Shape::Election, 20, 1.0, 0.0, 0.0)]);
    let a = sample();
    let mut other = sample();
    other.system.system = "etcd".to_owned();
    let refused = |b: &Pool| compare(&a, b, &CompareOptions::default()).unwrap_err().to_string();
    assert!(refused(&other).contains("raft, B of etcd"), "{}", refused(&other));
    let mut smaller = sample();
    smaller.system.nodes = 3;
    assert!(refused(&smaller).contains("A has 5 nodes, B has 3"));
    let mut paused = sample();
    paused.runs[0].failovers.iter_mut().for_each(|failover| failover.kind = FaultKind::Pause);
    assert!(refused(&paused).contains("by kill in A and by pause in B"));
    assert!(refused(&Pool { runs: Vec::new(), ..sample() }).contains("without runs"));
}

#[test]
fn the_same_pools_give_the_same_comparison() {
    let side = |label: &str| pool(vec![run(&mut Draws::new(1, label), Shape::Election, 40, 1.0, 0.0, 0.1)]);
    let (a, b) = (side("a"), side("b"));
    let once = compare(&a, &b, &CompareOptions::default()).unwrap();
    assert_eq!(once, compare(&a, &b, &CompareOptions::default()).unwrap());
    let row = &once.rows[0];
    let [lo, hi] = row.interval_ns.unwrap();
    assert!(lo <= row.effect_ns.unwrap() && row.effect_ns.unwrap() <= hi);
}

#[test]
fn what_is_set_differently_is_listed_and_another_host_is_warned_of() {
    let mut a = pool(vec![run(&mut Draws::new(1, "a"), Shape::Election, 20, 1.0, 0.0, 0.0)]);
    a.system.settings = vec![Setting::new("heartbeat", "20ms"), Setting::new("pre-vote", "true")];
    let mut b = a.clone();
    b.system.settings[0].value = "80ms".to_owned();
    b.system.host = vec![Setting::new("processors", "2")];
    let compared = compare(&a, &b, &CompareOptions::default()).unwrap();
    let rows: Vec<[&str; 3]> = compared.differing.iter().map(|row| row.each_ref().map(String::as_str)).collect();
    assert_eq!(rows, [["heartbeat", "20ms", "80ms"], ["processors", "not said", "2"]]);
    assert!(compared.warnings.iter().any(|warning| warning.contains("different hosts")));
}
