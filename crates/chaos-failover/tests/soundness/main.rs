//! The bounds hold: over thousands of simulated timelines whose true events are known, every interval contains its moment and is
//! no wider than the answers around it.
//!
//! A moment counts as true in the sense in which the analysis speaks of it: the first election *that anybody ever told of*, the
//! first majority for the leader *that it names*. What no answer shows, no analysis can bound.

mod harness;
mod judge;
mod simulator;

use judge::{Tally, judge};
use simulator::{Draw, simulate};

const TIMELINES: u64 = 10_000;

fn judged(seeds: impl Iterator<Item = u64>) -> Tally {
    let mut tally = Tally::default();
    for seed in seeds {
        let truth = simulate(Draw(seed));
        let record = harness::record(&truth, Draw(seed.wrapping_mul(0x5851_F42D_4C95_7F2D)));
        let analysis = chaos_failover::analyse(&record.history, None);
        judge(seed, &truth, &record, &analysis, &mut tally);
    }
    tally
}

#[test]
fn every_bound_of_ten_thousand_timelines_contains_the_truth_and_is_no_wider_than_the_answers_around_it() {
    let halves: Vec<_> = (0..2).map(|half| std::thread::spawn(move || judged((half..TIMELINES).step_by(2)))).collect();
    let mut tally = Tally::default();
    for half in halves {
        tally.add(half.join().expect("a judge that panics has said why"));
    }
    assert!(
        tally.wrong.is_empty(),
        "{} wrong, among them:\n{}",
        tally.wrong.len(),
        tally.wrong[..tally.wrong.len().min(12)].join("\n")
    );
    tally.assert_not_vacuous(TIMELINES);
}
