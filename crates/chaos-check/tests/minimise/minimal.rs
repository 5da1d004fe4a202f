//! Of a counterexample nothing can be left out, weakened or forgotten.

use std::collections::BTreeMap;

use chaos_check::linear::models::{Register, RegisterOp};
use chaos_check::linear::{Budget, Decision, Entry, Kept, Model, check, verify};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::simulate::{Case, honest};

/// Some answers are changed at random; where that is a violation, its core is looked at.
fn cores_of(case: &Case, seeds: std::ops::Range<u64>) -> (BTreeMap<usize, u32>, u32) {
    let (mut sizes, mut valid) = (BTreeMap::new(), 0);
    for seed in seeds {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut entries = honest(case, &mut random);
        for _ in 0..3 {
            let (place, other) = (random.random_range(0..entries.len()), random.random_range(0..entries.len()));
            if let (RegisterOp::Read(_), Some(value)) = (entries[place].what, entries[other].what.writes()) {
                entries[place].what = RegisterOp::Read(value);
            }
        }
        match check(&Register, &entries, &Budget::default()).expect("the stamps are in order") {
            Decision::Linearizable(_) => valid += 1,
            Decision::Undecided(undecided) => println!("{case:?} seed {seed}: {undecided:?}"),
            Decision::Violation { core, verified } => {
                assert!(verified, "{case:?} seed {seed}: {core:?}");
                *sizes.entry(core.len()).or_default() += 1;
                no_weakening_refutes(&entries, &core, &format!("{case:?} seed {seed}"));
            }
        }
    }
    (sizes, valid)
}

fn no_weakening_refutes(entries: &[Entry<RegisterOp>], core: &[Kept<RegisterOp>], what: &str) {
    for place in 0..core.len() {
        let mut weakenings: Vec<Vec<Kept<RegisterOp>>> = vec![core.to_vec(), core.to_vec()];
        weakenings[0].remove(place);
        weakenings[1][place].entry.answered = None;
        for form in Register.weaker(&entries[core[place].index as usize].what) {
            weakenings.push(core.to_vec());
            weakenings.last_mut().expect("one was pushed")[place].entry.what = form;
        }
        for weaker in weakenings.into_iter().filter(|weaker| weaker != core) {
            let refutes = verify::refutes(&Register, entries, &weaker);
            assert!(refutes.is_err(), "{what}: {core:#?} could be {weaker:#?}");
        }
    }
}

#[test]
fn no_single_weakening_of_a_core_refutes_the_history() {
    let case = |ops, processes, values, crashed, swaps| Case { ops, processes, values, crashed, swaps };
    for case in [
        case(12, 3, Some(2), 20, true),
        case(12, 4, None, 0, true),
        case(60, 3, Some(3), 5, true),
        case(60, 4, None, 20, false),
        case(300, 3, Some(8), 0, true),
        case(300, 4, Some(4), 0, true),
    ] {
        let (sizes, valid) = cores_of(&case, 0..100);
        println!("{case:?}: size of the core: how many {sizes:?}; {valid} were valid");
        assert!(sizes.keys().all(|size| *size <= 12) && !sizes.is_empty(), "{case:?}: {sizes:?}");
    }
}
