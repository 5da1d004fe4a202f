//! Pid 1 of the namespaces: reaps orphans, passes signals of the stub on, and ends with the controller.
//!
//! Why the controller is not pid 1 itself: a pid 1 that also spawns and waits for its own children must tell them from
//! adopted orphans, and there is a window between fork and bookkeeping in which nobody can. With an init of its own the
//! question is gone: adopted orphans are the init's children and nodes are the controller's, and `wait` never crosses
//! parents. It also gives the controller ordinary signal dispositions; a pid 1 silently loses every signal that it does
//! not handle (`pid_namespaces(7)`). This is what `tini` does for containers.
//!
//! Refuses to do anything else: it never execs, has one thread, and takes no signal from inside its namespace.

use std::os::fd::{AsFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::{reaper, sys};

/// The signals that reach the controller through stub and init.
pub(crate) const FORWARDED: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// The exit code of a process that was ended by `SIGKILL`, as a shell reports it.
pub(crate) const KILLED: i32 = 128 + 9;

/// The forwarded signals and SIGCHLD, which stub and init take from a descriptor instead of by handlers.
pub(crate) fn handled_signals() -> SigSet {
    let mut set: SigSet = FORWARDED.into_iter().collect();
    set.add(Signal::SIGCHLD);
    set
}

/// Serves as pid 1 until the controller has ended, then exits with its code. The handled signals must be blocked.
///
/// `stub_alive` is the reading end of a pipe whose only writing end the stub holds: end of file means that the stub is
/// dead. `PDEATHSIG` says the same; the pipe still works where that was cleared.
pub(crate) fn run(controller: Pid, stub_alive: &OwnedFd) -> ! {
    let Ok(signals) = SignalFd::with_flags(&handled_signals(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK) else {
        // Without it nothing here works; exiting takes the namespaces and the controller with it.
        sys::exit_now(KILLED);
    };
    loop {
        // A failing reap leaves zombies, which is no reason to end a run.
        let _ = reaper::reap_orphans(|pid| pid == controller);
        if let Some(code) = exit_code(controller) {
            sys::exit_now(code);
        }
        let mut sources =
            [PollFd::new(signals.as_fd(), PollFlags::POLLIN), PollFd::new(stub_alive.as_fd(), PollFlags::POLLIN)];
        // An interrupted poll leaves no events set; the loop then looks again.
        let _ = poll(&mut sources, PollTimeout::NONE);
        if sources[1].any() == Some(true) {
            sys::exit_now(KILLED);
        }
        while let Ok(Some(info)) = signals.read_signal() {
            // A sender outside of the namespace shows as pid 0: that is the stub. Nodes must not stop the run.
            if info.ssi_pid == 0
                && let Some(signal) =
                    FORWARDED.into_iter().find(|signal| u32::try_from(*signal as i32) == Ok(info.ssi_signo))
            {
                // The controller may have just died; the next turn of the loop sees that.
                let _ = kill(controller, signal);
            }
        }
    }
}

/// The exit code of the child in a shell's terms (128 + n for a signal), or `None` while it lives.
pub(crate) fn exit_code(child: Pid) -> Option<i32> {
    match waitid(Id::Pid(child), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG) {
        Ok(WaitStatus::Exited(_, code)) => Some(code),
        Ok(WaitStatus::Signaled(_, signal, _)) => Some(128 + signal as i32),
        Ok(_) | Err(nix::errno::Errno::EINTR) => None,
        // Nobody else waits for it, so this is ECHILD after a defect; ending is the only safe answer.
        Err(_) => Some(KILLED),
    }
}
