//! What the nodes of a run must be given, so that the faults of its plan can be injected, and whether this host can give it.
//!
//! Clocks that can be moved and disks that can be spoilt cost something also while nothing is wrong with them, so a run has only
//! what its plan asks for. Whether the host can is tried for real before anything starts. Refuses to put another fault in the
//! place of one that it can't inject.

use std::path::Path;

use anyhow::anyhow;
use chaos_clock::Scope;
use chaos_cluster::{Clocks, Disks};
use chaos_disk::{DiskError, Durability, Reach};
use chaos_net::isolation;
use chaos_plan::{
    CallFault, ClockFault, ClockWay, DiskFault, Fault, FileSystem, Hindrance, Network, Step, Workload, all_steps,
};
use chaos_systems::Launch;

use crate::failure::Failure;
use crate::home::Home;

/// What nodes are given. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Means {
    /// Clocks that can be moved.
    pub(crate) clocks: Option<Clocks>,
    /// What can be done to their disks.
    pub(crate) disks: Disks,
}

impl Means {
    /// What this workload's plan needs. To be called in the run's namespaces.
    ///
    /// # Errors
    /// If this host lacks it: the first step of the plan that needs it, the reason and the remedy.
    pub(crate) fn of(workload: &Workload, home: &Home) -> Result<Self, Failure> {
        let mut means = Self::default();
        let steps = all_steps(&workload.faults.steps);
        let faults: Vec<(&Step, &Fault)> = steps.into_iter().filter_map(|step| Some((step, step.fault()?))).collect();
        if let Some((step, _)) = faults.iter().find(|(_, fault)| clock_of(fault).is_some()) {
            let monotonic = faults.iter().find(|(_, fault)| clock_of(fault).is_some_and(is_monotonic));
            means.clocks = Some(clocks(workload, step, monotonic.map(|(step, _)| *step))?);
        }
        let disk = faults.iter().filter_map(|(step, fault)| Some((*step, fault.kind().name(), disk_of(fault)?)));
        // Of several that need the same, the first.
        if let Some((step, verb, need)) = disk.reduce(|most, next| if next.2 > most.2 { next } else { most }) {
            let posix =
                |(_, fault): &(&Step, &Fault)| matches!(fault, Fault::PowerLoss { file_system: FileSystem::Posix, .. });
            let durability = if faults.iter().any(posix) { Durability::Strict } else { Durability::Journalled };
            let with_clocks = matches!(means.clocks, Some(Clocks::Swapped(_)));
            if !home.has_mounts() {
                let reach = need.by_calls(with_clocks);
                let reach = reach.ok_or_else(|| refused(step, verb, NO_MOUNT, "leave `network: proxy` out"))?;
                means.disks = calls(reach)
                    .map_err(|error| refused(step, verb, &error.reason(), error.remedy().unwrap_or(CALLS_REMEDY)))?;
                return Ok(means);
            }
            means.disks = disks(need, durability, with_clocks).map_err(|error| {
                let remedy = error.remedy().unwrap_or("see the reason; is the temporary directory writable?");
                refused(step, verb, &error.reason(), remedy)
            })?;
        }
        Ok(means)
    }
}

/// The clocks that `step` needs, the first that moves any, and `monotonic`, the first that takes monotonic clocks along.
fn clocks(workload: &Workload, step: &Step, monotonic: Option<&Step>) -> Result<Clocks, Failure> {
    let lacking = |refusal: chaos_clock::Refusal| refused(step, "clock", &refusal.reason, &refusal.remedy);
    match &workload.clocks {
        ClockWay::Vdso => {
            chaos_clock::trial().map_err(lacking)?;
            Ok(Clocks::Swapped(if monotonic.is_some() { Scope::WallAndMonotonicRate } else { Scope::Wall }))
        }
        ClockWay::Libfaketime { library } => {
            if let Some(step) = monotonic {
                // Also back, at the fault's end, which no monotonic clock does.
                let reason = "libfaketime moves monotonic clocks with every jump of the wall clock";
                return Err(refused(step, "clock", reason, "leave out `monotonic: true`, or `clocks: libfaketime`"));
            }
            // What killed programs leave there is to end with the run.
            let shared = Path::new("/dev/shm");
            isolation::mount_tmpfs(shared, None).map_err(Failure::refused)?;
            let library = chaos_clock::trial_of_library(library.as_deref()).map_err(lacking)?;
            Ok(Clocks::Preloaded { library })
        }
    }
}

