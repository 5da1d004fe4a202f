//! The filter itself: a classic BPF program of a comparison a call, which the kernel runs at every system call of the node.
//!
//! Calls of another architecture (32-bit programs on a 64-bit kernel) and what is not listed go on unseen. Refuses to decide
//! anything: all that a filter can see are numbers. Source: `seccomp(2)`, `linux/bpf_common.h`.

use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter};

/// `AUDIT_ARCH_*` of what this program was built for.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xC000_00B7;

/// Where `seccomp_data` has the number of the call, and the architecture.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;

/// A program that hands the calls of these numbers to the supervisor and lets all others pass.
pub(crate) fn program(numbers: &[u32]) -> Vec<sock_filter> {
    let load = |offset| instruction(BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
    let give = |verdict| instruction(BPF_RET | BPF_K, verdict, 0, 0);
    let mut program = vec![
        load(ARCHITECTURE_AT),
        instruction(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
        give(libc::SECCOMP_RET_ALLOW),
        load(NUMBER_AT),
    ];
    for (index, &number) in numbers.iter().enumerate() {
        // Over the comparisons that follow and over the verdict that lets pass.
        let skip = u8::try_from(numbers.len() - index).expect("a few dozen calls are trapped");
        program.push(instruction(BPF_JMP | BPF_JEQ | BPF_K, number, skip, 0));
    }
    program.push(give(libc::SECCOMP_RET_ALLOW));
    program.push(give(libc::SECCOMP_RET_USER_NOTIF));
    program
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: u16::try_from(code).expect("codes have 16 bits"), jt, jf, k }
}
