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
    /// Ranks the instants of entries. O(n log n), O(n) where they are in order already.
    ///
    /// # Errors
    /// If an entry was answered before it was invoked, or if there are 2³¹ entries or more.
    pub fn new(entries: &[Entry<T>]) -> Result<Self, StampError> {
        let count = u32::try_from(entries.len()).ok().filter(|count| *count < 1 << 31);
        let Some(count) = count else { return Err(StampError::TooMany(entries.len())) };
        for (index, &Entry { invoked, answered, .. }) in entries.iter().enumerate() {
            if let Some(answered) = answered.filter(|answered| *answered < invoked) {
                return Err(StampError::AnsweredBeforeInvoked { index, invoked, answered });
            }
        }
        // Entries are often in order of invocation already, and then nothing but the answers needs sorting.
        let in_order = entries.is_sorted_by_key(|entry| entry.invoked);
        let sources = (!in_order).then(|| by_stamp(entries, |entry| Some(entry.invoked)));
        let places = sources.as_ref().map(|sources| {
            let mut places = vec![0; entries.len()];
            (0..).zip(sources).for_each(|(place, &source)| places[source as usize] = place);
            places
        });
        let answers = by_stamp(entries, |entry| entry.answered);
        let mut ops: Vec<Op<T>> = Vec::with_capacity(entries.len());
        let (mut rank, mut answers) = (0_u32, answers.into_iter().peekable());
        let place = |source: u32| places.as_ref().map_or(source, |places: &Vec<u32>| places[source as usize]) as usize;
        for index in 0..count {
            let entry = &entries[sources.as_ref().map_or(index, |sources| sources[index as usize]) as usize];
            while let Some(over) = answers
                .next_if(|&over| entries[over as usize].answered.is_some_and(|answered| answered < entry.invoked))
            {
                rank += 1;
                ops[place(over)].ret = NonZeroU32::new(rank);
            }
            rank += 1;
            ops.push(Op { what: entry.what.clone(), call: rank, ret: None });
        }
        for over in answers {
            rank += 1;
            ops[place(over)].ret = NonZeroU32::new(rank);
        }
        Ok(Self { ops, sources })
    }

    /// The place among the entries of an operation.
    #[must_use]
    pub fn source(&self, op: u32) -> u32 {
        self.sources.as_ref().map_or(op, |sources| sources[op as usize])
    }
}

/// The places of those entries that have a stamp, by stamp, and by place where stamps are equal.
fn by_stamp<T>(entries: &[Entry<T>], stamp: impl Fn(&Entry<T>) -> Option<u64>) -> Vec<u32> {
    let stamps = || (0_u32..).zip(entries).filter_map(|(place, entry)| Some((stamp(entry)?, place)));
    let count = stamps().count();
    let (least, most) = stamps().fold((u64::MAX, 0), |(least, most), (stamp, _)| (least.min(stamp), most.max(stamp)));
    let bits = entries.len().next_power_of_two().ilog2();
    let mut places = Vec::with_capacity(count);
    if most.saturating_sub(least).leading_zeros() >= bits {
        // Stamp and place fit into one word, which is sorted in half the time.
        let mut packed: Vec<u64> = Vec::with_capacity(count);
        packed.extend(stamps().map(|(stamp, place)| (stamp - least) << bits | u64::from(place)));
        packed.sort_unstable();
        let place = |packed: u64| u32::try_from(packed & ((1 << bits) - 1)).expect("a place has 31 bits");
        places.extend(packed.into_iter().map(place));
    } else {
        places.extend(stamps().map(|(_, place)| place));
        places.sort_unstable_by_key(|&place| (stamp(&entries[place as usize]), place));
    }
    places
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
}