/// Whether the clocks of the programs that the nodes are started with can be moved in the way that this run moves them.
///
/// # Errors
/// If one's can't: the first step of the plan that moves clocks, the program and the remedy.
pub(crate) fn check_programs(workload: &Workload, clocks: Option<&Clocks>, launches: &[Launch]) -> Result<(), Failure> {
    let Some(Clocks::Preloaded { .. }) = clocks else { return Ok(()) };
    let steps = all_steps(&workload.faults.steps);
    let moves = steps.into_iter().find(|step| step.fault().is_some_and(|fault| clock_of(fault).is_some()));
    let step = moves.expect("a plan that moves no clock has no way to do it");
    for process in launches.iter().flat_map(|launch| &launch.processes) {
        let program = &process.command.program;
        let found = chaos_systems::on_path(program.as_os_str()).next();
        chaos_clock::can_be_preloaded(found.as_ref().unwrap_or(program)).map_err(|unfit| {
            let remedy = "leave out `clocks: libfaketime`: a swapped vDSO moves the clocks of static programs too";
            refused(step, "clock", &unfit.to_string(), remedy)
        })?;
    }
    Ok(())
}

/// What a fault needs of the disk below it; what comes later needs more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum DiskNeed {
    /// Syncs that are slow or fail.
    Syncs,
    /// Writes that do.
    Writes,
    /// Something that was not synced and can be lost.
    Losses,
}

impl DiskNeed {
    /// Of which system calls answers would do; `None`: only a mount does. A program can have one listener to its system calls: where
    /// that is the clock's, the disk is a mount.
    fn by_calls(self, with_clocks: bool) -> Option<Reach> {
        match (self, with_clocks) {
            (Self::Syncs, false) => Some(Reach::Syncs),
            (Self::Writes, false) => Some(Reach::SyncsAndWrites),
            (Self::Syncs | Self::Writes, true) | (Self::Losses, _) => None,
        }
    }
}

/// Whether the nodes' disks are mounts in a run of this workload, on a host where those can be had or not.
pub(crate) fn mounts(workload: &Workload, works: bool) -> bool {
    let faults = || all_steps(&workload.faults.steps).into_iter().filter_map(Step::fault);
    let with_clocks = workload.clocks == ClockWay::Vdso && faults().any(|fault| clock_of(fault).is_some());
    match faults().filter_map(disk_of).max() {
        Some(need) if workload.network != Network::Proxy => {
            need.by_calls(with_clocks).is_none_or(|reach| is_dear(reach) && works)
        }
        Some(_) | None => false,
    }
}

/// Whether answers to these calls cost more than a mount: a filter of writes sees all that are written to sockets, too.
fn is_dear(reach: Reach) -> bool {
    reach == Reach::SyncsAndWrites
}

/// The cheapest disks that suffice, of those that this host can give.
fn disks(need: DiskNeed, durability: Durability, with_clocks: bool) -> Result<Disks, DiskError> {
    let mount = || chaos_disk::trial::mount().map(|()| Disks::Mounted(durability));
    match need.by_calls(with_clocks) {
        None => mount(),
        Some(reach) if is_dear(reach) => mount().or_else(|_| calls(reach)),
        Some(reach) => calls(reach),
    }
}

fn calls(reach: Reach) -> Result<Disks, DiskError> {
    chaos_disk::trial::calls().map(|()| Disks::Calls(reach))
}

const NO_MOUNT: &str = "it needs a mount of the run's own (beside clocks that move, disks of all kinds do)";
const CALLS_REMEDY: &str = "allow seccomp's user notification, or leave `network: proxy` out";

fn disk_of(fault: &Fault) -> Option<DiskNeed> {
    match fault {
        Fault::Hinder { how: Hindrance::Disk(DiskFault { sync: _, write }), .. } => {
            Some(if *write == CallFault::default() { DiskNeed::Syncs } else { DiskNeed::Writes })
        }
        Fault::PowerLoss { .. } => Some(DiskNeed::Losses),
        // Files can be damaged on any disk.
        Fault::CorruptFile { .. }
        // What the system does itself is refused when the plan is read.
        | Fault::Transfer { .. }
        | Fault::RemoveMember { .. }
        | Fault::Hinder {
            how: Hindrance::Slow { .. } | Hindrance::Starve { .. } | Hindrance::Limit(_) | Hindrance::Clock(_),
            ..
        }
        | Fault::Kill { .. }
        | Fault::Pause { .. }
        | Fault::Partition(..)
        | Fault::Link { .. }
        | Fault::FreezeHost { .. }
        | Fault::CrashLoop { .. } => None,
    }
}

fn clock_of(fault: &Fault) -> Option<ClockFault> {
    if let Fault::Hinder { how: Hindrance::Clock(clock), .. } = fault { Some(*clock) } else { None }
}

fn is_monotonic(clock: ClockFault) -> bool {
    match clock {
        ClockFault::Rate { monotonic, .. } => monotonic,
        ClockFault::Jump { .. } | ClockFault::Strobe { .. } => false,
    }
}

fn refused(step: &Step, verb: &str, reason: &str, remedy: &str) -> Failure {
    let place = &step.place;
    let place = format!("{}:{}:{}", place.file, place.line, place.column);
    Failure::Refused(anyhow!("this host can't inject `{verb}`, which {place} asks for: {reason}\n  remedy: {remedy}"))
}
