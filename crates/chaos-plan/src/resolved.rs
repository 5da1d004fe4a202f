//! A workload written back as YAML: every default filled in, the fault plan inside, each step with the place it came from.
//!
//! What is written here, [`load`](crate::load) reads back to an equal workload. It is the `plan.yaml` of a run directory, so
//! an old run can be judged and repeated without the files it was started from.
//!
//! ```text
//! version: 1
//! name: kill
//! …
//! faults:
//!   name: kill-leader
//!   steps:
//!     - await: { leader: true, within: 10s }
//!       place: "faults/kill-leader.yaml:6:5"
//! ```

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use crate::control::{LinkSelector, Phase, Stop};
use crate::definition::{DefinedSystem, NodeChoice, Tuned};
use crate::fault::{Fault, Hindrance, KillSignal, Limit, Partition, ProcessTarget};
use crate::model::{
    Awaited, Check, Choice, Clients, ClockWay, FaultPlan, Filter, Hold, LockWork, Network, RaftOptions,
    ReadConsistency, Step, StepAction, System, Target, Until, Work, Workload,
};
use crate::parts::{ClockFault, Keep};
use crate::read::VERSION;
use crate::scalar::{
    write_bytes, write_duration, write_duration_range, write_factor, write_offset, write_rate, write_share,
};
use crate::wire::CutMode;
use crate::yaml::quoted;

/// Writes the workload with everything that was left out filled in.
#[must_use]
pub fn resolved_yaml(workload: &Workload) -> String {
    let mut out = String::new();
    write_workload(&mut out, workload).expect("writing into a string can't fail");
    out
}

fn write_workload(out: &mut String, workload: &Workload) -> fmt::Result {
    writeln!(out, "version: {VERSION}")?;
    writeln!(out, "name: {}", text(&workload.name))?;
    writeln!(out, "about: {}", text(&workload.about))?;
    match &workload.system {
        System::Raft(options) => write_raft(out, options)?,
        System::Defined(defined) => write_defined(out, defined)?,
    }
    writeln!(out, "nodes: {}", workload.nodes)?;
    if let Some(seed) = workload.seed {
        writeln!(out, "seed: {seed}")?;
    }
    let network = match workload.network {
        Network::Namespaces { filter: Filter::Nftables } => "backend: netns, filter: nftables",
        Network::Namespaces { filter: Filter::Iptables } => "backend: netns, filter: iptables",
        Network::Proxy => "backend: proxy",
    };
    writeln!(out, "network: {{ {network} }}")?;
    writeln!(out, "capture: {}", workload.capture)?;
    match &workload.clocks {
        ClockWay::Vdso => {}
        ClockWay::Libfaketime { library: None } => writeln!(out, "clocks: libfaketime")?,
        ClockWay::Libfaketime { library: Some(path) } => {
            writeln!(out, "clocks: {{ libfaketime: {} }}", quoted(&path.to_string_lossy()))?;
        }
    }
    let (every, timeout) = (write_duration(workload.observe.every), write_duration(workload.observe.timeout));
    writeln!(out, "observe: {{ every: {every}, timeout: {timeout} }}")?;
    write_clients(out, &workload.clients)?;
    write_checks(out, &workload.checks)?;
    if !workload.expect.is_empty() || !workload.expect_violations.is_empty() {
        writeln!(out, "expect:")?;
        if !workload.expect_violations.is_empty() {
            let names: Vec<&str> = workload.expect_violations.iter().map(|check| check.name()).collect();
            writeln!(out, "  violation: [{}]", names.join(", "))?;
        }
        for expectation in &workload.expect {
            let (metric, comparison) = expectation.text.split_once(' ').unwrap_or((&expectation.text, ""));
            writeln!(out, "  {}: {}", text(metric), text(comparison))?;
        }
    }
    writeln!(out, "start-within: {}", write_duration(workload.start_within))?;
    writeln!(out, "settle: {}", write_duration(workload.settle))?;
    writeln!(out, "limit: {}", write_duration(workload.limit))?;
    write_faults(out, &workload.faults)
}

