//! Generated histories of a few hundred operations of every kind get the verdict that they were made for.
//!
//! The fuzz test holds tiny histories against brute force; these are too long for that, and right by construction.

#[path = "../benches/generate/mod.rs"]
mod generate;

use chaos_check::linear::models::{FencedLock, LeaseLock, Mutex, Register, RegisterOp};
use chaos_check::linear::{Budget, Decision, Entry, Model, check};
use generate::{Generated, Spec};

/// Whether it is linearizable, with its operations.
fn judge<M: Model>(name: &str, model: &M, entries: &[Entry<M::Op>]) -> (bool, usize) {
    match check(model, entries, &Budget::default()).expect("the stamps are a history's") {
        Decision::Linearizable(_) => (true, entries.len()),
        Decision::Violation { verified, .. } => {
            assert!(verified, "{name}: the counterexample is too large to be verified");
            (false, entries.len())
        }
        Decision::Undecided(undecided) => panic!("{name}: {undecided:?}"),
    }
}

fn judge_keys(name: &str, entries: &[(u32, Entry<RegisterOp>)]) -> (bool, usize) {
    let keys: std::collections::BTreeSet<u32> = entries.iter().map(|(key, _)| *key).collect();
    let judged = keys.iter().map(|key| {
        let entries: Vec<_> = entries.iter().filter(|(of, _)| of == key).map(|(_, entry)| *entry).collect();
        judge(name, &Register, &entries)
    });
    judged.fold((true, 0), |(valid, ops), (also, more)| (valid && also, ops + more))
}

#[test]
fn histories_get_the_verdict_that_they_were_made_for() {
    for kind in ["rw", "casu", "kv", "lock", "fence", "lease"] {
        for shape in ["c2_i0", "c5_i0.05", "c20_i0.2"] {
            for violation in [0, 1] {
                // Of a thousand keys one is seldom used twice: more operations.
                let ops = if kind == "kv" { 20_000 } else { 500 };
                let name = format!("{kind}_n{ops}_{shape}_s{violation}_r7");
                let (valid, judged) = match name.parse::<Spec>().unwrap().generate() {
                    Generated::Register(entries) => judge(&name, &Register, &entries),
                    Generated::Keys(entries) => judge_keys(&name, &entries),
                    Generated::Lock(entries) => judge(&name, &Mutex, &entries),
                    Generated::Fence(entries) => judge(&name, &FencedLock, &entries),
                    Generated::Lease(entries) => judge(&name, &LeaseLock, &entries),
                };
                assert!(judged > ops / 2, "{name} has only {judged} operations");
                assert_eq!(valid, violation == 0, "{name}");
            }
        }
    }
}

#[test]
fn a_name_is_a_history() {
    let name = "casu_n1000_c20_i0.05_s1_r3";
    let spec: Spec = name.parse().unwrap();
    assert_eq!(spec.to_string(), name);
    let entries = |spec: &Spec| spec.registers().into_entries();
    assert_eq!(entries(&spec), entries(&spec));
    assert_ne!(entries(&spec), entries(&Spec { seed: 4, ..spec }));
    assert!("casu_n1000_c20_i0.05_s1".parse::<Spec>().is_err());
}

#[test]
fn clients_are_in_flight_five_sixths_of_the_time() {
    let entries = "rw_n20000_c20_i0_s0_r1".parse::<Spec>().unwrap().registers().into_entries();
    let busy: u64 = entries.iter().map(|entry| entry.answered.unwrap() - entry.invoked).sum();
    let end = entries.iter().filter_map(|entry| entry.answered).max().unwrap();
    let share = busy * 100 / (20 * end);
    assert!((80..=86).contains(&share), "in flight {share} % of the time");
}
