//! From a plan that fails under one seed to one that fails under most.
//!
//! A plan that was shrunk under one seed is a bad reproduction: it fails under 4 to 29 of a hundred others (measured for this
//! project), and a
//! real cluster *is* another seed. So the shrunk plan is changed a little again and again, and a change is kept if the plan is then
//! still of the same signature (or had no fault), and fails under more of some seeds that are the same for all candidates. Plans that
//! are longer have to be better by more.
//!
//! How often the result fails is estimated on seeds that took no part in the climb, or it would be flattered by having been chosen; with
//! Wilson's interval.

use std::num::NonZeroUsize;
use std::time::Duration;

use chaos_history::Seed;
use chaos_plan::{
    Check, Clients, CutMode, Fault, Hold, KillSignal, Mix, Partition, Phase, Step, StepAction, Target, Work, Workload,
    all_steps,
};

use crate::draw::Draws;
use crate::generate::Space;
use crate::mutate;
use crate::pool;
use crate::shrink::FEW_FAULTS;
use crate::signature::signature;
use crate::statistics::Share;
use crate::tree::{each_list, exactly, fault_for, fault_numbers, step, wait, well_formed, without};
use crate::trials::Trials;

/// How much may be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmplifyOptions {
    /// How many trials the climb may take.
    pub runs_max: usize,
    /// Under how many seeds each candidate is tried.
    pub seeds: u32,
    /// Under how many others the result is.
    pub held_out: u32,
}

impl Default for AmplifyOptions {
    /// For a simulator.
    fn default() -> Self {
        Self { runs_max: 1_200, seeds: 24, held_out: 100 }
    }
}

/// What amplification came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Amplified {
    /// The plan that fails most often.
    pub workload: Workload,
    /// A seed under which it does.
    pub seed: Seed,
    /// Under how many seeds of those that took no part it fails.
    pub share: Share,
    /// The same of the plan before.
    pub before: Share,
    /// How many trials it took, the estimates included.
    pub runs: usize,
}

/// Climbs from the plan, which fails under `seed`, to one that fails under as many others as possible.
pub fn amplify(
    trials: &dyn Trials,
    (workload, seed): (&Workload, Seed),
    check: Check,
    space: &Space,
    options: AmplifyOptions,
    threads: NonZeroUsize,
) -> Amplified {
    let mut climb = Climb::new(trials, (workload, seed), check, options, threads);
    let before = climb.estimate(workload);
    climb.best_failed = climb.failed_under(workload, 0);
    climb.stir();
    climb.known_moves();
    climb.drawn_moves(space, seed);
    climb.without_what_does_not_matter();
    let share = if climb.best == *workload { before } else { climb.estimate(&climb.best.clone()) };
    // On fresh seeds the plan that looked better may be none.
    if share.share() <= before.share() {
        return Amplified { workload: workload.clone(), seed, share: before, before, runs: climb.runs };
    }
    let workload = climb.best.clone();
    let seed = climb.seeds.iter().copied().find(|seed| climb.fails(&workload, *seed)).unwrap_or(seed);
    Amplified { workload, seed, share, before, runs: climb.runs }
}

struct Climb<'a> {
    trials: &'a dyn Trials,
    check: Check,
    options: AmplifyOptions,
    threads: NonZeroUsize,
    seeds: Vec<Seed>,
    held_out: Vec<Seed>,
    best: Workload,
    best_failed: u32,
    runs: usize,
}

/// Asks more often, at every node, and waits less.
fn ask_more(load: &mut Clients) {
    load.pinned = true;
    load.roaming = load.roaming.max(2);
    load.rate_per_second = (load.rate_per_second * 2.0).clamp(80.0, 200.0);
    load.timeout = load.timeout.min(Duration::from_millis(150));
    if let Work::Register(mix) = &mut load.work {
        *mix = Mix { read: 3, write: 2, cas: mix.cas.min(1) };
    }
}

/// Faults that last for a time last so many times as long, but no longer than a few seconds.
fn hold_longer(workload: &mut Workload, scale: u32) {
    each_list(&mut workload.faults.steps, &mut |list| {
        for step in list {
            if let StepAction::Fault { hold: Hold::For(range), .. } = &mut step.action
                && !range.max.is_zero()
            {
                let longest = range.max.max(Duration::from_secs(3));
                *range = exactly((range.max * scale).min(longest));
            }
        }
    });
}

