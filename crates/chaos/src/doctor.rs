//! `chaos doctor`: tries what a run needs of this host, and says what to change for what is missing.
//!
//! For programs (`--format json`), version 1, one object on standard output:
//!
//! ```json
//! {"schema":"chaos.doctor/1","can_run":true,"primitives":[{"name":"nf_tables","needed_for":"…","need":"required",
//!  "works":false,"reason":"…","remedy":"…","elapsed_ns":812000}]}
//! ```

use std::process::ExitCode;

use chaos_net::doctor::{self, Need, Primitive, Status};
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

/// Tries what a run needs of the host; exit code 254 if it can't run.
pub(crate) fn doctor(arguments: &DoctorArguments) -> Result<ExitCode, Failure> {
    let primitives = doctor::probe().map_err(Failure::refused)?;
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
    text.push_str(if can_run {
        "\nThis host can run every shipped workload.\n"
    } else {
        "\nThis host can't run chaos yet; the remedies above change that.\n"
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
