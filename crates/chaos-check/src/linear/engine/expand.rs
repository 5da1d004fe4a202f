//! The successors of a configuration, and as few of them as exactness allows.
//!
//! A configuration is a state and what became of the pending operations:
//!
//! ```text
//!                 done   used
//!  open            0      0    must still be satisfied
//!  idle            1      0    satisfied without a trace, and may still be placed
//!  placed          1      1    took effect
//! ```
//!
//! An operation becomes *idle* where it fits without changing anything: in a state that it leaves as it is (a read that sees
//! what is there), or, if it is an overwrite, directly before another overwrite, where nobody sees what it left (it *rides*
//! along). Idle is a superposition: the operation may yet be placed for its effect until it is answered. So no branch is needed
//! for "has it been done already?", and among configurations with the same state the one with more done, less used and
//! fewer crashed operations used is at least as good ([`super::antichain`]).
//!
//! # Why nothing is lost
//! Call a configuration *good* if a legal sequence continues from its state that contains every open and every future operation,
//! and perhaps idle and crashed ones, in an order that time allows. Take a good configuration before the answer of X and a
//! shortest such sequence L. If X is not in L, X is idle or placed, and dropping it ([`pass`]) is good. Otherwise all before X
//! in L has been invoked. The first operation p of L changes the state (else it is idle by now and L is not shortest).
//!
//! * p is an update: it is tried.
//! * p is an overwrite or crashed, and what follows it in L is no overwrite: that one is possible after p. If it changes the
//!   state, or is not done, p is [`useful`] and tried; if it is done and changes nothing, L is not shortest.
//! * p is an overwrite and another one follows. If p is crashed, or idle, L without it is shorter. Otherwise p = p₁ … pₘ is a run
//!   of overwrites; let q be X if it is among them, else pₘ. q is tried (X always; pₘ because the one after it is no overwrite),
//!   and those before q ride along. If q leads back to where we are, it is tried for the sake of those that ride.
//! * X need not ride on another operation placed before its answer: L would have X placed, and the other one behind it.
//!
//! *Equals.* Of pending operations with the same effect the one answered first is used first, and a crashed one last: exchange
//! them in L. Not if the first is idle and the other open (using the first leaves the other open), unless they are
//! overwrites, where the other rides along.
//!
//! Crashed operations that only read, or after which nothing but overwrites is possible, are in no shortest L.

use super::mask::Mask;
use super::schedule::CrashedKind;
use super::space::Space;
use super::table::{Kind, StateId, Table};
use super::usage::{KindId, UsageId, Usages};
use crate::linear::model::Model;

/// A state of the search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Config<W> {
    pub(super) state: StateId,
    pub(super) usage: UsageId,
    /// The pending operations that took effect.
    pub(super) used: W,
    /// The pending operations that need nothing more.
    pub(super) done: W,
}

impl<W: Mask> Config<W> {
    /// Before the first operation.
    pub(super) fn first() -> Self {
        Self { state: 0, usage: 0, used: W::default(), done: W::default() }
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.used.heap_bytes() + self.done.heap_bytes()
    }
}

/// What a move placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// The operation in this slot.
    Slot(u32),
    /// An operation without an answer.
    Crashed(KindId),
}

/// A configuration and what led to it.
#[derive(Clone, Debug)]
pub(super) struct Move<W> {
    pub(super) config: Config<W>,
    pub(super) placed: Placed,
}

/// All that the rules look at.
pub(super) struct Context<'a, 'm, M: Model, W> {
    pub(super) table: &'a mut Table<'m, M>,
    pub(super) usages: &'a mut Usages,
    pub(super) kinds: &'a [CrashedKind],
    pub(super) space: &'a mut Space<W>,
    /// Whether crashed operations may be used more often than they began.
    pub(super) unlimited: bool,
}

impl<M: Model, W: Mask> Context<'_, '_, M, W> {
    /// Makes idle what is idle in the state.
    pub(super) fn settle(&mut self, config: &mut Config<W>) {
        config.done.add(&self.space.row(self.table, config.state).still);
    }

    /// The configuration after the answer of `answered`, if it is satisfied; and whether it was placed for those that ride.
    pub(super) fn pass(&self, config: &Config<W>, answered: u32) -> Option<(Config<W>, Option<Placed>)> {
        if !config.done.has(answered) {
            return None;
        }
        let mut config = config.clone();
        let mut placed = None;
        let overwrites = &self.space.overwrites;
        // It leads to where we are and is of no more use: others may ride on it for nothing.
        if !config.used.has(answered)
            && self.space.target(answered) == Some(config.state)
            && !overwrites.within(&config.done)
        {
            config.done.add(overwrites);
            placed = Some(Placed::Slot(answered));
        }
        config.used.remove(answered);
        config.done.remove(answered);
        Some((config, placed))
    }

    /// Whether nothing is to be placed before `answered` is.
    pub(super) fn closed(&self, config: &Config<W>, answered: u32) -> bool {
        config.done.has(answered)
            && (config.used.has(answered) || self.table.kind(self.space.effect(answered)) == Kind::ReadOnly)
    }

