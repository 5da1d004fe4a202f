//! Faults at the file system: the node's data directory becomes a mount of ours, which passes everything through and knows what is
//! not on the disk yet.
//!
//! The idea: a pass-through file system (FUSE) is mounted *over* the data directory, and what lay there is its backing. So nothing
//! moves: before the mount, below it and after it the files are where the node left them. What may be lost is remembered by
//! [`crate::durable`], whose head says exactly what survives [`MountDisk::power_loss`]. Slow, failing, full and read-only behave as
//! [`crate::fault`] says; stores into shared mappings are seen too, when the kernel writes them back.
//!
//! What it does not reach: `sync(2)` and `syncfs(2)`, which Linux does not tell a FUSE file system about, count as nothing; extended
//! attributes are refused; locks are the kernel's own and work. What it costs is in `examples/disk_bench.rs`: about 10 µs a call.
//!
//! Needs `/dev/fuse` and mount(2), so root or a user namespace; no `fusermount`. A mount lives in the mount namespace of the caller and
//! ends with it, or with this process. A process that is killed while the disk holds its call is let go within 20 ms. Sources:
//! `fuse(4)`, `mount(8)`, the kernel's `Documentation/filesystems/fuse.rst`.

mod attributes;
mod filesystem;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fuser::{BackgroundSession, Config, Session, SessionACL};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{getegid, geteuid};

use crate::control::{Control, Receipt, Touched};
use crate::durable::{Durability, Keep, Loss, Tree};
use crate::{DiskError, DiskFault};
use filesystem::{Core, PassThrough};

/// How many threads answer calls. A sync keeps one of them busy as long as the real disk takes.
const THREADS: usize = 4;

/// The disk of a node: a directory whose mount is ours.
///
/// Dropped, the mount is gone, and what the node wrote is in the directory, synced or not.
#[derive(Debug)]
pub struct MountDisk {
    directory: PathBuf,
    held: Beside,
    /// The directory below the mount.
    below: OwnedFd,
    durability: Durability,
    control: Control,
    core: Arc<Core>,
    session: BackgroundSession,
}

impl MountDisk {
    /// Mounts a well disk over an existing directory. All that is there counts as synced.
    ///
    /// Beside the directory another is made, with `.held` after its name, for what a power loss would bring back.
    ///
    /// # Errors
    /// [`DiskError::Refused`] with its remedy; [`DiskError::Files`] if the directories can't be opened or made.
    pub fn mount(directory: &Path, durability: Durability) -> Result<Self, DiskError> {
        let directory = fs::canonicalize(directory).map_err(DiskError::files("find the data directory", directory))?;
        let mut held = directory.clone().into_os_string();
        held.push(".held");
        let held = Beside(PathBuf::from(held));
        let below = OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(&directory);
        let below = OwnedFd::from(below.map_err(DiskError::files("open", &directory))?);
        let control = Control::default();
        let (core, session) = start(&directory, &below, &held.0, durability, &control)?;
        Ok(Self { directory, held, below, durability, control, core, session })
    }

    /// Puts a fault in the place of the one before, as [`crate::CallDisk::set`] does.
    pub fn set(&self, fault: DiskFault) -> Receipt {
        self.control.set(fault)
    }

    /// Makes the disk well again; what was held goes on.
    pub fn clear(&self) -> Receipt {
        self.control.set(DiskFault::default())
    }

    /// What the present fault has done so far.
    #[must_use]
    pub fn touched(&self) -> Touched {
        self.control.touched()
    }

    /// Counts all that is there as synced: what has prepared a node happened long before it runs.
    ///
    /// # Errors
    /// [`DiskError::Files`] if what only the disk still had can't be removed.
    pub fn settle(&self) -> Result<(), DiskError> {
        self.core.with_tree(Tree::sync_all).map_err(DiskError::files("settle", &self.directory))
    }

    /// Carries out damage, such as [`crate::corrupt::flip_bits`] of the directory: what the threads of this process write there
    /// meanwhile meets no fault, and is on the disk at once.
    pub fn damage<T>(&self, work: impl FnOnce() -> T) -> T {
        self.core.damaging(work)
    }

