//! Whatever the verifier accepts of a linearizable history has an order.

use chaos_check::linear::models::Register;
use chaos_check::linear::{Kept, Model, verify};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::simulate::{Case, honest};

/// Draws linearizable histories and parts of them, in weaker forms, and has each refuted. Some are no weakenings, the others
/// have orders; none may be accepted as a refutation.
#[test]
fn no_part_of_a_linearizable_history_refutes_it() {
    let (mut orders, mut no_weakenings) = (0_u64, 0_u64);
    for seed in 0..60_000 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let case = Case {
            ops: random.random_range(3..=9),
            processes: random.random_range(1..=4),
            values: random.random_bool(0.7).then_some(random.random_range(1..=3)),
            crashed: [0, 20, 60][random.random_range(0..3_usize)],
            swaps: random.random_bool(0.7),
        };
        let entries = honest(&case, &mut random);
        for _ in 0..4 {
            let mut core = Vec::new();
            let (keep, weaken) = (random.random_range(0.3..0.9), random.random_range(0.0..0.9));
            for (index, entry) in (0_u32..).zip(&entries) {
                if !random.random_bool(keep) {
                    continue;
                }
                let mut entry = *entry;
                if let Some(form) = Register.weaker(&entry.what).first()
                    && random.random_bool(weaken)
                {
                    entry.what = *form;
                }
                if random.random_bool(0.1) {
                    entry.answered = None;
                }
                core.push(Kept { index, entry });
            }
            match verify::refutes(&Register, &entries, &core) {
                Ok(_) => panic!("seed {seed}: {entries:#?} is refuted by {core:#?}"),
                Err(why) if why.starts_with("an order exists") => orders += 1,
                Err(_) => no_weakenings += 1,
            }
        }
    }
    println!("{orders} weakenings with an order, {no_weakenings} were none");
    assert!(orders > 20_000 && no_weakenings > 20_000, "one-sided: {orders} and {no_weakenings}");
}
