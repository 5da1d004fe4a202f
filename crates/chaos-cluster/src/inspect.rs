//! What `/proc` says of a node: which processes live in its network namespace, which threads they have and what those do.
//!
//! Everything here is a snapshot of something that moves, so a process that vanishes half-way is no error: it is gone. A
//! zombie is gone, too: it has left its namespaces and runs nothing.
//!
//! Where the kernel refuses a fresh `/proc` (containers with a masked one), the outer one is seen, whose numbers are not those
//! that signals take. `NSpid` in `status` holds both (`proc_pid_status(5)`), so every number is translated.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use chaos_net::{Mark, Place};
use nix::unistd::Pid;

/// How often is looked again because there are new processes: on a busy host with its own `/proc` in sight there always are.
const LOOKS_MAX: usize = 8;

/// What the processes of a node, or of a command beside the run, have in common.
///
/// On the host, a number that was seen here could mean somebody else's process by the time that it gets a signal; but the kernel gives
/// numbers in turn, so that would take as many forks as there are numbers, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Belonging {
    /// A network namespace: the inode of its file.
    Namespace(u64),
    /// A mark that each process bears.
    Mark(Mark),
}

impl Belonging {
    /// Of those who live in this place.
    pub(crate) fn to(place: &Place) -> std::io::Result<Self> {
        match place {
            Place::Namespace(namespace) => Self::to_namespace(namespace.as_fd()),
            Place::Host { mark, .. } => Ok(Self::Mark(*mark)),
        }
    }

    /// Of those who live in this network namespace.
    pub(crate) fn to_namespace(namespace: BorrowedFd<'_>) -> std::io::Result<Self> {
        let metadata = fs::metadata(format!("/proc/self/fd/{}", namespace.as_raw_fd()))?;
        Ok(Self::Namespace(metadata.ino()))
    }
}

/// A process or a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    /// Its directory in `/proc`.
    place: String,
    /// Its number here.
    pub(crate) pid: Pid,
}

/// Every process of which a thread belongs there. Of processes that fork while this looks, some may be
/// missing; but none at all are found only if none were there.
pub(crate) fn processes_in(belonging: Belonging) -> Vec<Task> {
    let depth = numbers_in_status("/proc/self").len();
    let mut shown = numbers("/proc");
    for _ in 0..LOOKS_MAX {
        let places = shown.iter().map(|number| format!("/proc/{number}")).filter(|place| is_in(place, belonging));
        let found: Vec<Task> = places.filter_map(|place| task(place, depth)).collect();
        // A process may have been seen, have forked, and have gone: its child is among those that are new.
        let before: BTreeSet<i32> = shown.into_iter().collect();
        shown = numbers("/proc");
        if !found.is_empty() || shown.iter().all(|number| before.contains(number)) {
            return found;
        }
    }
    Vec::new()
}

/// The process with this number; `None` if it is gone.
pub(crate) fn process(pid: Pid) -> Option<Task> {
    task(format!("/proc/{pid}"), numbers_in_status("/proc/self").len())
}

/// The threads of a process; none if it is gone.
pub(crate) fn threads_of(process: &Task) -> Vec<Task> {
    let depth = numbers_in_status("/proc/self").len();
    let place = format!("{}/task", process.place);
    numbers(&place).into_iter().filter_map(|shown| task(format!("{place}/{shown}"), depth)).collect()
}

/// Of these processes, the one with this number and all that descend from it. A child whose parent is gone descends from nobody.
pub(crate) fn with_descendants(of: Pid, processes: &[Task]) -> Vec<Task> {
    let Some(root) = processes.iter().find(|process| process.pid == of) else { return Vec::new() };
    let mut found = vec![root.clone()];
    let mut asked = 0;
    while let Some(parent) = found.get(asked).map(|process| process.place.clone()) {
        asked += 1;
        let children = processes.iter().filter(|process| parent_of(process).as_deref() == Some(&*parent));
        let new: Vec<Task> = children.filter(|child| !found.contains(child)).cloned().collect();
        found.extend(new);
    }
    found
}

/// The parent's directory in `/proc`.
fn parent_of(process: &Task) -> Option<String> {
    let stat = fs::read_to_string(format!("{}/stat", process.place)).ok()?;
    let parent = stat[stat.rfind(')')? + 1..].split_whitespace().nth(1)?;
    Some(format!("/proc/{parent}"))
}

/// How much address space a process has; `None` if it is gone.
pub(crate) fn address_space_bytes(process: &Task) -> Option<u64> {
    let status = fs::read_to_string(format!("{}/status", process.place)).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Whether a process has ended, reaped or not.
pub(crate) fn is_gone(process: &Task) -> bool {
    let stat = fs::read_to_string(format!("{}/stat", process.place)).unwrap_or_default();
    match stat.rfind(')').and_then(|end| stat[end + 1..].split_whitespace().next()) {
        Some("Z" | "X") | None => true,
        Some(_) => false,
    }
}

/// Whether a thread runs code of its own, as far as stopping it is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Motion {
    /// It is stopped, or gone, which stops it for good.
    Stopped,
    /// It waits in the kernel and can't be disturbed there, for a disk or for a child of `vfork`. With a SIGSTOP waiting for
    /// it, it stops before it comes back to its own code.
    InKernel,
    /// It runs or may run.
    Free,
}

/// Whether the process has a clock that can be moved. One that is gone needs none.
pub(crate) fn has_clock(process: &Task) -> bool {
    chaos_clock::has_clock(Path::new(&process.place)).unwrap_or(true)
}

/// Its directory in `/proc`.
pub(crate) fn directory(process: &Task) -> &Path {
    Path::new(&process.place)
}

/// What a thread is doing.
pub(crate) fn motion(thread: &Task) -> Motion {
    let Ok(stat) = fs::read_to_string(format!("{}/stat", thread.place)) else { return Motion::Stopped };
    // The state follows the command, which stands in parentheses and may itself contain any character.
    match stat.rfind(')').and_then(|end| stat[end + 1..].split_whitespace().next()) {
        Some("T" | "t" | "Z" | "X") => Motion::Stopped,
        Some("D") => Motion::InKernel,
        Some(_) | None => Motion::Free,
    }
}

fn is_in(process: &str, belonging: Belonging) -> bool {
    let inode = match belonging {
        Belonging::Namespace(inode) => inode,
        Belonging::Mark(mark) => return mark.is_on(Path::new(process)),
    };
    let has = |place: &str| fs::metadata(format!("{place}/ns/net")).map(|metadata| metadata.ino() == inode);
    // A main thread that has ended before its siblings has left the namespace, and they have not.
    has(process).unwrap_or_else(|_| {
        numbers(&format!("{process}/task"))
            .into_iter()
            .any(|thread| has(&format!("{process}/task/{thread}")).unwrap_or(false))
    })
}

fn task(place: String, depth: usize) -> Option<Task> {
    let number = *numbers_in_status(&place).get(depth.checked_sub(1)?)?;
    Some(Task { place, pid: Pid::from_raw(number) })
}

/// A task's numbers, from the pid namespace of `/proc` inwards to its own.
fn numbers_in_status(place: &str) -> Vec<i32> {
    let status = fs::read_to_string(format!("{place}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    line.split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

fn numbers(directory: &str) -> Vec<i32> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}