fn write_raft(out: &mut String, options: &RaftOptions) -> fmt::Result {
    writeln!(out, "system:\n  raft:")?;
    let read = match options.read {
        ReadConsistency::Linearizable => "linearizable",
        ReadConsistency::Lease => "lease",
        ReadConsistency::Local => "local",
    };
    writeln!(out, "    read: {read}")?;
    write_raft_node(out, "    ", options)?;
    if options.record {
        writeln!(out, "    record: true")?;
    }
    if options.nodes.is_empty() {
        return Ok(());
    }
    writeln!(out, "  nodes:")?;
    for (node, options) in &options.nodes {
        writeln!(out, "    {node}:")?;
        write_raft_node(out, "      ", options)?;
    }
    Ok(())
}

/// What a node is started with; what is not written would be as with all nodes.
fn write_raft_node(out: &mut String, indent: &str, options: &RaftOptions) -> fmt::Result {
    writeln!(out, "{indent}election-timeout: {}", write_duration_range(options.election_timeout))?;
    writeln!(out, "{indent}heartbeat: {}", write_duration(options.heartbeat))?;
    writeln!(out, "{indent}pre-vote: {}", options.pre_vote)?;
    writeln!(out, "{indent}check-quorum: {}", options.check_quorum)?;
    writeln!(out, "{indent}stickiness: {}", options.stickiness)?;
    writeln!(out, "{indent}lease-reads: {}", options.lease_reads)?;
    writeln!(out, "{indent}request-timeout: {}", write_duration(options.request_timeout))?;
    writeln!(out, "{indent}specimen: {}", options.specimen.as_deref().map_or("none".to_owned(), text))?;
    if let Some(program) = &options.program {
        writeln!(out, "{indent}program: {}", text(&program.to_string_lossy()))?;
    }
    let arguments: Vec<String> = options.arguments.iter().map(|argument| text(argument)).collect();
    writeln!(out, "{indent}arguments: [{}]", arguments.join(", "))
}

/// The definition stands in the plan as the text of its file, comments and all.
fn write_defined(out: &mut String, defined: &DefinedSystem) -> fmt::Result {
    let DefinedSystem { definition: _, text: own, version, profile, tune, programs, client, nodes } = defined;
    writeln!(out, "system:\n  profile: {}", text(profile))?;
    if let Some(version) = version {
        writeln!(out, "  version: {}", quoted(version))?;
    }
    write_choices(out, "  ", "tune", tuned(tune))?;
    write_choices(out, "  ", "programs", paths(programs))?;
    let options = client.iter().map(|(name, value)| format!("{}: {}", text(name), quoted(value)));
    write_choices(out, "  ", "client", options)?;
    if !nodes.is_empty() {
        writeln!(out, "  nodes:")?;
    }
    for (node, NodeChoice { version, profile, tune, programs }) in nodes {
        writeln!(out, "    {node}:{}", if nodes[node] == NodeChoice::default() { " {}" } else { "" })?;
        if let Some(version) = version {
            writeln!(out, "      version: {}", quoted(version))?;
        }
        if let Some(profile) = profile {
            writeln!(out, "      profile: {}", text(profile))?;
        }
        write_choices(out, "      ", "tune", tuned(tune))?;
        write_choices(out, "      ", "programs", paths(programs))?;
    }
    write_block(out, "  ", "definition", own)
}

fn tuned(values: &BTreeMap<String, Tuned>) -> impl Iterator<Item = String> {
    values.iter().map(|(name, value)| match value {
        Tuned::Number(number) => format!("{}: {number}", text(name)),
        Tuned::Flag(flag) => format!("{}: {flag}", text(name)),
        Tuned::Text(value) => format!("{}: {}", text(name), quoted(value)),
    })
}

fn paths(programs: &BTreeMap<String, PathBuf>) -> impl Iterator<Item = String> {
    programs.iter().map(|(name, path)| format!("{}: {}", text(name), quoted(&path.to_string_lossy())))
}

