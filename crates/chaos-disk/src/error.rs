//! What can go wrong here, split by what the caller does about it: change the host, fix the call, or report a defect.

use std::io;
use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// The host does not allow it.
    #[error("{action}: this host refuses it; remedy: {remedy}")]
    Refused {
        /// What was tried.
        action: &'static str,
        /// What to change, in one line.
        remedy: &'static str,
        /// The system call's error.
        #[source]
        source: io::Error,
    },
    /// A system call failed in a way that no setting explains.
    #[error("{action}")]
    System {
        /// What was tried, and on which object.
        action: String,
        /// The system call's error.
        #[source]
        source: io::Error,
    },
    /// A file or directory can't be worked on.
    #[error("{action} {}", path.display())]
    Files {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A selection of files is no glob.
    #[error("select files by `{glob}`")]
    Glob {
        /// The glob.
        glob: String,
        /// What is wrong with it.
        #[source]
        source: globset::Error,
    },
    /// A selection of files selects none.
    #[error("select files by `{glob}`: no regular file of {} with anything in it matches", directory.display())]
    NothingSelected {
        /// The glob.
        glob: String,
        /// Where was looked.
        directory: PathBuf,
    },
    /// A fault needs a layer that this disk was not started with.
    #[error("set a fault of writes: this disk was started for faults of syncs only")]
    OutOfReach,
}

impl DiskError {
    /// A [`DiskError::System`] from anything that converts into an I/O error.
    pub(crate) fn system(action: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::System { action: action.into(), source: source.into() }
    }

    /// For `map_err`: a [`DiskError::Files`] about this path.
    pub(crate) fn files(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Files { action, path, source }
    }

    /// What went wrong with its causes, in one line, without the remedy; for a report that shows the remedy beside it.
    #[must_use]
    pub fn reason(&self) -> String {
        let (mut text, mut cause) = match self {
            Self::Refused { action, source, .. } => (format!("{action}: {source}"), None),
            Self::System { .. }
            | Self::Files { .. }
            | Self::Glob { .. }
            | Self::NothingSelected { .. }
            | Self::OutOfReach => (self.to_string(), std::error::Error::source(self)),
        };
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        text
    }

    /// The one-line remedy, where the error has one.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Refused { remedy, .. } => Some(remedy),
            Self::System { .. }
            | Self::Files { .. }
            | Self::Glob { .. }
            | Self::NothingSelected { .. }
            | Self::OutOfReach => None,
        }
    }
}
