//! Whether a few operations have a legal order, for as much as that may cost.

use std::num::NonZeroU32;

use hashbrown::{HashMap, HashSet};
use rustc_hash::FxBuildHasher;

use super::{FEW, Part};
use crate::linear::decision::{Budget, Shortcut};
use crate::linear::engine::{self, Found};
use crate::linear::entry::Op;
use crate::linear::model::Model;

/// What all of one minimisation may cost, in steps of a nanosecond or so: a tenth of a second. To spend less costs more: a large
/// core takes the verifier longer than it takes to make it small.
const STEPS: u64 = 100_000_000;
/// What visiting a configuration costs in steps, about.
const STEPS_PER_CONFIGURATION: u64 = 200;
/// Configurations that the trial of a guess may visit.
const OF_A_GUESS: u64 = 500;
/// Bytes that one trial may use.
const BYTES: usize = 16 << 20;

/// What a minimisation may still spend.
pub(super) struct Purse<'a> {
    steps: u64,
    /// Configurations that one trial may visit.
    of_a_trial: u64,
    budget: &'a Budget<'a>,
}

impl<'a> Purse<'a> {
    pub(super) fn new(of_a_trial: u64, budget: &'a Budget<'a>) -> Self {
        Self { steps: STEPS, of_a_trial, budget }
    }

    /// Whether there was enough left.
    pub(super) fn pay(&mut self, steps: u64) -> bool {
        let left = self.steps.checked_sub(steps);
        self.steps = left.unwrap_or_default();
        left.is_some()
    }

    /// How many passes over so many operations an eighth of what is left affords.
    pub(super) fn passes(&self, operations: u32) -> u32 {
        u32::try_from(self.steps / 16 / u64::from(operations.max(1))).unwrap_or(u32::MAX)
    }

    /// Whether nothing more can be found out.
    pub(super) fn is_empty(&self) -> bool {
        self.steps == 0 || self.budget.stopped()
    }
}

/// Whether `core` is proved to have no legal order.
pub(super) fn refuted<M: Model>(model: &M, core: &[Part<M::Op>], purse: &mut Purse<'_>) -> bool {
    refuted_within(model, core, purse.of_a_trial, purse)
}

/// Whether `core` is proved to have no legal order by trying all of them, and by nothing else.
pub(super) fn surely_refuted<M: Model>(model: &M, core: &[Part<M::Op>], purse: &mut Purse<'_>) -> bool {
    core.len() <= FEW && exhausted(model, core, purse.of_a_trial, purse) == Some(true)
}

/// Whether `core`, which is a guess, is easily proved to have no legal order.
pub(super) fn easily_refuted<M: Model>(model: &M, core: &[Part<M::Op>], purse: &mut Purse<'_>) -> bool {
    refuted_within(model, core, purse.of_a_trial.min(OF_A_GUESS), purse)
}

fn refuted_within<M: Model>(model: &M, core: &[Part<M::Op>], most: u64, purse: &mut Purse<'_>) -> bool {
    if purse.is_empty() || !purse.pay(core.len() as u64 * STEPS_PER_CONFIGURATION) {
        return false;
    }
    let most = most.min(purse.budget.configurations);
    if core.len() <= FEW
        && let Some(refuted) = exhausted(model, core, most, purse)
    {
        return refuted;
    }
    let ops = ranked(core);
    match model.shortcut(&ops) {
        Shortcut::Order(_) => return false,
        Shortcut::Conflict(_) => return true,
        Shortcut::Pass => {}
    }
    let budget = Budget { configurations: most, bytes: BYTES.min(purse.budget.bytes), stop: purse.budget.stop };
    match engine::decide(model, &ops, &budget) {
        Found::Nothing { .. } => true,
        Found::Order(_) => false,
        Found::Spent(undecided) => {
            purse.pay(undecided.configurations * STEPS_PER_CONFIGURATION);
            false
        }
    }
}

/// Whether a few operations have no order, by trying all, as the verifier will: whatever form they are in, and nothing that is
/// too dear for it. `None` if there are too many to try.
fn exhausted<M: Model>(model: &M, core: &[Part<M::Op>], most: u64, purse: &mut Purse<'_>) -> Option<bool> {
    // Nothing is ever listed from the maps, so that their order is of no matter.
    let mut numbers: HashMap<M::State, usize, FxBuildHasher> = HashMap::default();
    let mut states = vec![model.initial()];
    numbers.insert(model.initial(), 0);
    let mut visited: HashSet<(u64, usize), FxBuildHasher> = HashSet::default();
    let mut open = vec![(0_u64, 0)];
    while let Some((placed, state)) = open.pop() {
        if visited.len() as u64 > most || !purse.pay(STEPS_PER_CONFIGURATION) {
            return None;
        }
        let left = || core.iter().enumerate().filter(|(index, _)| placed >> index & 1 == 0);
        let Some(deadline) = left().filter_map(|(_, part)| part.op.ret).min() else { return Some(false) };
        for (index, part) in left().filter(|(_, part)| part.op.call < deadline.get()) {
            let Some(next) = model.apply(&states[state], &part.op.what) else { continue };
            let next = *numbers.entry(next).or_insert_with_key(|next| {
                states.push(next.clone());
                states.len() - 1
            });
            let configuration = (placed | 1 << index, next);
            if visited.insert(configuration) {
                open.push(configuration);
            }
        }
    }
    Some(true)
}

/// The operations with ranks 1, 2, 3, … of their own, as a whole history has them.
fn ranked<T: Clone>(core: &[Part<T>]) -> Vec<Op<T>> {
    let mut ranks: Vec<u32> =
        core.iter().flat_map(|part| [Some(part.op.call), part.op.ret.map(u32::from)]).flatten().collect();
    ranks.sort_unstable();
    let rank = |old: u32| u32::try_from(ranks.partition_point(|rank| *rank < old) + 1).expect("ranks are of 32 bits");
    let ranked = |part: &Part<T>| Op {
        what: part.op.what.clone(),
        call: rank(part.op.call),
        ret: part.op.ret.and_then(|ret| NonZeroU32::new(rank(ret.get()))),
    };
    core.iter().map(ranked).collect()
}
