//! A plan's words for its faults, as they stand in histories, reports and the live view.

use chaos_plan::{
    Awaited, Condition, CutMode, Fault, Hindrance, Keep, KillSignal, LeaderChange, Partition, Phase, ProcessTarget,
    Target, TermMark,
};

/// The fault in the plan's words, for example `isolate leader`.
#[must_use]
pub fn fault(fault: &Fault) -> String {
    match fault {
        Fault::Kill { target, process, signal: KillSignal::KILL } => {
            format!("kill {}", whose(target, process.as_ref()))
        }
        Fault::Kill { target, process, signal } => {
            format!("kill {} (SIG{})", whose(target, process.as_ref()), signal.name())
        }
        Fault::Pause { target, process } => format!("pause {}", whose(target, process.as_ref())),
        Fault::Partition(shape, mode) if *mode == CutMode::default() => partition(shape),
        Fault::Partition(shape, mode) => format!("{} ({mode})", partition(shape)),
        Fault::Link { links, conditions } => {
            let links: Vec<String> = links.iter().map(ToString::to_string).collect();
            format!("link {} ({conditions})", links.join(", "))
        }
        Fault::FreezeHost { target } => format!("freeze {target}"),
        Fault::PowerLoss { target, keep: Keep::Synced, .. } => format!("power loss of {target}"),
        Fault::PowerLoss { target, keep: Keep::Random, .. } => format!("power loss of {target} (a part is kept)"),
        Fault::CorruptFile { target, file, damage } => format!("corrupt {file} of {target} ({damage})"),
        Fault::Transfer { to: None } => "transfer leadership".to_owned(),
        Fault::Transfer { to: Some(to) } => format!("transfer leadership to {to}"),
        Fault::RemoveMember { target } => format!("remove member {target}"),
        Fault::Hinder { target, how: Hindrance::Disk(disk) } => format!("disk {target} ({disk})"),
        Fault::CrashLoop { target, .. } => format!("crash-loop {target}"),
        Fault::Hinder { target, how: Hindrance::Slow { run, every } } => {
            format!("slow {target} ({run:?} of each {every:?})")
        }
        Fault::Hinder { target, how: Hindrance::Starve { share_millionths } } => {
            format!("starve {target} ({}%)", f64::from(*share_millionths) / 10_000.0)
        }
        Fault::Hinder { target, how: Hindrance::Limit(limit) } => format!("limit {target} ({limit})"),
        Fault::Hinder { target, how: Hindrance::Clock(clock) } => format!("clock {target} ({clock})"),
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
        Partition::Cut(links) => {
            format!("cut {}", links.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
    }
}

/// What is awaited, in the plan's words.
#[must_use]
pub fn awaited(awaited: Awaited) -> String {
    match awaited {
        Awaited::Leader => "a leader".to_owned(),
        Awaited::Stable(time) => format!("a leader that all agree on for {time:?}"),
    }
}

/// What a condition waits for, in words.
#[must_use]
pub fn condition(condition: Condition) -> String {
    match condition {
        Condition::Leader(LeaderChange::Elected) => "a new leader".to_owned(),
        Condition::Leader(LeaderChange::Another) => "another leader".to_owned(),
        Condition::Leader(LeaderChange::Lost) => "the leader to be lost".to_owned(),
        Condition::VoteGranted => "a vote in a newer term".to_owned(),
        Condition::Term(TermMark::At(term)) => format!("term {term}"),
        Condition::Term(TermMark::Later(1)) => "a newer term".to_owned(),
        Condition::Term(TermMark::Later(terms)) => format!("{terms} more terms"),
        Condition::Operations(count) => format!("{count} acknowledged operations"),
        Condition::LeaseBelow(bound) => format!("a leader with less than {bound:?} of its lease left"),
    }
}

/// The moment at which something begins, in words.
#[must_use]
pub fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Drawn => "a random phase of the heartbeat",
        Phase::AtOnce => "its turn",
        Phase::Offset(_) | Phase::Sweep => "a phase of the heartbeat",
    }
}
