//! How sure a share is that was counted.

/// Two-sided 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// A share that was counted, with its interval.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Share {
    /// How many failed.
    pub failed: u32,
    /// Of how many.
    pub of: u32,
    /// The lower end of its 95 % interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Share {
    /// So many of so many, with Wilson's score interval (E. B. Wilson, "Probable inference, the law of succession, and statistical
    /// inference", JASA 1927), which stays right near 0 and 1 and for few trials.
    ///
    /// # Panics
    /// If more failed than there were.
    #[must_use]
    pub fn new(failed: u32, of: u32) -> Self {
        assert!(failed <= of, "{failed} of {of}");
        if of == 0 {
            return Self { failed, of, low: 0.0, high: 1.0 };
        }
        let (n, p) = (f64::from(of), f64::from(failed) / f64::from(of));
        let middle = p + Z * Z / (2.0 * n);
        let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        Self { failed, of, low: ((middle - spread) / scale).max(0.0), high: ((middle + spread) / scale).min(1.0) }
    }

    /// The share itself; 0 of nothing is 0.
    #[must_use]
    pub fn share(self) -> f64 {
        if self.of == 0 { 0.0 } else { f64::from(self.failed) / f64::from(self.of) }
    }

    /// How many attempts show the failure at least once with this confidence, reckoned from the interval's lower end, so that too many
    /// are asked for rather than too few; at most `limit`.
    #[must_use]
    pub fn attempts(self, confidence: f64, limit: u32) -> u32 {
        let mut missed = 1.0;
        for attempt in 1..limit {
            missed *= 1.0 - self.low;
            if missed <= 1.0 - confidence {
                return attempt;
            }
        }
        limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_wilsons() {
        // By hand from the formula, and the same as R's `prop.test(…, correct = FALSE)`.
        let share = Share::new(31, 100);
        assert!((share.low - 0.2276).abs() < 5e-4 && (share.high - 0.4063).abs() < 5e-4, "{share:?}");
        let all = Share::new(24, 24);
        assert!((all.low - 0.8620).abs() < 5e-4 && all.high > 0.999_999, "{all:?}");
        assert!(Share::new(0, 24).low < 1e-12);
    }

    #[test]
    fn attempts_follow_from_the_share() {
        assert_eq!(Share { failed: 31, of: 100, low: 0.31, high: 0.4 }.attempts(0.95, 100), 9);
        assert_eq!(Share { failed: 7, of: 100, low: 0.07, high: 0.1 }.attempts(0.95, 100), 42);
        assert_eq!(Share::new(0, 100).attempts(0.95, 50), 50, "never seen: as many as there may be");
        assert_eq!(Share::new(0, 0).share(), 0.0);
    }
}
