//! A register, judged while its history is being made.
//!
//! Exact for values that are unique among those that somebody may still read: at the end of the stream a violation was seen iff
//! the history is not linearizable ([`zones`](super::zones) has the argument). A swap that was refused without telling what
//! it saw is taken to be right, so what is seen is a violation all the same, but not every violation is seen. A value that is
//! written again while somebody may still read the first one is [`Seen::Repeated`]: the stream has no opinion any more.
//!
//! *Memory.* A value is forgotten once it is dead: whoever could still observe it without a violation would have had to begin
//! before everything that is in flight. Whoever observes it later observes a value that is not there, a violation. So there is
//! room for operations in flight, values not dead yet, and unanswered writes that nobody has observed (with the values that such
//! swaps expect), and as much again in waste.
//!
//! *Equal stamps* are concurrent, so answers wait until time has moved on: for the next event with a later stamp, or for
//! [`RegisterStream::flush`].
//!
//! O(log live) per event, amortised.

use std::collections::BTreeMap;

use super::zones::{First, Zones};

/// What is asked of a register. `None` is the content before the first write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation<V> {
    /// What is there?
    Read,
    /// Be this; `None` deletes, which counts as a repeated value.
    Write(Option<V>),
    /// Be `new` if you are `expect`.
    Cas {
        /// What must be there.
        expect: Option<V>,
        /// What shall be there.
        new: Option<V>,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<V> {
    /// A write or a swap took effect.
    Done,
    /// A read, or a swap that was refused, saw this.
    Saw(Option<V>),
    /// A swap was refused and did not tell what it saw.
    Refused,
    /// It did not take effect, and says nothing of the content.
    Failed,
    /// It may take effect at any time, or never.
    Unknown,
}

/// What a stream has seen so far. Only ever changes away from [`Seen::Nothing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// No violation.
    Nothing,
    /// There is no order since the operation with this number was answered.
    Violation(u64),
    /// The operation with this number wrote a value that somebody may have read from another one.
    Repeated(u64),
}

/// Events that are no history's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// Time ran backwards.
    #[error("operation {operation} has an event at {stamp}, after one at {latest}")]
    Backwards {
        /// Whose event.
        operation: u64,
        /// Its stamp.
        stamp: u64,
        /// The latest one before.
        latest: u64,
    },
    /// Invoked while it was in flight.
    #[error("operation {0} was invoked twice")]
    InvokedTwice(u64),
    /// Answered while it was not in flight.
    #[error("operation {0} was answered, but is not in flight")]
    NotInFlight(u64),
    /// A read that was done, or a write that saw something.
    #[error("operation {0} got an answer to another question")]
    Mismatch(u64),
}

/// An operation in flight.
#[derive(Clone, Debug)]
struct InFlight<V> {
    /// Its rank.
    call: u64,
    what: Invocation<V>,
}

/// A content that somebody may still read, and its write.
#[derive(Clone, Debug)]
struct Cluster<V> {
    /// The rank of the invocation of the write.
    call: u64,
    /// What the write expects, if it is a swap.
    expects: Option<Option<V>>,
    /// Its block, if it is certain that it was written.
    block: Option<First>,
    /// The rank at which it became certain that it was swapped away.
    swapped: Option<u64>,
    /// Whether the write is in flight.
    in_flight: bool,
}

/// One register.
#[derive(Clone, Debug)]
pub struct RegisterStream<V> {
    seen: Seen,
    /// The latest stamp, and the events so far.
    latest: u64,
    rank: u64,
    in_flight: BTreeMap<u64, InFlight<V>>,
    /// Answers at the latest stamp.
    waiting: Vec<(u64, Answer<V>)>,
    clusters: BTreeMap<Option<V>, Cluster<V>>,
    zones: Zones,
    /// How many clusters there may be before the dead are sought.
    room: usize,
}

impl<V: Ord + Clone> Default for RegisterStream<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: Ord + Clone> RegisterStream<V> {
    /// A register that is absent.
    #[must_use]
    pub fn new() -> Self {
        let absent = Cluster { call: 0, expects: None, block: Some(0), swapped: None, in_flight: false };
        let mut zones = Zones::default();
        zones.open(0);
        Self {
            seen: Seen::Nothing,
            latest: 0,
            rank: 0,
            in_flight: BTreeMap::new(),
            waiting: Vec::new(),
            clusters: BTreeMap::from([(None, absent)]),
            zones,
            room: 64,
        }
    }

