//! Draws the Raft paper's Figure 16 from saved sets of the workload `figure16`, one set per range of election timeouts:
//! `cargo run --release -p chaos-report --example figure16 -- OUT-DIRECTORY SET-DIRECTORY…`.
//!
//! Writes `figure16.svg`, `figure16.json` and `figure16.md`: for each range the measured distribution of the time without a
//! leader (from the crash to the first claim of a higher term, upper bounds), the distribution that the formula expects, and
//! what the paper says in words. `scripts/figure16.sh` runs the sets and calls this.
//!
//! Nothing is read off the paper's drawing: only the figures that its text gives are set beside ours. Source: Ongaro and
//! Ousterhout, "In Search of an Understandable Consensus Algorithm (Extended Version)", 2014, §9.3 and Figure 16.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program")]

mod drawing;
mod words;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use chaos_failover::{Floor, PhaseOutcome, Timing};
use chaos_history::FaultKind;
use chaos_plan::expect::Phase;
use chaos_report::Report;

type Error = Box<dyn std::error::Error>;

/// One range of election timeouts.
struct Setting {
    /// What the nodes were told; with the disk's part as measured.
    timing: Timing,
    /// Times without a leader, ascending.
    samples: Vec<Duration>,
    /// How many crashes had no new leader within the plan's patience.
    never: usize,
    /// The expected distribution: share in parts per million, time.
    formula: Vec<(u32, Duration)>,
    /// The chance that a round splits, in parts per million.
    split_millionths: u32,
    /// What the paper's text says of this range.
    published: &'static [Published],
    /// Runs that violated safety, and runs.
    violated: (usize, usize),
    /// Samples that overlap a stall of the host.
    stalled: usize,
}

/// A figure of the paper's text.
struct Published {
    min_ms: u64,
    max_ms: u64,
    what: &'static str,
    /// The share of trials, in parts per million; `None` for a mean, which is no point of a distribution.
    share: Option<u32>,
    ms: u64,
}

/// What §9.3 says in words, of 1,000 trials a range on five servers whose broadcasts took about 15 ms.
const PUBLISHED: [(u64, u64, &[Published]); 4] = [
    (150, 150, &[Published { min_ms: 150, max_ms: 150, what: "always over", share: None, ms: 10_000 }]),
    (150, 155, &[Published { min_ms: 150, max_ms: 155, what: "median", share: Some(500_000), ms: 287 }]),
    (150, 200, &[Published { min_ms: 150, max_ms: 200, what: "longest of 1,000", share: Some(1_000_000), ms: 513 }]),
    (
        12,
        24,
        &[
            Published { min_ms: 12, max_ms: 24, what: "mean", share: None, ms: 35 },
            Published { min_ms: 12, max_ms: 24, what: "longest of 1,000", share: Some(1_000_000), ms: 152 },
        ],
    ),
];

impl Setting {
    fn millis(&self) -> (u64, u64) {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        (millis(self.timing.election_timeout_min), millis(self.timing.election_timeout_max))
    }

    fn name(&self) -> String {
        let (min, max) = self.millis();
        format!("{min}–{max} ms")
    }

    /// The least time that at least this share (in parts per million) of *all* crashes needed; those without a new leader
    /// stand at the end.
    fn quantile(&self, share: u64) -> Option<Duration> {
        let all = (self.samples.len() + self.never) as u64;
        let rank = (all * share).div_ceil(1_000_000).max(1);
        self.samples.get(usize::try_from(rank).ok()? - 1).copied()
    }

    fn expected(&self, share: u32) -> Option<Duration> {
        self.formula.iter().find(|(of, _)| *of >= share).map(|(_, time)| *time)
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, sets @ ..] = arguments.as_slice() else {
        eprintln!("usage: figure16 OUT-DIRECTORY SET-DIRECTORY…");
        return ExitCode::from(254);
    };
    match draw(Path::new(out), sets) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(254)
        }
    }
}

