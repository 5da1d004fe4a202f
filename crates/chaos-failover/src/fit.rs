//! How far is a system from the timeouts that it declares?
//!
//! Thesis §9.1 gives the mean time from a crash to the first timeout as `T_min + R/(s+1) − h/2`, for timeouts drawn from
//! `T_min + U(0, R)` by `s` servers, and heartbeats every `h`. A sweep over the three settings turns that into a straight line:
//!
//! ```text
//! detected = offset + β_T · T_min + β_R · R/(s+1) + β_h · (−h/2)        expected: β_T = β_R = β_h = 1
//! ```
//!
//! [`fit`] finds the four by least squares over all failovers, and their 95 % intervals by resampling failovers within each
//! setting (the spread grows with R and h, so that the textbook's formula for intervals, which takes it as constant, would be
//! wrong). `β_T = 1.1` means: timeouts are a tenth longer than declared, for example since timers tick coarsely. `β_h = 0` means:
//! heartbeats don't reset the timer as declared. The offset is what no setting explains: latency, scheduling, the poll.
//!
//! Refuses what can't be told apart: settings must vary each of the three by itself, or the equations have no one solution.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::compare::Draws;
use crate::floor::Timing;

/// The unknowns: offset, `T_min`, range, heartbeat.
const TERMS: usize = 4;
/// Settings of which a sweep must have more than there are unknowns.
const SETTINGS_MIN: usize = TERMS + 1;
/// Failovers that each setting must have.
const SAMPLES_MIN: usize = 5;

/// What was measured under one setting.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepPoint {
    /// What the system declared.
    pub timing: Timing,
    /// Times from the crash to the first timeout.
    pub detected: Vec<Duration>,
}

/// How a system keeps to its timeouts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// What no setting explains, in nanoseconds.
    pub offset_ns: Estimate,
    /// How much of the shortest timeout is waited, in parts per million; 1,000,000 is as declared.
    pub timeout_millionths: Estimate,
    /// How much of the expected part of the range is waited, likewise.
    pub range_millionths: Estimate,
    /// How much the expected age of the last heartbeat shortens the wait, likewise.
    pub heartbeat_millionths: Estimate,
    /// The root of the mean squared distance of a failover from the line, in nanoseconds; the randomness of timeouts is in it.
    pub residual_ns: u64,
    /// How many failovers.
    pub failovers: usize,
    /// How many settings.
    pub settings: usize,
}

/// A figure with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// The best guess.
    pub value: i64,
    /// The interval's lower end.
    pub lo: i64,
    /// The interval's upper end.
    pub hi: i64,
}

impl Estimate {
    /// Whether the interval holds this value.
    #[must_use]
    pub fn holds(&self, value: i64) -> bool {
        (self.lo..=self.hi).contains(&value)
    }
}

/// Why a sweep can't be fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Fewer settings than unknowns.
    FewSettings(usize),
    /// A setting with too few failovers.
    FewSamples(usize),
    /// Two of the three settings only vary together.
    Collinear,
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::FewSettings(n) => write!(out, "{n} settings can't tell {TERMS} unknowns: it takes {SETTINGS_MIN}"),
            Self::FewSamples(n) => write!(out, "a setting has {n} failovers: it takes {SAMPLES_MIN} of each"),
            Self::Collinear => write!(
                out,
                "the settings don't vary the timeout, its range and the heartbeat each by itself: their parts can't be told apart"
            ),
        }
    }
}

impl std::error::Error for Unfit {}

