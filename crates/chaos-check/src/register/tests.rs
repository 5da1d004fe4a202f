//! From recorded operations to a verdict, against brute force on small random histories.
//!
//! The brute force here reads recorded operations, answers and all, and shares nothing with what is tested: it tries every
//! order, without memory.

use chaos_history::{
    Action, ClientRole, Completion, NodeId, OpId, OpResult, Operation, ProcessId, Revision, RunNanos, Value,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::claim::{Claim, claim};
use super::judge;
use super::model::by_key;
use crate::linear::Budget;
use crate::verdict::Verdict;

/// How a random history is drawn.
#[derive(Clone, Copy, Debug)]
struct Shape {
    operations: usize,
    unique: bool,
    info_percent: u32,
    /// Whether refused swaps tell what they saw.
    tells: bool,
    /// Whether one answer is changed afterwards.
    corrupt: bool,
}

/// Draws a small history: operations with random intervals take effect on a real register at a random instant inside, and
/// then one answer may be falsified.
fn draw(random: &mut ChaCha8Rng, shape: Shape) -> Vec<Operation> {
    let mut drawn: Vec<(u64, Operation)> = Vec::new();
    for index in 0..shape.operations {
        let begin = random.random_range(0..12);
        let end = begin + random.random_range(0..8);
        let fresh = if shape.unique { index as u64 + 1 } else { random.random_range(1..4) };
        let key = "k".to_owned();
        let expect =
            (random.random_range(0..4) > 0).then(|| Value(random.random_range(1..shape.operations as u64 + 1)));
        let action = match random.random_range(0..3) {
            0 => Action::Read { key },
            1 => Action::Write { key, value: Value(fresh) },
            _ => Action::Cas { key, expect, value: Value(fresh) },
        };
        let is_info = random.random_range(0..100) < shape.info_percent;
        let effect = if is_info { begin + random.random_range(0..20) } else { random.random_range(begin..=end) };
        drawn.push((effect, operation(index, action, begin, (!is_info).then_some(end))));
    }
    drawn.sort_by_key(|(effect, _)| *effect);
    let mut held: Option<Value> = None;
    for (_, operation) in &mut drawn {
        answer(operation, &mut held, random, shape);
    }
    let mut operations: Vec<Operation> = drawn.into_iter().map(|(_, operation)| operation).collect();
    if shape.corrupt {
        let at = random.random_range(0..operations.len());
        if let Completion::Ok(OpResult::Read { value, .. }) = &mut operations[at].completion {
            *value = Some(Value(random.random_range(1..shape.operations as u64 + 1)));
        } else if random.random() && !matches!(operations[at].completion, Completion::Info(_)) {
            operations[at].completion = Completion::Fail("no".to_owned());
        }
    }
    operations.sort_by_key(|operation| (operation.invoked, operation.id));
    operations
}

fn operation(index: usize, action: Action, begin: u64, end: Option<u64>) -> Operation {
    Operation {
        id: OpId(index as u64),
        process: ProcessId(index as u64),
        node: NodeId::new(1),
        role: ClientRole::Roaming,
        action,
        due: RunNanos(begin),
        invoked: RunNanos(begin),
        invoke_line: 2 * index + 2,
        completion: Completion::Info("lost".to_owned()),
        completed: end.map(RunNanos),
        complete_line: end.map(|_| 2 * index + 3),
    }
}

/// Lets the operation take effect, unless it is unanswered and lost.
fn answer(operation: &mut Operation, held: &mut Option<Value>, random: &mut ChaCha8Rng, shape: Shape) {
    let lost = operation.completed.is_none() && random.random();
    let before = *held;
    let result = match &operation.action {
        Action::Read { .. } => OpResult::Read { value: before, revision: None },
        Action::Write { value, .. } => {
            if !lost {
                *held = Some(*value);
            }
            OpResult::Written { revision: None }
        }
        Action::Cas { expect, value, .. } => {
            let swapped = *expect == before;
            if swapped && !lost {
                *held = Some(*value);
            }
            OpResult::Cas { swapped, observed: (shape.tells || swapped).then_some(before), revision: None }
        }
        Action::Add { .. }
        | Action::Elements { .. }
        | Action::Acquire { .. }
        | Action::Release { .. }
        | Action::Access { .. } => unreachable!("registers only"),
    };
    if operation.completed.is_some() {
        operation.completion = Completion::Ok(result);
    }
}

/// What the key holds afterwards, or `None` if the answer can't have been given in this state.
fn step(operation: &Operation, held: Option<Value>) -> Option<Option<Value>> {
    let Completion::Ok(result) = &operation.completion else {
        return match &operation.action {
            Action::Read { .. } => Some(held),
            Action::Write { value, .. } => Some(Some(*value)),
            Action::Cas { expect, value, .. } => (held == *expect).then_some(Some(*value)),
            Action::Add { .. }
            | Action::Elements { .. }
            | Action::Acquire { .. }
            | Action::Release { .. }
            | Action::Access { .. } => unreachable!("registers only"),
        };
    };
    let possible = match (&operation.action, result) {
        (Action::Read { .. }, OpResult::Read { value, .. }) => *value == held,
        (Action::Write { .. }, OpResult::Written { .. }) => true,
        (Action::Cas { expect, value, .. }, OpResult::Cas { swapped, observed, .. }) => {
            let tells = |seen: Option<Value>| seen == held || (*swapped && seen == Some(*value));
            *swapped == (held == *expect) && observed.is_none_or(tells)
        }
        _ => unreachable!("answers are drawn to fit"),
    };
    let swapped = !matches!(result, OpResult::Cas { swapped: false, .. });
    possible.then(|| operation.action.written().filter(|_| swapped).or(held))
}

/// Whether some order of the operations left is legal from here on.
fn brute(left: &[&Operation], held: Option<Value>) -> bool {
    let must = |operation: &&Operation| matches!(operation.completion, Completion::Ok(_));
    let Some(deadline) = left.iter().copied().filter(must).filter_map(|operation| operation.completed).min() else {
        return true;
    };
    (0..left.len()).any(|first| {
        let mut rest = left.to_vec();
        let operation = rest.remove(first);
        operation.invoked <= deadline && step(operation, held).is_some_and(|held| brute(&rest, held))
    })
}

fn verdict(operations: &[Operation]) -> Verdict {
    judge(&by_key(operations).unwrap()[0], &Budget::default())
}

#[test]
fn verdicts_on_recorded_operations_agree_with_brute_force() {
    let mut seen = [0_usize; 2];
    for seed in 0..40_000_u64 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let shape = Shape {
            operations: random.random_range(1..=8),
            unique: seed % 3 > 0,
            info_percent: random.random_range(0..50),
            tells: seed % 2 == 0,
            corrupt: seed % 5 > 1,
        };
        let operations = draw(&mut random, shape);
        let happened = operations.iter().filter(|operation| !matches!(operation.completion, Completion::Fail(_)));
        let legal = brute(&happened.collect::<Vec<_>>(), None);
        seen[usize::from(legal)] += 1;
        assert!(legal || shape.corrupt, "seed {seed}: an honest history has an order: {operations:?}");
        match verdict(&operations) {
            Verdict::Valid => assert!(legal, "seed {seed}: valid, but brute force finds no order: {operations:?}"),
            Verdict::Invalid(witness) => {
                assert!(!legal, "seed {seed}: {witness:?}, but brute force finds an order: {operations:?}");
            }
            Verdict::Unknown(reason) => panic!("seed {seed}: {reason}: {operations:?}"),
        }
    }
    assert!(seen.iter().all(|&verdicts| verdicts > 5_000), "both verdicts must be common: {seen:?}");
}

