//! A plan's words for its faults, as they stand in histories, reports and the live view.

use chaos_plan::{Awaited, Fault, KillSignal, Partition};

/// The fault in the plan's words, for example `isolate leader`.
pub(crate) fn fault(fault: &Fault) -> String {
    match fault {
        Fault::Kill { target: whom, signal: KillSignal::Kill } => format!("kill {}", whom),
        Fault::Kill { target: whom, signal: KillSignal::Term } => format!("kill {} (SIGTERM)", whom),
        Fault::Pause { target: whom } => format!("pause {}", whom),
        Fault::Partition(shape) => partition(shape),
    }
}

fn partition(partition: &Partition) -> String {
    match partition {
        Partition::Isolate(whom) => format!("isolate {}", whom),
        Partition::Halves => "split into halves".to_owned(),
        Partition::Groups(groups) => {
            format!("split into {}", groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | "))
        }
        Partition::OneWay { from, to: Some(to) } => format!("cut {} -> {}", from, to),
        Partition::OneWay { from, to: None } => format!("cut {} -> others", from),
        Partition::MajoritiesRing => "majorities ring".to_owned(),
        Partition::Bridge(whom) => format!("bridge over {}", whom),
    }
}

/// What is awaited, in the plan's words.
pub(crate) fn awaited(awaited: Awaited) -> String {
    match awaited {
        Awaited::Leader => "a leader".to_owned(),
        Awaited::Stable(time) => format!("a leader that all agree on for {time:?}"),
    }
}
