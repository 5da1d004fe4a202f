//! Sequential specifications, one file per family, each with the polynomial path that it knows.

mod busy;
mod fenced;
mod hold;
mod lease;
mod mutex;
mod register;
mod sections;
mod semaphore;

pub use fenced::{Fence, FencedLock, FencedLockOp};
pub use hold::Hold;
pub use lease::{LeaseLock, LeaseLockOp};
pub use mutex::{Mutex, MutexOp};
pub use register::{ABSENT, HIDDEN, Register, RegisterOp};
pub use semaphore::{Semaphore, SemaphoreOp};
