//! Sequential specifications, one file per family, each with the polynomial path that it knows.

mod append;
mod bare_mutex;
mod bits;
mod busy;
mod clients;
mod counter;
mod fenced;
mod floors;
mod hold;
mod lease;
mod max_register;
mod mutex;
mod ones;
mod phases;
mod plain;
mod register;
mod sections;
mod semaphore;
mod set;
mod unique_ids;
mod write_once;

pub use append::{Append, AppendOp, AppendState, Call, NormalAppend};
pub use bare_mutex::{BareMutex, BareMutexOp};
pub use bits::Bits;
pub use clients::{Attempt, Ended, Lease, Refusals, Releases, TrailError, Trails, Try};
pub use counter::{Counter, CounterOp};
pub use fenced::{Fence, FencedLock, FencedLockOp};
pub use hold::Hold;
pub use lease::{LeaseLock, LeaseLockOp};
pub use max_register::{MaxRegister, MaxRegisterOp};
pub use mutex::{Mutex, MutexOp};
pub use register::{ABSENT, HIDDEN, Register, RegisterOp};
pub use semaphore::{Semaphore, SemaphoreOp};
pub use set::{Set, SetOp};
pub use unique_ids::{Generated, UniqueIds};
pub use write_once::{WriteOnce, WriteOnceOp};
