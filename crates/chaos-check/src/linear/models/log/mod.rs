//! A log: `append x`, which may tell at which index, and reads of a range or of everything; empty at first. Raft's log, a
//! partition of Kafka.
//!
//! ```text
//!  append a → 0  |----|
//!  append b      |--------|               ⇒ the order is 0, 1, 2, …, and a whole read of n elements stands between n-1 and n
//!  read → [a b]       |-----|
//! ```
//!
//! *The polynomial path*: what reads saw and appends were told gives most indices their element. An append that was told
//! nothing is known by its element if that was appended once; nobody's append comes last. Then everything has a phase, but reads
//! of a range, which must only come behind the last element they saw; instants are a matter of [`super::phases`]. Exact where
//! every known index has one append that can be it and no index before a known one is unknown; else one way is tried, and if
//! that fails, and not for a reason that holds for all, the engine decides. O(n log n) plus the reads' total length.
//!
//! What `fail` means: an append that failed did not happen, a read that failed saw nothing; leave them out. An append without
//! an answer is told nothing. Refused: truncation, compaction (give reads the index that the log gives them), gaps.

mod order;

use std::hash::{Hash, Hasher};

use super::list::List;
use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;
use crate::linear::model::{Effect, Model};

/// One log, with what its reads saw. Elements are numbers, given out by whoever builds the entries.
#[derive(Clone, Debug, Default)]
pub struct AppendLog {
    reads: Vec<LogRead>,
}

/// What a read saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRead {
    /// The index of the first element.
    pub from: u32,
    /// The elements from there on.
    pub elements: Vec<u32>,
    /// Whether the log had no more.
    pub whole: bool,
}

impl LogRead {
    /// The index behind the last element.
    fn end(&self) -> u64 {
        u64::from(self.from) + self.elements.len() as u64
    }
}

/// What was done to a log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogOp {
    /// Added an element at the end.
    Append {
        /// The element.
        element: u32,
        /// The index that it was told to have.
        at: Option<u32>,
    },
    /// Saw what was given to [`AppendLog::read`].
    Read(u32),
    /// Weaker than an append that was told an index: the log may be shorter. What is missing in between has no element. Nobody
    /// records it.
    Leap {
        /// The element.
        element: u32,
        /// Its index.
        at: u32,
    },
    /// Weaker than a read: of these elements only, those that it saw stood there in the same order. Nobody records it.
    Saw {
        /// The number of the read.
        read: u32,
        /// The elements, ascending.
        among: Box<[u32]>,
    },
}

/// The elements of a log, last first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogState {
    links: List<Link>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link {
    index: u32,
    element: u32,
}

impl LogState {
    fn len(&self) -> u32 {
        self.links.last().map_or(0, |last| last.index + 1)
    }

    fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.iter()
    }

    fn with(&self, index: u32, element: u32) -> Self {
        Self { links: self.links.with(Link { index, element }) }
    }
}

impl Hash for LogState {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.links.last().map(|last| (last.index, last.element)).hash(state);
    }
}

impl AppendLog {
    /// A read that saw this.
    ///
    /// # Panics
    /// If there are 2³² reads.
    pub fn read(&mut self, read: LogRead) -> LogOp {
        let number = u32::try_from(self.reads.len()).expect("that many reads don't fit into memory");
        self.reads.push(read);
        LogOp::Read(number)
    }

    /// What a read saw.
    ///
    /// # Panics
    /// If the read is another log's.
    #[must_use]
    pub fn seen(&self, read: u32) -> &LogRead {
        &self.reads[read as usize]
    }

    /// Whether `read` can have seen this. Walks from the end of the log to the first element that was read.
    fn shows(state: &LogState, read: &LogRead) -> bool {
        let (len, end) = (u64::from(state.len()), read.end());
        if len < end || read.whole && len != end {
            return false;
        }
        let links = state.links().skip_while(|link| u64::from(link.index) >= end);
        let seen =
            (0..read.elements.len()).rev().map(|place| (u64::from(read.from) + place as u64, &read.elements[place]));
        links.take_while(|link| link.index >= read.from).map(|link| (u64::from(link.index), &link.element)).eq(seen)
    }

