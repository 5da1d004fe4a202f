//! `chaos doctor`: tries what a run needs of this host, and says what to change for what is missing.
//!
//! For programs (`--format json`), version 1, one object on standard output:
//!
//! ```json
//! {"schema":"chaos.doctor/1","can_run":true,"primitives":[{"name":"nf_tables","needed_for":"…","need":"required",
//!  "works":false,"reason":"…","remedy":"…","elapsed_ns":812000}]}
//! ```

use std::process::ExitCode;
use std::time::Instant;

use chaos_disk::DiskError;
use chaos_net::doctor::{self, Need, Primitive, Refusal, Status};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::list::Format;
use crate::show;

/// Arguments of `chaos doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArguments {
    /// How to tell it: text for people, json for programs.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
}

/// A trial of another crate.
type Trial = fn() -> Result<(), Refusal>;

/// The trials of `chaos-disk`: name, what it is needed for, and the trial.
const DISKS: &[(&str, &str, Trial)] = &[
    ("disk-calls", "disks whose calls are slow or fail", || chaos_disk::trial::calls().map_err(refusal)),
    ("disk-mount", "power losses", || chaos_disk::trial::mount().map_err(refusal)),
];

fn refusal(error: DiskError) -> Refusal {
    let remedy = error.remedy().unwrap_or("see the reason; is the temporary directory writable?").to_owned();
    Refusal { reason: error.reason(), remedy }
}

/// Tries what a run needs of the host; exit code 254 if it can't run.
pub(crate) fn doctor(arguments: &DoctorArguments) -> Result<ExitCode, Failure> {
    let primitives = primitives()?;
    let can_run = primitives.iter().all(|primitive| primitive.need == Need::Optional || works(primitive));
    match arguments.format {
        Format::Text => show::print(&text(&primitives, can_run)),
        Format::Json => {
            let primitives: Vec<Value> = primitives.iter().map(object).collect();
            show::print(&format!(
                "{}\n",
                json!({"schema": "chaos.doctor/1", "can_run": can_run, "primitives": primitives})
            ));
        }
    }
    Ok(ExitCode::from(if can_run { 0 } else { 254 }))
}

/// Tries all primitives. To be called while the process has one thread.
pub(crate) fn primitives() -> Result<Vec<Primitive>, Failure> {
    let mut primitives = doctor::probe().map_err(Failure::refused)?;
    for (name, needed_for, trial) in DISKS {
        primitives.push(doctor::probe_in_namespaces(name, needed_for, *trial).map_err(Failure::refused)?);
    }
    // The others fork, which only a process without threads may do; this one starts threads.
    primitives.push(clock());
    primitives.push(preloaded_clock());
    Ok(primitives)
}

/// Moves the clock of a program.
fn clock() -> Primitive {
    let begin = Instant::now();
    let status = match chaos_clock::trial() {
        Ok(()) => Status::Works,
        Err(refusal) => Status::Missing { reason: refusal.reason, remedy: refusal.remedy },
    };
    let needed_for = "moving the clocks of a node's programs";
    Primitive { name: "clock", needed_for, need: Need::Optional, status, elapsed: begin.elapsed() }
}

/// Moves it by libfaketime, for workloads that ask for that.
fn preloaded_clock() -> Primitive {
    let begin = Instant::now();
    let status = match chaos_clock::trial_of_library(None) {
        Ok(_) => Status::Works,
        Err(refusal) => Status::Missing { reason: refusal.reason, remedy: refusal.remedy },
    };
    let needed_for = "the same by libfaketime, where a workload says `clocks: libfaketime`";
    Primitive { name: "libfaketime", needed_for, need: Need::Optional, status, elapsed: begin.elapsed() }
}

fn works(primitive: &Primitive) -> bool {
    primitive.status == Status::Works
}

fn text(primitives: &[Primitive], can_run: bool) -> String {
    let mut text = String::new();
    for primitive in primitives {
        let (name, needed_for) = (primitive.name, primitive.needed_for);
        let word = match (works(primitive), primitive.need) {
            (true, _) => "ok     ",
            (false, Need::Required) => "MISSING",
            (false, Need::Optional) => "absent ",
        };
        text.push_str(&format!("  {word}  {name:<24} {needed_for}\n"));
        if let Status::Missing { reason, remedy } = &primitive.status {
            text.push_str(&format!("           {reason}\n           remedy: {remedy}\n"));
        }
    }
    let has_proxies = primitives.iter().any(|primitive| primitive.name == "proxy" && works(primitive));
    text.push_str(match (can_run, has_proxies) {
        (true, _) => "\nThis host can run every shipped workload.\n",
        (false, true) => {
            "\nThis host can't run chaos in namespaces yet; the remedies above change that. What needs none is\n\
             `chaos run WORKLOAD --network proxy`, which acts on TCP streams only (`chaos explain proxy`).\n"
        }
        (false, false) => "\nThis host can't run chaos yet; the remedies above change that.\n",
    });
    text
}

fn object(primitive: &Primitive) -> Value {
    let (reason, remedy) = match &primitive.status {
        Status::Works => (None, None),
        Status::Missing { reason, remedy } => (Some(reason), Some(remedy)),
    };
    let need = match primitive.need {
        Need::Required => "required",
        Need::Optional => "optional",
    };
    json!({
        "name": primitive.name,
        "needed_for": primitive.needed_for,
        "need": need,
        "works": works(primitive),
        "reason": reason,
        "remedy": remedy,
        "elapsed_ns": u64::try_from(primitive.elapsed.as_nanos()).unwrap_or(u64::MAX),
    })
}
