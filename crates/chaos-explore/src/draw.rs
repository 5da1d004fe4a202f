//! Where every choice of the search comes from: streams that are split by label, so that seed 41 is the same plan whatever became
//! of seeds 1 to 40, on any number of processors.
//!
//! A stream is a counter behind a key: the n-th draw is a function of the search's seed, the stream's label and n alone. The mixing is
//! SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014), the key is made of the label by
//! FNV-1a. Integers only, so that another processor draws the same. Nothing here is meant to be secret.

use std::time::Duration;

use chaos_history::Seed;
use chaos_history::mixing::{GOLDEN, fnv_1a, mix};

/// A stream of draws.
#[derive(Clone, Debug)]
pub struct Draws {
    state: u64,
}

impl Draws {
    /// The stream of this label under this seed.
    #[must_use]
    pub fn of(seed: Seed, label: &str) -> Self {
        Self { state: mix(seed.0.wrapping_add(GOLDEN)) ^ fnv_1a(label.as_bytes()) }
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// A seed for draws that somebody else makes. No more than 53 bits, so that every reader of JSON keeps it.
    pub fn seed(&mut self) -> Seed {
        Seed(self.bits() >> 11)
    }

    /// A number below `bound`, all equally likely but for one part in 2^64 / `bound`, which no search notices.
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below 0");
        self.bits() % bound
    }

    /// A number in `[low, high]`.
    ///
    /// # Panics
    /// If `low` is above `high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "{low} is above {high}");
        low + self.below(high - low + 1)
    }

    /// An index into something of this length, which must not be 0.
    pub fn index(&mut self, length: usize) -> usize {
        let length = u64::try_from(length).expect("a length fits 64 bits");
        usize::try_from(self.below(length)).expect("the draw is below a length")
    }

    /// One of these, of which there must be some.
    pub fn one_of<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())].clone()
    }

    /// Yes, in so many of a hundred cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these, each as likely as its weight is large; one weight at least must be above 0.
    pub fn weighted<T: Clone>(&mut self, from: &[(u32, T)]) -> T {
        let mut draw = self.below(from.iter().map(|(weight, _)| u64::from(*weight)).sum());
        for (weight, what) in from {
            if draw < u64::from(*weight) {
                return what.clone();
            }
            draw -= u64::from(*weight);
        }
        unreachable!("the draw is below the sum of the weights")
    }

    /// A time in `[low, high]` milliseconds whose order of magnitude is drawn first, so that short times are as likely as long
    /// ones: a window of 10 ms is missed by a uniform draw from a second.
    pub fn millis_by_magnitude(&mut self, low: u64, high: u64) -> Duration {
        let (mut from, mut ranges) = (low.max(1), Vec::new());
        while from <= high {
            let to = (from.saturating_mul(2) - 1).min(high);
            ranges.push((from, to));
            from = to + 1;
        }
        let (from, to) = if ranges.is_empty() { (low, high) } else { self.one_of(&ranges) };
        Duration::from_millis(self.between(from, to))
    }

    /// A time in `[low, high]` milliseconds, all equally likely.
    pub fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    /// Puts the items into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(seed: u64, label: &str) -> Vec<u64> {
        let mut draws = Draws::of(Seed(seed), label);
        (0..4).map(|_| draws.bits()).collect()
    }

    #[test]
    fn a_seed_and_a_label_name_one_stream() {
        assert_eq!(first(7, "plan 1"), first(7, "plan 1"));
        assert_ne!(first(7, "plan 1"), first(7, "plan 2"));
        assert_ne!(first(7, "plan 1"), first(8, "plan 1"));
    }

    #[test]
    fn the_mixing_never_changes() {
        // The published vectors: SplitMix64 of 0, FNV-1a of "foobar".
        assert_eq!(mix(GOLDEN), 0xe220_a839_7b1d_cdaf);
        assert_eq!(fnv_1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn magnitudes_are_equally_likely() {
        let mut draws = Draws::of(Seed(1), "times");
        let short = (0..2_000).filter(|_| draws.millis_by_magnitude(1, 1_023) < Duration::from_millis(32)).count();
        assert!((850..1_150).contains(&short), "half of ten magnitudes lie below 32 ms, but {short} of 2000 did");
    }

    #[test]
    fn ranges_include_both_ends_and_nothing_else() {
        let mut draws = Draws::of(Seed(2), "range");
        let mut seen: Vec<u64> = (0..200).map(|_| draws.between(3, 5)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [3, 4, 5]);
        assert!((0..500).all(|_| draws.millis_by_magnitude(7, 7) == Duration::from_millis(7)));
    }

    #[test]
    fn weights_of_zero_are_never_drawn() {
        let mut draws = Draws::of(Seed(3), "weights");
        let drawn: Vec<char> = (0..4_000).map(|_| draws.weighted(&[(1, 'a'), (0, 'b'), (3, 'c')])).collect();
        assert!(!drawn.contains(&'b'));
        let first = drawn.iter().filter(|which| **which == 'a').count();
        assert!((850..1_150).contains(&first), "{first}");
    }
}
