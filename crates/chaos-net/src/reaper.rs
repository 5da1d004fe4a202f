//! Reaping orphans without stealing an exit status that somebody waits for.
//!
//! The idea: `waitid(P_ALL, WNOWAIT)` *looks* at the next dead child without taking it; only a child that the caller
//! does not know is taken, by its pid. The kernel always shows the same first zombie, so one known child that its owner
//! has not collected yet would hide the orphans behind it; then the children are enumerated from `/proc` instead.
//!
//! What it can't do: tell a child that another thread has just spawned, and not yet made known, from an orphan. Whoever
//! calls it from a process that spawns children of its own must hold one lock around "spawn and make known" and around
//! [`reap_orphans`]. In this crate the question does not arise: orphans go to the init process, which spawns nobody
//! (`isolation`), so the controller's children are waited for by the controller alone.
//!
//! Source: `waitid(2)`, `pid_namespaces(7)`.

use std::io;

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, getpid};

/// Takes the exit status of every dead child for which `known` is false, and returns how many there were.
///
/// Never blocks and never touches a known child. Orphans can stay hidden only when a known child is dead and
/// uncollected *and* `/proc` shows another pid namespace; they are found by a later call, once the owner has waited.
///
/// # Errors
/// When `waitid` fails for another reason than that there are no children.
pub fn reap_orphans(known: impl Fn(Pid) -> bool) -> io::Result<usize> {
    let mut reaped = 0;
    loop {
        let Some(dead) = next_dead(Id::All, WaitPidFlag::WNOWAIT)? else { return Ok(reaped) };
        if known(dead) {
            break;
        }
        reaped += take(dead)?;
    }
    for child in children()?.into_iter().filter(|child| !known(*child)) {
        reaped += take(child)?;
    }
    Ok(reaped)
}

fn take(pid: Pid) -> io::Result<usize> {
    Ok(usize::from(next_dead(Id::Pid(pid), WaitPidFlag::empty())?.is_some()))
}

fn next_dead(which: Id<'_>, extra: WaitPidFlag) -> io::Result<Option<Pid>> {
    match waitid(which, WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | extra) {
        Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD | Errno::EINTR) => Ok(None),
        Ok(status) => Ok(status.pid()),
        Err(error) => Err(error.into()),
    }
}

/// The process's children, of all its threads; empty when `/proc` belongs to another pid namespace.
pub(crate) fn children() -> io::Result<Vec<Pid>> {
    let own = getpid().to_string();
    if std::fs::read_link("/proc/self")?.as_os_str() != own.as_str() {
        return Ok(Vec::new());
    }
    let mut children = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        // A process may end between the listing and the reading; it is not a child any more then.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        if parent_in_stat(&stat) == Some(own.as_str()) {
            children.push(Pid::from_raw(pid));
        }
    }
    Ok(children)
}

/// The parent's pid in a line of `/proc/PID/stat`; the command before it is in parentheses and may hold any character.
fn parent_in_stat(stat: &str) -> Option<&str> {
    let (_, after_command) = stat.rsplit_once(')')?;
    after_command.split_ascii_whitespace().nth(1)
}

#[cfg(test)]
mod tests {
    use super::parent_in_stat;

    #[test]
    fn parent_is_found_behind_any_command_name() {
        let cases = [
            ("12 (sh) S 7 12 12 0 -1", Some("7")),
            ("12 (a b) c) Z 1 12 12 0 -1", Some("1")),
            ("12 (x", None),
            ("12 (x) S", None),
        ];
        for (stat, parent) in cases {
            assert_eq!(parent_in_stat(stat), parent, "{stat}");
        }
    }
}
