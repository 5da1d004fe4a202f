//! Sequential specifications, one file per family, each with the polynomial path that it knows.

mod append;
mod bag;
mod bits;
mod list;
mod log;
mod phases;
mod queue;
mod register;
mod set;

pub use append::{Append, AppendOp, AppendState, Call, NormalAppend};
pub use bag::{Bag, BagOp, BagState};
pub use bits::Bits;
pub use log::{AppendLog, LogOp, LogRead, LogState};
pub use queue::{Queue, QueueOp, QueueState};
pub use register::{ABSENT, Register, RegisterOp};
pub use set::{Set, SetOp};
