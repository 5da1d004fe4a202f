//! What only grows or never repeats: the first value, the largest, ids, counters.

use std::collections::BTreeSet;

use chaos_check::linear::models::{
    Counter, CounterOp, Generated, MaxRegister, MaxRegisterOp, UniqueIds, WriteOnce, WriteOnceOp,
};
use chaos_check::linear::{Entry, Model, Shortcut, Timeline};
use rand::RngExt;

use crate::harness::{Random, Subject, fuzz};

/// Claims that the model decides `entries` by itself.
fn decided<M: Model>(model: M, entries: &[Entry<M::Op>]) -> M {
    let ops = Timeline::new(entries).expect("the stamps are in order").ops;
    assert_ne!(model.shortcut(&ops), Shortcut::Pass, "left to the engine: {entries:#?}");
    model
}

struct Firsts {
    values: u32,
}

impl Subject for Firsts {
    type Model = WriteOnce;
    type State = Vec<u32>;

    fn initial(&self) -> Vec<u32> {
        Vec::new()
    }

    fn apply(&self, state: &Vec<u32>, op: &WriteOnceOp) -> Option<Vec<u32>> {
        match (state.as_slice(), *op) {
            ([], WriteOnceOp::Claim(value)) => Some(vec![value]),
            ([], WriteOnceOp::Empty) => Some(Vec::new()),
            ([first], WriteOnceOp::Claim(value) | WriteOnceOp::Read(value)) if *first == value => Some(state.clone()),
            ([first], WriteOnceOp::Refused { mine }) if *first != mine => Some(state.clone()),
            _ => None,
        }
    }

    fn propose(&mut self, random: &mut Random, _process: usize) -> WriteOnceOp {
        let value = random.random_range(0..self.values);
        match random.random_range(0..8_u32) {
            0..2 => WriteOnceOp::Claim(value),
            2..4 => WriteOnceOp::Read(value),
            4..6 => WriteOnceOp::Empty,
            _ => WriteOnceOp::Refused { mine: value },
        }
    }

    fn model(&self, entries: &[Entry<WriteOnceOp>]) -> WriteOnce {
        decided(WriteOnce, entries)
    }
}

#[test]
fn registers_that_are_written_once_agree_with_brute_force() {
    fuzz("write-once register", |random| Firsts { values: random.random_range(1..=4) });
}

struct Largest {
    values: u64,
    kinds: u32,
}

impl Subject for Largest {
    type Model = MaxRegister;
    type State = u64;

    fn initial(&self) -> u64 {
        0
    }

    fn apply(&self, state: &u64, op: &MaxRegisterOp) -> Option<u64> {
        let (possible, after) = match *op {
            MaxRegisterOp::Raise(value) => (true, if value > *state { value } else { *state }),
            MaxRegisterOp::Accept(value) => (value >= *state, value),
            MaxRegisterOp::Read(value) => (value == *state, *state),
            MaxRegisterOp::AtLeast(value) => (value <= *state, *state),
            MaxRegisterOp::AtMost(value) => (value >= *state, *state),
            MaxRegisterOp::Set(value) => (true, value),
        };
        possible.then_some(after)
    }

    fn propose(&mut self, random: &mut Random, _process: usize) -> MaxRegisterOp {
        let value = random.random_range(0..=self.values);
        match random.random_range(0..self.kinds) {
            0 | 1 => MaxRegisterOp::Raise(value),
            2 | 3 => MaxRegisterOp::Read(value),
            4 => MaxRegisterOp::Accept(value),
            5 => MaxRegisterOp::AtLeast(value),
            6 => MaxRegisterOp::AtMost(value),
            _ => MaxRegisterOp::Set(value),
        }
    }

    fn model(&self, entries: &[Entry<MaxRegisterOp>]) -> MaxRegister {
        let outside = |entry: &Entry<MaxRegisterOp>| {
            let accepted = matches!(entry.what, MaxRegisterOp::Accept(_)) && entry.answered.is_none();
            accepted || matches!(entry.what, MaxRegisterOp::Set(_))
        };
        if entries.iter().any(outside) { MaxRegister } else { decided(MaxRegister, entries) }
    }
}

