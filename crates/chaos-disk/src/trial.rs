//! Whether this host lets each layer work, found out by doing it.
//!
//! Nothing is inferred from versions or settings. Refuses to leave anything behind. For `chaos doctor`, which calls this after all
//! trials that need a process of a single thread: these start threads.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::thread;

use crate::{CallDisk, DiskError, DiskFault, Durability, Failure, Keep, MountDisk, Reach};

/// Has a thread's fsync fail, and looks whether it did.
///
/// # Errors
/// [`DiskError::Refused`] with its remedy.
pub fn calls() -> Result<(), DiskError> {
    let refused = |source| DiskError::Refused {
        action: "answer the system calls of a process",
        remedy: "use Linux 5.19 or later, and allow seccomp(2) with a listener (no other supervisor of seccomp above)",
        source,
    };
    let directory = std::env::temp_dir();
    let disk = CallDisk::new(&directory, Reach::Syncs)?;
    disk.set(DiskFault::failing_syncs(Failure::ReadOnly))?;
    let sync = || {
        // A directory can be synced as well, so no file need be made.
        let open = File::open(&directory)?;
        disk.attach_this_thread()?;
        Ok::<_, io::Error>(open.sync_all().err().map(|error| error.kind()))
    };
    let outcome = thread::scope(|scope| scope.spawn(sync).join());
    match outcome.expect("a trial does not panic").map_err(refused)? {
        Some(io::ErrorKind::ReadOnlyFilesystem) => Ok(()),
        other => Err(refused(io::Error::other(format!("a call that was to fail gave {other:?}")))),
    }
}

/// Mounts a directory, writes to it, and looks whether a power loss takes away what was not synced. To be called in a mount namespace of
/// one's own, with the right to mount, as a run has them.
///
/// # Errors
/// [`DiskError::Refused`] with its remedy, or whatever else has failed.
pub fn mount() -> Result<(), DiskError> {
    // Numbers of processes repeat from one namespace to the other, so the name is drawn.
    let parent = std::env::temp_dir();
    let directory = tempfile::Builder::new().prefix("chaos-disk-trial-").tempdir_in(&parent);
    let directory = directory.map_err(DiskError::files("make a directory in", &parent))?;
    lose_a_file(directory.path())?;
    let path = directory.path().to_owned();
    directory.close().map_err(DiskError::files("remove", &path))
}

fn lose_a_file(directory: &Path) -> Result<(), DiskError> {
    let file = directory.join("file");
    let mut disk = MountDisk::mount(directory, Durability::Strict)?;
    fs::write(&file, b"never synced").map_err(DiskError::files("write", &file))?;
    disk.power_loss(Keep::Synced)?;
    if file.exists() {
        return Err(DiskError::system("lose a file", io::Error::other("it is still there")));
    }
    Ok(())
}
