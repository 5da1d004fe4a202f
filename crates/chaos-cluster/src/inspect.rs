//! What `/proc` says of a node: which processes live in its network namespace, which threads they have and what those do.
//!
//! Everything here is a snapshot of something that moves, so a process that vanishes half-way is no error: it is gone.

use std::fs;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;

use nix::unistd::Pid;

/// Identifies a network namespace: the inode of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NamespaceInode(u64);

/// The inode of an open namespace file.
pub(crate) fn namespace_inode(namespace: BorrowedFd<'_>) -> std::io::Result<NamespaceInode> {
    let metadata = fs::metadata(format!("/proc/self/fd/{}", namespace.as_raw_fd()))?;
    Ok(NamespaceInode(metadata.ino()))
}

/// Every process whose network namespace is this one.
pub(crate) fn processes_in(namespace: NamespaceInode) -> Vec<Pid> {
    numbers("/proc")
        .into_iter()
        .filter(|pid| fs::metadata(format!("/proc/{pid}/ns/net")).is_ok_and(|metadata| metadata.ino() == namespace.0))
        .map(Pid::from_raw)
        .collect()
}

/// The threads of a process; none if it is gone.
pub(crate) fn threads_of(pid: Pid) -> Vec<Pid> {
    numbers(&format!("/proc/{pid}/task")).into_iter().map(Pid::from_raw).collect()
}

/// Whether a thread is stopped, or gone (which stops it for good).
pub(crate) fn thread_is_stopped(pid: Pid, thread: Pid) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/task/{thread}/stat")) else { return true };
    // The state follows the command, which stands in parentheses and may itself contain any character.
    let state = stat.rfind(')').and_then(|end| stat[end + 1..].split_whitespace().next());
    matches!(state, Some("T" | "t" | "Z" | "X"))
}

fn numbers(directory: &str) -> Vec<i32> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}
