//! Limited nodes: the kernel refuses them more descriptors, or more memory, than they are allowed.
//!
//! `prlimit` changes the soft limits of processes that run; the hard ones stay, since an ordinary user can't raise them again. What
//! a process holds already it keeps: only what it asks for from now on is refused. Memory is address space (RLIMIT_AS), of which
//! each process may have so much more than it has now. Children inherit limits, so all of the node's processes are looked at again
//! when a limit is lifted.

use std::collections::BTreeMap;
use std::io;

use chaos_plan::Limit;
use nix::errno::Errno;
use nix::sys::resource::Resource;
use nix::unistd::Pid;

use crate::inspect::{self, Belonging, Task};
use crate::sys::{self, ResourceLimit};

/// How many listings in a row must show that every process is limited: one may have forked before it was.
const ROUNDS: u32 = 2;

/// A node that is being limited. Dropping this lifts the limits.
#[derive(Debug)]
pub(crate) struct Limited {
    belonging: Belonging,
    resource: Resource,
    /// Per process: the soft limit that it had, and the one that it got.
    changed: BTreeMap<Pid, (u64, u64)>,
}

impl Limited {
    /// Limits every process of a node, and reads back that the kernel has it so.
    pub(super) fn begin(belonging: Belonging, limit: Limit) -> io::Result<Self> {
        let resource = match limit {
            Limit::OpenFiles(_) => Resource::RLIMIT_NOFILE,
            Limit::Memory { .. } => Resource::RLIMIT_AS,
        };
        let mut limited = Self { belonging, resource, changed: BTreeMap::new() };
        let mut rounds = 0;
        while rounds < ROUNDS {
            rounds += 1;
            for process in inspect::processes_in(belonging) {
                // One that has ended meanwhile needs none.
                let Ok(now) = sys::resource_limit(process.pid, resource, None) else { continue };
                let Some(wanted) = wanted(limit, &process) else { continue };
                if limited.changed.values().any(|(_, given)| *given == now.soft) || now.soft <= wanted {
                    continue;
                }
                rounds = 0;
                limited.changed.insert(process.pid, (now.soft, wanted));
                limited.set(process.pid, ResourceLimit { soft: wanted, ..now })?;
            }
        }
        Ok(limited)
    }

    /// Takes it back, and reads back that the kernel has it so.
    pub(super) fn lift(mut self) -> io::Result<()> {
        self.give_back()
    }

    fn give_back(&mut self) -> io::Result<()> {
        let Some(&(usual, _)) = self.changed.values().next() else { return Ok(()) };
        let mut rounds = 0;
        while rounds < ROUNDS {
            rounds += 1;
            for process in inspect::processes_in(self.belonging) {
                let Ok(now) = sys::resource_limit(process.pid, self.resource, None) else { continue };
                let inherited = self.changed.values().any(|(_, given)| *given == now.soft);
                let before = self.changed.get(&process.pid).map_or(usual, |(before, _)| *before);
                if inherited && before != now.soft {
                    rounds = 0;
                    self.set(process.pid, ResourceLimit { soft: before.min(now.hard), ..now })?;
                }
            }
        }
        self.changed.clear();
        Ok(())
    }

    fn set(&self, process: Pid, limit: ResourceLimit) -> io::Result<()> {
        match sys::resource_limit(process, self.resource, Some(limit)) {
            Ok(_) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        // After `lift`, there is nothing left to do. Otherwise the world ends, and the nodes with it.
        let _ = self.give_back();
    }
}

/// The soft limit that a process gets; `None` if it is gone.
fn wanted(limit: Limit, process: &Task) -> Option<u64> {
    match limit {
        Limit::OpenFiles(count) => Some(count),
        Limit::Memory { more_bytes } => Some(inspect::address_space_bytes(process)?.saturating_add(more_bytes)),
    }
}
