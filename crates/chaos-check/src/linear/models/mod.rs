//! Sequential specifications, one file per family, each with the polynomial path that it knows.

mod register;

pub use register::{ABSENT, HIDDEN, Register, RegisterOp};
