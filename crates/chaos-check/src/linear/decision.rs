//! What is decided of one object, and what deciding may cost.

use std::sync::atomic::{AtomicBool, Ordering};

use super::entry::Entry;

/// What a model's shortcut says. Numbers are places in the operations that it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortcut {
    /// These operations are not in the class that the shortcut decides, or it can't tell.
    Pass,
    /// A legal order; operations without an answer that are missing never took effect.
    Order(Vec<u32>),
    /// There is no legal order; these operations are at the heart of it: they, with all those of which they are not
    /// independent, have none by themselves.
    Conflict(Vec<u32>),
}

/// What is decided of one object. Numbers are places in the entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<T> {
    /// Linearizable by this order, which the verifier re-played. Operations without an answer that are missing never took
    /// effect.
    Linearizable(Vec<u32>),
    /// Not linearizable: these operations have no legal order by themselves.
    Violation {
        /// The operations, ascending by invocation.
        core: Vec<Kept<T>>,
        /// Whether the verifier refuted the core by trying all its orders. If not, there were too many of them, and only
        /// the engine vouches for the violation.
        verified: bool,
    },
    /// Not decided.
    Undecided(Undecided),
}

/// An operation that stays in a counterexample, possibly with less weight than it has in the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<T> {
    /// Its place in the entries.
    pub index: u32,
    /// The operation: as recorded, or with a weaker `what`, an earlier invocation, a later answer or none.
    pub entry: Entry<T>,
}

/// How far a check came that was not decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// What ran out.
    pub spent: Spent,
    /// The operation whose answer could not be passed, as a place in the entries; `None` if not even a first was reached.
    pub reached: Option<u32>,
    /// The answers before it: the history up to there is proved linearizable.
    pub answers_proved: u64,
    /// Configurations that were visited.
    pub configurations: u64,
}

/// What ran out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spent {
    /// The configurations that may be visited.
    Configurations,
    /// The memory that may be used.
    Bytes,
    /// The caller's patience: [`Budget::stop`] was set.
    Stopped,
    /// Our own mistake: a path and the verifier disagree. The text says how.
    Disagreement(String),
}

/// What deciding one object may cost.
#[derive(Clone, Copy, Debug)]
pub struct Budget<'a> {
    /// Configurations that the engine may visit.
    pub configurations: u64,
    /// Bytes that the engine may use.
    pub bytes: usize,
    /// Set by the caller when time is up; looked at at least once per thousand configurations. This crate has no clock.
    pub stop: Option<&'a AtomicBool>,
}

impl Budget<'_> {
    /// Whether the caller wants an end.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }
}

impl Default for Budget<'_> {
    /// Ten million configurations, 256 MiB, no deadline: seconds per object at worst.
    fn default() -> Self {
        Self { configurations: 10_000_000, bytes: 256 << 20, stop: None }
    }
}
