//! What is still to come, in the order of its time; of one time, in the order in which it was planned.
//!
//! Two heaps and a line, since a run plans three sorts of things: messages that arrive within microseconds, of which a few are under way;
//! timers that lie far ahead; and clients' deadlines, of which there are many, mostly come to nothing, and are planned in the order in which
//! they come. The heaps stay small, and the line costs nothing.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// What comes later than this counts as far, nanoseconds.
const FAR: u64 = 10_000_000;
/// What comes later than this may stand in the line: few timers, or a single one of them would keep all deadlines before it out.
const LAST: u64 = 500_000_000;
const SLOT_BITS: u32 = 24;
const ORDER_BITS: u32 = 40;

/// A time, an order and a slot in one number, so that comparing is one instruction or two.
type Key = Reverse<u128>;

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    near: BinaryHeap<Key>,
    far: BinaryHeap<Key>,
    /// Each comes after the one before it.
    line: VecDeque<u128>,
    slots: Vec<Option<T>>,
    free: Vec<u32>,
    planned: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            near: BinaryHeap::new(),
            far: BinaryHeap::new(),
            line: VecDeque::new(),
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
        let order = u128::from(self.planned & ((1 << ORDER_BITS) - 1));
        let key = u128::from(at) << 64 | order << SLOT_BITS | u128::from(slot);
        match at.saturating_sub(now) {
            ..FAR => self.near.push(Reverse(key)),
            LAST.. if self.line.back().is_none_or(|last| *last < key) => self.line.push_back(key),
            FAR.. => self.far.push(Reverse(key)),
        }
    }

    /// Takes the next thing out, if it comes by then.
    pub(crate) fn pop_by(&mut self, latest: u64) -> Option<(u64, T)> {
        let of = |heap: &BinaryHeap<Key>| heap.peek().map_or(u128::MAX, |Reverse(key)| *key);
        let (near, far) = (of(&self.near), of(&self.far));
        let key = self.line.front().copied().unwrap_or(u128::MAX).min(near).min(far);
        if key == u128::MAX || time_of(key) > latest {
            return None;
        }
        if key == near {
            self.near.pop();
        } else if key == far {
            self.far.pop();
        } else {
            self.line.pop_front();
        }
        let slot = u32::try_from(key & ((1 << SLOT_BITS) - 1)).expect("so many bits fit");
        let what = self.slots[slot as usize].take().expect("a slot whose number is in a heap is full");
        self.free.push(slot);
        Some((time_of(key), what))
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