/// The plan, its first wait for a leader apart, so many times over.
fn repeated(workload: &Workload, times: u32) -> Workload {
    let mut again = workload.clone();
    if let Some(Step { action: StepAction::Repeat { times: own, .. }, .. }) = again.faults.steps.last_mut() {
        *own = times;
        return again;
    }
    let awaits = |step: &Step| matches!(step.action, StepAction::Await { .. });
    let head = usize::from(again.faults.steps.first().is_some_and(awaits));
    let steps = again.faults.steps.split_off(head);
    again.faults.steps.push(over_and_over(steps, times));
    again
}

/// The steps so many times, with a pause after each.
fn over_and_over(mut steps: Vec<Step>, times: u32) -> Step {
    steps.push(wait(Duration::from_millis(400)));
    step(StepAction::Repeat { times, until: None, steps })
}

/// How many seeds are tried before a candidate that shows nothing is given up.
const FIRST_LOOK: usize = 8;

impl<'a> Climb<'a> {
    fn new(
        trials: &'a dyn Trials,
        (workload, seed): (&Workload, Seed),
        check: Check,
        options: AmplifyOptions,
        threads: NonZeroUsize,
    ) -> Self {
        let drawn = |label: &str, count: u32| {
            let mut draws = Draws::of(seed, label);
            (0..count).map(|_| draws.seed()).collect::<Vec<Seed>>()
        };
        Self {
            trials,
            check,
            options,
            threads,
            seeds: drawn("climb", options.seeds),
            held_out: drawn("held out", options.held_out),
            best: workload.clone(),
            best_failed: 0,
            runs: 0,
        }
    }

    fn is_spent(&self) -> bool {
        self.runs >= self.options.runs_max
    }

    fn fails(&self, workload: &Workload, seed: Seed) -> bool {
        self.trials.run(workload, seed).violation_of(self.check).is_some()
    }

    fn count(&mut self, workload: &Workload, seeds: &[Seed]) -> u32 {
        self.runs += seeds.len();
        let failed = pool::map(self.threads, seeds, &|| false, &|seed| self.fails(workload, *seed));
        u32::try_from(failed.into_iter().filter(|failed| *failed).count()).unwrap_or(u32::MAX)
    }

    /// Under how many of the climb's seeds it fails; fewer than that, once `wanted` can't be reached any more.
    fn failed_under(&mut self, workload: &Workload, wanted: u32) -> u32 {
        let seeds = self.seeds.clone();
        let (mut failed, mut left) = (0, u32::try_from(seeds.len()).unwrap_or(u32::MAX));
        for some in seeds.chunks(FIRST_LOOK) {
            failed += self.count(workload, some);
            left -= u32::try_from(some.len()).unwrap_or(left);
            let done = self.options.seeds - left;
            // It can't be reached any more, or it is next to certain that it won't be: well below the best's own pace.
            if failed + left < wanted || 5 * failed * self.options.seeds < 3 * self.best_failed * done {
                break;
            }
        }
        failed
    }

    fn estimate(&mut self, workload: &Workload) -> Share {
        let seeds = self.held_out.clone();
        Share::new(self.count(workload, &seeds), u32::try_from(seeds.len()).unwrap_or(u32::MAX))
    }

    /// Takes the candidate for the best if it fails more often: by more than a chance, and by yet more if it is longer.
    fn take(&mut self, candidate: Workload) -> bool {
        let Some(candidate) = well_formed(candidate) else { return false };
        let size = |workload: &Workload| all_steps(&workload.faults.steps).len();
        let faults = |workload: &Workload| fault_numbers(&workload.faults.steps).len();
        // Another signature would be another bug, or this one behind faults that it doesn't need.
        let is_the_same =
            faults(&self.best) == 0 || signature(&candidate, self.check) == signature(&self.best, self.check);
        let too_many = faults(&candidate) > faults(&self.best).max(FEW_FAULTS);
        if candidate == self.best || !is_the_same || too_many || self.is_spent() {
            return false;
        }
        let wanted = self.best_failed + if size(&candidate) > size(&self.best) { 2 } else { 1 };
        if wanted > self.options.seeds {
            return false;
        }
        let failed = self.failed_under(&candidate, wanted);
        if failed < wanted {
            return false;
        }
        (self.best, self.best_failed) = (candidate, failed);
        true
    }