#[test]
fn registers_that_only_grow_agree_with_brute_force() {
    fuzz("max register", |random| Largest {
        values: random.random_range(2..=6),
        kinds: [4, 5, 7, 7, 8][random.random_range(0..5_usize)],
    });
}

#[derive(Default)]
struct Ids {
    given: u64,
}

impl Subject for Ids {
    type Model = UniqueIds;
    type State = BTreeSet<u64>;

    fn initial(&self) -> BTreeSet<u64> {
        BTreeSet::new()
    }

    fn apply(&self, state: &BTreeSet<u64>, op: &Generated) -> Option<BTreeSet<u64>> {
        (!state.contains(&op.0)).then(|| state.iter().copied().chain([op.0]).collect())
    }

    fn propose(&mut self, random: &mut Random, _process: usize) -> Generated {
        self.given += 1;
        Generated(if random.random_ratio(1, 4) { random.random_range(0..self.given) } else { self.given })
    }

    fn model(&self, entries: &[Entry<Generated>]) -> UniqueIds {
        decided(UniqueIds::new(entries.iter().map(|entry| entry.what.0)), entries)
    }
}

#[test]
fn generators_of_ids_agree_with_brute_force() {
    fuzz("unique ids", |_| Ids::default());
}

struct Counters {
    sizes: &'static [i64],
    plain: bool,
    told: bool,
    sum: i128,
}

impl Subject for Counters {
    type Model = Counter;
    type State = i128;

    fn initial(&self) -> i128 {
        0
    }

    fn apply(&self, state: &i128, op: &CounterOp) -> Option<i128> {
        let after = state + i128::from(op.adds().unwrap_or_default());
        let possible = match *op {
            CounterOp::Add(_) => true,
            CounterOp::AddGet { after: seen, .. } | CounterOp::Read(seen) => seen == after,
            CounterOp::AtLeast(least) => least <= after,
            CounterOp::AtMost(most) => after <= most,
            CounterOp::Set(value) => return Some(value),
        };
        possible.then_some(after)
    }

    fn propose(&mut self, random: &mut Random, _process: usize) -> CounterOp {
        let by = self.sizes[random.random_range(0..self.sizes.len())];
        let near = if random.random_bool(0.75) { self.sum } else { self.sum + random.random_range(-2..=2) };
        match random.random_range(0..6_u32) {
            0 | 1 if self.plain => CounterOp::Add(by),
            2 | 3 if self.told => CounterOp::AddGet { by, after: near + i128::from(by) },
            _ => CounterOp::Read(near),
        }
    }

    fn took(&mut self, _process: usize, op: &CounterOp) {
        self.sum += i128::from(op.adds().unwrap_or_default());
    }

    fn model(&self, entries: &[Entry<CounterOp>]) -> Counter {
        let told = |entry: &Entry<CounterOp>| matches!(entry.what, CounterOp::AddGet { .. });
        let inside = match self.sizes {
            [1] => entries.iter().all(|entry| entry.answered.is_some() || !told(entry)),
            [1, 2, 5] => entries.iter().all(|entry| told(entry) && entry.answered.is_some()),
            _ => false,
        };
        if inside { decided(Counter, entries) } else { Counter }
    }
}

#[test]
fn counters_of_ones_agree_with_brute_force() {
    fuzz("counter of ones", |random| {
        let told = random.random_bool(0.5);
        Counters { sizes: &[1], plain: !told || random.random_bool(0.7), told, sum: 0 }
    });
}

#[test]
fn counters_agree_with_brute_force() {
    fuzz("counter", |random| {
        let sizes = [[1, 2, 5].as_slice(), &[1, -1, 3, 0]][random.random_range(0..2_usize)];
        let plain = random.random_bool(0.5);
        Counters { sizes, plain, told: !plain || random.random_bool(0.5), sum: 0 }
    });
}
