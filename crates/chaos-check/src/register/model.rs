//! The operations of one key as entries of a register.
//!
//! The sequential specification is a register with three operations, absent at first:
//!
//! ```text
//!   read            returns the content
//!   write v         content := v
//!   cas e v         if content = e then content := v, "swapped", else "refused"; may tell what it saw
//! ```
//!
//! Becoming an entry, an operation keeps exactly what it says about the register:
//!
//! * `fail` is dropped: it did not happen. A value that only a failed write would have written was written by nobody.
//! * A read that ended in `info` is dropped: it returned nothing and changes nothing.
//! * A write or cas that ended in `info`, or was under way when the history ended, has no answer: it takes effect at any time
//!   after its invocation, or never. (A cas that was refused unseen is the same as one that never happened.)
//! * A refused cas that tells what it saw is a read of it. One that doesn't is [`RegisterOp::Refused`].
//! * An answer that contradicts itself (refused, though it saw what it expected; swapped, though it saw neither what it
//!   expected nor what it wrote) fits no state at all: it becomes a read of a content that nobody ever writes.

use std::collections::BTreeMap;

use chaos_history::{Action, Completion, ObjectKind, OpResult, Operation, Value};

use crate::linear::Entry;
use crate::linear::models::{ABSENT, RegisterOp};

/// A content that nobody writes.
pub(super) const NEVER: u32 = 1;

/// Everything that happened to one key.
#[derive(Debug)]
pub(super) struct KeyHistory<'a> {
    /// The key.
    pub(super) key: &'a str,
    /// All operations on it, in order of invocation, failed ones included.
    pub(super) operations: Vec<&'a Operation>,
    /// What they say about the register.
    pub(super) entries: Vec<Entry<RegisterOp>>,
    /// For each entry its place in `operations`.
    pub(super) sources: Vec<usize>,
}

/// Splits the operations on registers by key. Linearizability is local, so each key is judged alone (Herlihy and Wing, theorem 1).
///
/// # Errors
/// If an answer does not fit its question, or comes before it.
pub(super) fn by_key(operations: &[Operation]) -> Result<Vec<KeyHistory<'_>>, String> {
    let mut keys: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in operations {
        if operation.completed.is_some_and(|completed| completed < operation.invoked) {
            return Err(format!("line {}: an operation was answered before it was invoked", operation.invoke_line));
        }
        if operation.action.object() == ObjectKind::Register {
            keys.entry(operation.action.key()).or_default().push(operation);
        }
    }
    keys.into_iter().map(|(key, operations)| key_history(key, operations)).collect()
}

fn key_history<'a>(key: &'a str, operations: Vec<&'a Operation>) -> Result<KeyHistory<'a>, String> {
    let mut contents: BTreeMap<Value, u32> = BTreeMap::new();
    let mut intern = |value: Option<Value>| match value {
        None => ABSENT,
        Some(value) => {
            let next = u32::try_from(contents.len()).expect("a history has fewer than 2^32 lines") + NEVER + 1;
            *contents.entry(value).or_insert(next)
        }
    };
    let (mut entries, mut sources) = (Vec::new(), Vec::new());
    for (source, operation) in operations.iter().enumerate() {
        let Some(what) = meaning(operation, &mut intern)? else { continue };
        let answered = match &operation.completion {
            Completion::Ok(_) => operation.completed.map(|completed| completed.0),
            Completion::Fail(_) | Completion::Info(_) => None,
        };
        entries.push(Entry { what, invoked: operation.invoked.0, answered });
        sources.push(source);
    }
    Ok(KeyHistory { key, operations, entries, sources })
}

/// What one operation says about the register, if anything.
fn meaning(operation: &Operation, intern: &mut impl FnMut(Option<Value>) -> u32) -> Result<Option<RegisterOp>, String> {
    let result = match &operation.completion {
        Completion::Fail(_) => return Ok(None),
        Completion::Info(_) => {
            return Ok(match &operation.action {
                Action::Read { .. } => None,
                Action::Write { value, .. } => Some(RegisterOp::Write(intern(Some(*value)))),
                Action::Cas { expect, value, .. } => {
                    Some(RegisterOp::Cas { expect: intern(*expect), new: intern(Some(*value)) })
                }
                Action::Add { .. }
                | Action::Elements { .. }
                | Action::Acquire { .. }
                | Action::Release { .. }
                | Action::Access { .. } => None,
            });
        }
        Completion::Ok(result) => result,
    };
    Ok(match (&operation.action, result) {
        (Action::Read { .. }, OpResult::Read { value, .. }) => Some(RegisterOp::Read(intern(*value))),
        (Action::Write { value, .. }, OpResult::Written { .. }) => Some(RegisterOp::Write(intern(Some(*value)))),
        (Action::Cas { expect, value, .. }, OpResult::Cas { swapped: true, observed, .. }) => {
            if observed.is_some_and(|observed| observed != *expect && observed != Some(*value)) {
                Some(RegisterOp::Read(NEVER))
            } else {
                Some(RegisterOp::Cas { expect: intern(*expect), new: intern(Some(*value)) })
            }
        }
        (Action::Cas { expect, .. }, OpResult::Cas { swapped: false, observed, .. }) => match observed {
            Some(observed) if observed == expect => Some(RegisterOp::Read(NEVER)),
            Some(observed) => Some(RegisterOp::Read(intern(*observed))),
            None => Some(RegisterOp::Refused { unlike: intern(*expect) }),
        },
        (
            Action::Add { .. }
            | Action::Elements { .. }
            | Action::Acquire { .. }
            | Action::Release { .. }
            | Action::Access { .. },
            _,
        ) => None,
        (Action::Read { .. } | Action::Write { .. } | Action::Cas { .. }, _) => {
            let line = operation.complete_line.unwrap_or(operation.invoke_line);
            return Err(format!("line {line}: the answer is not one to the operation's question"));
        }
    })
}
