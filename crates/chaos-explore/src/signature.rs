//! What makes two failing plans the same bug: the same check, violated by the same kinds of fault at the same targets.
//!
//! Taken of minimal plans it is short enough for a file's name, `linearizable.partition-leader`. Times, nodes and clients say
//! nothing of the
//! cause, and are left out; so two bugs may share a signature, but one bug seldom has many.

use std::collections::BTreeSet;

use chaos_history::mixing::fnv_1a;
use chaos_plan::{Check, Fault, Partition, Step, Target, Workload, all_steps};

/// Longer signatures end in a hash: they are names of workloads, too.
const LENGTH_MAX: usize = 64;

/// The signature of a minimal plan that violates this check.
#[must_use]
pub fn signature(workload: &Workload, check: Check) -> String {
    let faults: BTreeSet<String> =
        all_steps(&workload.faults.steps).into_iter().filter_map(Step::fault).map(of_fault).collect();
    let faults: Vec<String> = faults.into_iter().collect();
    let faults = if faults.is_empty() { "no-fault".to_owned() } else { faults.join("+") };
    let whole = format!("{}.{faults}", check.name());
    if whole.len() <= LENGTH_MAX {
        return whole;
    }
    let hash = fnv_1a(whole.as_bytes()) & 0xffff_ffff;
    format!("{}-{hash:08x}", whole[..LENGTH_MAX - 9].trim_end_matches(['-', '+']))
}

fn of_fault(fault: &Fault) -> String {
    let shape = match fault {
        Fault::Partition(Partition::Isolate(_), _) => "isolate",
        Fault::Partition(Partition::Halves, _) => "halves",
        Fault::Partition(Partition::Groups(_), _) => "groups",
        Fault::Partition(Partition::OneWay { .. }, _) => "one-way",
        Fault::Partition(Partition::MajoritiesRing, _) => "majorities-ring",
        Fault::Partition(Partition::Bridge(_), _) => "bridge",
        Fault::Partition(Partition::Cut(_), _) => "cut",
        Fault::Kill { .. }
        | Fault::Pause { .. }
        | Fault::Link { .. }
        | Fault::FreezeHost { .. }
        | Fault::CrashLoop { .. }
        | Fault::PowerLoss { .. }
        | Fault::CorruptFile { .. }
        | Fault::Transfer { .. }
        | Fault::RemoveMember { .. }
        | Fault::Hinder { .. } => fault.kind().name(),
    };
    let targets: BTreeSet<String> = fault.targets().into_iter().map(of_target).collect();
    let words: Vec<String> = std::iter::once(shape.to_owned()).chain(targets).collect();
    words.join("-")
}

fn of_target(target: &Target) -> String {
    match target {
        // Nodes are alike.
        Target::Nodes(nodes) if nodes.len() == 1 => "node".to_owned(),
        Target::Nodes(_) => "nodes".to_owned(),
        Target::AllBut(target) => format!("all-but-{}", of_target(target)),
        Target::Named(_) => "same".to_owned(),
        Target::Leader
        | Target::OldLeader
        | Target::Voter
        | Target::Follower
        | Target::Followers
        | Target::Random
        | Target::Majority
        | Target::Minority
        | Target::MinorityWithLeader
        | Target::All
        | Target::Service => target.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chaos_history::NodeId;
    use chaos_plan::KillSignal;

    use super::*;
    use crate::generate::Space;
    use crate::tree::{fault_for, wait};

    fn kill(target: Target) -> Step {
        fault_for(Fault::Kill { target, process: None, signal: KillSignal::KILL }, Duration::from_millis(5))
    }

    fn of(steps: Vec<Step>) -> String {
        let mut workload = Space::of_reference(None, BTreeSet::new()).base;
        workload.faults.steps = steps;
        signature(&workload, Check::Linearizable)
    }

    #[test]
    fn order_times_and_names_of_nodes_say_nothing() {
        let isolate = || fault_for(Fault::partition(Partition::Isolate(Target::Leader)), Duration::from_secs(1));
        let node = |number| Target::Nodes(vec![NodeId::new(number)]);
        let first = of(vec![isolate(), kill(node(1))]);
        assert_eq!(first, "linearizable.isolate-leader+kill-node");
        assert_eq!(of(vec![kill(node(3)), wait(Duration::from_secs(1)), isolate(), kill(node(2))]), first);
        assert_ne!(of(vec![isolate(), kill(Target::Leader)]), first);
        assert_eq!(of(Vec::new()), "linearizable.no-fault");
    }

    #[test]
    fn long_signatures_stay_apart() {
        let roles = [Target::Leader, Target::OldLeader, Target::Follower, Target::Followers, Target::Majority];
        let all: Vec<Step> = roles.into_iter().chain([Target::MinorityWithLeader]).map(kill).collect();
        let (long, other) = (of(all.clone()), of([all, vec![kill(Target::All)]].concat()));
        assert!(long.len() <= LENGTH_MAX && other.len() <= LENGTH_MAX, "{long} {other}");
        assert_ne!(long, other);
    }
}
