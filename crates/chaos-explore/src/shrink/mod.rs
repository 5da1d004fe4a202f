//! From a plan that fails to the smallest one that fails in the same way.
//!
//! In this order, since what comes early makes everything after it cheaper, and again from the start as long as anything gets smaller:
//!
//! 1. cut off what comes after the violation;
//! 2. take faults away ([`ddmin`]), and while there are more than three of them, each again under other seeds;
//! 3. take waits away, unroll repetitions, and let conditions go that nothing depends on ([`plan`]);
//! 4. fewer clients, fewer kinds of operation, plainer options, fewer nodes ([`surroundings`]);
//! 5. what must meet earlier together, then shorter and rounder times;
//! 6. say "after an election" in the place of "after 1,287 ms".
//!
//! *The same way* is the same violated check. A smaller plan is believed only if it has been run and has failed, in the form in which a
//! file would give it; so what comes out fails by construction. Where a world can't repeat itself, a plan is tried several times
//! ([`ShrinkOptions::attempts`]) and counts as failing if it fails once.
//!
//! The search is greedy and its end a local minimum: no *single* step makes it smaller.

mod ddmin;
mod plan;
mod surroundings;

use std::collections::BTreeSet;
use std::ops::Range;

use chaos_history::mixing::fnv_1a;
use chaos_history::{RunNanos, Seed};
use chaos_plan::{Check, Workload, resolved_yaml};

pub use self::ddmin::ddmin;
use crate::tree::{fault_numbers, well_formed, without};
use crate::trials::{Trials, Violation};

/// More faults than this are more than a reader takes in at a glance, and no minimal plan.
pub(crate) const FEW_FAULTS: usize = 3;
/// Under how many other seeds a plan of more is tried without one of them, and under how many it must fail: nobody is helped by a plan that
/// is short and never fails again.
const OTHER_SEEDS: usize = 16;
const OTHERS_FAILING: usize = 2;

/// How much may be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShrinkOptions {
    /// How many trials in all.
    pub runs_max: usize,
    /// Under how many seeds a smaller plan is tried before it counts as one that does not fail; 1 where the world repeats itself.
    pub attempts: usize,
}

impl Default for ShrinkOptions {
    /// For a simulator.
    fn default() -> Self {
        Self { runs_max: 600, attempts: 1 }
    }
}

/// A plan that fails, and under which seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failing {
    /// The workload.
    pub workload: Workload,
    /// The seed under which it was seen to fail.
    pub seed: Seed,
    /// What failed.
    pub violation: Violation,
}

/// What shrinking came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Shrunk {
    /// The smallest plan that was seen to fail.
    pub failing: Failing,
    /// How many trials it took.
    pub runs: usize,
    /// Whether it ended because nothing was left to try, not because it had spent all that it might.
    pub complete: bool,
    /// How many faults the plan had, and has.
    pub faults: (usize, usize),
}

/// Makes a failing plan as small as it gets.
pub fn shrink(trials: &dyn Trials, failing: Failing, options: ShrinkOptions) -> Shrunk {
    let before = fault_numbers(&failing.workload.faults.steps).len();
    let mut shrinker =
        Shrinker { trials, check: failing.violation.check, best: failing, options, runs: 0, tried: BTreeSet::new() };
    shrinker.cut_off();
    loop {
        let size = shrinker.best.workload.clone();
        shrinker.fewer_faults();
        shrinker.fewer_faults_with_luck();
        plan::simplify(&mut shrinker);
        surroundings::simplify(&mut shrinker);
        plan::earlier(&mut shrinker);
        plan::shorten(&mut shrinker);
        plan::say_what_is_seen(&mut shrinker);
        if shrinker.best.workload == size || shrinker.is_spent() {
            break;
        }
    }
    let after = fault_numbers(&shrinker.best.workload.faults.steps).len();
    Shrunk { complete: !shrinker.is_spent(), failing: shrinker.best, runs: shrinker.runs, faults: (before, after) }
}