/// Fits a sweep.
///
/// # Errors
/// If it has too few settings or failovers, or settings that only vary together.
///
/// # Panics
/// If `resamples` is below 40, which leaves nothing outside of a 95 % interval.
pub fn fit(sweep: &[SweepPoint], resamples: usize, seed: u64) -> Result<Fit, Unfit> {
    assert!(resamples >= 40, "an interval needs resamples");
    if sweep.len() < SETTINGS_MIN {
        return Err(Unfit::FewSettings(sweep.len()));
    }
    if let Some(few) = sweep.iter().map(|point| point.detected.len()).find(|n| *n < SAMPLES_MIN) {
        return Err(Unfit::FewSamples(few));
    }
    let rows: Vec<[f64; TERMS]> = sweep.iter().map(|point| terms(&point.timing)).collect();
    let millis: Vec<Vec<f64>> =
        sweep.iter().map(|point| point.detected.iter().map(|time| time.as_secs_f64() * 1e3).collect()).collect();
    let counts: Vec<f64> = millis.iter().map(|times| times.len() as f64).collect();
    let mean = |times: &[f64]| times.iter().sum::<f64>() / times.len() as f64;
    let means: Vec<f64> = millis.iter().map(|times| mean(times)).collect();
    let best = least_squares(&rows, &means, &counts).ok_or(Unfit::Collinear)?;

    let mut draws = Draws::new(seed, "fit");
    let mut found: [Vec<f64>; TERMS] = Default::default();
    for _ in 0..resamples {
        let resampled: Vec<f64> = millis
            .iter()
            .map(|times| (0..times.len()).map(|_| times[draws.index(times.len())]).sum::<f64>() / times.len() as f64)
            .collect();
        let solved = least_squares(&rows, &resampled, &counts).ok_or(Unfit::Collinear)?;
        for (found, value) in found.iter_mut().zip(solved) {
            found.push(value);
        }
    }
    let mut estimates = found.iter_mut().zip(best).map(|(found, value)| {
        found.sort_by(f64::total_cmp);
        let outside = resamples / 40;
        // From milliseconds to nanoseconds, and from shares to parts per million, is the same factor.
        Estimate {
            value: millionfold(value),
            lo: millionfold(found[outside]),
            hi: millionfold(found[resamples - 1 - outside]),
        }
    });
    let mut next = || estimates.next().expect("one estimate for each of four terms");
    let (offset_ns, timeout_millionths, range_millionths, heartbeat_millionths) = (next(), next(), next(), next());
    let squares = rows.iter().zip(&millis).flat_map(|(row, times)| {
        let expected: f64 = row.iter().zip(best).map(|(term, factor)| term * factor).sum();
        times.iter().map(move |time| (time - expected).powi(2))
    });
    let failovers = millis.iter().map(Vec::len).sum::<usize>();
    Ok(Fit {
        offset_ns,
        timeout_millionths,
        range_millionths,
        heartbeat_millionths,
        residual_ns: millionfold((squares.sum::<f64>() / failovers as f64).sqrt()).unsigned_abs(),
        failovers,
        settings: sweep.len(),
    })
}

/// One row of the equations, in milliseconds.
fn terms(timing: &Timing) -> [f64; TERMS] {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let range = timing.election_timeout_max.saturating_sub(timing.election_timeout_min);
    // The dead leader counts among the nodes, so that `s + 1` is their number.
    [1.0, ms(timing.election_timeout_min), ms(range) / timing.nodes as f64, -ms(timing.heartbeat) / 2.0]
}

#[expect(clippy::cast_possible_truncation, reason = "saturates far beyond any timeout")]
fn millionfold(value: f64) -> i64 {
    (value * 1e6).round() as i64
}

