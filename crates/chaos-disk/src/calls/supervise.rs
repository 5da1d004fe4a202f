//! The thread that answers the trapped calls of a node.
//!
//! ```text
//!   node's thread: fsync(7) ─ kernel: filter ─▶ notification ─▶ supervisor: whose file? what fault? ─▶ go on | fail | later
//!                     └──────────────── waits (only a fatal signal interrupts it) ◀──────────────────────┘
//! ```
//!
//! It never waits for anything but the next event: a call that is to take longer is held in a list, while those of other threads are
//! answered. When a fault changes, what is held is judged anew. It ends when the disk's owner is gone and the last process under its
//! filters has ended; should it die before, the calls of those processes fail with ENOSYS. Refuses: to let a call fail that it could
//! not look into. Source: `seccomp_unotify(2)`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use libc::seccomp_notif;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::EventFd;
use nix::sys::time::TimeSpec;

use super::caller::Caller;
use super::meaning::{Call, Meaning, OLD_WRITES, SYNCS, WRITES};
use crate::control::Control;
use crate::fault::{Deed, DiskFault, Failure};
use crate::sys;

/// The longest wait of one `ppoll`; what is held longer is looked at again.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The supervisor's own state.
pub(super) struct Supervisor {
    /// Only files below it are concerned.
    pub(super) directory: PathBuf,
    pub(super) control: Control,
    /// Sockets at which listeners of processes to come arrive.
    pub(super) prepared: Receiver<OwnedFd>,
    /// Readable when there is news from the owner.
    pub(super) wake: Arc<EventFd>,
    /// Whether a program has set up a ring, by which calls pass us.
    pub(super) ring_seen: Arc<AtomicBool>,
}

/// Where events come from.
enum Source {
    /// A command that is being started will send its listener here.
    Awaited(OwnedFd),
    /// Calls of a process and of those that it forks.
    Listener(Rc<OwnedFd>),
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Awaited(socket) => socket.as_fd(),
            Self::Listener(listener) => listener.as_fd(),
        }
    }
}

/// A call that is to be answered later.
struct Held {
    listener: Rc<OwnedFd>,
    id: u64,
    deed: Deed,
    arrived: Instant,
}

impl Supervisor {
    pub(super) fn run(self) {
        // The default slack would lengthen every delay by up to 50 µs.
        let _ = nix::sys::prctl::set_timerslack(1);
        let (mut sources, mut held): (Vec<Source>, Vec<Held>) = (Vec::new(), Vec::new());
        let mut owned = true;
        while owned || !sources.is_empty() {
            let wait = self.answer_due(&mut held);
            let ready = match self.wait(&sources, wait) {
                Ok(ready) => ready,
                Err(Errno::EINTR) => continue,
                Err(error) => {
                    tracing::error!(%error, "the supervisor of a disk can't wait for calls");
                    return;
                }
            };
            // The place after the last source stands for the owner.
            if ready.last().is_some_and(|flags| !flags.is_empty()) {
                owned = self.hear_owner(&mut sources);
            }
            let mut gone = Vec::new();
            for (place, flags) in ready.iter().enumerate().take(ready.len() - 1) {
                if flags.contains(PollFlags::POLLIN) {
                    if let Some(source) = self.take(&sources[place], &mut held) {
                        sources.push(source);
                    }
                    match sources[place] {
                        // Whatever came, nothing more does; closed, it would be readable for ever.
                        Source::Awaited(_) => gone.push(place),
                        Source::Listener(_) => {}
                    }
                } else if !flags.is_empty() {
                    gone.push(place);
                }
            }
            for place in gone.into_iter().rev() {
                if let Source::Listener(listener) = sources.remove(place) {
                    held.retain(|call| !Rc::ptr_eq(&call.listener, &listener));
                }
            }
        }
    }

