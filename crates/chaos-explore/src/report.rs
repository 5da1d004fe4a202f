//! What a search found, for programs: `explore.json`.
//!
//! ```text
//! { "schema": "chaos.explore/1", "seed": 7, "world": "sim", "workload": "explored", "trials": 4096, "states": 1873,
//!   "first_violation": 41, "strategies": { "swarm": { "trials": 1690, "violations": 3, "new_states": 900 }, … },
//!   "marks": { "candidate": 5120, … }, "marks_never": ["node-ended"], "twice": 41, "mismatches": [],
//!   "violations": { "linearizable": 9 }, "undecided": {}, "broken": {},
//!   "bugs": [ { "signature": "linearizable.isolate-leader", "file": "bugs/linearizable.isolate-leader.yaml", … } ] }
//! ```
//!
//! New keys may come; what a key means does not change without another schema.

use std::collections::BTreeMap;

use chaos_history::Seed;
use serde::Serialize;

use crate::bug::{Bug, Tried};
use crate::judge::MARKS;
use crate::search::{Found, Yield};
use crate::statistics::Share;

/// A search, to be written as JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explored<'a> {
    /// `chaos.explore/1`.
    pub schema: &'static str,
    /// The search's seed.
    pub seed: Seed,
    /// `sim` or `real`.
    pub world: &'static str,
    /// The workload's name.
    pub workload: &'a str,
    /// How many trials were done.
    pub trials: u64,
    /// The number of the first trial that violated anything, from 0.
    pub first_violation: Option<u64>,
    /// How many abstract states were reached.
    pub states: usize,
    /// What each strategy yielded.
    pub strategies: BTreeMap<&'static str, Yield>,
    /// How often each mark was hit.
    pub marks: &'a BTreeMap<&'static str, u64>,
    /// The marks that never were.
    pub marks_never: Vec<&'static str>,
    /// How many trials were run twice.
    pub twice: u64,
    /// Those that did not happen again.
    pub mismatches: &'a [u64],
    /// Trials that violated a check.
    pub violations: &'a BTreeMap<&'static str, u64>,
    /// Trials of which a check said nothing.
    pub undecided: &'a BTreeMap<&'static str, u64>,
    /// Trials that could not be done, by the reason.
    pub broken: &'a BTreeMap<String, u64>,
    /// How long the stages took, by the caller's clock.
    pub seconds: Option<Seconds>,
    /// The bugs.
    pub bugs: Vec<BugFound<'a>>,
}

/// How long the stages of a search took, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Seconds {
    /// Drawing and running plans.
    pub searching: f64,
    /// Making those that fail smaller.
    pub shrinking: f64,
    /// Making minimal ones fail more often, the estimate included.
    pub amplifying: f64,
}

/// A bug, as it is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BugFound<'a> {
    /// What makes it the same bug as another one.
    pub signature: &'a str,
    /// Its file, relative to the search's directory.
    pub file: String,
    /// What is violated.
    pub check: &'static str,
    /// One sentence of the witness.
    pub sentence: &'a str,
    /// A seed under which its plan fails.
    pub seed: Seed,
    /// The number of the trial that found it.
    pub trial: u64,
    /// How that was drawn.
    pub strategy: &'static str,
    /// Fault steps of the plan that was drawn.
    pub faults_drawn: usize,
    /// Fault steps that are left.
    pub faults: usize,
    /// Nodes that are left.
    pub nodes: usize,
    /// Trials that shrinking took.
    pub shrink_runs: usize,
    /// Trials that amplifying took.
    pub amplify_runs: usize,
    /// How often the minimal plan failed before it was amplified.
    pub share_before: Option<Share>,
    /// How often the plan fails under seeds that took no part in making it.
    pub share: Option<Share>,
}

/// Where a bug's plan is kept, relative to the search's directory.
#[must_use]
pub fn file_of(bug: &Bug) -> String {
    format!("bugs/{}.yaml", bug.signature)
}

impl<'a> Explored<'a> {
    /// The report of a search.
    #[must_use]
    pub fn new(found: &'a Found, seed: Seed, tried: Tried, workload: &'a str) -> Self {
        let never = MARKS.into_iter().map(|(name, _)| name).filter(|name| !found.marks.contains_key(name));
        Self {
            schema: "chaos.explore/1",
            seed,
            world: match tried {
                Tried::Simulated => "sim",
                Tried::Real => "real",
            },
            workload,
            trials: found.trials,
            first_violation: found.first_violation,
            states: found.states.len(),
            strategies: found.yields.iter().map(|(strategy, gains)| (strategy.name(), *gains)).collect(),
            marks: &found.marks,
            marks_never: never.collect(),
            twice: found.twice,
            mismatches: &found.mismatches,
            violations: &found.violations,
            undecided: &found.undecided,
            broken: &found.broken,
            seconds: None,
            bugs: found.bugs.iter().map(of_bug).collect(),
        }
    }

    /// The report as JSON.
    ///
    /// # Errors
    /// If it can't be written as JSON, which would be a mistake of this crate.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

fn of_bug(bug: &Bug) -> BugFound<'_> {
    BugFound {
        signature: &bug.signature,
        file: file_of(bug),
        check: bug.check.name(),
        sentence: &bug.sentence,
        seed: bug.seed,
        trial: bug.trial,
        strategy: bug.strategy.name(),
        faults_drawn: bug.faults.0,
        faults: bug.faults.1,
        nodes: bug.workload.nodes,
        shrink_runs: bug.runs.0,
        amplify_runs: bug.runs.1,
        share_before: bug.share_before,
        share: bug.share,
    }
}