/// A mapping of choices on one line, if there are any.
fn write_choices(out: &mut String, indent: &str, name: &str, choices: impl Iterator<Item = String>) -> fmt::Result {
    let choices: Vec<String> = choices.collect();
    if choices.is_empty() { Ok(()) } else { writeln!(out, "{indent}{name}: {{ {} }}", choices.join(", ")) }
}

/// A text of many lines as it stands, two columns to the right of its key; in quotes if a line-wise reader might take it for
/// another (a tab, a lone carriage return, blanks at an end).
fn write_block(out: &mut String, indent: &str, key: &str, own: &str) -> fmt::Result {
    let plain = own.ends_with('\n')
        && !own.ends_with("\n\n")
        && own.lines().next().is_some_and(|first| first.starts_with(|c: char| !c.is_whitespace()))
        && own.split('\n').all(|line| line.is_empty() || !line.trim().is_empty())
        && own
            .chars()
            .all(|c| matches!(c, '\n' | ' '..='~') || c.is_alphanumeric() || matches!(c, '–' | '→' | '…' | '§'));
    if !plain {
        return writeln!(out, "{indent}{key}: {}", quoted(own));
    }
    writeln!(out, "{indent}{key}: |")?;
    for line in own.lines() {
        match line {
            "" => writeln!(out)?,
            line => writeln!(out, "{indent}  {line}")?,
        }
    }
    Ok(())
}

fn write_clients(out: &mut String, loads: &[Clients]) -> fmt::Result {
    if loads.is_empty() {
        return writeln!(out, "clients: none");
    }
    writeln!(out, "clients:")?;
    for Clients { work, keys, rate_per_second, roaming, pinned, timeout } in loads {
        let name = match work {
            Work::Register(_) => "register",
            Work::Set { .. } => "set",
            Work::Lock(_) => "lock",
            Work::Election { .. } => "election",
        };
        writeln!(out, "  - {name}:")?;
        match work {
            Work::Register(_) | Work::Set { .. } => {
                writeln!(out, "      keys: {keys}")?;
                writeln!(out, "      rate: {}", write_rate(*rate_per_second))?;
            }
            Work::Lock(_) | Work::Election { .. } => {}
        }
        match work {
            Work::Register(mix) => {
                writeln!(out, "      mix: {{ read: {}, write: {}, cas: {} }}", mix.read, mix.write, mix.cas)?;
            }
            Work::Set { reads_millionths } => {
                writeln!(out, "      reads: {}", write_share(*reads_millionths))?;
            }
            Work::Lock(LockWork { hold, accesses, fencing }) => {
                writeln!(out, "      locks: {keys}\n      clients: {roaming}")?;
                writeln!(out, "      hold: {}", write_duration_range(*hold))?;
                writeln!(out, "      accesses: {accesses}\n      fencing: {fencing}")?;
            }
            Work::Election { hold } => {
                writeln!(out, "      candidates: {roaming}")?;
                writeln!(out, "      hold: {}", write_duration_range(*hold))?;
            }
        }
        match work {
            Work::Register(_) | Work::Set { .. } => {
                writeln!(out, "      roaming: {roaming}\n      pinned: {pinned}")?;
            }
            Work::Lock(_) | Work::Election { .. } => {}
        }
        writeln!(out, "      timeout: {}", write_duration(*timeout))?;
    }
    Ok(())
}

fn write_checks(out: &mut String, checks: &[Check]) -> fmt::Result {
    writeln!(out, "checks:")?;
    for check in checks {
        match check {
            Check::BoundedReelection { within }
            | Check::NoStaleLeaderAfterHeal { within }
            | Check::Recovers { within } => {
                writeln!(out, "  - {}: {{ within: {} }}", check.name(), write_duration(*within))?;
            }
            Check::OneLeaderAtATime { overlap } => {
                writeln!(out, "  - {}: {{ overlap: {} }}", check.name(), write_duration(*overlap))?;
            }
            Check::ElectionSafety
            | Check::TermMonotonic
            | Check::Linearizable
            | Check::NoAcknowledgedWriteLost
            | Check::MutualExclusion
            | Check::Fencing
            | Check::ExclusiveAccess
            | Check::ReplicasAgree => {
                writeln!(out, "  - {}", check.name())?;
            }
        }
    }
    Ok(())
}