    fn wait(&self, sources: &[Source], wait: Option<Duration>) -> nix::Result<Vec<PollFlags>> {
        let mut fds: Vec<PollFd<'_>> =
            sources.iter().map(|source| PollFd::new(source.as_fd(), PollFlags::POLLIN)).collect();
        fds.push(PollFd::new(self.wake.as_fd(), PollFlags::POLLIN));
        ppoll(&mut fds, wait.map(TimeSpec::from), None)?;
        Ok(fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty())).collect())
    }

    /// Takes in what the owner has prepared; false when there is no owner any more.
    fn hear_owner(&self, sources: &mut Vec<Source>) -> bool {
        let _ = self.wake.read();
        loop {
            match self.prepared.try_recv() {
                Ok(socket) => sources.push(Source::Awaited(socket)),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// Takes one event of a source, which may be a new source.
    fn take(&self, source: &Source, held: &mut Vec<Held>) -> Option<Source> {
        match source {
            Source::Awaited(socket) => match sys::receive_descriptor(socket.as_fd()) {
                Ok(Some(listener)) => {
                    // Only faster; older kernels don't know it.
                    let _ = sys::wake_in_place(listener.as_fd());
                    Some(Source::Listener(Rc::new(listener)))
                }
                Ok(None) => None,
                Err(error) => {
                    tracing::error!(%error, "the listener of a process got lost");
                    None
                }
            },
            Source::Listener(listener) => {
                // That the caller is gone meanwhile is fine.
                if let Ok(notification) = sys::next_call(listener.as_fd()) {
                    self.judge(listener, &notification, held);
                }
                None
            }
        }
    }

    /// Answers a call, or holds it.
    fn judge(&self, listener: &Rc<OwnedFd>, notification: &seccomp_notif, held: &mut Vec<Held>) {
        let (fault, _) = self.control.now();
        let deed = match self.deed(&fault, notification) {
            // Read under /proc about somebody who may be gone: then nobody waits for the answer either.
            Ok(Some(deed)) if sys::still_waits(listener.as_fd(), notification.id) => deed,
            Ok(_) => return go_on(listener, notification.id),
            Err(error) => {
                if sys::still_waits(listener.as_fd(), notification.id) {
                    tracing::warn!(%error, call = notification.data.nr, "a call could not be looked into");
                }
                return go_on(listener, notification.id);
            }
        };
        let behaviour = fault.on(deed);
        if behaviour.delay.is_zero() {
            self.control.note(false, behaviour.failure.is_some());
            return respond(listener, notification.id, behaviour.failure);
        }
        self.control.note(true, false);
        held.push(Held { listener: Rc::clone(listener), id: notification.id, deed, arrived: Instant::now() });
    }

    /// What the call would do to our files under this fault; nothing if it does not concern them.
    fn deed(&self, fault: &DiskFault, notification: &seccomp_notif) -> io::Result<Option<Deed>> {
        let number = libc::c_long::from(notification.data.nr);
        let calls = SYNCS.iter().chain(WRITES).chain(OLD_WRITES);
        let Some(Call { meaning, .. }) = calls.into_iter().find(|call| call.number == number) else {
            return Ok(None);
        };
        let (caller, directory) = (Caller::new(notification), self.directory.as_path());
        let slow = *fault != DiskFault::default();
        let writes = fault.concerns_writes();
        let ours = |path: &Path| path.starts_with(directory);
        let names = || fault.on(Deed::Name).failure.is_some();
        Ok(match *meaning {
            Meaning::Ring => {
                if !self.ring_seen.swap(true, Ordering::Relaxed) {
                    tracing::warn!("a program uses io_uring: what it does through its ring meets no disk fault");
                }
                None
            }
            Meaning::SyncAll => slow.then_some(Deed::SyncAll),
            Meaning::Sync { fd } => (slow && ours(&caller.file_of(fd)?)).then_some(Deed::Sync),
            Meaning::SyncMapped { address, flags } => {
                let waits = slow && caller.argument(flags) & MS_SYNC != 0;
                let is_ours = waits && caller.file_mapped_at(address)?.is_some_and(|path| ours(&path));
                is_ours.then_some(Deed::Sync)
            }
            Meaning::Write { fd, place, length } if writes && ours(&caller.file_of(fd)?) => {
                let asked = fault.writes.failure == Some(Failure::Full);
                Some(Deed::Write { grows: asked && caller.would_grow(fd, place, length)? })
            }
            Meaning::Reserve if writes && ours(&caller.file_of(0)?) => {
                Some(Deed::Write { grows: caller.would_reserve()? })
            }
            Meaning::Resize => (writes && ours(&caller.file_of(0)?)).then_some(Deed::Resize),
            Meaning::ResizeNamed(at) => (writes && ours(&caller.path(at)?)).then_some(Deed::Resize),
            Meaning::Open { at, flags } if names() => {
                let flags = caller.flags(flags)?;
                let changes = flags & (libc::O_ACCMODE | libc::O_TRUNC | libc::O_CREAT) != libc::O_RDONLY;
                let path = caller.path(at)?;
                // To open what exists, O_CREAT or not, changes nothing.
                let reads = flags & (libc::O_ACCMODE | libc::O_TRUNC) == libc::O_RDONLY && path.exists();
                (changes && !reads && ours(&path)).then_some(Deed::Name)
            }
            Meaning::Names(first, second) if names() => {
                let mut is_ours = ours(&caller.path(first)?);
                if let Some(second) = second {
                    is_ours |= ours(&caller.path(second)?);
                }
                is_ours.then_some(Deed::Name)
            }
            Meaning::Write { .. } | Meaning::Reserve | Meaning::Open { .. } | Meaning::Names(..) => None,
        })
    }

    /// Answers what was held long enough, and says how soon the next is due.
    fn answer_due(&self, held: &mut Vec<Held>) -> Option<Duration> {
        let (fault, _) = self.control.now();
        let mut soonest: Option<Duration> = None;
        held.retain(|call| {
            let behaviour = fault.on(call.deed);
            let left = behaviour.delay.saturating_sub(call.arrived.elapsed());
            if left.is_zero() {
                self.control.note(false, behaviour.failure.is_some());
                respond(&call.listener, call.id, behaviour.failure);
                return false;
            }
            soonest = Some(soonest.map_or(left, |soonest| soonest.min(left)).min(LONGEST_WAIT));
            true
        });
        soonest
    }
}

const MS_SYNC: u64 = 4;

fn go_on(listener: &Rc<OwnedFd>, id: u64) {
    respond(listener, id, None);
}

/// Answers; that the caller was killed meanwhile is no error.
fn respond(listener: &Rc<OwnedFd>, id: u64, failure: Option<Failure>) {
    let _ = sys::answer(listener.as_fd(), id, failure.map(Failure::errno));
}
