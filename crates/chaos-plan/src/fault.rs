//! The faults that a plan can name.
//!
//! A new kind of fault is a variant here, a row in the vocabulary (`words`, with the shape of its value in `schema`), one in
//! the reader (`read/faults.rs`) and one in the writer (`resolved`). That it lasts for a time, may be hoped about, and belongs
//! to a distribution of its own follows from its [`FaultKind`], whose name is the verb.

use std::fmt;
use std::time::Duration;

use chaos_history::FaultKind;

use crate::control::LinkSelector;
use crate::model::{DurationRange, Target};
use crate::parts::{ClockFault, Damage, DiskFault, FileSystem, Keep};
use crate::scalar::write_bytes;
use crate::wire::{CutMode, LinkConditions};

/// One process of a node, by the name that the system's definition gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessTarget {
    /// Its name.
    pub name: String,
    /// Whether its descendants are hit too.
    pub with_children: bool,
}

/// A fault and whom it hits.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Ends processes.
    Kill {
        /// Whose.
        target: Target,
        /// Which; `None`: all of the node.
        process: Option<ProcessTarget>,
        /// How.
        signal: KillSignal,
    },
    /// Stops every thread of processes.
    Pause {
        /// Whose.
        target: Target,
        /// Which; `None`: all of the node.
        process: Option<ProcessTarget>,
    },
    /// Drops packets between nodes.
    Partition(Partition, CutMode),
    /// Delays, loses, damages or slows down packets between nodes.
    Link {
        /// Of which links.
        links: Vec<LinkSelector>,
        /// What becomes of them.
        conditions: LinkConditions,
    },
    /// Stops every thread of nodes and cuts their whole legs, so that nobody reaches them, clients and observers included.
    FreezeHost {
        /// Whose.
        target: Target,
    },
    /// Kills nodes and starts them again, over and over; at its end they run.
    CrashLoop {
        /// Whom.
        target: Target,
        /// For how long each stays up, drawn anew each time.
        up: DurationRange,
        /// For how long each stays down.
        down: DurationRange,
    },
    /// Kills nodes and takes what was not synced from their disks; at its end they run.
    PowerLoss {
        /// Whom.
        target: Target,
        /// What else stays on their disks.
        keep: Keep,
        /// What a sync promises there; the same for all power losses of a plan.
        file_system: FileSystem,
    },
    /// Damages files of nodes, whether they run or not. Over at once.
    CorruptFile {
        /// Whose.
        target: Target,
        /// Which, by a glob on paths relative to a node's data directory.
        file: String,
        /// In which way.
        damage: Damage,
    },
    /// Asks the leader to hand its leadership over. Over at once.
    Transfer {
        /// To one node; `None`: to whom the system chooses.
        to: Option<Target>,
    },
    /// Takes nodes out of the cluster's configuration and ends their processes; at its end they join again, with empty disks.
    RemoveMember {
        /// Whom.
        target: Target,
    },
    /// Lets nodes run on, worse than before.
    Hinder {
        /// Whom.
        target: Target,
        /// In which way.
        how: Hindrance,
    },
}

/// What is done to nodes that run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// Every thread is stopped but for `run` of each `every`.
    Slow {
        /// For how long they run, below `every`.
        run: Duration,
        /// The period.
        every: Duration,
    },
    /// All threads are held on one processor, beside others that leave them about this share of it.
    Starve {
        /// The share, in parts per million.
        share_millionths: u32,
    },
    /// The kernel refuses what goes beyond a limit.
    Limit(Limit),
    /// Their wall clocks are wrong.
    Clock(ClockFault),
    /// Their disks are slow or fail.
    Disk(DiskFault),
}

/// What a node's processes may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many descriptors each, those that are open included.
    OpenFiles(u64),
    /// So much more address space than each has when the fault begins.
    Memory {
        /// How much.
        more_bytes: u64,
    },
}

impl fmt::Display for Limit {
    /// `32 open files` or `64MB more memory`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenFiles(count) => write!(f, "{count} open files"),
            Self::Memory { more_bytes } => write!(f, "{} more memory", write_bytes(*more_bytes)),
        }
    }
}

impl Fault {
    /// A partition that loses packets, and that heals naturally.
    #[must_use]
    pub fn partition(shape: Partition) -> Self {
        Self::Partition(shape, CutMode::default())
    }