#[test]
fn failed_operations_and_unanswered_reads_change_nothing() {
    for seed in 0..1_000_u64 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let shape = Shape { operations: 6, unique: true, info_percent: 20, tells: true, corrupt: true };
        let mut operations = draw(&mut random, shape);
        let valid = |operations: &[Operation]| matches!(verdict(operations), Verdict::Valid);
        let before = valid(&operations);
        let mut failed = operation(90, Action::Write { key: "k".to_owned(), value: Value(90) }, 3, Some(4));
        failed.completion = Completion::Fail("not leader".to_owned());
        operations.insert(0, failed);
        operations.push(operation(91, Action::Read { key: "k".to_owned() }, 2, None));
        operations.sort_by_key(|operation| operation.invoked);
        assert_eq!(before, valid(&operations), "seed {seed}");
    }
}

#[test]
fn revisions_are_tried_as_an_order_and_decide_only_if_they_are_one() {
    let key = || "k".to_owned();
    let write = |index, value, from, to, revision: Option<u64>| {
        let mut write = operation(index, Action::Write { key: key(), value: Value(value) }, from, Some(to));
        write.completion = Completion::Ok(OpResult::Written { revision: revision.map(Revision) });
        write
    };
    let read = |index, value: Option<u64>, from, to, revision: Option<u64>| {
        let mut read = operation(index, Action::Read { key: key() }, from, Some(to));
        read.completion = Completion::Ok(OpResult::Read { value: value.map(Value), revision: revision.map(Revision) });
        read
    };
    let lost = |index, value, from| operation(index, Action::Write { key: key(), value: Value(value) }, from, None);
    let rows = [
        ("no revisions", Claim::None, true, vec![write(0, 7, 0, 9, None), read(1, Some(7), 1, 2, Some(3))]),
        (
            "concurrent writes in the order of their revisions, and one without an answer that was seen",
            Claim::Proved,
            true,
            vec![
                read(0, None, 0, 1, None),
                write(1, 7, 2, 9, Some(5)),
                write(2, 8, 3, 9, Some(4)),
                lost(3, 9, 4),
                lost(4, 6, 4),
                read(5, Some(9), 10, 11, Some(6)),
                read(6, Some(7), 8, 9, Some(5)),
            ],
        ),
        (
            "a wrong claim about a legal history",
            Claim::Wrong,
            true,
            vec![write(0, 7, 0, 1, Some(5)), write(1, 8, 2, 3, Some(4)), read(2, Some(8), 4, 5, Some(4))],
        ),
        (
            "a claim that is legal but for time",
            Claim::Wrong,
            false,
            vec![write(0, 7, 0, 1, Some(4)), write(1, 8, 2, 3, Some(5)), read(2, Some(7), 4, 5, Some(4))],
        ),
    ];
    for (name, expected, valid, operations) in rows {
        assert_eq!(claim(&by_key(&operations).unwrap()[0]), expected, "{name}");
        assert_eq!(matches!(verdict(&operations), Verdict::Valid), valid, "{name}");
    }
}
