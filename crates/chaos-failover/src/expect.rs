//! Is an expectation met? Met, missed, or it can't be told, with the figure or the reason.
//!
//! A failover that never came to a phase is not left out where that would flatter: had the phase come, it would have taken
//! longer than the watching lasted. So if the watching alone exceeds the bound, it counts as a sample of that length
//! (censored from the right); if not, it can't be told and is left out. A fault that left no electable majority is no sample.

use std::time::Duration;

use chaos_history::FaultKind;
use chaos_plan::expect::{Bound, Comparison, Expectation, Metric, Phase, Statistic};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::analysis::{Analysis, PhaseOutcome, Why};
use crate::distribution::{Sample, samples_needed};
use crate::interval::{Elapsed, nanos};

/// What became of an expectation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// It holds.
    Met {
        /// What was measured; the worst, where there are several.
        value: Figure,
    },
    /// It doesn't.
    Missed {
        /// What was measured; the worst, where there are several.
        value: Figure,
    },
    /// Nobody can tell.
    NotTold {
        /// Why.
        reason: String,
    },
}

/// A measured figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// A time in nanoseconds.
    TimeNs(u64),
    /// A count.
    Count(u64),
    /// A share in parts per million.
    ShareMillionths(u32),
    /// Whether a check that was expected to be violated is.
    Violated(bool),
}

/// Judges one expectation by an analysis.
#[must_use]
pub fn evaluate(expectation: &Expectation, analysis: &Analysis) -> Judgement {
    match measure(expectation, analysis) {
        Ok(values) => judge(expectation, &values),
        Err(reason) => Judgement::NotTold { reason },
    }
}

fn judge(expectation: &Expectation, values: &[Figure]) -> Judgement {
    let mut worst: Option<Figure> = None;
    for value in values {
        match holds(*value, expectation.comparison, expectation.bound) {
            Some(_) => {}
            None => return Judgement::NotTold { reason: "the bound is of another unit than the figure".to_owned() },
        }
        let worse = |worst: Figure| match expectation.comparison {
            Comparison::Less | Comparison::AtMost => *value > worst,
            Comparison::Greater | Comparison::AtLeast => *value < worst,
        };
        if worst.is_none_or(worse) {
            worst = Some(*value);
        }
    }
    match worst {
        None => Judgement::NotTold { reason: "no samples".to_owned() },
        Some(value) if holds(value, expectation.comparison, expectation.bound) == Some(true) => {
            Judgement::Met { value }
        }
        Some(value) => Judgement::Missed { value },
    }
}

/// Whether the comparison holds; `None` if a time is compared with a count or the like.
fn holds(value: Figure, comparison: Comparison, bound: Bound) -> Option<bool> {
    let (value, bound) = match (value, bound) {
        (Figure::TimeNs(value), Bound::Time(bound)) => (value, nanos(bound)),
        (Figure::Count(value), Bound::Count(bound)) => (value, bound),
        (Figure::ShareMillionths(value), Bound::ShareMillionths(bound)) => (u64::from(value), u64::from(bound)),
        (Figure::TimeNs(_) | Figure::Count(_) | Figure::ShareMillionths(_) | Figure::Violated(_), _) => return None,
    };
    Some(match comparison {
        Comparison::Less => value < bound,
        Comparison::AtMost => value <= bound,
        Comparison::Greater => value > bound,
        Comparison::AtLeast => value >= bound,
    })
}

