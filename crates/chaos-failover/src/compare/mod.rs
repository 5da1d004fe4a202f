//! Is B slower than A, and how sure is that?
//!
//! ```text
//!                 A        B      B − A    95 % interval       verdict
//! elected p50   212 ms   214 ms   +2 ms   [−9 ms, +14 ms]     no difference shown
//! elected p50   212 ms   268 ms  +56 ms   [+41 ms, +71 ms]    slower
//! ```
//!
//! Per kind of fault and phase, the medians (and where n allows, the 90th percentiles) of two pools are compared. A row says
//! "slower" or "faster" only if all of these hold:
//!
//! 1. the 95 % interval of the difference excludes zero (bootstrap, see `bootstrap`),
//! 2. the difference still stands after Holm's correction over *all* rows of the table (see `exact`), so that a table of twenty
//!    rows that compares a system with itself raises a false alarm in at most one of twenty tables, not in one of each,
//! 3. it exceeds the stated minimum: a share of A's figure, and never less than the measurement's own uncertainty.
//!
//! Everything else is "no difference shown", which is not "no difference". How often nobody was elected at all, and how often a
//! heal cost another election, is compared too (Fisher's exact test, same family). Phases that never came stand at the worst rank; see [`Pool`].
//!
//! Refuses to compare different systems or cluster sizes, and never compares two kinds of fault with each other.

mod bootstrap;
mod exact;
#[cfg(test)]
mod simulation_tests;

use std::fmt;
use std::time::Duration;

use chaos_history::FaultKind;
use chaos_plan::expect::Phase;
use serde::{Deserialize, Serialize};

use crate::distribution::samples_needed;
use crate::floor::millionths;
use crate::interval::{as_nanos, as_word, nanos};
use crate::pool::{PhaseSample, Pool, Setting};
pub(crate) use bootstrap::Draws;
use bootstrap::{RUNS_MIN, Resampler, differences};

/// The chance of a false alarm that a whole table may have.
const LEVEL: f64 = 0.05;

/// How to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompareOptions {
    /// The least difference worth a verdict, in parts per million of A's figure.
    pub min_effect_millionths: u32,
    /// How many resamples; at least 40.
    pub resamples: usize,
    /// The seed of all draws.
    pub seed: u64,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self { min_effect_millionths: 50_000, resamples: 10_000, seed: 1 }
    }
}

/// What was found between two pools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The least difference worth a verdict, in parts per million of A's figure.
    pub min_effect_millionths: u32,
    /// How many resamples.
    pub resamples: usize,
    /// How many rows were tested; the correction is over all of them.
    pub tested: usize,
    /// Whether runs were resampled before failovers: both sides have runs enough.
    pub by_run: bool,
    /// Per kind, phase and figure.
    pub rows: Vec<Row>,
    /// Per kind, how often something happened.
    pub rates: Vec<RateRow>,
    /// Runs that violated safety.
    pub violated: [Share; 2],
    /// Runs of A and of B that have a verdict, whatever it is.
    #[serde(default)]
    pub judged: [u64; 2],
    /// What is set differently on the two sides: name, value of A, value of B.
    pub differing: Vec<[String; 3]>,
    /// What a reader should know before believing the rows.
    pub warnings: Vec<String>,
}

impl Comparison {
    /// Whether any row is slower, or anything happens more often that should not.
    #[must_use]
    pub fn regressed(&self) -> bool {
        self.outcomes().any(|outcome| outcome == Outcome::Slower)
    }

    /// Whether nothing was told: no time had samples enough, and nothing happened more or less often.
    #[must_use]
    pub fn nothing_tested(&self) -> bool {
        let told = |outcome| matches!(outcome, Outcome::Slower | Outcome::Faster);
        self.rows.iter().all(|row| row.outcome == Outcome::TooFew) && !self.outcomes().any(told)
    }

    /// Whether a side has no run with a verdict, so that its times say nothing of a sound system.
    #[must_use]
    pub fn nobody_judged(&self) -> bool {
        self.judged.contains(&0)
    }