    /// What fails without a fault fails by luck, in a run's one election, say. Such a plan may be given a fault, of those that bring
    /// elections about.
    fn stir(&mut self) {
        let minimal = self.best.clone();
        if !fault_numbers(&minimal.faults.steps).is_empty() {
            return;
        }
        let kill = |target| Fault::Kill { target, process: None, signal: KillSignal::KILL };
        let cut = Fault::partition(Partition::Isolate(Target::Leader));
        let pause = Fault::Pause { target: Target::Leader, process: None };
        for (fault, millis) in [(kill(Target::Leader), 300), (kill(Target::All), 50), (pause, 600), (cut, 900)] {
            let mut candidate = minimal.clone();
            candidate.faults.steps.push(over_and_over(vec![fault_for(fault, Duration::from_millis(millis))], 5));
            if self.take(candidate) {
                return;
            }
        }
    }

    /// What has helped before. A minimal plan is at the edge of failing: its faults are as short, and its clients as few, as
    /// they may be. So
    /// first the way back: longer faults, clients that ask more and wait less, and all of it several times.
    fn known_moves(&mut self) {
        let minimal = self.best.clone();
        for boost in [false, true] {
            for scale in [1, 3, 8] {
                for times in [1, 5] {
                    let mut candidate = minimal.clone();
                    if boost {
                        candidate.clients.iter_mut().for_each(ask_more);
                    }
                    hold_longer(&mut candidate, scale);
                    if times > 1 {
                        candidate = repeated(&candidate, times);
                    }
                    self.take(candidate);
                }
            }
        }
        for times in [3, 8] {
            let again = repeated(&self.best, times);
            self.take(again);
        }
    }

    /// Draws changes until nothing is left to spend, or the plan fails under nine seeds of ten: whoever wants to see it needs no more.
    fn drawn_moves(&mut self, space: &Space, seed: Seed) {
        // The user's word, or what was shrunk, decides on nodes and options.
        let space = Space { own: true, ..space.clone() };
        let mut draws = Draws::of(seed, "moves");
        for _ in 0..self.options.runs_max {
            if self.is_spent() || 10 * self.best_failed >= 9 * self.options.seeds {
                return;
            }
            let mut candidate = self.best.clone();
            for _ in 0..draws.between(1, 2) {
                mutate::change(&mut candidate, &space, &mut draws);
            }
            self.take(candidate);
        }
    }

    /// Takes away what makes no difference any more, and says the rest in rounder numbers.
    fn without_what_does_not_matter(&mut self) {
        let mut number = 0;
        while number < all_steps(&self.best.faults.steps).len() {
            let mut candidate = self.best.clone();
            candidate.faults.steps = without(&candidate.faults.steps, &[number].into());
            number += usize::from(!self.is_as_good(candidate));
        }
        let mut plain = self.best.clone();
        each_list(&mut plain.faults.steps, &mut |list| {
            for step in list {
                if let StepAction::Fault { phase, fault, .. } = &mut step.action {
                    *phase = Phase::Drawn;
                    if let Fault::Partition(_, mode) = fault {
                        *mode = CutMode::default();
                    }
                }
            }
        });
        self.is_as_good(plain);
        for digits in [1, 2] {
            let mut round = self.best.clone();
            mutate::each_knob(&mut round.faults.steps, &mut |_, knob| {
                knob.set(mutate::rounded(knob.get().max, digits))
            });
            if self.is_as_good(round) {
                return;
            }
        }
    }

    /// Takes the candidate for the best if it is another plan and fails no less often.
    fn is_as_good(&mut self, candidate: Workload) -> bool {
        let Some(candidate) = well_formed(candidate).filter(|candidate| *candidate != self.best) else { return false };
        let failed = self.failed_under(&candidate, self.best_failed);
        let good = failed >= self.best_failed;
        if good {
            (self.best, self.best_failed) = (candidate, failed);
        }
        good
    }
}