/// The figures that the expectation speaks of: one, or one per kind of fault.
fn measure(expectation: &Expectation, analysis: &Analysis) -> Result<Vec<Figure>, String> {
    match expectation.metric {
        Metric::Failovers => Ok(vec![Figure::Count(analysis.failovers.len() as u64)]),
        Metric::Availability => match analysis.operations.availability_millionths {
            Some(share) => Ok(vec![Figure::ShareMillionths(share)]),
            None => Err("no operations".to_owned()),
        },
        Metric::Elections => Ok(vec![Figure::Count(analysis.elections)]),
        Metric::NeedlessElections => needless(expectation, analysis).map(|figure| vec![figure]),
        Metric::LostWrites => Ok(vec![Figure::Count(analysis.lost_writes.len() as u64)]),
        Metric::Overlap => {
            let lasted = analysis.overlaps.iter().map(|overlap| overlap.lasted);
            let longest = lasted.map(|lasted| told(lasted, expectation.comparison)).max().unwrap_or_default();
            Ok(vec![match expectation.statistic {
                Statistic::Total => time(told(analysis.overlap_total, expectation.comparison)),
                Statistic::Min | Statistic::Percentile(_) | Statistic::Max | Statistic::Count | Statistic::Value => {
                    time(longest)
                }
            }])
        }
        Metric::StaleLeader => {
            let lasted = analysis.failovers.iter().map(|failover| told(failover.overlap, expectation.comparison));
            statistic_of(expectation.statistic, lasted.collect()).map(|figure| vec![figure])
        }
        Metric::StepDown => {
            let lasted = analysis
                .failovers
                .iter()
                .filter_map(|failover| stepped_down(failover.step_down.as_ref()?, expectation));
            statistic_of(expectation.statistic, lasted.collect()).map(|figure| vec![figure])
        }
        Metric::Outage => outage(expectation.statistic, analysis).map(|figure| vec![figure]),
        Metric::Failover { phase, kind } => {
            let mut kinds: Vec<FaultKind> = analysis.failovers.iter().map(|failover| failover.kind).collect();
            kinds.sort_unstable();
            kinds.dedup();
            kinds.retain(|of| kind.is_none_or(|kind| kind == *of));
            if kinds.is_empty() {
                return Err(kind.map_or("no failovers".to_owned(), |kind| format!("no failovers by {}", kind.name())));
            }
            kinds.into_iter().map(|kind| failover(expectation, analysis, kind, phase)).collect()
        }
    }
}

/// How many elections were needless. One that fell into a stall of the host may have been the stall's work, so that it counts neither
/// as needless nor as not: if it would change the answer, there is none.
fn needless(expectation: &Expectation, analysis: &Analysis) -> Result<Figure, String> {
    let certain = analysis.unplanned.iter().filter(|election| election.needless).count() as u64;
    let doubtful =
        analysis.unplanned.iter().filter(|election| election.stalled && election.previous.is_some()).count() as u64;
    let met = |count| holds(Figure::Count(count), expectation.comparison, expectation.bound);
    if met(certain) == met(certain + doubtful) {
        return Ok(Figure::Count(certain));
    }
    let more = if doubtful == 1 { "1 more election".to_owned() } else { format!("{doubtful} more elections") };
    Err(format!("{certain} for certain; {more} fell into a stall of the host, and nobody can tell whose work that was"))
}

/// How long it took an old leader to give up. One that never did claimed for as long as it was watched, which says nothing of an
/// upper limit that is longer than that.
fn stepped_down(outcome: &PhaseOutcome, expectation: &Expectation) -> Option<Duration> {
    match outcome {
        PhaseOutcome::Reached(reached) => Some(told(reached.after, expectation.comparison)),
        PhaseOutcome::NotReached(missing) => match (expectation.comparison, expectation.bound) {
            (Comparison::Less | Comparison::AtMost, Bound::Time(limit)) if missing.watched < limit => None,
            (Comparison::Less | Comparison::AtMost | Comparison::Greater | Comparison::AtLeast, _) => {
                Some(missing.watched)
            }
        },
    }
}

/// The end of a measured stretch that is as bad as it can be for who demands this: of an upper limit the longest that is
/// possible, of a lower one what is certain. So an expectation is met only if it is for certain.
fn told(lasted: Elapsed, comparison: Comparison) -> Duration {
    match comparison {
        Comparison::Less | Comparison::AtMost => lasted.hi,
        Comparison::Greater | Comparison::AtLeast => lasted.lo,
    }
}

fn outage(statistic: Statistic, analysis: &Analysis) -> Result<Figure, String> {
    if analysis.operations.total().ok == 0 {
        return Err("no acknowledged operation, so no outage can be told".to_owned());
    }
    let lasted = || analysis.outages.iter().map(|outage| outage.lasted);
    match statistic {
        Statistic::Count => Ok(Figure::Count(analysis.outages.len() as u64)),
        Statistic::Total | Statistic::Value => Ok(time(lasted().sum())),
        // No outage at all is the best of maxima.
        Statistic::Max => Ok(time(lasted().max().unwrap_or_default())),
        Statistic::Min => Ok(time(lasted().min().unwrap_or_default())),
        Statistic::Percentile(_) => statistic_of(statistic, lasted().collect()),
    }
}

