//! Operations with their times: as recorded ([`Entry`]) and as the deciding paths see them ([`Op`], [`Timeline`]).
//!
//! Only the order of instants matters to linearizability, so stamps become *ranks*: 1, 2, 3, … among all instants of the
//! object, invocations before answers at equal stamps, so that equal stamps count as concurrent. An operation fits into a
//! third of the bytes that way, and the paths compare small integers.

use std::num::NonZeroU32;

/// One operation as recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<T> {
    /// What was done, question and answer together: `read, and saw 7`.
    pub what: T,
    /// When it was invoked, in any unit of one clock.
    pub invoked: u64,
    /// When it was answered, on the same clock; `None` if it may have taken effect at any time since, or never.
    pub answered: Option<u64>,
}

/// One operation with ranks for stamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op<T> {
    /// What was done.
    pub what: T,
    /// The rank of the invocation, from 1.
    pub call: u32,
    /// The rank of the answer, above `call`; `None` if it may have taken effect at any time since, or never.
    pub ret: Option<NonZeroU32>,
}

impl<T> Op<T> {
    /// The last rank at which the operation can have taken effect; `u32::MAX` without an answer.
    #[must_use]
    pub fn deadline(&self) -> u32 {
        self.ret.map_or(u32::MAX, NonZeroU32::get)
    }

    /// Whether `self` was over when `other` began.
    #[must_use]
    pub fn precedes<U>(&self, other: &Op<U>) -> bool {
        self.deadline() < other.call
    }
}

/// The operations of one object by rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline<T> {
    /// The operations, ascending by `call`.
    pub ops: Vec<Op<T>>,
    /// For each of `ops` its place in the entries; `None` if they are in the same order.
    pub sources: Option<Vec<u32>>,
}

/// Entries that are no history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    /// An answer before its question.
    #[error("operation {index} was answered at {answered}, before it was invoked at {invoked}")]
    AnsweredBeforeInvoked {
        /// Its place.
        index: usize,
        /// The question.
        invoked: u64,
        /// The answer.
        answered: u64,
    },
    /// Ranks are 32 bits wide.
    #[error("{0} operations on one object are more than 2^31 - 1")]
    TooMany(usize),
}

impl<T: Clone> Timeline<T> {
    /// Ranks the instants of entries. O(n log n), O(n) where they are in order already and their answers spread evenly.
    ///
    /// # Errors
    /// If an entry was answered before it was invoked, or if there are 2³¹ entries or more.
    pub fn new(entries: &[Entry<T>]) -> Result<Self, StampError> {
        if entries.len() >= 1 << 31 {
            return Err(StampError::TooMany(entries.len()));
        }
        // Entries are often in order of invocation already, and then nothing but the answers needs sorting.
        let mut in_order = true;
        let least = entries.first().map_or(0, |entry| entry.invoked);
        let mut latest = least;
        let mut answers = Words::new(least, entries.len());
        for (place, &Entry { invoked, answered, .. }) in (0_u32..).zip(entries) {
            in_order &= latest <= invoked;
            latest = invoked;
            let Some(answered) = answered else { continue };
            if answered < invoked {
                return Err(StampError::AnsweredBeforeInvoked { index: place as usize, invoked, answered });
            }
            answers.push(answered, place);
        }
        if let Some(answers) = in_order.then_some(answers).and_then(Words::sorted) {
            return Ok(Self { ops: ranked(entries, None, answers), sources: None });
        }
        let sources = (!in_order).then(|| by_stamp(entries, |entry| Some(entry.invoked)));
        let answers = by_stamp(entries, |entry| entry.answered).into_iter();
        let answers = answers.filter_map(|place| Some((entries[place as usize].answered?, place)));
        Ok(Self { ops: ranked(entries, sources.as_deref(), answers), sources })
    }

    /// The place among the entries of an operation.
    #[must_use]
    pub fn source(&self, op: u32) -> u32 {
        self.sources.as_ref().map_or(op, |sources| sources[op as usize])
    }
}

/// The operations of entries, ascending by invocation as `sources` says, with `answers` and the places of their entries,
/// ascending.
fn ranked<T: Clone>(
    entries: &[Entry<T>],
    sources: Option<&[u32]>,
    answers: impl Iterator<Item = (u64, u32)>,
) -> Vec<Op<T>> {
    let places = sources.map(|sources| {
        let mut places = vec![0; entries.len()];
        (0..).zip(sources).for_each(|(place, &source)| places[source as usize] = place);
        places
    });
    let place = |source: u32| places.as_ref().map_or(source, |places: &Vec<u32>| places[source as usize]) as usize;
    let mut ops: Vec<Op<T>> = Vec::with_capacity(entries.len());
    let (mut rank, mut answers) = (0_u32, answers.peekable());
    for index in 0..entries.len() {
        let entry = &entries[sources.map_or(index, |sources| sources[index] as usize)];
        while let Some((_, over)) = answers.next_if(|&(answered, _)| answered < entry.invoked) {
            rank += 1;
            ops[place(over)].ret = NonZeroU32::new(rank);
        }
        rank += 1;
        ops.push(Op { what: entry.what.clone(), call: rank, ret: None });
    }
    for (_, over) in answers {
        rank += 1;
        ops[place(over)].ret = NonZeroU32::new(rank);
    }
    ops
}

