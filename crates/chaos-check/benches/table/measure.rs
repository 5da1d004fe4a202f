//! What one side makes of one history, and what that costs: each measurement in a process of its own.
//!
//! A process of its own because the baseline takes whatever memory and time it is not denied, and because neither side shall
//! find the memory that the other left behind. The history is made or read before anything is measured. Cost is CPU time of
//! all threads, user and system (the machine may be busy), the median of several runs, and the peak of allocated bytes
//! beyond what was there before, in a run of its own if runs are short.

use std::fmt;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use nix::unistd::alarm;

use crate::case::Case;
use crate::corpus::{Corpus, PLACE};
use crate::sys;

/// How long the baseline may think about one history.
pub(crate) const BASELINE_MAX: Duration = Duration::from_secs(20);
/// What the baseline may hold.
const BASELINE_BYTES_MAX: u64 = 5 << 30;
/// After so long a measurement is ended from outside.
const SECONDS_MAX: u32 = 60;
/// The variable that says for how many milliseconds of CPU time to go on, for a profiler to look at.
const PROFILE_MS: &str = "CHAOS_PROFILE_MS";
/// A run longer than this is measured once, time and memory together.
const LONG: Duration = Duration::from_secs(2);

/// Who judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// This crate, with verified certificate.
    Ours,
    /// This crate, nothing but the verdict, which is what the baseline gives.
    Verdict,
    /// The baseline.
    Theirs,
}

/// What was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Linearizable.
    Ok,
    /// Not linearizable.
    Illegal,
    /// Not decided.
    Unknown,
}

/// A verdict with what is known of its counterexample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The verdict.
    pub(crate) verdict: Verdict,
    /// The operations of a counterexample that the verifier refuted.
    pub(crate) core: Option<usize>,
}

impl From<Verdict> for Seen {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, core: None }
    }
}

/// One side's verdict and what it cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// What was said.
    pub(crate) seen: Seen,
    /// CPU time, median.
    pub(crate) cpu: Duration,
    /// Allocated bytes beyond the history's, peak; `None` if only a limit is known.
    pub(crate) bytes: Option<u64>,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.seen.verdict {
            Verdict::Ok => "ok",
            Verdict::Illegal => "illegal",
            Verdict::Unknown => "unknown",
        };
        let core = self.seen.core.map_or_else(|| "-".to_owned(), |core| core.to_string());
        write!(f, "{verdict} {core} {} {}", self.cpu.as_nanos(), self.bytes.unwrap_or_default())
    }
}

impl FromStr for Measured {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let bad = || format!("`{line}` is not what a measurement prints");
        let parts: Vec<&str> = line.split_whitespace().collect();
        let [verdict, core, nanos, bytes] = parts[..] else { return Err(bad()) };
        let verdict = match verdict {
            "ok" => Verdict::Ok,
            "illegal" => Verdict::Illegal,
            "unknown" => Verdict::Unknown,
            _ => return Err(bad()),
        };
        let seen = Seen { verdict, core: core.parse().ok() };
        let cpu = Duration::from_nanos(nanos.parse().map_err(|_| bad())?);
        Ok(Self { seen, cpu, bytes: Some(bytes.parse().map_err(|_| bad())?) })
    }
}

/// CPU time of this process so far, all threads, user and system.
pub(crate) fn cpu_now() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("every process has this clock").into()
}

fn timed<R>(job: impl FnOnce() -> R) -> (R, Duration) {
    let begin = cpu_now();
    let result = job();
    (result, cpu_now().saturating_sub(begin))
}

/// In the process of its own: measures `job`. The first run counts bytes and warms up.
pub(crate) fn here(side: Side, mut job: impl FnMut() -> Seen) -> Measured {
    // Not a limit of CPU time: with one, Linux advances this process's clock only with the scheduler's tick.
    alarm::set(SECONDS_MAX);
    let bytes_max = (side == Side::Theirs).then_some(BASELINE_BYTES_MAX);
    let ((seen, first), bytes) = sys::peak_bytes(bytes_max, || timed(&mut job));
    let bytes = Some(bytes);
    if first > LONG {
        return Measured { seen, cpu: first, bytes };
    }
    let (mut times, mut total) = (Vec::new(), Duration::ZERO);
    let profiled = std::env::var(PROFILE_MS).ok().and_then(|text| text.parse().ok()).map(Duration::from_millis);
    while times.len() < 5
        || (times.len() < 51 && total < Duration::from_millis(20))
        || profiled.is_some_and(|enough| total < enough)
    {
        let (again, time) = timed(&mut job);
        assert_eq!(again, seen, "the same history, another outcome");
        times.push(time);
        total += time;
    }
    times.sort_unstable();
    Measured { seen, cpu: times[times.len() / 2], bytes }
}

/// Measures in a process of its own.
///
/// # Errors
/// If that process failed otherwise than by reaching its limits.
pub(crate) fn apart(corpus: &Corpus, side: Side, case: &Case) -> Result<Measured, String> {
    let side_name = match side {
        Side::Ours => "ours",
        Side::Verdict => "verdict",
        Side::Theirs => "theirs",
    };
    let program = std::env::current_exe().map_err(|error| format!("can't find this program: {error}"))?;
    let output = Command::new(program)
        .args(["--measure", side_name, &case.to_string()])
        .env(PLACE, corpus.folder())
        .env("RUST_BACKTRACE", "0")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("can't start a process: {error}"))?;
    if output.status.code() == Some(sys::EXIT_MEMORY) {
        let cpu = Duration::ZERO;
        return Ok(Measured { seen: Verdict::Unknown.into(), cpu, bytes: Some(BASELINE_BYTES_MAX) });
    }
    if output.status.code().is_none() {
        let cpu = Duration::from_secs(u64::from(SECONDS_MAX));
        return Ok(Measured { seen: Verdict::Unknown.into(), cpu, bytes: None });
    }
    if !output.status.success() {
        return Err(format!("{case}: {}", output.status));
    }
    String::from_utf8_lossy(&output.stdout).trim().parse()
}
