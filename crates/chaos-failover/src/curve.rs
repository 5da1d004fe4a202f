//! How long failovers of a sound system take, as a distribution: the floor's mean with its spread.
//!
//! A round begins with the first of `s = n − 1` timers, `M = min U(0, R)` after `T_min`. If `M = m`, each other timer is uniform
//! on `[m, R]`, so it fires within the window `w = L + W` (before the candidate's request is there) with probability
//! `λ(m) = w / (R − m)`; the round splits if at least `s − ⌊n/2⌋` of the other `s − 1` do. (Over all `m` that is the closed form of
//! [`crate::Floor`], which a test holds it against.) A split round costs `T_min + M` and the next one begins.
//!
//! ```text
//!  loss of the leader = T_min + M₁ [+ T_min + M₂ …]  − a  + L + messages of the vote      a: age of the last heartbeat, U(0, h)
//! ```
//!
//! Densities of `M` given the round's end are masses on a grid over `[0, R]`, exact in each cell; rounds are convolved on it, and
//! the heartbeat's age is integrated in closed form. Nothing is drawn at random: the same timing gives the same curve.
//!
//! Refuses to guess delays that vary: `L` and `W` are constants here, so real clusters are a little smoother, and those that wait
//! for a CPU are slower, which is the finding. Source: Ongaro's thesis (2014), §9.1 and §9.2.

use std::time::Duration;

use chaos_plan::expect::Phase;

use crate::floor::{Timing, binomial, power};

/// Cells over `[0, R]`: times are exact to well below R / 128.
const CELLS: usize = 128;
/// After this many rounds the curve ends, and earlier where less than a millionth of all failovers needs more.
const ROUNDS_MAX: usize = 64;
const REST: f64 = 1e-6;

/// The distribution of one phase. All times are in seconds.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    /// One per number of rounds: failovers that needed so many.
    rounds: Vec<Round>,
    /// The cells' width; 0 for timeouts without a spread.
    cell: f64,
    /// What comes on top of the timeouts in every failover.
    messages: f64,
    /// The heartbeat interval, the largest age of the last one.
    heartbeat: f64,
}

/// Failovers that needed the same number of rounds.
#[derive(Clone, Debug)]
struct Round {
    /// The timeouts' fixed parts.
    offset: f64,
    /// The share of failovers up to each cell's beginning, the end of the last one included.
    below: Vec<f64>,
    /// The integral of that share over time.
    integral: Vec<f64>,
}

impl Curve {
    /// The curve of a phase; `None` for the last phase, for fewer than two nodes, where nodes have different timings and where every round splits.
    pub(crate) fn of(timing: &Timing, phase: Phase) -> Option<Self> {
        let servers = timing.nodes.checked_sub(1).filter(|servers| *servers > 0 && !timing.mixed)?;
        let (one_way, fsync) = ((timing.rtt / 2).as_secs_f64(), timing.fsync.as_secs_f64());
        let spread = timing.election_timeout_max.saturating_sub(timing.election_timeout_min).as_secs_f64();
        let vote = one_way * if timing.pre_vote { 4.0 } else { 2.0 } + 2.0 * fsync;
        let messages = one_way
            + match phase {
                Phase::Detected => 0.0,
                Phase::Elected => vote,
                Phase::Converged => vote + one_way,
                Phase::Writable => vote + 2.0 * one_way + fsync,
                Phase::Available => return None,
            };
        let window = if phase == Phase::Detected { None } else { Some(one_way + fsync) };
        let (won, split) = first_round(timing.nodes, servers, spread, window);
        let base = timing.election_timeout_min.as_secs_f64();
        let cell = spread / CELLS as f64;
        let rounds = rounds(won, &split, base, cell);
        (!rounds.is_empty()).then_some(Self { rounds, cell, messages, heartbeat: timing.heartbeat.as_secs_f64() })
    }

    /// The time within which this share of failovers (in parts per million) has come to the phase; `None` if the curve ends below.
    pub(crate) fn quantile(&self, millionths: u32) -> Option<Duration> {
        let share = f64::from(millionths) / 1e6;
        if share > self.rounds.iter().filter_map(|round| round.below.last()).sum::<f64>() {
            return None;
        }
        let last = self.rounds.last()?;
        let (mut lo, mut hi) = (0.0, last.offset + self.cell * last.below.len() as f64 + self.messages);
        if millionths == 0 {
            let soonest = self.rounds.first()?.offset + self.messages - self.heartbeat;
            return Some(Duration::from_secs_f64(soonest.max(0.0)));
        }
        // 60 halvings are below a nanosecond for any time that fits a run.
        for _ in 0..60 {
            let middle = f64::midpoint(lo, hi);
            if self.share(middle) < share { lo = middle } else { hi = middle }
        }
        Some(Duration::from_secs_f64(hi))
    }

    /// The share of failovers that have come to the phase after `time`, averaged over the age of the last heartbeat.
    fn share(&self, time: f64) -> f64 {
        let since = time - self.messages;
        if self.heartbeat <= 0.0 {
            return self.rounds.iter().map(|round| round.share(since, self.cell)).sum();
        }
        let until = |at: f64| self.rounds.iter().map(|round| round.integral(at, self.cell)).sum::<f64>();
        (until(since + self.heartbeat) - until(since)) / self.heartbeat
    }
}

