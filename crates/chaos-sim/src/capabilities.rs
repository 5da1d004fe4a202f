//! What the simulator can do, and what it leaves to reality.

use chaos_engine::Capabilities;
use chaos_history::FaultKind;

/// The kinds of fault that the simulator knows.
#[must_use]
pub fn capabilities() -> Capabilities {
    let faults = FaultKind::ALL.into_iter().filter(|kind| lack(*kind).is_none()).collect();
    let lacks: Vec<String> =
        FaultKind::ALL.into_iter().filter_map(|kind| Some(format!("{}: {}", kind.name(), lack(kind)?))).collect();
    let remedy =
        format!("run it against real processes, with `--world real`; the simulator lacks {}", lacks.join("; "));
    Capabilities { faults, remedy }
}

/// Why the simulator can't make faults of this kind; `None` if it can.
#[must_use]
pub fn lack(kind: FaultKind) -> Option<&'static str> {
    match kind {
        FaultKind::Kill
        | FaultKind::Pause
        | FaultKind::Partition
        | FaultKind::FreezeHost
        | FaultKind::Link
        | FaultKind::CrashLoop
        | FaultKind::Slow
        | FaultKind::Starve
        | FaultKind::Clock
        | FaultKind::Disk
        | FaultKind::PowerLoss
        | FaultKind::Transfer => None,
        FaultKind::Limit => Some("its processes have neither descriptors nor memory"),
        FaultKind::CorruptFile => Some("its disks hold entries and no files"),
        FaultKind::RemoveMember => Some("its operators don't change members yet"),
    }
}
