//! `chaos explore [PLAN]`: search for plans under which a promise is broken, make them small, and write them down.
//!
//! ```text
//! reports/explore/<UTC time>-<seed>/
//!     explore.json               what was tried, and what came of it
//!     bugs/<signature>.yaml      a minimal plan each, an ordinary workload
//!     trials/                    with --world real: the runs that violated something
//! ```
//!
//! The search is `chaos-explore`'s and knows no clock; here are its worlds ([`worlds`]), its budget, and what people see of it.

mod progress;
mod worlds;

use std::fs;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use chaos_explore::bug::Bug;
use chaos_explore::generate::Space;
use chaos_explore::{Explored, Found, SearchOptions, ShrinkOptions, Trials, Tried, file_of, search};
use chaos_history::{FaultKind, Seed};
use chaos_plan::System;

use self::progress::Progress;
use self::worlds::{Real, Simulator};
use crate::changes::Changes;
use crate::failure::Failure;
use crate::report::write_whole;
use crate::simulated::WorldKind;
use crate::{run, show};

/// How many plans are tried where nobody says.
const TRIALS_SIMULATED: u64 = 2_000;
const TRIALS_REAL: u64 = 20;

/// Arguments of `chaos explore`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct ExploreArguments {
    /// A workload, or the name of a built-in one: its system, clients and checks are what is tested, and its fault plan is one to start
    /// from. Left out: the reference node, with everything about it drawn.
    plan: Option<String>,
    /// Where plans are tried: sim, in virtual time, for the reference node; or real, in processes, for any system.
    #[arg(long, value_name = "WORLD", value_enum, default_value = "sim")]
    world: WorldKind,
    /// Break the reference node on purpose (see `chaos list`), and see whether the search finds it.
    #[arg(long, value_name = "NAME")]
    specimen: Option<String>,
    /// How many plans to try, each under a seed of its own. Left out: 2000 in the simulator, 20 in processes, or as many as
    /// --time allows.
    #[arg(long, value_name = "N")]
    seeds: Option<NonZeroU64>,
    /// For how long to try, for example 60s or 10min. Shrinking what is found comes on top.
    #[arg(long, value_name = "TIME", value_parser = time)]
    time: Option<Duration>,
    /// The search's own seed: the same finds the same, in the simulator. Left out: a fresh one, which is printed.
    #[arg(long)]
    seed: Option<u64>,
    /// Go on after the first bug.
    #[arg(long)]
    keep_going: bool,
    /// The directory for what is found, which must not exist yet. Left out: reports/explore/<UTC time>-<seed>.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How many processors to use, in the simulator. Left out: all.
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// What is changed of the workload.
    #[command(flatten)]
    changes: Changes,
    /// Print only the summary.
    #[arg(long, short)]
    quiet: bool,
}

const HELP: &str = "\
Examples:
  chaos explore                                 try 2000 plans on the reference node, in the simulator
  chaos explore --specimen read-unconfirmed     does the search find this bug?
  chaos explore --time 10min --keep-going       all bugs of ten minutes
  chaos explore workloads/partition.yaml        vary this workload's faults, and draw others for it
  chaos explore workloads/league/smoke.yaml --system etcd --world real --time 30min
                                                the same search on real processes, some tens of seconds a plan

Every plan is drawn from the search's seed: swarms of faults, faults that follow what is seen (an election, a vote), hand-written
scenarios, changes of your own plan, and changes of plans that reached new states. What breaks a promise is cut down to what still
breaks it, then changed until it does so under most seeds, and written as an ordinary workload that expects its violation:
  chaos run bugs/NAME.yaml --world sim          the same run again
  chaos replay bugs/NAME.yaml --until-violation --attempts auto
                                                on real processes, as often as it should take

Exit codes:
  0  nothing found         1  a safety property can be violated, or the cluster does not recover
  2  nothing was judged    254  the plan or the arguments are wrong, or no trial could be done    255  our own failure";

