//! Why a command ends without a verdict, and with which exit code.

use std::process::ExitCode;

use chaos_plan::PlanErrors;

/// An end without a verdict.
pub(crate) enum Failure {
    /// The plan has mistakes: rendered with their places.
    Plan(Box<PlanErrors>),
    /// The arguments are wrong, or this host can't do what is asked: exit code 254.
    Refused(anyhow::Error),
    /// We failed, or the system under test did not come up: exit code 255.
    Broken(anyhow::Error),
}

impl Failure {
    /// Wrong arguments, or a host that can't.
    pub(crate) fn refused(error: impl Into<anyhow::Error>) -> Self {
        Self::Refused(error.into())
    }

    /// Tells the user on standard error.
    #[expect(clippy::print_stderr, reason = "the one place where a failed command speaks")]
    pub(crate) fn report(&self, color: bool) -> ExitCode {
        match self {
            Self::Plan(errors) => eprint!("{}", errors.render(color)),
            Self::Refused(error) | Self::Broken(error) => eprintln!("error: {error:#}"),
        }
        ExitCode::from(match self {
            Self::Plan(_) | Self::Refused(_) => 254,
            Self::Broken(_) => 255,
        })
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
