//! Sequential specifications, one file per family, each with the polynomial path that it knows.

mod bits;
mod phases;
mod register;
mod set;

pub use bits::Bits;
pub use register::{ABSENT, Register, RegisterOp};
pub use set::{Set, SetOp};
