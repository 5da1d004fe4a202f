//! The system calls that the standard library and `nix` don't wrap, each with its reason.
#![expect(unsafe_code, reason = "raw system calls and the hook between fork and exec; nowhere else in this crate")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// Sends a signal to one thread. `kill(SIGSTOP)` is delivered to *some* thread, and its siblings run on until that one is
/// scheduled (2–26 ms with busy threads); a signal for every single thread stops each within microseconds.
///
/// # Errors
/// If the thread doesn't exist or isn't ours.
pub(crate) fn signal_thread(process: Pid, thread: Pid, signal: Signal) -> nix::Result<()> {
    // SAFETY: tgkill takes three integers and touches no memory of this process.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, process.as_raw(), thread.as_raw(), signal as libc::c_int) };
    Errno::result(result).map(drop)
}

/// Makes the command start inside a network namespace and lead a process group of its own (so that Ctrl-C at the terminal
/// reaches the harness and not the nodes). That nodes end with the harness is the pid namespace's doing, not ours.
pub(crate) fn start_in_namespace(command: &mut Command, namespace: OwnedFd) {
    command.process_group(0);
    let enter = move || {
        // SAFETY: setns is an async-signal-safe system call, on a descriptor that the closure owns.
        let result = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: the hook runs between fork and exec and calls only async-signal-safe functions; it allocates nothing.
    unsafe {
        command.pre_exec(enter);
    }
}
