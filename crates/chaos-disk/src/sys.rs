//! Every `unsafe` block of the crate: system calls that `nix` does not wrap, or wraps as unsafe.
//!
//! Each function is as small as its system call, so that the SAFETY comment can be judged beside it.
#![expect(unsafe_code, reason = "system calls; nowhere else in the crate")]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use libc::{seccomp_notif, seccomp_notif_resp, sock_filter, sock_fprog};

/// Has the command's process put itself under the filter and send the descriptor that its notifications arrive at.
///
/// `no_new_privs` comes with it: without that an unprivileged process may not install a filter.
pub(crate) fn filtered(command: &mut Command, program: Vec<sock_filter>, to_supervisor: OwnedFd) {
    let hook = move || filter_this_thread(&program, &to_supervisor);
    // SAFETY: between fork and exec the hook only makes system calls (prctl, seccomp, sendmsg, close) on memory that was
    // allocated before or lies on its stack; it neither allocates nor locks.
    unsafe { command.pre_exec(hook) };
}

/// Puts the calling thread, and whatever it will fork, under the filter.
pub(crate) fn filter_this_thread(program: &[sock_filter], to_supervisor: &OwnedFd) -> io::Result<()> {
    let listener = install(program)?;
    send_descriptor(to_supervisor, &listener)
}

fn install(program: &[sock_filter]) -> io::Result<OwnedFd> {
    // SAFETY: this prctl takes plain integers.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    let length = u16::try_from(program.len()).expect("a filter has a few dozen instructions");
    let filter = sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    // Once we have seen a call, only a fatal signal may interrupt it: an fsync that returns EINTR is no fault of any disk.
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    // SAFETY: the kernel reads `len` instructions from `filter`, which live until the call returns.
    let fd = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const filter) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = RawFd::try_from(fd).expect("file descriptors are ints");
    // SAFETY: the kernel has just created it for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A control message with one descriptor, aligned as `cmsghdr` wants it.
#[repr(C, align(8))]
struct OneDescriptor([u8; 32]);

const FD_BYTES: libc::c_uint = 4;

fn send_descriptor(socket: &OwnedFd, descriptor: &OwnedFd) -> io::Result<()> {
    let mut byte = [0_u8];
    let mut text = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let mut control = OneDescriptor([0; 32]);
    // SAFETY: `msghdr` is plain data for which all zeroes is a value; the pointers that it gets outlive the call, and
    // CMSG_SPACE(4) is 24 bytes on 64-bit Linux, so the header and the descriptor fit into `control`.
    let sent = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut text;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(FD_BYTES) as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(FD_BYTES) as _;
        libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(descriptor.as_raw_fd());
        libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL)
    };
    if sent == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Receives what [`filtered`] sends; nothing when all who could send are gone.
pub(crate) fn receive_descriptor(socket: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    let mut byte = [0_u8];
    let mut text = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let mut control = OneDescriptor([0; 32]);
    // SAFETY: as in `send_descriptor`; a descriptor is only read from a control message of the right kind, and the kernel made it
    // for this process.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut text;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = size_of::<OneDescriptor>() as _;
        let received = libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC);
        if received < 0 {
            return Err(io::Error::last_os_error());
        }
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if received == 0 || header.is_null() || (*header).cmsg_type != libc::SCM_RIGHTS {
            return Ok(None);
        }
        let descriptor = libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned();
        Ok(Some(OwnedFd::from_raw_fd(descriptor)))
    }
}

/// The next call that waits for an answer. `NotFound` if it was interrupted meanwhile.
pub(crate) fn next_call(listener: BorrowedFd<'_>) -> io::Result<seccomp_notif> {
    // SAFETY: plain data for which all zeroes is a value; the kernel demands zeroes, and fills in one structure.
    unsafe {
        let mut notification: seccomp_notif = std::mem::zeroed();
        check(libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut notification))?;
        Ok(notification)
    }
}

/// Lets the call go on to the kernel (no error number), or fail. `NotFound` if nobody waits for the answer any more.
pub(crate) fn answer(listener: BorrowedFd<'_>, id: u64, errno: Option<libc::c_int>) -> io::Result<()> {
    let go_on = u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).expect("the flag is 1");
    let response = seccomp_notif_resp {
        id,
        val: 0,
        error: errno.map_or(0, |errno| -errno),
        flags: if errno.is_none() { go_on } else { 0 },
    };
    // SAFETY: the kernel reads one structure, which outlives the call.
    check(unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const response) })
}

/// Whether the caller still waits: only then what was read about it under `/proc` was about it, and not about who got its number.
pub(crate) fn still_waits(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: the kernel reads one u64, which outlives the call.
    unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id) == 0 }
}

/// Asks the kernel (6.6 and later) to wake us on the caller's processor, which saves a third of the time. Others refuse.
pub(crate) fn wake_in_place(listener: BorrowedFd<'_>) -> io::Result<()> {
    const SYNC_WAKE_UP: libc::c_ulong = 1;
    // SAFETY: this ioctl takes a plain integer.
    check(unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP) })
}

/// Reads the memory of another process, as many bytes as there are up to the buffer's length.
pub(crate) fn read_memory(pid: libc::pid_t, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let here = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let start = usize::try_from(address).map_err(|_| io::ErrorKind::InvalidInput)?;
    let there = libc::iovec { iov_base: std::ptr::with_exposed_provenance_mut(start), iov_len: buffer.len() };
    // SAFETY: the kernel writes at most `buffer.len()` bytes to `buffer`; the remote address is only looked at in that process.
    let read = unsafe { libc::process_vm_readv(pid, &raw const here, 1, &raw const there, 1, 0) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
