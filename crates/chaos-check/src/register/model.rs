//! The operations of one key as the engines see them: interned contents, ranked instants.
//!
//! The sequential specification is a register with three operations, absent at first:
//!
//! ```text
//!   read            returns the content
//!   write v         content := v
//!   cas e v         if content = e then content := v, "swapped", else "refused"; may tell what it saw
//! ```
//!
//! Becoming an [`Op`], an operation keeps exactly what it says about the register:
//!
//! * `fail` is dropped: it did not happen. A value that only a failed write would have written was written by nobody.
//! * A read that ended in `info` is dropped: it returned nothing and changes nothing.
//! * A write or cas that ended in `info`, or was under way when the history ended, is [`Op::ret`] = `None`: it takes effect
//!   at any time after its invocation, or never. (A cas that was refused unseen is the same as one that never happened.)
//! * A refused cas that tells what it saw is a read of it. One that doesn't is [`Effect::Refused`].
//! * An answer that contradicts itself (refused, though it saw what it expected; swapped, though it saw neither what it
//!   expected nor what it wrote) fits no state at all and is a violation by itself.
//!
//! Instants become ranks, invocations before answers at equal stamps, so that equal stamps count as concurrent.

use std::collections::BTreeMap;

use chaos_history::{Action, Completion, OpResult, Operation, RunNanos, Value};

/// An interned content of the register: [`ABSENT`] or a value.
pub(super) type Content = u32;

/// The register before the first write.
pub(super) const ABSENT: Content = 0;

/// What an operation did, or would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Effect {
    /// Saw this content.
    Read(Content),
    /// Left this content behind.
    Write(Content),
    /// Saw `expect` and left `new` behind.
    Cas {
        /// What it saw.
        expect: Content,
        /// What it left.
        new: Content,
    },
    /// Saw any content but this.
    Refused {
        /// What it did not see.
        unlike: Content,
    },
}

impl Effect {
    /// The content afterwards, or `None` if the effect is impossible in this state.
    pub(super) fn apply(self, state: Content) -> Option<Content> {
        match self {
            Self::Read(seen) => (seen == state).then_some(state),
            Self::Write(new) => Some(new),
            Self::Cas { expect, new } => (expect == state).then_some(new),
            Self::Refused { unlike } => (unlike != state).then_some(state),
        }
    }

    /// The one content in which the effect is possible, if there is only one.
    pub(super) fn observes(self) -> Option<Content> {
        match self {
            Self::Read(seen) => Some(seen),
            Self::Cas { expect, .. } => Some(expect),
            Self::Write(_) | Self::Refused { .. } => None,
        }
    }

    /// The content left behind, if the effect writes.
    pub(super) fn writes(self) -> Option<Content> {
        match self {
            Self::Write(new) | Self::Cas { new, .. } => Some(new),
            Self::Read(_) | Self::Refused { .. } => None,
        }
    }

    /// Whether the effect constrains the content without naming it.
    pub(super) fn is_refusal(self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

/// One operation of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Op {
    /// What it did.
    pub(super) effect: Effect,
    /// The rank of its invocation among all instants of the key, from 1.
    pub(super) call: u32,
    /// The rank of its answer; `None` if it may take effect at any later time, or never.
    pub(super) ret: Option<u32>,
    /// Its place in the list of operations of the key, see [`KeyHistory::operations`].
    pub(super) source: usize,
}

impl Op {
    /// Whether `self` was over when `other` began.
    #[cfg(test)]
    pub(super) fn precedes(&self, other: &Self) -> bool {
        self.ret.is_some_and(|ret| ret < other.call)
    }
}

/// Everything that happened to one key.
#[derive(Debug)]
pub(super) struct KeyHistory<'a> {
    /// The key.
    pub(super) key: &'a str,
    /// All operations on it, in order of invocation, failed ones included.
    pub(super) operations: Vec<&'a Operation>,
    /// What they say about the register, ordered by [`Op::call`].
    pub(super) ops: Vec<Op>,
    /// Operations whose answer contradicts itself, as places in `operations`.
    pub(super) contradictions: Vec<usize>,
}

/// What one operation says about the register.
enum Meaning {
    Nothing,
    Effect(Effect),
    Contradiction,
}

