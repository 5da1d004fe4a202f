//! A bag, or unordered queue: `enqueue x`, `dequeue` of any element, or of nothing; empty at first.
//!
//! *The polynomial path*: if nobody found nothing, different elements don't meet. Of equal ones, let the n-th enqueue by
//! invocation serve the n-th dequeue by answer. If each of these dequeues ends after its enqueue began, let enqueues happen
//! when they are invoked, and dequeues as soon as they are invoked and served: an order. If one doesn't, the n dequeues that
//! end first had fewer than n enqueues before the last of them ended: a conflict. Exact, O(n log n). As soon as somebody found
//! nothing, it matters when elements were out, and the engine decides.
//!
//! What `fail` means: an enqueue that failed did not happen; a dequeue that failed removed nothing and saw nothing. Leave them
//! out. A dequeue without an answer removed an unknown element, which can't be said here, since a state has to follow from the
//! one before: leave it out, too. If nobody found nothing, that makes no difference. If somebody did, "linearizable" stays
//! true, as the dequeue may never have taken effect; but of a violation nothing can be said then.

use std::collections::BTreeMap;

use super::bits::Bits;
use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;
use crate::linear::model::{Effect, Model};

/// One bag.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bag;

/// What was done to a bag. Elements are small numbers, given out by whoever builds the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BagOp {
    /// Put the element in.
    Enqueue(u32),
    /// Took this element out.
    Dequeue(u32),
    /// Found nothing.
    Empty,
}

/// The elements of a bag.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct BagState {
    elements: Bits,
    /// Of those that are in more than once, how often more.
    more: BTreeMap<u32, u32>,
}

impl Model for Bag {
    type Op = BagOp;
    type State = BagState;

    fn initial(&self) -> BagState {
        BagState::default()
    }

    fn apply(&self, state: &BagState, op: &BagOp) -> Option<BagState> {
        let mut state = state.clone();
        match *op {
            BagOp::Enqueue(element) if state.elements.contains(element) => {
                *state.more.entry(element).or_default() += 1;
            }
            BagOp::Enqueue(element) => state.elements = state.elements.with(element),
            BagOp::Dequeue(element) if !state.elements.contains(element) => return None,
            BagOp::Dequeue(element) => match state.more.remove(&element) {
                None => state.elements = state.elements.without(element),
                Some(1) => {}
                Some(more) => {
                    state.more.insert(element, more - 1);
                }
            },
            BagOp::Empty if state.elements.is_empty() => {}
            BagOp::Empty => return None,
        }
        Some(state)
    }

    fn effect(&self, op: &BagOp) -> Effect {
        match op {
            BagOp::Enqueue(_) | BagOp::Dequeue(_) => Effect::Update,
            BagOp::Empty => Effect::ReadOnly,
        }
    }

    fn shortcut(&self, ops: &[Op<BagOp>]) -> Shortcut {
        decide(ops)
    }

    fn independent(&self, kept: &BagOp, dropped: &BagOp) -> bool {
        match (kept, dropped) {
            // An element is left out with all its enqueues and dequeues, or not at all.
            (BagOp::Enqueue(kept) | BagOp::Dequeue(kept), BagOp::Enqueue(dropped) | BagOp::Dequeue(dropped)) => {
                kept != dropped
            }
            (BagOp::Empty, _) | (_, BagOp::Empty) => true,
        }
    }
}

fn decide(ops: &[Op<BagOp>]) -> Shortcut {
    // Enqueues by element and invocation, answered dequeues by element and answer.
    let mut enqueues: Vec<(u32, u32)> = Vec::new();
    let mut dequeues: Vec<(u32, u32, u32)> = Vec::new();
    for (index, op) in (0_u32..).zip(ops) {
        match op.what {
            BagOp::Enqueue(element) => enqueues.push((element, index)),
            BagOp::Dequeue(element) if op.ret.is_some() => dequeues.push((element, op.deadline(), index)),
            BagOp::Empty if op.ret.is_some() => return Shortcut::Pass,
            BagOp::Dequeue(_) | BagOp::Empty => {}
        }
    }
    enqueues.sort_unstable();
    dequeues.sort_unstable();
    let mut placed: Vec<(u32, bool, u32)> = Vec::with_capacity(ops.len());
    let mut left = enqueues.as_slice();
    for dequeues in dequeues.chunk_by(|one, other| one.0 == other.0) {
        let element = dequeues[0].0;
        left = &left[left.partition_point(|(other, _)| *other < element)..];
        let (same, rest) = left.split_at(left.partition_point(|(other, _)| *other == element));
        left = rest;
        for (n, &(_, end, dequeue)) in dequeues.iter().enumerate() {
            let enqueue = same.get(n).map(|(_, enqueue)| *enqueue).filter(|enqueue| ops[*enqueue as usize].call < end);
            let Some(enqueue) = enqueue else {
                let mut few: Vec<u32> = dequeues[..=n].iter().map(|(_, _, dequeue)| *dequeue).collect();
                few.extend(same.iter().map(|(_, enqueue)| *enqueue));
                few.sort_unstable();
                return Shortcut::Conflict(few);
            };
            if ops[enqueue as usize].ret.is_none() {
                placed.push((ops[enqueue as usize].call, false, enqueue));
            }
            placed.push((ops[dequeue as usize].call.max(ops[enqueue as usize].call), true, dequeue));
        }
    }
    let answered = enqueues.iter().map(|(_, enqueue)| *enqueue).filter(|enqueue| ops[*enqueue as usize].ret.is_some());
    placed.extend(answered.map(|enqueue| (ops[enqueue as usize].call, false, enqueue)));
    placed.sort_unstable();
    Shortcut::Order(placed.into_iter().map(|(_, _, op)| op).collect())
}
