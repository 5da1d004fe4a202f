//! What can be wrong with the parts of a node, its clock and its disk, in the words of plans.
//!
//! How it is done is `chaos-clock`'s and `chaos-disk`'s, which this crate doesn't know; the meaning of each word is theirs too.

use std::fmt;
use std::time::Duration;

use crate::scalar::{write_bytes, write_duration, write_factor, write_offset};

/// How a wall clock is wrong, until it shows true time again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockFault {
    /// It is off by a constant, in nanoseconds; positive is ahead.
    Jump {
        /// Not 0.
        by_ns: i64,
    },
    /// It goes too fast or too slowly.
    Rate {
        /// Shown time over true time, in parts per million; not a million.
        millionths: u32,
        /// Whether `CLOCK_MONOTONIC` goes at this rate too.
        monotonic: bool,
    },
    /// It jumps away and back by turns.
    Strobe {
        /// How far, in nanoseconds; positive is ahead.
        by_ns: i64,
        /// The time between two jumps.
        every: Duration,
    },
}

impl fmt::Display for ClockFault {
    /// `jump +60s`, `rate 0.67` or `strobe +200ms every 10ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jump { by_ns } => write!(f, "jump {}", write_offset(*by_ns)),
            Self::Rate { millionths, monotonic } => {
                let also = if *monotonic { ", monotonic too" } else { "" };
                write!(f, "rate {}{also}", write_factor(*millionths))
            }
            Self::Strobe { by_ns, every } => {
                write!(f, "strobe {} every {}", write_offset(*by_ns), write_duration(*every))
            }
        }
    }
}

/// What is wrong with a disk, until it is well again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskFault {
    /// How calls fare that wait for the disk.
    pub sync: CallFault,
    /// How calls fare that change what a file holds.
    pub write: CallFault,
}

/// How one sort of call fares: first the delay, then the failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallFault {
    /// By how much each call takes longer.
    pub delay: Duration,
    /// How it fails, if it does.
    pub failure: Option<DiskFailure>,
}

/// How a call to a disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFailure {
    /// The device reports an error.
    Io,
    /// There is no space left.
    Full,
    /// The file system has become read-only.
    ReadOnly,
}

impl DiskFailure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Io, Self::Full, Self::ReadOnly];

    /// The error that the program sees, as errno(3) names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Io => "EIO",
            Self::Full => "ENOSPC",
            Self::ReadOnly => "EROFS",
        }
    }
}

impl fmt::Display for DiskFault {
    /// `sync-delay: 100ms, write: EIO`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for (name, call) in [("sync", self.sync), ("write", self.write)] {
            if !call.delay.is_zero() {
                parts.push(format!("{name}-delay: {}", write_duration(call.delay)));
            }
            parts.extend(call.failure.map(|failure| format!("{name}: {}", failure.name())));
        }
        f.write_str(&parts.join(", "))
    }
}

/// What a power loss leaves on a disk beside what was synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing.
    Synced,
    /// A part, drawn: what a kernel had written back by itself, torn and in any order.
    Random,
}

/// What a sync promises beyond the file that was synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileSystem {
    /// All changes of names before it, as file systems with a journal do: ext4, XFS, btrfs.
    #[default]
    Journalled,
    /// Nothing: the least that `fsync(2)` promises, so that directories need syncs of their own, up to the topmost that is new.
    Posix,
}

impl FileSystem {
    /// As written in plans.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Journalled => "journalled",
            Self::Posix => "posix",
        }
    }
}

/// How a file is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// So many bits, drawn among all bits of the files that match, are turned over.
    FlipBits(u32),
    /// So many bytes are cut off the end of one file, drawn among those that match.
    Truncate {
        /// How many.
        bytes: u64,
    },
}

impl fmt::Display for Damage {
    /// `flip-bits: 3` or `truncate: 100B`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FlipBits(count) => write!(f, "flip-bits: {count}"),
            Self::Truncate { bytes } => write!(f, "truncate: {}", write_bytes(*bytes)),
        }
    }
}
