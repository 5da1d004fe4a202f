//! The interval of a difference between two quantiles, by resampling.
//!
//! *Percentile* bootstrap, not BCa: BCa's acceleration is estimated by leaving out one sample at a time, and that jackknife is
//! inconsistent for the median and other quantiles (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, §11.6),
//! while the plain percentile interval of a difference of medians holds its level with skewed samples and with ties (Wilcox,
//! "Introduction to Robust Estimation and Hypothesis Testing", 3rd ed. 2012, §5.4.2). The simulations beside this file measure
//! both claims on the shapes that failovers have.
//!
//! Failovers of one run are alike. With [`RUNS_MIN`] runs or more on both sides, each resample draws runs with replacement and
//! then failovers within the drawn runs, with replacement too (Davison and Hinkley, "Bootstrap Methods and their Application",
//! 1997, §3.8, strategy 2). That is a little wider than drawing whole runs, which with a handful of runs is too narrow.
//!
//! Cost: a resample draws and walks n values, no sort: O(resamples × n). Refuses unseeded randomness: SplitMix64 (Steele, Lea
//! and Flood, OOPSLA 2014) from a seed of the caller's.

use chaos_history::mixing::{GOLDEN, fnv_1a, mix};

/// From so many runs on each side, runs are resampled.
pub(crate) const RUNS_MIN: usize = 5;

/// SplitMix64: statistics need no more, and the same seed gives the same interval for ever.
#[derive(Clone, Debug)]
pub(crate) struct Draws(u64);

impl Draws {
    /// A stream of its own for each label, so that one row's interval doesn't depend on which other rows there are.
    pub(crate) fn new(seed: u64, label: &str) -> Self {
        Self(Self(seed).next() ^ fnv_1a(label.as_bytes()))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// An index below `length`, which is at least 1; the bias of `length / 2⁶⁴` is far below anything that can be measured.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        let scaled = u128::from(self.next()) * length as u128;
        usize::try_from(scaled >> 64).expect("a number below a length is a length")
    }
}

/// A sample that can be resampled: its values in order, and where each run's lie in that order.
#[derive(Clone, Debug)]
pub(crate) struct Resampler {
    sorted: Vec<u64>,
    runs: Vec<Vec<usize>>,
    /// How often each value is in the present resample.
    times: Vec<u32>,
    drawn: usize,
}

impl Resampler {
    /// Of these runs; `by_run` says whether runs are drawn first.
    pub(crate) fn new(runs: &[Vec<u64>], by_run: bool) -> Self {
        let mut all: Vec<(u64, usize)> =
            runs.iter().enumerate().flat_map(|(run, values)| values.iter().map(move |value| (*value, run))).collect();
        all.sort_unstable();
        let mut placed = vec![Vec::new(); if by_run { runs.len() } else { 1 }];
        for (rank, (_, run)) in all.iter().enumerate() {
            placed[if by_run { *run } else { 0 }].push(rank);
        }
        placed.retain(|ranks| !ranks.is_empty());
        let sorted: Vec<u64> = all.into_iter().map(|(value, _)| value).collect();
        Self { times: vec![1; sorted.len()], drawn: sorted.len(), sorted, runs: placed }
    }

    /// Makes the next resample the present one.
    pub(crate) fn resample(&mut self, draws: &mut Draws) {
        self.times.fill(0);
        self.drawn = 0;
        for _ in 0..self.runs.len() {
            let run = &self.runs[draws.index(self.runs.len())];
            for _ in 0..run.len() {
                self.times[run[draws.index(run.len())]] += 1;
            }
            self.drawn += run.len();
        }
    }

    /// A quantile of the present resample, of the sample itself before the first: linear between the two nearest order
    /// statistics (definition 7 of Hyndman and Fan, 1996), which for the median is the usual middle.
    pub(crate) fn quantile(&self, quantile: f64) -> f64 {
        let at = (self.drawn - 1) as f64 * quantile;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a length")]
        let below = at.floor() as usize;
        let (low, high) = self.pair(below);
        low + (at - below as f64) * (high - low)
    }

    /// The order statistics number `rank` (from 0) and the one after it, or the last twice.
    fn pair(&self, rank: usize) -> (f64, f64) {
        let (mut seen, mut low) = (0, None);
        for (value, times) in self.sorted.iter().zip(&self.times) {
            seen += *times as usize;
            let value = *value as f64;
            if low.is_none() && seen > rank {
                low = Some(value);
            }
            if let Some(low) = low
                && seen > rank + 1
            {
                return (low, value);
            }
        }
        let last = low.expect("a resample has values");
        (last, last)
    }
}