fn failover(expectation: &Expectation, analysis: &Analysis, kind: FaultKind, phase: Phase) -> Result<Figure, String> {
    let bound = match expectation.bound {
        Bound::Time(bound) => bound,
        Bound::Count(_) | Bound::ShareMillionths(_) => Duration::MAX,
    };
    let of_kind = analysis.failovers.iter().filter(|failover| failover.kind == kind);
    let samples: Vec<Duration> = of_kind
        .filter_map(|failover| match failover.phases.get(phase) {
            PhaseOutcome::Reached(reached) => Some(reached.after.hi),
            PhaseOutcome::NotReached(missing) => match missing.why {
                Why::NoMajority | Why::NoClients | Why::NotTold => None,
                Why::FaultEnded | Why::NextFault | Why::RunEnded | Why::NotElected => {
                    let electable = !matches!(
                        &failover.phases.elected,
                        PhaseOutcome::NotReached(elected) if elected.why == Why::NoMajority
                    );
                    Some(missing.watched).filter(|watched| electable && *watched >= bound)
                }
            },
        })
        .collect();
    statistic_of(expectation.statistic, samples)
        .map_err(|reason| format!("{} by {}: {reason}", phase.name(), kind.name()))
}

fn statistic_of(statistic: Statistic, samples: Vec<Duration>) -> Result<Figure, String> {
    let n = samples.len() as u64;
    let total = samples.iter().sum();
    let sample = Sample::new(samples).ok_or("no samples")?;
    match statistic {
        Statistic::Min => Ok(time(sample.min())),
        Statistic::Max => Ok(time(sample.max())),
        Statistic::Total | Statistic::Value => Ok(time(total)),
        Statistic::Count => Ok(Figure::Count(n)),
        Statistic::Percentile(percent) => match (sample.percentile(percent), samples_needed(percent)) {
            (Some(value), _) => Ok(time(value)),
            (None, Some(needed)) => Err(format!("p{percent} needs {needed} samples, there are {n}")),
            (None, None) => Err(format!("p{percent} is no percentile that samples could support")),
        },
    }
}

fn time(duration: Duration) -> Figure {
    Figure::TimeNs(nanos(duration))
}

#[cfg(test)]
mod tests {
    use chaos_history::{Mark, RunNanos};

    use super::*;
    use crate::analysis::{NotReached, Reached};
    use crate::interval::Interval;
    use crate::sample::{Sample, ms};

    /// `n` kills of n1, elected 200 ms after each, writable 210 ms after; a last pause that ends 900 ms later unelected.
    fn analysed(n: u64, paused: bool) -> Analysis {
        let mut sample = Sample::new(3);
        sample.mark(0, Mark::LoadBegin);
        for round in 0..n {
            let (t, term) = (1000 * (round + 1), 2 * round + 1);
            let id = u32::try_from(round).unwrap();
            sample
                .all_follow(&[1, 2, 3], t - 100, term, 1)
                .fault_of(id, FaultKind::Kill, t, &[1], &[], (1, term))
                .all_follow(&[2, 3], t + 198, term + 1, 2)
                .write(2, t + 205, Some(t + 210))
                .heal(id, FaultKind::Kill, t + 500, &[1]);
        }
        if paused {
            let (t, term) = (1000 * (n + 1), 2 * n + 1);
            sample
                .all_follow(&[1, 2, 3], t - 100, term, 1)
                .fault_of(900, FaultKind::Pause, t, &[1], &[], (1, term))
                .heal(900, FaultKind::Pause, t + 900, &[1])
                .all_follow(&[1, 2, 3], t + 1000, term, 1);
        }
        crate::analyse(&sample.history(), None)
    }

    fn expected(metric: Metric, statistic: Statistic, comparison: Comparison, bound: Bound) -> Expectation {
        Expectation { text: "as written".to_owned(), metric, statistic, comparison, bound }
    }

    fn below(statistic: Statistic, bound: u64) -> Expectation {
        let metric = Metric::Failover { phase: Phase::Writable, kind: None };
        expected(metric, statistic, Comparison::Less, Bound::Time(ms(bound)))
    }

    #[test]
    fn a_maximum_is_met_or_missed_by_the_upper_bound() {
        let analysis = analysed(2, false);
        let value = Figure::TimeNs(210_000_000);
        assert_eq!(evaluate(&below(Statistic::Max, 211), &analysis), Judgement::Met { value });
        assert_eq!(evaluate(&below(Statistic::Max, 210), &analysis), Judgement::Missed { value });
    }

