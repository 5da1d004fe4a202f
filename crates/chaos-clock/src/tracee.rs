//! A stopped thread of another process, in which system calls are made.
//!
//! Its registers and signal mask are taken down, it is made to execute one instruction at a time, and both are put back before
//! it is let go; it never notices. A signal that can't be blocked (SIGSTOP, when the node is being paused) and comes meanwhile
//! is handed to it at the end. Refuses: to write into its code; the one instruction that it executes is one of its own.
//! Source: `ptrace(2)`.

use std::io::{IoSlice, IoSliceMut};

use libc::user_regs_struct;
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;

use crate::error::failed;
use crate::sys::{self, Resume, Stop};
use crate::{Miss, PAGE};

/// The code segment of 64-bit programs, see `arch/x86/include/asm/segment.h`.
const CODE_64: u64 = 0x33;
/// A bit for each signal that must stay possible: single steps are reported by it.
const TRAP: u64 = 1 << (libc::SIGTRAP - 1);

/// A thread that has stopped for us.
#[derive(Debug)]
pub(crate) struct Tracee {
    thread: Pid,
    /// As they were and will be again.
    registers: user_regs_struct,
    blocked: u64,
    /// A signal that came meanwhile, 0 if none did.
    owed: i32,
}

impl Tracee {
    /// Takes over a thread that stopped in user code or on its way back to it.
    ///
    /// # Errors
    /// If it is gone, or isn't a 64-bit one.
    pub(crate) fn new(thread: Pid) -> Result<Self, Miss> {
        let blocked = sys::blocked(thread).map_err(failed("read the signal mask of a program"))?;
        sys::block(thread, !TRAP).map_err(failed("hold the signals of a program"))?;
        let mut new = Self { thread, registers: registers(thread)?, blocked, owed: 0 };
        if new.registers.cs != CODE_64 {
            new.put_back();
            return Err(Miss::NotNative);
        }
        Ok(new)
    }

    /// Takes over a thread that has just executed a program, and is still in the kernel.
    ///
    /// # Errors
    /// As [`Tracee::new`].
    pub(crate) fn after_exec(thread: Pid) -> Result<Self, Miss> {
        let mut new = Self::new(thread)?;
        // A step out of the kernel is complete before the first instruction.
        new.step()?;
        new.registers = registers(thread)?;
        Ok(new)
    }

    /// Where it goes on.
    pub(crate) fn instruction(&self) -> u64 {
        self.registers.rip
    }

    /// The top of its stack.
    pub(crate) fn stack(&self) -> u64 {
        self.registers.rsp
    }

    /// Has it make a system call by the instruction at that address.
    ///
    /// # Errors
    /// The call's, or if the thread is gone.
    pub(crate) fn call(&mut self, action: &'static str, at: u64, call: i64, arguments: [u64; 6]) -> Result<u64, Miss> {
        let mut registers = self.registers;
        registers.rip = at;
        registers.rax = call.cast_unsigned();
        // No call is under way that the kernel might repeat.
        registers.orig_rax = u64::MAX;
        let [rdi, rsi, rdx, r10, r8, r9] = arguments;
        (registers.rdi, registers.rsi, registers.rdx) = (rdi, rsi, rdx);
        (registers.r10, registers.r8, registers.r9) = (r10, r8, r9);
        ptrace::setregs(self.thread, registers).map_err(failed(action))?;
        self.step()?;
        let result = self::registers(self.thread)?.rax;
        match i32::try_from(result.cast_signed()) {
            Ok(error @ -4095..0) => Err(Miss::System { action, errno: Errno::from_raw(-error) }),
            Ok(_) | Err(_) => Ok(result),
        }
    }

    /// Fills the buffer from its memory.
    ///
    /// # Errors
    /// If there isn't as much.
    pub(crate) fn read(&self, at: u64, buffer: &mut [u8]) -> Result<(), Miss> {
        let action = "read a program's memory";
        let remote = RemoteIoVec { base: address(at), len: buffer.len() };
        let wanted = buffer.len();
        let read = process_vm_readv(self.thread, &mut [IoSliceMut::new(buffer)], &[remote]).map_err(failed(action))?;
        if read == wanted { Ok(()) } else { Err(failed(action)(Errno::EFAULT)) }
    }

    /// Writes to memory that it may write to.
    ///
    /// # Errors
    /// If there isn't as much.
    pub(crate) fn write(&self, at: u64, bytes: &[u8]) -> Result<(), Miss> {
        let action = "write to a program's memory";
        let remote = RemoteIoVec { base: address(at), len: bytes.len() };
        let written = process_vm_writev(self.thread, &[IoSlice::new(bytes)], &[remote]).map_err(failed(action))?;
        if written == bytes.len() { Ok(()) } else { Err(failed(action)(Errno::EFAULT)) }
    }

    /// Reads word by word, a page at a time: what follows the stack isn't there.
    pub(crate) fn words(&self, at: u64) -> impl Iterator<Item = Result<u64, Miss>> {
        let mut page = [0; PAGE];
        let mut known = 0..0;
        (at..).step_by(8).map(move |at| {
            if !known.contains(&at) {
                known = at..(at + 1).next_multiple_of(PAGE as u64);
                let length = usize::try_from(known.end - known.start).expect("at most a page");
                self.read(at, &mut page[..length])?;
            }
            let place = usize::try_from(at - known.start).expect("within a page");
            Ok(u64::from_le_bytes(page[place..place + 8].try_into().expect("eight bytes")))
        })
    }

    /// Lets it go on as if nothing had been.
    pub(crate) fn release(mut self) {
        self.put_back();
    }

    fn put_back(&mut self) {
        // What fails here fails because the thread is gone, or else ends with our tracing it, which ends with this thread.
        let _ = ptrace::setregs(self.thread, self.registers);
        let _ = sys::block(self.thread, self.blocked);
        let _ = sys::resume(self.thread, Resume::Detach, self.owed);
    }

    fn step(&mut self) -> Result<(), Miss> {
        let action = "step through a program";
        loop {
            sys::resume(self.thread, Resume::Step, 0).map_err(failed(action))?;
            match sys::wait_for_stop().map_err(failed(action))? {
                Stop::Gone => return Err(failed(action)(Errno::ESRCH)),
                Stop::At { signal: libc::SIGTRAP, event: 0, .. } => return Ok(()),
                // A stop that we had asked for comes late, or one that the detached thread takes part in again.
                Stop::At { event, .. } if event != 0 => {}
                Stop::At { signal, .. } => self.owed = signal,
            }
        }
    }
}

fn registers(thread: Pid) -> Result<user_regs_struct, Miss> {
    ptrace::getregs(thread).map_err(failed("read the registers of a program"))
}

fn address(at: u64) -> usize {
    usize::try_from(at).expect("addresses have 64 bits on this processor")
}
