//! Staying on the host, and leaving nothing behind on it: what stands in for namespaces where none are to be had.
//!
//! ```text
//!   stub (the process that the user started) ── guard ── controller: `enter` returns here ── nodes, clients
//! ```
//!
//! The idea: processes whose parents are gone become children of the nearest ancestor that asked for them (a *subreaper*,
//! `PR_SET_CHILD_SUBREAPER(2const)`), daemons and double forks included. Stub and guard both are such, and each watches the other and what
//! is below it. When the controller ends, however it ends, the guard kills its children, and those that become its children by that,
//! until it has none. When the guard is killed, the same falls to the stub; when the stub is killed, the guard notices by a pipe. Only
//! *children* are killed, whose numbers can't mean anybody else before they are waited for.
//!
//! What it can't do: clean up after all three were killed in the same moment. The nodes' own processes then end with the controller
//! (`PR_SET_PDEATHSIG(2const)`), and daemons that they had started are left.
//!
//! Refuses: to run after threads exist; to signal a child of the stub's from before the run. Besides processes it removes one directory,
//! for sockets and other short-lived files.

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigmaskHow, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, getppid, pipe2, setsid};

use crate::init::{self, FORWARDED, KILLED, exit_code};
use crate::isolation::{EnterOptions, require_single_thread, restore_mask};
use crate::mark::{self, RunMark};
use crate::proxy::random;
use crate::sys::{self, Forked};
use crate::{NetError, reaper, stub};

/// How long what was killed may take to end. What hangs in the kernel longer can't be waited for.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// What the controller of a guarded run gets.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Guarded {
    /// The marks of the run's processes.
    pub marks: RunMark,
    /// A directory with a short path, mode 0700, that ends with the run.
    pub scratch: PathBuf,
    /// Whether the calling thread runs under `SCHED_FIFO`. Threads and processes that it starts don't.
    pub real_time: bool,
}

/// Puts a guard between the caller and the host, and returns below it. The counterpart of [`crate::isolation::enter`] for runs without
/// namespaces; the same holds for signals and exit codes.
///
/// To be called at the very top of `main`, before a thread or an async runtime exists.
///
/// # Errors
/// [`NetError::NotSingleThreaded`]; otherwise what the host refuses.
pub fn enter(options: &EnterOptions) -> Result<Guarded, NetError> {
    require_single_thread()?;
    mark::can_be_borne().map_err(|error| NetError::system("mark the processes of the run", error))?;
    let real_time = options.real_time && sys::schedule_first(false).is_ok();
    sys::keep_child_statuses().map_err(|error| NetError::system("reset SIGCHLD", error))?;
    prctl::set_child_subreaper(true).map_err(|error| NetError::system("adopt orphans of the run", error))?;
    let _ = io::stdout().flush();
    let before = init::handled_signals()
        .thread_swap_mask(SigmaskHow::SIG_BLOCK)
        .map_err(|error| NetError::system("block signals", error))?;
    let (stub_alive, alive) = pipe2(OFlag::O_CLOEXEC).map_err(|error| NetError::system("create a pipe", error))?;
    let marks = RunMark::draw();
    let scratch = make_scratch().map_err(|error| NetError::system("make a directory for the run's sockets", error))?;
    match sys::fork() {
        Err(error) => {
            remove(&scratch);
            Err(NetError::system("fork the guard", error))
        }
        Ok(Forked::Parent(guard)) => {
            drop(stub_alive);
            let _ = sys::schedule_normally();
            let _ = prctl::set_name(c"chaos-stub");
            let code = stub::forward_and_wait(guard).unwrap_or(KILLED);
            // What the guard has left, if it was killed. Whoever became the stub may have had children of its own before.
            sweep(|child| marks.is_on(&Path::new("/proc").join(child.to_string())));
            remove(&scratch);
            drop(alive);
            sys::exit_now(code)
        }
        Ok(Forked::Child) => {
            drop(alive);
            let entered = become_controller(marks, &scratch, stub_alive, real_time);
            restore_mask(&before)?;
            entered
        }
    }
}