/// Solves the normal equations, each setting weighted by its failovers; `None` if they have no one solution.
fn least_squares(rows: &[[f64; TERMS]], values: &[f64], weights: &[f64]) -> Option<[f64; TERMS]> {
    // The last column is the right-hand side.
    let mut system = [[0.0; TERMS + 1]; TERMS];
    for ((row, value), weight) in rows.iter().zip(values).zip(weights) {
        for (line, term) in system.iter_mut().zip(row) {
            for (cell, other) in line.iter_mut().zip(row.iter().chain([value])) {
                *cell += weight * term * other;
            }
        }
    }
    let scale: Vec<f64> = (0..TERMS).map(|index| system[index][index]).collect();
    for pivot in 0..TERMS {
        // Next to nothing left of a column after the others are taken out: it was a mixture of them.
        if system[pivot][pivot] <= 1e-9 * scale[pivot] {
            return None;
        }
        let of_pivot = system[pivot];
        for (_, line) in system.iter_mut().enumerate().filter(|(index, _)| *index != pivot) {
            let factor = line[pivot] / of_pivot[pivot];
            for (cell, above) in line.iter_mut().zip(of_pivot) {
                *cell -= factor * above;
            }
        }
    }
    Some(std::array::from_fn(|index| system[index][TERMS] / system[index][index]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn timing(min: u64, range: u64, heartbeat: u64) -> Timing {
        Timing {
            nodes: 5,
            election_timeout_min: MS(min),
            election_timeout_max: MS(min + range),
            heartbeat: MS(heartbeat),
            pre_vote: false,
            rtt: Duration::from_micros(100),
            fsync: Duration::ZERO,
            mixed: false,
        }
    }

    /// Timeouts that are `slow` times as long as declared, and 3 ms late.
    fn sweep(seed: u64, samples: usize, slow: f64) -> Vec<SweepPoint> {
        let mut draws = Draws::new(seed, "sweep");
        let mut uniform = move || (draws.next() >> 11) as f64 / (1_u64 << 53) as f64;
        let settings =
            [(150, 150, 40), (150, 150, 120), (150, 30, 40), (300, 150, 40), (300, 300, 120), (600, 100, 20)];
        let point = |(min, range, heartbeat): (u64, u64, u64)| {
            let mut one = || {
                let first = (0..4).map(|_| uniform()).fold(1.0, f64::min) * range as f64;
                let waited = slow * (min as f64 + first) - uniform() * heartbeat as f64;
                Duration::from_secs_f64((waited + 3.0) / 1e3)
            };
            SweepPoint { timing: timing(min, range, heartbeat), detected: (0..samples).map(|_| one()).collect() }
        };
        settings.into_iter().map(point).collect()
    }

    #[test]
    fn known_parameters_are_found_in_95_of_100_sweeps() {
        let mut held = [0; TERMS];
        for seed in 0..300 {
            let fit = fit(&sweep(seed, 40, 1.1), 200, seed).unwrap();
            let truth = [3_000_000, 1_100_000, 1_100_000, 1_000_000];
            let found = [fit.offset_ns, fit.timeout_millionths, fit.range_millionths, fit.heartbeat_millionths];
            for ((held, found), truth) in held.iter_mut().zip(found).zip(truth) {
                *held += u32::from(found.holds(truth));
            }
        }
        println!("intervals that hold the truth, of 300: {held:?}");
        assert!(held.iter().all(|held| *held >= 272), "{held:?}");
    }

    #[test]
    fn a_system_that_waits_a_tenth_longer_than_it_declares_is_told_from_one_that_keeps_its_word() {
        let late = fit(&sweep(1, 100, 1.1), 400, 1).unwrap();
        assert!(!late.timeout_millionths.holds(1_000_000), "{late:?}");
        let punctual = fit(&sweep(1, 100, 1.0), 400, 1).unwrap();
        assert!(punctual.timeout_millionths.holds(1_000_000), "{punctual:?}");
        assert_eq!((punctual.failovers, punctual.settings), (600, 6));
    }

    #[test]
    fn settings_that_only_vary_together_are_refused() {
        let point = |min| SweepPoint { timing: timing(min, min, min / 2), detected: vec![MS(min); 5] };
        let together: Vec<SweepPoint> = [100, 150, 200, 300, 400].map(point).to_vec();
        assert_eq!(fit(&together, 100, 1), Err(Unfit::Collinear));
        assert_eq!(fit(&together[..3], 100, 1), Err(Unfit::FewSettings(3)));
        let mut few = sweep(1, 10, 1.0);
        few[2].detected.truncate(4);
        assert_eq!(fit(&few, 100, 1), Err(Unfit::FewSamples(4)));
    }
}
