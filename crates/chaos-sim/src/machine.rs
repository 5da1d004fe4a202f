//! The state machine behind the log: registers by number, as the reference node keeps them by name.
//!
//! A command is written so short because its bytes are copied for every follower and every disk.

use chaos_history::Value;
use election::LogIndex;
use election::raft::{CommandBytes, Entry, EntryPayload};

/// What a client wants in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Set the register.
    Put { key: u16, value: Value },
    /// Set it if it holds `expect`; `None` expects that nothing was ever written.
    Cas { key: u16, expect: Option<Value>, value: Value },
}

impl Command {
    /// `key value` or `key value marker [expect]`, big-endian.
    pub(crate) fn encode(self) -> CommandBytes {
        let (key, value) = match self {
            Self::Put { key, value } | Self::Cas { key, value, .. } => (key, value),
        };
        let mut bytes = [0; 19];
        bytes[..2].copy_from_slice(&key.to_be_bytes());
        bytes[2..10].copy_from_slice(&value.0.to_be_bytes());
        let length = match self {
            Self::Put { .. } => 10,
            Self::Cas { expect, .. } => {
                bytes[10] = 1;
                expect.map_or(11, |expect| {
                    bytes[11..].copy_from_slice(&expect.0.to_be_bytes());
                    19
                })
            }
        };
        CommandBytes::from(&bytes[..length])
    }

    /// What [`Command::encode`] made of it; `None` for other bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (key, rest) = bytes.split_first_chunk()?;
        let (value, rest) = rest.split_first_chunk()?;
        let (key, value) = (u16::from_be_bytes(*key), Value(u64::from_be_bytes(*value)));
        match rest {
            [] => Some(Self::Put { key, value }),
            [1] => Some(Self::Cas { key, expect: None, value }),
            [1, expect @ ..] => {
                let expect = Some(Value(u64::from_be_bytes(expect.try_into().ok()?)));
                Some(Self::Cas { key, expect, value })
            }
            [..] => None,
        }
    }
}

/// A value and the entry that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Versioned {
    pub(crate) value: Value,
    pub(crate) revision: LogIndex,
}

/// What a command did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The register was set.
    Put,
    /// Whether it was set, and what it held before.
    Cas { swapped: bool, before: Option<Versioned> },
}

/// The registers of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) applied: LogIndex,
    values: Vec<Option<Versioned>>,
}

impl Machine {
    /// What a register holds.
    pub(crate) fn get(&self, key: u16) -> Option<Versioned> {
        self.values.get(usize::from(key)).copied().flatten()
    }

    fn set(&mut self, key: u16, held: Versioned) {
        let key = usize::from(key);
        if self.values.len() <= key {
            self.values.resize(key + 1, None);
        }
        self.values[key] = Some(held);
    }

    /// Applies the next entry; `None` for one that is no command.
    pub(crate) fn apply(&mut self, entry: &Entry) -> Option<Effect> {
        self.applied = entry.index;
        let bytes = match &entry.payload {
            EntryPayload::Command(bytes) => bytes,
            EntryPayload::Noop | EntryPayload::Membership(_) => return None,
        };
        match Command::decode(bytes)? {
            Command::Put { key, value } => {
                self.set(key, Versioned { value, revision: entry.index });
                Some(Effect::Put)
            }
            Command::Cas { key, expect, value } => {
                let before = self.get(key);
                let swapped = before.map(|held| held.value) == expect;
                if swapped {
                    self.set(key, Versioned { value, revision: entry.index });
                }
                Some(Effect::Cas { swapped, before })
            }
        }
    }

    /// The whole state as bytes; equal states give equal bytes.
    pub(crate) fn save(&self) -> Vec<u8> {
        let held = self.values.iter().enumerate().filter_map(|(key, held)| Some((key, (*held)?)));
        held.flat_map(|(key, held)| {
            let key = u16::try_from(key).expect("keys are 16 bits");
            let mut bytes = key.to_be_bytes().to_vec();
            bytes.extend(held.value.0.to_be_bytes());
            bytes.extend(held.revision.0.to_be_bytes());
            bytes
        })
        .collect()
    }

    /// The state that was saved, as of `applied`.
    pub(crate) fn restored(applied: LogIndex, bytes: &[u8]) -> Self {
        let mut machine = Self { applied, values: Vec::new() };
        for record in bytes.chunks_exact(18) {
            let word = |at: usize| record[at..at + 8].iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
            let key = u16::from_be_bytes([record[0], record[1]]);
            machine.set(key, Versioned { value: Value(word(2)), revision: LogIndex(word(10)) });
        }
        machine
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use election::Term;

    #[test]
    fn commands_are_read_back_and_other_bytes_are_none() {
        let value = Value(u64::MAX - 7);
        let commands = [
            Command::Put { key: 300, value },
            Command::Cas { key: 0, expect: None, value },
            Command::Cas { key: 1, expect: Some(Value(0)), value },
        ];
        for command in commands {
            let bytes = command.encode();
            assert_eq!(Command::decode(&bytes), Some(command));
            assert_eq!(Command::decode(&bytes[..9]), None);
        }
        assert_eq!(Command::decode(&[0; 12]), None);
    }

    #[test]
    fn a_swap_wants_what_it_expects_and_a_saved_state_comes_back() {
        let mut machine = Machine::default();
        let mut apply = |command: Command| {
            let payload = EntryPayload::Command(command.encode());
            machine.apply(&Entry { index: machine.applied.next(), term: Term(1), payload })
        };
        let cas = |expect, value| Command::Cas { key: 2, expect, value: Value(value) };
        assert_eq!(apply(cas(Some(Value(1)), 2)), Some(Effect::Cas { swapped: false, before: None }));
        assert_eq!(apply(cas(None, 2)), Some(Effect::Cas { swapped: true, before: None }));
        let before = Some(Versioned { value: Value(2), revision: LogIndex(2) });
        assert_eq!(apply(cas(None, 3)), Some(Effect::Cas { swapped: false, before }));
        assert_eq!(apply(Command::Put { key: 0, value: Value(9) }), Some(Effect::Put));
        assert_eq!(Machine::restored(machine.applied, &machine.save()), machine);
    }
}
