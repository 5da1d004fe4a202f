//! A first-in-first-out queue: `enqueue x`, `dequeue` of an element or of nothing; empty at first.
//!
//! ```text
//!  enqueue 1  |---|
//!  enqueue 2       |---|                    1 was in before 2, and must come out before 2
//!  dequeue → 2         |---|
//!  dequeue → 1              |---|           ⇒ it didn't
//! ```
//!
//! *The polynomial path.* Each element is enqueued once. Give the elements an order, in which they come in and out. It fits the
//! times iff for no `a` before `b` in it: `b`'s enqueue was over before `a`'s began, or `b`'s dequeue before `a`'s, or `b`'s
//! dequeue before `a`'s enqueue; and no dequeue was over before its own enqueue began: then let each happen as early as it
//! can, and nothing is late. An element that stayed is dequeued at the end of time. *Claim*: to take, again and again, an
//! element that none of the remaining must precede gives an order iff no two elements must each precede the other. *Proof*: let
//! `a` be the remaining one whose enqueue was over first, and `b` that whose dequeue was. One that can't be taken must be
//! preceded by `a` for the enqueues' sake or by `b` for its dequeue's. If none can be taken, `a` must be preceded by `b`, and
//! `b` by `a`. (The bad patterns of Henzinger, Sezgin, Vafeiadis, "Aspect-oriented linearizability proofs", 2013.) O(n log n).
//!
//! A dequeue of nothing is an element that comes in and out at one moment, when nothing is in: two that exclude each other are
//! a conflict still, but the order found may not fit. A dequeue without an answer removed an unknown element, or none, or never
//! happened: if all fits without those, fine. In both cases what doesn't fit is left to the engine.
//!
//! What `fail` means: an enqueue that failed did not happen; a dequeue that failed removed nothing and saw nothing. Leave them
//! out. Refused: looking at the first element without removing it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::hash::{Hash, Hasher};

use super::bits::digest_of;
use super::list::List;
use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;
use crate::linear::model::{Effect, Model};

/// One queue.
#[derive(Clone, Copy, Debug, Default)]
pub struct Queue;

/// What was done to a queue. Elements are numbers, given out by whoever builds the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueueOp {
    /// Put the element in.
    Enqueue(u32),
    /// Took this element out.
    Dequeue(u32),
    /// Found nothing.
    Empty,
    /// Took out whatever was first, if there was anything: a dequeue without an answer.
    Take,
}

/// The elements of a queue. Shares its memory with the queues it was made from.
#[derive(Clone, Debug)]
pub struct QueueState {
    /// The first one last.
    front: List<u32>,
    /// Behind those.
    back: List<u32>,
    len: u32,
    /// The elements' digests as the digits of a number to base [`BASE`], modulo 2⁶⁴: unequal for unequal queues, but for bad
    /// luck.
    digest: u64,
    /// [`BASE`] to the power of `len`.
    power: u64,
}

