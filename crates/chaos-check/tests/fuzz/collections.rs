//! Collections: sets, logs, queues, bags.

use std::collections::{BTreeSet, VecDeque};

use chaos_check::linear::Entry;
use chaos_check::linear::models::{AppendLog, Bag, BagOp, LogOp, LogRead, Queue, QueueOp, Set, SetOp};
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

struct Logs {
    /// Elements are drawn from this many; `None`: each is new.
    elements: Option<u32>,
    /// In how many of a hundred appends an index is told.
    told: u32,
    now: Vec<u32>,
    appended: u32,
    log: AppendLog,
}

/// An element with the index that it was told, if that may be elsewhere than where it stands.
type Placed = (u32, Option<u32>);

impl Subject for Logs {
    type Model = AppendLog;
    type State = Vec<Placed>;

    fn initial(&self) -> Vec<Placed> {
        Vec::new()
    }

    fn apply(&self, state: &Vec<Placed>, op: &LogOp) -> Option<Vec<Placed>> {
        // The index of each, as every leap moves what follows.
        let index = |state: &[Placed]| state.iter().fold(0, |next, (_, at)| at.unwrap_or(next) + 1);
        let with = |placed: Placed| state.iter().copied().chain([placed]).collect::<Vec<Placed>>();
        let possible = match op {
            LogOp::Append { element, at } => {
                return at.is_none_or(|at| at == index(state)).then(|| with((*element, None)));
            }
            LogOp::Leap { element, at } => return (index(state) <= *at).then(|| with((*element, Some(*at)))),
            LogOp::Read(read) => {
                let seen = self.log.seen(*read);
                let indices = (0..state.len()).map(|place| index(&state[..=place]) - 1);
                let end = seen.from + u32::try_from(seen.elements.len()).expect("reads are short");
                let there: Vec<(u32, u32)> = indices.zip(state.iter().map(|(element, _)| *element)).collect();
                let there = there.into_iter().filter(|(index, _)| (seen.from..end).contains(index));
                there.eq((seen.from..).zip(seen.elements.iter().copied()))
                    && (index(state) == end || !seen.whole && index(state) > end)
            }
            LogOp::Saw { read, among } => {
                let seen = self.log.seen(*read);
                let some = |element: &u32| among.contains(element);
                let has: Vec<u32> = state.iter().map(|(element, _)| *element).filter(some).collect();
                let saw: Vec<u32> = seen.elements.iter().copied().filter(some).collect();
                (0..=has.len()).any(|from| {
                    (seen.from > 0 || from == 0)
                        && has[from..].starts_with(&saw)
                        && (!seen.whole || has.len() == from + saw.len())
                })
            }
        };
        possible.then(|| state.clone())
    }

    fn propose(&mut self, random: &mut Random, _process: usize) -> LogOp {
        let len = self.now.len();
        if random.random_bool(0.5) {
            let (mut from, mut to) = (random.random_range(0..=len), len);
            if random.random_bool(0.5) {
                from = 0;
            }
            let whole = random.random_bool(0.5);
            if !whole {
                to = random.random_range(from..=len);
            }
            let mut elements = self.now[from..to].to_vec();
            if random.random_ratio(1, 8) {
                elements.pop();
                elements.extend((random.random_bool(0.5)).then_some(self.elements.unwrap_or(self.appended)));
            }
            return self.log.read(LogRead { from: u32::try_from(from).expect("logs are short"), elements, whole });
        }
        let element = self.elements.map_or(self.appended, |count| random.random_range(0..count));
        self.appended += 1;
        let mut at = u32::try_from(len).expect("logs are short");
        if random.random_ratio(1, 8) {
            at = random.random_range(0..=at + 1);
        }
        LogOp::Append { element, at: random.random_ratio(self.told, 100).then_some(at) }
    }

    fn took(&mut self, _process: usize, op: &LogOp) {
        if let LogOp::Append { element, .. } = op {
            self.now.push(*element);
        }
    }

    fn model(&self, _entries: &[Entry<LogOp>]) -> AppendLog {
        self.log.clone()
    }
}

fn logs(elements: Option<u32>, told: u32) -> Logs {
    Logs { elements, told, now: Vec::new(), appended: 0, log: AppendLog::default() }
}

#[test]
fn logs_of_unique_elements_agree_with_brute_force() {
    fuzz("append log", |random| logs(None, [0, 50, 100][random.random_range(0..3_usize)]));
}

#[test]
fn logs_of_few_elements_agree_with_brute_force() {
    fuzz("append log of few elements", |random| logs(Some(2), [0, 50, 100][random.random_range(0..3_usize)]));
}

struct Queues {
    /// Elements are drawn from this many; `None`: each is new.
    elements: Option<u32>,
    /// Whether dequeues of nothing are proposed.
    empties: bool,
    /// Whether crashed dequeues are.
    takes: bool,
    now: VecDeque<u32>,
    enqueued: u32,
}

