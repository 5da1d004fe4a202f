//! Many objects in one history: split by key, judged each alone, on all cores.
//!
//! Linearizability is local (Herlihy and Wing, TOPLAS 1990, theorem 1): a history is linearizable iff each object's part of it
//! is. So a violation of one key is one of the whole, whatever is unknown of the others, and the whole is linearizable only if
//! every key was found to be.
//!
//! Cheap keys go first, by number of operations: a violation there spares the dear ones. With several threads the outcome is
//! still that of one: keys behind the first violated one, in that order, are not reported even if they were judged.
//!
//! Splitting is a counting sort, O(n + k log k) with one copy of the entries; refuses to know what a key is: numbers are
//! interned by whoever builds the entries.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::check::check;
use super::decision::{Budget, Decision};
use super::entry::{Entry, StampError};
use super::model::Model;

/// A history by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split<T> {
    /// Ascending.
    keys: Vec<u32>,
    /// Where each key's entries begin; and the end.
    starts: Vec<usize>,
    /// The entries, key by key, in a key as they came.
    entries: Vec<Entry<T>>,
    /// For each of `entries` its place in the whole.
    sources: Vec<u32>,
}

impl<T: Clone> Split<T> {
    /// Splits entries, each with its key. Interned keys, that is small ones without large gaps, are split in linear time.
    ///
    /// # Panics
    /// If there are 2³² entries or more.
    #[must_use]
    pub fn new(entries: &[(u32, Entry<T>)]) -> Self {
        assert!(u32::try_from(entries.len()).is_ok(), "places are numbers of 32 bits");
        let mut keys: Vec<u32> = Vec::new();
        let most = entries.iter().map(|(key, _)| *key).max().unwrap_or(0) as usize;
        // By key: how many entries there are, then where the next one goes.
        let mut next: Vec<usize> = Vec::new();
        let dense = most <= 2 * entries.len();
        if dense {
            next.resize(most + 1, 0);
            entries.iter().for_each(|(key, _)| next[*key as usize] += 1);
            keys.extend((0..).zip(&next).filter(|(_, count)| **count > 0).map(|(key, _)| key));
        } else {
            keys.extend(entries.iter().map(|(key, _)| *key));
            keys.sort_unstable();
            keys.dedup();
        }
        let mut split = Self { keys, starts: vec![0], entries: Vec::new(), sources: Vec::new() };
        if dense {
            for key in 0..split.keys.len() {
                let slot = &mut next[split.keys[key] as usize];
                let start = split.starts[key];
                split.starts.push(start + std::mem::replace(slot, start));
            }
            split.fill(entries, |key| {
                let at = next[key as usize];
                next[key as usize] += 1;
                at
            });
        } else {
            let number = |keys: &[u32], key| keys.binary_search(&key).expect("all keys are listed");
            let mut next = vec![0; split.keys.len()];
            entries.iter().for_each(|(key, _)| next[number(&split.keys, *key)] += 1);
            for slot in &mut next {
                let start = split.starts[split.starts.len() - 1];
                split.starts.push(start + std::mem::replace(slot, start));
            }
            let keys = split.keys.clone();
            split.fill(entries, |key| {
                let slot = &mut next[number(&keys, key)];
                *slot += 1;
                *slot - 1
            });
        }
        split
    }

    /// Puts each entry where `at` says for its key.
    fn fill(&mut self, entries: &[(u32, Entry<T>)], mut at: impl FnMut(u32) -> usize) {
        self.sources.resize(entries.len(), 0);
        (0..).zip(entries).for_each(|(source, (key, _))| self.sources[at(*key)] = source);
        self.entries.extend(self.sources.iter().map(|&source| entries[source as usize].1.clone()));
    }
}

impl<T> Split<T> {
    /// The keys, ascending.
    #[must_use]
    pub fn keys(&self) -> &[u32] {
        &self.keys
    }

    /// The entries of the key with this index in [`Split::keys`].
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn entries(&self, index: usize) -> &[Entry<T>] {
        &self.entries[self.range(index)]
    }

    /// For each entry of the key with this index its place in the whole.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn sources(&self, index: usize) -> &[u32] {
        &self.sources[self.range(index)]
    }

    fn range(&self, index: usize) -> Range<usize> {
        self.starts[index]..self.starts[index + 1]
    }
}

/// Whether keys are judged once there is a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Those behind the first violated key, by number of operations, are left.
    UntilViolation,
    /// All are.
    All,
}

/// What was decided of each key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyed<T> {
    /// By index of the key; `None` of those left once there was a violation. Places are those in [`Split::entries`].
    pub decisions: Vec<Option<Decision<T>>>,
}

