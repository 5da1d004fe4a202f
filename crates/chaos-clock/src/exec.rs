//! One exec: the program that a thread is about to execute gets its clock before its first instruction.
//!
//! ```text
//! the thread                      this thread
//! execve ── asks, waits ────────▶ trace it; lend it the clock page's descriptor; let it go on
//! … new program, stops ─────────▶ map copy, stub and page; point AT_SYSINFO_EHDR there; close; let go
//! or: execve fails, stops ──────▶ close; let go
//! ```
//!
//! A thread is traced from the question to the first instruction, and never else: a traced one would stop for every signal.
//! Each exec is followed by a thread of its own, and nothing is left traced when that thread ends, whatever went wrong.
//!
//! Refuses: to keep a program from running. One that can't have its clock runs with true time, and that is told.
//! Source: `seccomp_unotify(2)`, `ptrace(2)`, `getauxval(3)`.

use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::unistd::Pid;

use crate::error::failed;
use crate::image::{self, Vdso};
use crate::keeper::Exec;
use crate::sys::{self, Request, Resume, Stop};
use crate::tracee::Tracee;
use crate::{Miss, PAGE};

/// `AT_SYSINFO_EHDR`, see `getauxval(3)`.
const VDSO_AT: u64 = libc::AT_SYSINFO_EHDR;
/// The bytes of a `syscall` instruction.
const SYSCALL_LENGTH: u64 = 2;

/// Lets an exec happen. To be called on a thread that traces nothing, has no children, and ends afterwards.
///
/// What came of it is noted while the program still waits for its first instruction, so that whoever sees it end finds it noted; and
/// returned when nothing is traced any more.
pub(crate) fn follow(
    listener: BorrowedFd<'_>,
    request: Request,
    page: BorrowedFd<'_>,
    note: impl FnOnce(&Exec),
) -> Exec {
    let traced = trace(listener, request, page);
    // Whatever came of that, the exec goes on; that it can't means that the thread is gone.
    let _ = sys::allow(listener, request);
    let (exec, held) = match traced {
        Ok(lent) => watch(request.thread, lent),
        Err(Errno::ESRCH | Errno::ENOENT) => (Exec::Nothing, None),
        Err(errno) => (Exec::Missed(request.thread, failed("trace a program as it starts")(errno)), None),
    };
    note(&exec);
    if let Some(tracee) = held {
        tracee.release();
    }
    exec
}

/// Begins to trace the thread, and returns the page's descriptor there.
fn trace(listener: BorrowedFd<'_>, request: Request, page: BorrowedFd<'_>) -> nix::Result<u64> {
    ptrace::seize(request.thread, ptrace::Options::PTRACE_O_TRACEEXEC)?;
    // Its number may have become another's before that.
    sys::waits(listener, request)?;
    let lent = sys::lend(listener, request, page)?;
    // It stops at its next way back to user code, unless it stops for its exec before.
    ptrace::interrupt(request.thread)?;
    Ok(lent)
}

/// What comes of the exec, and the program if it waits to be let go.
fn watch(asked: Pid, lent: u64) -> (Exec, Option<Tracee>) {
    loop {
        let (thread, signal) = match sys::wait_for_stop() {
            Ok(Stop::At { thread, event: libc::PTRACE_EVENT_EXEC, .. }) => return swapped(thread, lent),
            Ok(Stop::At { thread, event: libc::PTRACE_EVENT_STOP, .. }) => {
                take_back(thread, lent);
                return (Exec::Nothing, None);
            }
            Ok(Stop::At { thread, signal, .. }) => (thread, signal),
            Ok(Stop::Gone) => return (Exec::Nothing, None),
            Err(errno) => return (Exec::Missed(asked, failed("wait for a program to start")(errno)), None),
        };
        // A signal before the stop that we asked for; that will come again. A thread that is gone is seen next.
        let _ = ptrace::interrupt(thread);
        let _ = sys::resume(thread, Resume::Run, signal);
    }
}

