//! The outer process after `enter`: what the user's shell, terminal and CI runner see of the run.
//!
//! The idea: it does nothing but forward SIGINT, SIGTERM and SIGHUP, wait, and leave with the inner exit code (128 + n
//! for a signal). Init and controller live in sessions of their own, so a Ctrl-C of the terminal, which goes to the
//! foreground process group, reaches only the stub, and the controller gets it once whoever sent it: no guess about the
//! sender is needed. Tools that signal both a process and its group (`timeout(1)` does) would still deliver twice;
//! therefore a signal is dropped when the same one was forwarded less than 100 ms ago.
//!
//! When the stub is killed, the init dies by `PDEATHSIG`, and with it everything. SIGTSTP stops only the stub: the shell
//! comes back and the run goes on, because a half-stopped cluster would measure nothing.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use crate::init::{FORWARDED, KILLED, exit_code, handled_signals};
use crate::sys;

/// Two equal signals closer than this are one: long for `timeout(1)`'s pair, short for a person's second Ctrl-C.
const SAME_SIGNAL: Duration = Duration::from_millis(100);

/// Stands for the run in the outer namespaces until the init has ended. The handled signals must be blocked.
///
/// `alive` is the writing end of the pipe by which the init notices the stub's death.
pub(crate) fn run(init: Pid, alive: OwnedFd) -> ! {
    let code = forward_and_wait(init).unwrap_or(KILLED);
    // Held until here: closing it tells the init that the stub is gone.
    drop(alive);
    sys::exit_now(code)
}

/// Passes signals on to the child until it has ended; its exit code.
pub(crate) fn forward_and_wait(init: Pid) -> io::Result<i32> {
    let signals = SignalFd::with_flags(&handled_signals(), SfdFlags::SFD_CLOEXEC)?;
    let mut last: [Option<Instant>; FORWARDED.len()] = [None; FORWARDED.len()];
    loop {
        if let Some(code) = exit_code(init) {
            return Ok(code);
        }
        let Ok(Some(info)) = signals.read_signal() else { continue };
        let slot = FORWARDED.iter().position(|signal| u32::try_from(*signal as i32) == Ok(info.ssi_signo));
        if let Some(slot) = slot {
            let now = Instant::now();
            if is_new(last[slot], now) {
                last[slot] = Some(now);
                forward(init, FORWARDED[slot]);
            }
        }
    }
}

fn is_new(last: Option<Instant>, now: Instant) -> bool {
    last.is_none_or(|last| now.duration_since(last) >= SAME_SIGNAL)
}

fn forward(init: Pid, signal: Signal) {
    // The init may have just died; its SIGCHLD is next in line then.
    let _ = kill(init, signal);
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::is_new;

    #[test]
    fn an_equal_signal_counts_again_only_after_100_ms() {
        let first = Instant::now();
        assert!(is_new(None, first));
        assert!(!is_new(Some(first), first + Duration::from_millis(99)));
        assert!(is_new(Some(first), first + Duration::from_millis(100)));
    }
}