    /// What was seen so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen
    }

    /// How many values and operations are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.clusters.len() + self.in_flight.len()
    }

    /// Operation `operation`, a number of the caller's, begins at `stamp`.
    ///
    /// # Errors
    /// If time runs backwards or the operation is in flight already.
    pub fn invoke(&mut self, stamp: u64, operation: u64, what: Invocation<V>) -> Result<Seen, StreamError> {
        self.advance(stamp, operation)?;
        if self.in_flight.contains_key(&operation) {
            return Err(StreamError::InvokedTwice(operation));
        }
        self.rank += 1;
        let written = match &what {
            Invocation::Read => None,
            Invocation::Write(new) => Some((new, None)),
            Invocation::Cas { expect, new } => Some((new, Some(expect.clone()))),
        };
        if let Some((new, expects)) = written.filter(|_| self.seen == Seen::Nothing) {
            let (call, new) = (self.rank, new.clone());
            let cluster = Cluster { call, expects, block: None, swapped: None, in_flight: true };
            if self.clusters.insert(new, cluster).is_some() {
                self.note(Seen::Repeated(operation));
            }
        }
        self.in_flight.insert(operation, InFlight { call: self.rank, what });
        Ok(self.seen)
    }

    /// Operation `operation` is answered at `stamp`.
    ///
    /// # Errors
    /// If time runs backwards, the operation is not in flight, or the answer is to another question.
    pub fn answer(&mut self, stamp: u64, operation: u64, answer: Answer<V>) -> Result<Seen, StreamError> {
        self.advance(stamp, operation)?;
        let waits = self.waiting.iter().any(|(waiting, _)| *waiting == operation);
        let Some(InFlight { what, .. }) = self.in_flight.get(&operation).filter(|_| !waits) else {
            return Err(StreamError::NotInFlight(operation));
        };
        match (what, &answer) {
            (Invocation::Read, Answer::Done | Answer::Refused)
            | (Invocation::Write(_), Answer::Saw(_) | Answer::Refused) => {
                return Err(StreamError::Mismatch(operation));
            }
            (Invocation::Read, Answer::Saw(_) | Answer::Failed | Answer::Unknown)
            | (Invocation::Write(_), Answer::Done | Answer::Failed | Answer::Unknown)
            | (Invocation::Cas { .. }, _) => {}
        }
        self.waiting.push((operation, answer));
        Ok(self.seen)
    }

    /// Judges the answers at the latest stamp; nothing may be invoked at it any more.
    pub fn flush(&mut self) -> Seen {
        let mut waiting = std::mem::take(&mut self.waiting);
        for (operation, answer) in waiting.drain(..) {
            self.rank += 1;
            let InFlight { call, what } = self.in_flight.remove(&operation).expect("only operations in flight wait");
            if self.seen == Seen::Nothing && !self.judge(call, what, answer) {
                self.note(Seen::Violation(operation));
            }
        }
        self.waiting = waiting;
        if self.clusters.len() > self.room {
            self.forget();
        }
        self.seen
    }

    /// Ends the stream: what was seen is seen.
    fn note(&mut self, seen: Seen) {
        if self.seen == Seen::Nothing {
            self.seen = seen;
            self.clusters.clear();
            self.zones = Zones::default();
        }
    }

    fn advance(&mut self, stamp: u64, operation: u64) -> Result<(), StreamError> {
        if stamp < self.latest {
            return Err(StreamError::Backwards { operation, stamp, latest: self.latest });
        }
        if stamp > self.latest {
            self.latest = stamp;
            self.flush();
        }
        Ok(())
    }

    /// Takes an answer in; false if there is no order with it.
    fn judge(&mut self, call: u64, what: Invocation<V>, answer: Answer<V>) -> bool {
        let new = match what {
            Invocation::Read => {
                return match answer {
                    Answer::Saw(content) => self.observed(&content, call),
                    Answer::Done | Answer::Refused | Answer::Failed | Answer::Unknown => true,
                };
            }
            Invocation::Write(new) | Invocation::Cas { new, .. } => new,
        };
        match answer {
            Answer::Unknown => {
                self.clusters.get_mut(&new).expect("a value in flight is remembered").in_flight = false;
                true
            }
            Answer::Done => {
                self.clusters.get_mut(&new).expect("a value in flight is remembered").in_flight = false;
                self.certain(&new)
            }
            Answer::Saw(_) | Answer::Refused | Answer::Failed => {
                // Who wrote it did not; if it was observed, then nobody did.
                let cluster = self.clusters.remove(&new).expect("a value in flight is remembered");
                let seen = match answer {
                    Answer::Saw(content) => self.observed(&content, call),
                    Answer::Done | Answer::Refused | Answer::Failed | Answer::Unknown => true,
                };
                seen && cluster.block.is_none()
            }
        }
    }

    /// An operation invoked at `call` saw a content; false if it can't have.
    fn observed(&mut self, content: &Option<V>, call: u64) -> bool {
        if !self.certain(content) {
            return false;
        }
        let Some(Cluster { block: Some(block), swapped, .. }) = self.clusters.get(content) else { return false };
        swapped.is_none_or(|swapped| call <= swapped) && self.zones.grow(*block, call)
    }

    /// From now on it is certain that a content was there; false if it can't have been.
    fn certain(&mut self, content: &Option<V>) -> bool {
        match self.clusters.get(content).map(|cluster| (cluster.block, &cluster.expects)) {
            None => return false,
            Some((Some(_), _)) => return true,
            Some((None, None)) => {
                self.zones.open(self.rank);
                return self.joins(content, self.rank, self.rank);
            }
            Some((None, Some(_))) => {}
        }
        // Backwards over swaps that are not certain yet, to one that is or to a write.
        let mut chain = vec![content.clone()];
        let (now, block) = loop {
            let Some(cluster) = chain.last().and_then(|content| self.clusters.get(content)) else { return false };
            match (cluster.block, &cluster.expects) {
                (Some(block), _) => {
                    chain.pop();
                    break (self.rank, block);
                }
                (None, Some(expected)) if chain.contains(expected) => return false,
                (None, Some(expected)) => chain.push(expected.clone()),
                (None, None) => {
                    self.zones.open(self.rank);
                    break (self.rank, self.rank);
                }
            }
        };
        chain.into_iter().rev().all(|content| self.joins(&content, block, now))
    }

    /// From now on it is certain that a content was there, in this block; false if it can't have been.
    fn joins(&mut self, content: &Option<V>, block: First, now: u64) -> bool {
        let Some(cluster) = self.clusters.get_mut(content) else { return false };
        cluster.block = Some(block);
        let (call, expects) = (cluster.call, cluster.expects.clone());
        if let Some(expected) = expects.and_then(|expected| self.clusters.get_mut(&expected))
            && expected.swapped.replace(now).is_some()
        {
            return false;
        }
        self.zones.grow(block, call)
    }

    /// Forgets the dead. Happens by itself whenever the number of values has doubled.
    pub fn forget(&mut self) {
        let observes = |flight: &&InFlight<V>| !matches!(flight.what, Invocation::Write(_));
        let oldest = self.in_flight.values().filter(observes).map(|flight| flight.call).min().unwrap_or(self.rank + 1);
        let open = self.clusters.values().filter(|cluster| cluster.block.is_none());
        let mut expected: Vec<Option<V>> = open.filter_map(|cluster| cluster.expects.clone()).collect();
        expected.sort_unstable();
        let zones = &self.zones;
        self.clusters.retain(|content, cluster| {
            let dead = |block| zones.limit(block).min(cluster.swapped.unwrap_or(u64::MAX)) < oldest;
            cluster.in_flight || !cluster.block.is_some_and(dead) || expected.binary_search(content).is_ok()
        });
        let mut blocks: Vec<First> = self.clusters.values().filter_map(|cluster| cluster.block).collect();
        blocks.sort_unstable();
        self.zones.retain(|block| blocks.binary_search(&block).is_ok());
        self.room = self.clusters.len() * 2 + 64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Stream = RegisterStream<u64>;

    /// Writes `values` one after the other, two stamps each, from stamp `from` on.
    fn write(stream: &mut Stream, values: std::ops::Range<u64>, from: u64) {
        for (value, at) in values.zip((from..).step_by(2)) {
            stream.invoke(at, value, Invocation::Write(Some(value))).unwrap();
            stream.answer(at + 1, value, Answer::Done).unwrap();
        }
    }

    fn read(stream: &mut Stream, operation: u64, at: u64, saw: Option<u64>) -> Seen {
        stream.invoke(at, operation, Invocation::Read).unwrap();
        stream.answer(at + 1, operation, Answer::Saw(saw)).unwrap();
        stream.flush()
    }

    #[test]
    fn violation_is_seen_with_the_answer_that_makes_it_one() {
        let mut stream = Stream::new();
        write(&mut stream, 1..3, 1);
        assert_eq!(read(&mut stream, 10, 10, Some(2)), Seen::Nothing);
        assert_eq!(read(&mut stream, 11, 12, Some(1)), Seen::Violation(11));
        assert_eq!(read(&mut stream, 12, 14, Some(2)), Seen::Violation(11));
    }

    #[test]
    fn equal_stamps_are_concurrent_in_whatever_order_they_come() {
        let mut stream = Stream::new();
        stream.invoke(1, 0, Invocation::Read).unwrap();
        stream.answer(2, 0, Answer::Saw(Some(7))).unwrap();
        stream.invoke(2, 1, Invocation::Write(Some(7))).unwrap();
        assert_eq!(stream.flush(), Seen::Nothing);
    }

    #[test]
    fn dead_values_are_forgotten_unless_somebody_may_still_read_them() {
        let mut stream = Stream::new();
        write(&mut stream, 1..100_000, 1);
        assert!(stream.remembered() < 200, "{}", stream.remembered());
        stream.invoke(200_000, 0, Invocation::Read).unwrap();
        write(&mut stream, 100_000..101_000, 200_001);
        assert!(stream.remembered() > 1_000);
        stream.answer(300_000, 0, Answer::Saw(Some(100_500))).unwrap();
        assert_eq!(stream.flush(), Seen::Nothing);
        // A value that is dead may be written anew.
        write(&mut stream, 1..2, 300_001);
        assert_eq!(stream.seen(), Seen::Nothing);
        assert_eq!(read(&mut stream, 0, 300_010, Some(100_500)), Seen::Violation(0));
    }

    #[test]
    fn live_value_that_is_written_again_ends_the_opinion() {
        let mut stream = Stream::new();
        write(&mut stream, 1..2, 1);
        write(&mut stream, 1..2, 3);
        assert_eq!(read(&mut stream, 5, 5, None), Seen::Repeated(1));
    }

    #[test]
    fn unanswered_swap_counts_once_its_value_is_read() {
        let mut stream = Stream::new();
        stream.invoke(1, 0, Invocation::Cas { expect: None, new: Some(1) }).unwrap();
        stream.answer(2, 0, Answer::Unknown).unwrap();
        write(&mut stream, 100..1_000, 10);
        stream.forget();
        assert_eq!(read(&mut stream, 1, 10_000, Some(999)), Seen::Nothing);
        assert_eq!(read(&mut stream, 2, 10_002, Some(1)), Seen::Violation(2), "it swapped an absent register away");
    }

    #[test]
    fn events_that_are_no_historys_are_refused() {
        let mut stream = Stream::new();
        stream.invoke(5, 0, Invocation::Read).unwrap();
        assert_eq!(stream.invoke(5, 0, Invocation::Read), Err(StreamError::InvokedTwice(0)));
        let backwards = StreamError::Backwards { operation: 1, stamp: 4, latest: 5 };
        assert_eq!(stream.invoke(4, 1, Invocation::Read), Err(backwards));
        assert_eq!(stream.answer(6, 1, Answer::Done), Err(StreamError::NotInFlight(1)));
        assert_eq!(stream.answer(6, 0, Answer::Done), Err(StreamError::Mismatch(0)));
        stream.answer(6, 0, Answer::Saw(None)).unwrap();
        assert_eq!(stream.answer(6, 0, Answer::Saw(None)), Err(StreamError::NotInFlight(0)));
    }
}
