//! What a history says of one set: what was added, and what each node showed in the end.
//!
//! A set only grows, and each element is added once in the whole run. So an element that is there once is there for ever, and
//! what a node shows last is all that counts of what it showed. Refuses to read anything into answers that never came: an
//! addition or a read of unknown outcome proves nothing.

mod explain;
pub(crate) mod linear;
pub(crate) mod lost;

use std::collections::{BTreeMap, BTreeSet};

use chaos_history::{Action, ClientRole, Completion, NodeId, OpResult, Operation, RunNanos, Value};

/// An answer's moment and its line.
pub(crate) type End = (RunNanos, usize);

/// An acknowledged addition.
pub(crate) struct Added<'a> {
    pub(crate) operation: &'a Operation,
    pub(crate) value: Value,
    pub(crate) end: End,
}

/// A final read that was answered.
pub(crate) struct FinalRead<'a> {
    pub(crate) operation: &'a Operation,
    pub(crate) values: BTreeSet<Value>,
    pub(crate) end: End,
}

/// What is known of an element that is not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its addition was asked for, and did not fail for certain.
    Asked,
    /// Every addition failed for certain; this line says so of one.
    Failed(usize),
}

/// One set.
pub(crate) struct SetKey<'a> {
    pub(crate) key: &'a str,
    /// In order of invocation.
    pub(crate) added: Vec<Added<'a>>,
    pub(crate) fates: BTreeMap<Value, Fate>,
    /// In order of invocation.
    pub(crate) finals: Vec<FinalRead<'a>>,
    /// The nodes that refused a final read for certain.
    pub(crate) refusing: BTreeSet<NodeId>,
}

impl<'a> SetKey<'a> {
    /// What the operations on one set say; those on other kinds of object are none of it.
    pub(crate) fn new(key: &'a str, operations: &[&'a Operation]) -> Self {
        let mut this =
            Self { key, added: Vec::new(), fates: BTreeMap::new(), finals: Vec::new(), refusing: BTreeSet::new() };
        for &operation in operations {
            this.add(operation);
        }
        this
    }

    fn add(&mut self, operation: &'a Operation) {
        let end = operation.completed.zip(operation.complete_line);
        if let Action::Add { value, .. } = operation.action {
            match (&operation.completion, end) {
                (Completion::Fail(_), Some((_, line))) => {
                    self.fates.entry(value).or_insert(Fate::Failed(line));
                }
                (Completion::Ok(OpResult::Written { .. }), Some(end)) => {
                    self.fates.insert(value, Fate::Asked);
                    self.added.push(Added { operation, value, end });
                }
                (Completion::Ok(_) | Completion::Fail(_) | Completion::Info(_), _) => {
                    self.fates.insert(value, Fate::Asked);
                }
            }
        }
        if operation.role == ClientRole::Final && matches!(operation.completion, Completion::Fail(_)) {
            self.refusing.insert(operation.node);
        }
        if let (ClientRole::Final, Completion::Ok(OpResult::Elements { values, .. }), Some(end)) =
            (operation.role, &operation.completion, end)
        {
            self.finals.push(FinalRead { operation, values: values.iter().copied().collect(), end });
        }
    }

    /// The last final read that each node answered, by node.
    pub(crate) fn last_words(&self) -> BTreeMap<NodeId, &FinalRead<'a>> {
        let mut last: BTreeMap<NodeId, &FinalRead<'a>> = BTreeMap::new();
        for read in &self.finals {
            let of_node = last.entry(read.operation.node).or_insert(read);
            if of_node.operation.invoked <= read.operation.invoked {
                *of_node = read;
            }
        }
        last
    }
}