/// The best plan so far, and what has been spent on it.
pub(crate) struct Shrinker<'a> {
    trials: &'a dyn Trials,
    check: Check,
    pub(crate) best: Failing,
    options: ShrinkOptions,
    runs: usize,
    /// What has been tried, so that nothing is tried twice.
    tried: BTreeSet<(u64, usize)>,
}

impl Shrinker<'_> {
    fn is_spent(&self) -> bool {
        self.runs >= self.options.runs_max
    }

    /// Takes the candidate for the best if it is a plan, another one, and fails.
    pub(crate) fn take(&mut self, candidate: Workload) -> bool {
        self.take_under(0..self.options.attempts.max(1), 1, candidate)
    }

    /// The same, if it fails under so many of these seeds, counted from the one that is known to fail.
    fn take_under(&mut self, seeds: Range<usize>, mut wanted: usize, candidate: Workload) -> bool {
        let Some(candidate) = well_formed(candidate) else { return false };
        let asked = (fnv_1a(resolved_yaml(&candidate).as_bytes()), seeds.start);
        if candidate == self.best.workload || !self.tried.insert(asked) {
            return false;
        }
        for attempt in seeds {
            if self.is_spent() {
                return false;
            }
            self.runs += 1;
            let attempt = u64::try_from(attempt).unwrap_or(u64::MAX);
            let seed = Seed(self.best.seed.0.wrapping_add(attempt) & (u64::MAX >> 11));
            let outcome = self.trials.run(&candidate, seed);
            let Some(violation) = outcome.violation_of(self.check) else { continue };
            wanted -= 1;
            if wanted == 0 {
                self.best = Failing { workload: candidate, seed, violation: violation.clone() };
                return true;
            }
        }
        false
    }

    /// Takes what comes of a change of the best.
    pub(crate) fn try_with(&mut self, change: impl FnOnce(&mut Workload)) -> bool {
        let mut candidate = self.best.workload.clone();
        change(&mut candidate);
        self.take(candidate)
    }

    /// The best without the faults that began after the violation was complete.
    fn cut_off(&mut self) {
        let outcome = self.trials.run(&self.best.workload, self.best.seed);
        self.runs += 1;
        let until: RunNanos = self.best.violation.at;
        let begun: BTreeSet<usize> =
            outcome.faults.iter().filter(|fault| fault.at <= until).map(|fault| fault.step).collect();
        let steps = &self.best.workload.faults.steps;
        let later: BTreeSet<usize> =
            fault_numbers(steps).into_iter().filter(|number| !begun.contains(number)).collect();
        if !later.is_empty() {
            let steps = without(steps, &later);
            self.try_with(|workload| workload.faults.steps = steps);
        }
    }

    fn fewer_faults(&mut self) {
        let original = self.best.workload.clone();
        let all = fault_numbers(&original.faults.steps);
        // What `take` has believed last is what is left: each part is tried on the plan as it was at the beginning.
        ddmin(&all, &mut |part| {
            let away: BTreeSet<usize> = all.iter().copied().filter(|number| !part.contains(number)).collect();
            if away.is_empty() {
                return true;
            }
            let mut candidate = original.clone();
            candidate.faults.steps = without(&original.faults.steps, &away);
            self.take(candidate)
        });
    }

    /// What a fault of many does may be no more than to shift what comes after it: without it, the plan may fail as well under another seed.
    fn fewer_faults_with_luck(&mut self) {
        let mut index = 0;
        loop {
            let faults = fault_numbers(&self.best.workload.faults.steps);
            let Some(number) = faults.get(index).filter(|_| faults.len() > FEW_FAULTS) else { return };
            let mut candidate = self.best.workload.clone();
            candidate.faults.steps = without(&candidate.faults.steps, &[*number].into());
            let attempts = self.options.attempts.max(1);
            let seeds = attempts..attempts + OTHER_SEEDS;
            index = if self.take_under(seeds, OTHERS_FAILING, candidate) { 0 } else { index + 1 };
        }
    }
}
