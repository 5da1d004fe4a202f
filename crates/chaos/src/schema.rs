//! `chaos schema`: the JSON Schemas of what people and programs write and read.

use std::process::ExitCode;

use chaos_plan::SchemaKind;
use clap::ValueEnum;

use crate::failure::Failure;
use crate::show;

/// Arguments of `chaos schema`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct SchemaArguments {
    /// Of what.
    #[arg(value_enum)]
    of: Of,
}

const HELP: &str = "\
Editors that speak YAML complete and check a plan whose first line names its schema:
  chaos schema workload > workload.schema.json
  # yaml-language-server: $schema=./workload.schema.json

The schemas are draft-07. `system` is a system definition's (workloads/systems/mydb.yaml).";

/// What there is a schema of.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Of {
    /// A workload file.
    Workload,
    /// A fault plan file.
    Faults,
    /// A system definition file.
    System,
    /// A run's report.json.
    Report,
}

/// Prints a schema.
pub(crate) fn schema(arguments: &SchemaArguments) -> Result<ExitCode, Failure> {
    show::print(&match arguments.of {
        Of::Workload => chaos_plan::schema(SchemaKind::Workload),
        Of::Faults => chaos_plan::schema(SchemaKind::Faults),
        Of::System => chaos_plan::schema(SchemaKind::System),
        Of::Report => chaos_report::report_schema(),
    });
    Ok(ExitCode::SUCCESS)
}
