//! A lock that at most one section holds at a time.
//!
//! *Specification.* Free at first. `Acquire(hold)`: free before, held by `hold` after. `Release(hold)`: held by `hold` before,
//! free after. `Busy`: held by anybody, and stays so.
//!
//! *What `fail` means.* Of a release: it did not take effect; leave it out. Of a try-acquire it has to be declared: it may be
//! spurious (leave it out), or it means `Busy`. An acquire without an outcome begins a section that nobody can end, so it can
//! only have been the last one; a release without an outcome may have taken effect at any time since, or never.
//!
//! The owner-free lock of Jepsen's `mutex` model (acquire when free, release when held, no matter by whom) is
//! [`BareMutex`](super::BareMutex). Where every process releases only what it acquired itself, and alternates, both accept
//! the same histories: `sections` in `crate::linear::models` says why, and builds entries for this model.
//!
//! *Decided* in O(n) without `Busy` (`sections.rs` has the proof), always, if no two acquires name one hold. With `Busy`: in
//! O(n log n), if besides every section lasts and no section is ended that nobody is known to have begun; that is so wherever
//! a process releases only after its acquire was answered. Everything else goes to the engine.
//!
//! Source: Dijkstra, "Solution of a problem in concurrent programming control" (1965); Knossos' model `mutex`.

use super::busy;
use super::hold::Hold;
use super::sections::{self, Part, Role};
use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;
use crate::linear::model::{Effect, Model};

/// A lock with an owner.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mutex;

/// What was done to a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MutexOp {
    /// Got the lock; the section begins.
    Acquire(Hold),
    /// Gave it back; the section ends.
    Release(Hold),
    /// Was refused, because the lock was held.
    Busy,
}

impl Part for MutexOp {
    fn part(&self) -> Option<(Hold, Role)> {
        match *self {
            Self::Acquire(hold) => Some((hold, Role::Acquire)),
            Self::Release(hold) => Some((hold, Role::End)),
            Self::Busy => None,
        }
    }
}

impl Model for Mutex {
    type Op = MutexOp;
    type State = Option<Hold>;

    fn initial(&self) -> Option<Hold> {
        None
    }

    fn apply(&self, &holder: &Option<Hold>, op: &MutexOp) -> Option<Option<Hold>> {
        match *op {
            MutexOp::Acquire(hold) => holder.is_none().then_some(Some(hold)),
            MutexOp::Release(hold) => (holder == Some(hold)).then_some(None),
            MutexOp::Busy => holder.is_some().then_some(holder),
        }
    }

    fn effect(&self, op: &MutexOp) -> Effect {
        match op {
            MutexOp::Acquire(_) | MutexOp::Release(_) => Effect::Update,
            MutexOp::Busy => Effect::ReadOnly,
        }
    }

    fn shortcut(&self, ops: &[Op<MutexOp>]) -> Shortcut {
        let refused = |op: &Op<MutexOp>| op.what == MutexOp::Busy && op.ret.is_some();
        if ops.iter().any(refused) { busy::decide(ops, refused) } else { sections::decide(ops, 1) }
    }

    /// Without a whole section there is more room for the others; but it may be what somebody found the lock busy with.
    fn independent(&self, kept: &MutexOp, dropped: &MutexOp) -> bool {
        match (kept.part(), dropped.part()) {
            (Some((kept, _)), Some((dropped, _))) => kept != dropped,
            (_, None) => true,
            (None, Some(_)) => false,
        }
    }
}
