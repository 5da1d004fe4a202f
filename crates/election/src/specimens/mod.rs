//! Broken nodes, each with one decision of Raft replaced.

mod name;

pub use name::{SpecimenName, UnknownSpecimen};