    /// The kind of it, as histories and reports call it.
    #[must_use]
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Kill { .. } => FaultKind::Kill,
            Self::Pause { .. } => FaultKind::Pause,
            Self::Partition(..) => FaultKind::Partition,
            Self::Link { .. } => FaultKind::Link,
            Self::FreezeHost { .. } => FaultKind::FreezeHost,
            Self::CrashLoop { .. } => FaultKind::CrashLoop,
            Self::PowerLoss { .. } => FaultKind::PowerLoss,
            Self::CorruptFile { .. } => FaultKind::CorruptFile,
            Self::Transfer { .. } => FaultKind::Transfer,
            Self::RemoveMember { .. } => FaultKind::RemoveMember,
            Self::Hinder { how: Hindrance::Slow { .. }, .. } => FaultKind::Slow,
            Self::Hinder { how: Hindrance::Starve { .. }, .. } => FaultKind::Starve,
            Self::Hinder { how: Hindrance::Limit(_), .. } => FaultKind::Limit,
            Self::Hinder { how: Hindrance::Clock(_), .. } => FaultKind::Clock,
            Self::Hinder { how: Hindrance::Disk(_), .. } => FaultKind::Disk,
        }
    }

    /// How it treats the packets of the links that it cuts.
    #[must_use]
    pub fn cut_mode(&self) -> CutMode {
        if let Self::Partition(_, mode) = self { *mode } else { CutMode::default() }
    }

    /// The one process that it hits; `None`: whole nodes.
    #[must_use]
    pub fn process(&self) -> Option<&ProcessTarget> {
        match self {
            Self::Kill { process, .. } | Self::Pause { process, .. } => process.as_ref(),
            Self::Partition(..)
            | Self::Link { .. }
            | Self::FreezeHost { .. }
            | Self::CrashLoop { .. }
            | Self::PowerLoss { .. }
            | Self::CorruptFile { .. }
            | Self::Transfer { .. }
            | Self::RemoveMember { .. }
            | Self::Hinder { .. } => None,
        }
    }
}

/// The verb that takes back faults of a kind which say no end of their own, and what is wrong where there is none. `None`: each
/// such fault must say when it ends, unless it [ends at once](ends_at_once).
pub(crate) fn undone_by(kind: FaultKind) -> Option<(&'static str, &'static str)> {
    match kind {
        FaultKind::Kill => Some(("restart", "nobody is down here")),
        FaultKind::Pause => Some(("resume", "nobody is paused here")),
        FaultKind::Partition => Some(("heal", "nothing is cut here")),
        FaultKind::FreezeHost
        | FaultKind::Link
        | FaultKind::CrashLoop
        | FaultKind::Slow
        | FaultKind::Starve
        | FaultKind::Limit
        | FaultKind::Clock
        | FaultKind::Disk
        | FaultKind::PowerLoss
        | FaultKind::CorruptFile
        | FaultKind::Transfer
        | FaultKind::RemoveMember => None,
    }
}

/// Whether faults of a kind are over as soon as they have begun, so that they say no end.
pub(crate) fn ends_at_once(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::CorruptFile | FaultKind::Transfer)
}

/// The signal of a kill: one whose default action ends a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KillSignal(&'static str);

impl KillSignal {
    /// No last words.
    pub const KILL: Self = Self("KILL");
    /// An orderly end.
    pub const TERM: Self = Self("TERM");

    /// All of them, by signal(7): those of which it says "Term" or "Core", and which every architecture has.
    pub const ALL: [Self; 22] = [
        Self::KILL,
        Self::TERM,
        Self("ABRT"),
        Self("ALRM"),
        Self("BUS"),
        Self("FPE"),
        Self("HUP"),
        Self("ILL"),
        Self("INT"),
        Self("IO"),
        Self("PIPE"),
        Self("PROF"),
        Self("PWR"),
        Self("QUIT"),
        Self("SEGV"),
        Self("SYS"),
        Self("TRAP"),
        Self("USR1"),
        Self("USR2"),
        Self("VTALRM"),
        Self("XCPU"),
        Self("XFSZ"),
    ];

    /// The signal of this name, with or without `SIG`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let name = name.strip_prefix("SIG").unwrap_or(name);
        Self::ALL.into_iter().find(|signal| signal.0 == name)
    }

    /// Its name without `SIG`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}

/// The shapes of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Partition {
    /// The targets on one side, everybody else on the other (targets still see each other).
    Isolate(Target),
    /// Two halves drawn at random; with an odd count the larger half is drawn too.
    Halves,
    /// These groups see only themselves; nodes not named form one more group.
    Groups(Vec<Target>),
    /// Packets from `from` to `to` are dropped; the way back stays open.
    OneWay {
        /// Whose packets.
        from: Target,
        /// To whom; `None`: everybody else.
        to: Option<Target>,
    },
    /// Every node sees a majority, no two nodes see the same one (needs at least 4 nodes).
    MajoritiesRing,
    /// Two halves that share one node, which sees everybody.
    Bridge(Target),
    /// Just these links.
    Cut(Vec<LinkSelector>),
}
