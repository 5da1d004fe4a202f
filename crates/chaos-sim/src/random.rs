//! Random draws without a generator that is stepped along by others: each purpose has a stream of its own, and the n-th draw of a stream
//! depends on the seed, the stream's name and n alone.
//!
//! So a message more on one link leaves all other links, clients and disks alone, and a plan without one of its faults meets the same
//! weather. SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) over a counter; the algorithm is part of what a seed means, so it is
//! written out here and never changes without [`ALGORITHM`].

use std::time::Duration;

use chaos_history::Seed;
use chaos_history::mixing::{GOLDEN, mix};

/// The name and version of everything that turns a seed into a run; it stands beside seeds that are kept.
pub const ALGORITHM: &str = "chaos-sim/1 splitmix64";

/// What a stream is for. Two streams of one purpose have different indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The protocol's own randomness, by node and start.
    Node,
    /// How long messages of a directed link take.
    Link,
    /// What conditions do to them.
    Fate,
    /// How long clients' and observers' questions to a node take.
    Leg,
    /// How long a node's disk takes.
    Disk,
    /// How long a node takes over what arrives, and its timers.
    Work,
    /// How long a node waits before it dials again, and how long it takes to start.
    Dial,
    /// What a walk does next.
    Walk,
}

impl Purpose {
    const fn code(self) -> u64 {
        match self {
            Self::Node => 1,
            Self::Link => 2,
            Self::Fate => 3,
            Self::Leg => 4,
            Self::Disk => 5,
            Self::Work => 6,
            Self::Dial => 7,
            Self::Walk => 8,
        }
    }
}

/// A stream of draws.
#[derive(Clone, Debug)]
pub(crate) struct Draws {
    key: u64,
    drawn: u64,
}

impl Draws {
    /// The stream of this purpose and index in a run of this seed.
    pub(crate) fn new(seed: Seed, purpose: Purpose, index: usize) -> Self {
        let index = u64::try_from(index).expect("an index has at most 64 bits");
        let labelled = mix(seed.0.wrapping_add(GOLDEN)) ^ mix(purpose.code() << 32 | index);
        Self { key: mix(labelled.wrapping_add(GOLDEN)), drawn: 0 }
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.drawn += 1;
        mix(self.key.wrapping_add(self.drawn.wrapping_mul(GOLDEN)))
    }

    /// A number below `bound`; 0 if the bound is. (Off from equal shares by less than one in 2³² for the bounds of this crate.)
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.next()) * u128::from(bound);
        u64::try_from(product >> 64).expect("the upper half of a product of two 64-bit numbers")
    }

    /// Whether something of this share, in parts per million, happens.
    pub(crate) fn happens(&mut self, millionths: u32) -> bool {
        self.below(1_000_000) < u64::from(millionths)
    }

    /// An entry of a table, all equally likely.
    pub(crate) fn pick<T: Copy, const N: usize>(&mut self, table: &[T; N]) -> T {
        let length = u64::try_from(N).expect("a length fits 64 bits");
        table[usize::try_from(self.below(length)).expect("below the length")]
    }

    /// A time in `[least, least + spread)`.
    pub(crate) fn between(&mut self, least: Duration, spread: Duration) -> u64 {
        nanos(least) + self.below(nanos(spread))
    }
}

/// A duration in nanoseconds; the longest for what is longer than 584 years.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A hash over everything that happens, in its order: two runs with the same value are the same run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rolling(pub(crate) u64);

impl Rolling {
    /// Takes in one word.
    pub(crate) fn take(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_add(GOLDEN).wrapping_mul(0xd6e8_feb8_6659_fd93);
    }

    /// The value so far, well mixed.
    pub(crate) fn value(self) -> u64 {
        mix(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(seed: u64, purpose: Purpose, index: usize) -> Vec<u64> {
        let mut draws = Draws::new(Seed(seed), purpose, index);
        (0..4).map(|_| draws.next()).collect()
    }

    #[test]
    fn seed_purpose_and_index_name_a_stream() {
        let one = draws(7, Purpose::Link, 3);
        assert_eq!(one, draws(7, Purpose::Link, 3));
        for other in [draws(8, Purpose::Link, 3), draws(7, Purpose::Disk, 3), draws(7, Purpose::Link, 4)] {
            assert!(one.iter().all(|draw| !other.contains(draw)));
        }
    }

    #[test]
    fn what_a_seed_means_never_changes() {
        assert_eq!(mix(GOLDEN), 0xe220_a839_7b1d_cdaf, "the published vector of SplitMix64");
        assert_eq!(draws(7, Purpose::Link, 3)[..2], [5_502_547_497_464_706_636, 5_926_339_322_296_721_218]);
    }

    #[test]
    fn bounds_hold_and_all_of_a_table_is_drawn() {
        let mut draws = Draws::new(Seed(1), Purpose::Walk, 0);
        let mut seen = [0_u32; 5];
        for _ in 0..5_000 {
            seen[draws.pick(&[0_usize, 1, 2, 3, 4])] += 1;
        }
        assert!(seen.iter().all(|count| (850..1_150).contains(count)), "{seen:?}");
        assert_eq!(draws.below(0), 0);
    }

    #[test]
    fn the_hash_tells_orders_apart() {
        let of = |words: &[u64]| {
            let mut hash = Rolling::default();
            words.iter().for_each(|word| hash.take(*word));
            hash.value()
        };
        assert_ne!(of(&[1, 2]), of(&[2, 1]));
        assert_ne!(of(&[0]), of(&[0, 0]));
    }
}