/// The places of those entries that have a stamp, by stamp, and by place where stamps are equal.
fn by_stamp<T>(entries: &[Entry<T>], stamp: impl Fn(&Entry<T>) -> Option<u64>) -> Vec<u32> {
    let stamps = || (0_u32..).zip(entries).filter_map(|(place, entry)| Some((stamp(entry)?, place)));
    let mut words = Words::new(stamps().map(|(stamp, _)| stamp).min().unwrap_or(0), entries.len());
    stamps().for_each(|(stamp, place)| words.push(stamp, place));
    if let Some(sorted) = words.sorted() {
        return sorted.map(|(_, place)| place).collect();
    }
    let mut places: Vec<u32> = stamps().map(|(_, place)| place).collect();
    places.sort_unstable_by_key(|&place| (stamp(&entries[place as usize]), place));
    places
}

/// Stamps and places, packed into one word each, which is sorted in half the time.
struct Words {
    words: Vec<u64>,
    /// What is subtracted from each stamp.
    least: u64,
    /// The low bits, which hold the place.
    bits: u32,
    /// All the stamps, less `least`, or-ed together: where they don't fit, the words are of no use.
    stamps: u64,
}

impl Words {
    /// For `count` stamps from `least` on.
    fn new(least: u64, count: usize) -> Self {
        let bits = count.next_power_of_two().ilog2();
        Self { words: Vec::with_capacity(count), least, bits, stamps: 0 }
    }

    #[inline]
    fn push(&mut self, stamp: u64, place: u32) {
        let stamp = stamp.wrapping_sub(self.least);
        self.stamps |= stamp;
        self.words.push(stamp << self.bits | u64::from(place));
    }

    /// The stamps with their places, ascending; `None` if some did not fit.
    fn sorted(self) -> Option<impl Iterator<Item = (u64, u32)>> {
        let Self { words, least, bits, stamps } = self;
        let place = move |word: u64| u32::try_from(word & ((1 << bits) - 1)).expect("a place has 31 bits");
        let fit = stamps.leading_zeros() >= bits;
        fit.then(|| sorted(words).into_iter().map(move |word| (least + (word >> bits), place(word))))
    }
}

/// The fewest words that are worth buckets.
const BUCKETS_WORTH: usize = 256;
/// How full a bucket may be.
const BUCKET_MAX: u32 = 32;

/// Words in ascending order: in O(n) if they spread evenly between the least and the largest.
///
/// As many buckets of equal width as there are words, or up to twice as many, bring nearly all into their places; whatever is
/// still out of order is so within its bucket.
fn sorted(mut words: Vec<u64>) -> Vec<u64> {
    let largest = words.iter().fold(0, |all, word| all | word);
    let buckets = words.len().next_power_of_two();
    let shift = (u64::BITS - largest.leading_zeros()).saturating_sub(buckets.ilog2());
    let bucket = |word: u64| usize::try_from(word >> shift).expect("there are no more buckets than a vector's words");
    let mut ends = vec![0_u32; if words.len() < BUCKETS_WORTH { 0 } else { buckets }];
    if !ends.is_empty() {
        words.iter().for_each(|&word| ends[bucket(word)] += 1);
    }
    let (mut filled, mut fullest) = (0, 0);
    for end in &mut ends {
        fullest = fullest.max(*end);
        filled += std::mem::replace(end, filled);
    }
    if ends.is_empty() || fullest > BUCKET_MAX {
        words.sort_unstable();
        return words;
    }
    let mut sorted = vec![0_u64; words.len()];
    for word in words {
        let end = &mut ends[bucket(word)];
        sorted[*end as usize] = word;
        *end += 1;
    }
    for index in 1..sorted.len() {
        let word = sorted[index];
        let mut place = index;
        while place > 0 && sorted[place - 1] > word {
            sorted[place] = sorted[place - 1];
            place -= 1;
        }
        sorted[place] = word;
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(invoked: u64, answered: Option<u64>) -> Entry<()> {
        Entry { what: (), invoked, answered }
    }

    #[test]
    fn equal_stamps_are_concurrent_and_order_is_by_invocation() {
        let entries = [entry(20, Some(30)), entry(10, Some(20)), entry(5, None), entry(30, Some(30))];
        let timeline = Timeline::new(&entries).unwrap();
        assert_eq!(timeline.sources, Some(vec![2, 1, 0, 3]));
        for (earlier, later) in [(0, 1), (1, 2), (2, 3), (3, 2), (2, 1)] {
            assert!(!timeline.ops[earlier].precedes(&timeline.ops[later]), "{earlier} overlaps {later}");
        }
        assert!(timeline.ops[1].precedes(&timeline.ops[3]));
        // The widest stamps don't fit into a word together with their places.
        let wide = |entry: &Entry<()>| Entry { answered: entry.answered.or(Some(u64::MAX)), ..*entry };
        let widened: Vec<Entry<()>> = entries.iter().map(wide).collect();
        let widest = Timeline::new(&widened).unwrap();
        let calls = |timeline: &Timeline<()>| timeline.ops.iter().map(|op| op.call).collect::<Vec<u32>>();
        assert_eq!(calls(&widest), calls(&timeline));
        assert_eq!(widest.ops[0].deadline(), 8);
        let error = StampError::AnsweredBeforeInvoked { index: 0, invoked: 2, answered: 1 };
        assert_eq!(Timeline::new(&[entry(2, Some(1))]), Err(error));
    }

    #[test]
    fn words_are_sorted_however_they_spread() {
        for spread in [1, 7, 1 << 20, 1 << 40, u64::MAX] {
            for burst in [1, 2, 100] {
                let scattered = |word: u64| (word / burst).wrapping_mul(0x9e37_79b9_7f4a_7c15) % spread;
                let words: Vec<u64> = (0..2_000).map(scattered).collect();
                for length in [0, 1, BUCKETS_WORTH - 1, BUCKETS_WORTH, 2_000] {
                    let mut expected = words[..length].to_vec();
                    expected.sort_unstable();
                    assert_eq!(sorted(words[..length].to_vec()), expected, "{length} words below {spread}");
                }
            }
        }
    }
}
