//! Columns of numbers in as few characters as a page can hold them: differences, as varints, as base64.
//!
//! ```text
//!  operation    due − previous due << 3 | pinned << 2 | outcome      latency         (ok 0, fail 1, info 2; microseconds)
//!  question     sent − previous sent << 1 | answered                 received − sent
//!  rate         acknowledged, refused, unknown of one bin
//!  varint       seven bits a byte, the lowest first, the top bit says that there is more
//! ```
//!
//! A microsecond is finer than any screen: 100,000 operations and 60,000 questions take about a megabyte.
//!
//! Refuses to thin in silence: beyond [`DRAWN_MAX`] acknowledged operations only the slowest and an even share of the others
//! are kept, [`Operations::thinned`] says so in words, and everything that was refused or never answered stays.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chaos_failover::{Asked, OperationPoint, PointOutcome};
use chaos_history::RunNanos;

use crate::words::grouped;

/// So many acknowledged operations are drawn as points; a tenth of these places belongs to the slowest.
const DRAWN_MAX: usize = 200_000;
/// A bin of the rate is never shorter than this, and a run never has more than [`BINS_MAX`].
const BIN_US_MIN: u64 = 100_000;
const BINS_MAX: u64 = 4_000;

/// Numbers on their way into the page.
#[derive(Debug, Default)]
struct Column(Vec<u8>);

