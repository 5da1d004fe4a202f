//! Random streams, split by label: every step of a plan, every client and every schedule draws from a stream of its own.
//!
//! A run has one seed. If everything drew from one generator, taking one step out of a plan would shift every later draw,
//! and a failing run could not be made smaller. So each consumer names itself (`step 4`, `arrivals`), and its generator is
//! seeded from the run's seed and that name alone.
//!
//! The seeding is part of what makes an old seed mean the same run: FNV-1a (64 bit) over the label's bytes, joined with the
//! seed by SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014), whose next four
//! outputs are the 32-byte key of a ChaCha8 stream. The draws are written out here for the same reason: the algorithms of a
//! library's `shuffle` or `random_range` may change between its versions. None of this is meant to be secret.

use std::time::Duration;

use chaos_history::Seed;
use chaos_history::mixing::{GOLDEN, fnv_1a, mix};
use chaos_plan::DurationRange;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The stream that this label has in a run of this seed.
#[must_use]
pub(crate) fn stream(seed: Seed, label: &str) -> Stream {
    let mut state = split_mix(&mut { seed.0 }) ^ fnv_1a(label.as_bytes());
    let mut key = [0; 32];
    for chunk in key.chunks_exact_mut(8) {
        chunk.copy_from_slice(&split_mix(&mut state).to_le_bytes());
    }
    Stream(ChaCha8Rng::from_seed(key))
}

/// One step of SplitMix64.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(GOLDEN);
    mix(*state)
}

/// A source of draws that depends on nothing but the run's seed, its own label and how often it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Stream(ChaCha8Rng);

impl Stream {
    /// A number below `bound`, all equally likely.
    ///
    /// # Panics
    /// If `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below 0");
        // Draws from the incomplete last block would favour small numbers, so they are thrown away.
        let limit = u64::MAX - u64::MAX % bound;
        loop {
            let draw = self.0.next_u64();
            if draw < limit {
                return draw % bound;
            }
        }
    }

    /// A seed for draws that somebody else makes.
    pub(crate) fn seed(&mut self) -> Seed {
        Seed(self.0.next_u64())
    }

    /// A stream of its own for something that draws at moments of its own.
    pub(crate) fn fork(&mut self) -> Self {
        stream(self.seed(), "fork")
    }

    /// An index into something of this length.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        let length = u64::try_from(length).expect("a length fits 64 bits");
        usize::try_from(self.below(length)).expect("the draw is below a length")
    }

    /// A time in `[range.min, range.max]`, to the nanosecond.
    pub(crate) fn within(&mut self, range: DurationRange) -> Duration {
        let width = range.max.saturating_sub(range.min);
        let width = u64::try_from(width.as_nanos()).unwrap_or(u64::MAX - 1).min(u64::MAX - 1);
        range.min + Duration::from_nanos(self.below(width + 1))
    }

    /// A time in `[0, bound)`; zero if the bound is.
    pub(crate) fn below_duration(&mut self, bound: Duration) -> Duration {
        let bound = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        if bound == 0 { Duration::ZERO } else { Duration::from_nanos(self.below(bound)) }
    }

    /// A gap of a Poisson process whose gaps have this mean: exponentially distributed, at least 1 ns.
    pub(crate) fn gap(&mut self, mean: Duration) -> Duration {
        // 53 bits, shifted into (0, 1], so that the logarithm is finite.
        let uniform = ((self.0.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        mean.mul_f64(-uniform.ln()).max(Duration::from_nanos(1))
    }

    /// An index, each as likely as its weight is large.
    ///
    /// # Panics
    /// If all weights are 0.
    pub(crate) fn weighted(&mut self, weights: &[u32]) -> usize {
        let mut draw = self.below(weights.iter().copied().map(u64::from).sum());
        for (index, weight) in weights.iter().copied().map(u64::from).enumerate() {
            if draw < weight {
                return index;
            }
            draw -= weight;
        }
        unreachable!("the draw is below the sum of the weights")
    }

    /// Puts the items into a random order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(seed: u64, label: &str) -> Vec<u64> {
        let mut stream = stream(Seed(seed), label);
        (0..8).map(|_| stream.below(1_000_000)).collect()
    }

    #[test]
    fn a_seed_and_a_label_name_one_stream() {
        assert_eq!(draws(7, "step 4"), draws(7, "step 4"));
        assert_ne!(draws(7, "step 4"), draws(7, "step 5"));
        assert_ne!(draws(7, "step 4"), draws(8, "step 4"));
    }

    #[test]
    fn the_seeding_never_changes() {
        // The published vectors of both algorithms, then the draws that follow from them. If the latter fail, every seed that
        // anybody wrote down names another run from now on.
        assert_eq!(fnv_1a(b"foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(split_mix(&mut 0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(draws(7, "step 4")[..3], [445_823, 769_118, 354_949]);
    }

    #[test]
    fn gaps_have_their_mean() {
        let mut stream = stream(Seed(1), "arrivals");
        let total: Duration = (0..20_000).map(|_| stream.gap(Duration::from_millis(5))).sum();
        let mean = total / 20_000;
        assert!(mean.abs_diff(Duration::from_millis(5)) < Duration::from_micros(150), "{mean:?}");
    }

    #[test]
    fn ranges_include_both_ends_and_nothing_else() {
        let range = DurationRange { min: Duration::from_nanos(3), max: Duration::from_nanos(5) };
        let mut stream = stream(Seed(2), "range");
        let mut seen: Vec<_> = (0..200).map(|_| stream.within(range).as_nanos()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [3, 4, 5]);
    }

    #[test]
    fn weights_of_zero_are_never_drawn() {
        let mut stream = stream(Seed(3), "weights");
        let mut counts = [0; 3];
        for _ in 0..4_000 {
            counts[stream.weighted(&[1, 0, 3])] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((800..1_200).contains(&counts[0]), "{counts:?}");
    }

    #[test]
    fn a_shuffle_reaches_every_order() {
        let mut stream = stream(Seed(4), "shuffle");
        let mut orders: Vec<_> = (0..200)
            .map(|_| {
                let mut items = [1, 2, 3];
                stream.shuffle(&mut items);
                items
            })
            .collect();
        orders.sort_unstable();
        orders.dedup();
        assert_eq!(orders.len(), 6);
    }
}