    fn outcomes(&self) -> impl Iterator<Item = Outcome> {
        self.rows.iter().map(|row| row.outcome).chain(self.rates.iter().map(|row| row.outcome))
    }
}

/// One figure of one phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The kind of fault.
    pub kind: FaultKind,
    /// The phase.
    #[serde(with = "as_word")]
    pub phase: Phase,
    /// Which figure.
    pub statistic: Statistic,
    /// A.
    pub a: Side,
    /// B.
    pub b: Side,
    /// B − A in nanoseconds; `None` without samples on a side.
    pub effect_ns: Option<i64>,
    /// The same in parts per million of A.
    pub effect_millionths: Option<i64>,
    /// The 95 % interval of B − A in nanoseconds, each row taken alone; `None` with too few samples.
    pub interval_ns: Option<[i64; 2]>,
    /// The p-value in parts per million, corrected for the whole table.
    pub adjusted_p_millionths: Option<u32>,
    /// The least difference worth a verdict here.
    #[serde(with = "as_nanos")]
    pub minimum: Duration,
    /// The verdict.
    pub outcome: Outcome,
}

/// A figure that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// The median, from 10 samples a side.
    P50,
    /// The 90th percentile, told from 29 samples, tested from 59 a side.
    P90,
}

/// A median is compared from so many samples a side: with fewer its interval misses the truth too often.
const MEDIAN_SAMPLES: usize = 10;
/// A 90th percentile is compared from so many samples a side. To be *told*, 29 are enough; an interval needs values on both
/// sides of it, and from here on the simulations show that it holds its level.
const P90_SAMPLES: usize = 59;

impl Statistic {
    /// Both.
    pub const ALL: [Self; 2] = [Self::P50, Self::P90];

    /// As reports write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
        }
    }

    /// How many samples a side it takes.
    #[must_use]
    pub fn samples(self) -> usize {
        match self {
            Self::P50 => MEDIAN_SAMPLES,
            Self::P90 => P90_SAMPLES,
        }
    }

    fn quantile(self) -> f64 {
        match self {
            Self::P50 => 0.5,
            Self::P90 => 0.9,
        }
    }

    /// Whether reports tell this figure of n samples at all.
    fn told(self, n: usize) -> bool {
        let percent = match self {
            Self::P50 => 50,
            Self::P90 => 90,
        };
        samples_needed(percent).is_some_and(|needed| n as u64 >= needed)
    }
}

/// One side of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// How many samples.
    pub n: usize,
    /// How many of them never came, and stand at the worst rank.
    pub never: u64,
    /// The figure in nanoseconds; `None` with too few samples, or if it lies among those that never came.
    pub value_ns: Option<u64>,
}

/// How many of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// So many.
    pub with: u64,
    /// Of so many.
    pub of: u64,
}

/// Something that should not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rate {
    /// Nobody was elected.
    NeverElected,
    /// The heal cost another election, although a majority had a leader.
    ElectionAfterHeal,
}

impl Rate {
    const ALL: [Self; 2] = [Self::NeverElected, Self::ElectionAfterHeal];

    /// For people.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::NeverElected => "nobody elected",
            Self::ElectionAfterHeal => "election after heal",
        }
    }

    fn share(self, pool: &Pool, kind: FaultKind) -> Share {
        let (with, of) = match self {
            Self::NeverElected => pool.never_elected(kind),
            Self::ElectionAfterHeal => pool.disturbed(kind),
        };
        Share { with, of }
    }
}

/// How often something happened that should not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateRow {
    /// The kind of fault.
    pub kind: FaultKind,
    /// What happened.
    pub what: Rate,
    /// A.
    pub a: Share,
    /// B.
    pub b: Share,
    /// The p-value of Fisher's exact test in parts per million, corrected for the whole table.
    pub adjusted_p_millionths: u32,
    /// The verdict; `Slower` means more often.
    pub outcome: Outcome,
}

