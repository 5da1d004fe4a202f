//! Holds simulated failovers against real ones: `against RUN…` takes saved real runs of one workload, simulates the same workload with the
//! same seeds and as many more, and prints a row per kind of fault and phase. `scripts/sim-against-real.sh` makes the table.

use std::fs;
use std::path::Path;
use std::time::Duration;

use chaos_failover::analyse;
use chaos_history::{FaultKind, History, RunDir, Seed};
use chaos_plan::expect::Phase;
use chaos_plan::{Source, Workload, load_source};
use chaos_sim::{SimOptions, simulate};

/// How many simulated runs stand against each real one.
const SIMULATED_PER_REAL: u64 = 5;
const PHASES: [(Phase, &str); 3] =
    [(Phase::Detected, "detected"), (Phase::Elected, "elected"), (Phase::Writable, "writable")];

fn workload(directory: &RunDir) -> Result<Workload, Box<dyn std::error::Error>> {
    let source = Source { name: directory.plan().display().to_string(), text: fs::read_to_string(directory.plan())? };
    Ok(load_source(source, &[], &|_| Err(std::io::ErrorKind::NotFound.into()))?.workload)
}

fn median(mut samples: Vec<Duration>) -> Option<Duration> {
    samples.sort_unstable();
    samples.get(samples.len() / 2).copied()
}

#[expect(clippy::print_stdout, reason = "it is what the script reads")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directories: Vec<String> = std::env::args().skip(1).collect();
    let (mut real, mut simulated) = (Vec::new(), Vec::new());
    for directory in &directories {
        let directory = RunDir::open(Path::new(directory))?;
        let workload = workload(&directory)?;
        let history = History::read(&directory.history())?;
        let seed = history.header.seed;
        real.push(analyse(&history, None));
        for more in 0..SIMULATED_PER_REAL {
            let run = simulate(&workload, Seed(seed.0.wrapping_add(more << 32)), &SimOptions::default())?;
            simulated.push(analyse(&run.history, None));
        }
    }
    for kind in FaultKind::ALL {
        for (phase, name) in PHASES {
            let of = |analyses: &[chaos_failover::Analysis]| -> Vec<Duration> {
                analyses.iter().flat_map(|analysis| analysis.samples(kind, phase)).collect()
            };
            let (here, there) = (of(&simulated), of(&real));
            let (n_sim, n_real) = (here.len(), there.len());
            if let (Some(sim), Some(real)) = (median(here), median(there)) {
                let off = 100.0 * (sim.as_secs_f64() / real.as_secs_f64() - 1.0);
                let (sim, real) = (sim.as_secs_f64() * 1e3, real.as_secs_f64() * 1e3);
                println!(
                    "| {} | {name} | {real:.1} ms ({n_real}) | {sim:.1} ms ({n_sim}) | {off:+.1} % |",
                    kind.name()
                );
            }
        }
    }
    Ok(())
}
