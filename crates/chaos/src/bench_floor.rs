//! `chaos bench-floor SET…`: how far is a system from the timeouts that it declares?
//!
//! Reads the saved runs of a sweep, one set or run per setting of timeouts and heartbeat, and fits the formula's three parts to
//! the measured times of detection (see `chaos_failover::fit`). Only failovers by `kill` count, which is what the formula is
//! about. Refuses to run anything: `scripts/bench-floor.sh` runs a sweep.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use chaos_failover::{Estimate, Fit, SweepPoint, fit};
use chaos_history::{FaultKind, RunDir};
use chaos_plan::expect::Phase;
use chaos_report::Report;
use serde_json::json;

use crate::failure::Failure;
use crate::show;

/// Enough for the two ends of an interval.
const RESAMPLES: usize = 2_000;

/// Arguments of `chaos bench-floor`.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchFloorArguments {
    /// Run directories, or sets (chaos run --repeat), of at least five settings of timeouts and heartbeat.
    #[arg(required = true, value_name = "DIR")]
    directories: Vec<PathBuf>,
    /// How to print it.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: FitFormat,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum FitFormat {
    /// For a terminal.
    Text,
    /// For programs: chaos.fit/1.
    Json,
}

/// Fits a sweep.
pub(crate) fn bench_floor(arguments: &BenchFloorArguments) -> Result<ExitCode, Failure> {
    let mut sweep: Vec<SweepPoint> = Vec::new();
    for directory in &arguments.directories {
        for report in reports(directory).map_err(Failure::Refused)? {
            add(&mut sweep, &report, directory).map_err(Failure::Refused)?;
        }
    }
    let found = fit(&sweep, RESAMPLES, 1).map_err(Failure::refused)?;
    show::print(&match arguments.format {
        FitFormat::Text => text(&found),
        FitFormat::Json => {
            let fit = serde_json::to_value(&found).context("write the fit")?;
            format!("{:#}\n", json!({ "schema": "chaos.fit/1", "chaos": env!("CARGO_PKG_VERSION"), "fit": fit }))
        }
    });
    Ok(ExitCode::SUCCESS)
}

/// The reports of a run or of a set.
fn reports(directory: &Path) -> anyhow::Result<Vec<Report>> {
    let read = |path: &Path| -> anyhow::Result<Report> {
        let file = RunDir::at(path).report_json();
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        serde_json::from_str(&text).with_context(|| format!("understand {}", file.display()))
    };
    if RunDir::at(directory).report_json().is_file() {
        return Ok(vec![read(directory)?]);
    }
    let mut children: Vec<PathBuf> = fs::read_dir(directory)
        .with_context(|| format!("read {}", directory.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|child| RunDir::at(child).report_json().is_file())
        .collect();
    children.sort();
    if children.is_empty() {
        return Err(anyhow!("{} is no run directory, and holds none that has a report.json", directory.display()));
    }
    children.iter().map(|child| read(child)).collect()
}

fn add(sweep: &mut Vec<SweepPoint>, report: &Report, directory: &Path) -> anyhow::Result<()> {
    let timing = report.measured.floor.and_then(|floor| floor.timing).filter(|timing| !timing.mixed);
    let timing = timing.with_context(|| {
        let path = directory.display();
        format!("{path} has a report without timeouts that are those of all nodes: if it is old, write it again with `chaos report`")
    })?;
    let detected = report.measured.samples(FaultKind::Kill, Phase::Detected);
    match sweep.iter_mut().find(|point| point.timing == timing) {
        Some(point) => point.detected.extend(detected),
        None => sweep.push(SweepPoint { timing, detected }),
    }
    Ok(())
}

fn text(fit: &Fit) -> String {
    let ms = |ns: i64| format!("{:.1} ms", ns as f64 / 1e6);
    let share = |millionths: i64| format!("{:.3}", millionths as f64 / 1e6);
    let row = |name: &str, estimate: Estimate, written: &dyn Fn(i64) -> String, declared: Option<i64>| {
        let interval = format!("[{}, {}]", written(estimate.lo), written(estimate.hi));
        let words = match declared {
            None => "what no setting explains: latency, scheduling, the poll",
            Some(declared) if estimate.holds(declared) => "as declared",
            Some(declared) if estimate.value > declared => "more than declared",
            Some(_) => "less than declared",
        };
        format!("  {name:<26}{:>10}  {interval:<22}{words}\n", written(estimate.value))
    };
    let mut out = format!("{} failovers under {} settings, 95 % intervals\n", fit.failovers, fit.settings);
    out.push_str(&row("offset", fit.offset_ns, &ms, None));
    for (name, estimate) in [
        ("shortest timeout × ", fit.timeout_millionths),
        ("range ÷ nodes × ", fit.range_millionths),
        ("− heartbeat ÷ 2 × ", fit.heartbeat_millionths),
    ] {
        out.push_str(&row(name, estimate, &share, Some(1_000_000)));
    }
    let residual = Duration::from_nanos(fit.residual_ns).as_secs_f64() * 1e3;
    out.push_str(&format!(
        "  {:<26}{:>10}  most of it is the timeouts' own randomness\n",
        "left over",
        format!("{residual:.1} ms")
    ));
    out
}