    /// The power fails: what was not synced is gone, but for what is to be kept. The processes that used the disk must have ended
    /// before; what is still open fails with EIO from then on. The directory is mounted anew, and the fault in force stays.
    ///
    /// # Errors
    /// [`DiskError::Files`] or [`DiskError::System`] when the past can't be restored or the mount not be made; the disk is of no use
    /// then.
    pub fn power_loss(&mut self, keep: Keep) -> Result<Loss, DiskError> {
        let lost = DiskError::files("restore after a power loss", &self.directory);
        let tree = self.core.take_tree().ok_or_else(|| io::Error::other("an earlier power loss has failed"));
        // Unmounted first: no cache of the kernel may outlive what it is a copy of.
        unmount(&self.directory)?;
        let loss = tree.and_then(|tree| tree.lose(keep)).map_err(lost)?;
        let started = start(&self.directory, &self.below, &self.held.0, self.durability, &self.control)?;
        (self.core, self.session) = started;
        Ok(loss)
    }
}

impl Drop for MountDisk {
    fn drop(&mut self) {
        // What is held would keep the session alive.
        self.clear();
        if let Err(error) = unmount(&self.directory) {
            tracing::warn!(%error, directory = %self.directory.display(), "a disk stays mounted");
        }
        drop(self.core.take_tree());
    }
}

/// A directory of ours beside somebody else's, whether it has been made yet or not. Dropped, it is gone.
#[derive(Debug)]
struct Beside(PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        // That there is something in it, or that it is gone with the run's directory, is no matter.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn start(
    directory: &Path,
    below: &OwnedFd,
    held: &Path,
    durability: Durability,
    control: &Control,
) -> Result<(Arc<Core>, BackgroundSession), DiskError> {
    // The kernel goes from there to the directory itself, not to what is mounted over it. The dot makes `lstat` go there as well.
    let root = PathBuf::from(format!("/proc/self/fd/{}/.", below.as_raw_fd()));
    let tree = Tree::new(&root, held, durability).map_err(DiskError::files("prepare", held))?;
    let core = Arc::new(Core::new(tree, root, control.clone()));
    let device = mount_device(directory)?;
    let session = serve(PassThrough::new(Arc::clone(&core)), device);
    let session = session.or_else(|error| {
        unmount(directory)?;
        Err(DiskError::system("serve a FUSE file system", error))
    })?;
    Ok((core, session))
}

fn serve(filesystem: PassThrough, device: File) -> io::Result<BackgroundSession> {
    let mut config = Config::default();
    config.n_threads = Some(THREADS);
    config.clone_fd = true;
    // Who may enter is the kernel's matter: `default_permissions`, and no `allow_other`.
    config.acl = SessionACL::All;
    Session::from_fd(filesystem, device.into(), SessionACL::All, config)?.spawn()
}

/// Mounts, and returns the device by which the file system is served.
fn mount_device(directory: &Path) -> Result<File, DiskError> {
    let device = OpenOptions::new().read(true).write(true).open("/dev/fuse");
    let device = device.map_err(|source| DiskError::Refused {
        action: "open /dev/fuse",
        remedy: "sudo modprobe fuse && sudo chmod 0666 /dev/fuse (in a container: `--device /dev/fuse`), or run as root",
        source,
    })?;
    let (fd, uid, gid) = (device.as_raw_fd(), geteuid(), getegid());
    let options = format!("fd={fd},rootmode=40000,user_id={uid},group_id={gid},default_permissions");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("chaos-disk"), directory, Some("fuse"), flags, Some(options.as_str())).map_err(|errno| {
        DiskError::Refused {
            action: "mount a FUSE file system",
            remedy: "run it inside of the namespaces of a run, or as root",
            source: errno.into(),
        }
    })?;
    Ok(device)
}

fn unmount(directory: &Path) -> Result<(), DiskError> {
    // By force: the calls of a process that still uses it fail, instead of keeping the mount. Before Linux 6.1 only root may.
    umount2(directory, MntFlags::MNT_FORCE | MntFlags::MNT_DETACH)
        .or_else(|_| umount2(directory, MntFlags::MNT_DETACH))
        .map_err(|errno| DiskError::files("unmount", directory)(errno.into()))
}
