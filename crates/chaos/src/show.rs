//! The commands that only tell something.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::args::PlanArguments;
use crate::failure::Failure;
use crate::{doctor, schedule};

/// Whether something that was to be printed is lost.
static LOST: AtomicBool = AtomicBool::new(false);

/// Prints to standard output; a reader that has gone away (`chaos list | head -1`) is no failure. Anything else that loses text (a
/// full disk, say) is told at the end, by [`lost`].
pub(crate) fn print(text: &str) {
    // `print!` would panic on a closed pipe.
    let mut out = std::io::stdout();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush())
        && error.kind() != ErrorKind::BrokenPipe
        && !LOST.swap(true, Ordering::Relaxed)
    {
        drop(writeln!(std::io::stderr(), "error: write standard output: {error}"));
    }
}

/// Whether a command that was to print something has failed to.
pub(crate) fn lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// Validates a workload and prints it resolved.
pub(crate) fn plan(arguments: &PlanArguments) -> Result<ExitCode, Failure> {
    let loaded = chaos_plan::load(Path::new(&arguments.workload), &arguments.changes.overrides())?;
    if !arguments.steps {
        print(&chaos_plan::resolved_yaml(&loaded.workload));
        return Ok(ExitCode::SUCCESS);
    }
    let primitives = doctor::primitives()?;
    let (host, all) = schedule::host(&loaded.workload, &primitives);
    print(&(schedule::steps(&loaded.workload) + &host));
    Ok(ExitCode::from(if all { 0 } else { 254 }))
}

/// Arguments of `chaos language`.
#[derive(Debug, clap::Args)]
pub(crate) struct LanguageArguments {
    /// Of what.
    #[arg(value_enum, default_value_t)]
    of: LanguageOf,
}

/// What there is a language of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum LanguageOf {
    /// Workloads and fault plans.
    #[default]
    Plan,
    /// System definitions.
    System,
}

/// Prints the language of plans or of system definitions.
pub(crate) fn language(arguments: &LanguageArguments) -> Result<ExitCode, Failure> {
    print(match arguments.of {
        LanguageOf::Plan => chaos_plan::reference(),
        LanguageOf::System => chaos_plan::system_reference(),
    });
    Ok(ExitCode::SUCCESS)
}
