//! What the system's own timeouts allow: no failover can be faster, and a sound one takes this long on average.
//!
//! Symbols of Ongaro's thesis (2014), chapter 9: election timeouts drawn from `T_min + U(0, R)`, `s` servers available after the
//! leader is gone (`n − 1`), heartbeat interval `h`, one-way latency `L`, durable write of the vote `W`.
//!
//! * First timeout (§9.1): `E[M_s] = R / (s + 1)` after `T_min`, counted from the last heartbeat, whose age at a random
//!   moment is `h / 2` on average and `h` at most.
//! * Split vote (§9.2, in closed form because spacings of uniform variables are exchangeable): with `λ = (L + W) / R`,
//!   `p = P[Bin(s, λ) ≥ s − ⌊n/2⌋]`; three-node clusters are the worst odd size, `p = 2λ − λ²`.
//! * Rounds are geometric, so the mean is `(T_min + R/(s+1)) / (1 − p) − h/2 + L + [pre-vote: 2L] + 2L + 2W` until the winner
//!   knows, `L` more until followers do, `2L + W` more until the first write is committed.
//! * Floor: `T_min − h + 3L` (`+ 2L` with pre-vote), since even the oldest heartbeat needs `L` and a vote a round trip.
//!
//! Refuses to be a prediction: processes that wait for a CPU or a disk are slower, and the difference is the finding.

use std::time::Duration;

use chaos_history::FaultKind;
use chaos_plan::RaftOptions;
use chaos_plan::definition::DefinedTiming;
use chaos_plan::expect::Phase;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::curve::Curve;
use crate::interval::{as_nanos, as_nanos_option};

/// What is known of the system's timing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timing {
    /// Nodes, the dead leader included; at least 1.
    pub nodes: usize,
    /// The shortest election timeout.
    #[serde(with = "as_nanos")]
    pub election_timeout_min: Duration,
    /// The longest election timeout.
    #[serde(with = "as_nanos")]
    pub election_timeout_max: Duration,
    /// How often the leader shows that it is there.
    #[serde(with = "as_nanos")]
    pub heartbeat: Duration,
    /// Whether candidates ask before they campaign.
    pub pre_vote: bool,
    /// The round trip between two nodes.
    #[serde(with = "as_nanos")]
    pub rtt: Duration,
    /// A durable write of term and vote (an estimate; zero where none is known).
    #[serde(with = "as_nanos")]
    pub fsync: Duration,
    /// Whether nodes differ in any of these: then they are the extremes of all nodes, which bound a failover and don't predict one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mixed: bool,
}

impl Timing {
    /// The reference node's timing, with what was measured of the host.
    #[must_use]
    pub fn of_raft(nodes: usize, options: &RaftOptions, rtt: Duration, fsync: Duration) -> Self {
        Self {
            nodes,
            election_timeout_min: options.election_timeout.min,
            election_timeout_max: options.election_timeout.max,
            heartbeat: options.heartbeat,
            pre_vote: options.pre_vote,
            rtt,
            fsync,
            mixed: false,
        }
    }

    /// The timing that a definition tells, with what was measured of the host.
    #[must_use]
    pub fn of_defined(nodes: usize, timing: &DefinedTiming, rtt: Duration, fsync: Duration) -> Self {
        Self {
            nodes,
            election_timeout_min: timing.election_timeout.min,
            election_timeout_max: timing.election_timeout.max,
            heartbeat: timing.heartbeat,
            pre_vote: timing.pre_vote,
            rtt,
            fsync,
            mixed: false,
        }
    }

    /// What holds of a cluster whose nodes have these timings, whoever leads and whoever follows it: the earliest first timeout, the
    /// latest last one, the oldest heartbeat, and a round of pre-votes only if everybody asks for one. `None` of no node.
    #[must_use]
    pub fn of_nodes(timings: &[Self]) -> Option<Self> {
        let merged = timings.iter().copied().reduce(|one, other| Self {
            election_timeout_min: one.election_timeout_min.min(other.election_timeout_min),
            election_timeout_max: one.election_timeout_max.max(other.election_timeout_max),
            heartbeat: one.heartbeat.max(other.heartbeat),
            pre_vote: one.pre_vote && other.pre_vote,
            ..one
        });
        merged.map(|merged| Self { mixed: timings.iter().any(|timing| *timing != timings[0]), ..merged })
    }
}

/// The least and the mean time of one phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FloorTime {
    /// No failover can be faster.
    #[serde(with = "as_nanos")]
    pub min: Duration,
    /// The mean for a sound system; `None` where every round splits (timeouts without a spread), and where nodes have different timings,
    /// since the means are those of timers that are drawn alike.
    #[serde(with = "as_nanos_option")]
    pub mean: Option<Duration>,
}

