//! A lock that its holder loses unless it renews in time.
//!
//! *Specification.* Free at first. `Acquire(hold)`: free before, held by `hold` after. `Renew(hold)`: held by `hold`, and stays
//! so. `Release(hold)` and `Expire(hold)`: held by `hold` before, free after.
//!
//! *Time.* A specification knows no clock; what is known of time is put into the stamps of `Expire`. Whoever grants a lease
//! of length `ttl` starts to count when it handles the question, not before the question was asked. So the holder may rely on
//! the lease up to `until`, its last successful question plus `ttl`, and the lease may run out at any moment since, or never
//! (another question, of unknown outcome, may have prolonged it; nobody has to notice). That is an `Expire(hold)` invoked at
//! `until`, without an answer: `lease_entries` in `crate::linear::models` adds it. Must-hold is then, in stamps of the
//! caller's clock, from the acquire's answer to the earlier of `until` and the release's invocation. Clocks that run at
//! different speeds are the caller's to allow for: shorten `ttl` by the error.
//!
//! ```text
//!  n1  acquire ├─┤ ttl 50            ├ expire at any time since, or never
//!      at 10       ═══════════════════ 60
//!  n2                 acquire ├────┤                no order: granted while n1 could rely on its lease
//! ```
//!
//! *What `fail` means.* Of an acquire: refused, no effect; leave it out. Of a renewal and a release: the lease was gone or
//! the question was; leave it out (nothing is known of the moment at which it went). Without an outcome: a renewal proves
//! nothing, a release may have taken effect at any time since, or never.
//!
//! *Decided* in O(n), always, if no two acquires name one hold: `sections.rs` has the proof. Source: Gray and Cheriton,
//! "Leases" (SOSP 1989), section 2 and its appendix on clocks.

use super::hold::Hold;
use super::sections::{self, Part, Role};
use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;
use crate::linear::model::{Effect, Model};

/// A lock that runs out.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeaseLock;

/// What was done to a lease lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeaseLockOp {
    /// Got the lease; the section begins.
    Acquire(Hold),
    /// Prolonged it.
    Renew(Hold),
    /// Gave it back; the section ends.
    Release(Hold),
    /// Lost it, as its time was over; the section ends.
    Expire(Hold),
}

impl LeaseLockOp {
    /// The section that the operation belongs to.
    #[must_use]
    pub fn hold(self) -> Hold {
        match self {
            Self::Acquire(hold) | Self::Renew(hold) | Self::Release(hold) | Self::Expire(hold) => hold,
        }
    }
}

impl Part for LeaseLockOp {
    fn part(&self) -> Option<(Hold, Role)> {
        let role = match self {
            Self::Acquire(_) => Role::Acquire,
            Self::Renew(_) => Role::Renew,
            Self::Release(_) | Self::Expire(_) => Role::End,
        };
        Some((self.hold(), role))
    }
}

impl Model for LeaseLock {
    type Op = LeaseLockOp;
    type State = Option<Hold>;

    fn initial(&self) -> Option<Hold> {
        None
    }

    fn apply(&self, &holder: &Option<Hold>, op: &LeaseLockOp) -> Option<Option<Hold>> {
        match *op {
            LeaseLockOp::Acquire(hold) => holder.is_none().then_some(Some(hold)),
            LeaseLockOp::Renew(hold) => (holder == Some(hold)).then_some(holder),
            LeaseLockOp::Release(hold) | LeaseLockOp::Expire(hold) => (holder == Some(hold)).then_some(None),
        }
    }

    fn effect(&self, op: &LeaseLockOp) -> Effect {
        match op {
            LeaseLockOp::Renew(_) => Effect::ReadOnly,
            LeaseLockOp::Acquire(_) | LeaseLockOp::Release(_) | LeaseLockOp::Expire(_) => Effect::Update,
        }
    }

    fn shortcut(&self, ops: &[Op<LeaseLockOp>]) -> Shortcut {
        sections::decide(ops, 1)
    }

    /// Without a whole section there is more room for the others.
    fn independent(&self, kept: &LeaseLockOp, dropped: &LeaseLockOp) -> bool {
        kept.hold() != dropped.hold()
    }
}
