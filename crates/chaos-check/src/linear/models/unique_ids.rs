//! A generator of ids, none of which it gives twice.
//!
//! *Specification.* `Generated(id)`: `id` was not generated before.
//!
//! *What `fail` means.* Nothing was generated that anybody knows of; leave it out, as well as a question without an outcome.
//!
//! *Decided* in O(n log n), always: a history is legal in every order that agrees with its stamps if no id was answered twice,
//! and in none if one was. The state remembers only ids that the history holds more than once, as only those can be
//! generated twice: [`UniqueIds::new`] looks for them.
//!
//! Source: Maelstrom's workload `unique-ids`; Jepsen's checker of the same name.

use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;
use crate::linear::model::Model;

/// A generator of ids, for one history.
#[derive(Clone, Debug, Default)]
pub struct UniqueIds {
    /// The ids that the history holds more than once, ascending.
    repeated: Vec<u64>,
}

/// An id was generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generated(pub u64);

impl UniqueIds {
    /// For a history that holds no ids but `ids`, each as often as it holds it.
    #[must_use]
    pub fn new(ids: impl IntoIterator<Item = u64>) -> Self {
        let mut ids: Vec<u64> = ids.into_iter().collect();
        ids.sort_unstable();
        let mut repeated: Vec<u64> = ids.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        repeated.dedup();
        Self { repeated }
    }
}

impl Model for UniqueIds {
    type Op = Generated;
    /// Those of the repeated ids that have been generated, ascending.
    type State = Vec<u64>;

    fn initial(&self) -> Vec<u64> {
        Vec::new()
    }

    fn apply(&self, generated: &Vec<u64>, op: &Generated) -> Option<Vec<u64>> {
        if self.repeated.binary_search(&op.0).is_err() {
            return Some(generated.clone());
        }
        let place = generated.binary_search(&op.0).err()?;
        let mut generated = generated.clone();
        generated.insert(place, op.0);
        Some(generated)
    }

    fn shortcut(&self, ops: &[Op<Generated>]) -> Shortcut {
        let answered = (0_u32..).zip(ops).filter(|(_, op)| op.ret.is_some());
        let mut repeated: Vec<(u64, u32)> = answered
            .clone()
            .map(|(place, op)| (op.what.0, place))
            .filter(|(id, _)| self.repeated.binary_search(id).is_ok())
            .collect();
        repeated.sort_unstable();
        match repeated.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Shortcut::Conflict(vec![pair[0].1, pair[1].1]),
            None => Shortcut::Order(answered.map(|(place, _)| place).collect()),
        }
    }

    fn independent(&self, _kept: &Generated, _dropped: &Generated) -> bool {
        true
    }
}
