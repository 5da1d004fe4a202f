//! Distributions of failover phases, and the honesty about percentiles.
//!
//! A percentile q of n samples means something only if n is large enough that, with 95 % confidence, the sample's maximum
//! exceeds it: n ≥ ln 0.05 / ln q (one-sided order-statistic bound). That makes 5 samples for p50, 29 for p90, 59 for p95 and
//! 299 for p99. With fewer, a report says "max of N" and invents nothing.

use std::time::Duration;

use chaos_history::FaultKind;
use chaos_plan::expect::Phase;
use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::analysis::Failover;
use crate::floor::{Floor, millionths};
use crate::interval::{as_nanos, as_nanos_option, as_word, nanos};

/// One phase of the failovers of one kind of fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// The kind of fault.
    pub kind: FaultKind,
    /// The phase.
    #[serde(with = "as_word")]
    pub phase: Phase,
    /// How many failovers of this kind there were, those without the phase included.
    pub failovers: u64,
    /// Figures of the upper bounds of the time from t0.
    pub figures: Figures,
    /// The widest interval among the samples: the figures' own error.
    #[serde(with = "as_nanos")]
    pub uncertainty_max: Duration,
    /// How many samples overlap a stall of the host. They are counted: leaving them out would be a choice after the fact.
    pub stalled: u64,
    /// `stalled` as a share of the samples, in parts per million.
    #[serde(default)]
    pub stalled_millionths: u32,
    /// The measured median over the median that a sound system with these timeouts is expected to have ([`Floor::curve`]), in
    /// parts per million. `None` with too few samples for a median, without declared timeouts, and for phases without a floor.
    #[serde(default)]
    pub over_floor_millionths: Option<u64>,
    /// The upper bounds in nanoseconds, ascending.
    pub samples: Vec<u64>,
}

/// Figures of a sample. Percentiles that n does not support are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Figures {
    /// How many samples, at least 1.
    pub n: u64,
    /// The smallest.
    #[serde(with = "as_nanos")]
    pub min: Duration,
    /// The median, from 5 samples.
    #[serde(with = "as_nanos_option")]
    pub p50: Option<Duration>,
    /// From 29 samples.
    #[serde(with = "as_nanos_option")]
    pub p90: Option<Duration>,
    /// From 59 samples.
    #[serde(with = "as_nanos_option")]
    pub p95: Option<Duration>,
    /// From 299 samples.
    #[serde(with = "as_nanos_option")]
    pub p99: Option<Duration>,
    /// The largest.
    #[serde(with = "as_nanos")]
    pub max: Duration,
}

impl Figures {
    /// The figures of a sample; `None` of no values.
    #[must_use]
    pub fn of(values: &[Duration]) -> Option<Self> {
        Some(Sample::new(values.iter().copied())?.figures())
    }
}

/// How many samples a percentile needs (95 % one-sided bound); `None` for 100 and above, which no sample size supports.
///
/// # Panics
/// If `percent` is 0.
#[must_use]
pub fn samples_needed(percent: u8) -> Option<u64> {
    assert!(percent > 0, "the 0th percentile is the minimum");
    if percent >= 100 {
        return None;
    }
    let quantile = f64::from(percent) / 100.0;
    (1_u32..).find(|n| quantile.powi(i32::try_from(*n).unwrap_or(i32::MAX)) <= 0.05).map(u64::from)
}

/// A sample of durations that answers for its own size.
#[derive(Debug)]
pub(crate) struct Sample {
    histogram: Histogram<u64>,
    sorted: Vec<u64>,
}

impl Sample {
    /// `None` for no values.
    pub(crate) fn new(values: impl IntoIterator<Item = Duration>) -> Option<Self> {
        let mut sorted: Vec<u64> = values.into_iter().map(nanos).collect();
        sorted.sort_unstable();
        sorted.first()?;
        Some(Self { histogram: histogram_of(&sorted), sorted })
    }

    pub(crate) fn min(&self) -> Duration {
        Duration::from_nanos(self.sorted[0])
    }

    pub(crate) fn max(&self) -> Duration {
        Duration::from_nanos(self.sorted[self.sorted.len() - 1])
    }

    pub(crate) fn n(&self) -> u64 {
        self.histogram.len()
    }

    /// The values, three significant digits each.
    pub(crate) fn into_histogram(self) -> Histogram<u64> {
        self.histogram
    }

    /// The percentile, whether or not n supports it.
    pub(crate) fn quantile(&self, quantile: f64) -> Duration {
        let nanos = self.histogram.value_at_quantile(quantile);
        // A nanosecond stands for nothing at all, see `histogram_of`.
        let value = Duration::from_nanos(if nanos <= NOTHING_NANOS { 0 } else { nanos });
        value.clamp(self.min(), self.max())
    }

