//! What is known of a specimen, as data: everything that a list, an explanation, a command line or a test asks for.

use std::fmt;

use thiserror::Error;

use super::start::{Node, Start};

/// One broken node.
#[derive(Debug, Clone, Copy)]
pub struct Specimen {
    /// On the command line, and the name of its script (`tests/scenarios/museum/NAME.txt`) and its plan (`workloads/museum/NAME.yaml`).
    pub name: &'static str,
    /// The broken rule in one sentence.
    pub about: &'static str,
    /// What it replaces: a method of [`Rules`](crate::raft::Rules), or what stands between a sound node and its disk, clock or clients.
    pub replaces: &'static str,
    /// Real systems that had it, each with its issue.
    pub instances: &'static [&'static str],
    /// The options of the protocol under which it shows.
    pub configuration: &'static str,
    /// The faults against real processes that make it visible.
    pub plan: &'static str,
    /// The property that then fails, from observations and operations alone.
    pub property: &'static str,
    /// Whether real processes can show it.
    pub shown: Shown,
    /// The clock that its shell reads for it.
    pub clock: ClockKind,
    /// Starts a node.
    pub start: fn(Start) -> Node,
}

/// What convicts a specimen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// A plan with real processes, and the script.
    ByProcesses,
    /// Untimed walks of the core (`chaos walk`), and the script; no processes, for this reason.
    ByWalks(&'static str),
    /// The script alone, for this reason.
    ByScript(&'static str),
}

/// Where a node's time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockKind {
    /// A clock that never goes back, as the protocol demands.
    Monotonic,
    /// The time of day, which people and programs set.
    Wall,
}

impl Specimen {
    /// The specimen of this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn named(name: &str) -> Result<&'static Self, UnknownSpecimen> {
        super::ALL
            .iter()
            .copied()
            .find(|specimen| specimen.name == name)
            .ok_or_else(|| UnknownSpecimen(name.to_owned()))
    }

    /// The workload with its directed plan, below the root of the repository; `None` if real processes can't show it.
    #[must_use]
    pub fn workload(&self) -> Option<String> {
        match self.shown {
            Shown::ByProcesses => Some(format!("workloads/museum/{}.yaml", self.name)),
            Shown::ByWalks(_) | Shown::ByScript(_) => None,
        }
    }
}

impl fmt::Display for Specimen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

impl PartialEq for Specimen {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Specimen {}

/// A name that no specimen has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("find the specimen `{0}`: `chaos museum` lists all")]
pub struct UnknownSpecimen(pub String);
