//! Client operations: invoked once, then completed at most once as `ok` (it happened), `fail` (it did not happen) or
//! `info` (either; it may even still happen).
//!
//! The difference between `fail` and `info` decides verdicts: an `info` taken for a `fail` makes a correct system look
//! wrong when its effect shows later, a `fail` taken for an `info` hides lost updates. Only a definite answer of the system,
//! or a connection that was refused before a byte was sent, is a `fail`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::Recorded;
use crate::{Event, NodeId, OpId, ProcessId, Revision, RunNanos, Value};

/// What kind of object a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// Holds one value; absent at first.
    Register,
    /// Holds elements that are only ever added.
    Set,
    /// Is held by one client at most, together with the resource that it protects.
    Lock,
}

/// What a client asks of the system.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Read the key's value.
    Read {
        /// The key.
        key: String,
    },
    /// Write a value, whatever was there.
    Write {
        /// The key.
        key: String,
        /// The new value.
        value: Value,
    },
    /// Write `value` only if the key holds `expect` (`None`: only if the key is absent).
    Cas {
        /// The key.
        key: String,
        /// What the key must hold.
        expect: Option<Value>,
        /// The new value.
        value: Value,
    },
    /// Add an element to a set. Elements are never taken out again.
    Add {
        /// The set.
        key: String,
        /// The element, added once in the whole run.
        value: Value,
    },
    /// Read all elements of a set.
    Elements {
        /// The set.
        key: String,
    },
    /// Wait for a lock (or for a leadership that is campaigned for) and take it.
    Acquire {
        /// The lock.
        key: String,
    },
    /// Give a lock back.
    Release {
        /// The lock.
        key: String,
    },
    /// Use the resource that a lock protects; the resource itself writes down what it accepts.
    Access {
        /// The lock.
        key: String,
        /// The fencing token that is shown, if the client shows one.
        token: Option<u64>,
    },
}

impl Action {
    /// The key that the action concerns.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Read { key }
            | Self::Write { key, .. }
            | Self::Cas { key, .. }
            | Self::Add { key, .. }
            | Self::Elements { key }
            | Self::Acquire { key }
            | Self::Release { key }
            | Self::Access { key, .. } => key,
        }
    }

    /// What kind of object the action is about; a key is one object, of one kind.
    #[must_use]
    pub fn object(&self) -> ObjectKind {
        match self {
            Self::Read { .. } | Self::Write { .. } | Self::Cas { .. } => ObjectKind::Register,
            Self::Add { .. } | Self::Elements { .. } => ObjectKind::Set,
            Self::Acquire { .. } | Self::Release { .. } | Self::Access { .. } => ObjectKind::Lock,
        }
    }

    /// The value that the action would leave behind, if it is one that writes.
    #[must_use]
    pub fn written(&self) -> Option<Value> {
        match self {
            Self::Read { .. }
            | Self::Elements { .. }
            | Self::Acquire { .. }
            | Self::Release { .. }
            | Self::Access { .. } => None,
            Self::Write { value, .. } | Self::Cas { value, .. } | Self::Add { value, .. } => Some(*value),
        }
    }
}

/// What the system answered to an operation that happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpResult {
    /// The value read; `None` if the key is absent.
    Read {
        /// The value.
        value: Option<Value>,
        /// The revision of the last change of the key, where the system tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<Revision>,
    },
    /// The write is done.
    Written {
        /// Its place in the system's order, where the system tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<Revision>,
    },
    /// The compare-and-set was decided.
    Cas {
        /// Whether the value was set.
        swapped: bool,
        /// What the key held at that moment, where the system tells (in the file: no `observed` at all if it doesn't):
        /// `Some(None)`, in the file `null`, if the key was absent. Always told by the reference node.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "told")]
        observed: Option<Option<Value>>,
        /// The decision's place in the system's order, where the system tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<Revision>,
    },
    /// The elements of the set, in any order; none if there is no such set.
    Elements {
        /// Each element as often as it was found.
        values: Vec<Value>,
        /// The revision of the last change, where the system tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<Revision>,
    },
    /// The lock is held from now on, until it is released or lost.
    Acquired {
        /// The fencing token: larger for every later holder, where the system gives one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<u64>,
    },
    /// The lock is given back.
    Released,
    /// The resource has decided.
    Accessed {
        /// Whether it let the client in; a resource that checks tokens refuses one that is smaller than the largest it has seen.
        accepted: bool,
    },
}

/// A field that is there, `null` included.
fn told<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Value>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Which part of the load a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientRole {
    /// Follows the leader: starts anywhere, goes where the system points it.
    Roaming,
    /// Stays with one node whatever it answers; the one that meets a stale leader.
    Pinned,
    /// Reads every key once all faults are over and the load has stopped.
    Final,
}

