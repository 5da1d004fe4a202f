//! A register: `read`, `write v`, `cas e v`; absent at first.

use crate::linear::model::{Effect, Model};

/// The content before the first write. Contents are interned by whoever builds the entries.
pub const ABSENT: u32 = 0;

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
}

impl RegisterOp {
    /// The one content in which the operation is possible, if there is only one.
    #[must_use]
    pub fn observes(self) -> Option<u32> {
        match self {
            Self::Read(seen) => Some(seen),
            Self::Cas { expect, .. } => Some(expect),
            Self::Write(_) | Self::Refused { .. } => None,
        }
    }

    /// The content left behind, if the operation writes.
    #[must_use]
    pub fn writes(self) -> Option<u32> {
        match self {
            Self::Write(new) | Self::Cas { new, .. } => Some(new),
            Self::Read(_) | Self::Refused { .. } => None,
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
        }
    }

    fn effect(&self, op: &RegisterOp) -> Effect {
        match op {
            RegisterOp::Read(_) | RegisterOp::Refused { .. } => Effect::ReadOnly,
            RegisterOp::Write(_) => Effect::Overwrite { hidden: false },
            RegisterOp::Cas { .. } => Effect::Update,
        }
    }

    fn independent(&self, kept: &RegisterOp, dropped: &RegisterOp) -> bool {
        match kept {
            // It may have been any other content that made the refusal right.
            RegisterOp::Refused { .. } => false,
            RegisterOp::Read(_) | RegisterOp::Write(_) | RegisterOp::Cas { .. } => {
                dropped.writes().is_none_or(|written| kept.observes() != Some(written))
            }
        }
    }

    fn weaker(&self, op: &RegisterOp) -> Vec<RegisterOp> {
        match *op {
            RegisterOp::Cas { new: content, .. } | RegisterOp::Read(content) => vec![RegisterOp::Write(content)],
            RegisterOp::Write(_) | RegisterOp::Refused { .. } => Vec::new(),
        }
    }
}
