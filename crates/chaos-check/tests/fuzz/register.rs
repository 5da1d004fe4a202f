//! Registers: unique values, few values, refused swaps.

use chaos_check::linear::models::{ABSENT, Register, RegisterOp};
use chaos_check::linear::online::{Answer, Invocation, RegisterStream, Seen};
use chaos_check::linear::staleness::grade;
use chaos_check::linear::{Budget, Entry, Model, Shortcut, Timeline};
use rand::{RngExt, SeedableRng};

use crate::harness::{Random, Subject, brute, brute_of, cases, fuzz, history};

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

/// Feeds a history to a stream, equal stamps in the order of the entries, and forgets the dead now and then.
fn stream(entries: &[Entry<RegisterOp>], random: &mut Random) -> Seen {
    let content = |content: u32| (content != ABSENT).then_some(content);
    let question = |what: RegisterOp| match what {
        RegisterOp::Read(_) => Invocation::Read,
        RegisterOp::Write(new) => Invocation::Write(content(new)),
        RegisterOp::Cas { expect, new } => Invocation::Cas { expect: content(expect), new: content(new) },
        RegisterOp::Refused { unlike } | RegisterOp::Ousted { unlike } => {
            // A swap for a value that nobody else uses.
            Invocation::Cas { expect: content(unlike), new: Some(u32::MAX) }
        }
    };
    let answer = |what: RegisterOp| match what {
        RegisterOp::Read(seen) => Answer::Saw(content(seen)),
        RegisterOp::Write(_) | RegisterOp::Cas { .. } => Answer::Done,
        RegisterOp::Refused { .. } | RegisterOp::Ousted { .. } => Answer::Refused,
    };
    let mut events: Vec<(u64, usize, bool)> =
        (0..).zip(entries).map(|(index, entry)| (entry.invoked, index, false)).collect();
    events.extend((0..).zip(entries).filter_map(|(index, entry)| Some((entry.answered?, index, true))));
    events.sort_unstable();
    let mut stream = RegisterStream::new();
    for (stamp, index, answered) in events {
        let (what, operation) = (entries[index].what, index as u64);
        if answered {
            stream.answer(stamp, operation, answer(what)).expect("the event is in order");
        } else {
            stream.invoke(stamp, operation, question(what)).expect("the event is in order");
            if entries[index].answered.is_none() && random.random_bool(0.5) {
                stream.answer(stamp, operation, Answer::Unknown).expect("the event is in order");
            }
        }
        if random.random_bool(0.5) {
            stream.forget();
        }
    }
    stream.flush()
}

/// Holds a stream against brute force: what it sees is right, and without repeated values it misses nothing.
fn streams(name: &str, new: impl Fn(&mut Random) -> Registers) {
    let (mut valid, mut invalid, mut repeated) = (0, 0, 0);
    for case in cases() {
        let mut random = Random::seed_from_u64(case);
        let mut subject = new(&mut random);
        let entries = history(&mut subject, &mut random);
        let truth = brute(&subject, &Timeline::new(&entries).expect("the stamps are in order").ops);
        let seen = stream(&entries, &mut random);
        match (seen, truth) {
            (Seen::Nothing, true) => valid += 1,
            (Seen::Violation(_), false) => invalid += 1,
            (Seen::Repeated(_), _) => repeated += 1,
            _ => panic!("{name}, CHAOS_FUZZ_FROM={case} CHAOS_FUZZ=1, truth {truth}, seen {seen:?}:\n{entries:#?}"),
        }
    }
    println!("{name}: {valid} valid, {invalid} invalid, {repeated} repeated, 0 disagreements");
}

#[test]
fn streams_of_unique_values_agree_with_brute_force() {
    streams("register stream", |random| {
        let swaps = random.random_bool(0.7);
        Registers { values: None, swaps, refusals: false, written: 0 }
    });
}

#[test]
fn streams_that_do_not_repeat_a_live_value_agree_with_brute_force() {
    streams("register stream of few values", |random| {
        let values = Some(random.random_range(2..=6));
        Registers { values, swaps: true, refusals: false, written: 0 }
    });
}