/// What a row says of B.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// B takes longer.
    Slower,
    /// B takes less long.
    Faster,
    /// The samples don't show a difference that is worth one.
    NoDifferenceShown,
    /// There are too few samples to say.
    TooFew,
}

impl Outcome {
    /// For people.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Slower => "slower",
            Self::Faster => "faster",
            Self::NoDifferenceShown => "no difference shown",
            Self::TooFew => "too few samples",
        }
    }
}

/// Why two pools can't be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incomparable {
    /// A side has no runs.
    NoRuns,
    /// The systems are different ones.
    System([String; 2]),
    /// The clusters have different sizes.
    Nodes([usize; 2]),
    /// No kind of fault took a leader away on both sides.
    Kinds([Vec<FaultKind>; 2]),
}

impl fmt::Display for Incomparable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = |kinds: &[FaultKind]| match kinds {
            [] => "nothing".to_owned(),
            some => some.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" and "),
        };
        match self {
            Self::NoRuns => write!(out, "a side without runs has nothing to compare"),
            Self::System([a, b]) => {
                write!(out, "A is of the system {a}, B of {b}: these are no two states of one thing")
            }
            Self::Nodes([a, b]) => write!(out, "A has {a} nodes, B has {b}: another size is another system"),
            Self::Kinds([a, b]) => {
                let (a, b) = (kinds(a), kinds(b));
                write!(out, "leaders were taken away by {a} in A and by {b} in B: kinds of fault are never mixed")
            }
        }
    }
}

impl std::error::Error for Incomparable {}

/// Compares B with A.
///
/// # Errors
/// If the two are not of one system, one size and at least one common kind of fault.
///
/// # Panics
/// If `options.resamples` is below 40, which leaves nothing outside of a 95 % interval.
pub fn compare(a: &Pool, b: &Pool, options: &CompareOptions) -> Result<Comparison, Incomparable> {
    assert!(options.resamples >= 40, "an interval needs resamples");
    let kinds = comparable(a, b)?;
    let by_run = a.runs.len() >= RUNS_MIN && b.runs.len() >= RUNS_MIN;
    let mut tests = Vec::new();
    let mut rows = Vec::new();
    for kind in &kinds {
        for phase in Phase::ALL {
            for (row, p) in rows_of(*kind, phase, a, b, by_run, options) {
                rows.push(row);
                tests.push(p);
            }
        }
    }
    let mut rates: Vec<RateRow> = Vec::new();
    for (kind, what) in kinds.iter().flat_map(|kind| Rate::ALL.map(|what| (*kind, what))) {
        let (a, b) = (what.share(a, kind), what.share(b, kind));
        // It never happened on either side: nothing to test, and a test would only cost the others power.
        let testable = a.of > 0 && b.of > 0 && a.with + b.with > 0;
        tests.push(testable.then(|| exact::fisher(a.with, a.of, b.with, b.of)));
        let outcome = if a.of == 0 || b.of == 0 { Outcome::TooFew } else { Outcome::NoDifferenceShown };
        rates.push(RateRow { kind, what, a, b, adjusted_p_millionths: 1_000_000, outcome });
    }
    let tested: Vec<f64> = tests.iter().flatten().copied().collect();
    let mut adjusted = exact::holm(&tested).into_iter();
    let mut adjusted = tests.iter().map(|test| test.and_then(|_| adjusted.next()));
    for row in &mut rows {
        if let Some(p) = adjusted.next().flatten() {
            conclude(row, p);
        }
    }
    for row in &mut rates {
        if let Some(p) = adjusted.next().flatten() {
            conclude_rate(row, p);
        }
    }
    let violated = [a, b].map(Pool::violated).map(|(with, of)| Share { with, of });
    Ok(Comparison {
        min_effect_millionths: options.min_effect_millionths,
        resamples: options.resamples,
        tested: tested.len(),
        by_run,
        rows,
        rates,
        violated,
        judged: [a, b].map(|pool| pool.runs.iter().filter(|run| run.judged()).count() as u64),
        differing: differing(a, b),
        warnings: warnings(a, b, by_run),
    })
}

