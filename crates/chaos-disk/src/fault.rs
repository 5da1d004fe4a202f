//! What a faulty disk does to a call: the same words and the same meaning for every layer.
//!
//! | | syncs | writes |
//! |---|---|---|
//! | calls | fsync, fdatasync, `sync_file_range`, syncfs; sync, which can only be slow | every way of changing a file's bytes or length |
//! | [`Failure::Io`] | EIO | EIO |
//! | [`Failure::Full`] | ENOSPC | ENOSPC where the file would get longer; what overwrites goes on |
//! | [`Failure::ReadOnly`] | EROFS | EROFS, as for opening with intent to write and for every change of a name |
//!
//! A call that fails does nothing: the bytes of a failed write are not there, and a failed sync has synced nothing. (On a [`crate::MountDisk`] a later sync doesn't make up for
//! it, as on Linux; [`crate::CallDisk`] can't keep the kernel from doing so.) A write across the
//! end of a file fails as a whole on a full disk, where a real one might first write a part.
//!
//! Refuses: to know how a call is intercepted. Source: `fsync(2)`, `write(2)`, `open(2)`.

use std::time::Duration;

/// What is wrong with a disk. The default is nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskFault {
    /// How calls fare that wait for the disk.
    pub syncs: Behaviour,
    /// How calls fare that change what a file holds.
    pub writes: Behaviour,
}

/// How one sort of call fares: first the delay, then the failure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Behaviour {
    /// By how much each call takes longer. [`Duration::MAX`]: until the fault is changed or cleared.
    pub delay: Duration,
    /// How it fails, if it does.
    pub failure: Option<Failure>,
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The device reports an error.
    Io,
    /// There is no space left.
    Full,
    /// The file system has been made read-only, as kernels do after an error.
    ReadOnly,
}

/// What a call would do to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Waits until what was written is on the disk.
    Sync,
    /// The same for everything, without a way to tell of an error: `sync(2)`.
    SyncAll,
    /// Writes or reserves bytes.
    Write {
        /// Whether the file gets longer by it.
        grows: bool,
    },
    /// Sets the length of a file. To lengthen it so takes no space.
    Resize,
    /// Makes, removes or renames something, or opens a file to write to it.
    Name,
}

impl DiskFault {
    /// A disk whose syncs take this much longer.
    #[must_use]
    pub fn slow_syncs(delay: Duration) -> Self {
        Self { syncs: Behaviour { delay, failure: None }, ..Self::default() }
    }

    /// A disk whose syncs fail.
    #[must_use]
    pub fn failing_syncs(failure: Failure) -> Self {
        Self { syncs: Behaviour { delay: Duration::ZERO, failure: Some(failure) }, ..Self::default() }
    }

    /// A disk that can't be written to.
    #[must_use]
    pub fn failing_writes(failure: Failure) -> Self {
        Self { writes: Behaviour { delay: Duration::ZERO, failure: Some(failure) }, ..Self::default() }
    }

    /// Whether calls other than syncs are concerned.
    #[must_use]
    pub fn concerns_writes(&self) -> bool {
        self.writes != Behaviour::default()
    }

    /// How this call fares.
    pub(crate) fn on(&self, deed: Deed) -> Behaviour {
        let only_if = |applies: bool| Behaviour { failure: self.writes.failure.filter(|_| applies), ..self.writes };
        match deed {
            Deed::Sync => self.syncs,
            Deed::SyncAll => Behaviour { failure: None, ..self.syncs },
            Deed::Write { grows } => only_if(grows || self.writes.failure != Some(Failure::Full)),
            Deed::Resize => only_if(self.writes.failure != Some(Failure::Full)),
            // A name changes in the journal, which a slow or failing device hides from the caller.
            Deed::Name => Behaviour {
                delay: Duration::ZERO,
                failure: self.writes.failure.filter(|&failure| failure == Failure::ReadOnly),
            },
        }
    }
}

impl Failure {
    /// The error number that the caller sees.
    pub(crate) fn errno(self) -> libc::c_int {
        match self {
            Self::Io => libc::EIO,
            Self::Full => libc::ENOSPC,
            Self::ReadOnly => libc::EROFS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_refuses_only_what_makes_a_file_longer() {
        let full = DiskFault::failing_writes(Failure::Full);
        assert_eq!(full.on(Deed::Write { grows: true }).failure, Some(Failure::Full));
        for goes_on in [Deed::Write { grows: false }, Deed::Resize, Deed::Name, Deed::Sync, Deed::SyncAll] {
            assert_eq!(full.on(goes_on), Behaviour::default(), "{goes_on:?}");
        }
    }

    #[test]
    fn a_read_only_disk_refuses_bytes_lengths_and_names() {
        let read_only = DiskFault::failing_writes(Failure::ReadOnly);
        for refused in [Deed::Write { grows: false }, Deed::Resize, Deed::Name] {
            assert_eq!(read_only.on(refused).failure, Some(Failure::ReadOnly), "{refused:?}");
        }
        assert_eq!(read_only.on(Deed::Sync), Behaviour::default());
    }

    #[test]
    fn a_failing_device_is_seen_by_bytes_but_not_by_names() {
        let failing = DiskFault::failing_writes(Failure::Io);
        assert_eq!(failing.on(Deed::Write { grows: false }).failure, Some(Failure::Io));
        assert_eq!(failing.on(Deed::Name), Behaviour::default());
    }

    #[test]
    fn sync_of_everything_is_slow_but_never_fails() {
        let second = Duration::from_secs(1);
        let fault =
            DiskFault { syncs: Behaviour { delay: second, failure: Some(Failure::Io) }, ..DiskFault::default() };
        assert_eq!(fault.on(Deed::SyncAll), Behaviour { delay: second, failure: None });
    }
}