/// Odd, so that it can be divided by.
const BASE: u64 = 0x2545_f491_4f6c_dd1d;
/// What [`BASE`] times it is 1. Each step of Newton's method doubles the number of right bits, of which there are three at first.
const INVERSE: u64 = {
    let (mut inverse, mut step) = (BASE, 0);
    while step < 5 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(BASE.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
};

impl Default for QueueState {
    fn default() -> Self {
        Self { front: List::default(), back: List::default(), len: 0, digest: 0, power: 1 }
    }
}

impl QueueState {
    fn elements(&self) -> Vec<u32> {
        let mut elements: Vec<u32> = self.back.iter().copied().collect();
        elements.reverse();
        self.front.iter().copied().chain(elements).collect()
    }

    fn enqueue(&self, element: u32) -> Self {
        Self {
            front: self.front.clone(),
            back: self.back.with(element),
            len: self.len + 1,
            digest: self.digest.wrapping_mul(BASE).wrapping_add(digest_of(element)),
            power: self.power.wrapping_mul(BASE),
        }
    }

    /// The first element and the rest.
    fn dequeue(&self) -> Option<(u32, Self)> {
        let (front, back) = if self.front.last().is_some() {
            (self.front.clone(), self.back.clone())
        } else {
            (self.back.iter().fold(List::default(), |front, &element| front.with(element)), List::default())
        };
        let first = *front.last()?;
        let power = self.power.wrapping_mul(INVERSE);
        let digest = self.digest.wrapping_sub(digest_of(first).wrapping_mul(power));
        Some((first, Self { front: front.without_last(), back, len: self.len - 1, digest, power }))
    }
}

impl PartialEq for QueueState {
    fn eq(&self, other: &Self) -> bool {
        (self.len, self.digest) == (other.len, other.digest)
            && (self.front == other.front && self.back == other.back || self.elements() == other.elements())
    }
}

impl Eq for QueueState {}

impl Hash for QueueState {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl Model for Queue {
    type Op = QueueOp;
    type State = QueueState;

    fn initial(&self) -> QueueState {
        QueueState::default()
    }

    fn apply(&self, state: &QueueState, op: &QueueOp) -> Option<QueueState> {
        match *op {
            QueueOp::Enqueue(element) => Some(state.enqueue(element)),
            QueueOp::Dequeue(element) => state.dequeue().filter(|(first, _)| *first == element).map(|(_, rest)| rest),
            QueueOp::Empty => (state.len == 0).then(|| state.clone()),
            QueueOp::Take => Some(state.dequeue().map_or_else(|| state.clone(), |(_, rest)| rest)),
        }
    }

    fn effect(&self, op: &QueueOp) -> Effect {
        match op {
            QueueOp::Enqueue(_) | QueueOp::Dequeue(_) | QueueOp::Take => Effect::Update,
            QueueOp::Empty => Effect::ReadOnly,
        }
    }

    fn shortcut(&self, ops: &[Op<QueueOp>]) -> Shortcut {
        match Elements::new(ops) {
            Ok(elements) => elements.order(ops),
            Err(shortcut) => shortcut,
        }
    }

    fn independent(&self, kept: &QueueOp, dropped: &QueueOp) -> bool {
        independent(*kept, *dropped)
    }
}

/// An element can be left out with its enqueue and its dequeue, unless it is unknown who took it.
fn independent(kept: QueueOp, dropped: QueueOp) -> bool {
    match (kept, dropped) {
        (_, QueueOp::Empty) => true,
        (QueueOp::Take, _) | (_, QueueOp::Take) => false,
        (QueueOp::Empty, QueueOp::Enqueue(_) | QueueOp::Dequeue(_)) => true,
        (QueueOp::Enqueue(kept) | QueueOp::Dequeue(kept), QueueOp::Enqueue(dropped) | QueueOp::Dequeue(dropped)) => {
            kept != dropped
        }
    }
}

/// How an element came and went.
#[derive(Clone, Copy)]
struct Element {
    /// Of a dequeue of nothing, itself.
    enqueue: u32,
    /// `None` if the element stayed.
    dequeue: Option<u32>,
}

struct Elements {
    all: Vec<Element>,
    /// Whether a conflict of these is one of all.
    exact: bool,
}

impl Elements {
    fn new(ops: &[Op<QueueOp>]) -> Result<Self, Shortcut> {
        let mut known: BTreeMap<u32, (Option<u32>, Option<u32>)> = BTreeMap::new();
        let (mut all, mut exact) = (Vec::new(), true);
        for (index, op) in (0_u32..).zip(ops) {
            match op.what {
                QueueOp::Enqueue(element) => {
                    if known.entry(element).or_default().0.replace(index).is_some() {
                        return Err(Shortcut::Pass);
                    }
                }
                QueueOp::Dequeue(_) if op.ret.is_none() => return Err(Shortcut::Pass),
                QueueOp::Dequeue(element) => {
                    if let Some(other) = known.entry(element).or_default().1.replace(index) {
                        // If the element was put in twice, this may be right.
                        let enqueues = ops.iter().filter(|op| op.what == QueueOp::Enqueue(element)).count();
                        let conflict = enqueues < 2;
                        return Err(if conflict { Shortcut::Conflict(vec![other, index]) } else { Shortcut::Pass });
                    }
                }
                QueueOp::Empty if op.ret.is_some() => all.push(Element { enqueue: index, dequeue: Some(index) }),
                QueueOp::Empty => {}
                QueueOp::Take if op.ret.is_some() => return Err(Shortcut::Pass),
                QueueOp::Take => exact = false,
            }
        }
        for (enqueue, dequeue) in known.into_values() {
            match (enqueue, dequeue) {
                (None, None) => {}
                (None, Some(dequeue)) => return Err(Shortcut::Conflict(vec![dequeue])),
                // Nobody saw it: it didn't happen.
                (Some(enqueue), None) if ops[enqueue as usize].ret.is_none() => {}
                (Some(enqueue), Some(dequeue)) if ops[dequeue as usize].precedes(&ops[enqueue as usize]) => {
                    return Err(Shortcut::Conflict(vec![enqueue, dequeue]));
                }
                (Some(enqueue), dequeue) => all.push(Element { enqueue, dequeue }),
            }
        }
        Ok(Self { all, exact })
    }

    fn order(&self, ops: &[Op<QueueOp>]) -> Shortcut {
        let call = |element: usize| ops[self.all[element].enqueue as usize].call;
        let ret = |element: usize| ops[self.all[element].enqueue as usize].deadline();
        let end = |element: usize| self.all[element].dequeue.map_or(u32::MAX, |op| ops[op as usize].deadline());
        let out = |element: usize| self.all[element].dequeue.map_or(u32::MAX, |op| ops[op as usize].call);
        let sorted = |key: &dyn Fn(usize) -> u32| {
            let mut elements: Vec<usize> = (0..self.all.len()).collect();
            elements.sort_unstable_by_key(|element| key(*element));
            elements
        };
        let (by_call, by_ret, by_end) = (sorted(&call), sorted(&ret), sorted(&end));
        let (mut calls, mut rets, mut ends) =
            (by_call.iter().peekable(), by_ret.iter().peekable(), by_end.iter().peekable());
        let mut taken = vec![false; self.all.len()];
        let mut ready: BinaryHeap<Reverse<(u32, usize)>> = BinaryHeap::new();
        let mut order: Vec<Element> = Vec::with_capacity(self.all.len());
        while order.len() < self.all.len() {
            while rets.next_if(|element| taken[**element]).is_some() {}
            while ends.next_if(|element| taken[**element]).is_some() {}
            let (Some(&&first), Some(&&gone)) = (rets.peek(), ends.peek()) else { break };
            while let Some(&element) = calls.next_if(|element| call(**element) <= ret(first)) {
                ready.push(Reverse((out(element).max(call(element)), element)));
            }
            match ready.pop() {
                Some(Reverse((key, element))) if key <= end(gone) => {
                    taken[element] = true;
                    order.push(self.all[element]);
                }
                _ => {
                    let [one, other] = [first, gone].map(|element| self.all[element]);
                    let few = [one.enqueue, other.enqueue].into_iter().chain(one.dequeue).chain(other.dequeue);
                    let mut few: Vec<u32> = few.collect();
                    few.sort_unstable();
                    few.dedup();
                    return if self.exact { Shortcut::Conflict(few) } else { Shortcut::Pass };
                }
            }
        }
        timed(ops, &order).map_or(Shortcut::Pass, Shortcut::Order)
    }
}

/// The operations by the earliest instants that the order of elements allows, if none is late.
fn timed(ops: &[Op<QueueOp>], order: &[Element]) -> Option<Vec<u32>> {
    let (mut ins, mut outs): (u32, u32) = (0, 0);
    // At one instant: by element, and in before out.
    let mut placed: Vec<(u32, usize, u8, u32)> = Vec::with_capacity(2 * order.len());
    for (rank, element) in order.iter().enumerate() {
        let enqueue = &ops[element.enqueue as usize];
        ins = ins.max(enqueue.call);
        if element.dequeue == Some(element.enqueue) {
            ins = ins.max(outs);
            outs = ins;
            placed.push((ins, rank, 0, element.enqueue));
        } else {
            placed.push((ins, rank, 0, element.enqueue));
            if let Some(dequeue) = element.dequeue {
                outs = outs.max(ins).max(ops[dequeue as usize].call);
                placed.push((outs, rank, 1, dequeue));
                if ops[dequeue as usize].deadline() < outs {
                    return None;
                }
            }
        }
        if enqueue.deadline() < ins {
            return None;
        }
    }
    placed.sort_unstable();
    Some(placed.into_iter().map(|(_, _, _, op)| op).collect())
}
