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

use std::fmt::{self, Write as _};
use std::time::Duration;

use crate::definition::{DefinedSystem, Tuned};
use crate::model::{
    Awaited, Check, Choice, Clients, Fault, FaultPlan, Filter, Hold, KillSignal, LockWork, Partition, ProcessTarget,
    RaftOptions, ReadConsistency, Step, StepAction, System, Target, Until, Work, Workload,
};
use crate::read::VERSION;
use crate::scalar::{write_duration, write_duration_range, write_rate};
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
    let filter = match workload.filter {
        Filter::Nftables => "nftables",
        Filter::Iptables => "iptables",
    };
    writeln!(out, "network: {{ backend: netns, filter: {filter} }}")?;
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
    writeln!(out, "    election-timeout: {}", write_duration_range(options.election_timeout))?;
    writeln!(out, "    heartbeat: {}", write_duration(options.heartbeat))?;
    writeln!(out, "    pre-vote: {}", options.pre_vote)?;
    writeln!(out, "    check-quorum: {}", options.check_quorum)?;
    writeln!(out, "    stickiness: {}", options.stickiness)?;
    writeln!(out, "    lease-reads: {}", options.lease_reads)?;
    let read = match options.read {
        ReadConsistency::Linearizable => "linearizable",
        ReadConsistency::Lease => "lease",
        ReadConsistency::Local => "local",
    };
    writeln!(out, "    read: {read}")?;
    writeln!(out, "    request-timeout: {}", write_duration(options.request_timeout))?;
    if let Some(specimen) = &options.specimen {
        writeln!(out, "    specimen: {}", text(specimen))?;
    }
    if let Some(program) = &options.program {
        writeln!(out, "    program: {}", text(&program.to_string_lossy()))?;
    }
    let arguments: Vec<String> = options.arguments.iter().map(|argument| text(argument)).collect();
    writeln!(out, "    arguments: [{}]", arguments.join(", "))
}

/// The definition stands in the plan as the text of its file, comments and all.
fn write_defined(out: &mut String, defined: &DefinedSystem) -> fmt::Result {
    let DefinedSystem { definition: _, text: own, version, profile, tune, programs, client } = defined;
    writeln!(out, "system:\n  profile: {}", text(profile))?;
    if let Some(version) = version {
        writeln!(out, "  version: {}", quoted(version))?;
    }
    let tuned = tune.iter().map(|(name, value)| match value {
        Tuned::Number(number) => format!("{}: {number}", text(name)),
        Tuned::Flag(flag) => format!("{}: {flag}", text(name)),
        Tuned::Text(value) => format!("{}: {}", text(name), quoted(value)),
    });
    write_choices(out, "tune", tuned)?;
    let path = |path: &std::path::Path| quoted(&path.to_string_lossy());
    write_choices(
        out,
        "programs",
        programs.iter().map(|(name, program)| format!("{}: {}", text(name), path(program))),
    )?;
    write_choices(out, "client", client.iter().map(|(name, value)| format!("{}: {}", text(name), quoted(value))))?;
    write_block(out, "  ", "definition", own)
}

/// A mapping of choices on one line, if there are any.
fn write_choices(out: &mut String, name: &str, choices: impl Iterator<Item = String>) -> fmt::Result {
    let choices: Vec<String> = choices.collect();
    if choices.is_empty() { Ok(()) } else { writeln!(out, "  {name}: {{ {} }}", choices.join(", ")) }
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
                let share = format!("{}.{:04}", reads_millionths / 10_000, reads_millionths % 10_000);
                writeln!(out, "      reads: {}%", share.trim_end_matches('0').trim_end_matches('.'))?;
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
        let inner = indent + 2;
        let mut hold = None;
        let mut until = None;
        let mut nested = None;
        match &step.action {
            StepAction::Fault { fault, hold: Hold::For(range) } => {
                writeln!(out, "{}", fault_text(fault))?;
                hold = Some(*range);
            }
            StepAction::Fault { fault, hold: Hold::Until(condition) } => {
                writeln!(out, "{}", fault_text(fault))?;
                until = Some(*condition);
            }
            StepAction::Fault { fault, hold: Hold::Open } => writeln!(out, "{}", fault_text(fault))?,
            StepAction::Restart { target } => writeln!(out, "restart: {}", some_or_all(target.as_ref()))?,
            StepAction::Resume { target } => writeln!(out, "resume: {}", some_or_all(target.as_ref()))?,
            StepAction::Heal => writeln!(out, "heal: all")?,
            StepAction::Await { what, within } => writeln!(out, "await: {}", awaited_text(*what, *within))?,
            StepAction::Wait(range) => writeln!(out, "wait: {}", write_duration_range(*range))?,
            StepAction::Repeat { times, steps } => {
                writeln!(out, "repeat: {times}")?;
                nested = Some(steps);
            }
            StepAction::Random { lasting, every, choices } => {
                writeln!(out, "random:")?;
                writeln!(out, "{:inner$}  for: {}", "", write_duration(*lasting))?;
                writeln!(out, "{:inner$}  every: {}", "", write_duration_range(*every))?;
                writeln!(out, "{:inner$}  choices:", "")?;
                for Choice { weight, steps } in choices {
                    writeln!(out, "{:inner$}    - weight: {weight}", "")?;
                    writeln!(out, "{:inner$}      steps:", "")?;
                    write_steps(out, steps, inner + 8)?;
                }
            }
        }
        if let Some(range) = hold {
            writeln!(out, "{:inner$}for: {}", "", write_duration_range(range))?;
        }
        if let Some(Until { plus, within }) = until {
            let plus = if plus.is_zero() { String::new() } else { format!("plus: {}, ", write_duration(plus)) };
            writeln!(out, "{:inner$}until: {{ leader: another, {plus}within: {} }}", "", write_duration(within))?;
        }
        let place = &step.place;
        writeln!(out, "{:inner$}place: {}", "", quoted(&format!("{}:{}:{}", place.file, place.line, place.column)))?;
        if let Some(steps) = nested {
            writeln!(out, "{:inner$}steps:", "")?;
            write_steps(out, steps, inner + 2)?;
        }
    }
    Ok(())
}

fn fault_text(fault: &Fault) -> String {
    match fault {
        Fault::Kill { target, process, signal } => {
            let signal = match signal {
                KillSignal::Kill => "",
                KillSignal::Term => ", signal: TERM",
            };
            format!("kill: {}", whose(target, process.as_ref(), signal))
        }
        Fault::Pause { target, process } => format!("pause: {}", whose(target, process.as_ref(), "")),
        Fault::Partition(partition) => format!("partition: {}", partition_text(partition)),
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
    }
}

fn target_text(target: &Target) -> String {
    match target {
        Target::Nodes(_) => format!("[{target}]"),
        Target::Leader
        | Target::OldLeader
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
