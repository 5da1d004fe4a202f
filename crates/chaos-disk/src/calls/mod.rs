//! Faults at the system calls: the kernel asks us before it carries out what a program asks of its disk.
//!
//! The idea: between fork and exec the node's process puts itself, and all that it will ever start, under a seccomp filter that hands
//! a few calls to a supervisor. The supervisor lets them go on, later or never. No device, no mount, no library in the program, no
//! root: it works for static binaries, and in containers with Docker's default profile.
//!
//! What it costs (see `examples/disk_bench.rs`): every trapped call two thread switches, 5 to 10 µs, with or without a fault. With
//! [`Reach::Syncs`] these are only the calls that wait for the disk anyway. [`Reach::SyncsAndWrites`] also traps writes to sockets
//! and pipes, since a filter can't see what a descriptor stands for; so it is for runs that ask for such a fault.
//!
//! What it does not reach: stores into a shared mapping; what goes through io_uring ([`CallDisk::bypassed`] tells that a program has
//! set one up); the sync that is part of a write to a file opened with `O_SYNC` or `O_DSYNC`, or of one with `RWF_SYNC`; 32-bit
//! programs on a 64-bit kernel. It can't lose what was written: that is [`crate::MountDisk`]'s.
//!
//! A process under a filter has `no_new_privs`: set-user-id programs that it starts gain nothing. There can be one such filter with a
//! listener in a process's ancestry (EBUSY). Source: `seccomp_unotify(2)`, `seccomp(2)`.

mod caller;
pub(crate) mod filter;
mod meaning;
mod supervise;

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use crate::control::{Control, Receipt, Touched};
use crate::{DiskError, DiskFault, sys};
use meaning::{Call, OLD_WRITES, SYNCS, WRITES};
use supervise::Supervisor;

/// Which calls are trapped for the whole life of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Those that wait for the disk.
    Syncs,
    /// Those that change files or names as well.
    SyncsAndWrites,
}

/// The disk of a node, as its system calls see it: the files below one directory.
///
/// Dropped, it is well again; processes that were started under it live on, at the cost of the trapped calls.
#[derive(Debug)]
pub struct CallDisk {
    reach: Reach,
    control: Control,
    /// Where the listeners of processes to come will arrive.
    prepared: Option<Sender<OwnedFd>>,
    wake: Arc<EventFd>,
    ring_seen: Arc<AtomicBool>,
}

impl CallDisk {
    /// A well disk for the files below an existing directory.
    ///
    /// # Errors
    /// [`DiskError::Files`] if the directory doesn't exist, [`DiskError::Refused`] if `/proc` shows another pid namespace,
    /// [`DiskError::System`] if there is no thread or descriptor to be had. That the kernel has no such filters shows when a process
    /// is started under one; [`crate::trial`] tries it.
    pub fn new(directory: &Path, reach: Reach) -> Result<Self, DiskError> {
        let directory = fs::canonicalize(directory).map_err(DiskError::files("find the data directory", directory))?;
        require_own_proc()?;
        let failed = |error: io::Error| DiskError::system("start the supervisor of a disk", error);
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(|error| failed(error.into()))?;
        let (wake, control, ring_seen) = (Arc::new(wake), Control::default(), Arc::new(AtomicBool::new(false)));
        let (prepared, incoming) = channel();
        let (for_wake, for_control, for_ring) = (Arc::clone(&wake), control.clone(), Arc::clone(&ring_seen));
        // Made on its thread: the list of listeners is not shared with anybody.
        let run = move || {
            Supervisor { directory, control: for_control, prepared: incoming, wake: for_wake, ring_seen: for_ring }
                .run();
        };
        thread::Builder::new().name("chaos-disk".to_owned()).spawn(run).map_err(failed)?;
        Ok(Self { reach, control, prepared: Some(prepared), wake, ring_seen })
    }

    /// Has the command's process, and all that it starts, live on this disk. To be called after what changes its namespaces.
    ///
    /// # Errors
    /// If there is no descriptor to be had. That the kernel refuses the filter shows when the command is spawned: EINVAL before Linux
    /// 5.19, EBUSY below another supervisor.
    pub fn attach(&self, command: &mut Command) -> io::Result<()> {
        let to_supervisor = self.await_listener()?;
        sys::filtered(command, filter::program(&self.reach.numbers()), to_supervisor);
        Ok(())
    }

    /// Has the calling thread, and all that it starts, live on this disk for the rest of its life.
    pub(crate) fn attach_this_thread(&self) -> io::Result<()> {
        sys::filter_this_thread(&filter::program(&self.reach.numbers()), &self.await_listener()?)
    }

    /// Has the supervisor await a listener at the other end of this socket.
    fn await_listener(&self) -> io::Result<OwnedFd> {
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        if let Some(prepared) = &self.prepared {
            prepared.send(ours).map_err(|_| io::Error::other("the supervisor of the disk has ended"))?;
        }
        self.wake_up();
        Ok(theirs)
    }

    /// Puts a fault in the place of the one before. In force for every call that begins after it has returned; calls that are being
    /// held are judged anew.
    ///
    /// # Errors
    /// [`DiskError::OutOfReach`] if it concerns calls that are not trapped.
    pub fn set(&self, fault: DiskFault) -> Result<Receipt, DiskError> {
        if fault.concerns_writes() && self.reach == Reach::Syncs {
            return Err(DiskError::OutOfReach);
        }
        Ok(self.change(fault))
    }

    /// Makes the disk well again; what was held goes on.
    pub fn clear(&self) -> Receipt {
        self.change(DiskFault::default())
    }

    /// What the present fault has done so far.
    #[must_use]
    pub fn touched(&self) -> Touched {
        self.control.touched()
    }

    /// Whether a program has set up an io_uring: what goes through that meets no fault.
    #[must_use]
    pub fn bypassed(&self) -> bool {
        self.ring_seen.load(Ordering::Relaxed)
    }

    fn change(&self, fault: DiskFault) -> Receipt {
        let receipt = self.control.set(fault);
        self.wake_up();
        receipt
    }

    fn wake_up(&self) {
        // A full counter means that it is being woken already.
        let _ = self.wake.write(1);
    }
}

impl Drop for CallDisk {
    fn drop(&mut self) {
        // The supervisor sees that the channel is closed, so that comes before it is woken.
        self.prepared = None;
        self.clear();
    }
}

impl Reach {
    /// The numbers of the trapped calls.
    pub(crate) fn numbers(self) -> Vec<u32> {
        let lists: &[&[Call]] = match self {
            Self::Syncs => &[SYNCS],
            Self::SyncsAndWrites => &[SYNCS, WRITES, OLD_WRITES],
        };
        lists
            .iter()
            .copied()
            .flatten()
            .map(|call| u32::try_from(call.number).expect("numbers of calls are small"))
            .collect()
    }
}

/// What a notification says of its caller is a pid of ours; `/proc` must mean the same process by it.
fn require_own_proc() -> Result<(), DiskError> {
    let own = fs::read_link("/proc/self").map_err(DiskError::files("read", "/proc/self"))?;
    if own.as_os_str().to_str() == Some(std::process::id().to_string().as_str()) {
        return Ok(());
    }
    Err(DiskError::Refused {
        action: "find processes under /proc",
        remedy: "in a container, unmask /proc (`--security-opt systempaths=unconfined`)",
        source: io::Error::other("/proc shows another pid namespace"),
    })
}
