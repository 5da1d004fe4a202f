//! The witness of a key without a legal order, in words.
//!
//! The sentence is derived from the few operations that remain; where no simple story fits, it says that they have no
//! order. The steps give each operation with its interval, so that a reader can try the orders for himself.

use chaos_history::{Action, Completion, OpResult, Operation, Value};

use super::recheck::Taken;
use crate::verdict::Witness;

/// The witness: these operations of the key have no legal order by themselves. `operations` are all of the key's, for the
/// fate of a value that nobody wrote.
pub(super) fn witness(key: &str, core: &[Taken<'_>], operations: &[&Operation]) -> Witness {
    let mut steps: Vec<String> = core.iter().map(|taken| step(*taken)).collect();
    let story = unwritten(key, core, operations)
        .or_else(|| contradiction(key, core))
        .or_else(|| rivals(key, core))
        .or_else(|| too_early(key, core))
        .or_else(|| stale(key, core));
    let lines = core
        .iter()
        .flat_map(|taken| [Some(taken.operation.invoke_line), taken.operation.complete_line].into_iter().flatten());
    let lines: Vec<usize> = lines.collect();
    steps.push(conclusion(key, core));
    let at = core.iter().map(|taken| taken.operation.completed.unwrap_or(taken.operation.invoked)).max();
    let sentence = story.unwrap_or_else(|| {
        format!("no single register could have answered as key {key} did to {} operations", core.len())
    });
    let nodes = core.iter().map(|taken| taken.operation.node).collect();
    Witness::new(sentence, lines, steps, at.unwrap_or_default(), nodes)
}

/// What the operation saw, if its answer tells.
fn seen(operation: &Operation) -> Option<Option<Value>> {
    match (&operation.action, &operation.completion) {
        (_, Completion::Ok(OpResult::Read { value, .. })) => Some(*value),
        (Action::Cas { expect, .. }, Completion::Ok(OpResult::Cas { swapped: true, .. })) => Some(*expect),
        (_, Completion::Ok(OpResult::Cas { swapped: false, observed: Some(value), .. })) => Some(Some(*value)),
        (Action::Read { .. } | Action::Write { .. } | Action::Cas { .. }, _) => None,
    }
}

/// What the operation left behind, if it did.
fn left(operation: &Operation) -> Option<Value> {
    match &operation.completion {
        Completion::Ok(OpResult::Read { .. } | OpResult::Cas { swapped: false, .. }) | Completion::Fail(_) => None,
        Completion::Ok(OpResult::Written { .. } | OpResult::Cas { swapped: true, .. }) | Completion::Info(_) => {
            operation.action.written()
        }
    }
}

fn content(value: Option<Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| value.to_string())
}

/// `n2 read 7`, `n1 acknowledged the write of 9`, in the past tense of an answer.
fn answer(operation: &Operation) -> String {
    let node = operation.node;
    match (&operation.action, &operation.completion) {
        (_, Completion::Ok(OpResult::Read { value, .. })) => format!("{node} read {}", content(*value)),
        (_, Completion::Ok(OpResult::Written { .. })) => {
            format!("{node} acknowledged the write of {}", content(operation.action.written()))
        }
        (Action::Cas { expect, value, .. }, Completion::Ok(OpResult::Cas { swapped: true, .. })) => {
            format!("{node} swapped {} for {value}", content(*expect))
        }
        (Action::Cas { expect, value, .. }, Completion::Ok(OpResult::Cas { observed: Some(saw), .. })) => {
            format!("{node} refused to swap {} for {value}, seeing {saw}", content(*expect))
        }
        (Action::Cas { expect, value, .. }, Completion::Ok(OpResult::Cas { .. })) => {
            format!("{node} refused to swap {} for {value}", content(*expect))
        }
        (Action::Cas { expect, value, .. }, Completion::Info(_)) => {
            format!("{node} was asked to swap {} for {value} and never gave a definite answer", content(*expect))
        }
        (action, _) => {
            format!("{node} was asked to write {} and never gave a definite answer", content(action.written()))
        }
    }
}

fn step(taken: Taken<'_>) -> String {
    let operation = taken.operation;
    let end = match (&operation.completion, operation.completed, operation.complete_line) {
        (Completion::Ok(_), Some(completed), Some(line)) => format!("to {completed} (line {line})"),
        (_, _, Some(line)) => format!("with no end (line {line})"),
        (_, _, None) => "with no end".to_owned(),
    };
    let weaker = if taken.as_write { "; what it expected is not needed" } else { "" };
    format!(
        "line {}: {}, at some moment from {} {end}{weaker}",
        operation.invoke_line,
        answer(operation),
        operation.invoked
    )
}