/// The theoretical floor of a leader's crash with all others available.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Floor {
    /// The first follower's timer fires.
    pub detected: FloorTime,
    /// The winner knows that it leads.
    pub elected: FloorTime,
    /// A majority knows.
    pub converged: FloorTime,
    /// The first write is committed.
    pub writable: FloorTime,
    /// The probability that a round splits, in parts per million; 0 where nodes have different timings: then it is not known.
    pub split_millionths: u32,
    /// What it was computed from, for [`Floor::curve`]; reports of older versions don't have it.
    #[serde(default)]
    pub timing: Option<Timing>,
}

impl Floor {
    /// The floor of one phase; none for the last, which depends on the clients.
    #[must_use]
    pub fn of_phase(&self, phase: Phase) -> Option<FloorTime> {
        match phase {
            Phase::Detected => Some(self.detected),
            Phase::Elected => Some(self.elected),
            Phase::Converged => Some(self.converged),
            Phase::Writable => Some(self.writable),
            Phase::Available => None,
        }
    }

    /// The least time of a phase of failovers by faults of this kind; `None` also of those by the system's own operations, which need
    /// not wait for a timeout.
    #[must_use]
    pub fn of_failovers(&self, kind: FaultKind, phase: Phase) -> Option<FloorTime> {
        if kind.is_told() { None } else { self.of_phase(phase) }
    }

    /// The distribution that a sound system with these timeouts is expected to have, as points `(share of failovers in parts
    /// per million, time that this share needs at most)`, ascending in both: every half percent, and closer together in the
    /// tail. The times count from the leader's loss.
    ///
    /// The curve ends before 1,000,000 where more split votes than 64 would be needed. `None` for the last
    /// phase, which depends on the clients, where every round splits, where nodes have different timings, and for floors read from
    /// reports without their timing.
    #[must_use]
    pub fn curve(&self, phase: Phase) -> Option<Vec<(u32, Duration)>> {
        let curve = Curve::of(self.timing.as_ref()?, phase)?;
        let steps = (0..198).map(|step| step * 5_000).chain((990..1000).map(|step| step * 1_000));
        let shares = steps.chain([999_500, 999_900]);
        Some(shares.map_while(|share| curve.quantile(share).map(|time| (share, time))).collect())
    }

    /// The median of [`Floor::curve`].
    #[must_use]
    pub fn expected_median(&self, phase: Phase) -> Option<Duration> {
        Curve::of(self.timing.as_ref()?, phase)?.quantile(500_000)
    }

    /// The floor of a system with this timing; `None` for fewer than two nodes, where nobody is left to be elected.
    #[must_use]
    pub fn of(timing: &Timing) -> Option<Self> {
        let servers = timing.nodes.checked_sub(1).filter(|servers| *servers > 0)?;
        let one_way = timing.rtt / 2;
        let pre_vote = if timing.pre_vote { timing.rtt } else { Duration::ZERO };
        let spread = timing.election_timeout_max.saturating_sub(timing.election_timeout_min);
        let known = |mean: Duration| (!timing.mixed).then_some(mean);
        let split = split_probability(timing.nodes, (one_way + timing.fsync).as_secs_f64() / spread.as_secs_f64());

        let first_timeout = timing.election_timeout_min + spread.mul_f64(1.0 / (servers as f64 + 1.0));
        let rounds = (split < 1.0 && !timing.mixed).then(|| first_timeout.mul_f64(1.0 / (1.0 - split)));
        let age_mean = timing.heartbeat / 2;
        let from_heartbeat = |timeout: Duration, age: Duration| (timeout + one_way).saturating_sub(age);

        let detected = FloorTime {
            min: from_heartbeat(timing.election_timeout_min, timing.heartbeat),
            mean: known(from_heartbeat(first_timeout, age_mean)),
        };
        let elected = FloorTime {
            min: detected.min + pre_vote + timing.rtt,
            mean: rounds.map(|rounds| from_heartbeat(rounds, age_mean) + pre_vote + timing.rtt + 2 * timing.fsync),
        };
        let later = |time: FloorTime, min: Duration, mean: Duration| FloorTime {
            min: time.min + min,
            mean: time.mean.map(|known| known + mean),
        };
        Some(Self {
            detected,
            elected,
            converged: later(elected, one_way, one_way),
            writable: later(elected, timing.rtt, timing.rtt + timing.fsync),
            split_millionths: if timing.mixed { 0 } else { millionths(split) },
            timing: Some(*timing),
        })
    }
}

