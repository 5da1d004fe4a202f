//! What is still to come, in the order of its time; of one time, in the order in which it was planned.
//!
//! Kept in places that suit the sorts of things that a run plans: messages that arrive within microseconds, of which a handful is under way
//! and stands in a sorted row; timers that lie far ahead, in a heap; and deadlines of clients and of nodes, of which there are many, mostly
//! come to nothing, and are planned in the order in which they come, in a line for either. Where a thing is kept never decides when it comes.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// What comes later than this counts as far, nanoseconds.
const FAR: u64 = 10_000_000;
/// What comes later than this may stand in a line: few timers, or a single one of them would keep all deadlines before it out.
const LAST: u64 = 500_000_000;
/// How many near things stand in the row at most: of so few, to find the place of one more costs less than a heap.
const ROW_MAX: usize = 48;
const SLOT_BITS: u32 = 24;
const ORDER_BITS: u32 = 40;
/// Later than everything.
const NEVER: u128 = u128::MAX;

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    // A time, an order and a slot in one number, so that comparing is one instruction or two.
    /// Near things, the next one last.
    row: Vec<u128>,
    far: BinaryHeap<Reverse<u128>>,
    /// In either, each comes after the one before it.
    lines: [VecDeque<u128>; 2],
    /// The next thing that is not in the row.
    later: u128,
    slots: Vec<Option<T>>,
    free: Vec<u32>,
    planned: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            row: Vec::with_capacity(ROW_MAX),
            far: BinaryHeap::new(),
            lines: [VecDeque::new(), VecDeque::new()],
            later: NEVER,
            slots: Vec::new(),
            free: Vec::new(),
            planned: 0,
        }
    }
}

impl<T> Queue<T> {
    /// Plans something for a time; `now` only decides where it is kept.
    pub(crate) fn push(&mut self, now: u64, at: u64, what: T) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(what);
                slot
            }
            None => {
                self.slots.push(Some(what));
                u32::try_from(self.slots.len() - 1).expect("far fewer things are under way than slots have numbers")
            }
        };
        assert!(slot < 1 << SLOT_BITS, "sixteen million things under way are a run away");
        self.planned += 1;
        let order = (self.planned & ((1 << ORDER_BITS) - 1)) << SLOT_BITS | u64::from(slot);
        let key = u128::from(at) << 64 | u128::from(order);
        let ahead = at.saturating_sub(now);
        if ahead < FAR && self.row.len() < ROW_MAX {
            self.push_near(key);
        } else {
            self.push_later(key, ahead);
        }
    }

    fn push_near(&mut self, key: u128) {
        self.row.push(key);
        let mut place = self.row.len() - 1;
        while place > 0 && self.row[place - 1] < key {
            self.row[place] = self.row[place - 1];
            place -= 1;
        }
        self.row[place] = key;
    }

    fn push_later(&mut self, key: u128, ahead: u64) {
        self.later = self.later.min(key);
        let fits = |line: &&mut VecDeque<u128>| ahead >= LAST && line.back().is_none_or(|last| *last < key);
        match self.lines.iter_mut().find(fits) {
            Some(line) => line.push_back(key),
            None => self.far.push(Reverse(key)),
        }
    }

    /// Takes the next thing out, if it comes by then.
    pub(crate) fn pop_by(&mut self, latest: u64) -> Option<(u64, T)> {
        let near = self.row.last().copied().unwrap_or(NEVER);
        let key = near.min(self.later);
        if key == NEVER || time_of(key) > latest {
            return None;
        }
        if key == near {
            self.row.pop();
        } else {
            self.pop_later(key);
        }
        let slot = (key & ((1 << SLOT_BITS) - 1)) as usize;
        let what = self.slots[slot].take().expect("a slot whose number is in a heap is full");
        self.free.push(u32::try_from(slot).expect("so many bits fit"));
        Some((time_of(key), what))
    }

    fn pop_later(&mut self, key: u128) {
        match self.lines.iter_mut().find(|line| line.front() == Some(&key)) {
            Some(line) => drop(line.pop_front()),
            None => drop(self.far.pop()),
        }
        let far = self.far.peek().map_or(NEVER, |Reverse(key)| *key);
        let lines = self.lines.iter().filter_map(|line| line.front()).copied();
        self.later = lines.fold(far, u128::min);
    }
}

fn time_of(key: u128) -> u64 {
    u64::try_from(key >> 64).expect("the upper half of 128 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_in_the_order_of_their_times_then_of_their_planning_near_far_or_in_the_line() {
        let mut queue = Queue::default();
        for (at, what) in [(LAST * 2, 'i'), (LAST * 3, 'k'), (FAR * 3, 'f'), (5, 'b'), (FAR * 2, 'd'), (LAST, 'h')] {
            queue.push(0, at, what);
        }
        for (at, what) in [(5, 'c'), (LAST * 3, 'l'), (1, 'a'), (FAR * 4, 'g'), (LAST * 2, 'j')] {
            queue.push(0, at, what);
        }
        // Near by now, and planned after what was far once.
        queue.push(FAR * 2 - 1, FAR * 2, 'e');
        assert_eq!(queue.pop_by(0), None, "nothing comes so soon");
        let order: String = std::iter::from_fn(|| queue.pop_by(u64::MAX)).map(|(_, what)| what).collect();
        assert_eq!(order, "abcdefghijkl");
    }

    #[test]
    fn slots_are_used_again() {
        let mut queue = Queue::default();
        for round in 0..1_000 {
            queue.push(round, round + 1, round);
            queue.push(round, round + 2 * LAST, round);
            assert!(queue.pop_by(u64::MAX).is_some());
            assert!(queue.pop_by(u64::MAX).is_some());
        }
        assert_eq!(queue.slots.len(), 2);
    }
}