/// The kinds that both sides have.
fn comparable(a: &Pool, b: &Pool) -> Result<Vec<FaultKind>, Incomparable> {
    if a.runs.is_empty() || b.runs.is_empty() {
        return Err(Incomparable::NoRuns);
    }
    if a.system.system != b.system.system {
        return Err(Incomparable::System([a, b].map(|pool| pool.system.system.clone())));
    }
    if a.system.nodes != b.system.nodes {
        return Err(Incomparable::Nodes([a, b].map(|pool| pool.system.nodes)));
    }
    let (of_a, of_b) = (a.kinds(), b.kinds());
    let both: Vec<FaultKind> = of_a.iter().copied().filter(|kind| of_b.contains(kind)).collect();
    if both.is_empty() { Err(Incomparable::Kinds([of_a, of_b])) } else { Ok(both) }
}

/// The rows of one phase, each with its p-value if it can be tested.
fn rows_of(
    kind: FaultKind,
    phase: Phase,
    a: &Pool,
    b: &Pool,
    by_run: bool,
    options: &CompareOptions,
) -> Vec<(Row, Option<f64>)> {
    let (a, b) = (a.sample(kind, phase), b.sample(kind, phase));
    if a.n() == 0 || b.n() == 0 {
        return Vec::new();
    }
    let least = a.n().min(b.n());
    let shown: Vec<Statistic> =
        Statistic::ALL.into_iter().filter(|statistic| *statistic == Statistic::P50 || statistic.told(least)).collect();
    let quantiles: Vec<f64> = shown.iter().map(|statistic| statistic.quantile()).collect();
    let (mut of_a, mut of_b) = (Resampler::new(&a.runs, by_run), Resampler::new(&b.runs, by_run));
    let observed: Vec<(f64, f64)> = quantiles.iter().map(|q| (of_a.quantile(*q), of_b.quantile(*q))).collect();
    let mut draws = Draws::new(options.seed, &format!("{} {}", kind.name(), phase.name()));
    let judged = if least >= MEDIAN_SAMPLES {
        differences(&mut of_a, &mut of_b, &quantiles, options.resamples, &mut draws).into_iter().map(Some).collect()
    } else {
        vec![None; shown.len()]
    };
    let of_row = |(statistic, (observed, judged)): (&Statistic, (&(f64, f64), Option<bootstrap::Resampled>))| {
        let (value_a, value_b) = *observed;
        let (side_a, side_b) = (side(&a, *statistic, value_a), side(&b, *statistic, value_b));
        let known = side_a.value_ns.is_some() && side_b.value_ns.is_some();
        let judged = judged.filter(|_| known && least >= statistic.samples());
        let share = value_a * f64::from(options.min_effect_millionths) / 1e6;
        let row = Row {
            kind,
            phase,
            statistic: *statistic,
            a: side_a,
            b: side_b,
            effect_ns: known.then(|| whole(value_b - value_a)),
            effect_millionths: (known && value_a > 0.0).then(|| whole((value_b - value_a) / value_a * 1e6)),
            interval_ns: judged.map(|judged| [whole(judged.lo), whole(judged.hi)]),
            adjusted_p_millionths: None,
            minimum: Duration::from_nanos(whole(share).unsigned_abs()).max(a.uncertainty).max(b.uncertainty),
            outcome: Outcome::TooFew,
        };
        (row, judged.map(|judged| judged.p))
    };
    shown.iter().zip(observed.iter().zip(judged)).map(of_row).collect()
}

fn side(sample: &PhaseSample, statistic: Statistic, value: f64) -> Side {
    let n = sample.n();
    // What never came stands at the end: the figure is one of a time only if it lies below them all.
    let among_those_that_came = ((n - 1) as f64 * statistic.quantile()).ceil() < n as f64 - sample.never as f64;
    let value_ns = (statistic.told(n) && among_those_that_came).then(|| whole(value).unsigned_abs());
    Side { n, never: sample.never, value_ns }
}

