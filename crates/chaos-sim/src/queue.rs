//! What is still to come, in the order of its time; of one time, in the order in which it was planned.
//!
//! Two heaps, since a run plans two sorts of things: messages that arrive within microseconds, of which a few are under way, and
//! deadlines that lie far ahead and mostly come to nothing, of which there are many. A heap of the former stays small.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What comes later than this counts as far, nanoseconds.
const FAR: u64 = 10_000_000;
const SLOT_BITS: u32 = 24;
const ORDER_BITS: u32 = 40;

/// A time, an order and a slot in one number, so that comparing is one instruction or two.
type Key = Reverse<u128>;

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    near: BinaryHeap<Key>,
    far: BinaryHeap<Key>,
    slots: Vec<Option<T>>,
    free: Vec<u32>,
    planned: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { near: BinaryHeap::new(), far: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), planned: 0 }
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
        let key = Reverse(u128::from(at) << 64 | order << SLOT_BITS | u128::from(slot));
        if at.saturating_sub(now) < FAR { self.near.push(key) } else { self.far.push(key) }
    }

    /// When the next thing comes; `u64::MAX` if nothing does.
    pub(crate) fn next_at(&self) -> u64 {
        let at = |heap: &BinaryHeap<Key>| heap.peek().map_or(u128::MAX, |Reverse(key)| *key);
        time_of(at(&self.near).min(at(&self.far)))
    }

    /// Takes the next thing out.
    pub(crate) fn pop(&mut self) -> Option<(u64, T)> {
        let near = match (self.near.peek(), self.far.peek()) {
            (Some(near), Some(far)) => near > far,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let Reverse(key) = if near { self.near.pop() } else { self.far.pop() }?;
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
    fn things_come_in_the_order_of_their_times_then_of_their_planning_near_or_far() {
        let mut queue = Queue::default();
        for (at, what) in [(FAR * 3, 'f'), (5, 'b'), (FAR * 2, 'd'), (5, 'c'), (1, 'a')] {
            queue.push(0, at, what);
        }
        // Near by now, and planned after what was far once.
        queue.push(FAR * 2 - 1, FAR * 2, 'e');
        assert_eq!(queue.next_at(), 1);
        let order: String = std::iter::from_fn(|| queue.pop()).map(|(_, what)| what).collect();
        assert_eq!(order, "abcdef");
        assert_eq!(queue.next_at(), u64::MAX);
    }

    #[test]
    fn slots_are_used_again() {
        let mut queue = Queue::default();
        for round in 0..1_000 {
            queue.push(round, round + 1, round);
            queue.push(round, round + 2, round);
            assert!(queue.pop().is_some());
            assert!(queue.pop().is_some());
        }
        assert_eq!(queue.slots.len(), 2);
    }
}