fn write_faults(out: &mut String, plan: &FaultPlan) -> fmt::Result {
    if plan.steps.is_empty() {
        return writeln!(out, "faults: none");
    }
    writeln!(out, "faults:")?;
    writeln!(out, "  name: {}", text(&plan.name))?;
    writeln!(out, "  about: {}", text(&plan.about))?;
    writeln!(out, "  steps:")?;
    write_steps(out, &plan.steps, 4)
}

/// Writes list items that begin in column `indent`, from 0.
fn write_steps(out: &mut String, steps: &[Step], indent: usize) -> fmt::Result {
    for step in steps {
        write!(out, "{:indent$}- ", "")?;
        write_step(out, step, indent + 2)?;
    }
    Ok(())
}

/// Writes what stands behind the dash: the first line where it is, the others in column `inner`.
fn write_step(out: &mut String, step: &Step, inner: usize) -> fmt::Result {
    let mut nested = None;
    match &step.action {
        StepAction::Fault { fault, hold, phase, name } => {
            writeln!(out, "{}", fault_text(fault))?;
            write_hold(out, *hold, inner)?;
            write_phase(out, *phase, inner)?;
            if let Some(name) = name {
                writeln!(out, "{:inner$}name: {}", "", text(name))?;
            }
        }
        StepAction::On { condition, after, within, steps } => {
            writeln!(out, "on: {{ {condition} }}")?;
            if !after.max.is_zero() {
                writeln!(out, "{:inner$}after: {}", "", write_duration_range(*after))?;
            }
            writeln!(out, "{:inner$}within: {}", "", write_duration(*within))?;
            nested = Some(steps).filter(|steps| !steps.is_empty());
        }
        StepAction::Together { phase, branches } => {
            writeln!(out, "together:")?;
            for branch in branches {
                writeln!(out, "{:inner$}  - steps:", "")?;
                write_steps(out, branch, inner + 6)?;
            }
            write_phase(out, *phase, inner)?;
        }
        StepAction::Restart { target } => writeln!(out, "restart: {}", some_or_all(target.as_ref()))?,
        StepAction::Resume { target } => writeln!(out, "resume: {}", some_or_all(target.as_ref()))?,
        StepAction::Heal => writeln!(out, "heal: all")?,
        StepAction::Await { what, within } => writeln!(out, "await: {}", awaited_text(*what, *within))?,
        StepAction::Wait(range) => writeln!(out, "wait: {}", write_duration_range(*range))?,
        StepAction::Repeat { times, until, steps } => {
            writeln!(out, "repeat: {times}")?;
            if let Some(Stop { condition, within }) = until {
                let within = within.map(|within| format!(", within: {}", write_duration(within))).unwrap_or_default();
                writeln!(out, "{:inner$}until: {{ {condition}{within} }}", "")?;
            }
            nested = Some(steps);
        }
        StepAction::Random { lasting, every, swarm_millionths, choices } => {
            writeln!(out, "random:")?;
            writeln!(out, "{:inner$}  for: {}", "", write_duration(*lasting))?;
            writeln!(out, "{:inner$}  every: {}", "", write_duration_range(*every))?;
            if let Some(share) = swarm_millionths {
                writeln!(out, "{:inner$}  swarm: {}", "", write_share(*share))?;
            }
            writeln!(out, "{:inner$}  choices:", "")?;
            for Choice { weight, steps } in choices {
                writeln!(out, "{:inner$}    - weight: {weight}", "")?;
                writeln!(out, "{:inner$}      steps:", "")?;
                write_steps(out, steps, inner + 8)?;
            }
        }
    }
    let place = &step.place;
    writeln!(out, "{:inner$}place: {}", "", quoted(&format!("{}:{}:{}", place.file, place.line, place.column)))?;
    if let Some(steps) = nested {
        writeln!(out, "{:inner$}steps:", "")?;
        write_steps(out, steps, inner + 2)?;
    }
    Ok(())
}

