//! The commands that only tell something.

use std::path::Path;
use std::process::ExitCode;

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

/// Prints the language of plans.
pub(crate) fn language() -> Result<ExitCode, Failure> {
    print(chaos_plan::reference());
    Ok(ExitCode::SUCCESS)
}