fn time(text: &str) -> Result<Duration, String> {
    crate::foreign::deadline(text)
}

/// Searches.
pub(crate) fn explore(arguments: &ExploreArguments) -> Result<ExitCode, Failure> {
    let seed = Seed(arguments.seed.unwrap_or_else(|| rand::random::<u32>().into()));
    let space = space(arguments)?;
    let directory = make_directory(arguments, seed)?;
    let threads = match arguments.world {
        WorldKind::Sim => arguments.threads.or(std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN),
        // Runs beside each other take each other's processors.
        WorldKind::Real => NonZeroUsize::MIN,
    };
    let options = options(arguments, seed, threads);
    let (trials, tried): (Box<dyn Trials>, Tried) = match arguments.world {
        WorldKind::Sim => (Box::new(Simulator), Tried::Simulated),
        WorldKind::Real => (Box::new(Real::new(&directory)?), Tried::Real),
    };
    let interrupted = on_interrupt()?;
    let began = Instant::now();
    let until = arguments.time.map(|time| began + time);
    let stop = || interrupted.load(Ordering::Relaxed) || until.is_some_and(|until| Instant::now() >= until);
    let mut progress = Progress::new(arguments.quiet, options.trials_max, &space.base.name, seed);
    let found = search(&*trials, &space, &options, &stop, &mut |found, stage| progress.tell(found, stage));
    let spent = progress.finish();
    let report = Explored { seconds: Some(spent), ..Explored::new(&found, seed, tried, &space.base.name) };
    for bug in &found.bugs {
        let path = directory.join(file_of(bug));
        let named = shown(&path);
        write_whole(&path, &bug.to_yaml(&named, seed, tried))?;
    }
    write_whole(&directory.join("explore.json"), &report.to_json().map_err(anyhow::Error::from)?)?;
    show::print(&summary(&found, &directory, tried));
    conclude(&found)
}

fn options(arguments: &ExploreArguments, seed: Seed, threads: NonZeroUsize) -> SearchOptions {
    let most = |default: u64| match (arguments.seeds, arguments.time) {
        (Some(seeds), _) => Some(seeds.get()),
        (None, Some(_)) => None,
        (None, None) => Some(default),
    };
    let simulated = SearchOptions { keep_going: arguments.keep_going, ..SearchOptions::simulated(seed, threads) };
    match arguments.world {
        WorldKind::Sim => SearchOptions { trials_max: most(TRIALS_SIMULATED), ..simulated },
        WorldKind::Real => SearchOptions {
            trials_max: most(TRIALS_REAL),
            round: 1,
            twice_every: 0,
            // Some tens of seconds each.
            shrink: ShrinkOptions { runs_max: 60, attempts: 3 },
            amplify: None,
            ..simulated
        },
    }
}

/// What may be drawn.
fn space(arguments: &ExploreArguments) -> Result<Space, Failure> {
    let kinds = match arguments.world {
        WorldKind::Sim => chaos_sim::capabilities().faults,
        WorldKind::Real => [
            FaultKind::Kill,
            FaultKind::Pause,
            FaultKind::Partition,
            FaultKind::FreezeHost,
            FaultKind::Link,
            FaultKind::CrashLoop,
            FaultKind::Slow,
            FaultKind::Transfer,
        ]
        .into(),
    };
    let mut space = match &arguments.plan {
        Some(plan) => Space::of(chaos_plan::load(Path::new(plan), &arguments.changes.overrides())?.workload, kinds),
        None if arguments.changes.overrides().is_empty() => Space::of_reference(None, kinds),
        None => {
            return Err(Failure::Refused(anyhow!(
                "changes are of a workload: name one, for example `chaos explore kill`"
            )));
        }
    };
    if let Some(specimen) = &arguments.specimen {
        let System::Raft(options) = &mut space.base.system else {
            let system = space.base.system.name();
            return Err(Failure::Refused(anyhow!(
                "--specimen: only the reference node is broken on purpose, not {system}"
            )));
        };
        options.specimen = Some(specimen.clone());
    }
    run::check_specimen(&space.base)?;
    run::check_loads(&space.base)?;
    match arguments.world {
        WorldKind::Sim => drop(chaos_sim::check(&space.base).map_err(Failure::refused)?),
        WorldKind::Real => {}
    }
    Ok(space)
}