fn write_hold(out: &mut String, hold: Hold, inner: usize) -> fmt::Result {
    match hold {
        // What is over at once says no end.
        Hold::For(range) if range.max.is_zero() => Ok(()),
        Hold::For(range) => writeln!(out, "{:inner$}for: {}", "", write_duration_range(range)),
        Hold::Until(Until { plus, within }) => {
            let plus = if plus.is_zero() { String::new() } else { format!("plus: {}, ", write_duration(plus)) };
            writeln!(out, "{:inner$}until: {{ leader: another, {plus}within: {} }}", "", write_duration(within))
        }
        Hold::Open => Ok(()),
    }
}

fn write_phase(out: &mut String, phase: Phase, inner: usize) -> fmt::Result {
    match phase {
        Phase::Drawn => Ok(()),
        Phase::AtOnce => writeln!(out, "{:inner$}phase: none", ""),
        Phase::Offset(range) => writeln!(out, "{:inner$}phase: {}", "", write_duration_range(range)),
        Phase::Sweep => writeln!(out, "{:inner$}phase: sweep", ""),
    }
}

fn fault_text(fault: &Fault) -> String {
    match fault {
        Fault::Kill { target, process, signal } => {
            let signal = match *signal {
                KillSignal::KILL => String::new(),
                other => format!(", signal: {}", other.name()),
            };
            format!("kill: {}", whose(target, process.as_ref(), &signal))
        }
        Fault::Pause { target, process } => format!("pause: {}", whose(target, process.as_ref(), "")),
        Fault::Partition(shape, mode) if *mode == CutMode::default() => format!("partition: {}", partition_text(shape)),
        Fault::Partition(shape, mode) => {
            let shape = partition_text(shape);
            let shape = shape.strip_prefix("{ ").and_then(|inner| inner.strip_suffix(" }")).map(str::to_owned);
            let shape = shape.unwrap_or_else(|| format!("{}: true", partition_word(fault)));
            format!("partition: {{ {shape}, {mode} }}")
        }
        Fault::Link { links, conditions } => format!("link: {{ between: {}, {conditions} }}", between_text(links)),
        Fault::FreezeHost { target } => format!("freeze-host: {}", target_text(target)),
        Fault::CrashLoop { target, up, down } => {
            let (up, down) = (write_duration_range(*up), write_duration_range(*down));
            format!("crash-loop: {{ node: {}, up: {up}, down: {down} }}", target_text(target))
        }
        Fault::PowerLoss { target, keep, file_system } => {
            let keep = match keep {
                Keep::Synced => "synced",
                Keep::Random => "random",
            };
            let file_system = file_system.name();
            format!("power-loss: {{ node: {}, keep: {keep}, file-system: {file_system} }}", target_text(target))
        }
        Fault::CorruptFile { target, file, damage } => {
            format!("corrupt-file: {{ node: {}, file: {}, {damage} }}", target_text(target), quoted(file))
        }
        Fault::Transfer { to: None } => "transfer: leader".to_owned(),
        Fault::Transfer { to: Some(to) } => format!("transfer: {{ node: leader, to: {} }}", target_text(to)),
        Fault::RemoveMember { target } => format!("remove-member: {}", target_text(target)),
        Fault::Hinder { target, how } => {
            format!("{}: {{ node: {}, {} }}", fault.kind().name(), target_text(target), hindrance_text(*how))
        }
    }
}

/// The word of a shape that has nothing to say.
fn partition_word(fault: &Fault) -> &'static str {
    if matches!(fault, Fault::Partition(Partition::Halves, _)) { "halves" } else { "majorities-ring" }
}

