//! A plan's words for its faults, as they stand in histories, reports and the live view.

use chaos_plan::{Awaited, Fault, KillSignal, Partition, ProcessTarget, Target};

/// The fault in the plan's words, for example `isolate leader`.
pub(crate) fn fault(fault: &Fault) -> String {
    match fault {
        Fault::Kill { target, process, signal: KillSignal::Kill } => {
            format!("kill {}", whose(target, process.as_ref()))
        }
        Fault::Kill { target, process, signal: KillSignal::Term } => {
            format!("kill {} (SIGTERM)", whose(target, process.as_ref()))
        }
        Fault::Pause { target, process } => format!("pause {}", whose(target, process.as_ref())),
        Fault::Partition(shape) => partition(shape),
    }
}

/// `leader`, or `agent of leader`.
fn whose(target: &Target, process: Option<&ProcessTarget>) -> String {
    match process {
        None => target.to_string(),
        Some(ProcessTarget { name, with_children: false }) => format!("{name} of {target}"),
        Some(ProcessTarget { name, with_children: true }) => format!("{name} with its children of {target}"),
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
