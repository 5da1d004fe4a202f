//! Counterexamples: small ones come out of long histories, and what the verifier accepts is sound.

#![expect(clippy::print_stdout, reason = "the sizes of the counterexamples are reported")]

mod minimal;
mod simulate;
mod sound;

use std::collections::BTreeMap;

use chaos_check::linear::models::{Register, RegisterOp};
use chaos_check::linear::{Budget, Decision, Effect, Entry, Model, Op, Shortcut, check};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use simulate::{Case, Fault, Injected};

/// A register whose shortcut knows where the whole history is broken, and nothing of any part of it: the minimiser is put to
/// work without the time that finding out would take.
struct Told {
    count: usize,
    conflict: Vec<u32>,
}

impl Model for Told {
    type Op = RegisterOp;
    type State = u32;

    fn initial(&self) -> u32 {
        Register.initial()
    }

    fn apply(&self, state: &u32, op: &RegisterOp) -> Option<u32> {
        Register.apply(state, op)
    }

    fn effect(&self, op: &RegisterOp) -> Effect {
        Register.effect(op)
    }

    fn shortcut(&self, ops: &[Op<RegisterOp>]) -> Shortcut {
        if ops.len() == self.count { Shortcut::Conflict(self.conflict.clone()) } else { Shortcut::Pass }
    }

    fn independent(&self, kept: &RegisterOp, dropped: &RegisterOp) -> bool {
        Register.independent(kept, dropped)
    }

    fn weaker(&self, op: &RegisterOp) -> Vec<RegisterOp> {
        Register.weaker(op)
    }
}

/// The size of the verified core.
fn core_size(model: &impl Model<Op = RegisterOp>, entries: &[Entry<RegisterOp>], what: &str) -> usize {
    match check(model, entries, &Budget::default()).expect("the stamps are in order") {
        Decision::Violation { core, verified } => {
            assert!(verified, "{what}: a core of {} is not verified", core.len());
            core.len()
        }
        Decision::Linearizable(_) | Decision::Undecided(_) => panic!("{what}: no violation"),
    }
}

fn cores_of(size: usize, fault: Fault, seeds: std::ops::Range<usize>) {
    let mut sizes: BTreeMap<(bool, usize), u32> = BTreeMap::new();
    let mut skipped = 0;
    for seed in seeds {
        let case = Case::numbered(seed, size);
        let mut random = ChaCha8Rng::seed_from_u64(seed as u64);
        let Some(Injected { entries, prefix, heart }) = simulate::inject(&case, fault, &mut random) else {
            skipped += 1;
            continue;
        };
        for (which, conflict) in [("prefix", prefix), ("heart", heart)] {
            let told = Told { count: entries.len(), conflict };
            let what = format!("{fault:?} in {case:?} seed {seed}, {which}");
            let core = core_size(&told, &entries, &what);
            assert!(core <= 12, "{what}: a core of {core}");
            *sizes.entry((case.values.is_none(), core)).or_default() += 1;
        }
    }
    println!(
        "{fault:?}, {size} operations: (unique values, size of the core): how many {sizes:?}; {skipped} without a place"
    );
    assert!(!sizes.is_empty());
}

#[test]
fn an_impossible_answer_among_a_thousand_is_shown_by_a_dozen_operations() {
    cores_of(1_000, Fault::Stale, 0..192);
    cores_of(1_000, Fault::Early, 0..96);
    cores_of(1_000, Fault::Rivals, 48..96);
}

#[test]
fn an_impossible_answer_among_a_hundred_thousand_is_shown_by_a_dozen_operations() {
    cores_of(10_000, Fault::Stale, 0..48);
    cores_of(100_000, Fault::Stale, 0..12);
    cores_of(100_000, Fault::Early, 0..4);
    cores_of(100_000, Fault::Rivals, 48..52);
}
