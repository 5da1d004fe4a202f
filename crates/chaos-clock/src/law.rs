//! What a clock shows, as a function of true time: a straight line that is replaced at every change.
//!
//! ```text
//! shown = shown at the change + (true − true at the change) × rate
//! ```
//!
//! The same arithmetic, bit for bit, as in `stub.s`: the product is taken with 128 bits and rounded down. Refuses rates and
//! offsets with which it could overflow within a century.

use crate::ClockError;

/// The largest rate that is accepted.
pub const RATE_MAX: f64 = 64.0;
/// The largest distance from true time to which a clock may be jumped, either way: a hundred years.
pub const OFFSET_NS_MAX: i64 = 100 * 366 * 86_400 * 1_000_000_000;

/// How fast a clock goes: shown time over true time, between 0 (it stands still) and [`RATE_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(i64);

impl Rate {
    /// The rate of a clock that is right.
    pub const TRUE: Self = Self(1 << 32);

    /// A rate as a factor, rounded to a multiple of 2⁻³².
    ///
    /// # Errors
    /// If it is not a number from 0 to [`RATE_MAX`].
    pub fn new(factor: f64) -> Result<Self, ClockError> {
        if !(0.0..=RATE_MAX).contains(&factor) {
            return Err(ClockError::Rate(factor));
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most 64 × 2^32")]
        let fixed = (factor * 2_f64.powi(32)).round() as i64;
        Ok(Self(fixed))
    }

    /// The fixed-point number that stands in the clock page.
    pub(crate) fn fixed(self) -> i64 {
        self.0
    }
}

/// One straight line. All times are in nanoseconds of the clock that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Law {
    /// The true time at which it began.
    pub(crate) real_ns: i64,
    /// What was shown then.
    pub(crate) shown_ns: i64,
    /// How fast it goes since.
    pub(crate) rate: Rate,
}

impl Law {
    /// The clock shows true time.
    pub(crate) const TRUE: Self = Self { real_ns: 0, shown_ns: 0, rate: Rate::TRUE };

    /// What is shown at this true time.
    pub(crate) fn at(&self, real_ns: i64) -> i64 {
        let since = i128::from(real_ns) - i128::from(self.real_ns);
        let shown = i128::from(self.shown_ns) + ((since * i128::from(self.rate.fixed())) >> 32);
        i64::try_from(shown).expect("rates and offsets are bounded so that this holds for a century")
    }

    /// The line after a jump by so much at this true time.
    ///
    /// # Errors
    /// If the clock would then be further than [`OFFSET_NS_MAX`] from the truth.
    pub(crate) fn jumped(&self, real_ns: i64, by_ns: i64) -> Result<Self, ClockError> {
        let shown_ns = self.at(real_ns).checked_add(by_ns).ok_or(ClockError::Offset)?;
        let offset = shown_ns.checked_sub(real_ns).ok_or(ClockError::Offset)?;
        if offset.unsigned_abs() > OFFSET_NS_MAX.unsigned_abs() {
            return Err(ClockError::Offset);
        }
        Ok(Self { real_ns, shown_ns, rate: self.rate })
    }

    /// The line after a change of rate at this true time, which is no jump.
    pub(crate) fn going(&self, real_ns: i64, rate: Rate) -> Self {
        Self { real_ns, shown_ns: self.at(real_ns), rate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000_000_000;
    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn a_jump_is_a_constant_and_a_rate_grows() {
        let ahead = Law::TRUE.jumped(NOW, SECOND).unwrap();
        assert_eq!(ahead.at(NOW + 7), NOW + 7 + SECOND);
        let fast = ahead.going(NOW, Rate::new(1.5).unwrap());
        assert_eq!(fast.at(NOW), NOW + SECOND, "a change of rate is no jump");
        assert_eq!(fast.at(NOW + 2 * SECOND), NOW + 4 * SECOND);
        let still = fast.going(NOW + 2 * SECOND, Rate::new(0.0).unwrap());
        assert_eq!(still.at(NOW + 9 * SECOND), NOW + 4 * SECOND);
    }

    #[test]
    fn the_past_is_rounded_down_too() {
        let slow = Law::TRUE.going(NOW, Rate::new(0.5).unwrap());
        assert_eq!(slow.at(NOW - 3), NOW - 2);
        assert_eq!(slow.at(NOW + 3), NOW + 1);
    }

    #[test]
    fn what_could_overflow_is_refused() {
        for factor in [-0.1, 64.5, f64::NAN, f64::INFINITY] {
            assert!(matches!(Rate::new(factor), Err(ClockError::Rate(_))), "{factor}");
        }
        for by in [i64::MAX, i64::MIN, OFFSET_NS_MAX + 1, -OFFSET_NS_MAX - 1] {
            assert!(matches!(Law::TRUE.jumped(NOW, by), Err(ClockError::Offset)), "{by}");
        }
        assert!(Law::TRUE.jumped(NOW, -OFFSET_NS_MAX).is_ok());
    }
}
