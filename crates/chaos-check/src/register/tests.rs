//! The engines against brute force on small random histories, and the reductions one by one.
//!
//! The brute force here shares nothing with the engines nor with the verifier: it tries every order, without memory.

use chaos_history::{Action, ClientRole, Completion, NodeId, OpId, OpResult, Operation, ProcessId, RunNanos, Value};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::decide::{Decision, decide};
use super::judge;
use super::model::{ABSENT, Content, Op, by_key};
use super::recheck;
use super::search::{Found, search};
use crate::verdict::{Limits, Verdict};

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
    };
    if operation.completed.is_some() {
        operation.completion = Completion::Ok(result);
    }
}

/// Whether some order of the operations left is legal from here on.
fn brute(ops: &[Op], left: &[usize], state: Content) -> bool {
    if left.iter().all(|&op| ops[op].ret.is_none()) {
        return true;
    }
    left.iter().any(|&op| {
        let is_first = left.iter().all(|&other| !ops[other].precedes(&ops[op]));
        let rest: Vec<usize> = left.iter().copied().filter(|&other| other != op).collect();
        is_first && ops[op].effect.apply(state).is_some_and(|state| brute(ops, &rest, state))
    })
}

#[test]
fn engines_minimiser_and_verifier_agree_with_brute_force() {
    let limits = Limits::default();
    let mut seen = [0_usize; 2];
    let mut unique = 0;
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
        let keys = by_key(&operations).unwrap();
        let key = &keys[0];
        let all: Vec<usize> = (0..key.ops.len()).collect();
        let legal = key.contradictions.is_empty() && brute(&key.ops, &all, ABSENT);
        seen[usize::from(legal)] += 1;
        assert!(legal || shape.corrupt, "seed {seed}: an honest history has an order: {operations:?}");
        match judge(key, &limits) {
            Verdict::Valid => assert!(legal, "seed {seed}: valid, but brute force finds no order: {operations:?}"),
            Verdict::Invalid(witness) => {
                assert!(!legal, "seed {seed}: {witness:?}, but brute force finds an order: {operations:?}");
            }
            Verdict::Unknown(reason) => panic!("seed {seed}: {reason}: {operations:?}"),
        }
        if !key.contradictions.is_empty() {
            continue;
        }
        let found = search(&key.ops, &limits);
        assert_eq!(matches!(found, Found::Order(_)), legal, "seed {seed}: the search alone: {operations:?}");
        if let Found::Order(order) = found {
            let order: Vec<usize> = order.into_iter().map(|op| key.ops[op].source).collect();
            assert!(recheck::replays(&key.operations, &order), "seed {seed}: the order replays: {operations:?}");
        }
        unique += usize::from(shape.unique);
    }
    assert!(seen.iter().all(|&verdicts| verdicts > 5_000), "both verdicts must be common: {seen:?}");
    assert!(unique > 15_000, "the zones must be put to the test: {unique}");
}

#[test]
fn failed_operations_and_unanswered_reads_change_nothing() {
    for seed in 0..1_000_u64 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let shape = Shape { operations: 6, unique: true, info_percent: 20, tells: true, corrupt: true };
        let mut operations = draw(&mut random, shape);
        let verdict = |operations: &[Operation]| {
            let keys = by_key(operations).unwrap();
            matches!(judge(&keys[0], &Limits::default()), Verdict::Valid)
        };
        let before = verdict(&operations);
        let mut failed = operation(90, Action::Write { key: "k".to_owned(), value: Value(90) }, 3, Some(4));
        failed.completion = Completion::Fail("not leader".to_owned());
        operations.insert(0, failed);
        operations.push(operation(91, Action::Read { key: "k".to_owned() }, 2, None));
        operations.sort_by_key(|operation| operation.invoked);
        assert_eq!(before, verdict(&operations), "seed {seed}");
    }
}

#[test]
fn verifier_refuses_orders_that_break_a_rule() {
    let write = |index, value, begin, end| {
        let mut write = operation(index, Action::Write { key: "k".to_owned(), value: Value(value) }, begin, Some(end));
        write.completion = Completion::Ok(OpResult::Written { revision: None });
        write
    };
    let mut read = operation(2, Action::Read { key: "k".to_owned() }, 4, Some(5));
    read.completion = Completion::Ok(OpResult::Read { value: Some(Value(9)), revision: None });
    let (seven, nine) = (write(0, 7, 0, 1), write(1, 9, 2, 3));
    let operations = [&seven, &nine, &read];
    for (order, right) in [
        (vec![0, 1, 2], true),
        (vec![1, 0, 2], false),
        (vec![0, 2, 1], false),
        (vec![0, 1], false),
        (vec![0, 1, 2, 2], false),
    ] {
        assert_eq!(recheck::replays(&operations, &order), right, "{order:?}");
    }
}

#[test]
fn search_gives_up_at_its_limits_and_never_guesses() {
    let random = &mut ChaCha8Rng::seed_from_u64(7);
    let shape = Shape { operations: 7, unique: false, info_percent: 0, tells: false, corrupt: false };
    let operations = draw(random, shape);
    let keys = by_key(&operations).unwrap();
    let found = search(&keys[0].ops, &Limits { configurations: 1, bytes: 1 << 20 });
    assert!(matches!(found, Found::Exhausted { .. }), "{found:?}");
    assert!(matches!(decide(&keys[0].ops, &Limits::default()), Decision::Order(_)));
}
