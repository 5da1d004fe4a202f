//! To whom a process belongs where no namespace tells: a mark that it inherits, keeps across exec and can't lay aside.
//!
//! The mark is a number that the kernel keeps with each process and hands on with every fork: its limit of real-time processor time
//! without a pause (`RLIMIT_RTTIME`, `setrlimit(2)`). Marks are decades, so that the limit itself limits nothing; programs don't
//! touch it, and soft and hard limit are the same, so that none can raise it. Everybody may read it (`/proc/PID/limits`), also of a
//! daemon that has left its parents, its session and its group, and that has overwritten its environment.
//!
//! Refuses to tell two runs apart by anything but their marks: 32 random bits, drawn once per run.

use std::io;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::proxy::random;

/// Microseconds; 35 years.
const BASE: u64 = 1 << 50;
/// Marks of one run.
const OF_A_RUN: u64 = 256;
/// What everything of a run inherits that has no mark of its own. Marks can only fall, so it is the highest.
const HARNESS: u64 = OF_A_RUN - 1;
/// The user's own command beside a run.
const GUEST: u64 = OF_A_RUN - 2;

/// A run's marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunMark(u64);

/// The mark of one party of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

impl RunMark {
    /// Marks that no other run has.
    pub(crate) fn draw() -> Self {
        Self(BASE + (random() & 0xffff_ffff) * OF_A_RUN)
    }

    /// The mark of a node's processes.
    ///
    /// # Panics
    /// If there can't be so many nodes.
    #[must_use]
    pub fn node(self, node_index: usize) -> Mark {
        let number = u64::try_from(node_index).ok().filter(|number| *number < GUEST);
        Mark(self.0 + number.expect("a run has few nodes"))
    }

    /// The mark of a command that the run accompanies.
    #[must_use]
    pub fn guest(self) -> Mark {
        Mark(self.0 + GUEST)
    }

    pub(crate) fn harness(self) -> Mark {
        Mark(self.0 + HARNESS)
    }

    /// Whether the process bears any mark of this run.
    pub(crate) fn is_on(self, process: &Path) -> bool {
        read(process).is_some_and(|mark| (self.0..self.0 + OF_A_RUN).contains(&mark))
    }
}

impl Mark {
    /// Whether the process with this directory in `/proc` bears the mark. One that is gone bears none.
    #[must_use]
    pub fn is_on(self, process: &Path) -> bool {
        read(process) == Some(self.0)
    }

    /// Marks the calling process, and all that it starts from now on.
    pub(crate) fn bear(self) -> io::Result<()> {
        Ok(setrlimit(Resource::RLIMIT_RTTIME, self.0, self.0)?)
    }
}

/// Whether this host lets processes be marked.
pub(crate) fn can_be_borne() -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_RTTIME)?;
    if hard >= 2 * BASE {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("RLIMIT_RTTIME is limited to {hard} µs already")))
}

fn read(process: &Path) -> Option<u64> {
    let limits = std::fs::read_to_string(process.join("limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max realtime timeout"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_nobody_marked_bears_none() {
        assert_eq!(read(Path::new("/proc/self")).filter(|mark| *mark >= BASE), None);
        assert_eq!(read(Path::new("/proc/0")), None);
    }

    #[test]
    fn marks_of_a_run_differ_and_the_harness_bears_the_highest() {
        let run = RunMark::draw();
        let marks = [run.node(0), run.node(14), run.guest(), run.harness()];
        assert!(marks.is_sorted_by(|a, b| a.0 < b.0), "{marks:?}");
        assert_ne!(RunMark::draw(), run);
    }
}