fn between_text(links: &[LinkSelector]) -> String {
    match links {
        [LinkSelector { from: Target::All, to: Target::All, .. }] => "all".to_owned(),
        links => links_text(links),
    }
}

fn links_text(links: &[LinkSelector]) -> String {
    let links: Vec<String> = links.iter().map(|link| quoted(&link.to_string())).collect();
    format!("[{}]", links.join(", "))
}

fn hindrance_text(how: Hindrance) -> String {
    match how {
        Hindrance::Slow { run, every } => format!("run: {}, every: {}", write_duration(run), write_duration(every)),
        Hindrance::Starve { share_millionths } => format!("share: {}", write_share(share_millionths)),
        Hindrance::Limit(Limit::OpenFiles(count)) => format!("open-files: {count}"),
        Hindrance::Limit(Limit::Memory { more_bytes }) => format!("memory: {}", write_bytes(more_bytes)),
        Hindrance::Clock(ClockFault::Jump { by_ns }) => format!("jump: {}", write_offset(by_ns)),
        Hindrance::Clock(ClockFault::Rate { millionths, monotonic }) => {
            format!("rate: {}, monotonic: {monotonic}", write_factor(millionths))
        }
        Hindrance::Clock(ClockFault::Strobe { by_ns, every }) => {
            format!("strobe: {{ by: {}, every: {} }}", write_offset(by_ns), write_duration(every))
        }
        Hindrance::Disk(disk) => disk.to_string(),
    }
}

/// A target alone where that is all, otherwise the long form.
fn whose(target: &Target, process: Option<&ProcessTarget>, signal: &str) -> String {
    let target = target_text(target);
    match process {
        None if signal.is_empty() => target,
        None => format!("{{ node: {target}{signal} }}"),
        Some(ProcessTarget { name, with_children }) => {
            let children = if *with_children { ", with-children: true" } else { "" };
            format!("{{ node: {target}, process: {}{children}{signal} }}", text(name))
        }
    }
}

fn partition_text(partition: &Partition) -> String {
    match partition {
        Partition::Isolate(target) => format!("{{ isolate: {} }}", target_text(target)),
        Partition::Halves => "halves".to_owned(),
        Partition::Groups(groups) => {
            let groups: Vec<String> = groups.iter().map(target_text).collect();
            format!("{{ groups: [{}] }}", groups.join(", "))
        }
        Partition::OneWay { from, to: None } => format!("{{ one-way: {{ from: {} }} }}", target_text(from)),
        Partition::OneWay { from, to: Some(to) } => {
            format!("{{ one-way: {{ from: {}, to: {} }} }}", target_text(from), target_text(to))
        }
        Partition::MajoritiesRing => "majorities-ring".to_owned(),
        Partition::Bridge(target) => format!("{{ bridge: {} }}", target_text(target)),
        Partition::Cut(links) => format!("{{ cut: {} }}", links_text(links)),
    }
}

fn target_text(target: &Target) -> String {
    match target {
        Target::Nodes(_) => format!("[{target}]"),
        // In quotes, for the commas of several nodes.
        Target::AllBut(_) => quoted(&target.to_string()),
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
        | Target::Service
        | Target::Named(_) => target.to_string(),
    }
}

fn some_or_all(target: Option<&Target>) -> String {
    target.map_or_else(|| "all".to_owned(), target_text)
}

fn awaited_text(what: Awaited, within: Duration) -> String {
    let within = write_duration(within);
    match what {
        Awaited::Leader => format!("{{ leader: true, within: {within} }}"),
        Awaited::Stable(lasting) => format!("{{ stable: {}, within: {within} }}", write_duration(lasting)),
    }
}

/// A text bare if every YAML reader takes it for that text, otherwise in quotes.
fn text(value: &str) -> String {
    let bare = value.starts_with(|c: char| c.is_ascii_alphabetic())
        && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
        && !["null", "true", "false", "yes", "no", "on", "off", "y", "n"].contains(&value.to_lowercase().as_str());
    if bare { value.to_owned() } else { quoted(value) }
}