/// After an exec that failed: the thread closes what was lent, and goes on in its old program.
fn take_back(thread: Pid, lent: u64) {
    // A 32-bit one keeps it, which does no harm.
    let Ok(mut tracee) = Tracee::new(thread) else { return };
    // It has just come back from the call, whose instruction it executes once more.
    let instruction = tracee.instruction() - SYSCALL_LENGTH;
    if let Err(miss) = close(&mut tracee, instruction, lent) {
        tracing::debug!(%miss, "a descriptor stays open after an exec that failed");
    }
    tracee.release();
}

fn swapped(thread: Pid, lent: u64) -> (Exec, Option<Tracee>) {
    let mut tracee = match Tracee::after_exec(thread) {
        Ok(tracee) => tracee,
        Err(miss) => return (Exec::Missed(thread, miss), None),
    };
    let exec = match swap(&mut tracee, lent) {
        Ok(()) => Exec::Given(thread),
        Err(miss) => Exec::Missed(thread, miss),
    };
    (exec, Some(tracee))
}

/// Puts the replacement of the vDSO into a program that is about to execute its first instruction.
fn swap(tracee: &mut Tracee, lent: u64) -> Result<(), Miss> {
    let (entry, base) = find_vdso(tracee)?;
    let mut head = vec![0; PAGE];
    tracee.read(base, &mut head)?;
    let mut bytes = vec![0; image::size_of(&head)?];
    tracee.read(base, &mut bytes)?;
    let vdso = Vdso { base, bytes };
    let instruction = image::system_call(&vdso)?;
    let laid = lay(tracee, &vdso, instruction, lent);
    let closed = close(tracee, instruction, lent);
    let base = laid?;
    closed?;
    tracee.write(entry, &base.to_le_bytes())
}

/// Maps copy, stub and clock page, and returns where.
fn lay(tracee: &mut Tracee, vdso: &Vdso, instruction: u64, lent: u64) -> Result<u64, Miss> {
    let bits = |flags: libc::c_int| u64::from(flags.cast_unsigned());
    let (read, write, execute) = (bits(libc::PROT_READ), bits(libc::PROT_WRITE), bits(libc::PROT_EXEC));
    let (code, page) = ((vdso.bytes.len() + PAGE) as u64, PAGE as u64);

    let private = bits(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let arguments = [0, code + page, read | write, private, u64::MAX, 0];
    let base = tracee.call("make room in a program", instruction, libc::SYS_mmap, arguments)?;
    tracee.write(base, &image::replacement(vdso, sys::stub(), base)?)?;

    let shared = bits(libc::MAP_SHARED | libc::MAP_FIXED);
    let arguments = [base + code, page, read, shared, lent, 0];
    tracee.call("map the clock page in a program", instruction, libc::SYS_mmap, arguments)?;

    let arguments = [base, code, read | execute, 0, 0, 0];
    tracee.call("make code executable in a program", instruction, libc::SYS_mprotect, arguments)?;
    Ok(base)
}

fn close(tracee: &mut Tracee, instruction: u64, lent: u64) -> Result<(), Miss> {
    tracee.call("close a descriptor in a program", instruction, libc::SYS_close, [lent, 0, 0, 0, 0, 0]).map(drop)
}

/// Where the stack holds the vDSO's address, and that address. The stack begins with the number of arguments, the arguments, a
/// zero, the environment, a zero, and then the auxiliary vector.
fn find_vdso(tracee: &Tracee) -> Result<(u64, u64), Miss> {
    let mut words = tracee.words(tracee.stack()).zip((tracee.stack()..).step_by(8));
    for _ in 0..2 {
        // The number of arguments isn't zero, and neither is a pointer to one.
        for (word, _) in words.by_ref() {
            if word? == 0 {
                break;
            }
        }
    }
    while let (Some((key, _)), Some((value, place))) = (words.next(), words.next()) {
        match key? {
            0 => break,
            VDSO_AT => return Ok((place, value?)),
            _ => {}
        }
    }
    Err(Miss::Vdso("there is none"))
}
