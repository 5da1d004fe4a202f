//! The search itself: draw, run, remember what is new, and make something of what fails.
//!
//! Trials are done in rounds. All plans of a round are drawn from what was known before it, and their outcomes are taken in by
//! their numbers,
//! so a search of the same seed finds the same in the same order on any number of processors. Nothing is timed here: whoever has a clock
//! says when to stop.
//!
//! *Bugs.* A violation is shrunk and amplified, and is a new bug if its signature is new. Most further violations of the same check are
//! the same bug again, so each check is pursued only until a few in a row brought nothing new.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use chaos_history::Seed;
use chaos_plan::Workload;

use crate::amplify::{AmplifyOptions, amplify};
use crate::bug::Bug;
use crate::generate::{Drawn, Space, Strategy, draw};
use crate::pool;
use crate::shrink::{Failing, ShrinkOptions, shrink};
use crate::signature::signature;
use crate::tree::fault_numbers;
use crate::trials::{Outcome, Trials};

/// What a search may spend, and when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchOptions {
    /// Everything is drawn from it.
    pub seed: Seed,
    /// How many trials at most; `None`: until it is told to stop.
    pub trials_max: Option<u64>,
    /// Whether it goes on after the first bug.
    pub keep_going: bool,
    /// How many trials share what is known: many for all processors, 1 where a trial takes seconds.
    pub round: usize,
    /// How many processors.
    pub threads: NonZeroUsize,
    /// One in so many trials is run twice, and must happen again; 0: none.
    pub twice_every: u64,
    /// What shrinking may cost.
    pub shrink: ShrinkOptions,
    /// What amplifying may cost; `None`: bugs are not amplified.
    pub amplify: Option<AmplifyOptions>,
}

impl SearchOptions {
    /// A search on a simulator.
    #[must_use]
    pub fn simulated(seed: Seed, threads: NonZeroUsize) -> Self {
        Self {
            seed,
            trials_max: None,
            keep_going: false,
            round: 32,
            threads,
            twice_every: 100,
            shrink: ShrinkOptions::default(),
            amplify: Some(AmplifyOptions::default()),
        }
    }
}

/// What a search has come to, at any moment of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// How many trials were done.
    pub trials: u64,
    /// How many of them violated a check, by the check.
    pub violations: BTreeMap<&'static str, u64>,
    /// Of how many of them something stayed undecided, by the check.
    pub undecided: BTreeMap<&'static str, u64>,
    /// The trials that could not be done, by the reason.
    pub broken: BTreeMap<String, u64>,
    /// All abstract states that were reached.
    pub states: BTreeSet<u64>,
    /// How often each mark was hit.
    pub marks: BTreeMap<&'static str, u64>,
    /// What each strategy yielded.
    pub yields: BTreeMap<Strategy, Yield>,
    /// How many trials were run twice.
    pub twice: u64,
    /// The numbers of those that did not happen again.
    pub mismatches: Vec<u64>,
    /// The number of the first trial that violated anything.
    pub first_violation: Option<u64>,
    /// The bugs, by the order in which they were found.
    pub bugs: Vec<Bug>,
}

/// What a strategy yielded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Yield {
    /// How many plans it drew.
    pub trials: u64,
    /// How many of them violated a check.
    pub violations: u64,
    /// How many states they reached that no trial had reached before.
    pub new_states: u64,
}

/// What is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Plans are drawn and run.
    Searching,
    /// A violation of this check is made smaller.
    Shrinking(&'static str),
    /// A minimal plan for this check is made to fail more often.
    Amplifying(&'static str),
}

/// How many plans are kept for changing.
const CORPUS_MAX: usize = 64;
/// A plan is worth keeping if it reached so many states that no other had.
const NEW_STATES_MIN: usize = 3;
/// How many violations of a check in a row may bring nothing new before it is left alone.
const SAME_AGAIN_MAX: u32 = 3;

/// Searches until it has a bug, has spent its trials, or is told to stop.
pub fn search(
    trials: &dyn Trials,
    space: &Space,
    options: &SearchOptions,
    stop: &(dyn Fn() -> bool + Sync),
    watch: &mut dyn FnMut(&Found, Stage),
) -> Found {
    let mut search =
        Search { trials, space, options, corpus: Vec::new(), same_again: BTreeMap::new(), found: Found::default() };
    loop {
        let left = options.trials_max.map_or(u64::MAX, |most| most.saturating_sub(search.found.trials));
        let round = u64::try_from(options.round.max(1)).unwrap_or(u64::MAX).min(left);
        if round == 0 || stop() {
            return search.found;
        }
        let first = search.found.trials;
        let numbers: Vec<u64> = (first..first + round).collect();
        let plans: Vec<Workload> = search.corpus.iter().map(|(_, plan)| plan.clone()).collect();
        let done = pool::map(options.threads, &numbers, stop, &|number| {
            let drawn = draw(space, options.seed, *number, &plans);
            let outcome = trials.run(&drawn.workload, drawn.seed);
            let again = (options.twice_every > 0 && number % options.twice_every == 0)
                .then(|| trials.run(&drawn.workload, drawn.seed).hash);
            (*number, drawn, outcome, again)
        });
        let mut failing = Vec::new();
        for (number, drawn, outcome, again) in done {
            search.take_in(number, &drawn, &outcome, again);
            if let Some(violation) = outcome.gravest() {
                let violation = violation.clone();
                failing.push((
                    number,
                    drawn.strategy,
                    Failing { workload: drawn.workload, seed: drawn.seed, violation },
                ));
            }
        }
        watch(&search.found, Stage::Searching);
        for (number, strategy, failing) in failing {
            search.pursue(number, strategy, failing, watch);
            if !search.found.bugs.is_empty() && !options.keep_going {
                return search.found;
            }
        }
    }
}

struct Search<'a> {
    trials: &'a dyn Trials,
    space: &'a Space,
    options: &'a SearchOptions,
    /// Plans that reached new states, with how many.
    corpus: Vec<(usize, Workload)>,
    /// How many violations of a check in a row brought nothing new.
    same_again: BTreeMap<&'static str, u32>,
    found: Found,
}

