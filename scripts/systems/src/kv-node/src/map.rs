//! The replicated map: what an entry of the log does, and what its proposer is told.
//!
//! Every node applies the same entries in the same order; nothing here looks at a clock, so all maps are equal.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::{Deserialize, Serialize};

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Set the key.
    Put {
        /// The key.
        key: String,
        /// Its new value.
        value: String,
    },
    /// Set the key if it has this value.
    Cas {
        /// The key.
        key: String,
        /// `None`: if there is no such key.
        expect: Option<String>,
        /// Its new value.
        value: String,
    },
}

/// A value, and the index and term of the entry that wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Versioned {
    /// The value.
    pub value: String,
    /// The index of the entry that wrote it.
    pub revision: u64,
    /// The term of the entry that wrote it.
    pub term: u64,
}

/// What an applied entry did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The key was set.
    Put {
        /// The entry's index.
        revision: u64,
        /// The entry's term.
        term: u64,
    },
    /// The key was set if it had the expected value.
    Cas {
        /// Whether it was set.
        swapped: bool,
        /// What was there before.
        before: Option<Versioned>,
        /// The index of the entry that wrote what is there now.
        revision: Option<u64>,
        /// That entry's term.
        term: Option<u64>,
    },
}

/// All keys, and how far the log has been applied.
#[derive(Debug, Default)]
pub struct Map {
    values: BTreeMap<String, Versioned>,
    applied: Option<u64>,
}

impl Map {
    /// The key's value.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Versioned> {
        self.values.get(key)
    }

    /// The index of the last applied entry; `None` before the first.
    #[must_use]
    pub fn applied(&self) -> Option<u64> {
        self.applied
    }

    /// A number that two maps share only if they are equal, as far as 64 bits go.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.values.hash(&mut hasher);
        hasher.finish()
    }

    /// Applies the entry at `index`; `None` is an entry of the library's own (a new leader's, a membership), which changes nothing.
    ///
    /// # Panics
    /// If the entry has been applied already: a map that goes back must not answer anybody.
    pub fn apply(&mut self, index: u64, term: u64, command: Option<Command>) -> Option<Answer> {
        assert!(Some(index) > self.applied, "entry {index} comes after entry {:?}", self.applied);
        self.applied = Some(index);
        Some(match command? {
            Command::Put { key, value } => {
                self.values.insert(key, Versioned { value, revision: index, term });
                Answer::Put { revision: index, term }
            }
            Command::Cas { key, expect, value } => {
                let before = self.values.get(&key).cloned();
                let swapped = before.as_ref().map(|before| &before.value) == expect.as_ref();
                if swapped {
                    self.values.insert(key.clone(), Versioned { value, revision: index, term });
                }
                let now = self.values.get(&key);
                Answer::Cas { swapped, before, revision: now.map(|now| now.revision), term: now.map(|now| now.term) }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cas(expect: Option<&str>, value: &str) -> Option<Command> {
        Some(Command::Cas { key: "a".into(), expect: expect.map(Into::into), value: value.into() })
    }

    #[test]
    fn cas_swaps_only_what_it_expects() {
        let mut map = Map::default();
        let mut swapped = |index, command| match map.apply(index, 4, command) {
            Some(Answer::Cas { swapped, revision, .. }) => (swapped, revision),
            other => panic!("{other:?}"),
        };
        assert_eq!(swapped(1, cas(Some("1"), "2")), (false, None));
        assert_eq!(swapped(2, cas(None, "1")), (true, Some(2)));
        assert_eq!(swapped(3, cas(None, "3")), (false, Some(2)));
        assert_eq!(swapped(4, cas(Some("9"), "3")), (false, Some(2)));
        assert_eq!(swapped(5, cas(Some("1"), "")), (true, Some(5)));
        assert_eq!(swapped(6, cas(Some(""), "6")), (true, Some(6)));
    }

    #[test]
    fn maps_with_different_values_have_different_digests() {
        let (mut left, mut right) = (Map::default(), Map::default());
        left.apply(1, 1, cas(None, "1"));
        right.apply(1, 1, None);
        assert_ne!(left.digest(), right.digest());
        right.apply(2, 1, None);
        assert_eq!(right.applied(), Some(2));
        assert_eq!(right.digest(), Map::default().digest());
    }

    #[test]
    #[should_panic(expected = "entry 1 comes after entry Some(1)")]
    fn an_entry_is_not_applied_twice() {
        let mut map = Map::default();
        map.apply(1, 1, None);
        map.apply(1, 1, None);
    }
}