fn make_directory(arguments: &ExploreArguments, seed: Seed) -> Result<PathBuf, Failure> {
    let path = arguments.out.clone().unwrap_or_else(|| {
        let started = jiff::Timestamp::now().strftime("%Y-%m-%dT%H-%M-%SZ");
        PathBuf::from("reports").join("explore").join(format!("{started}-{seed}"))
    });
    let refused = || format!("make the directory {}", path.display());
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).with_context(refused).map_err(Failure::Refused)?;
    fs::create_dir(&path).with_context(refused).map_err(Failure::Refused)?;
    fs::create_dir(path.join("bugs")).with_context(refused).map_err(Failure::Refused)?;
    Ok(path)
}

/// Becomes true at the first Ctrl-C; the second one ends the process.
fn on_interrupt() -> Result<Arc<AtomicBool>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    let asked = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&asked);
    let mut signals = {
        let _inside = runtime.enter();
        signal(SignalKind::interrupt()).context("watch for signals")?
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            signals.recv().await;
            tell.store(true, Ordering::Relaxed);
            signals.recv().await;
            std::process::exit(130);
        });
    });
    Ok(asked)
}

/// A path as a person would type it from here.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn summary(found: &Found, directory: &Path, tried: Tried) -> String {
    let mut lines = Vec::new();
    let world = match tried {
        Tried::Simulated => "simulated",
        Tried::Real => "on real processes",
    };
    let violated: u64 = found.yields.values().map(|gains| gains.violations).sum();
    lines.push(format!(
        "{}  {} plans {world}, {} states reached, {} violated something",
        if violated == 0 { "NOTHING FOUND" } else { "FOUND" },
        found.trials,
        found.states.len(),
        violated,
    ));
    lines.extend(found.bugs.iter().flat_map(|bug| bug_lines(bug, directory)));
    if !found.mismatches.is_empty() {
        lines.push(format!(
            "{} of {} plans did not happen again the same way: a mistake of ours",
            found.mismatches.len(),
            found.twice
        ));
    }
    for (why, count) in &found.broken {
        lines.push(format!("{count} plans could not be tried: {why}"));
    }
    lines.push(directory.join("explore.json").display().to_string());
    lines.join("\n") + "\n"
}

fn bug_lines(bug: &Bug, directory: &Path) -> Vec<String> {
    let path = shown(&directory.join(file_of(bug)));
    let often = bug
        .share
        .map_or_else(String::new, |share| format!(", fails under {} of {} other seeds", share.failed, share.of));
    vec![
        format!("  {}: {}", bug.check.name(), crate::failure::printable(&bug.sentence)),
        format!(
            "    plan {} ({}), {} of {} faults left{often}",
            bug.trial,
            bug.strategy.name(),
            bug.faults.1,
            bug.faults.0
        ),
        format!("    chaos run {path} --world sim"),
        format!("    chaos replay {path} --until-violation --attempts auto"),
    ]
}

fn conclude(found: &Found) -> Result<ExitCode, Failure> {
    let broken: u64 = found.broken.values().sum();
    if !found.bugs.is_empty() || found.first_violation.is_some() {
        return Ok(ExitCode::from(1));
    }
    if !found.mismatches.is_empty() {
        return Err(Failure::Broken(anyhow!("the simulator did not repeat itself: plans {:?}", found.mismatches)));
    }
    match found.broken.keys().next() {
        Some(why) if broken == found.trials => Err(Failure::Refused(anyhow!("no plan could be tried: {why}"))),
        Some(_) | None => Ok(ExitCode::from(if found.trials == 0 { 2 } else { 0 })),
    }
}