    /// Appends the moves from a settled configuration to `moves`, all settled.
    pub(super) fn expand(&mut self, config: &Config<W>, answered: u32, moves: &mut Vec<Move<W>>) {
        let mut riders = self.space.overwrites.clone();
        riders.remove(answered);
        let unused = self.space.row(self.table, config.state).moves.without(&config.used);
        let mut updates = unused.without(&self.space.overwrites);
        while let Some(slot) = updates.pop() {
            if !self.is_first(config, slot, false) {
                continue;
            }
            if let Some(state) = self.table.next(config.state, self.space.effect(slot)) {
                self.place_slot(config, slot, state, None, moves);
            }
        }
        let mut overwrites = self.space.overwrites.without(&config.used);
        while let Some(slot) = overwrites.pop() {
            let Some(state) = self.space.target(slot) else { continue };
            let worth = if state == config.state {
                slot != answered && !riders.within(&config.done)
            } else {
                slot == answered || self.useful(config, state, Some(&riders))
            };
            if worth && self.is_first(config, slot, true) {
                self.place_slot(config, slot, state, Some(&riders), moves);
            }
        }
        if !self.kinds.is_empty() {
            self.expand_crashed(config, &riders, moves);
        }
    }

    fn expand_crashed(&mut self, config: &Config<W>, riders: &W, moves: &mut Vec<Move<W>>) {
        for index in 0.. {
            let Some((kind, state)) = self.space.lead(self.table, self.kinds, config.state, index) else { break };
            if self.available(config, kind) && self.useful(config, state, None) {
                self.place_crashed(config, kind, state, None, moves);
            }
        }
        for index in 0.. {
            let Some(kind) = self.space.worth(self.table, self.kinds, index) else { break };
            let target = self.kinds[kind as usize].target.filter(|target| *target != config.state);
            let Some(state) = target.filter(|_| self.available(config, kind)) else { continue };
            let after = self.space.after(kind);
            if !after.still.within(&config.done) || !after.moves.within(&config.used) || self.leads_on(config, state) {
                self.place_crashed(config, kind, state, Some(riders), moves);
            }
        }
        if riders.within(&config.done) {
            return;
        }
        for (kind, crashed) in (0..).zip(self.kinds) {
            if crashed.target == Some(config.state) && self.available(config, kind) {
                self.place_crashed(config, kind, config.state, Some(riders), moves);
            }
        }
    }

    /// Whether no pending operation with the same effect as the one in `slot` goes first.
    fn is_first(&self, config: &Config<W>, slot: u32, overwrite: bool) -> bool {
        let first = self.space.earlier(slot).without(&config.used);
        if overwrite || config.done.has(slot) { first.is_empty() } else { first.within(&config.done) }
    }

    /// Whether there is an operation of this kind to be used, and no pending one that goes first.
    fn available(&self, config: &Config<W>, kind: KindId) -> bool {
        let begun = self.space.begun.get(kind as usize).copied().unwrap_or(0);
        begun > 0
            && (self.unlimited || self.usages.count(config.usage, kind) < begun)
            && self.space.twins[kind as usize].within(&config.used)
    }

    /// Whether anything but an overwrite is possible in `state` that would not be done otherwise.
    fn useful(&mut self, config: &Config<W>, state: StateId, riders: Option<&W>) -> bool {
        let overwrites = self.space.overwrites.clone();
        let row = self.space.row(self.table, state);
        let mut gain = row.still.without(&config.done);
        if riders.is_some() {
            gain = gain.without(&overwrites);
        }
        if !gain.is_empty() || !row.moves.without(&config.used).within(&overwrites) {
            return true;
        }
        self.leads_on(config, state)
    }

    /// Whether an operation without an answer that is no overwrite is possible in `state`.
    fn leads_on(&mut self, config: &Config<W>, state: StateId) -> bool {
        if self.kinds.is_empty() {
            return false;
        }
        for index in 0.. {
            let Some((kind, _)) = self.space.lead(self.table, self.kinds, state, index) else { break };
            if self.available(config, kind) {
                return true;
            }
        }
        false
    }

    fn place_slot(
        &mut self,
        config: &Config<W>,
        slot: u32,
        state: StateId,
        riders: Option<&W>,
        moves: &mut Vec<Move<W>>,
    ) {
        let mut next = self.after(config, state, riders);
        next.used.insert(slot);
        next.done.insert(slot);
        moves.push(Move { config: next, placed: Placed::Slot(slot) });
    }

    fn place_crashed(
        &mut self,
        config: &Config<W>,
        kind: KindId,
        state: StateId,
        riders: Option<&W>,
        moves: &mut Vec<Move<W>>,
    ) {
        let mut next = self.after(config, state, riders);
        if !self.unlimited {
            next.usage = self.usages.plus(config.usage, kind);
        }
        moves.push(Move { config: next, placed: Placed::Crashed(kind) });
    }

    fn after(&mut self, config: &Config<W>, state: StateId, riders: Option<&W>) -> Config<W> {
        let mut done = config.done.clone();
        if let Some(riders) = riders {
            done.add(riders);
        }
        done.add(&self.space.row(self.table, state).still);
        Config { state, usage: config.usage, used: config.used.clone(), done }
    }
}