/// In the child: becomes the guard, and forks again; returns only in the grandchild.
fn become_controller(
    marks: RunMark,
    scratch: &Path,
    stub_alive: OwnedFd,
    real_time: bool,
) -> Result<Guarded, NetError> {
    prctl::set_child_subreaper(true).map_err(|error| NetError::system("adopt orphans of the run", error))?;
    marks.harness().bear().map_err(|error| NetError::system("mark the processes of the run", error))?;
    setsid().map_err(|error| NetError::system("start a session for the guard", error))?;
    let guard = nix::unistd::getpid();
    match sys::fork().map_err(|error| NetError::system("fork the controller", error))? {
        Forked::Parent(controller) => {
            let _ = sys::schedule_normally();
            let _ = prctl::set_name(c"chaos-guard");
            let code = watch(controller, &stub_alive);
            sweep(|_| true);
            remove(scratch);
            sys::exit_now(code)
        }
        Forked::Child => {
            drop(stub_alive);
            prctl::set_pdeathsig(Signal::SIGKILL)
                .map_err(|error| NetError::system("set the parent death signal", error))?;
            if getppid() != guard {
                sys::exit_now(KILLED);
            }
            setsid().map_err(|error| NetError::system("start a session for the controller", error))?;
            // The policy was inherited to come this far; it must not go on to the nodes.
            let real_time = real_time && sys::schedule_first(true).is_ok();
            if !real_time {
                sys::schedule_normally().map_err(|error| NetError::system("ask for normal scheduling", error))?;
            }
            Ok(Guarded { marks, scratch: scratch.to_owned(), real_time })
        }
    }
}

/// Passes signals on and reaps orphans, until the controller or the stub has ended.
fn watch(controller: Pid, stub_alive: &OwnedFd) -> i32 {
    let stub = getppid();
    let Ok(signals) = SignalFd::with_flags(&init::handled_signals(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
    else {
        return KILLED;
    };
    loop {
        // A failing reap leaves zombies, which is no reason to end a run.
        let _ = reaper::reap_orphans(|pid| pid == controller);
        if let Some(code) = exit_code(controller) {
            return code;
        }
        let mut sources =
            [PollFd::new(signals.as_fd(), PollFlags::POLLIN), PollFd::new(stub_alive.as_fd(), PollFlags::POLLIN)];
        // An interrupted poll leaves no events set; the loop then looks again.
        let _ = poll(&mut sources, PollTimeout::NONE);
        if sources[1].any() == Some(true) {
            return KILLED;
        }
        while let Ok(Some(info)) = signals.read_signal() {
            let signal = FORWARDED.into_iter().find(|signal| u32::try_from(*signal as i32) == Ok(info.ssi_signo));
            let from_stub = u32::try_from(stub.as_raw()) == Ok(info.ssi_pid);
            if let Some(signal) = signal.filter(|_| from_stub) {
                // The controller may have just died; the next turn of the loop sees that.
                let _ = kill(controller, signal);
            }
        }
    }
}

/// Kills the caller's children of the run, and all that become its children by that.
fn sweep(of_the_run: impl Fn(Pid) -> bool) {
    let give_up = Instant::now() + GONE_WITHIN;
    while Instant::now() < give_up {
        let children: Vec<Pid> =
            reaper::children().unwrap_or_default().into_iter().filter(|child| of_the_run(*child)).collect();
        if children.is_empty() {
            return;
        }
        for child in &children {
            let _ = kill(*child, Signal::SIGKILL);
        }
        // One that is waited for leaves its own children to us before it is gone.
        let still = children.iter().filter(|child| {
            matches!(waitpid(**child, Some(WaitPidFlag::WNOHANG)), Ok(nix::sys::wait::WaitStatus::StillAlive))
        });
        if still.count() > 0 {
            std::thread::sleep(Duration::from_micros(500));
        }
    }
}

/// A directory whose path leaves room for the name of a socket.
fn make_scratch() -> io::Result<PathBuf> {
    let path = PathBuf::from(format!("/tmp/chaos-{:08x}", random() & 0xffff_ffff));
    fs::DirBuilder::new().mode(0o700).create(&path)?;
    Ok(path)
}

fn remove(scratch: &Path) {
    if let Err(error) = fs::remove_dir_all(scratch)
        && error.kind() != io::ErrorKind::NotFound
    {
        // Nobody is left to tell but the user.
        let _ = writeln!(io::stderr(), "chaos: could not remove {}: {error}", scratch.display());
    }
}
