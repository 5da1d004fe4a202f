//! The small types of the protocol: who, which term, which entry, when. Each is a newtype so that they can't be mixed up.
//!
//! They refuse arithmetic that has no meaning: a term can't be added to an index, and two instants can only be subtracted.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Add;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A node of the cluster: its number, counted from 1, and which *life* it is in. Shown as `n1`, or `n1+7` in life 7.
///
/// All that Raft promises rests on what the members remember. So a node that has lost its disk is another node, whatever its name:
/// it must not vote, or answer, in the place of the one that it was. Each loss begins a new life; the first members have life 0.
/// The protocol never looks inside: to it, two lives are two nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u64);

impl NodeId {
    const NUMBER_BITS: u32 = 32;

    /// The same node in this life.
    #[must_use]
    pub fn in_life(self, life: u32) -> Self {
        Self(self.number() | u64::from(life) << Self::NUMBER_BITS)
    }

    /// The same node as it was at the birth of the cluster.
    #[must_use]
    pub fn in_first_life(self) -> Self {
        self.in_life(0)
    }

    /// Its number, the same in all lives; below 2³².
    #[must_use]
    pub fn number(self) -> u64 {
        self.0 & ((1 << Self::NUMBER_BITS) - 1)
    }

    /// Its life; 0 for one that was there at the birth of the cluster and has kept its disk.
    #[must_use]
    pub fn life(self) -> u64 {
        self.0 >> Self::NUMBER_BITS
    }

    /// Its name, the same in all lives: what the world outside calls it.
    #[must_use]
    pub fn name(self) -> String {
        format!("n{}", self.number())
    }
}

/// By number, so that a list of members is in the order of their names.
impl Ord for NodeId {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.number(), self.life()).cmp(&(other.number(), other.life()))
    }
}

impl PartialOrd for NodeId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.number())?;
        if self.life() > 0 { write!(f, "+{}", self.life()) } else { Ok(()) }
    }
}

/// A term: Raft's logical clock (paper §5.1). 0 is the time before the first election; real terms start at 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Term(pub u64);

impl Term {
    /// The term after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The position of an entry in the log. The first entry has 1; 0 is the empty prefix before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogIndex(pub u64);

impl LogIndex {
    /// The position after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The position before this one; 0 stays 0.
    #[must_use]
    pub fn prev(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for LogIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An instant on the node's own monotonic clock, in nanoseconds since an origin that only this node knows.
///
/// Instants of two nodes can't be compared: their clocks differ in origin and, within bounds, in rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The end of time; a deadline that never comes.
    pub const MAX: Self = Self(u64::MAX);

    /// The time from `earlier` to this instant; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Nanos {
    type Output = Self;

    /// Saturates at [`Nanos::MAX`].
    fn add(self, rhs: Duration) -> Self {
        let nanos = u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

/// A request of the shell, echoed in its reply. The core never interprets it; it has meaning on one node only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);
