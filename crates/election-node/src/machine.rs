//! The state machine: keys, values, and compare-and-set, replicated by the log.
//!
//! It is a pure function of the committed entries, so that all nodes hold the same bytes at the same index; a snapshot is
//! the postcard of an ordered map and therefore the same on every node as well. It keeps no client sessions: a command that
//! a client sends twice is done twice (linearizability of retries is the client's concern; Ongaro's dissertation §6.3 tells
//! what a production system does instead).

use std::collections::BTreeMap;

use election::raft::{Entry, EntryPayload};
use election::{LogIndex, Term};
use serde::{Deserialize, Serialize};

/// What a client can ask to be replicated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Set a key.
    Put { key: String, value: String },
    /// Set a key if it holds `expect`; `None` expects that there is no such key.
    Cas { key: String, expect: Option<String>, value: String },
}

impl Command {
    /// The bytes that go into the log.
    pub(crate) fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a command is plain data, which postcard always encodes")
    }
}

/// A value and the entry that wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Versioned {
    pub(crate) value: String,
    /// The index of the entry that wrote it.
    pub(crate) revision: LogIndex,
    /// The term of that entry.
    pub(crate) term: Term,
}

/// What a command did, for its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The key was set.
    Put,
    /// Whether the key was set, and what it held before.
    Cas { swapped: bool, before: Option<Versioned> },
}

/// Bytes that this version of the node can't have written: the log was written by another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MachineError {
    #[error("apply entry {0}: not a command of this version")]
    Command(LogIndex),
    #[error("restore a snapshot: not a state of this version")]
    Snapshot,
}

/// The replicated map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    applied: LogIndex,
    values: BTreeMap<String, Versioned>,
}

impl Machine {
    /// The index of the last entry that was applied.
    pub(crate) fn applied(&self) -> LogIndex {
        self.applied
    }

    /// What a key holds.
    pub(crate) fn get(&self, key: &str) -> Option<&Versioned> {
        self.values.get(key)
    }

    /// Applies the next entry; `None` for one that is not a command.
    pub(crate) fn apply(&mut self, entry: &Entry) -> Result<Option<Effect>, MachineError> {
        debug_assert!(entry.index > self.applied, "entry {} after {}", entry.index, self.applied);
        self.applied = entry.index;
        let bytes = match &entry.payload {
            EntryPayload::Command(bytes) => bytes,
            EntryPayload::Noop | EntryPayload::Membership(_) => return Ok(None),
        };
        let command = postcard::from_bytes(bytes).map_err(|_| MachineError::Command(entry.index))?;
        let written = |value| Versioned { value, revision: entry.index, term: entry.term };
        match command {
            Command::Put { key, value } => {
                self.values.insert(key, written(value));
                Ok(Some(Effect::Put))
            }
            Command::Cas { key, expect, value } => {
                let before = self.values.get(&key).cloned();
                let swapped = before.as_ref().map(|versioned| &versioned.value) == expect.as_ref();
                if swapped {
                    self.values.insert(key, written(value));
                }
                Ok(Some(Effect::Cas { swapped, before }))
            }
        }
    }

    /// The whole state as bytes; equal states give equal bytes.
    pub(crate) fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(&self.values).expect("the state is plain data, which postcard always encodes")
    }

    /// Replaces the state by a saved one, as of `through`.
    pub(crate) fn restore(&mut self, through: LogIndex, bytes: &[u8]) -> Result<(), MachineError> {
        self.values = postcard::from_bytes(bytes).map_err(|_| MachineError::Snapshot)?;
        self.applied = through;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(machine: &mut Machine, command: &Command) -> Effect {
        let payload = EntryPayload::Command(command.encode().into());
        let entry = Entry { index: machine.applied().next(), term: Term(1), payload };
        machine.apply(&entry).unwrap().expect("a command has an effect")
    }

    fn cas(expect: Option<&str>, value: &str) -> Command {
        Command::Cas { key: "k".to_owned(), expect: expect.map(str::to_owned), value: value.to_owned() }
    }

    #[test]
    fn compare_and_set_swaps_only_what_it_expects_and_tells_what_it_saw() {
        let mut machine = Machine::default();
        let seen = |effect| match effect {
            Effect::Cas { swapped, before } => (swapped, before.map(|versioned| versioned.value)),
            Effect::Put => panic!("not a compare-and-set"),
        };
        assert_eq!(seen(apply(&mut machine, &cas(Some("a"), "b"))), (false, None));
        assert_eq!(seen(apply(&mut machine, &cas(None, "a"))), (true, None));
        assert_eq!(seen(apply(&mut machine, &cas(None, "x"))), (false, Some("a".to_owned())));
        assert_eq!(seen(apply(&mut machine, &cas(Some("a"), "b"))), (true, Some("a".to_owned())));
        let held = Versioned { value: "b".to_owned(), revision: LogIndex(4), term: Term(1) };
        assert_eq!(machine.get("k"), Some(&held));
    }

    #[test]
    fn the_same_entries_give_the_same_snapshot_and_a_snapshot_gives_the_state_back() {
        let (mut one, mut other) = (Machine::default(), Machine::default());
        for number in 0..50 {
            let command = Command::Put { key: format!("k{}", number % 7), value: number.to_string() };
            apply(&mut one, &command);
            apply(&mut other, &command);
        }
        assert_eq!(one.save(), other.save());
        let mut restored = Machine::default();
        restored.restore(one.applied(), &one.save()).unwrap();
        assert_eq!(restored, one);
    }

    #[test]
    fn bytes_that_are_no_command_or_snapshot_are_errors() {
        let mut machine = Machine::default();
        let entry = Entry { index: LogIndex(1), term: Term(1), payload: EntryPayload::Command(vec![9, 9].into()) };
        assert_eq!(machine.apply(&entry), Err(MachineError::Command(LogIndex(1))));
        assert_eq!(machine.restore(LogIndex(1), &[255; 4]), Err(MachineError::Snapshot));
    }
}
