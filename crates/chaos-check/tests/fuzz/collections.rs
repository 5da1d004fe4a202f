//! Collections: sets, logs, queues, bags.

use std::collections::BTreeSet;

use chaos_check::linear::Entry;
use chaos_check::linear::models::{Set, SetOp};
use rand::RngExt;

use crate::harness::{Random, Subject, fuzz};

struct Sets {
    /// Elements are drawn from this many; `None`: each is added once.
    elements: Option<u32>,
    added: u32,
    now: BTreeSet<u32>,
    set: Set,
}

impl Subject for Sets {
    type Model = Set;
    type State = BTreeSet<u32>;

    fn initial(&self) -> BTreeSet<u32> {
        BTreeSet::new()
    }

    fn apply(&self, state: &BTreeSet<u32>, op: &SetOp) -> Option<BTreeSet<u32>> {
        let seen = |read: u32| self.set.elements(read).iter().copied().collect::<BTreeSet<u32>>();
        let possible = match op {
            SetOp::Add(element) => return Some(state.iter().copied().chain([*element]).collect()),
            SetOp::Read(read) => seen(*read) == *state,
            SetOp::Contains { element, present } => state.contains(element) == *present,
            SetOp::Sees { read, among } => {
                among.iter().all(|element| seen(*read).contains(element) == state.contains(element))
            }
        };
        possible.then(|| state.clone())
    }

    fn propose(&mut self, random: &mut Random, _process: usize) -> SetOp {
        let count = self.elements.unwrap_or(self.added + 1);
        match random.random_range(0..7_u32) {
            0 | 1 => {
                let mut elements = self.now.clone();
                if random.random_ratio(1, 6) {
                    let element = random.random_range(0..count);
                    if !elements.remove(&element) {
                        elements.insert(element);
                    }
                }
                self.set.read(elements.into_iter().collect())
            }
            2 | 3 => {
                let element = random.random_range(0..count);
                SetOp::Contains { element, present: random.random_bool(0.5) }
            }
            _ => {
                self.added += 1;
                SetOp::Add(self.elements.map_or(self.added - 1, |count| random.random_range(0..count)))
            }
        }
    }

    fn took(&mut self, _process: usize, op: &SetOp) {
        if let SetOp::Add(element) = op {
            self.now.insert(*element);
        }
    }

    fn model(&self, _entries: &[Entry<SetOp>]) -> Set {
        self.set.clone()
    }
}

fn sets(elements: Option<u32>) -> Sets {
    Sets { elements, added: 0, now: BTreeSet::new(), set: Set::default() }
}

#[test]
fn sets_of_unique_elements_agree_with_brute_force() {
    fuzz("set", |_| sets(None));
}

#[test]
fn sets_of_few_elements_agree_with_brute_force() {
    fuzz("set of few elements", |random| sets(Some(random.random_range(1..=3))));
}
