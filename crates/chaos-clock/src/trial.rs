//! Whether this host lets clocks be moved, found out by moving one.
//!
//! `date` is started under a clock that is ten years ahead, and asked for the time. Nothing is inferred from versions or files;
//! those only explain a refusal.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use nix::errno::Errno;

use crate::{Clock, ClockError, Miss, Scope, wait};

/// Why clocks can't be moved here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// What was tried, and the answer.
    pub reason: String,
    /// One line that changes it.
    pub remedy: String,
}

pub(crate) const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 86_400);
pub(crate) const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Starts a program for real, and sees its clock ten years ahead.
///
/// # Errors
/// Why that doesn't work, with the remedy.
pub fn trial() -> Result<(), Refusal> {
    let shown = ask_date().map_err(|error| refusal(&error))?;
    let shown = shown.trim().parse().ok().map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    let ahead = shown.and_then(|shown| shown.duration_since(SystemTime::now()).ok()).unwrap_or_default();
    if (TEN_YEARS - YEAR..TEN_YEARS + YEAR).contains(&ahead) {
        return Ok(());
    }
    let reason = format!("`date` under a clock that is ten years ahead is {} days ahead", ahead.as_secs() / 86_400);
    Err(Refusal { reason, remedy: "use a kernel whose clock source programs can read (see `clocksource=`)".to_owned() })
}

fn ask_date() -> Result<String, ClockError> {
    let clock = Clock::new(Scope::Wall)?;
    clock.jump(i64::try_from(TEN_YEARS.as_nanos()).expect("it is below 292 years"))?;
    let mut command = Command::new("date");
    let mut child = clock.spawn(command.arg("+%s").stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let mut shown = String::new();
    let output = child.stdout.as_mut().expect("it was asked for");
    output.read_to_string(&mut shown).map_err(|source| ClockError::system("read what `date` says", source))?;
    wait(&mut child).map_err(|source| ClockError::system("wait for `date`", source))?;
    Ok(shown)
}

fn refusal(error: &ClockError) -> Refusal {
    let (cause, errno) = match error {
        ClockError::System { source, .. } => (source.to_string(), source.raw_os_error().map(Errno::from_raw)),
        ClockError::Missed(miss @ Miss::System { errno, .. }) => (miss.to_string(), Some(*errno)),
        ClockError::Missed(miss) => (miss.to_string(), None),
        ClockError::Rate(_)
        | ClockError::Offset
        | ClockError::Period(_)
        | ClockError::Unsupported(_)
        | ClockError::File { .. }
        | ClockError::Late(_) => (String::new(), None),
    };
    let reason = if cause.is_empty() { error.to_string() } else { format!("{error}: {cause}") };
    let remedy = match (error, errno) {
        (ClockError::Unsupported(_), _) => "use an x86_64 machine",
        (_, Some(Errno::EINVAL | Errno::ENOSYS)) => "use Linux 5.19 or later, with seccomp filters",
        (_, Some(Errno::EBUSY)) => "run outside of the container or sandbox that listens to system calls of its own",
        (ClockError::Missed(_), Some(Errno::EPERM)) => "sudo sysctl kernel.yama.ptrace_scope=1, and no debugger",
        (_, Some(Errno::EPERM | Errno::EACCES)) => "allow seccomp(2) and ptrace(2) in the container's profile",
        (_, Some(Errno::ENOENT)) => "install `date` (coreutils)",
        _ => "use a common x86_64 kernel with the vDSO switched on (see `vdso=`)",
    };
    Refusal { reason, remedy: remedy.to_owned() }
}
