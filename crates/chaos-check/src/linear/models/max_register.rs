//! A register that only grows: the largest fencing token, term or revision that was seen.
//!
//! *Specification.* 0 at first. `Raise(v)`: the larger of `v` and what it was. `Accept(v)`: no more than `v` before, `v` after; a
//! write whose fencing token `v` was good enough. `Read(v)`: exactly `v`. `AtLeast(v)`, `AtMost(v)`: what they say; a write
//! whose token `v` was too low is `AtLeast(v + 1)`. `Set(v)`: `v` after, whatever it was; it stands in for a read in
//! counterexamples.
//!
//! *What `fail` means.* Of `Accept`: `AtLeast(v + 1)`, if refused for its token. Else: it did not take effect; leave it out.
//!
//! *Decided* in O(n log n), but for histories with `Set`, and those in which an `AtLeast` needs an `Accept` without an answer.
//! Proof. What is read or accepted is ascending in every order, so whatever is larger than it has to wait for it: for each
//! value there is a moment, the *floor*, before which nothing can raise to it. A value that is read is raised by somebody
//! first, and that can as well be the one invoked first. Nothing else binds an operation, other than that it is not before
//! its invocation; so everything happens at the first moment at which it can, ascending by value where moments are the same,
//! and either nobody's answer is before that moment, or there is no order. `AtLeast` waits for the first that makes it true.
//!
//! Source: Aspnes, Attiya and Censor, "Max registers, counters, and monotone circuits" (PODC 2009) for the object; Kleppmann,
//! "How to do distributed locking" (2016) for tokens.

use super::floors;
use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;
use crate::linear::model::{Effect, Model};

/// A register that only grows.
#[derive(Clone, Copy, Debug, Default)]
pub struct MaxRegister;

/// What was done to a register that only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MaxRegisterOp {
    /// Made it no less than this.
    Raise(u64),
    /// Found it no more than this, and made it this.
    Accept(u64),
    /// Saw this.
    Read(u64),
    /// Saw this or more.
    AtLeast(u64),
    /// Saw this or less.
    AtMost(u64),
    /// Left this behind, whatever it was.
    Set(u64),
}

impl Model for MaxRegister {
    type Op = MaxRegisterOp;
    type State = u64;

    fn initial(&self) -> u64 {
        0
    }

    fn apply(&self, &state: &u64, op: &MaxRegisterOp) -> Option<u64> {
        match *op {
            MaxRegisterOp::Raise(value) => Some(state.max(value)),
            MaxRegisterOp::Accept(value) => (state <= value).then_some(value),
            MaxRegisterOp::Read(value) => (state == value).then_some(state),
            MaxRegisterOp::AtLeast(value) => (state >= value).then_some(state),
            MaxRegisterOp::AtMost(value) => (state <= value).then_some(state),
            MaxRegisterOp::Set(value) => Some(value),
        }
    }

    fn effect(&self, op: &MaxRegisterOp) -> Effect {
        match op {
            MaxRegisterOp::Raise(_) | MaxRegisterOp::Accept(_) => Effect::Update,
            MaxRegisterOp::Read(_) | MaxRegisterOp::AtLeast(_) | MaxRegisterOp::AtMost(_) => Effect::ReadOnly,
            MaxRegisterOp::Set(_) => Effect::Overwrite { hidden: false },
        }
    }

    fn shortcut(&self, ops: &[Op<MaxRegisterOp>]) -> Shortcut {
        floors::decide(ops)
    }

    /// Without a raise it is smaller for a time, and the same as before if it is one that a read doesn't see.
    fn independent(&self, kept: &MaxRegisterOp, dropped: &MaxRegisterOp) -> bool {
        use MaxRegisterOp::{Accept, AtLeast, AtMost, Raise, Read, Set};
        match (kept, dropped) {
            (_, Read(_) | AtLeast(_) | AtMost(_)) | (Raise(_) | Set(_), _) => true,
            (Accept(_) | AtMost(_), Raise(_) | Accept(_)) => true,
            (Read(seen), Raise(raised) | Accept(raised)) => seen != raised,
            (AtLeast(seen), Raise(raised) | Accept(raised)) => raised < seen,
            (Accept(_) | Read(_) | AtLeast(_) | AtMost(_), Set(_)) => false,
        }
    }

    fn weaker(&self, op: &MaxRegisterOp) -> Vec<MaxRegisterOp> {
        use MaxRegisterOp::{Accept, AtLeast, AtMost, Raise, Read, Set};
        match *op {
            Accept(value) => vec![Set(value), Raise(value)],
            Read(value) => vec![AtMost(value), Set(value), Raise(value), AtLeast(value)],
            Raise(_) | AtLeast(_) | AtMost(_) | Set(_) => Vec::new(),
        }
    }
}
