//! Single faults, drawn: one class of fault, aimed at somebody, for some time.
//!
//! Targets are roles more often than nodes: a plan that names `leader` means the same under every seed and in every world.
//! Times are drawn
//! by their order of magnitude, since a window of milliseconds is as likely to matter as one of seconds.

use std::time::Duration;

use chaos_history::{FaultKind, NodeId};
use chaos_plan::{
    CallFault, ClockFault, CutMode, DiskFault, DropMode, DurationRange, Fault, FileSystem, HealMode, Hindrance, Keep,
    KillSignal, LinkSelector, Partition, Step, System, Target, Ways,
};

use super::environment;
use crate::draw::Draws;
use crate::tree::fault_for;

/// What swarms are made of: kinds of fault, partitions by their shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Kill,
    Pause,
    Isolate,
    Halves,
    OneWay,
    Ring,
    Bridge,
    CutLink,
    FreezeHost,
    SlowLink,
    CrashLoop,
    PowerLoss,
    SlowDisk,
    Clock,
    Slow,
    Transfer,
}

impl Class {
    pub(crate) const ALL: [Self; 16] = [
        Self::Kill,
        Self::Pause,
        Self::Isolate,
        Self::Halves,
        Self::OneWay,
        Self::Ring,
        Self::Bridge,
        Self::CutLink,
        Self::FreezeHost,
        Self::SlowLink,
        Self::CrashLoop,
        Self::PowerLoss,
        Self::SlowDisk,
        Self::Clock,
        Self::Slow,
        Self::Transfer,
    ];

    /// The kind of fault that a world must be able to make.
    pub(crate) fn kind(self) -> FaultKind {
        match self {
            Self::Kill => FaultKind::Kill,
            Self::Pause => FaultKind::Pause,
            Self::Isolate | Self::Halves | Self::OneWay | Self::Ring | Self::Bridge | Self::CutLink => {
                FaultKind::Partition
            }
            Self::FreezeHost => FaultKind::FreezeHost,
            Self::SlowLink => FaultKind::Link,
            Self::CrashLoop => FaultKind::CrashLoop,
            Self::PowerLoss => FaultKind::PowerLoss,
            Self::SlowDisk => FaultKind::Disk,
            Self::Clock => FaultKind::Clock,
            Self::Slow => FaultKind::Slow,
            Self::Transfer => FaultKind::Transfer,
        }
    }

    /// Whether a cluster of this size, of this system, can have it.
    pub(crate) fn fits(self, nodes: usize, system: &System) -> bool {
        match self {
            Self::Ring => nodes >= 4,
            Self::Bridge | Self::CutLink => nodes >= 3,
            Self::Isolate | Self::Halves | Self::OneWay | Self::SlowLink => nodes >= 2,
            Self::Transfer => nodes >= 2 && system.changes().offers(FaultKind::Transfer),
            Self::Kill | Self::Pause | Self::FreezeHost | Self::CrashLoop | Self::PowerLoss => true,
            Self::SlowDisk | Self::Clock | Self::Slow => true,
        }
    }
}

/// A fault of this class with a drawn target and a drawn length.
pub(crate) fn timed(class: Class, nodes: usize, draws: &mut Draws) -> Step {
    let fault = of_class(class, nodes, draws);
    let time = match class {
        // Nobody comes to know of a cut that is shorter than a heartbeat.
        Class::Isolate | Class::Halves | Class::OneWay | Class::Ring | Class::Bridge | Class::CutLink => {
            draws.millis_by_magnitude(40, 2_500)
        }
        Class::CrashLoop | Class::Slow | Class::SlowDisk | Class::Clock => draws.millis_by_magnitude(200, 2_500),
        Class::Kill | Class::Pause | Class::FreezeHost | Class::SlowLink | Class::PowerLoss | Class::Transfer => {
            draws.millis_by_magnitude(3, 2_500)
        }
    };
    fault_for(fault, time)
}

