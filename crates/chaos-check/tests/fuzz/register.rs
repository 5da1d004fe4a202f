//! Registers: unique values, few values, refused swaps.

use chaos_check::linear::Entry;
use chaos_check::linear::models::{Register, RegisterOp};
use rand::RngExt;

use crate::harness::{Random, Subject, fuzz};

struct Registers {
    /// Values are drawn from this many; `None`: each is new.
    values: Option<u32>,
    /// Whether swaps are proposed.
    swaps: bool,
    /// Whether refused swaps are proposed.
    refusals: bool,
    written: u32,
}

impl Registers {
    fn seen(&self, random: &mut Random) -> u32 {
        random.random_range(0..=self.values.unwrap_or(self.written + 1))
    }

    fn new_value(&mut self, random: &mut Random) -> u32 {
        self.written += 1;
        self.values.map_or(self.written, |values| random.random_range(1..=values))
    }
}

impl Subject for Registers {
    type Model = Register;
    type State = u32;

    fn initial(&self) -> u32 {
        0
    }

    fn apply(&self, state: &u32, op: &RegisterOp) -> Option<u32> {
        let possible = match *op {
            RegisterOp::Read(seen) | RegisterOp::Cas { expect: seen, .. } => seen == *state,
            RegisterOp::Write(_) => true,
            RegisterOp::Refused { unlike } => unlike != *state,
            RegisterOp::Ousted { unlike } if unlike == *state => return Some(u32::MAX),
            RegisterOp::Ousted { .. } => true,
        };
        possible.then(|| op.writes().unwrap_or(*state))
    }

    fn propose(&mut self, random: &mut Random, _process: usize) -> RegisterOp {
        match random.random_range(0..6_u32) {
            0 | 1 => RegisterOp::Read(self.seen(random)),
            2 if self.refusals => RegisterOp::Refused { unlike: self.seen(random) },
            3 | 4 if self.swaps => {
                let expect = self.seen(random);
                RegisterOp::Cas { expect, new: self.new_value(random) }
            }
            _ => RegisterOp::Write(self.new_value(random)),
        }
    }

    fn model(&self, _entries: &[Entry<RegisterOp>]) -> Register {
        Register
    }
}

#[test]
fn registers_with_unique_values_agree_with_brute_force() {
    fuzz("register", |_| Registers { values: None, swaps: false, refusals: false, written: 0 });
}

#[test]
fn swaps_of_unique_values_agree_with_brute_force() {
    fuzz("cas-register", |_| Registers { values: None, swaps: true, refusals: false, written: 0 });
}

#[test]
fn refused_swaps_of_unique_values_agree_with_brute_force() {
    fuzz("cas-register with refusals", |_| Registers { values: None, swaps: true, refusals: true, written: 0 });
}

#[test]
fn registers_with_few_values_agree_with_brute_force() {
    fuzz("cas-register of few values", |random| {
        let (values, refusals) = (Some(random.random_range(1..=3)), random.random_bool(0.5));
        Registers { values, swaps: true, refusals, written: 0 }
    });
}
