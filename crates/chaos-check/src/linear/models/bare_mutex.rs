//! A lock without an owner: Jepsen's `mutex` model.
//!
//! *Specification.* Free at first. `Acquire`: free before, held after. `Release`: held before, free after, no matter who
//! acquired it. `Busy`: held, and stays so. `Hold` and `Free`: held, and free, after, whatever it was before; they stand in for
//! the former in counterexamples.
//!
//! *What `fail` means.* Of a release: it did not take effect; leave it out. Of a try-acquire it has to be declared: it may be
//! spurious (leave it out), or it means `Busy`. An acquire or release without an outcome may have taken effect at any time
//! since, or never.
//!
//! *Decided* in O(n log n), always, but for histories with `Hold` or `Free`. Deadlines are visited ascending (just-in-time
//! linearization), and as little happens as can before each: the operation whose answer comes takes effect, and if the lock
//! is in the wrong state, one of the other kind before it, that with the earliest answer. Refusals are placed as soon as the
//! lock is held. *Proof.* Operations of one kind are interchangeable, so those with the earliest answers are as good as any,
//! and those without an answer, which nobody has to place, come last. What another order places besides before a deadline is
//! a number of pairs; they can be placed right after it, in the other order, which leads to the same state. A refusal that
//! waits when a release is placed by necessity has seen the lock held just before it; one whose own answer comes needs an
//! acquire, and it takes the same that any order would have to.
//!
//! Source: Knossos' model `mutex`; Lowe, "Testing for linearizability" (2017), just-in-time linearization.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;
use crate::linear::model::{Effect, Model};

/// A lock without an owner.
#[derive(Clone, Copy, Debug, Default)]
pub struct BareMutex;

/// What was done to a lock without an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BareMutexOp {
    /// Got it.
    Acquire,
    /// Gave it back, whoever got it.
    Release,
    /// Was refused, because it was held.
    Busy,
    /// Left it held, whatever it was.
    Hold,
    /// Left it free, whatever it was.
    Free,
}

impl Model for BareMutex {
    type Op = BareMutexOp;
    /// Whether it is held.
    type State = bool;

    fn initial(&self) -> bool {
        false
    }

    fn apply(&self, &held: &bool, op: &BareMutexOp) -> Option<bool> {
        match op {
            BareMutexOp::Acquire => (!held).then_some(true),
            BareMutexOp::Release => held.then_some(false),
            BareMutexOp::Busy => held.then_some(true),
            BareMutexOp::Hold => Some(true),
            BareMutexOp::Free => Some(false),
        }
    }

    fn effect(&self, op: &BareMutexOp) -> Effect {
        match op {
            BareMutexOp::Acquire | BareMutexOp::Release => Effect::Update,
            BareMutexOp::Busy => Effect::ReadOnly,
            BareMutexOp::Hold | BareMutexOp::Free => Effect::Overwrite { hidden: false },
        }
    }

    fn shortcut(&self, ops: &[Op<BareMutexOp>]) -> Shortcut {
        if ops.iter().any(|op| matches!(op.what, BareMutexOp::Hold | BareMutexOp::Free)) {
            return Shortcut::Pass;
        }
        decide(ops)
    }

    /// What can only have been acquired doesn't miss another acquire; likewise for releases.
    fn independent(&self, kept: &BareMutexOp, dropped: &BareMutexOp) -> bool {
        use BareMutexOp::{Acquire, Busy, Free, Hold, Release};
        match (kept, dropped) {
            (_, Busy) | (Hold | Free, _) | (Acquire, Acquire | Hold) | (Release | Busy, Release | Free) => true,
            (Acquire, Release | Free) | (Release | Busy, Acquire | Hold) => false,
        }
    }

    fn weaker(&self, op: &BareMutexOp) -> Vec<BareMutexOp> {
        match op {
            BareMutexOp::Acquire | BareMutexOp::Busy => vec![BareMutexOp::Hold],
            BareMutexOp::Release => vec![BareMutexOp::Free],
            BareMutexOp::Hold | BareMutexOp::Free => Vec::new(),
        }
    }
}

/// The operations of one kind that have begun and are not placed: deadline and place, the earliest first.
type Open = BinaryHeap<Reverse<(u32, u32)>>;

/// The state of the sweep.
struct Sweep {
    held: bool,
    order: Vec<u32>,
    placed: Vec<bool>,
    acquires: Open,
    releases: Open,
    /// Refusals that have not seen the lock held.
    refusals: Vec<u32>,
}

fn decide(ops: &[Op<BareMutexOp>]) -> Shortcut {
    let mut deadlines: Vec<(u32, u32)> =
        (0_u32..).zip(ops).filter(|(_, op)| op.ret.is_some()).map(|(place, op)| (op.deadline(), place)).collect();
    deadlines.sort_unstable();
    let mut sweep = Sweep {
        held: false,
        order: Vec::with_capacity(ops.len()),
        placed: vec![false; ops.len()],
        acquires: Open::new(),
        releases: Open::new(),
        refusals: Vec::new(),
    };
    let mut begun = (0_u32..).zip(ops).peekable();
    for (deadline, place) in deadlines {
        while let Some((place, op)) = begun.next_if(|(_, op)| op.call < deadline) {
            sweep.begin(place, op);
        }
        if sweep.place_by_now(place, ops[place as usize].what).is_none() {
            // What can be left out of a lock without owners depends on the whole past; the minimiser finds out.
            return Shortcut::Conflict(
                (0_u32..).zip(ops).filter(|(_, op)| op.call < deadline).map(|it| it.0).collect(),
            );
        }
    }
    Shortcut::Order(sweep.order)
}

impl Sweep {
    fn begin(&mut self, place: u32, op: &Op<BareMutexOp>) {
        match op.what {
            BareMutexOp::Acquire => self.acquires.push(Reverse((op.deadline(), place))),
            BareMutexOp::Release => self.releases.push(Reverse((op.deadline(), place))),
            BareMutexOp::Busy if op.ret.is_none() => {}
            BareMutexOp::Busy if self.held => self.put(place),
            BareMutexOp::Busy => self.refusals.push(place),
            BareMutexOp::Hold | BareMutexOp::Free => {}
        }
    }

    fn put(&mut self, place: u32) {
        self.placed[place as usize] = true;
        self.order.push(place);
    }

    /// Places `place`, and before it what has to be; `None` if it can't be placed.
    fn place_by_now(&mut self, place: u32, what: BareMutexOp) -> Option<()> {
        if self.placed[place as usize] {
            return Some(());
        }
        let held_before = what != BareMutexOp::Acquire;
        if self.held != held_before {
            self.turn()?;
        }
        // A refusal has been placed by that; of the others, this one has the earliest answer.
        if !self.placed[place as usize] { self.turn() } else { Some(()) }
    }

    /// Acquires or releases the lock, by the operation with the earliest answer.
    fn turn(&mut self) -> Option<()> {
        let open = if self.held { &mut self.releases } else { &mut self.acquires };
        let Reverse((_, place)) = open.pop()?;
        self.held = !self.held;
        self.put(place);
        if self.held {
            for refusal in std::mem::take(&mut self.refusals) {
                self.put(refusal);
            }
        }
        Some(())
    }
}