    #[test]
    fn a_percentile_without_enough_samples_is_not_told() {
        let judgement = evaluate(&below(Statistic::Percentile(90), 500), &analysed(28, false));
        let reason = "writable by kill: p90 needs 29 samples, there are 28".to_owned();
        assert_eq!(judgement, Judgement::NotTold { reason });
        assert!(matches!(
            evaluate(&below(Statistic::Percentile(90), 500), &analysed(29, false)),
            Judgement::Met { .. }
        ));
    }

    #[test]
    fn a_failover_that_never_came_counts_as_long_as_it_was_watched() {
        let analysis = analysed(2, true);
        assert!(matches!(evaluate(&below(Statistic::Max, 500), &analysis), Judgement::Missed { .. }));
        // Watched for less than the bound: it might have come in time.
        assert_eq!(
            evaluate(&below(Statistic::Max, 2000), &analysis),
            Judgement::NotTold { reason: "writable by pause: no samples".to_owned() }
        );
    }

    #[test]
    fn counts_compare_with_counts_only() {
        let analysis = analysed(3, false);
        let at_least = |bound| expected(Metric::Failovers, Statistic::Count, Comparison::AtLeast, bound);
        let value = Figure::Count(3);
        assert_eq!(evaluate(&at_least(Bound::Count(3)), &analysis), Judgement::Met { value });
        assert_eq!(evaluate(&at_least(Bound::Count(4)), &analysis), Judgement::Missed { value });
        assert!(matches!(evaluate(&at_least(Bound::Time(ms(3))), &analysis), Judgement::NotTold { .. }));
    }

    #[test]
    fn without_failovers_nothing_is_told_of_them() {
        let empty = crate::analyse(&Sample::new(3).history(), None);
        assert!(matches!(evaluate(&below(Statistic::Max, 500), &empty), Judgement::NotTold { .. }));
    }

    /// n1 leads term 1 from 100 to 900, n2 term 2 from 500 to 1500, as far as polls tell.
    fn overlapping() -> Analysis {
        let mut sample = Sample::new(3);
        sample.mark(0, Mark::LoadBegin);
        for t in (100..=900).step_by(100) {
            sample.follows(1, t, t + 2, 1, 1);
        }
        for t in (500..=1500).step_by(100) {
            sample.follows(2, t, t + 2, 2, 2);
        }
        sample.follows(1, 1000, 1002, 2, 2);
        crate::analyse(&sample.history(), None)
    }

    #[test]
    fn an_overlap_is_above_a_bound_only_as_far_as_it_is_certain_and_below_one_only_if_it_must_be() {
        let analysis = overlapping();
        let judged = |comparison, bound| {
            let bound = Bound::Time(ms(bound));
            evaluate(&expected(Metric::Overlap, Statistic::Max, comparison, bound), &analysis)
        };
        assert!(matches!(judged(Comparison::Greater, 397), Judgement::Met { .. }));
        assert!(matches!(judged(Comparison::Greater, 399), Judgement::Missed { .. }));
        assert!(matches!(judged(Comparison::Less, 450), Judgement::Missed { .. }));
        assert!(matches!(judged(Comparison::Less, 1100), Judgement::Met { .. }));
        let none = crate::analyse(&Sample::new(3).history(), None);
        let above = expected(Metric::Overlap, Statistic::Total, Comparison::Greater, Bound::Time(ms(0)));
        assert!(matches!(evaluate(&above, &none), Judgement::Missed { .. }));
    }

    #[test]
    fn elections_are_counted_and_those_that_nothing_called_for_apart() {
        let mut sample = Sample::new(3);
        for (term, leader) in [(1, 1), (2, 2), (3, 1)] {
            for t in (0..900).step_by(100) {
                sample.all_follow(&[1, 2, 3], 1000 * term + t, term, leader);
            }
        }
        let analysis = crate::analyse(&sample.history(), None);
        let at_most = |metric, bound| expected(metric, Statistic::Count, Comparison::AtMost, Bound::Count(bound));
        let judged = |metric, bound| evaluate(&at_most(metric, bound), &analysis);
        assert_eq!(judged(Metric::Elections, 3), Judgement::Met { value: Figure::Count(3) });
        assert_eq!(judged(Metric::Elections, 2), Judgement::Missed { value: Figure::Count(3) });
        assert_eq!(judged(Metric::NeedlessElections, 1), Judgement::Missed { value: Figure::Count(2) });
    }

