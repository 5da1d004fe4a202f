//! A node's own clock: what the protocol is told when it asks what time it is.
//!
//! It is the node's *monotonic* clock, which is the only one that the reference node reads: it may go at a wrong rate, and it never goes
//! back. A wall clock that jumps or strobes is noted and changes nothing, just as for the real node.
//!
//! The first reading is not zero and differs from node to node, so that nobody comes to rely on comparing two nodes' instants.

use election::Nanos;

const MILLION: u128 = 1_000_000;

/// The clock of one node. It outlives the node's processes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// It showed `shown` at `since` and goes on from there at `rate_millionths`.
    since: u64,
    shown: u64,
    rate_millionths: u32,
}

impl Clock {
    /// A clock of the true rate that shows `shown` at the run's begin.
    pub(crate) fn new(shown: u64) -> Self {
        Self { since: 0, shown, rate_millionths: 1_000_000 }
    }

    /// What it shows.
    pub(crate) fn at(&self, now: u64) -> Nanos {
        let passed = now - self.since;
        if self.rate_millionths == 1_000_000 {
            return Nanos(self.shown + passed);
        }
        let scaled = u128::from(passed) * u128::from(self.rate_millionths) / MILLION;
        Nanos(self.shown.saturating_add(u64::try_from(scaled).unwrap_or(u64::MAX)))
    }

    /// From now on it goes at this rate.
    pub(crate) fn goes_at(&mut self, now: u64, rate_millionths: u32) {
        let Nanos(shown) = self.at(now);
        *self = Self { since: now, shown, rate_millionths: rate_millionths.max(1) };
    }

    /// When it will show that; now, if it does already.
    pub(crate) fn shows(&self, what: Nanos, now: u64) -> u64 {
        let Some(left) = what.0.checked_sub(self.shown) else { return now };
        let at = if self.rate_millionths == 1_000_000 {
            self.since.saturating_add(left)
        } else {
            let passed = (u128::from(left) * MILLION).div_ceil(u128::from(self.rate_millionths));
            self.since.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
        };
        at.max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_never_falls_and_tells_when_it_will_show_what() {
        let mut clock = Clock::new(500);
        assert_eq!(clock.at(100), Nanos(600));
        clock.goes_at(100, 250_000);
        assert_eq!(clock.at(140), Nanos(610));
        clock.goes_at(140, 3_000_000);
        assert_eq!(clock.at(141), Nanos(613));
        for now in 141..200 {
            assert!(clock.at(now) >= clock.at(now - 1));
        }
        for shown in 610..700 {
            let at = clock.shows(Nanos(shown), 140);
            assert!(clock.at(at) >= Nanos(shown) && (at == 140 || clock.at(at - 1) < Nanos(shown)), "{shown}");
        }
        assert_eq!(clock.shows(Nanos(3), 150), 150);
    }
}
