//! Sequential specifications, one file per family, each with the polynomial path that it knows.

mod append;
mod bits;
mod log;
mod phases;
mod register;
mod set;

pub use append::{Append, AppendOp, AppendState, Call, NormalAppend};
pub use bits::Bits;
pub use log::{AppendLog, LogOp, LogRead, LogState};
pub use register::{ABSENT, Register, RegisterOp};
pub use set::{Set, SetOp};
