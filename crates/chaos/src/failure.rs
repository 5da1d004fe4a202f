//! Why a command ends without a verdict, and with which exit code.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use chaos_plan::PlanErrors;

/// An end without a verdict.
pub(crate) enum Failure {
    /// The plan has mistakes: rendered with their places.
    Plan(Box<PlanErrors>),
    /// The arguments are wrong, this host can't do what is asked, or the user's program did not come up: exit code 254.
    Refused(anyhow::Error),
    /// We failed, or our own node did not come up: exit code 255.
    Broken(anyhow::Error),
}

impl Failure {
    /// Wrong arguments, or a host that can't.
    pub(crate) fn refused(error: impl Into<anyhow::Error>) -> Self {
        Self::Refused(error.into())
    }

    /// Tells the user on standard error.
    pub(crate) fn report(&self, color: bool) -> ExitCode {
        ExitCode::from(self.tell(color))
    }

    /// The exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Plan(_) | Self::Refused(_) => 254,
            Self::Broken(_) => 255,
        }
    }

    /// What is wrong, without colours.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Plan(errors) => errors.render(false),
            Self::Refused(error) | Self::Broken(error) => printable(&format!("{error:#}")),
        }
    }

    /// The failure in one line, for a list of several.
    pub(crate) fn short(&self) -> String {
        match self {
            Self::Plan(_) => "its plan has mistakes".to_owned(),
            Self::Refused(error) | Self::Broken(error) => {
                format!("{error:#}").lines().next().unwrap_or_default().to_owned()
            }
        }
    }

    /// Tells the user on standard error, and returns the exit code as a number.
    pub(crate) fn tell(&self, color: bool) -> u8 {
        let mut out = std::io::stderr();
        // `eprint!` would panic where the reader has gone away; the exit code still tells what it can.
        let _ = match self {
            Self::Plan(errors) => write!(out, "{}", errors.render(color)),
            Self::Refused(error) | Self::Broken(error) => writeln!(out, "error: {}", printable(&format!("{error:#}"))),
        };
        self.exit_code()
    }
}

/// Text in which a node's or a file's words may stand, without what could steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| if c.is_control() && c != '\n' { c.escape_unicode().collect() } else { vec![c] })
        .collect()
}

/// What became of writing files: a violation (exit code 1) is never hidden behind one that can't be written, which is then only
/// told.
///
/// # Errors
/// The failure to write, where there is no violation.
pub(crate) fn never_hides_a_violation(written: Result<(), Failure>, exit_code: u8) -> Result<(), Failure> {
    match written {
        Err(failure) if exit_code == 1 => {
            failure.tell(std::io::stderr().is_terminal());
            Ok(())
        }
        written => written,
    }
}

impl From<PlanErrors> for Failure {
    fn from(errors: PlanErrors) -> Self {
        Self::Plan(Box::new(errors))
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Broken(error)
    }
}
