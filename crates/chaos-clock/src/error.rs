//! What can go wrong, split by what the caller does about it: change the request, change the host, or report a defect.

use std::io;
use std::time::Duration;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClockError {
    /// The rate isn't one.
    #[error("set a clock's rate: {0} is not between 0 and 64")]
    Rate(f64),
    /// The clock would be more than a hundred years off.
    #[error("jump a clock: it would be more than a hundred years off")]
    Offset,
    /// The period is too short or too long for a strobe.
    #[error("strobe a clock: a period of {0:?} is not between 100 µs and a day")]
    Period(Duration),
    /// There is no way to do it on this kind of processor.
    #[error("move a program's clock: this version can do that on x86_64 only, and this is {0}")]
    Unsupported(&'static str),
    /// The file that libfaketime reads can't be written.
    #[error("write {}", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A system call failed.
    #[error("{action}")]
    System {
        /// What was tried.
        action: &'static str,
        /// The system call's error.
        #[source]
        source: io::Error,
    },
    /// The program runs, or ran, with true time.
    #[error("give a program a clock")]
    Missed(#[source] Miss),
    /// Nobody knows whether the program has its clock.
    #[error("give a program a clock: not done within {0:?}")]
    Late(Duration),
}

impl ClockError {
    pub(crate) fn system(action: &'static str, source: impl Into<io::Error>) -> Self {
        Self::System { action, source: source.into() }
    }
}

/// Why a program runs with true time although it was to have a clock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Miss {
    /// It isn't a 64-bit program.
    #[error("it is not a 64-bit program of this processor")]
    NotNative,
    /// The kernel gives programs no vDSO, or one of an unknown shape.
    #[error("its vDSO can't be replaced: {0}")]
    Vdso(&'static str),
    /// A system call failed.
    #[error("{action}: {errno}")]
    System {
        /// What was tried.
        action: &'static str,
        /// The error.
        errno: nix::errno::Errno,
    },
}

/// A system call that failed, as a reason.
pub(crate) fn failed(action: &'static str) -> impl Fn(nix::errno::Errno) -> Miss {
    move |errno| Miss::System { action, errno }
}