/// What follows for the whole. Keys are indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// There was no operation.
    Empty,
    /// Every key is linearizable.
    Linearizable,
    /// This key, the first one, is not.
    Violation(usize),
    /// No key is known not to be linearizable, but of this one, the first, it is not known whether it is.
    Undecided(usize),
}

impl<T> Keyed<T> {
    /// What follows for the whole: a violation outranks what is not decided.
    #[must_use]
    pub fn whole(&self) -> Whole {
        let first = |wanted: fn(&Option<Decision<T>>) -> bool| self.decisions.iter().position(wanted);
        if let Some(key) = first(|decision| matches!(decision, Some(Decision::Violation { .. }))) {
            Whole::Violation(key)
        } else if let Some(key) = first(|decision| matches!(decision, Some(Decision::Undecided(_)) | None)) {
            Whole::Undecided(key)
        } else if self.decisions.is_empty() {
            Whole::Empty
        } else {
            Whole::Linearizable
        }
    }
}

/// A key whose stamps are no history's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key {key}: {source}")]
pub struct KeyError {
    /// The key's number.
    pub key: u32,
    /// What is wrong with it; places are those in [`Split::entries`].
    pub source: StampError,
}

/// Judges every key by a model of its own, on `threads` threads, with a budget per key; the budget's bytes are shared by the
/// threads. If the budget has no [`Budget::stop`], a key that is being judged is given up as soon as a cheaper one is violated
/// and `wanted` is [`Keys::UntilViolation`]; otherwise it is finished in vain.
///
/// # Errors
/// If a key's stamps are no history's.
///
/// # Panics
/// If the model does.
pub fn check_keyed<M: Model>(
    model: impl Fn(u32, &[Entry<M::Op>]) -> M + Sync,
    split: &Split<M::Op>,
    budget: &Budget<'_>,
    threads: NonZeroUsize,
    wanted: Keys,
) -> Result<Keyed<M::Op>, KeyError> {
    let mut cheapest: Vec<usize> = (0..split.keys.len()).collect();
    cheapest.sort_by_key(|&key| split.range(key).len());
    let threads = threads.get().clamp(1, cheapest.len().max(1));
    let budget = Budget { bytes: budget.bytes / threads, ..*budget };
    let crew = Crew::new(threads);
    let judge = |rank: usize, own: &AtomicBool| {
        let key = cheapest[rank];
        let entries = split.entries(key);
        let model = model(split.keys[key], entries);
        let budget = Budget { stop: Some(budget.stop.unwrap_or(own)), ..budget };
        let decision = check(&model, entries, &budget).map_err(|source| KeyError { key: split.keys[key], source });
        let last = match &decision {
            Ok(Decision::Violation { .. }) => wanted == Keys::UntilViolation,
            Ok(Decision::Linearizable(_) | Decision::Undecided(_)) => false,
            Err(_) => true,
        };
        (decision, last)
    };
    let done = crew.work(cheapest.len(), judge);
    let mut decisions: Vec<Option<Decision<M::Op>>> = cheapest.iter().map(|_| None).collect();
    for (rank, decision) in done {
        decisions[cheapest[rank]] = Some(decision?);
    }
    Ok(Keyed { decisions })
}

/// Threads that share jobs numbered by rank, until one says that none of a higher rank matters any more.
struct Crew {
    /// What each thread works at, and whether it may stop.
    members: Vec<(AtomicUsize, AtomicBool)>,
    next: AtomicUsize,
    /// The lowest rank behind which nothing matters.
    last: AtomicUsize,
}

impl Crew {
    fn new(threads: usize) -> Self {
        let members = (0..threads).map(|_| (AtomicUsize::new(0), AtomicBool::new(false))).collect();
        Self { members, next: AtomicUsize::new(0), last: AtomicUsize::new(usize::MAX) }
    }

    /// The results of all jobs up to the last one that matters, ascending.
    fn work<R: Send>(&self, jobs: usize, job: impl Fn(usize, &AtomicBool) -> (R, bool) + Sync) -> Vec<(usize, R)> {
        let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::with_capacity(jobs));
        let work = |member: usize| {
            let mut mine = Vec::new();
            let (rank, stop) = &self.members[member];
            loop {
                let job_next = self.next.fetch_add(1, Ordering::SeqCst);
                // First the rank, then the flag, then the look at `last`: whoever lowers `last` after that look sees the rank
                // and raises the flag.
                rank.store(job_next, Ordering::SeqCst);
                stop.store(false, Ordering::SeqCst);
                if job_next >= jobs || job_next > self.last.load(Ordering::SeqCst) {
                    break;
                }
                let (result, is_last) = job(job_next, stop);
                mine.push((job_next, result));
                if is_last {
                    self.last.fetch_min(job_next, Ordering::SeqCst);
                    let behind = |(rank, _): &&(AtomicUsize, AtomicBool)| rank.load(Ordering::SeqCst) > job_next;
                    self.members.iter().filter(behind).for_each(|(_, stop)| stop.store(true, Ordering::SeqCst));
                }
            }
            done.lock().expect("no thread panics while it holds the lock").extend(mine);
        };
        if self.members.len() == 1 {
            work(0);
        } else {
            std::thread::scope(|scope| {
                (0..self.members.len()).for_each(|member| {
                    let work = &work;
                    scope.spawn(move || work(member));
                });
            });
        }
        let mut done = done.into_inner().expect("no thread panics while it holds the lock");
        done.sort_unstable_by_key(|(rank, _)| *rank);
        let last = self.last.load(Ordering::SeqCst);
        done.retain(|(rank, _)| *rank <= last);
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::models::{Register, RegisterOp};

