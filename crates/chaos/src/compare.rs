//! `chaos compare A B`: from run directories, sets and baselines to two pools, and from those to a verdict.
//!
//! A side is one or more of: a run directory, a set's directory (`chaos run --repeat`), a folder of run directories, or a
//! baseline, which is a pool as one file, so that CI needs not keep the runs themselves:
//!
//! ```json
//! {"schema":"chaos.baseline/1","chaos":"0.1.0","pool":{"system":{"workload":"kill","system":"raft","nodes":5,…},"runs":[…]}}
//! ```
//!
//! Runs are read from their `report.json`; nothing is judged again. Refuses a side whose runs are not of one thing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use chaos_failover::{CompareOptions, Pool, PooledRun, Setting, SystemFacts};
use chaos_history::{RunDir, Seed};
use chaos_report::{CompareReport, Report, RunSet, SetRun};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::show;

const BASELINE_SCHEMA: &str = "chaos.baseline/1";

/// The exit code of a run that nobody saw end.
const BROKEN: u8 = 255;

/// The parts of a plan that are compared as settings.
const SETTINGS: [&str; 4] = ["system", "network", "observe", "clients"];

/// Arguments of `chaos compare`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct CompareArguments {
    /// A and B; or, with --vs or --save-baseline, the runs of A alone.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The runs of B, where A is more than one path.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    vs: Vec<PathBuf>,
    /// Write the runs to a file that later runs can be compared with, and compare nothing.
    #[arg(long, value_name = "FILE", conflicts_with = "vs")]
    save_baseline: Option<PathBuf>,
    /// The least difference worth a verdict, as a share of A's figure.
    #[arg(long, value_name = "SHARE", default_value = "5%", value_parser = share)]
    min_effect: u32,
    /// How many resamples the intervals are made of.
    #[arg(long, value_name = "N", default_value = "10000", value_parser = clap::value_parser!(u32).range(10_000..=1_000_000))]
    resamples: u32,
    /// How to print it.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: CompareFormat,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum CompareFormat {
    /// For a terminal.
    Text,
    /// For programs: chaos.compare/1.
    Json,
    /// For a page on GitHub.
    Markdown,
}