/// Splits operations by key. Linearizability is local, so each key is judged alone (Herlihy and Wing, theorem 1).
///
/// # Errors
/// If an answer does not fit its question, or comes before it.
pub(super) fn by_key(operations: &[Operation]) -> Result<Vec<KeyHistory<'_>>, String> {
    let mut keys: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in operations {
        if operation.completed.is_some_and(|completed| completed < operation.invoked) {
            return Err(format!("line {}: an operation was answered before it was invoked", operation.invoke_line));
        }
        keys.entry(operation.action.key()).or_default().push(operation);
    }
    keys.into_iter().map(|(key, operations)| key_history(key, operations)).collect()
}

fn key_history<'a>(key: &'a str, operations: Vec<&'a Operation>) -> Result<KeyHistory<'a>, String> {
    let mut contents: BTreeMap<Value, Content> = BTreeMap::new();
    let mut contradictions = Vec::new();
    let mut said: Vec<(usize, Effect)> = Vec::new();
    for (source, operation) in operations.iter().enumerate() {
        let mut intern = |value: Option<Value>| match value {
            None => ABSENT,
            Some(value) => {
                let next = Content::try_from(contents.len() + 1).expect("a history has fewer than 2^32 lines");
                *contents.entry(value).or_insert(next)
            }
        };
        match meaning(operation, &mut intern)? {
            Meaning::Nothing => {}
            Meaning::Contradiction => contradictions.push(source),
            Meaning::Effect(effect) => said.push((source, effect)),
        }
    }
    let ops = ranked(&operations, &said);
    Ok(KeyHistory { key, operations, ops, contradictions })
}

fn meaning(operation: &Operation, intern: &mut impl FnMut(Option<Value>) -> Content) -> Result<Meaning, String> {
    let result = match &operation.completion {
        Completion::Fail(_) => return Ok(Meaning::Nothing),
        Completion::Info(_) => {
            return Ok(match &operation.action {
                Action::Read { .. } => Meaning::Nothing,
                Action::Write { value, .. } => Meaning::Effect(Effect::Write(intern(Some(*value)))),
                Action::Cas { expect, value, .. } => {
                    Meaning::Effect(Effect::Cas { expect: intern(*expect), new: intern(Some(*value)) })
                }
            });
        }
        Completion::Ok(result) => result,
    };
    Ok(match (&operation.action, result) {
        (Action::Read { .. }, OpResult::Read { value, .. }) => Meaning::Effect(Effect::Read(intern(*value))),
        (Action::Write { value, .. }, OpResult::Written { .. }) => Meaning::Effect(Effect::Write(intern(Some(*value)))),
        (Action::Cas { expect, value, .. }, OpResult::Cas { swapped: true, observed, .. }) => {
            if observed.is_some_and(|observed| observed != *expect && observed != Some(*value)) {
                Meaning::Contradiction
            } else {
                Meaning::Effect(Effect::Cas { expect: intern(*expect), new: intern(Some(*value)) })
            }
        }
        (Action::Cas { expect, .. }, OpResult::Cas { swapped: false, observed, .. }) => match observed {
            Some(observed) if observed == expect => Meaning::Contradiction,
            Some(observed) => Meaning::Effect(Effect::Read(intern(*observed))),
            None => Meaning::Effect(Effect::Refused { unlike: intern(*expect) }),
        },
        (Action::Read { .. } | Action::Write { .. } | Action::Cas { .. }, _) => {
            let line = operation.complete_line.unwrap_or(operation.invoke_line);
            return Err(format!("line {line}: the answer is not one to the operation's question"));
        }
    })
}

/// Gives each instant its rank.
fn ranked(operations: &[&Operation], said: &[(usize, Effect)]) -> Vec<Op> {
    let mut instants: Vec<(RunNanos, bool, usize)> = Vec::with_capacity(said.len() * 2);
    for (index, (source, _)) in said.iter().enumerate() {
        let operation = operations[*source];
        instants.push((operation.invoked, false, index));
        if let (Completion::Ok(_), Some(completed)) = (&operation.completion, operation.completed) {
            instants.push((completed, true, index));
        }
    }
    instants.sort_unstable();
    let mut ops: Vec<Op> = said.iter().map(|&(source, effect)| Op { effect, call: 0, ret: None, source }).collect();
    for (rank, (_, is_answer, index)) in (1..).zip(instants) {
        if is_answer {
            ops[index].ret = Some(rank);
        } else {
            ops[index].call = rank;
        }
    }
    ops.sort_unstable_by_key(|op| op.call);
    ops
}