impl Round {
    fn new(offset: f64, masses: &[f64], cell: f64) -> Self {
        let (mut below, mut integral) = (vec![0.0], vec![0.0]);
        let (mut share, mut area) = (0.0, 0.0);
        for mass in masses {
            area += (share + mass / 2.0) * cell;
            share += mass;
            below.push(share);
            integral.push(area);
        }
        Self { offset, below, integral }
    }

    fn total(&self) -> f64 {
        self.below[self.below.len() - 1]
    }

    /// Where `at` lies: the cell's index and the share of it that is over; `Err` before the first (false) or after the last (true).
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "compared with the number of cells before"
    )]
    fn place(&self, at: f64, cell: f64) -> Result<(usize, f64), bool> {
        let cells = (at - self.offset) / cell;
        if at < self.offset {
            Err(false)
        } else if cell <= 0.0 || cells >= (self.below.len() - 1) as f64 {
            Err(true)
        } else {
            Ok((cells as usize, cells.fract()))
        }
    }

    fn share(&self, at: f64, cell: f64) -> f64 {
        match self.place(at, cell) {
            Ok((index, over)) => self.below[index] + (self.below[index + 1] - self.below[index]) * over,
            Err(after) => {
                if after {
                    self.total()
                } else {
                    0.0
                }
            }
        }
    }

    fn integral(&self, at: f64, cell: f64) -> f64 {
        match self.place(at, cell) {
            Ok((index, over)) => {
                let mass = self.below[index + 1] - self.below[index];
                self.integral[index] + (self.below[index] + mass * over / 2.0) * over * cell
            }
            Err(true) => {
                let end = self.offset + cell * (self.below.len() - 1) as f64;
                self.integral[self.integral.len() - 1] + self.total() * (at - end)
            }
            Err(false) => 0.0,
        }
    }
}

/// The masses of `M` of rounds that elect somebody and of rounds that split. Without a window no round splits (the first timer
/// alone is looked at).
fn first_round(nodes: usize, servers: usize, spread: f64, window: Option<f64>) -> (Vec<f64>, Vec<f64>) {
    // No latency and no spread either: all timers fire at one instant, and everybody votes for itself.
    if spread <= 0.0 {
        return if window.is_none() { (vec![1.0], vec![0.0]) } else { (vec![0.0], vec![1.0]) };
    }
    let survival = |index: usize| power(1.0 - index as f64 / CELLS as f64, servers);
    let cells = (0..CELLS).map(|index| {
        let mass = survival(index) - survival(index + 1);
        let left = spread * (1.0 - (index as f64 + 0.5) / CELLS as f64);
        let splits = window.map_or(0.0, |window| splits(nodes, servers, (window / left).min(1.0)));
        (mass * (1.0 - splits), mass * splits)
    });
    cells.unzip()
}

/// The probability that a round splits if each other timer falls into the first one's window with probability `within`.
fn splits(nodes: usize, servers: usize, within: f64) -> f64 {
    let (others, least) = (servers - 1, servers.saturating_sub(nodes / 2));
    let term = |k: usize| binomial(others, k) * power(within, k) * power(1.0 - within, others - k);
    if least == 0 { 1.0 } else { (least..=others).map(term).sum() }
}

/// Convolves round after round. Empty if no round ever elects anybody.
fn rounds(won: Vec<f64>, split: &[f64], base: f64, cell: f64) -> Vec<Round> {
    let mut rounds = Vec::new();
    if won.iter().sum::<f64>() <= REST {
        return rounds;
    }
    // The sum of the split rounds so far, as masses on the grid.
    let mut before = vec![1.0];
    let mut masses = won.clone();
    for number in 1..=ROUNDS_MAX {
        rounds.push(Round::new(base * number as f64, &masses, cell));
        before = if number == 1 { split.to_vec() } else { convolved(&before, split) };
        if before.iter().sum::<f64>() < REST {
            break;
        }
        masses = convolved(&before, &won);
    }
    rounds
}

/// The sum of two independent times. Two values spread over one cell each have a sum spread over two: half of it goes to each,
/// which keeps the mean exact.
fn convolved(one: &[f64], other: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; one.len() + other.len()];
    for (i, a) in one.iter().enumerate().filter(|(_, a)| **a > 0.0) {
        for (j, b) in other.iter().enumerate() {
            sum[i + j] += a * b / 2.0;
            sum[i + j + 1] += a * b / 2.0;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floor::Floor;

    #[test]
    fn split_rounds_are_as_frequent_as_the_closed_form_says() {
        for nodes in 2..10 {
            for window_ms in [0.0, 0.3, 1.5, 15.0, 40.0] {
                let spread = 0.150;
                let (won, split) = first_round(nodes, nodes - 1, spread, Some(window_ms / 1e3));
                let (won, split): (f64, f64) = (won.iter().sum(), split.iter().sum());
                let timing = Timing {
                    nodes,
                    election_timeout_min: Duration::from_millis(150),
                    election_timeout_max: Duration::from_millis(300),
                    heartbeat: Duration::ZERO,
                    pre_vote: false,
                    rtt: Duration::from_secs_f64(2.0 * window_ms / 1e3),
                    fsync: Duration::ZERO,
                    mixed: false,
                };
                let expected = f64::from(Floor::of(&timing).unwrap().split_millionths) / 1e6;
                assert!((split - expected).abs() < 1e-3, "n={nodes} w={window_ms}: {split}, expected {expected}");
                assert!((won + split - 1.0).abs() < 1e-9, "n={nodes} w={window_ms}: {won} + {split}");
            }
        }
    }
}