/// One line of an operation's life, as recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpEvent {
    /// The operation.
    pub id: OpId,
    /// The logical process that runs it.
    pub process: ProcessId,
    /// The node that was asked.
    pub node: NodeId,
    /// What happened.
    pub phase: OpPhase,
}

/// Invocation or completion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpPhase {
    /// The request is about to be sent.
    Invoke {
        /// Which part of the load asks.
        role: ClientRole,
        /// When the open-loop schedule wanted it sent; latency counts from here. Never after the event's own stamp.
        due: RunNanos,
        /// What is asked.
        action: Action,
    },
    /// It happened.
    Ok(OpResult),
    /// It did not happen and never will.
    Fail {
        /// Why, in the system's or the driver's words.
        error: String,
    },
    /// It may or may not have happened, or may yet happen.
    Info {
        /// Why nobody knows.
        error: String,
    },
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// It happened, with this result.
    Ok(OpResult),
    /// It did not happen.
    Fail(String),
    /// Unknown; operations still under way at the end of the history are of this kind too.
    Info(String),
}

/// An invocation joined with its completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The operation.
    pub id: OpId,
    /// The process that ran it.
    pub process: ProcessId,
    /// The node that was asked.
    pub node: NodeId,
    /// Which part of the load asked.
    pub role: ClientRole,
    /// What was asked.
    pub action: Action,
    /// When it should have been sent.
    pub due: RunNanos,
    /// When it was sent.
    pub invoked: RunNanos,
    /// The history line of the invocation, from 1.
    pub invoke_line: usize,
    /// How it ended.
    pub completion: Completion,
    /// When the client learned of the end; `None` if it never did.
    pub completed: Option<RunNanos>,
    /// The history line of the completion, from 1.
    pub complete_line: Option<usize>,
}

/// Why a list of events is not a well-formed history of operations.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperationsError {
    /// Two invocations with one number.
    #[error("line {line}: operation {id:?} is invoked a second time")]
    InvokedTwice {
        /// The history line.
        line: usize,
        /// The operation.
        id: OpId,
    },
    /// A completion without its invocation, or a second completion.
    #[error("line {line}: operation {id:?} completes but is not under way")]
    NotUnderWay {
        /// The history line.
        line: usize,
        /// The operation.
        id: OpId,
    },
    /// A process had two operations under way, or went on after an `info`.
    #[error("line {line}: process {process:?} is busy or ended, yet invokes operation {id:?}")]
    ProcessBusy {
        /// The history line.
        line: usize,
        /// The operation.
        id: OpId,
        /// The process.
        process: ProcessId,
    },
}

/// Joins every invocation with its completion, in order of invocation.
///
/// # Errors
/// If the events are not a well-formed history: see [`OperationsError`].
pub fn operations(events: &[Recorded]) -> Result<Vec<Operation>, OperationsError> {
    let mut joined: Vec<Operation> = Vec::new();
    let mut under_way: BTreeMap<OpId, usize> = BTreeMap::new();
    let mut seen: BTreeMap<OpId, ()> = BTreeMap::new();
    let mut busy: BTreeMap<ProcessId, ()> = BTreeMap::new();
    for recorded in events {
        let Event::Op(op) = &recorded.event else { continue };
        let line = recorded.line;
        let (completion, process_goes_on) = match &op.phase {
            OpPhase::Invoke { role, due, action } => {
                if seen.insert(op.id, ()).is_some() {
                    return Err(OperationsError::InvokedTwice { line, id: op.id });
                }
                if busy.insert(op.process, ()).is_some() {
                    return Err(OperationsError::ProcessBusy { line, id: op.id, process: op.process });
                }
                under_way.insert(op.id, joined.len());
                joined.push(Operation {
                    id: op.id,
                    process: op.process,
                    node: op.node,
                    role: *role,
                    action: action.clone(),
                    due: *due,
                    invoked: recorded.at,
                    invoke_line: line,
                    completion: Completion::Info("still under way when the history ends".to_owned()),
                    completed: None,
                    complete_line: None,
                });
                continue;
            }
            OpPhase::Ok(result) => (Completion::Ok(result.clone()), true),
            OpPhase::Fail { error } => (Completion::Fail(error.clone()), true),
            OpPhase::Info { error } => (Completion::Info(error.clone()), false),
        };
        let Some(index) = under_way.remove(&op.id) else {
            return Err(OperationsError::NotUnderWay { line, id: op.id });
        };
        if process_goes_on {
            busy.remove(&op.process);
        }
        joined[index].completion = completion;
        joined[index].completed = Some(recorded.at);
        joined[index].complete_line = Some(line);
    }
    Ok(joined)
}