    /// Whether what the list has of `among` contains what `read` has of them.
    fn agrees(&self, state: &LogState, read: u32, among: &[u32]) -> bool {
        let read = self.seen(read);
        let some = |element: &u32| among.binary_search(element).is_ok();
        let mut has: Vec<u32> = state.links().map(|link| link.element).filter(some).collect();
        has.reverse();
        let seen: Vec<u32> = read.elements.iter().copied().filter(some).collect();
        match (read.from, read.whole) {
            (0, true) => has == seen,
            (0, false) => has.starts_with(&seen),
            (_, true) => has.ends_with(&seen),
            (_, false) => seen.is_empty() || has.windows(seen.len()).any(|part| part == seen),
        }
    }
}

impl Model for AppendLog {
    type Op = LogOp;
    type State = LogState;

    fn initial(&self) -> LogState {
        LogState::default()
    }

    fn apply(&self, state: &LogState, op: &LogOp) -> Option<LogState> {
        let possible = match *op {
            LogOp::Append { element, at } => {
                let len = state.len();
                return at.is_none_or(|at| at == len).then(|| state.with(len, element));
            }
            LogOp::Leap { element, at } => return (state.len() <= at).then(|| state.with(at, element)),
            LogOp::Read(read) => Self::shows(state, self.seen(read)),
            LogOp::Saw { read, ref among } => self.agrees(state, read, among),
        };
        possible.then(|| state.clone())
    }

    fn effect(&self, op: &LogOp) -> Effect {
        match op {
            LogOp::Append { .. } | LogOp::Leap { .. } => Effect::Update,
            LogOp::Read(_) | LogOp::Saw { .. } => Effect::ReadOnly,
        }
    }

    fn shortcut(&self, ops: &[Op<LogOp>]) -> Shortcut {
        order::decide(self, ops)
    }

    fn independent(&self, kept: &LogOp, dropped: &LogOp) -> bool {
        let (LogOp::Append { element: dropped, .. } | LogOp::Leap { element: dropped, .. }) = dropped else {
            return true;
        };
        match kept {
            // Without the others the log is never longer.
            LogOp::Append { at: None, .. } | LogOp::Leap { .. } => true,
            LogOp::Append { at: Some(_), .. } => false,
            // What it didn't see came behind what it saw.
            LogOp::Read(read) => self.seen(*read).from == 0 && !self.seen(*read).elements.contains(dropped),
            LogOp::Saw { among, .. } => among.binary_search(dropped).is_err(),
        }
    }

    fn weaker(&self, op: &LogOp) -> Vec<LogOp> {
        match *op {
            LogOp::Append { element, at: Some(at) } => {
                vec![LogOp::Append { element, at: None }, LogOp::Leap { element, at }]
            }
            LogOp::Append { at: None, .. } | LogOp::Leap { .. } | LogOp::Read(_) | LogOp::Saw { .. } => Vec::new(),
        }
    }

    fn weaker_beside(&self, op: &LogOp, others: &[&LogOp]) -> Vec<LogOp> {
        let LogOp::Read(read) = *op else { return self.weaker(op) };
        let element = |other: &&LogOp| match *other {
            LogOp::Append { element, .. } | LogOp::Leap { element, .. } => Some(*element),
            LogOp::Read(_) | LogOp::Saw { .. } => None,
        };
        let mut among: Vec<u32> = others.iter().filter_map(element).collect();
        among.sort_unstable();
        among.dedup();
        vec![LogOp::Saw { read, among: among.into() }]
    }

    fn is_weaker(&self, op: &LogOp, weaker: &LogOp) -> bool {
        matches!((op, weaker), (LogOp::Read(read), LogOp::Saw { read: of, .. }) if read == of)
            || self.weaker(op).contains(weaker)
    }
}
