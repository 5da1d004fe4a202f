//! A register: `read`, `write v`, `cas e v`; absent at first.
//!
//! [`zones`] decides histories whose values are unique, refused swaps aside, which [`refusals`] fits into the zones' order;
//! [`relax`] convicts histories whose values are not, but can't acquit them. What is left goes to the engine, in the fewer
//! words of [`normal`].

mod gaps;
mod normal;
mod refusals;
mod relax;
#[cfg(test)]
mod tests;
mod zones;

use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;
use crate::linear::model::{Effect, Model};

/// The content before the first write. Contents are interned by whoever builds the entries, from 1 on and best without gaps;
/// writing this one is a deletion.
pub const ABSENT: u32 = 0;

/// Reserved for [`Model::normalise`]: a content that no operation needs. Its writes are hidden overwrites, so a history that
/// has it from elsewhere and observes it would be judged wrongly.
pub const HIDDEN: u32 = u32::MAX;

/// One register.
#[derive(Clone, Copy, Debug, Default)]
pub struct Register;

/// What was done to a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RegisterOp {
    /// Saw this content.
    Read(u32),
    /// Left this content behind.
    Write(u32),
    /// Saw `expect` and left `new` behind.
    Cas {
        /// What it saw.
        expect: u32,
        /// What it left.
        new: u32,
    },
    /// A cas that was refused without telling what it saw: any content but this.
    Refused {
        /// What it did not see.
        unlike: u32,
    },
    /// A refused cas in a counterexample that leaves out who made it right: whatever `unlike` was overwritten by is content
    /// now, if it was not before. Not found in histories; see [`Model::weaker`].
    Ousted {
        /// What is gone.
        unlike: u32,
    },
}

impl RegisterOp {
    /// The one content in which the operation is possible, if there is only one.
    #[must_use]
    pub fn observes(self) -> Option<u32> {
        match self {
            Self::Read(seen) => Some(seen),
            Self::Cas { expect, .. } => Some(expect),
            Self::Write(_) | Self::Refused { .. } | Self::Ousted { .. } => None,
        }
    }

    /// The content left behind, if the operation writes.
    #[must_use]
    pub fn writes(self) -> Option<u32> {
        match self {
            Self::Write(new) | Self::Cas { new, .. } => Some(new),
            Self::Read(_) | Self::Refused { .. } | Self::Ousted { .. } => None,
        }
    }
}

impl Model for Register {
    type Op = RegisterOp;
    type State = u32;

    fn initial(&self) -> u32 {
        ABSENT
    }

    fn apply(&self, &state: &u32, op: &RegisterOp) -> Option<u32> {
        match *op {
            RegisterOp::Read(seen) => (seen == state).then_some(state),
            RegisterOp::Write(new) => Some(new),
            RegisterOp::Cas { expect, new } => (expect == state).then_some(new),
            RegisterOp::Refused { unlike } => (unlike != state).then_some(state),
            RegisterOp::Ousted { unlike } => Some(if unlike == state { HIDDEN } else { state }),
        }
    }

    fn effect(&self, op: &RegisterOp) -> Effect {
        match op {
            RegisterOp::Read(_) | RegisterOp::Refused { .. } => Effect::ReadOnly,
            RegisterOp::Write(new) => Effect::Overwrite { hidden: *new == HIDDEN },
            RegisterOp::Cas { .. } | RegisterOp::Ousted { .. } => Effect::Update,
        }
    }

    fn shortcut(&self, ops: &[Op<RegisterOp>]) -> Shortcut {
        relax::decide(ops)
    }

    fn normalise(&self, ops: &[Op<RegisterOp>]) -> Option<Vec<Op<RegisterOp>>> {
        normal::normalise(ops)
    }

    /// An ousted content was overwritten in the whole history, so whoever observes it later does so of a later write of it,
    /// which stays with him: that the ousting happens in place of writes that were left out is of no matter to him.
    fn independent(&self, kept: &RegisterOp, dropped: &RegisterOp) -> bool {
        match kept {
            // It may have been any other content that made the refusal right.
            RegisterOp::Refused { .. } => false,
            RegisterOp::Read(_) | RegisterOp::Write(_) | RegisterOp::Cas { .. } | RegisterOp::Ousted { .. } => {
                dropped.writes().is_none_or(|written| kept.observes() != Some(written))
            }
        }
    }

    fn weaker(&self, op: &RegisterOp) -> Vec<RegisterOp> {
        match *op {
            RegisterOp::Cas { new: content, .. } | RegisterOp::Read(content) => vec![RegisterOp::Write(content)],
            RegisterOp::Refused { unlike } => vec![RegisterOp::Ousted { unlike }],
            RegisterOp::Write(_) | RegisterOp::Ousted { .. } => Vec::new(),
        }
    }
}
