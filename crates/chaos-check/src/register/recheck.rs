//! The independent verifier: believes neither the zones nor the search.
//!
//! It reads the operations as recorded (stamps, answers) and shares no code with the engines: not their ranks, not their
//! effects, not their reductions. [`replays`] re-plays a claimed order. [`refutes`] tries every order of a few operations,
//! remembering which sets of operations led to which content, and nothing cleverer.

use std::collections::BTreeSet;

use chaos_history::{Action, Completion, OpResult, Operation, RunNanos, Value};

/// How many partial orders [`refutes`] looks at before it gives up.
const PARTIAL_ORDERS_MAX: usize = 300_000;

/// An operation, possibly with less weight than it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken<'a> {
    /// The operation.
    pub(super) operation: &'a Operation,
    /// Whether a swap is taken for a plain write, which demands less.
    pub(super) as_write: bool,
}

/// Whether the operation must be in every order, may be, or may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Duty {
    Must,
    May,
    MustNot,
}

fn duty(operation: &Operation) -> Duty {
    match operation.completion {
        Completion::Ok(_) => Duty::Must,
        Completion::Info(_) => Duty::May,
        Completion::Fail(_) => Duty::MustNot,
    }
}

/// The latest moment at which the operation can have happened.
fn latest(operation: &Operation) -> RunNanos {
    match (duty(operation), operation.completed) {
        (Duty::Must, Some(completed)) => completed,
        (Duty::Must | Duty::May | Duty::MustNot, _) => RunNanos(u64::MAX),
    }
}

/// What the key holds afterwards, or `None` if the answer can't have been given in this state.
fn step(taken: Taken<'_>, held: Option<Value>) -> Option<Option<Value>> {
    let Operation { action, completion, .. } = taken.operation;
    match action {
        Action::Read { .. } => match completion {
            Completion::Ok(OpResult::Read { value, .. }) => (*value == held).then_some(held),
            Completion::Ok(_) | Completion::Fail(_) | Completion::Info(_) => Some(held),
        },
        Action::Write { value, .. } => Some(Some(*value)),
        Action::Cas { value, .. } if taken.as_write => Some(Some(*value)),
        Action::Cas { expect, value, .. } => match completion {
            Completion::Ok(OpResult::Cas { swapped: false, observed, .. }) => {
                let fits = held != *expect && observed.is_none_or(|observed| observed == held);
                fits.then_some(held)
            }
            Completion::Ok(OpResult::Cas { swapped: true, observed, .. }) => {
                let tells = observed.is_none_or(|observed| observed == held || observed == Some(*value));
                (held == *expect && tells).then_some(Some(*value))
            }
            Completion::Ok(_) | Completion::Fail(_) | Completion::Info(_) => (held == *expect).then_some(Some(*value)),
        },
    }
}

/// Whether `order` (places in `operations`) is a legal order of all of them: every `ok` once, no `fail`, every `info` at most
/// once, each answer right for the content at its place, and none placed after one that was invoked only when it was over.
pub(super) fn replays(operations: &[&Operation], order: &[usize]) -> bool {
    let mut placed = vec![false; operations.len()];
    let mut held = None;
    let mut latest_invocation = RunNanos(0);
    for &place in order {
        let operation = operations[place];
        if std::mem::replace(&mut placed[place], true) || duty(operation) == Duty::MustNot {
            return false;
        }
        latest_invocation = latest_invocation.max(operation.invoked);
        if latest(operation) < latest_invocation {
            return false;
        }
        match step(Taken { operation, as_write: false }, held) {
            Some(next) => held = next,
            None => return false,
        }
    }
    operations.iter().zip(placed).all(|(operation, placed)| placed || duty(operation) != Duty::Must)
}

/// Whether the operations have no legal order. `None` if there are too many orders to try.
pub(super) fn refutes(operations: &[Taken<'_>]) -> Option<bool> {
    let candidates: Vec<Taken<'_>> =
        operations.iter().copied().filter(|taken| duty(taken.operation) != Duty::MustNot).collect();
    let mut visited: BTreeSet<(Vec<bool>, Option<Value>)> = BTreeSet::new();
    let mut open = vec![(vec![false; candidates.len()], None)];
    while let Some((placed, held)) = open.pop() {
        let left = |index: &usize| !placed[*index];
        let must_left = (0..candidates.len()).filter(left).filter(|&i| duty(candidates[i].operation) == Duty::Must);
        let Some(deadline) = must_left.map(|index| latest(candidates[index].operation)).min() else {
            return Some(false);
        };
        for index in (0..candidates.len()).filter(left) {
            if candidates[index].operation.invoked > deadline {
                continue;
            }
            let Some(next) = step(candidates[index], held) else { continue };
            let mut placed = placed.clone();
            placed[index] = true;
            if visited.insert((placed.clone(), next)) {
                open.push((placed, next));
            }
        }
        if visited.len() > PARTIAL_ORDERS_MAX {
            return None;
        }
    }
    Some(true)
}
