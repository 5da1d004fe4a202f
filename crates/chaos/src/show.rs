//! The commands that only tell something.

use std::path::Path;
use std::process::ExitCode;

use chaos_net::doctor::{self, Need, Status};
use election::specimens::SpecimenName;

use crate::args::PlanArguments;
use crate::failure::Failure;

/// Prints to standard output; a reader that has gone away (`chaos list | head -1`) is no failure.
pub(crate) fn print(text: &str) {
    use std::io::Write;
    // `print!` would panic on a closed pipe.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Validates a workload and prints it resolved.
pub(crate) fn plan(arguments: &PlanArguments) -> Result<ExitCode, Failure> {
    let loaded = chaos_plan::load(Path::new(&arguments.workload), &arguments.overrides)?;
    print(&chaos_plan::resolved_yaml(&loaded.workload));
    Ok(ExitCode::SUCCESS)
}

/// Lists what is built in.
pub(crate) fn list() -> Result<ExitCode, Failure> {
    let mut text = "Workloads (chaos run NAME)\n".to_owned();
    for workload in chaos_plan::builtin::workloads() {
        text.push_str(&format!("  {:<18}  {}\n", workload.name, workload.about()));
    }
    text.push_str("\nFault plans (faults: NAME, or --set faults=NAME)\n");
    for fault in chaos_plan::builtin::faults() {
        text.push_str(&format!("  {:<18}  {}\n", fault.name, fault.about()));
    }
    text.push_str("\nBroken nodes (chaos run WORKLOAD --set system.raft.specimen=NAME)\n");
    for specimen in SpecimenName::ALL {
        let (name, workload) = (specimen.as_str(), convicting(specimen));
        text.push_str(&format!("  {name:<18}  {} (seen by `{workload}`)\n", specimen.about()));
    }
    print(&text);
    Ok(ExitCode::SUCCESS)
}

/// The built-in workload that shows what is wrong with a broken node.
fn convicting(specimen: SpecimenName) -> &'static str {
    match specimen {
        SpecimenName::DoubleVote => "contested",
        SpecimenName::HalfIsMajority => "split",
        SpecimenName::NoStepDown | SpecimenName::ReadUnconfirmed => "partition",
    }
}

/// Prints the language of plans.
pub(crate) fn language() -> Result<ExitCode, Failure> {
    print(chaos_plan::reference());
    Ok(ExitCode::SUCCESS)
}

/// Tries what a run needs of the host.
pub(crate) fn doctor() -> Result<ExitCode, Failure> {
    let primitives = doctor::probe().map_err(Failure::refused)?;
    let mut text = String::new();
    let mut required_missing = false;
    for primitive in &primitives {
        match &primitive.status {
            Status::Works => text.push_str(&format!("  ok       {:<24} {}\n", primitive.name, primitive.needed_for)),
            Status::Missing { reason, remedy } => {
                let word = match primitive.need {
                    Need::Required => "MISSING",
                    Need::Optional => "absent ",
                };
                required_missing |= primitive.need == Need::Required;
                text.push_str(&format!("  {word}  {:<24} {}\n", primitive.name, primitive.needed_for));
                text.push_str(&format!("           {reason}\n           remedy: {remedy}\n"));
            }
        }
    }
    text.push_str(if required_missing {
        "\nThis host can't run chaos yet; the remedies above change that.\n"
    } else {
        "\nThis host can run every shipped workload.\n"
    });
    print(&text);
    Ok(ExitCode::from(if required_missing { 254 } else { 0 }))
}