impl Column {
    fn push(&mut self, mut value: u64) {
        while value > 0x7f {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    fn finish(self) -> String {
        STANDARD.encode(self.0)
    }
}

/// Operations, packed.
#[derive(Debug)]
pub(crate) struct Operations {
    /// In order of due times.
    pub(crate) packed: String,
    /// What was left out and what was not; `None` if nothing was.
    pub(crate) thinned: Option<String>,
}

/// Packs the operations, thinned if there are too many.
pub(crate) fn operations(points: &[OperationPoint]) -> Operations {
    operations_within(points, DRAWN_MAX)
}

fn operations_within(points: &[OperationPoint], most: usize) -> Operations {
    let (mut kept, thinned) = thin(points, most);
    kept.sort_by_key(|point| point.due);
    let (mut column, mut previous) = (Column::default(), 0);
    for point in kept {
        let due = micros(point.due).max(previous);
        let outcome = match point.outcome {
            PointOutcome::Ok => 0,
            PointOutcome::Fail => 1,
            PointOutcome::Info => 2,
        };
        column.push((due - previous) << 3 | u64::from(point.pinned) << 2 | outcome);
        column.push(u64::try_from(point.latency.as_micros()).unwrap_or(u64::MAX));
        previous = due;
    }
    Operations { packed: column.finish(), thinned }
}

/// All of them if no more than `most` were acknowledged; otherwise all that were not, the slowest, and every k-th of the others.
fn thin(points: &[OperationPoint], most: usize) -> (Vec<&OperationPoint>, Option<String>) {
    let acknowledged = points.iter().filter(|point| point.outcome == PointOutcome::Ok).count();
    if acknowledged <= most {
        return (points.iter().collect(), None);
    }
    let (mut of_interest, mut others): (Vec<&OperationPoint>, Vec<&OperationPoint>) =
        points.iter().partition(|point| point.outcome != PointOutcome::Ok);
    let slowest = (most / 10).max(1);
    others.sort_by_key(|point| std::cmp::Reverse(point.latency));
    let mut rest = others.split_off(slowest);
    of_interest.append(&mut others);
    rest.sort_by_key(|point| point.due);
    let every = rest.len().div_ceil((most - slowest).max(1));
    of_interest.extend(rest.into_iter().step_by(every));
    let words = format!(
        "{} of {} operations are drawn as points: every one that was refused or never answered, the {} slowest, and one in \
         {every} of the others. Rates and tables count all of them.",
        grouped(of_interest.len() as u64),
        grouped(points.len() as u64),
        grouped(slowest as u64),
    );
    (of_interest, Some(words))
}

/// Answered operations over time.
#[derive(Debug)]
pub(crate) struct Rate {
    /// How long a bin is, in microseconds.
    pub(crate) bin_us: u64,
    /// Three counts a bin.
    pub(crate) packed: String,
}

/// Counts operations by the moment at which their client learnt of their end. Every operation counts, drawn or not, but the
/// refusals of clients that stay with one node: followers refuse by design, which would hide the refusals that mean something.
pub(crate) fn rate(points: &[OperationPoint], end: RunNanos) -> Rate {
    let bin_us = micros(end).div_ceil(BINS_MAX).max(BIN_US_MIN);
    let count = usize::try_from(micros(end) / bin_us + 1).unwrap_or(usize::MAX);
    let mut bins = vec![[0_u64; 3]; count];
    let means_something = |point: &&OperationPoint| !(point.pinned && point.outcome == PointOutcome::Fail);
    for point in points.iter().filter(means_something) {
        let bin = usize::try_from(micros(point.due + point.latency) / bin_us).unwrap_or(usize::MAX).min(count - 1);
        let which = match point.outcome {
            PointOutcome::Ok => 0,
            PointOutcome::Fail => 1,
            PointOutcome::Info => 2,
        };
        bins[bin][which] += 1;
    }
    let mut column = Column::default();
    bins.iter().flatten().for_each(|count| column.push(*count));
    Rate { bin_us, packed: column.finish() }
}

/// The questions to one node.
pub(crate) fn questions(asked: &[Asked]) -> String {
    let (mut column, mut previous) = (Column::default(), 0);
    for question in asked {
        let sent = micros(question.sent).max(previous);
        column.push((sent - previous) << 1 | u64::from(question.answered));
        column.push(micros(question.received).saturating_sub(sent));
        previous = sent;
    }
    column.finish()
}

/// A moment in the page's unit.
pub(crate) fn micros(at: RunNanos) -> u64 {
    at.0 / 1_000
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn unpack(text: &str) -> Vec<u64> {
        let mut values = vec![0_u64];
        let mut shift = 0;
        for byte in STANDARD.decode(text).unwrap() {
            *values.last_mut().unwrap() |= u64::from(byte & 0x7f) << shift;
            shift = if byte & 0x80 == 0 { 0 } else { shift + 7 };
            if shift == 0 {
                values.push(0);
            }
        }
        values.pop();
        values
    }

    fn point(index: u64, outcome: PointOutcome) -> OperationPoint {
        let latency = Duration::from_micros(300 + index * 7919 % 40_000);
        OperationPoint { due: RunNanos(index * 1_000_000), latency, outcome, pinned: index.is_multiple_of(10) }
    }

    fn ok(count: u64) -> Vec<OperationPoint> {
        (0..count).map(|index| point(index, PointOutcome::Ok)).collect()
    }

    #[test]
    fn what_is_packed_can_be_read_back() {
        let points = [point(3, PointOutcome::Info), point(0, PointOutcome::Ok), point(500, PointOutcome::Fail)];
        let packed = operations(&points);
        assert_eq!(
            unpack(&packed.packed),
            [4, 300, 3_000 << 3 | 2, 300 + 3 * 7919, 497_000 << 3 | 5, 300 + 500 * 7919 % 40_000]
        );
        assert_eq!(packed.thinned, None);
        let asked = |sent, received, answered| Asked { sent: RunNanos(sent), received: RunNanos(received), answered };
        let questions = questions(&[asked(5_000, 5_000, true), asked(7_000, 257_000, false)]);
        assert_eq!(unpack(&questions), [5 << 1 | 1, 0, 2 << 1, 250]);
    }

    #[test]
    fn a_hundred_thousand_operations_and_sixty_thousand_questions_take_about_a_megabyte() {
        let question = |index: u64| Asked {
            sent: RunNanos(index * 5_000_000),
            received: RunNanos(index * 5_000_000 + 412_000),
            answered: true,
        };
        let per_node: Vec<Asked> = (0..12_000).map(question).collect();
        let size = operations(&ok(100_000)).packed.len() + 5 * questions(&per_node).len();
        assert!(size < 1_050_000, "{size} bytes");
    }

    #[test]
    fn what_is_slow_or_went_wrong_is_never_thinned_out_and_thinning_says_so() {
        let mut points = ok(10_000);
        for index in (0..10_000).step_by(97) {
            points[index].outcome = if index % 2 == 0 { PointOutcome::Fail } else { PointOutcome::Info };
        }
        points[5_000].latency = Duration::from_secs(9);
        let (kept, words) = thin(&points, 1_000);
        let odd = |points: &[&OperationPoint]| points.iter().filter(|it| it.outcome != PointOutcome::Ok).count();
        assert_eq!(odd(&kept), odd(&points.iter().collect::<Vec<_>>()));
        assert!(kept.iter().any(|point| point.latency == Duration::from_secs(9)));
        assert!(kept.len() < 1_200 && kept.len() > 900, "{}", kept.len());
        let words = words.unwrap();
        assert!(words.starts_with(&format!("{} of 10,000 operations", grouped(kept.len() as u64))), "{words}");
        assert!(words.contains("the 100 slowest") && words.contains("one in 11 of"), "{words}");
    }

    #[test]
    fn the_rate_counts_what_is_not_drawn_too() {
        let points = ok(1_000);
        let rate = rate(&points, RunNanos(1_100_000_000));
        assert_eq!(rate.bin_us, 100_000);
        assert_eq!(unpack(&rate.packed).iter().sum::<u64>(), 1_000);
    }

    #[test]
    fn refusals_by_design_are_no_part_of_the_rate() {
        let points: Vec<OperationPoint> = (0..1_000).map(|index| point(index, PointOutcome::Fail)).collect();
        let rate = rate(&points, RunNanos(1_100_000_000));
        assert_eq!(unpack(&rate.packed).iter().sum::<u64>(), 900, "a tenth stays with one node");
    }
}