fn draw(out: &Path, sets: &[String]) -> Result<(), Error> {
    if sets.is_empty() {
        return Err("no sets: name the directories of `chaos run figure16 --repeat N`".into());
    }
    let reports = sets.iter().map(|set| read(Path::new(set))).collect::<Result<Vec<_>, Error>>()?;
    let disk = disk(&reports);
    let mut settings = reports.iter().map(|reports| setting(reports, disk)).collect::<Result<Vec<_>, Error>>()?;
    settings.sort_by_key(|setting| (std::cmp::Reverse(setting.millis().0), setting.millis().1));
    let first = reports.first().and_then(|reports| reports.first()).ok_or("a set without runs")?;
    fs::create_dir_all(out)?;
    for (file, text) in [
        ("figure16.svg", drawing::svg(&settings)),
        ("figure16.json", words::json(&settings, disk, first)?),
        ("figure16.md", words::markdown(&settings, disk, first)),
    ] {
        let path = out.join(file);
        fs::write(&path, text).map_err(|error| format!("write {}: {error}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

/// The reports of all runs of a set.
fn read(set: &Path) -> Result<Vec<Report>, Error> {
    let mut runs: Vec<_> =
        fs::read_dir(set).map_err(|error| format!("read {}: {error}", set.display()))?.flatten().collect();
    runs.sort_by_key(fs::DirEntry::file_name);
    let files = runs.iter().map(|run| run.path().join("report.json")).filter(|file| file.is_file());
    let parsed = |file: std::path::PathBuf| -> Result<Report, Error> {
        let text = fs::read_to_string(&file)?;
        serde_json::from_str(&text).map_err(|error| format!("understand {}: {error}", file.display()).into())
    };
    let reports: Vec<Report> = files.map(parsed).collect::<Result<_, Error>>()?;
    if reports.is_empty() { Err(format!("{} holds no run with a report", set.display()).into()) } else { Ok(reports) }
}

/// What a vote costs on this disk, from the runs themselves: from the first timeout to the new leader there are a round trip
/// and two durable writes (the candidate's and the voters'). Of all elections that took one term, which no split vote has made
/// longer, the middle.
fn disk(reports: &[Vec<Report>]) -> Duration {
    let of = |outcome: &PhaseOutcome| outcome.reached().map(|reached| reached.at.middle());
    let mut distances: Vec<Duration> = reports
        .iter()
        .flatten()
        .flat_map(|report| &report.measured.failovers)
        .filter(|failover| failover.terms_consumed == Some(1))
        .filter_map(|failover| Some(of(&failover.phases.elected)?.since(of(&failover.phases.detected)?)))
        .collect();
    distances.sort_unstable();
    let middle = distances.get(distances.len() / 2).copied().unwrap_or_default();
    let round_trip = reports.iter().flatten().find_map(timing).map(|timing| timing.rtt).unwrap_or_default();
    middle.saturating_sub(round_trip) / 2
}

fn timing(report: &Report) -> Option<Timing> {
    report.measured.floor.and_then(|floor| floor.timing)
}

fn setting(reports: &[Report], disk: Duration) -> Result<Setting, Error> {
    let timings: Vec<Timing> = reports.iter().filter_map(timing).collect();
    let timing =
        *timings.first().ok_or("a report without the system's timeouts: write it again with `chaos report`")?;
    if timings.iter().any(|other| *other != timing) {
        return Err("a set whose runs have different timeouts".into());
    }
    let timing = Timing { fsync: disk, ..timing };
    let floor = Floor::of(&timing).ok_or("a cluster of one has nobody to elect")?;
    let failovers = || {
        let all = reports.iter().flat_map(|report| &report.measured.failovers);
        all.filter(|failover| failover.kind == FaultKind::Kill)
    };
    let mut samples: Vec<Duration> = failovers().filter_map(|failover| failover.phases.elected.quoted()).collect();
    samples.sort_unstable();
    let mut setting = Setting {
        never: failovers().count() - samples.len(),
        stalled: failovers().filter(|failover| failover.stalled).count(),
        samples,
        formula: floor.curve(Phase::Elected).unwrap_or_default(),
        split_millionths: floor.split_millionths,
        published: &[],
        violated: (reports.iter().filter(|report| report.exit_code == 1).count(), reports.len()),
        timing,
    };
    let known = PUBLISHED.iter().find(|(min, max, _)| (*min, *max) == setting.millis());
    setting.published = known.map_or(&[], |(_, _, published)| published);
    Ok(setting)
}
