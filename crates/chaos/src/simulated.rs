//! `chaos run --world sim`: the same order, carried out in virtual time.
//!
//! The run directory, the verdict, the reports and the exit code are made as those of a real run are. What differs is said: in the history's
//! header, in the report, and in the command that runs it again.

use std::path::Path;
use std::process::ExitCode;

use anyhow::anyhow;
use chaos_cluster::Recorder;
use chaos_history::{Event, Header, HistoryError, RunNanos, Seed};
use chaos_sim::{SimError, SimOptions, Sink};

use crate::failure::{Failure, never_hides_a_violation};
use crate::follow::{Alarms, Follow};
use crate::run::{self, Order};
use crate::{judge, report};

/// Where a run takes place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum WorldKind {
    /// In processes.
    #[default]
    Real,
    /// In virtual time.
    Sim,
}

impl WorldKind {
    /// How a command line asks for it.
    pub(crate) fn words(self) -> Vec<String> {
        match self {
            Self::Real => Vec::new(),
            Self::Sim => ["--world", "sim"].map(str::to_owned).to_vec(),
        }
    }
}

/// The recorder of real runs.
struct ToFile(Recorder);

impl Sink for ToFile {
    type Error = HistoryError;

    fn record(&mut self, at: RunNanos, event: &Event) -> Result<(), HistoryError> {
        self.0.record(at, event.clone())
    }
}

/// Simulates what was ordered, to its verdict.
pub(crate) fn follow_out(order: &Order<'_>, follow: &mut dyn Follow, alarms: Alarms) -> Result<ExitCode, Failure> {
    let loaded = chaos_plan::load(Path::new(&order.asked.workload), &order.asked.changes.overrides())?;
    let (mut workload, written) = (loaded.workload, loaded.sources.into_iter().next());
    run::check_specimen(&workload)?;
    let seed = order.asked.seed.map(Seed).or(workload.seed).unwrap_or_else(|| Seed(rand::random::<u32>().into()));
    workload.seed = Some(seed);
    // Before anything is made: a plan that can't be simulated leaves no directory behind.
    chaos_sim::check(&workload).map_err(refused)?;
    run::init_log();

    let started = jiff::Timestamp::now();
    let directory = run::begin(order, &workload, seed, &started, follow)?;
    let header = Header {
        // That of the place where it was simulated, for people who look for it.
        started: started.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        ..chaos_sim::header(&workload, seed)
    };
    let recorder = Recorder::create(&directory.history(), &header).map_err(anyhow::Error::from)?;
    let properties = judge::properties_of(&workload);
    let watching =
        if order.asked.stop_on_violation { chaos_sim::Watching::For(properties) } else { chaos_sim::Watching::Nothing };
    let options = SimOptions { watching, ..SimOptions::default() };
    let simulated = chaos_sim::simulate_into(&workload, seed, &options, ToFile(recorder), &mut |now, event, engine| {
        follow.update(now, event, engine);
    });
    let (simulated, sink) = simulated.map_err(refused)?;
    let ToFile(mut recorder) = sink;
    recorder.flush_if_due(RunNanos(u64::MAX)).map_err(anyhow::Error::from)?;
    if let Some(alarm) = simulated.alarm {
        alarms.leave(alarm);
    }
    follow.finish();

    let (report, written) = run::judged(&directory, written.as_ref())?;
    run::tell(follow, &report, &directory, &workload, simulated.finished);
    let code = report::for_ci(&directory, &report);
    never_hides_a_violation(written, report.exit_code)?;
    Ok(ExitCode::from(code))
}

fn refused(error: SimError) -> Failure {
    match error {
        SimError::NotOurs(_)
        | SimError::Program(_)
        | SimError::NothingToHold
        | SimError::NoPackets
        | SimError::Missing { .. } => Failure::Refused(anyhow!("{error}")),
        SimError::History(_) | SimError::Runaway(_) => Failure::Broken(anyhow::Error::from(error)),
    }
}
