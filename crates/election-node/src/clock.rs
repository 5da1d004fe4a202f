//! The node's clock: CLOCK_MONOTONIC times a rate. (A specimen that takes the time of day for a clock gets CLOCK_REALTIME instead.)
//!
//! All nodes of a test run on one host and would share a perfect clock, so a skew between them has to be made: with
//! `--clock-rate 1.25` the node believes that 1.25 s pass in a second, for its timeouts and its leases alike. Everything
//! that a harness compares across nodes carries the host's clock as well.

use std::time::Duration;

use election::Nanos;
use election::specimens::ClockKind;
use nix::time::{ClockId, clock_gettime};

const BILLION: u128 = 1_000_000_000;

/// How fast a node's clock runs, in parts per billion of the host's; 1,000 (a millionth) to 10¹² (a thousandfold).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClockRate(u64);

impl ClockRate {
    /// From a factor such as 1.25; `None` outside 0.001–1000.
    pub(crate) fn new(factor: f64) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first")]
        (0.001..=1000.0).contains(&factor).then(|| Self((factor * 1e9).round() as u64))
    }
}

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// CLOCK_MONOTONIC of the host, ns: comparable between all processes on it.
    pub(crate) monotonic_ns: u64,
    /// The node's own clock.
    pub(crate) node: Nanos,
}

/// Reads the clock of one node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    rate: ClockRate,
    kind: ClockKind,
}

impl Clock {
    /// A clock of this rate; it agreed with the host's when that was at zero.
    pub(crate) fn new(rate: ClockRate, kind: ClockKind) -> Self {
        Self { rate, kind }
    }

    /// Both clocks, now.
    pub(crate) fn read(&self) -> Reading {
        let monotonic_ns = host_ns(ClockId::CLOCK_MONOTONIC);
        let node = match self.kind {
            ClockKind::Monotonic => monotonic_ns,
            ClockKind::Wall => host_ns(ClockId::CLOCK_REALTIME),
        };
        Reading { monotonic_ns, node: self.at(node) }
    }

    fn at(&self, host_ns: u64) -> Nanos {
        let scaled = u128::from(host_ns) * u128::from(self.rate.0) / BILLION;
        Nanos(u64::try_from(scaled).unwrap_or(u64::MAX))
    }

    /// How long the host has to wait until the node's clock has advanced by `span`; rounded up, so that a deadline has
    /// passed when the wait is over.
    pub(crate) fn host_duration(&self, span: Duration) -> Duration {
        let scaled = (span.as_nanos().saturating_mul(BILLION)).div_ceil(u128::from(self.rate.0));
        Duration::from_nanos(u64::try_from(scaled).unwrap_or(u64::MAX))
    }
}

/// A clock of the host in nanoseconds.
fn host_ns(clock: ClockId) -> u64 {
    let time = clock_gettime(clock).expect("every supported system has both clocks");
    let nanos = i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec());
    u64::try_from(nanos).expect("both clocks are positive and below 584 years")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_computed_for_a_fast_or_slow_clock_ends_when_its_deadline_has_passed() {
        for factor in [0.001, 0.8, 1.0, 1.25, 3.0, 1000.0] {
            let clock = Clock::new(ClockRate::new(factor).unwrap(), ClockKind::Monotonic);
            for span in [1, 999, 150_000_000, 7_777_777_777].map(Duration::from_nanos) {
                let begin = 123_456_789_012;
                let wait = u64::try_from(clock.host_duration(span).as_nanos()).unwrap();
                let (before, after) = (clock.at(begin), clock.at(begin + wait));
                assert!(after.since(before) + Duration::from_nanos(1) >= span, "{factor} {span:?}");
                let ideal = span.as_secs_f64() / factor;
                assert!(Duration::from_nanos(wait).as_secs_f64() <= ideal + 2e-9, "{factor} {span:?}");
            }
        }
    }

    #[test]
    fn rates_out_of_range_are_refused() {
        for factor in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-4, 1001.0] {
            assert_eq!(ClockRate::new(factor), None, "{factor}");
        }
        assert_eq!(ClockRate::new(1.0), Some(ClockRate(1_000_000_000)));
    }
}