/// The verdict of a row that was tested.
fn conclude(row: &mut Row, adjusted_p: f64) {
    row.adjusted_p_millionths = Some(millionths(adjusted_p));
    let (Some(effect), Some([lo, hi])) = (row.effect_ns, row.interval_ns) else { return };
    let shown = adjusted_p < LEVEL && effect.unsigned_abs() > nanos(row.minimum);
    row.outcome = match (shown && lo > 0, shown && hi < 0) {
        (true, _) => Outcome::Slower,
        (false, true) => Outcome::Faster,
        (false, false) => Outcome::NoDifferenceShown,
    };
}

/// The verdict of a share that was tested.
fn conclude_rate(row: &mut RateRow, adjusted_p: f64) {
    row.adjusted_p_millionths = millionths(adjusted_p);
    let more = u128::from(row.b.with) * u128::from(row.a.of) > u128::from(row.a.with) * u128::from(row.b.of);
    row.outcome = match (adjusted_p < LEVEL, more) {
        (true, true) => Outcome::Slower,
        (true, false) => Outcome::Faster,
        (false, _) => Outcome::NoDifferenceShown,
    };
}

/// Nanoseconds of at most some hours, as a whole number.
#[expect(clippy::cast_possible_truncation, reason = "saturates, and 2⁶³ ns are three centuries")]
fn whole(value: f64) -> i64 {
    value.round() as i64
}

/// What is set differently.
fn differing(a: &Pool, b: &Pool) -> Vec<[String; 3]> {
    let facts = |pool: &Pool| -> Vec<Setting> {
        let workload = Setting::new("workload", pool.system.workload.clone());
        let all = [&pool.system.settings, &pool.system.versions, &pool.system.host];
        std::iter::once(workload).chain(all.into_iter().flatten().cloned()).collect()
    };
    let (a, b) = (facts(a), facts(b));
    let value = |of: &[Setting], name: &str| of.iter().find(|fact| fact.name == name).map(|fact| fact.value.clone());
    let mut names: Vec<&String> = a.iter().chain(&b).map(|fact| &fact.name).collect();
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(*name));
    let pairs = names.into_iter().map(|name| (name, value(&a, name), value(&b, name)));
    let unsaid = |value: Option<String>| value.unwrap_or_else(|| "not said".to_owned());
    pairs.filter(|(_, a, b)| a != b).map(|(name, a, b)| [name.clone(), unsaid(a), unsaid(b)]).collect()
}

fn warnings(a: &Pool, b: &Pool, by_run: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    let several = a.runs.len() > 1 || b.runs.len() > 1;
    if !by_run {
        let (of_a, of_b) = (a.runs.len(), b.runs.len());
        let runs = if several { format!("{of_a} and {of_b} runs are") } else { "single runs are".to_owned() };
        warnings.push(format!(
            "{runs} too few to see how much runs differ among themselves (it takes {RUNS_MIN} a side): failovers are taken \
             as independent, and an interval may be too narrow"
        ));
    }
    let hosts = [a, b].map(|pool| &pool.system.host);
    if hosts[0] != hosts[1] {
        warnings.push("the two sides ran on different hosts: a difference may be the machines'".to_owned());
    }
    if a.system.workload != b.system.workload {
        warnings.push("the two sides ran different workloads: a difference may be the load's".to_owned());
    }
    for (name, pool) in [("A", a), ("B", b)] {
        let (all, stalled) = (pool.failovers().count(), pool.failovers().filter(|failover| failover.stalled).count());
        if stalled > 0 {
            warnings.push(format!("{stalled} of {all} failovers of {name} overlap a stall of the host"));
        }
        let unknown = pool.runs.iter().filter(|run| !run.judged()).count();
        if unknown > 0 {
            warnings.push(format!("{unknown} of {} runs of {name} have no verdict", pool.runs.len()));
        }
    }
    warnings
}