/// The smallest k for which all but the unexplained entries are k-atomic, by trying every order.
fn smallest_k(entries: &[Entry<RegisterOp>], unexplained: &[u32]) -> Option<u32> {
    let mut entries = entries.to_vec();
    for &place in unexplained {
        let entry = &mut entries[place as usize];
        match entry.what {
            RegisterOp::Cas { new, .. } => entry.what = RegisterOp::Write(new),
            RegisterOp::Read(_) | RegisterOp::Write(_) | RegisterOp::Refused { .. } | RegisterOp::Ousted { .. } => {
                entry.answered = None;
            }
        }
    }
    let ops = Timeline::new(&entries).expect("the stamps are in order").ops;
    (1..=10_u32).find(|&k| {
        brute_of(&vec![0], &ops, |written: &Vec<u32>, op: &RegisterOp| {
            let (seen, mut after) = (op.observes(), written.clone());
            let visible = |seen: u32| written.iter().rev().take(k as usize).any(|content| *content == seen);
            after.extend(op.writes());
            after.drain(..after.len().saturating_sub(k as usize));
            seen.is_none_or(visible).then_some(after)
        })
    })
}

#[test]
fn staleness_agrees_with_brute_force() {
    let mut grades = [0_u64; 4];
    for case in cases() {
        let mut random = Random::seed_from_u64(case);
        let mut subject = Registers { values: None, swaps: random.random_bool(0.5), refusals: false, written: 0 };
        let mut entries = history(&mut subject, &mut random);
        for entry in &mut entries {
            if let RegisterOp::Read(seen) = &mut entry.what
                && random.random_bool(0.5)
            {
                *seen = random.random_range(0..=*seen);
            }
        }
        let show = || format!("CHAOS_FUZZ_FROM={case} CHAOS_FUZZ=1: {entries:#?}");
        let staleness = grade(&entries, 10, &Budget::default()).expect("values are unique");
        let smallest = smallest_k(&entries, &staleness.unexplained);
        assert_eq!(staleness.at_most, smallest, "{}", show());
        let forced = staleness.behind.iter().map(|(_, writes)| writes + 1).max().unwrap_or(1);
        assert!(smallest.is_none_or(|k| forced <= k && k == staleness.at_least), "{}", show());
        grades[smallest.map_or(3, |k| k.min(3) - 1) as usize] += 1;
    }
    let [atomic, two, more, never] = grades;
    println!("staleness: {atomic} 1-atomic, {two} 2-atomic, {more} more, {never} never, 0 disagreements");
}

/// Without refused swaps the shortcut decides every history of unique values; with them, whatever it decides is right, and it
/// passes on few.
#[test]
fn shortcut_decides_unique_values_without_the_engine() {
    for refusals in [false, true] {
        let (mut order, mut conflict, mut passed, mut passed_valid) = (0_u64, 0_u64, 0_u64, 0_u64);
        for case in cases() {
            let mut random = Random::seed_from_u64(case);
            let mut subject = Registers { values: None, swaps: true, refusals, written: 0 };
            let entries = history(&mut subject, &mut random);
            let ops = Timeline::new(&entries).expect("the stamps are in order").ops;
            let truth = brute(&subject, &ops);
            match (Register.shortcut(&ops), truth) {
                (Shortcut::Order(_), true) => order += 1,
                (Shortcut::Conflict(_), false) => conflict += 1,
                (Shortcut::Pass, truth) if refusals => {
                    passed += 1;
                    passed_valid += u64::from(truth);
                }
                (said, _) => panic!("CHAOS_FUZZ_FROM={case} CHAOS_FUZZ=1, truth {truth}, {said:?}:\n{entries:#?}"),
            }
        }
        println!(
            "shortcut, refusals {refusals}: {order} orders, {conflict} conflicts, {passed} passed on ({passed_valid} valid)"
        );
    }
}
