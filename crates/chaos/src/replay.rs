//! `chaos replay FILE`: run a plan again, under one seed after another, until it shows what it is kept for.
//!
//! `chaos replay --core FILE`: run the core of one node again through what it was told in a run with `record: true`.
//!
//! A violation on real processes is a matter of luck: how much, the file of a bug says (`chaos_explore::share_of`), and so how
//! many attempts
//! are worth making. Each attempt is a run of its own by this very program, so verdicts and exit codes are those of `chaos run`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;
use chaos_explore::share_of;
use chaos_history::Seed;
use election_node::{Moment, ReplayError, Replayed};

use crate::changes::Changes;
use crate::failure::Failure;
use crate::show;
use crate::simulated::WorldKind;

/// How many attempts are made at most where the file decides, and how many where it says nothing.
const ATTEMPTS_MAX: u32 = 50;
const ATTEMPTS_UNKNOWN: u32 = 10;
/// How sure the attempts are to show it once.
const CONFIDENCE: f64 = 0.95;

/// Arguments of `chaos replay`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct ReplayArguments {
    /// A workload, for example a bug that `chaos explore` has found.
    #[arg(required_unless_present = "core")]
    file: Option<String>,
    /// Instead: what one node was told (`nodes/n1/core.jsonl` of a run with `record: true`, or of `chaos node --record`).
    /// Its core takes it all again, and every output must be the recorded one.
    #[arg(long, value_name = "FILE", exclusive = true)]
    core: Option<PathBuf>,
    /// Where it runs: real, in processes; or sim, in virtual time.
    #[arg(long, value_name = "WORLD", value_enum, default_value_t)]
    world: WorldKind,
    /// Run it again, each time under another seed, until a property is violated.
    #[arg(long)]
    until_violation: bool,
    /// How often at most: a number, or auto, as often as shows it with 95 % confidence by what the file says.
    #[arg(long, value_name = "N|auto", value_parser = attempts, default_value = "auto", requires = "until_violation")]
    attempts: Attempts,
    /// The seed of the first attempt; each further one has the next. Left out: the file's.
    #[arg(long)]
    seed: Option<u64>,
    /// The directory for the runs, which must not exist yet. Left out: reports/replay/<UTC time>.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What is changed of the workload.
    #[command(flatten)]
    changes: Changes,
}

const HELP: &str = "\
Examples:
  chaos replay bugs/linearizable.isolate-leader.yaml --until-violation
                                              on real processes, as often as it should take
  chaos replay bugs/linearizable.isolate-leader.yaml --world sim
                                              once, in the simulator: the run that was found
  chaos run partition --set system.raft.record=true --out run
  chaos replay --core run/nodes/n1/core.jsonl what n1's core was told, again, event by event

Exit codes of --core: 0 if the core did all that was recorded and nothing else, 1 if not, 254 if the
file is no recording. Other exit codes are those of `chaos run`, of the attempt that showed a
violation or of the last one: 0 if what the file expects to be violated is, 1 if something else is (or
anything, where it expects nothing), 3 if it did not show.";

/// How often to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempts {
    Auto,
    Just(u32),
}

fn attempts(text: &str) -> Result<Attempts, String> {
    match (text, text.parse()) {
        ("auto", _) => Ok(Attempts::Auto),
        (_, Ok(count)) if count > 0 => Ok(Attempts::Just(count)),
        (_, Ok(_) | Err(_)) => Err("a number above 0, or `auto`".to_owned()),
    }
}

/// Runs it again.
pub(crate) fn replay(arguments: &ReplayArguments) -> Result<ExitCode, Failure> {
    if let Some(recording) = &arguments.core {
        return core(recording);
    }
    let file = arguments.file.as_deref().unwrap_or_default();
    let loaded = chaos_plan::load(Path::new(file), &arguments.changes.overrides())?;
    let text = loaded.sources.first().map(|source| source.text.as_str()).unwrap_or_default();
    let wanted = match (arguments.until_violation, arguments.attempts) {
        (false, _) => 1,
        (true, Attempts::Just(count)) => count,
        (true, Attempts::Auto) => {
            share_of(text).map_or(ATTEMPTS_UNKNOWN, |share| share.attempts(CONFIDENCE, ATTEMPTS_MAX))
        }
    };
    let seed = arguments.seed.map(Seed).or(loaded.workload.seed).unwrap_or_else(|| Seed(rand::random::<u32>().into()));
    let directory = arguments.out.clone().unwrap_or_else(|| {
        PathBuf::from("reports").join("replay").join(jiff::Timestamp::now().strftime("%Y-%m-%dT%H-%M-%SZ").to_string())
    });
    let refused = || format!("make the directory {}", directory.display());
    fs::create_dir_all(directory.parent().unwrap_or(Path::new("."))).with_context(refused).map_err(Failure::Refused)?;
    fs::create_dir(&directory).with_context(refused).map_err(Failure::Refused)?;
    let expects = !loaded.workload.expect_violations.is_empty();
    let mut code = 255;
    for attempt in 0..wanted {
        let seed = Seed(seed.0.wrapping_add(attempt.into()));
        let run = directory.join(format!("{:03}", attempt + 1));
        code = once(arguments, file, seed, &run)?;
        let shown = (expects && code == 0) || code == 1;
        let what = match code {
            0 if expects => "shows what is expected",
            0 => "nothing violated",
            1 => "violated",
            2 => "unknown",
            3 => "does not show it",
            _ => "could not be run",
        };
        show::print(&format!("attempt {} of {wanted}  seed {seed}  {what}  {}\n", attempt + 1, run.display()));
        if code >= 254 || (shown && arguments.until_violation) {
            break;
        }
    }
    Ok(ExitCode::from(code))
}

/// Runs a recorded core again and tells what it does.
fn core(recording: &Path) -> Result<ExitCode, Failure> {
    let mut tell = |moment: Moment| {
        let Some(name) = moment.name() else { return };
        let (seconds, Moment { line, start, id, term, .. }) = (moment.after.as_secs_f64(), moment);
        show::print(&format!("line {line:<8} start {start}  {seconds:>11.6} s  {id}  term {term:<4} {name}\n"));
    };
    match election_node::replay(recording, &mut tell) {
        Ok(Replayed { starts, steps, outputs, torn }) => {
            let torn = if torn > 0 { format!(" ({torn} torn lines passed over)") } else { String::new() };
            show::print(&format!("starts {starts}  inputs {steps}  outputs {outputs}: all as recorded{torn}\n"));
            Ok(ExitCode::SUCCESS)
        }
        Err(error @ ReplayError::Differs { .. }) => {
            show::print(&format!("{error}"));
            Ok(ExitCode::FAILURE)
        }
        Err(error @ (ReplayError::Io { .. } | ReplayError::Malformed { .. })) => Err(Failure::refused(error)),
    }
}

/// One attempt; its exit code.
fn once(arguments: &ReplayArguments, file: &str, seed: Seed, run: &Path) -> Result<u8, Failure> {
    let own = std::env::current_exe().context("find this program's own file")?;
    let mut command = Command::new(own);
    command.args(["run", file, "--quiet", "--seed", &seed.to_string()]).args(arguments.world.words());
    command.arg("--part-of").arg(std::process::id().to_string()).arg("--out").arg(run);
    for change in arguments.changes.overrides() {
        command.arg("--set").arg(change);
    }
    let output = command.stdin(Stdio::null()).output().context("start a run")?;
    let code = output.status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(255);
    if code >= 254 {
        show::print(&String::from_utf8_lossy(&output.stderr));
    }
    Ok(code)
}
