//! A semaphore: at most n sections hold a permit at a time.
//!
//! *Specification.* Nobody holds a permit at first. `Acquire(hold)`: fewer than n holders before, `hold` one of them after, not
//! before. `Release(hold)`: `hold` is a holder before, not after.
//!
//! *What `fail` means.* Of an acquire and of a release: it did not take effect; leave it out. A refusal that must have seen
//! all permits taken is not modelled: leave it out, too, which proves less. An acquire without an outcome keeps its permit
//! if it took effect; a release without an outcome may have taken effect at any time since, or never.
//!
//! Permits are a number to most systems and have no owner. As in a mutex, that makes no difference where every process
//! releases only what it acquired itself: at each moment the permits that are out are at least the sections that must be held.
//!
//! *Decided* in O(n), always, if no two acquires name one hold: `sections.rs` has the proof. Source: Dijkstra, "Over de
//! sequentialiteit van procesbeschrijvingen" (EWD 35, 1962).

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use super::hold::Hold;
use super::sections::{self, Part, Role};
use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;
use crate::linear::model::Model;

/// So many permits.
#[derive(Clone, Copy, Debug)]
pub struct Semaphore {
    /// How many sections may hold one at a time.
    pub permits: NonZeroU32,
}

/// What was done to a semaphore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SemaphoreOp {
    /// Got a permit; the section begins.
    Acquire(Hold),
    /// Gave it back; the section ends.
    Release(Hold),
}

impl Part for SemaphoreOp {
    fn part(&self) -> Option<(Hold, Role)> {
        match *self {
            Self::Acquire(hold) => Some((hold, Role::Acquire)),
            Self::Release(hold) => Some((hold, Role::End)),
        }
    }
}

impl Model for Semaphore {
    type Op = SemaphoreOp;
    type State = BTreeSet<Hold>;

    fn initial(&self) -> BTreeSet<Hold> {
        BTreeSet::new()
    }

    fn apply(&self, holders: &BTreeSet<Hold>, op: &SemaphoreOp) -> Option<BTreeSet<Hold>> {
        let mut holders = holders.clone();
        let possible = match op {
            SemaphoreOp::Acquire(hold) => holders.len() < self.permits.get() as usize && holders.insert(*hold),
            SemaphoreOp::Release(hold) => holders.remove(hold),
        };
        possible.then_some(holders)
    }

    fn shortcut(&self, ops: &[Op<SemaphoreOp>]) -> Shortcut {
        sections::decide(ops, self.permits.get())
    }

    /// Without a whole section there are more permits for the others.
    fn independent(&self, kept: &SemaphoreOp, dropped: &SemaphoreOp) -> bool {
        kept.part().map(|(hold, _)| hold) != dropped.part().map(|(hold, _)| hold)
    }
}