/// What resampling says of a difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Resampled {
    /// The 95 % percentile interval.
    pub(crate) lo: f64,
    /// Its upper end.
    pub(crate) hi: f64,
    /// The two-sided generalised p-value of "no difference" (Wilcox 2012, §5.4.2): twice the share of resamples on the rarer
    /// side of zero, ties counted half to each; never 0, since so many resamples can't show that.
    pub(crate) p: f64,
}

/// The differences `b − a` of one quantile per resample, judged.
pub(crate) fn judge(differences: &mut [f64]) -> Resampled {
    differences.sort_unstable_by(f64::total_cmp);
    let n = differences.len();
    let below = differences.iter().filter(|difference| **difference < 0.0).count() as f64;
    let above = differences.iter().filter(|difference| **difference > 0.0).count() as f64;
    let ties = n as f64 - below - above;
    let rarer = below.min(above) + ties / 2.0;
    // 2.5 % of the resamples lie outside of each end.
    let outside = n / 40;
    Resampled {
        lo: differences[outside],
        hi: differences[n - 1 - outside],
        p: ((2.0 * rarer + 1.0) / (n as f64 + 1.0)).min(1.0),
    }
}

/// Resamples both sides together and judges the difference of each quantile.
pub(crate) fn differences(
    a: &mut Resampler,
    b: &mut Resampler,
    quantiles: &[f64],
    resamples: usize,
    draws: &mut Draws,
) -> Vec<Resampled> {
    let mut found: Vec<Vec<f64>> = quantiles.iter().map(|_| Vec::with_capacity(resamples)).collect();
    for _ in 0..resamples {
        a.resample(draws);
        b.resample(draws);
        for (found, quantile) in found.iter_mut().zip(quantiles) {
            found.push(b.quantile(*quantile) - a.quantile(*quantile));
        }
    }
    found.iter_mut().map(|differences| judge(differences)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resample_has_as_many_values_and_only_known_ones() {
        let mut sample = Resampler::new(&[vec![3, 1, 2], vec![9, 9]], false);
        assert!((sample.quantile(0.5) - 3.0).abs() < 1e-9);
        let mut draws = Draws::new(1, "test");
        for _ in 0..100 {
            sample.resample(&mut draws);
            assert_eq!(sample.times.iter().sum::<u32>(), 5);
            assert!((1.0..=9.0).contains(&sample.quantile(0.5)));
        }
    }

    #[test]
    fn quantiles_lie_between_the_nearest_two() {
        let sample = Resampler::new(&[vec![10, 20, 30, 40]], false);
        for (quantile, expected) in [(0.0, 10.0), (0.5, 25.0), (0.9, 37.0), (1.0, 40.0)] {
            assert!((sample.quantile(quantile) - expected).abs() < 1e-9, "{quantile}");
        }
    }

    #[test]
    fn by_run_a_resample_may_miss_a_whole_run() {
        let mut sample = Resampler::new(&[vec![1; 50], vec![2; 50], vec![3; 50]], true);
        let mut draws = Draws::new(1, "test");
        let missed = (0..200).filter(|_| {
            sample.resample(&mut draws);
            sample.quantile(1.0) < 2.5
        });
        // (2/3)³ of the resamples draw no third run.
        let missed = missed.count();
        assert!((40..80).contains(&missed), "{missed}");
    }

    #[test]
    fn p_is_small_only_if_the_resamples_agree_on_the_side() {
        let p = |differences: &[f64]| judge(&mut differences.to_vec()).p;
        assert!(p(&[1.0; 1000]) < 0.002);
        assert!(p(&[-1.0; 1000]) < 0.002);
        assert!((p(&[0.0; 1000]) - 1.0).abs() < 1e-9);
        let split: Vec<f64> = (0..1000).map(|i| if i < 25 { -1.0 } else { 1.0 }).collect();
        assert!((p(&split) - 0.051).abs() < 0.001);
    }

    #[test]
    fn the_interval_leaves_two_and_a_half_per_cent_outside_of_each_end() {
        let mut differences: Vec<f64> = (0..10_000).map(f64::from).collect();
        let judged = judge(&mut differences);
        assert_eq!((judged.lo, judged.hi), (250.0, 9749.0));
    }
}