/// `P[Bin(s, λ) ≥ s − ⌊n/2⌋]`; a spread of zero gives λ = ∞ (or NaN without latency), which is certainty.
fn split_probability(nodes: usize, lambda: f64) -> f64 {
    let servers = nodes - 1;
    let lambda = if lambda.is_finite() { lambda.clamp(0.0, 1.0) } else { 1.0 };
    let least = servers.saturating_sub(nodes / 2);
    let term = |k: usize| binomial(servers, k) * power(lambda, k) * power(1.0 - lambda, servers - k);
    (least..=servers).map(term).sum::<f64>().clamp(0.0, 1.0)
}

pub(crate) fn power(base: f64, exponent: usize) -> f64 {
    (0..exponent).map(|_| base).product()
}

pub(crate) fn binomial(n: usize, k: usize) -> f64 {
    (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product()
}

/// A share from 0 to 1 in parts per million.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 ..= 1,000,000")]
pub(crate) fn millionths(share: f64) -> u32 {
    (share.clamp(0.0, 1.0) * 1e6).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The simulator of the references: T 150–300 ms, L mean 1.1 ms, W 1 ms, last heartbeat about 4 ms old.
    fn simulated(nodes: usize, pre_vote: bool) -> Timing {
        Timing {
            nodes,
            election_timeout_min: Duration::from_millis(150),
            election_timeout_max: Duration::from_millis(300),
            heartbeat: Duration::from_millis(8),
            pre_vote,
            rtt: Duration::from_micros(2200),
            fsync: Duration::from_millis(1),
            mixed: false,
        }
    }

    #[test]
    fn the_mean_agrees_with_the_published_table_of_simulated_failovers() {
        let table = [(3, true, 209.2), (3, false, 207.0), (4, true, 199.1), (5, true, 183.7), (5, false, 181.5)];
        for (nodes, pre_vote, expected) in table {
            let mean = Floor::of(&simulated(nodes, pre_vote)).unwrap().elected.mean.unwrap();
            let error = (mean.as_secs_f64() * 1e3 - expected).abs();
            assert!(error < 1.0, "n={nodes} pre_vote={pre_vote}: {mean:?}, expected {expected} ms");
        }
    }

    #[test]
    fn split_votes_follow_the_closed_form() {
        let close = |n, lambda, expected: f64| (split_probability(n, lambda) - expected).abs() < 0.001;
        assert!(close(3, 0.1, 0.19) && close(4, 0.1, 0.271) && close(5, 0.1, 0.0523) && close(7, 0.1, 0.0159));
        assert!(close(3, 0.01, 0.0199));
    }

    #[test]
    fn timeouts_without_spread_split_for_ever() {
        let timing = Timing { election_timeout_max: Duration::from_millis(150), ..simulated(5, false) };
        let floor = Floor::of(&timing).unwrap();
        assert_eq!(floor.elected.mean, None);
        assert_eq!(floor.split_millionths, 1_000_000);
    }

    #[test]
    fn the_floor_is_the_shortest_timeout_less_a_heartbeat_and_three_flights() {
        let timing = Timing { heartbeat: Duration::from_millis(40), ..simulated(5, false) };
        assert_eq!(Floor::of(&timing).unwrap().elected.min, Duration::from_micros(150_000 - 40_000 + 3 * 1100));
    }

    #[test]
    fn of_nodes_with_different_timings_only_a_lower_bound_is_known() {
        let usual = Timing { heartbeat: Duration::from_millis(40), ..simulated(3, true) };
        assert_eq!(Timing::of_nodes(&[usual; 3]), Some(usual));
        let hasty = Timing { election_timeout_min: Duration::from_millis(60), pre_vote: false, ..usual };
        let slow = Timing { heartbeat: Duration::from_millis(50), ..usual };
        let mixed = Timing::of_nodes(&[usual, slow, hasty]).unwrap();
        assert_eq!(mixed, Timing { heartbeat: slow.heartbeat, mixed: true, ..hasty });
        let floor = Floor::of(&mixed).unwrap();
        assert_eq!(floor.elected.min, Duration::from_micros(60_000 - 50_000 + 3 * 1100));
        assert_eq!((floor.detected.mean, floor.elected.mean, floor.split_millionths), (None, None, 0));
        assert_eq!(floor.curve(Phase::Elected), None);
    }

    #[test]
    fn a_single_node_has_no_floor() {
        assert_eq!(Floor::of(&simulated(1, true)), None);
    }
}
