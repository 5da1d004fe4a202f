//! The one thing that needs `unsafe`: a child that dies with the test that started it.
#![expect(unsafe_code, reason = "a hook between fork and exec is unsafe by nature")]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// What the child is to have besides the parent's death as its own.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    /// The largest file it may write, bytes; writing beyond fails (EFBIG) as a full disk does.
    pub(crate) file_bytes_max: Option<u64>,
}

/// Makes the child die when the thread that spawns it ends, however that ends, and applies the limits.
pub(crate) fn prepare(command: &mut Command, limits: Limits) {
    let hook = move || {
        // SAFETY: prctl, setrlimit and signal are async-signal-safe system calls, and touch this process only.
        unsafe {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            if let Some(bytes) = limits.file_bytes_max {
                let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
                if libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) != 0 {
                    return Err(io::Error::last_os_error());
                }
                libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            }
        }
        Ok(())
    };
    // SAFETY: the hook only makes the system calls above; it allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(hook);
    }
}
