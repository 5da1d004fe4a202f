//! The kinds of fault, and what each does to the nodes that it is aimed at.
//!
//! A new kind is a variant and a row here. Whoever judges a history asks for the [`Impact`] and not for the kind, so that it
//! knows what to make of kinds that did not exist when it was written. The links that a fault cuts stand in the fault itself,
//! whatever its kind ([`FaultEvent::links`](crate::FaultEvent::links)).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of fault. Each kind is a failover distribution of its own: a report never mixes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Processes are ended by a signal (ends when they are started again, or never).
    Kill,
    /// Every thread of the processes is stopped; their kernel still acknowledges.
    Pause,
    /// Packets of the listed directed links are dropped.
    Partition,
    /// Every thread of the node is stopped and its whole leg is cut: nobody reaches it, not even its kernel.
    FreezeHost,
    /// Packets of the links are delayed, lost, damaged or slowed down, not all of them dropped.
    Link,
    /// The node's processes are killed and started again, over and over.
    CrashLoop,
    /// Every thread of the node is stopped for most of the time.
    Slow,
    /// The node gets a small share of one processor.
    Starve,
    /// The kernel refuses the node descriptors or memory.
    Limit,
    /// The node's wall clock is wrong.
    Clock,
    /// The node's disk is slow or fails.
    Disk,
    /// The node's processes are killed, and what its disk had not been told to keep is gone (ends when it is started again).
    PowerLoss,
    /// Files of the node are damaged behind its back, once and for all: the fault is over as soon as it has begun.
    CorruptFile,
    /// The leader is asked to hand its leadership over (over as soon as it has begun).
    Transfer,
    /// The nodes are taken out of the cluster's configuration by the system's own command, and their processes are ended (ends when they
    /// have joined it again, with empty disks).
    RemoveMember,
}

/// What a fault does to its nodes while it lasts, as far as it decides what can be demanded of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Impact {
    /// They have no process, until they are started again.
    Ends,
    /// No thread of theirs runs.
    Stops,
    /// They run, or may run, but not as they should. What they claim counts; nothing is demanded of them.
    Hinders,
    /// Nothing happens to themselves; what is cut is said by the fault's links.
    Spares,
}

impl FaultKind {
    /// Every kind, in the order in which reports tell them.
    pub const ALL: [Self; 15] = [
        Self::Kill,
        Self::Pause,
        Self::Partition,
        Self::FreezeHost,
        Self::Link,
        Self::CrashLoop,
        Self::Slow,
        Self::Starve,
        Self::Limit,
        Self::Clock,
        Self::Disk,
        Self::PowerLoss,
        Self::CorruptFile,
        Self::Transfer,
        Self::RemoveMember,
    ];

    /// The kind as written in plans, histories and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// The kind that is written like this.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What it does to its nodes.
    #[must_use]
    pub const fn impact(self) -> Impact {
        self.row().1
    }

    const fn row(self) -> (&'static str, Impact) {
        match self {
            Self::Kill => ("kill", Impact::Ends),
            Self::Pause => ("pause", Impact::Stops),
            Self::Partition => ("partition", Impact::Spares),
            Self::FreezeHost => ("freeze-host", Impact::Stops),
            // Whoever hears the others late or in part can't be expected to do anything in time.
            Self::Link => ("link", Impact::Hinders),
            // When it has a process, that process's life tells.
            Self::CrashLoop => ("crash-loop", Impact::Hinders),
            Self::Slow => ("slow", Impact::Hinders),
            Self::Starve => ("starve", Impact::Hinders),
            Self::Limit => ("limit", Impact::Hinders),
            Self::Clock => ("clock", Impact::Hinders),
            Self::Disk => ("disk", Impact::Hinders),
            Self::PowerLoss => ("power-loss", Impact::Ends),
            // It lasts no time. What the node makes of its files is its own doing.
            Self::CorruptFile => ("corrupt-file", Impact::Spares),
            // Nothing is broken. Who leads is to change all the same: [`FaultKind::takes_leadership`].
            Self::Transfer => ("transfer", Impact::Spares),
            Self::RemoveMember => ("remove-member", Impact::Ends),
        }
    }

    /// Whether processes end by it, so that a leader among them has lost its leadership for good.
    #[must_use]
    pub const fn ends_processes(self) -> bool {
        matches!(self, Self::Kill | Self::CrashLoop | Self::PowerLoss | Self::RemoveMember)
    }

    /// Whether it takes the leadership, and nothing else, from a leader that it is aimed at.
    #[must_use]
    pub const fn takes_leadership(self) -> bool {
        matches!(self, Self::Transfer)
    }

    /// Whether the system does it itself, when it is told: who takes over then need not wait for any timeout, so that a floor made of
    /// timeouts says nothing of it.
    #[must_use]
    pub const fn is_told(self) -> bool {
        matches!(self, Self::Transfer | Self::RemoveMember)
    }

    /// Whether its nodes come back with empty disks, as members that never were: nothing that they were or said before binds them.
    #[must_use]
    pub const fn renews_nodes(self) -> bool {
        matches!(self, Self::RemoveMember)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_kind_is_written_by_its_name_and_listed_once() {
        for kind in FaultKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        assert_eq!(BTreeSet::from(FaultKind::ALL).len(), FaultKind::ALL.len());
    }
}
