//! Who answers when a process of a node asks whether it may exec.
//!
//! One thread per program that was started waits for requests, and starts a thread for each; see `exec.rs` for why. It ends when
//! no process is left that could ask. If it died, every exec below the program would fail with `ENOSYS`; it lives in the
//! harness, with which the nodes end anyway.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;

use crate::error::failed;
use crate::page::ClockPage;
use crate::sys::{self, Request};
use crate::{Miss, Missed, exec};

/// What came of a wish to exec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Exec {
    /// The process has the clock, under this number.
    Given(Pid),
    /// The exec failed, or the process has ended.
    Nothing,
    /// The process runs a program without the clock, or may do so.
    Missed(Pid, Miss),
}

/// A clock's page, and who got it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) page: ClockPage,
    given: AtomicU64,
    missed: Mutex<Vec<Missed>>,
}

/// Hears whether a program got its clock.
pub(crate) type Told = Sender<Result<(), Miss>>;

impl Shared {
    pub(crate) fn new(page: ClockPage) -> Self {
        Self { page, given: AtomicU64::new(0), missed: Mutex::new(Vec::new()) }
    }

    /// How many execs got the clock.
    pub(crate) fn given(&self) -> u64 {
        self.given.load(Ordering::Relaxed)
    }

    /// Those that didn't, since this was asked last.
    pub(crate) fn take_missed(&self) -> Vec<Missed> {
        std::mem::take(&mut self.missed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, exec: &Exec) {
        match exec {
            Exec::Nothing => {}
            Exec::Given(pid) => {
                tracing::debug!(pid = pid.as_raw(), "a program got its clock");
                self.given.fetch_add(1, Ordering::Relaxed);
            }
            Exec::Missed(pid, miss) => {
                tracing::warn!(pid = pid.as_raw(), %miss, "a program runs with true time");
                let missed = Missed { pid: pid.as_raw().cast_unsigned(), miss: miss.clone() };
                self.missed.lock().unwrap_or_else(PoisonError::into_inner).push(missed);
            }
        }
    }
}

/// Whoever started the program listens for the first word only.
fn tell(exec: Exec, told: &Told) {
    let word = match exec {
        Exec::Nothing => return,
        Exec::Given(_) => Ok(()),
        Exec::Missed(_, miss) => Err(miss),
    };
    let _ = told.send(word);
}

/// Answers, on a thread of its own, for the program that sends its listener through this socket.
pub(crate) fn start(socket: OwnedFd, shared: Arc<Shared>, told: Told) -> io::Result<()> {
    let keeping = thread::Builder::new().name("chaos-clock".to_owned());
    keeping.spawn(move || match sys::receive_descriptor(socket.as_fd()) {
        Ok(Some(listener)) => keep(&Arc::new(listener), &shared, &told),
        // The program was never started, and whoever tried knows why.
        Ok(None) => {}
        Err(errno) => tracing::warn!(%errno, "nobody answers a program that is being started"),
    })?;
    Ok(())
}

fn keep(listener: &Arc<OwnedFd>, shared: &Arc<Shared>, told: &Told) {
    loop {
        match next(listener.as_fd()) {
            Ok(Some(request)) => answer(listener, shared, told, request),
            Ok(None) => return,
            // Whoever asked was killed before it was heard.
            Err(Errno::ENOENT | Errno::EINTR) => {}
            Err(errno) => return tracing::warn!(%errno, "nobody answers the programs of a node any more"),
        }
    }
}

/// The next request; `None` if there is nobody left to make one.
fn next(listener: BorrowedFd<'_>) -> nix::Result<Option<Request>> {
    let mut wanted = [PollFd::new(listener, PollFlags::POLLIN)];
    poll(&mut wanted, PollTimeout::NONE)?;
    let seen = wanted[0].revents().unwrap_or(PollFlags::POLLERR);
    if seen.contains(PollFlags::POLLIN) { sys::receive(listener).map(Some) } else { Ok(None) }
}

fn answer(listener: &Arc<OwnedFd>, shared: &Arc<Shared>, told: &Told, request: Request) {
    let following = thread::Builder::new().name("chaos-exec".to_owned());
    let (its_listener, its_shared, its_told) = (listener.clone(), shared.clone(), told.clone());
    let started = following.spawn(move || {
        let note = |exec: &Exec| its_shared.note(exec);
        tell(exec::follow(its_listener.as_fd(), request, its_shared.page.file(), note), &its_told);
    });
    if let Err(error) = started {
        let _ = sys::allow(listener.as_fd(), request);
        let errno = error.raw_os_error().map_or(Errno::EAGAIN, Errno::from_raw);
        let missed = Exec::Missed(request.thread, failed("start a thread that follows an exec")(errno));
        shared.note(&missed);
        tell(missed, told);
    }
}
