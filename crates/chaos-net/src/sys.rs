//! Every `unsafe` block of the crate: system calls that `nix` does not wrap, or wraps as unsafe.
//!
//! Each function is as small as its system call, so that the SAFETY comment can be judged beside it.
#![expect(unsafe_code, reason = "system calls; nowhere else in the crate")]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::Mode;
use nix::unistd::{ForkResult, Pid};

/// The two sides of [`fork`].
pub(crate) enum Forked {
    /// The caller goes on, with the child's pid.
    Parent(Pid),
    /// The new process.
    Child,
}

/// Duplicates the process.
///
/// All callers are single-threaded here (`isolation::enter` checks it, `doctor::probe` documents it), so the child
/// inherits no lock that another thread holds.
pub(crate) fn fork() -> io::Result<Forked> {
    // SAFETY: see above: with one thread, the child is an ordinary copy that may allocate and lock.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Forked::Parent(child)),
        ForkResult::Child => Ok(Forked::Child),
    }
}

/// Ends the process at once: no exit handlers, no flushing of buffers that were inherited across `fork`.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` takes any value and does not return.
    unsafe { libc::_exit(code) }
}

/// Gives SIGCHLD its default disposition. A launcher may have left it ignored; the kernel then discards the exit status
/// of children, and nobody can wait for them.
pub(crate) fn keep_child_statuses() -> io::Result<()> {
    use nix::sys::signal::{SigHandler, Signal, signal};
    // SAFETY: the default disposition runs no code of ours.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
    Ok(())
}

/// Sets a `SOL_NETLINK` option to 1.
pub(crate) fn enable_netlink_option(socket: BorrowedFd<'_>, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of_val(&on)).expect("an int's size fits");
    // SAFETY: `on` outlives the call and `length` is its size.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_NETLINK, option, (&raw const on).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has the command join the network namespace.
pub(crate) fn in_namespace(command: &mut Command, namespace: OwnedFd) {
    let hook = move || Ok(setns(&namespace, CloneFlags::CLONE_NEWNET)?);
    // SAFETY: between fork and exec the hook makes one system call and neither allocates nor locks.
    unsafe { command.pre_exec(hook) };
}

/// What a user namespace's map files are to contain.
pub(crate) struct UserMaps {
    /// `/proc/self/uid_map`.
    pub(crate) uid: String,
    /// `/proc/self/gid_map`.
    pub(crate) gid: String,
}

/// Has the command make a user namespace with these maps and live in it.
pub(crate) fn in_user_namespace(command: &mut Command, maps: UserMaps) {
    let hook = move || {
        unshare(CloneFlags::CLONE_NEWUSER)?;
        // Without "deny" the kernel refuses a gid map from inside of the namespace.
        write_to(c"/proc/self/setgroups", "deny")?;
        write_to(c"/proc/self/uid_map", &maps.uid)?;
        write_to(c"/proc/self/gid_map", &maps.gid)
    };
    // SAFETY: between fork and exec the hook only makes system calls (unshare, open, write, close) on texts that were made
    // before; it neither allocates nor locks.
    unsafe { command.pre_exec(hook) };
}

/// Writes a file in one call, as the files of `/proc` want it, without allocating.
fn write_to(path: &CStr, text: &str) -> io::Result<()> {
    let file = nix::fcntl::open(path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let written = nix::unistd::write(&file, text.as_bytes())?;
    if written == text.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Has the command join the network namespace and keep `CAP_NET_ADMIN` and `CAP_NET_RAW` across its exec.
///
/// With an identity mapping a process of an ordinary uid loses its namespace capabilities at exec (`capabilities(7)`);
/// raising them as ambient keeps exactly the two that packet filter tools need.
pub(crate) fn in_namespace_as_net_admin(command: &mut Command, namespace: OwnedFd) {
    let hook = move || {
        setns(&namespace, CloneFlags::CLONE_NEWNET)?;
        keep_net_capabilities()
    };
    // SAFETY: between fork and exec the hook only makes system calls (setns, capget, capset, prctl) on memory of its
    // own; it neither allocates nor locks.
    unsafe { command.pre_exec(hook) };
}

const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn keep_net_capabilities() -> io::Result<()> {
    // _LINUX_CAPABILITY_VERSION_3: two 32-bit words of each set.
    let mut header = CapHeader { version: 0x2008_0522, pid: 0 };
    let mut data = [CapData::default(); 2];
    // SAFETY: both pointers are to live values with the layout of `capget(2)`, version 3.
    if unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    data[0].inheritable |= (1 << CAP_NET_ADMIN) | (1 << CAP_NET_RAW);
    // SAFETY: as above; `capset` only reads them.
    if unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    for capability in [CAP_NET_ADMIN, CAP_NET_RAW] {
        // SAFETY: this prctl takes plain integers.
        let result = unsafe {
            libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, libc::c_ulong::from(capability), 0, 0)
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// A file descriptor that stands for the process, free of pid reuse.
pub(crate) fn pidfd_open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: plain integers in; the kernel returns a new descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = RawFd::try_from(fd).expect("file descriptors are ints");
    // SAFETY: the kernel has just created it for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends a signal to one thread of a process.
pub(crate) fn tgkill(pid: Pid, thread: Pid, signal: nix::sys::signal::Signal) -> io::Result<()> {
    // SAFETY: plain integers.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, pid.as_raw(), thread.as_raw(), signal as libc::c_int) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes an opened `/dev/net/tun` a TUN device of the calling thread's network namespace.
pub(crate) fn tun_create(device: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    // SAFETY: `ifreq` is plain data for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    request.ifr_ifru.ifru_flags =
        libc::c_short::try_from(libc::IFF_TUN | libc::IFF_NO_PI).expect("both flags are below 2^15");
    // SAFETY: TUNSETIFF reads and writes one `ifreq`, which outlives the call.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
