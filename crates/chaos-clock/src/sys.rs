//! What the standard library and `nix` don't wrap: the stub's bytes, the shared page, a filter that traps execs, its listener,
//! and the parts of ptrace that take signals which have no name.
#![expect(unsafe_code, reason = "raw system calls and shared memory; nowhere else in this crate")]

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::unistd::Pid;

use crate::PAGE;

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(include_str!("stub.s"));

/// The code that is laid into the processes.
#[cfg(target_arch = "x86_64")]
pub(crate) fn stub() -> &'static [u8] {
    unsafe extern "C" {
        static chaos_clock_stub: u8;
        static chaos_clock_stub_end: u8;
    }
    let (start, end) = (&raw const chaos_clock_stub, &raw const chaos_clock_stub_end);
    // SAFETY: both symbols are labels of one read-only section, the second behind the first.
    unsafe { std::slice::from_raw_parts(start, end.offset_from_unsigned(start)) }
}

/// A page of shared memory, as words that several processes read while this one writes them.
#[derive(Debug)]
pub(crate) struct SharedPage {
    words: NonNull<AtomicU64>,
}

// SAFETY: the memory is reached through atomics only, and stays mapped until the value is dropped.
unsafe impl Send for SharedPage {}
// SAFETY: as above.
unsafe impl Sync for SharedPage {}

impl SharedPage {
    const SIZE: NonZeroUsize = NonZeroUsize::new(PAGE).expect("a page isn't empty");

    /// Maps the first page of the file, which must have one.
    pub(crate) fn map(file: &File) -> io::Result<Self> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing.
        let page = unsafe { mmap(None, Self::SIZE, protection, MapFlags::MAP_SHARED, file, 0) }?;
        Ok(Self { words: page.cast() })
    }

    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is a page long, aligned, readable, writable, and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr(), PAGE / size_of::<AtomicU64>()) }
    }
}

impl Drop for SharedPage {
    fn drop(&mut self) {
        // SAFETY: it was mapped by `map`, and nobody can hold a reference into it any more.
        let _ = unsafe { munmap(self.words.cast(), PAGE) };
    }
}

/// Has the command's process, and all that it starts, ask before every exec. The file descriptor on which it asks is sent
/// through the socket.
pub(crate) fn trap_execs(command: &mut Command, socket: OwnedFd) {
    let hook = move || {
        let listener = install_filter()?;
        let sent = send_descriptor(socket.as_raw_fd(), listener);
        // SAFETY: the listener was opened above and is used nowhere else.
        unsafe { libc::close(listener) };
        sent
    };
    // SAFETY: between fork and exec the hook only makes system calls (seccomp, prctl, sendmsg, close) on memory of its own; it
    // neither allocates nor locks.
    unsafe { command.pre_exec(hook) };
}

/// `AUDIT_ARCH_X86_64`, see `linux/audit.h`; no filter is installed elsewhere.
const ARCHITECTURE: u32 = 0xc000_003e;

