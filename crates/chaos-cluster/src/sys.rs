//! The two system calls that the standard library and `nix` don't wrap.
#![expect(unsafe_code, reason = "raw system calls; nowhere else in this crate")]

use std::ptr;

use nix::errno::Errno;
use nix::sys::resource::Resource;
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

/// What a process may have of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResourceLimit {
    /// What the kernel enforces.
    pub(crate) soft: u64,
    /// Up to where the process itself may raise that.
    pub(crate) hard: u64,
}

/// A limit of a process as it was, changed to `new` if there is one.
///
/// # Errors
/// If the process doesn't exist or isn't ours, or if `new` would raise the hard limit.
pub(crate) fn resource_limit(
    process: Pid,
    resource: Resource,
    new: Option<ResourceLimit>,
) -> nix::Result<ResourceLimit> {
    let new = new.map(|new| libc::rlimit64 { rlim_cur: new.soft, rlim_max: new.hard });
    let given = new.as_ref().map_or(ptr::null(), ptr::from_ref);
    let mut before = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `given` is null or points to a limit, `before` is one; both outlive the call, which reads the first and writes
    // the second.
    let result = unsafe { libc::prlimit64(process.as_raw(), resource as _, given, &raw mut before) };
    Errno::result(result)?;
    Ok(ResourceLimit { soft: before.rlim_cur, hard: before.rlim_max })
}