    /// The percentile, if n supports it.
    pub(crate) fn percentile(&self, percent: u8) -> Option<Duration> {
        let needed = samples_needed(percent)?;
        (self.n() >= needed).then(|| self.quantile(f64::from(percent) / 100.0))
    }

    fn figures(&self) -> Figures {
        Figures {
            n: self.n(),
            min: self.min(),
            p50: self.percentile(50),
            p90: self.percentile(90),
            p95: self.percentile(95),
            p99: self.percentile(99),
            max: self.max(),
        }
    }
}

/// As what a time of zero is recorded: the smallest value that a histogram's buckets are made for.
const NOTHING_NANOS: u64 = 1;

/// The values as a histogram.
pub(crate) fn histogram_of(values: &[u64]) -> Histogram<u64> {
    // Three significant digits: the histogram's rounding (0.1 %) is far below a poll interval.
    let mut histogram = Histogram::new(3).expect("3 significant digits are within the allowed 0 to 5");
    for value in values {
        histogram.record((*value).max(NOTHING_NANOS)).expect("a histogram that resizes itself takes every value");
    }
    histogram
}

/// One distribution per kind and phase that has samples. The failovers may be those of several runs: what one run has too few
/// of for a percentile, twenty may have enough of.
#[must_use]
pub fn distributions(failovers: &[&Failover]) -> Vec<Distribution> {
    distributions_over(failovers, None)
}

/// The same, with every median beside the one that `floor` expects. The failovers of several runs must have the same timeouts.
#[must_use]
pub fn distributions_over(failovers: &[&Failover], floor: Option<&Floor>) -> Vec<Distribution> {
    let medians = floor.map(|floor| Phase::ALL.map(|phase| floor.expected_median(phase)));
    let pairs =
        FaultKind::ALL.into_iter().flat_map(|kind| Phase::ALL.into_iter().enumerate().map(move |pair| (kind, pair)));
    let found = pairs.filter_map(|(kind, (index, phase))| {
        let mut distribution = distribution(failovers, kind, phase)?;
        let expected = medians.filter(|_| !kind.is_told()).and_then(|medians| medians[index]);
        let expected = expected.filter(|expected| !expected.is_zero());
        distribution.over_floor_millionths = expected.and_then(|expected| over(distribution.figures.p50?, expected));
        Some(distribution)
    });
    found.collect()
}

/// `measured ÷ expected` in parts per million; `expected` is not zero.
fn over(measured: Duration, expected: Duration) -> Option<u64> {
    u64::try_from(measured.as_nanos().saturating_mul(1_000_000) / expected.as_nanos()).ok()
}

fn distribution(failovers: &[&Failover], kind: FaultKind, phase: Phase) -> Option<Distribution> {
    let of_kind = || failovers.iter().filter(move |failover| failover.kind == kind);
    let reached: Vec<_> = of_kind()
        .filter_map(|failover| failover.phases.get(phase).reached().map(|reached| (reached.after, failover.stalled)))
        .collect();
    let sample = Sample::new(reached.iter().map(|(after, _)| after.hi))?;
    let stalled = reached.iter().filter(|(_, stalled)| *stalled).count();
    Some(Distribution {
        kind,
        phase,
        failovers: of_kind().count() as u64,
        figures: sample.figures(),
        uncertainty_max: reached.iter().map(|(after, _)| after.hi - after.lo).max().unwrap_or_default(),
        stalled: stalled as u64,
        stalled_millionths: millionths(stalled as f64 / reached.len() as f64),
        over_floor_millionths: None,
        samples: sample.sorted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_nothing_is_read_back_as_nothing() {
        let figures = Figures::of(&[0, 0, 0, 0, 7].map(Duration::from_nanos)).expect("there are samples");
        assert_eq!((figures.p50, figures.max), (Some(Duration::ZERO), Duration::from_nanos(7)));
    }

    #[test]
    fn percentiles_need_as_many_samples_as_the_order_statistic_bound_says() {
        let expected = [(50, 5), (90, 29), (95, 59), (99, 299)];
        for (percent, needed) in expected {
            assert_eq!(samples_needed(percent), Some(needed), "p{percent}");
        }
        assert_eq!(samples_needed(100), None);
    }

    #[test]
    fn a_percentile_without_enough_samples_is_missing() {
        let sample = Sample::new((1..=28).map(Duration::from_millis)).unwrap();
        assert_eq!(sample.percentile(90), None);
        let sample = Sample::new((1..=29).map(Duration::from_millis)).unwrap();
        let p90 = sample.percentile(90).unwrap();
        assert!(p90 >= Duration::from_millis(27) && p90 < Duration::from_millis(28), "{p90:?}");
        assert_eq!(sample.max(), Duration::from_millis(29));
    }

    #[test]
    fn no_samples_are_no_distribution() {
        assert!(Sample::new([]).is_none());
    }
}
