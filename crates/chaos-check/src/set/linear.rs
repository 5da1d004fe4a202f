//! `Linearizable` of a set that is read while it is written to.
//!
//! Consistency model: linearizability (Herlihy and Wing, TOPLAS 1990) of a set with `add x` and `read` of all elements, empty at
//! first. Decided exactly for every history by [`Set`]'s shortcut, in O(n log n) plus the reads' total size. An addition that
//! failed is left out, one of unknown outcome takes effect at any time or never, a read without an answer says nothing.
//!
//! A set that nobody read before the load ended is not judged here: what its final reads show is
//! `NoAcknowledgedWriteLost`'s, which forgives a replica that lags, as linearizability would not.

use std::collections::BTreeMap;

use chaos_history::{Action, ClientRole, Completion, ObjectKind, OpResult, Operation, Value};

use super::explain;
use crate::linear::models::{Set, SetOp};
use crate::linear::{self, Budget, Decision, Entry};
use crate::verdict::Verdict;

/// Everything that happened to one set.
pub(crate) struct SetHistory<'a> {
    /// The key.
    pub(crate) key: &'a str,
    /// All operations on it, failed ones included.
    pub(crate) operations: Vec<&'a Operation>,
    /// The model, with what its reads saw.
    pub(crate) model: Set,
    /// What they say.
    pub(crate) entries: Vec<Entry<SetOp>>,
    /// For each entry its place in `operations`.
    pub(crate) sources: Vec<usize>,
    /// The elements by their numbers.
    pub(crate) values: Vec<Value>,
}

/// The sets of a history.
#[derive(Default)]
pub(crate) struct Sets<'a> {
    /// Those that were read while the load was on.
    pub(crate) read: Vec<SetHistory<'a>>,
    /// How many were not.
    pub(crate) unread: usize,
}

/// Splits the operations on sets by key.
///
/// # Errors
/// If an answer does not fit its question.
pub(crate) fn sets(operations: &[Operation]) -> Result<Sets<'_>, String> {
    let mut keys: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in operations.iter().filter(|operation| operation.action.object() == ObjectKind::Set) {
        keys.entry(operation.action.key()).or_default().push(operation);
    }
    let mut sets = Sets::default();
    for (key, operations) in keys {
        let read = |operation: &&Operation| {
            operation.role != ClientRole::Final
                && matches!(operation.completion, Completion::Ok(OpResult::Elements { .. }))
        };
        if operations.iter().any(read) {
            sets.read.push(set_history(key, operations)?);
        } else {
            sets.unread += 1;
        }
    }
    Ok(sets)
}

fn set_history<'a>(key: &'a str, operations: Vec<&'a Operation>) -> Result<SetHistory<'a>, String> {
    let (mut model, mut entries, mut sources) = (Set::default(), Vec::new(), Vec::new());
    let (mut numbers, mut values): (BTreeMap<Value, u32>, Vec<Value>) = (BTreeMap::new(), Vec::new());
    let mut number = |value: Value| {
        *numbers.entry(value).or_insert_with(|| {
            values.push(value);
            u32::try_from(values.len() - 1).expect("a history has fewer than 2^32 elements")
        })
    };
    for (source, operation) in operations.iter().enumerate() {
        let what = match (&operation.action, &operation.completion) {
            (_, Completion::Fail(_)) | (Action::Elements { .. }, Completion::Info(_)) => continue,
            (Action::Add { value, .. }, Completion::Info(_) | Completion::Ok(OpResult::Written { .. })) => {
                SetOp::Add(number(*value))
            }
            (Action::Elements { .. }, Completion::Ok(OpResult::Elements { values, .. })) => {
                let elements = values.iter().map(|value| number(*value)).collect();
                model.read(elements)
            }
            (_, Completion::Ok(_) | Completion::Info(_)) => {
                let line = operation.complete_line.unwrap_or(operation.invoke_line);
                return Err(format!("line {line}: the answer is not one to the operation's question"));
            }
        };
        let answered = match &operation.completion {
            Completion::Ok(_) => operation.completed.map(|completed| completed.0),
            Completion::Fail(_) | Completion::Info(_) => None,
        };
        entries.push(Entry { what, invoked: operation.invoked.0, answered });
        sources.push(source);
    }
    Ok(SetHistory { key, operations, model, entries, sources, values })
}

/// Judges one set.
pub(crate) fn judge(history: &SetHistory<'_>, budget: &Budget<'_>) -> Verdict {
    match linear::check(&history.model, &history.entries, budget) {
        Err(error) => Verdict::Unknown(format!("set {}: {error}", history.key)),
        Ok(Decision::Linearizable(_)) => Verdict::Valid,
        Ok(Decision::Violation { core, verified }) => Verdict::Invalid(explain::witness(history, &core, verified)),
        Ok(Decision::Undecided(undecided)) => {
            let (key, spent) = (history.key, undecided.configurations);
            Verdict::Unknown(format!("set {key}: the search gave up after {spent} configurations"))
        }
    }
}