fn install_filter() -> io::Result<RawFd> {
    const fn statement(code: u32, k: u32) -> libc::sock_filter {
        jump(code, k, 0, 0)
    }
    #[expect(clippy::cast_possible_truncation, reason = "all codes are below 2^16")]
    const fn jump(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
        libc::sock_filter { code: code as u16, jt, jf, k }
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of system calls are small")]
    const fn number(call: libc::c_long) -> u32 {
        call as u32
    }
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    // `struct seccomp_data` begins with the call's number, the architecture follows.
    let filter = [
        statement(LOAD, 4),
        jump(EQUAL, ARCHITECTURE, 0, 3),
        statement(LOAD, 0),
        jump(EQUAL, number(libc::SYS_execve), 2, 0),
        jump(EQUAL, number(libc::SYS_execveat), 1, 0),
        statement(RETURN, libc::SECCOMP_RET_ALLOW),
        statement(RETURN, libc::SECCOMP_RET_USER_NOTIF),
    ];
    let program =
        libc::sock_fprog { len: u16::try_from(filter.len()).expect("seven"), filter: filter.as_ptr().cast_mut() };
    // While a request is being looked at, only a signal that kills may take it back.
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    let install = || {
        // SAFETY: the kernel copies the filter, which outlives the call.
        let result =
            unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
        Errno::result(result)
    };
    let listener = match install() {
        // Without a capability a filter is accepted from who can't gain any (`seccomp(2)`).
        Err(Errno::EACCES) => {
            nix::sys::prctl::set_no_new_privs()?;
            install()?
        }
        other => other?,
    };
    Ok(RawFd::try_from(listener).expect("file descriptors are ints"))
}

/// Sends a file descriptor as `unix(7)` says, without allocating.
fn send_descriptor(socket: RawFd, descriptor: RawFd) -> io::Result<()> {
    const SPACE: usize = 24;
    let mut byte = [0_u8];
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: byte.len() };
    let mut control = [0_u64; SPACE / 8];
    // SAFETY: `msghdr` is plain data for which all zeroes is a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = SPACE;
    // SAFETY: the control buffer is aligned and has the space that CMSG_SPACE gives for one descriptor, so the header and the
    // descriptor behind it lie within; everything that the message names outlives the call.
    let result = unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = 20;
        libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(descriptor);
        libc::sendmsg(socket, &raw const message, libc::MSG_NOSIGNAL)
    };
    Errno::result(result).map(drop).map_err(io::Error::from)
}

/// The descriptor that was sent through the socket; waits for it. `None` if there is no other end any more.
pub(crate) fn receive_descriptor(socket: BorrowedFd<'_>) -> nix::Result<Option<OwnedFd>> {
    let mut byte = [0];
    let mut parts = [IoSliceMut::new(&mut byte)];
    let mut control = nix::cmsg_space!(RawFd);
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let descriptor = message.cmsgs()?.find_map(|message| {
        if let ControlMessageOwned::ScmRights(descriptors) = message { descriptors.first().copied() } else { None }
    });
    // SAFETY: the kernel has just made it for this process, and nobody else knows of it.
    Ok(descriptor.map(|descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) }))
}

/// A thread that asks whether it may exec.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    id: u64,
    /// The thread.
    pub(crate) thread: Pid,
}

/// The next request; waits for one.
pub(crate) fn receive(listener: BorrowedFd<'_>) -> nix::Result<Request> {
    // SAFETY: plain data for which all zeroes is a value; the kernel demands zeroes here.
    let mut request: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: this ioctl fills in the structure, which outlives the call.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut request) };
    Errno::result(result)?;
    Ok(Request { id: request.id, thread: Pid::from_raw(request.pid.cast_signed()) })
}

/// Whether the thread still waits for the answer.
pub(crate) fn waits(listener: BorrowedFd<'_>, request: Request) -> nix::Result<()> {
    // SAFETY: this ioctl reads the number, which outlives the call.
    let result =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const request.id) };
    Errno::result(result).map(drop)
}

/// Gives the thread that waits a copy of the descriptor, and returns its number there.
pub(crate) fn lend(listener: BorrowedFd<'_>, request: Request, file: BorrowedFd<'_>) -> nix::Result<u64> {
    let lent = libc::seccomp_notif_addfd {
        id: request.id,
        flags: 0,
        srcfd: file.as_raw_fd().cast_unsigned(),
        newfd: 0,
        newfd_flags: 0,
    };
    // SAFETY: this ioctl reads the structure, which outlives the call.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw const lent) };
    Ok(u64::try_from(Errno::result(result)?).expect("a result that is no error is positive"))
}

/// Lets the thread go on with its exec.
pub(crate) fn allow(listener: BorrowedFd<'_>, request: Request) -> nix::Result<()> {
    let flags = u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).expect("one bit");
    let mut answer = libc::seccomp_notif_resp { id: request.id, val: 0, error: 0, flags };
    // SAFETY: this ioctl reads the structure, which outlives the call.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer) };
    Errno::result(result).map(drop)
}