/// A fault of this class with a drawn target.
pub(crate) fn of_class(class: Class, nodes: usize, draws: &mut Draws) -> Fault {
    match class {
        Class::Kill => {
            let signal = if draws.percent(85) { KillSignal::KILL } else { KillSignal::TERM };
            Fault::Kill { target: some(nodes, draws), process: None, signal }
        }
        Class::Pause => Fault::Pause { target: some(nodes, draws), process: None },
        Class::Isolate => Fault::Partition(Partition::Isolate(one_side(nodes, draws)), cut_mode(draws)),
        Class::Halves => Fault::Partition(Partition::Halves, cut_mode(draws)),
        Class::OneWay => {
            let from = one(nodes, draws);
            let shape = if draws.percent(50) {
                Partition::OneWay { from, to: None }
            } else {
                Partition::OneWay { from: Target::AllBut(Box::new(from.clone())), to: Some(from) }
            };
            Fault::Partition(shape, cut_mode(draws))
        }
        Class::Ring => Fault::Partition(Partition::MajoritiesRing, cut_mode(draws)),
        Class::Bridge => Fault::Partition(Partition::Bridge(one(nodes, draws)), cut_mode(draws)),
        Class::CutLink => Fault::Partition(Partition::Cut(vec![link(nodes, draws)]), cut_mode(draws)),
        Class::FreezeHost => Fault::FreezeHost { target: some(nodes, draws) },
        Class::SlowLink => Fault::Link { links: vec![link(nodes, draws)], conditions: environment::conditions(draws) },
        Class::CrashLoop => {
            let range = |time: Duration| DurationRange { min: time, max: time };
            let (up, down) = (draws.millis_by_magnitude(20, 500), draws.millis_by_magnitude(5, 300));
            Fault::CrashLoop { target: one(nodes, draws), up: range(up), down: range(down) }
        }
        Class::PowerLoss => {
            let keep = if draws.percent(50) { Keep::Synced } else { Keep::Random };
            Fault::PowerLoss { target: some(nodes, draws), keep, file_system: FileSystem::default() }
        }
        Class::SlowDisk => {
            let slow = CallFault { delay: draws.millis_by_magnitude(2, 300), failure: None };
            let how = Hindrance::Disk(DiskFault { sync: slow, write: CallFault::default() });
            Fault::Hinder { target: some(nodes, draws), how }
        }
        Class::Clock => {
            let by_ns = i64::try_from(draws.millis_by_magnitude(50, 60_000).as_nanos()).unwrap_or(i64::MAX);
            let how = Hindrance::Clock(ClockFault::Jump { by_ns: if draws.percent(50) { by_ns } else { -by_ns } });
            Fault::Hinder { target: some(nodes, draws), how }
        }
        Class::Slow => {
            let run = Duration::from_millis(draws.between(1, 5));
            let how = Hindrance::Slow { run, every: run + draws.millis_by_magnitude(5, 100) };
            Fault::Hinder { target: some(nodes, draws), how }
        }
        Class::Transfer => Fault::Transfer { to: draws.percent(40).then_some(Target::Follower) },
    }
}

fn cut_mode(draws: &mut Draws) -> CutMode {
    let drop = draws.weighted(&[(6, DropMode::Lose), (3, DropMode::Hold), (1, DropMode::Reject)]);
    let heal = draws.weighted(&[(8, HealMode::Natural), (1, HealMode::Kick), (1, HealMode::Reset)]);
    // Only what was lost can be sent again.
    let heal = if drop == DropMode::Lose || heal == HealMode::Reset { heal } else { HealMode::Natural };
    CutMode { drop, heal }
}

/// One node, a role more often than a name.
fn one(nodes: usize, draws: &mut Draws) -> Target {
    let roles = [(6, Target::Leader), (2, Target::Follower), (1, Target::Random)];
    let named = NodeId::from_index(draws.index(nodes));
    if nodes >= 2 && draws.percent(75) { draws.weighted(&roles) } else { Target::Nodes(vec![named]) }
}

/// Somebody, perhaps everybody.
fn some(nodes: usize, draws: &mut Draws) -> Target {
    let minorities = u32::from(nodes >= 3);
    let others = u32::from(nodes >= 2);
    let named = NodeId::from_index(draws.index(nodes));
    draws.weighted(&[
        (8, Target::Leader),
        (3 * others, Target::Follower),
        (2 * others, Target::OldLeader),
        (2, Target::Nodes(vec![named])),
        (minorities, Target::Minority),
        (minorities, Target::MinorityWithLeader),
        (others, Target::Followers),
        (1, Target::Majority),
        (1, Target::All),
    ])
}

/// Somebody who leaves somebody else on the other side.
fn one_side(nodes: usize, draws: &mut Draws) -> Target {
    let target = some(nodes, draws);
    if target == Target::All { Target::Leader } else { target }
}

fn link(nodes: usize, draws: &mut Draws) -> LinkSelector {
    let from = one(nodes, draws);
    let pairs = [Target::Followers, Target::Follower, Target::OldLeader];
    let to = match from {
        Target::Leader => draws.one_of(&pairs),
        Target::Follower | Target::Random | Target::Nodes(_) => Target::Leader,
        Target::OldLeader
        | Target::Voter
        | Target::Followers
        | Target::Majority
        | Target::Minority
        | Target::MinorityWithLeader
        | Target::All
        | Target::Service
        | Target::AllBut(_)
        | Target::Named(_) => Target::Leader,
    };
    LinkSelector { from, to, ways: if draws.percent(60) { Ways::Both } else { Ways::One } }
}

/// Aims the fault at somebody else, where it aims at anybody by one word.
pub(crate) fn retarget(fault: &mut Fault, nodes: usize, draws: &mut Draws) {
    match fault {
        Fault::Kill { target, .. }
        | Fault::Pause { target, .. }
        | Fault::FreezeHost { target }
        | Fault::PowerLoss { target, .. }
        | Fault::Hinder { target, .. } => *target = some(nodes, draws),
        Fault::CrashLoop { target, .. } | Fault::Partition(Partition::Bridge(target), _) => *target = one(nodes, draws),
        Fault::Partition(Partition::Isolate(target), _) => *target = one_side(nodes, draws),
        Fault::Partition(Partition::Cut(links), _) | Fault::Link { links, .. } if nodes >= 3 => {
            *links = vec![link(nodes, draws)];
        }
        Fault::Partition(..)
        | Fault::Link { .. }
        | Fault::CorruptFile { .. }
        | Fault::Transfer { .. }
        | Fault::RemoveMember { .. } => {}
    }
}