const HELP: &str = "\
Examples:
  chaos compare reports/kill/<set-a> reports/kill/<set-b>     is B slower than A?
  chaos compare old/* --vs new/*                              several directories a side
  chaos compare --save-baseline main.json reports/kill/<set>  keep a pool of runs as one file
  chaos compare main.json reports/kill/<set>                  and compare later runs with it

A path is a run directory, a set's directory (chaos run --repeat), a folder of run directories, or a baseline.
A verdict needs a 95 % interval without zero, after correction for all figures of the table, and a difference above
--min-effect and above the measurement's own error. Medians take 10 samples a side, 90th percentiles 59. They are
interpolated here, as the bootstrap needs them; a report quotes a sample, the nearest rank.

Exit codes:
  0  no regression        1  B violates safety        2  too few samples to say anything
  3  B is slower, or elects nobody more often         254  what is named can't be compared";

/// Compares, or saves a baseline.
pub(crate) fn compare(arguments: &CompareArguments) -> Result<ExitCode, Failure> {
    if let Some(file) = &arguments.save_baseline {
        let pool = pool(&arguments.paths)?;
        return save(file, &pool);
    }
    let (of_a, of_b) = match (arguments.paths.as_slice(), arguments.vs.as_slice()) {
        ([a, b], []) => (std::slice::from_ref(a), std::slice::from_ref(b)),
        (paths, []) => {
            let n = paths.len();
            let why = anyhow!("compare takes two paths, not {n}: for more, write A… --vs B…");
            return Err(Failure::Refused(why));
        }
        (a, b) => (a, b),
    };
    let options = CompareOptions {
        min_effect_millionths: arguments.min_effect,
        resamples: arguments.resamples.try_into().context("so many resamples").map_err(Failure::Refused)?,
        ..CompareOptions::default()
    };
    let (pool_a, pool_b) = (pool(of_a)?, pool(of_b)?);
    let found = match chaos_failover::compare(&pool_a, &pool_b, &options) {
        Ok(found) => found,
        // Whatever can't be compared: that B violates safety is told first.
        Err(error) if pool_b.violated().0 > 0 => {
            let (violated, runs) = pool_b.violated();
            show::print(&format!("FAIL  {violated} of B's {runs} runs violate safety; beyond that, {error}\n"));
            return Ok(ExitCode::from(1));
        }
        Err(error) => return Err(Failure::refused(error)),
    };
    let report = CompareReport::new(env!("CARGO_PKG_VERSION"), named(of_a), named(of_b), found);
    show::print(&match arguments.format {
        CompareFormat::Text => report.to_text(),
        CompareFormat::Json => report.to_json().map_err(anyhow::Error::from)?,
        CompareFormat::Markdown => report.to_markdown(),
    });
    Ok(ExitCode::from(report.exit_code))
}

/// `5%` or `0.05`, in parts per million.
fn share(text: &str) -> Result<u32, String> {
    let why = || "write a share such as 5% or 0.05, at most 100%".to_owned();
    let (number, scale) = match text.strip_suffix('%') {
        Some(number) => (number, 1e4),
        None => (text, 1e6),
    };
    let value: f64 = number.trim().parse().map_err(|_| why())?;
    let millionths = value * scale;
    if !(0.0..=1e6).contains(&millionths) {
        return Err(why());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range has been checked")]
    Ok(millionths.round() as u32)
}

fn named(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths.iter().take(3).map(|path| path.display().to_string()).collect();
    let more = if paths.len() > 3 { format!(" and {} more", paths.len() - 3) } else { String::new() };
    format!("{}{more}", shown.join(" "))
}

fn save(file: &Path, pool: &Pool) -> Result<ExitCode, Failure> {
    use std::io::Write;
    let pool_json = serde_json::to_value(pool).context("write the baseline")?;
    let baseline = json!({ "schema": BASELINE_SCHEMA, "chaos": env!("CARGO_PKG_VERSION"), "pool": pool_json });
    let text = format!("{baseline:#}\n");
    fs::File::create_new(file)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("write the baseline {}", file.display()))
        .map_err(Failure::Refused)?;
    let (runs, failovers) = (pool.runs.len(), pool.failovers().count());
    show::print(&format!("{}: {runs} runs with {failovers} failovers\n", file.display()));
    Ok(ExitCode::SUCCESS)
}

/// All runs that the paths of one side name.
fn pool(paths: &[PathBuf]) -> Result<Pool, Failure> {
    let mut all: Option<Pool> = None;
    let mut seen = BTreeSet::new();
    for path in paths {
        let found = one(path, &mut seen).map_err(Failure::Refused)?;
        match &mut all {
            None => all = Some(found),
            Some(all) => join(all, found, path).map_err(Failure::Refused)?,
        }
    }
    all.ok_or_else(|| Failure::Refused(anyhow!("a side has no path")))
}

/// What one path names. No run may be `seen` already on the same side: named twice, it would count as two.
fn one(path: &Path, seen: &mut BTreeSet<PathBuf>) -> anyhow::Result<Pool> {
    let shown = path.display();
    if path.is_file() {
        return baseline(path).with_context(|| format!("read the baseline {shown}"));
    }
    if RunDir::at(path).report_json().is_file() {
        return run(path, seen);
    }
    let set: Option<RunSet> = match fs::read_to_string(path.join("set.json")) {
        Ok(text) => Some(serde_json::from_str(&text).with_context(|| format!("understand {shown}/set.json"))?),
        Err(_) => None,
    };
    let mut children: Vec<PathBuf> = fs::read_dir(path)
        .with_context(|| format!("read {shown}"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|child| RunDir::open(child).is_ok())
        .collect();
    children.sort();
    let mut all: Option<Pool> = None;
    let mut without_report = Vec::new();
    for child in children {
        let name = child.file_name().unwrap_or_default();
        let listed = set.iter().flat_map(|set| &set.runs).find(|run| name == run.directory.as_str());
        if set.is_some() && !RunDir::at(&child).report_json().is_file() {
            without_report.push((listed, child));
            continue;
        }
        let mut found = run(&child, seen)?;
        // The set may know more than the report says: a run may have broken after it had written that.
        let known = listed.map(|listed| listed.exit_code).filter(|code| *code == 1);
        found.runs.iter_mut().for_each(|run| run.exit_code = known.unwrap_or(run.exit_code));
        match &mut all {
            None => all = Some(found),
            Some(all) => join(all, found, &child)?,
        }
    }
    let mut all = all.ok_or_else(|| anyhow!("{shown} is no run directory, and holds none that has a report.json"))?;
    // Runs that broke have no report; a side that hides them would look better than it is.
    for (listed, child) in without_report {
        let exit_code = listed.map_or(BROKEN, |listed| listed.exit_code);
        let seed = listed.map_or(Seed(0), |listed| listed.seed);
        if exit_code < 254 && exit_code != 2 && exit_code != 1 {
            let child = child.display();
            return Err(anyhow!("{child} has no report.json, though set.json says that it ended with {exit_code}"));
        }
        all.runs.push(PooledRun { seed, exit_code, failovers: Vec::new() });
    }
    let gone = |run: &&SetRun| !path.join(&run.directory).is_dir();
    for lost in set.iter().flat_map(|set| &set.runs).filter(gone) {
        all.runs.push(PooledRun { seed: lost.seed, exit_code: lost.exit_code, failovers: Vec::new() });
    }
    Ok(all)
}

/// Adds runs to a side. They must be of one thing, or the side means nothing.
fn join(all: &mut Pool, more: Pool, path: &Path) -> anyhow::Result<()> {
    let (one, other) = (&all.system, &more.system);
    let differs = |what: &str, a: &str, b: &str| {
        let path = path.display();
        Err(anyhow!("{path} is of another thing than the runs before it on the same side: {what} is {b}, not {a}"))
    };
    if (&one.system, one.nodes) != (&other.system, other.nodes) {
        return differs(
            "system",
            &format!("{}, {}", one.system, one.nodes),
            &format!("{}, {}", other.system, other.nodes),
        );
    }
    if one.workload != other.workload {
        return differs("workload", &one.workload, &other.workload);
    }
    for setting in &other.settings {
        let before = one.settings.iter().find(|before| before.name == setting.name);
        match before {
            Some(before) if before.value == setting.value => {}
            Some(before) => return differs(&setting.name, &before.value, &setting.value),
            None => return differs(&setting.name, "left out", &setting.value),
        }
    }
    all.runs.extend(more.runs);
    Ok(())
}

fn baseline(path: &Path) -> anyhow::Result<Pool> {
    let mut value: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
    match value.get("schema").and_then(Value::as_str) {
        Some(BASELINE_SCHEMA) => {}
        Some(other) => return Err(anyhow!("it is `{other}`, not `{BASELINE_SCHEMA}`")),
        None => return Err(anyhow!("it has no `schema`, so it is no baseline")),
    }
    Ok(serde_json::from_value(value["pool"].take())?)
}

fn run(path: &Path, seen: &mut BTreeSet<PathBuf>) -> anyhow::Result<Pool> {
    let place = path.canonicalize().with_context(|| format!("find {}", path.display()))?;
    if !seen.insert(place) {
        return Err(anyhow!("{} is named twice on one side: a run counts once", path.display()));
    }
    let saved = RunDir::at(path);
    let read = |file: PathBuf| {
        let why = || format!("read {} (`chaos report {}` makes a missing report)", file.display(), path.display());
        fs::read_to_string(&file).with_context(why)
    };
    let report: Report = serde_json::from_str(&read(saved.report_json())?)
        .with_context(|| format!("understand {}", saved.report_json().display()))?;
    let plan = read(saved.plan())?;
    let is_host = |name: &str| matches!(name, "kernel" | "processors");
    let host = report.host.iter().filter(|fact| is_host(&fact.name));
    Ok(Pool {
        system: SystemFacts {
            workload: report.run.workload.clone(),
            system: report.run.system.clone(),
            nodes: report.run.nodes,
            versions: vec![Setting::new("chaos", report.chaos.clone())],
            settings: settings(&plan),
            host: host.map(|fact| Setting::new(&fact.name, &fact.value)).collect(),
        },
        runs: vec![PooledRun {
            seed: report.run.seed,
            exit_code: report.exit_code,
            failovers: report.measured.failovers.iter().map(Into::into).collect(),
        }],
    })
}

/// What a saved plan sets, by the names that `--set` knows: `system.raft.heartbeat`. A saved plan is written by us, with every
/// default filled in and one entry a line, so that lines and their indents are all that there is to read.
fn settings(plan: &str) -> Vec<Setting> {
    let mut above: Vec<(usize, String)> = Vec::new();
    let mut settings = Vec::new();
    for line in plan.lines() {
        let entry = line.trim_start_matches([' ', '-']);
        let Some((key, value)) = entry.split_once(':') else { continue };
        let indent = line.len() - entry.len();
        above.retain(|(of, _)| *of < indent);
        above.push((indent, key.to_owned()));
        let wanted = SETTINGS.contains(&above[0].1.as_str());
        if wanted && !value.trim().is_empty() {
            let name: Vec<&str> = above.iter().map(|(_, key)| key.as_str()).collect();
            settings.push(Setting::new(name.join("."), value.trim()));
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_the_names_that_set_knows() {
        let loaded = chaos_plan::load(Path::new("kill"), &["system.raft.heartbeat=20ms".to_owned()]);
        let Ok(loaded) = loaded else { panic!("the built-in workload is valid") };
        let settings = settings(&chaos_plan::resolved_yaml(&loaded.workload));
        let value = |name: &str| settings.iter().find(|setting| setting.name == name).map(|s| s.value.as_str());
        assert_eq!(value("system.raft.heartbeat"), Some("20ms"));
        assert_eq!(value("system.raft.election-timeout"), Some("150ms..300ms"));
        assert_eq!(value("clients.register.rate"), Some("200/s"));
        assert!(settings.iter().all(|setting| !setting.name.starts_with("faults")), "{settings:?}");
    }

    #[test]
    fn a_share_is_per_cent_or_a_fraction() {
        assert_eq!((share("5%"), share("0.05"), share("2.5 %")), (Ok(50_000), Ok(50_000), Ok(25_000)));
        for wrong in ["", "five", "-1%", "101%", "NaN", "inf"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }
}
