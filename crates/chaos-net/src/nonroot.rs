//! Programs that refuse to be root, started by root.
//!
//! PostgreSQL and others end at once when their uid is 0. To give them another uid would need every file of theirs to change
//! hands, and back. Instead such a program gets a user namespace in which the *one* uid that exists, the caller's, is called
//! by another number: everything that root owns is then the program's own, it sees itself as that user, and it has none of
//! root's powers, since an exec under a uid that is not 0 drops them (`capabilities(7)`).
//!
//! Refuses: to change who owns a file; to do anything for a caller who isn't root. Source: `user_namespaces(7)`.

use std::io;
use std::process::Command;

use nix::unistd::{Gid, Uid, User, getegid, geteuid};

use crate::sys::{self, UserMaps};

/// Whose number a program gets, the first that exists: some of those programs ask for the name of their uid.
const NAMES: [&str; 2] = ["postgres", "nobody"];
/// What the kernel calls ids that have no number in a namespace, and nearly every system `nobody`.
const NOBODY: u32 = 65_534;

/// Has the command's process see itself as a user that isn't root, if the caller is root; otherwise changes nothing.
///
/// To be called after [`crate::start_in_namespace`]: a network namespace can't be joined from the new user namespace. Sockets,
/// pipes and files keep their owner, and the caller may signal the process as before.
///
/// # Errors
/// When the users of the host can't be read. That the kernel refuses the namespace shows when the command is spawned.
pub fn start_as_nonroot(command: &mut Command) -> io::Result<()> {
    let (uid, gid) = (geteuid(), getegid());
    if !uid.is_root() {
        return Ok(());
    }
    let (other_uid, other_gid) = other_user()?;
    let map = |inside: u32, outside: u32| format!("{inside} {outside} 1");
    let maps = UserMaps { uid: map(other_uid.as_raw(), uid.as_raw()), gid: map(other_gid.as_raw(), gid.as_raw()) };
    sys::in_user_namespace(command, maps);
    Ok(())
}

fn other_user() -> io::Result<(Uid, Gid)> {
    for name in NAMES {
        if let Some(user) = User::from_name(name)?.filter(|user| !user.uid.is_root()) {
            return Ok((user.uid, user.gid));
        }
    }
    Ok((Uid::from_raw(NOBODY), Gid::from_raw(NOBODY)))
}
