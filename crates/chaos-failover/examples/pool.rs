//! Pools the failovers of several saved runs of one workload: `cargo run --example pool -- reports/partition/*`.
//!
//! One run has too few failovers for a p99, which needs 299; twenty runs have enough.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program")]

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use chaos_failover::{Failover, Floor, Timing, analyse, distributions};
use chaos_history::{History, RunDir};
use chaos_plan::{Source, System, load_source};

type Error = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let directories: Vec<String> = std::env::args().skip(1).collect();
    match pool(&directories) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(254)
        }
    }
}

fn pool(directories: &[String]) -> Result<(), Error> {
    let mut floor = None;
    let mut failovers = Vec::new();
    for directory in directories {
        let saved = RunDir::open(Path::new(directory)).map_err(|error| format!("{directory}: {error}"))?;
        let timing = timing(&saved)?;
        let analysis = analyse(&History::read(&saved.history())?, Some(&timing));
        println!("{directory}: {} failovers, outage max {:?}", analysis.failovers.len(), analysis.outage_max());
        failovers.extend(analysis.failovers);
        floor = Floor::of(&timing);
    }
    print(&failovers, floor.as_ref());
    Ok(())
}

fn timing(saved: &RunDir) -> Result<Timing, Error> {
    let name = saved.plan().display().to_string();
    let source = Source { text: std::fs::read_to_string(&name)?, name };
    let workload = load_source(source, &[], &|_| Err(std::io::ErrorKind::NotFound.into()))?.workload;
    let System::Raft(options) = &workload.system;
    Ok(Timing::of_raft(workload.nodes, options, Duration::from_micros(100), Duration::ZERO))
}

fn print(failovers: &[Failover], floor: Option<&Floor>) {
    let milliseconds = |duration: Duration| format!("{:.1}", duration.as_secs_f64() * 1e3);
    let or_dash = |duration: Option<Duration>| duration.map_or("–".to_owned(), milliseconds);
    println!("\nkind phase n min p50 p90 p95 p99 max floor mean-expected p50/mean stalled   (milliseconds)");
    for distribution in distributions(&failovers.iter().collect::<Vec<_>>()) {
        let figures = &distribution.figures;
        let theory = floor.and_then(|floor| floor.of_phase(distribution.phase));
        let mean = theory.and_then(|theory| theory.mean);
        let ratio = figures.p50.zip(mean).map(|(p50, mean)| p50.as_secs_f64() / mean.as_secs_f64());
        println!(
            "{} {} {} {} {} {} {} {} {} {} {} {} {}",
            distribution.kind.name(),
            distribution.phase.name(),
            figures.n,
            milliseconds(figures.min),
            or_dash(figures.p50),
            or_dash(figures.p90),
            or_dash(figures.p95),
            or_dash(figures.p99),
            milliseconds(figures.max),
            or_dash(theory.map(|theory| theory.min)),
            or_dash(mean),
            ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}")),
            distribution.stalled,
        );
    }
    let never = failovers.iter().filter(|failover| failover.new.is_none()).count();
    println!("{} failovers in all, {never} of them without a new leader", failovers.len());
}
