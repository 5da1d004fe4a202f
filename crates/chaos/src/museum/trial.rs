//! A trial: a plan under one seed after another, and once with the sound node.
//!
//! Each run is a process of its own, this very program, as in a set (see [`crate::repeat`]); its verdict is taken from its history and
//! not from its exit code. A run that could not be judged is told and proves nothing, in either direction. Runs that are there already
//! are judged and not repeated, so that a museum that was interrupted goes on where it was.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use chaos_history::{History, RunDir};

use super::detectors::{Conviction, Detector, Findings, judge};
use crate::failure::Failure;
use crate::judge::properties_of;

/// Beside the run's own files: how long it took, in milliseconds.
const WALL_FILE: &str = "wall-ms.txt";

/// A sound run that could not be judged, on a busy host for example, is repeated so often.
const SOUND_RUNS_MAX: u64 = 3;

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) seed: u64,
    /// How long it took, from the start of its process to its end.
    pub(super) wall: Duration,
    /// What it showed, or why that isn't known.
    pub(super) findings: Result<Findings, String>,
}

impl Attempt {
    pub(super) fn convictions(&self) -> &[Conviction] {
        self.findings.as_ref().map_or(&[], |findings| &findings.convictions)
    }

    pub(super) fn convicted_by(&self, detector: Detector) -> bool {
        self.convictions().iter().any(|conviction| conviction.by.contains(&detector))
    }
}

/// What became of the sound node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SoundVerdict {
    Acquitted,
    /// Of what.
    Convicted(String),
    /// Why.
    Undecided(String),
}

/// All runs of one plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trial {
    /// With the specimen; at least one.
    pub(super) attempts: Vec<Attempt>,
    /// With the sound node.
    pub(super) sound: Attempt,
}

impl Trial {
    /// The first attempt that convicts.
    pub(super) fn first_conviction(&self) -> Option<(&Attempt, &Conviction)> {
        self.attempts.iter().find_map(|attempt| Some((attempt, attempt.convictions().first()?)))
    }

    /// In how many attempts this detector convicts.
    pub(super) fn convicted_by(&self, detector: Detector) -> usize {
        self.attempts.iter().filter(|attempt| attempt.convicted_by(detector)).count()
    }

    pub(super) fn sound_verdict(&self) -> SoundVerdict {
        match &self.sound.findings {
            Err(why) => SoundVerdict::Undecided(why.clone()),
            Ok(Findings { convictions, undecided }) => match (convictions.first(), undecided) {
                (Some(conviction), _) => {
                    SoundVerdict::Convicted(format!("{}: {}", conviction.property, conviction.sentence))
                }
                (None, Some(why)) => SoundVerdict::Undecided(why.clone()),
                (None, None) => SoundVerdict::Acquitted,
            },
        }
    }

    /// 0 as it should be; 1 the sound node was convicted; 2 it could not be judged; 3 the specimen was not convicted.
    pub(super) fn exit_code(&self) -> u8 {
        match (self.sound_verdict(), self.first_conviction()) {
            (SoundVerdict::Convicted(_), _) => 1,
            (SoundVerdict::Undecided(_), _) => 2,
            (SoundVerdict::Acquitted, None) => 3,
            (SoundVerdict::Acquitted, Some(_)) => 0,
        }
    }
}

/// Holds a trial in a new directory.
pub(super) fn hold(
    plan: &Path,
    directory: &Path,
    seeds: impl Iterator<Item = u64>,
    each: bool,
) -> Result<Trial, Failure> {
    let mut attempts: Vec<Attempt> = Vec::new();
    for seed in seeds {
        let attempt = attempt(plan, &directory.join(format!("seed-{seed}")), seed, &[])?;
        let convicted = attempt.convicted_by(Detector::All);
        attempts.push(attempt);
        if convicted && !each {
            break;
        }
    }
    let convicting = attempts.iter().find(|attempt| attempt.convicted_by(Detector::All)).or(attempts.last());
    let seed = convicting.map_or(1, |attempt| attempt.seed);
    for nth in 0.. {
        let seed = seed.wrapping_add(nth);
        let directory = directory.join(format!("sound-{seed}"));
        let sound = attempt(plan, &directory, seed, &["--set", "system.raft.specimen=none"])?;
        let trial = Trial { attempts, sound };
        match trial.sound_verdict() {
            SoundVerdict::Undecided(_) if nth + 1 < SOUND_RUNS_MAX => attempts = trial.attempts,
            SoundVerdict::Acquitted | SoundVerdict::Convicted(_) | SoundVerdict::Undecided(_) => return Ok(trial),
        }
    }
    unreachable!("the loop above has no end but its return")
}

fn attempt(plan: &Path, out: &Path, seed: u64, more: &[&str]) -> Result<Attempt, Failure> {
    let wall = match wall_of(out) {
        Some(wall) => wall,
        None => run(plan, out, seed, more)?,
    };
    Ok(Attempt { seed, wall, findings: findings(out).map_err(|failure| failure.short()) })
}

/// How long a run took that is there already.
fn wall_of(out: &Path) -> Option<Duration> {
    let millis = fs::read_to_string(out.join(WALL_FILE)).ok()?.trim().parse().ok()?;
    Some(Duration::from_millis(millis))
}

fn run(plan: &Path, out: &Path, seed: u64, more: &[&str]) -> Result<Duration, Failure> {
    let begin = Instant::now();
    let own = std::env::current_exe().context("find this program's own file")?;
    let mut command = Command::new(own);
    command.arg("run").arg(plan).args(["--quiet", "--seed", &seed.to_string(), "--out"]).arg(out).args(more);
    command.arg("--part-of").arg(std::process::id().to_string());
    let ended = command.stdin(Stdio::null()).output().context("start a run")?;
    let wall = begin.elapsed();
    // Wrong plans and hosts that can't are nobody's verdict, and no seed will help.
    if ended.status.code() == Some(254) {
        return Err(Failure::Refused(anyhow!("{}", String::from_utf8_lossy(&ended.stderr).trim().to_owned())));
    }
    if out.is_dir() {
        let file = out.join(WALL_FILE);
        fs::write(&file, format!("{}\n", wall.as_millis())).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(wall)
}

fn findings(out: &Path) -> Result<Findings, Failure> {
    let saved = RunDir::open(out).map_err(|error| Failure::Broken(error.into()))?;
    let history = History::read(&saved.history()).map_err(Failure::refused)?;
    let workload = chaos_plan::load(&saved.plan(), &[])?.workload;
    Ok(judge(&history, &properties_of(&workload)))
}