/// What became of a traced thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It has stopped, for this signal (its number) and this event of ptrace (0 for none).
    At {
        /// Which it is now: after an exec a thread has its process's number.
        thread: Pid,
        /// The signal.
        signal: i32,
        /// The event.
        event: i32,
    },
    /// It is no more. Its end is left for whoever waits for it.
    Gone,
}

/// Waits for the only thread that the calling thread traces.
pub(crate) fn wait_for_stop() -> nix::Result<Stop> {
    loop {
        // Only looks, since an end is not ours to take; and only at what this very thread traces.
        let look = libc::WEXITED | libc::WSTOPPED | libc::WNOWAIT | libc::__WALL | libc::__WNOTHREAD;
        let seen = match wait(libc::P_ALL, 0, look) {
            Err(Errno::ECHILD) => return Ok(Stop::Gone),
            Err(Errno::EINTR) => continue,
            other => other?,
        };
        let Some((thread, libc::CLD_TRAPPED, _)) = seen else { return Ok(Stop::Gone) };
        let take = libc::WSTOPPED | libc::WNOHANG | libc::__WALL | libc::__WNOTHREAD;
        if let Ok(Some((thread, libc::CLD_TRAPPED, status))) = wait(libc::P_PID, thread.cast_unsigned(), take) {
            return Ok(Stop::At { thread: Pid::from_raw(thread), signal: status & 0xff, event: status >> 8 });
        }
    }
}

/// Waits until the child has ended, whoever traces it meanwhile. Its status is left to be taken.
pub(crate) fn wait_for_end(child: u32) -> io::Result<()> {
    loop {
        match wait(libc::P_PID, child, libc::WEXITED | libc::WNOWAIT) {
            // It executes a program, and will be let go in less.
            Ok(Some((_, libc::CLD_TRAPPED, _))) => std::thread::sleep(Duration::from_millis(1)),
            Err(Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// `waitid(2)`: number, code and status.
fn wait(kind: libc::idtype_t, id: libc::id_t, options: libc::c_int) -> nix::Result<Option<(i32, i32, i32)>> {
    // SAFETY: plain data for which all zeroes is a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: `info` outlives the call.
    Errno::result(unsafe { libc::waitid(kind, id, &raw mut info, options) })?;
    // SAFETY: waitid has filled in the fields of SIGCHLD, or left zeroes.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok((pid != 0).then_some((pid, info.si_code, status)))
}

/// How a stopped thread is let go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Resume {
    /// It runs on.
    Run,
    /// It executes one instruction.
    Step,
    /// It is not traced any more.
    Detach,
}

/// Lets a stopped thread go, with a signal (its number) or without (0).
pub(crate) fn resume(thread: Pid, how: Resume, signal: i32) -> nix::Result<()> {
    let request = match how {
        Resume::Run => libc::PTRACE_CONT,
        Resume::Step => libc::PTRACE_SINGLESTEP,
        Resume::Detach => libc::PTRACE_DETACH,
    };
    // SAFETY: these requests take integers.
    let result = unsafe { libc::ptrace(request, thread.as_raw(), 0_usize, i64::from(signal)) };
    Errno::result(result).map(drop)
}

/// The signals that a stopped thread blocks, a bit each.
pub(crate) fn blocked(thread: Pid) -> nix::Result<u64> {
    let mut mask = 0_u64;
    // SAFETY: the request writes as many bytes as its address says, which are those of `mask`.
    let result = unsafe { libc::ptrace(libc::PTRACE_GETSIGMASK, thread.as_raw(), size_of_val(&mask), &raw mut mask) };
    Errno::result(result).map(|_| mask)
}

/// Sets the signals that a stopped thread blocks.
pub(crate) fn block(thread: Pid, mask: u64) -> nix::Result<()> {
    // SAFETY: the request reads as many bytes as its address says, which are those of `mask`.
    let result = unsafe { libc::ptrace(libc::PTRACE_SETSIGMASK, thread.as_raw(), size_of_val(&mask), &raw const mask) };
    Errno::result(result).map(drop)
}
