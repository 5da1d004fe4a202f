//! `chaos list`: what is built in. Everything comes from the files and tables that a run uses, so the list can't be out of date.
//!
//! For programs (`--format json`), version 1, one object on standard output:
//!
//! ```json
//! {"schema":"chaos.list/1","workloads":[{"name":"kill","file":"workloads/kill.yaml","about":"…"}],
//!  "faults":[{"name":"kill-leader","file":"faults/kill-leader.yaml","about":"…"}],
//!  "systems":[{"name":"etcd","file":"workloads/systems/etcd.yaml","about":"…"}],
//!  "specimens":[{"name":"double-vote","about":"…","seen_by":"contested"}],
//!  "checks":[{"name":"election-safety","properties":["ElectionSafety","SingleVote"],"about":"…"}]}
//! ```

use std::process::ExitCode;
use std::time::Duration;

use chaos_plan::builtin::{self, BuiltIn};
use chaos_plan::{Check, Word};
use election::specimens::{self, Specimen};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::{judge, show};

/// How a command tells what it knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object.
    Json,
}

/// Arguments of `chaos list`.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArguments {
    /// How to tell it: text for people, json for programs.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
}

/// Lists what is built in.
pub(crate) fn list(arguments: &ListArguments) -> Result<ExitCode, Failure> {
    show::print(&match arguments.format {
        Format::Text => text(),
        Format::Json => format!("{}\n", object()),
    });
    Ok(ExitCode::SUCCESS)
}

fn text() -> String {
    let mut text = "Workloads (chaos run NAME)\n".to_owned();
    for workload in builtin::workloads() {
        text.push_str(&format!("  {:<18}  {}\n", workload.name, workload.about()));
    }
    text.push_str("\nFault plans (faults: NAME, or --set faults=NAME)\n");
    for fault in builtin::faults() {
        text.push_str(&format!("  {:<18}  {}\n", fault.name, fault.about()));
    }
    text.push_str("\nSystems (system: NAME, or --set system=NAME); `raft` is the reference node\n");
    for system in builtin::systems() {
        text.push_str(&format!("  {:<18}  {}\n", system.name, system.about()));
    }
    text.push_str("\nChecks (checks: [NAME, …])\n");
    for check in chaos_plan::checks() {
        text.push_str(&format!("  {:<18}  {} ({})\n", check.name, check.about, properties(check).join(", ")));
    }
    text.push_str("\nBroken nodes (chaos museum NAME; in any workload: --set system.raft.specimen=NAME)\n");
    for specimen in specimens::ALL {
        text.push_str(&format!("  {specimen:<26}  {} ({})\n", specimen.about, specimen.property));
    }
    text.push_str("\n`chaos explain NAME` says more of each check.\n");
    text
}

fn object() -> Value {
    let file = |built_in: &BuiltIn| json!({"name": built_in.name, "file": built_in.file, "about": built_in.about()});
    let specimen = |specimen: &&Specimen| json!({"name": specimen.name, "about": specimen.about, "property": specimen.property, "seen_by": specimen.workload()});
    let check = |word: &Word| json!({"name": word.name, "properties": properties(word), "about": word.about});
    json!({
        "schema": "chaos.list/1",
        "workloads": builtin::workloads().iter().map(file).collect::<Vec<Value>>(),
        "faults": builtin::faults().iter().map(file).collect::<Vec<Value>>(),
        "systems": builtin::systems().iter().map(file).collect::<Vec<Value>>(),
        "specimens": specimens::ALL.iter().map(specimen).collect::<Vec<Value>>(),
        "checks": chaos_plan::checks().iter().map(check).collect::<Vec<Value>>(),
    })
}

/// What a plan's check stands for, in the papers' names.
fn properties(word: &Word) -> Vec<&'static str> {
    let within = Duration::from_secs(1);
    let all = [
        Check::ElectionSafety,
        Check::TermMonotonic,
        Check::Linearizable,
        Check::NoAcknowledgedWriteLost,
        Check::MutualExclusion,
        Check::Fencing,
        Check::ExclusiveAccess,
        Check::ReplicasAgree,
        Check::BoundedReelection { within },
        Check::Recovers { within },
        Check::NoStaleLeaderAfterHeal { within },
        Check::OneLeaderAtATime { overlap: Duration::ZERO },
    ];
    let meant = all.into_iter().filter(|check| check.name() == word.name);
    meant.flat_map(judge::properties).map(chaos_check::Property::name).collect()
}
