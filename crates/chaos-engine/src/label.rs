//! A plan's words for its faults, as they stand in histories, reports and the live view.

use chaos_plan::{Awaited, Fault, KillSignal, Partition, Target};

/// The fault in the plan's words, for example `isolate leader`.
pub(crate) fn fault(fault: &Fault) -> String {
    match fault {
        Fault::Kill { target: whom, signal: KillSignal::Kill } => format!("kill {}", target(whom)),
        Fault::Kill { target: whom, signal: KillSignal::Term } => format!("kill {} (SIGTERM)", target(whom)),
        Fault::Pause { target: whom } => format!("pause {}", target(whom)),
        Fault::Partition(shape) => partition(shape),
    }
}

fn partition(partition: &Partition) -> String {
    match partition {
        Partition::Isolate(whom) => format!("isolate {}", target(whom)),
        Partition::Halves => "split into halves".to_owned(),
        Partition::Groups(groups) => {
            format!("split into {}", groups.iter().map(target).collect::<Vec<_>>().join(" | "))
        }
        Partition::OneWay { from, to: Some(to) } => format!("cut {} -> {}", target(from), target(to)),
        Partition::OneWay { from, to: None } => format!("cut {} -> others", target(from)),
        Partition::MajoritiesRing => "majorities ring".to_owned(),
        Partition::Bridge(whom) => format!("bridge over {}", target(whom)),
    }
}

/// The target in the plan's words.
pub(crate) fn target(target: &Target) -> String {
    match target {
        Target::Leader => "leader".to_owned(),
        Target::OldLeader => "old-leader".to_owned(),
        Target::Follower => "follower".to_owned(),
        Target::Followers => "followers".to_owned(),
        Target::Random => "random".to_owned(),
        Target::Majority => "majority".to_owned(),
        Target::Minority => "minority".to_owned(),
        Target::MinorityWithLeader => "minority-with-leader".to_owned(),
        Target::All => "all".to_owned(),
        Target::Nodes(nodes) => nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// What is awaited, in the plan's words.
pub(crate) fn awaited(awaited: Awaited) -> String {
    match awaited {
        Awaited::Leader => "a leader".to_owned(),
        Awaited::Stable(time) => format!("a leader that all agree on for {time:?}"),
    }
}
