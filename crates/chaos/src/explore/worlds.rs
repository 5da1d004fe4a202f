//! The worlds that a search can be made in: the simulator, and this very program run again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use chaos_check::Budget;
use chaos_explore::{Outcome, Trials, demands, judge};
use chaos_history::{History, RunDir, Seed};
use chaos_plan::{Workload, resolved_yaml};
use chaos_sim::{SimOptions, simulate};

use crate::failure::Failure;

/// In virtual time.
pub(super) struct Simulator;

impl Trials for Simulator {
    fn run(&self, workload: &Workload, seed: Seed) -> Outcome {
        match simulate(workload, seed, &SimOptions::default()) {
            Ok(simulated) => {
                let outcome = judge(&simulated.history, &demands(workload), &Budget::default());
                Outcome { hash: Some(simulated.hash), ..outcome }
            }
            Err(error) => Outcome { broken: Some(error.to_string()), ..Outcome::default() },
        }
    }
}

/// In processes: each trial is a run of its own, since a run leaves the host by forking, which a process with threads can't do.
pub(super) struct Real {
    directory: PathBuf,
    program: PathBuf,
    next: AtomicU64,
}

impl Real {
    /// Runs under this directory. Those that violate nothing are removed.
    pub(super) fn new(directory: &Path) -> Result<Self, Failure> {
        let trials = directory.join("trials");
        fs::create_dir(&trials).with_context(|| format!("make {}", trials.display()))?;
        let program = std::env::current_exe().context("find this program's own file")?;
        Ok(Self { directory: trials, program, next: AtomicU64::new(1) })
    }

    fn carry_out(&self, workload: &Workload, seed: Seed) -> anyhow::Result<Outcome> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let plan = self.directory.join(format!("{number:05}.yaml"));
        let run = self.directory.join(format!("{number:05}"));
        fs::write(&plan, resolved_yaml(workload)).with_context(|| format!("write {}", plan.display()))?;
        let output = Command::new(&self.program)
            .arg("run")
            .arg(&plan)
            .args(["--quiet", "--seed", &seed.to_string(), "--part-of", &std::process::id().to_string(), "--out"])
            .arg(&run)
            .stdin(Stdio::null())
            .output()
            .context("start a run")?;
        if output.status.code().is_none_or(|code| code >= 254) {
            let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Ok(Outcome { broken: Some(words), ..Outcome::default() });
        }
        let history = History::read(&RunDir::at(&run).history()).context("read a run")?;
        let outcome = judge(&history, &demands(workload), &Budget::default());
        if outcome.violations.is_empty() {
            fs::remove_dir_all(&run).with_context(|| format!("remove {}", run.display()))?;
            fs::remove_file(&plan).with_context(|| format!("remove {}", plan.display()))?;
        }
        Ok(outcome)
    }
}

impl Trials for Real {
    fn run(&self, workload: &Workload, seed: Seed) -> Outcome {
        self.carry_out(workload, seed)
            .unwrap_or_else(|error| Outcome { broken: Some(format!("{error:#}")), ..Outcome::default() })
    }
}