impl Search<'_> {
    fn take_in(&mut self, number: u64, drawn: &Drawn, outcome: &Outcome, again: Option<Option<u64>>) {
        let found = &mut self.found;
        found.trials += 1;
        if let Some(again) = again.filter(|again| again.is_some() && outcome.hash.is_some()) {
            found.twice += 1;
            if again != outcome.hash {
                found.mismatches.push(number);
            }
        }
        let gains = found.yields.entry(drawn.strategy).or_default();
        gains.trials += 1;
        if let Some(why) = &outcome.broken {
            *found.broken.entry(why.clone()).or_insert(0) += 1;
            return;
        }
        let before = found.states.len();
        found.states.extend(&outcome.coverage.states);
        let new = found.states.len() - before;
        gains.new_states += u64::try_from(new).unwrap_or(u64::MAX);
        for (mark, count) in &outcome.coverage.marks {
            *found.marks.entry(mark).or_insert(0) += count;
        }
        for check in &outcome.undecided {
            *found.undecided.entry(check).or_insert(0) += 1;
        }
        if outcome.violations.is_empty() {
            self.remember(new, &drawn.workload);
            return;
        }
        gains.violations += 1;
        found.first_violation.get_or_insert(number);
        let checks: BTreeSet<&'static str> =
            outcome.violations.iter().map(|violation| violation.check.name()).collect();
        for check in checks {
            *found.violations.entry(check).or_insert(0) += 1;
        }
    }

    /// Keeps a plan that reached new states, in the place of the one that reached fewest.
    fn remember(&mut self, new: usize, workload: &Workload) {
        if new < NEW_STATES_MIN || workload.faults.steps.is_empty() {
            return;
        }
        if self.corpus.len() >= CORPUS_MAX {
            let Some(least) = (0..self.corpus.len()).min_by_key(|index| self.corpus[*index].0) else { return };
            if self.corpus[least].0 >= new {
                return;
            }
            self.corpus.swap_remove(least);
        }
        self.corpus.push((new, workload.clone()));
    }

    /// Makes a bug of a violation, if it is a new one.
    fn pursue(&mut self, number: u64, strategy: Strategy, failing: Failing, watch: &mut dyn FnMut(&Found, Stage)) {
        let check = failing.violation.check;
        let again = self.same_again.entry(check.name()).or_insert(0);
        if *again >= SAME_AGAIN_MAX {
            return;
        }
        *again += 1;
        watch(&self.found, Stage::Shrinking(check.name()));
        let shrunk = shrink(self.trials, failing, self.options.shrink);
        let Failing { workload, seed, violation } = shrunk.failing;
        let mut bug = Bug {
            signature: signature(&workload, check),
            workload,
            seed,
            check,
            sentence: violation.sentence,
            active: violation.active,
            trial: number,
            strategy,
            faults: shrunk.faults,
            runs: (shrunk.runs, 0),
            share: None,
            share_before: None,
        };
        if self.found.bugs.iter().any(|known| known.signature == bug.signature) {
            return;
        }
        if let Some(options) = self.options.amplify {
            watch(&self.found, Stage::Amplifying(check.name()));
            let of = (&bug.workload, bug.seed);
            let amplified = amplify(self.trials, of, check, self.space, options, self.options.threads);
            bug.share_before = Some(amplified.before);
            bug.share = Some(amplified.share);
            bug.runs.1 = amplified.runs;
            bug.faults.1 = fault_numbers(&amplified.workload.faults.steps).len();
            (bug.workload, bug.seed) = (amplified.workload, amplified.seed);
            // It may have lost a fault that made no difference to how often it fails.
            bug.signature = signature(&bug.workload, check);
            // What was seen is told of the plan that is handed back.
            if let Some(violation) = self.trials.run(&bug.workload, bug.seed).violation_of(check) {
                bug.sentence.clone_from(&violation.sentence);
                bug.active.clone_from(&violation.active);
            }
        }
        if self.found.bugs.iter().any(|known| known.signature == bug.signature) {
            return;
        }
        self.same_again.insert(check.name(), 0);
        self.found.bugs.push(bug);
        watch(&self.found, Stage::Searching);
    }
}
