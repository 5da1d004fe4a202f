//! The one system call that the standard library and `nix` don't wrap.
#![expect(unsafe_code, reason = "a raw system call; nowhere else in this crate")]

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
