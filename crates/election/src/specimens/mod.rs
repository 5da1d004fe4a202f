//! Broken nodes, each with one decision of [`Rules`](crate::raft::Rules) replaced: what a harness must be able to convict.
//!
//! A harness that never fails anything proves nothing. Each file here is one mistake that real systems made, with the faults
//! that bring it to light in real processes. The sound path contains none of this: a shell is generic over the rules and picks
//! them once at start, by [`SpecimenName`].

mod double_vote;
mod half_is_majority;
mod name;
mod no_step_down;
mod read_unconfirmed;

pub use double_vote::DoubleVote;
pub use half_is_majority::HalfIsMajority;
pub use name::{SpecimenName, UnknownSpecimen};
pub use no_step_down::NoStepDown;
pub use read_unconfirmed::ReadUnconfirmed;