    fn entry(what: RegisterOp, invoked: u64, answered: u64) -> Entry<RegisterOp> {
        Entry { what, invoked, answered: Some(answered) }
    }

    fn threads(number: usize) -> NonZeroUsize {
        NonZeroUsize::new(number).unwrap()
    }

    #[test]
    fn split_keeps_the_order_in_a_key_whatever_the_keys() {
        for large in [0, 4_000_000_000] {
            let whole: Vec<(u32, Entry<u32>)> = [7, 3, 7, 5, 3, 7]
                .into_iter()
                .zip(0..)
                .map(|(key, what)| (key + large, Entry { what, invoked: 0, answered: None }))
                .collect();
            let split = Split::new(&whole);
            assert_eq!(split.keys(), [3 + large, 5 + large, 7 + large]);
            let sources: [&[u32]; 3] = [&[1, 4], &[3], &[0, 2, 5]];
            for (key, expected) in sources.into_iter().enumerate() {
                assert_eq!(split.sources(key), expected);
                let what: Vec<u32> = split.entries(key).iter().map(|entry| entry.what).collect();
                assert_eq!(what, expected);
            }
        }
    }

    /// Key 2 has one operation and is violated, key 1 has three and is, too, key 0 has two and is not.
    fn history() -> Split<RegisterOp> {
        Split::new(&[
            (0, entry(RegisterOp::Write(1), 1, 2)),
            (1, entry(RegisterOp::Write(1), 1, 2)),
            (2, entry(RegisterOp::Read(1), 1, 2)),
            (0, entry(RegisterOp::Read(1), 3, 4)),
            (1, entry(RegisterOp::Read(0), 3, 4)),
            (1, entry(RegisterOp::Read(1), 3, 4)),
        ])
    }

    #[test]
    fn cheapest_violation_ends_the_check_unless_all_are_wanted() {
        let judge =
            |threads, wanted| check_keyed(|_, _| Register, &history(), &Budget::default(), threads, wanted).unwrap();
        for number in [1, 2, 8] {
            let first = judge(threads(number), Keys::UntilViolation);
            assert_eq!(first.whole(), Whole::Violation(2));
            assert_eq!(first.decisions.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, true]);
            let all = judge(threads(number), Keys::All);
            assert_eq!(all.whole(), Whole::Violation(1));
            assert!(matches!(all.decisions[0], Some(Decision::Linearizable(_))));
        }
    }

    #[test]
    fn violation_outranks_what_is_not_decided_and_that_outranks_what_is_valid() {
        // A value written twice is the engine's business, and it may not move.
        let twice = |key| [1, 3].map(|at| (key, entry(RegisterOp::Write(1), at, at + 1)));
        let budget = Budget { configurations: 0, ..Budget::default() };
        let judge = |whole: &[(u32, Entry<RegisterOp>)]| {
            let split = Split::new(whole);
            check_keyed(|_, _| Register, &split, &budget, threads(2), Keys::UntilViolation).unwrap().whole()
        };
        let valid = (1, entry(RegisterOp::Write(1), 1, 2));
        let stale = (3, entry(RegisterOp::Read(1), 1, 2));
        assert_eq!(judge(&[]), Whole::Empty);
        assert_eq!(judge(&[valid]), Whole::Linearizable);
        assert_eq!(judge(&[valid, twice(2)[0], twice(2)[1]]), Whole::Undecided(1));
        assert_eq!(judge(&[valid, twice(2)[0], twice(2)[1], stale]), Whole::Violation(2));
        assert_eq!(judge(&[twice(2)[0], twice(2)[1], stale]), Whole::Violation(1));
    }

    #[test]
    fn key_whose_stamps_run_backwards_is_named() {
        let split = Split::new(&[(4, entry(RegisterOp::Write(1), 2, 1))]);
        let error = check_keyed(|_, _| Register, &split, &Budget::default(), threads(1), Keys::All).unwrap_err();
        assert_eq!(error.to_string(), "key 4: operation 0 was answered at 1, before it was invoked at 2");
    }
}
