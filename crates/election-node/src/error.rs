//! Why a node does not start, or stops by itself.
//!
//! One variant per thing that the person (or the harness) who started the node can do about it, and one exit code per
//! variant group, because a harness sees only the code. A running node never carries on after a storage error: the
//! kernel may already have dropped the pages that it failed to write, so trying again would report success for lost
//! bytes (fail-stop; "fsyncgate", PostgreSQL 2018).

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The arguments are wrong: nothing was touched.
pub(crate) const EXIT_ARGUMENTS: u8 = 2;
/// The data directory is damaged, or belongs to another node: a person has to look.
pub(crate) const EXIT_REFUSED: u8 = 3;
/// Reading or writing failed, the disk being full for example.
pub(crate) const EXIT_IO: u8 = 4;
/// A socket could not be opened.
pub(crate) const EXIT_SOCKET: u8 = 5;

/// Everything that ends a node other than a request to stop.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeError {
    /// An argument is malformed or contradicts another one.
    #[error("{0}")]
    Argument(String),
    /// The data directory belongs to another node, another cluster, or a running process.
    #[error("refusing the data directory {}: {reason}", path.display())]
    Foreign {
        /// The data directory.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// Bytes that were durable are no longer what was written.
    #[error("refusing to start on a damaged file: {} at offset {offset}: {what}", path.display())]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// Where in the file the first damaged byte range begins.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// An operation on the data directory failed.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// A verb: `write`, `sync`, …
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A socket could not be bound.
    #[error("listen for {what} on {address}: {source}")]
    Listen {
        /// `peers` or `http`.
        what: &'static str,
        /// The address that was asked for.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The runtime, a thread or the signal handlers could not be set up.
    #[error("start {what}: {source}")]
    Start {
        /// What was being started.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl NodeError {
    /// Names the operation and the file of an I/O error; for `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    /// A damaged file, by place and reason.
    pub(crate) fn corrupt(path: &Path, offset: u64, what: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_path_buf(), offset, what: what.into() }
    }

    /// The exit code that tells these apart for a harness.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Argument(_) => EXIT_ARGUMENTS,
            Self::Foreign { .. } | Self::Corrupt { .. } => EXIT_REFUSED,
            Self::Io { .. } | Self::Start { .. } => EXIT_IO,
            Self::Listen { .. } => EXIT_SOCKET,
        }
    }
}

impl From<&NodeError> for ExitCode {
    fn from(error: &NodeError) -> Self {
        Self::from(error.exit_code())
    }
}