fn conclusion(key: &str, core: &[Taken<'_>]) -> String {
    let lines: Vec<String> = core.iter().map(|taken| format!("line {}", taken.operation.invoke_line)).collect();
    match lines.as_slice() {
        [only] => format!("the operation of {only} fits no state of key {key}"),
        _ => format!("key {key} is absent at first, and the operations of {} fit no order", lines.join(", ")),
    }
}

/// An answer with a value that nobody wrote.
fn unwritten(key: &str, core: &[Taken<'_>], operations: &[&Operation]) -> Option<String> {
    let [only] = core else { return None };
    let value = seen(only.operation).flatten()?;
    let verb = if matches!(only.operation.action, Action::Read { .. }) { "read" } else { "saw" };
    let failed = operations.iter().find(|operation| {
        matches!(operation.completion, Completion::Fail(_)) && operation.action.written() == Some(value)
    });
    let fate = match failed.and_then(|failed| failed.complete_line) {
        Some(line) => format!("the only write of which had failed for certain (line {line})"),
        None => "a value that nobody wrote".to_owned(),
    };
    (!operations.iter().any(|operation| left(operation) == Some(value)))
        .then(|| format!("{} {verb} {value} for key {key}, {fate}", only.operation.node))
}

/// An answer that contradicts itself.
fn contradiction(key: &str, core: &[Taken<'_>]) -> Option<String> {
    let [only] = core else { return None };
    let (Action::Cas { expect, value, .. }, Completion::Ok(OpResult::Cas { swapped, observed, .. })) =
        (&only.operation.action, &only.operation.completion)
    else {
        return None;
    };
    let did = if *swapped { "swapped" } else { "refused to swap" };
    Some(format!(
        "{} {did} {} for {value} at key {key} and says that it saw {}, which contradicts itself",
        only.operation.node,
        content(*expect),
        content(*observed)
    ))
}

/// Two swaps of one value that was written once.
fn rivals(key: &str, core: &[Taken<'_>]) -> Option<String> {
    let expects = |taken: &&Taken<'_>| !taken.as_write && matches!(taken.operation.action, Action::Cas { .. });
    let swaps: Vec<&Operation> = core
        .iter()
        .filter(expects)
        .filter(|taken| left(taken.operation).is_some())
        .map(|taken| taken.operation)
        .collect();
    let [one, other] = swaps.as_slice() else { return None };
    if core.len() > 3 {
        return None;
    }
    let value = seen(one)?;
    (seen(other) == Some(value)).then(|| {
        let whose = if one.node == other.node {
            format!("{} twice", one.node)
        } else {
            format!("{} and {} both", one.node, other.node)
        };
        format!("{whose} swapped {} away from key {key}, which held it only once", content(value))
    })
}

/// A value seen before its write was sent.
fn too_early(key: &str, core: &[Taken<'_>]) -> Option<String> {
    let [one, other] = core else { return None };
    [(one, other), (other, one)].into_iter().find_map(|(reader, writer)| {
        let (reader, writer) = (reader.operation, writer.operation);
        let value = seen(reader).flatten()?;
        let early = left(writer) == Some(value) && reader.completed? < writer.invoked;
        early.then(|| {
            format!("{} gave {value} for key {key} before its write was even sent to {}", reader.node, writer.node)
        })
    })
}

/// An old value seen after a newer one was acknowledged or seen.
fn stale(key: &str, core: &[Taken<'_>]) -> Option<String> {
    let reader = core
        .iter()
        .map(|taken| taken.operation)
        .filter(|operation| seen(operation).is_some())
        .max_by_key(|operation| operation.invoked)?;
    let old = seen(reader)?;
    let newer = core
        .iter()
        .map(|taken| taken.operation)
        .filter(|operation| matches!(operation.completion, Completion::Ok(_)))
        .filter(|operation| operation.completed.is_some_and(|completed| completed < reader.invoked))
        .filter(|operation| left(operation).or(seen(operation).flatten()).is_some_and(|value| Some(value) != old))
        .max_by_key(|operation| operation.completed)?;
    let value = left(newer).or(seen(newer).flatten())?;
    let how = if left(newer).is_some() { "acknowledged" } else { "read" };
    let saw = match (&reader.action, old) {
        (Action::Read { .. }, Some(old)) => format!("read {old} for key {key}"),
        (Action::Read { .. }, None) => format!("read nothing for key {key}"),
        (Action::Write { .. } | Action::Cas { .. }, old) => format!("saw {} at key {key}", content(old)),
    };
    let line = newer.complete_line.unwrap_or(newer.invoke_line);
    Some(format!("{} {saw} after {value} had been {how} by {} (line {line})", reader.node, newer.node))
}