impl Subject for Queues {
    type Model = Queue;
    type State = VecDeque<u32>;

    fn initial(&self) -> VecDeque<u32> {
        VecDeque::new()
    }

    fn apply(&self, state: &VecDeque<u32>, op: &QueueOp) -> Option<VecDeque<u32>> {
        let mut after = state.clone();
        let possible = match op {
            QueueOp::Enqueue(element) => {
                after.push_back(*element);
                true
            }
            QueueOp::Dequeue(element) => after.pop_front() == Some(*element),
            QueueOp::Empty => state.is_empty(),
            QueueOp::Take => {
                after.pop_front();
                true
            }
        };
        possible.then_some(after)
    }

    fn propose(&mut self, random: &mut Random, _process: usize) -> QueueOp {
        let element = random.random_range(0..self.elements.unwrap_or(self.enqueued + 1));
        match random.random_range(0..8_u32) {
            0 if self.takes => QueueOp::Take,
            1 if self.empties => QueueOp::Empty,
            1..=4 => match self.now.front() {
                Some(first) if random.random_ratio(9, 10) => QueueOp::Dequeue(*first),
                Some(_) => QueueOp::Dequeue(element),
                None if self.empties => QueueOp::Empty,
                None => QueueOp::Enqueue(self.fresh(element)),
            },
            _ => QueueOp::Enqueue(self.fresh(element)),
        }
    }

    fn took(&mut self, _process: usize, op: &QueueOp) {
        match op {
            QueueOp::Enqueue(element) => self.now.push_back(*element),
            QueueOp::Dequeue(_) | QueueOp::Take => {
                self.now.pop_front();
            }
            QueueOp::Empty => {}
        }
    }

    fn model(&self, _entries: &[Entry<QueueOp>]) -> Queue {
        Queue
    }
}

impl Queues {
    fn fresh(&mut self, element: u32) -> u32 {
        self.enqueued += 1;
        self.elements.map_or(self.enqueued - 1, |_| element)
    }
}

fn queues(elements: Option<u32>, empties: bool, takes: bool) -> Queues {
    Queues { elements, empties, takes, now: VecDeque::new(), enqueued: 0 }
}

#[test]
fn queues_of_unique_elements_agree_with_brute_force() {
    fuzz("queue", |_| queues(None, false, false));
}

#[test]
fn queues_that_are_found_empty_agree_with_brute_force() {
    fuzz("queue found empty", |_| queues(None, true, false));
}

#[test]
fn queues_with_crashed_dequeues_and_few_elements_agree_with_brute_force() {
    fuzz("queue with crashed dequeues", |random| {
        queues(if random.random_bool(0.5) { None } else { Some(2) }, random.random_bool(0.5), true)
    });
}

struct Bags {
    /// Elements are drawn from this many; `None`: each is new.
    elements: Option<u32>,
    /// Whether dequeues of nothing are proposed.
    empties: bool,
    now: Vec<u32>,
    enqueued: u32,
}

impl Subject for Bags {
    type Model = Bag;
    type State = Vec<u32>;

    fn initial(&self) -> Vec<u32> {
        Vec::new()
    }

    fn apply(&self, state: &Vec<u32>, op: &BagOp) -> Option<Vec<u32>> {
        let mut after = state.clone();
        match op {
            BagOp::Enqueue(element) => after.push(*element),
            BagOp::Dequeue(element) => {
                after.remove(state.iter().position(|it| it == element)?);
            }
            BagOp::Empty if state.is_empty() => {}
            BagOp::Empty => return None,
        }
        after.sort_unstable();
        Some(after)
    }

    fn propose(&mut self, random: &mut Random, _process: usize) -> BagOp {
        let element = random.random_range(0..self.elements.unwrap_or(self.enqueued + 1));
        match random.random_range(0..7_u32) {
            0 if self.empties => BagOp::Empty,
            0..=3 if !self.now.is_empty() && random.random_ratio(8, 10) => {
                BagOp::Dequeue(self.now[random.random_range(0..self.now.len())])
            }
            0 | 1 => BagOp::Dequeue(element),
            _ => {
                self.enqueued += 1;
                BagOp::Enqueue(self.elements.map_or(self.enqueued - 1, |_| element))
            }
        }
    }

    fn took(&mut self, _process: usize, op: &BagOp) {
        match op {
            BagOp::Enqueue(element) => self.now.push(*element),
            BagOp::Dequeue(element) => {
                self.now.remove(self.now.iter().position(|it| it == element).expect("it took effect"));
            }
            BagOp::Empty => {}
        }
    }

    fn model(&self, _entries: &[Entry<BagOp>]) -> Bag {
        Bag
    }
}

#[test]
fn bags_agree_with_brute_force() {
    fuzz("bag", |random| {
        let elements = [None, Some(1), Some(2)][random.random_range(0..3_usize)];
        Bags { elements, empties: random.random_bool(0.5), now: Vec::new(), enqueued: 0 }
    });
}