    #[test]
    fn a_leader_that_never_gave_up_misses_every_upper_limit_that_it_was_watched_for() {
        let mut analysis = analysed(2, false);
        let after = Elapsed { lo: ms(100), hi: ms(120) };
        let at = Interval::new(RunNanos(0), RunNanos(0));
        analysis.failovers[0].step_down = Some(PhaseOutcome::Reached(Reached { at, after }));
        let judged = |analysis: &Analysis, comparison, bound| {
            let bound = Bound::Time(ms(bound));
            evaluate(&expected(Metric::StepDown, Statistic::Max, comparison, bound), analysis)
        };
        assert!(matches!(judged(&analysis, Comparison::Less, 121), Judgement::Met { .. }));
        assert!(matches!(judged(&analysis, Comparison::Less, 110), Judgement::Missed { .. }));
        assert!(matches!(judged(&analysis, Comparison::Greater, 110), Judgement::Missed { .. }));
        let never = NotReached { why: Why::RunEnded, watched: ms(4000) };
        analysis.failovers[1].step_down = Some(PhaseOutcome::NotReached(never));
        assert!(matches!(judged(&analysis, Comparison::Less, 3000), Judgement::Missed { .. }));
        assert!(matches!(judged(&analysis, Comparison::Greater, 3000), Judgement::Met { .. }));
        assert!(matches!(judged(&analysis, Comparison::Less, 5000), Judgement::Met { .. }), "nothing is told of it");
    }

    #[test]
    fn an_election_in_a_stall_of_the_host_leaves_it_open_whether_it_was_needless() {
        let elected = |needless: u64, stalled: u64| {
            let mut sample = Sample::new(3);
            sample.all_follow(&[1, 2, 3], 100, 1, 1);
            for round in 1..=needless + stalled {
                let (t, leader) = (5000 * round, u16::try_from(round % 2 + 1).unwrap());
                sample.all_follow(&[1, 2, 3], t, round, 3 - leader);
                if round > needless {
                    sample.stall(t + 10, t + 200);
                }
                sample.all_follow(&[1, 2, 3], t + 300, round + 1, leader);
            }
            crate::analyse(&sample.history(), None)
        };
        let judged = |analysis: &Analysis, comparison, bound| {
            let metric = Metric::NeedlessElections;
            evaluate(&expected(metric, Statistic::Count, comparison, Bound::Count(bound)), analysis)
        };
        let (none, one, two) = (elected(0, 0), elected(0, 1), elected(2, 1));
        assert!(matches!(judged(&none, Comparison::AtMost, 0), Judgement::Met { .. }));
        let Judgement::NotTold { reason } = judged(&one, Comparison::AtMost, 0) else { panic!("it can't be told") };
        assert!(reason.starts_with("0 for certain; 1 more election"), "{reason}");
        assert!(matches!(judged(&one, Comparison::AtMost, 1), Judgement::Met { .. }), "one more is allowed");
        assert_eq!(judged(&two, Comparison::AtMost, 1), Judgement::Missed { value: Figure::Count(2) });
        assert!(matches!(judged(&two, Comparison::AtMost, 2), Judgement::NotTold { .. }));
        assert!(matches!(judged(&two, Comparison::AtLeast, 2), Judgement::Met { .. }));
        assert!(matches!(judged(&two, Comparison::AtLeast, 3), Judgement::NotTold { .. }));
    }

    #[test]
    fn losses_are_counted_and_a_stale_leader_needs_a_failover() {
        let analysis = analysed(2, false);
        let above = |metric, statistic, bound| expected(metric, statistic, Comparison::Greater, bound);
        let losses = evaluate(&above(Metric::LostWrites, Statistic::Count, Bound::Count(0)), &analysis);
        assert_eq!(losses, Judgement::Missed { value: Figure::Count(0) });
        let stale = above(Metric::StaleLeader, Statistic::Max, Bound::Time(ms(1)));
        assert!(matches!(evaluate(&stale, &analysis), Judgement::Missed { .. }));
        assert!(matches!(evaluate(&stale, &overlapping()), Judgement::NotTold { .. }));
    }
}
