//! What is pending at a moment, and what that means for a state.

use super::mask::Mask;
use super::room::{Pile, Room};
use super::schedule::{CrashedKind, Place, Planned};
use super::table::{EffectId, Kind, StateId, Table};
use super::usage::KindId;
use crate::linear::model::Model;

/// Rows that are remembered at most; a later one may displace an earlier one.
const ROWS_MAX: usize = if cfg!(test) { 2 } else { 1 << 12 };

/// Where kinds of operations without an answer lead.
type Leads = Box<[(KindId, StateId)]>;

/// What is in a slot.
#[derive(Clone, Debug)]
struct Slot<W> {
    effect: EffectId,
    deadline: u64,
    target: Option<StateId>,
    /// The tick of its invocation.
    since: u64,
    /// Pending operations with the same effect that are answered earlier.
    earlier: W,
}

/// What the pending operations can do in a state.
#[derive(Clone, Debug, Default)]
pub(super) struct Row<W> {
    state: Option<StateId>,
    tick: u64,
    /// Possible, and the state stays as it is.
    pub(super) still: W,
    /// Possible, and the state changes.
    pub(super) moves: W,
}

impl<W: Mask> Row<W> {
    /// The operation in `slot` leads from `state` to `next`.
    fn note(&mut self, state: StateId, slot: u32, next: Option<StateId>) {
        match next {
            Some(next) if next == state => self.still.insert(slot),
            Some(_) => self.moves.insert(slot),
            None => {}
        }
    }
}

/// What is pending.
#[derive(Debug)]
pub(super) struct Space<W> {
    /// Counts the changes.
    tick: u64,
    /// All slots in use.
    all: W,
    /// Those with overwrites.
    pub(super) overwrites: W,
    slots: Vec<Slot<W>>,
    rows: Vec<Row<W>>,
    /// Per kind without an answer, how many began.
    pub(super) begun: Vec<u32>,
    /// Per kind without an answer, the pending operations with the same effect that will be answered.
    pub(super) twins: Vec<W>,
    /// Per kind without an answer that began and is an overwrite, what pending operations that are no overwrites can do after it.
    ready: Vec<Row<W>>,
    /// Per state, where operations without an answer lead from it that are no overwrites; of all kinds, begun or not.
    leads: Pile<Option<Leads>>,
    leads_bytes: usize,
    /// The kinds of overwrites without an answer after which something pending is possible, as of a tick.
    worth: (u64, Vec<KindId>),
}

impl<W: Mask> Space<W> {
    /// Nothing is pending.
    pub(super) fn new() -> Self {
        Self {
            tick: 1,
            all: W::default(),
            overwrites: W::default(),
            slots: Vec::new(),
            rows: Vec::new(),
            begun: Vec::new(),
            twins: Vec::new(),
            ready: Vec::new(),
            leads: Pile::new(),
            leads_bytes: 0,
            worth: (0, Vec::new()),
        }
    }

    /// An operation is invoked, or its answer is taken back.
    pub(super) fn enter<M: Model>(&mut self, table: &mut Table<'_, M>, kinds: &[CrashedKind], op: &Planned) {
        self.tick += 1;
        self.grow_kinds(kinds.len());
        match op.place {
            Place::Slot(slot) => self.occupy(table, kinds, op, slot),
            Place::Crashed(kind) => {
                self.begun[kind as usize] += 1;
                if self.begun[kind as usize] == 1 {
                    self.make_ready(table, kinds, kind);
                }
            }
            Place::Nowhere => {}
        }
    }

    /// An operation is answered, or its invocation is taken back.
    pub(super) fn leave(&mut self, op: &Planned) {
        self.tick += 1;
        match op.place {
            Place::Slot(slot) => {
                self.all.remove(slot);
                self.overwrites.remove(slot);
                let mut rest = self.all.clone();
                while let Some(other) = rest.pop() {
                    self.slots[other as usize].earlier.remove(slot);
                }
                self.twins.iter_mut().for_each(|twins| twins.remove(slot));
                for ready in &mut self.ready {
                    ready.still.remove(slot);
                    ready.moves.remove(slot);
                }
            }
            Place::Crashed(kind) => self.begun[kind as usize] -= 1,
            Place::Nowhere => {}
        }
    }

    fn grow_kinds(&mut self, kinds: usize) {
        if self.begun.len() < kinds {
            self.begun.resize(kinds, 0);
            self.twins.resize(kinds, W::default());
            self.ready.resize(kinds, Row::default());
            // They spoke of the kinds that were known.
            self.leads.clear();
            self.leads_bytes = 0;
        }
    }

    fn occupy<M: Model>(&mut self, table: &mut Table<'_, M>, kinds: &[CrashedKind], op: &Planned, slot: u32) {
        let kind = table.kind(op.effect);
        let mut earlier = W::default();
        let mut rest = if kind == Kind::ReadOnly { W::default() } else { self.all.clone() };
        while let Some(other) = rest.pop() {
            let twin = &mut self.slots[other as usize];
            if twin.effect == op.effect {
                if twin.deadline < op.deadline {
                    earlier.insert(other);
                } else {
                    twin.earlier.insert(slot);
                }
            }
        }
        for (twins, kind) in self.twins.iter_mut().zip(kinds) {
            if kind.effect == op.effect {
                twins.insert(slot);
            }
        }
        let target = kind.target();
        self.all.insert(slot);
        if target.is_some() {
            self.overwrites.insert(slot);
        }
        let entered = Slot { effect: op.effect, deadline: op.deadline, target, since: self.tick, earlier };
        let place = slot as usize;
        if place >= self.slots.len() {
            self.slots.resize(place + 1, entered.clone());
        }
        self.slots[place] = entered;
        if target.is_none() {
            for ((ready, crashed), _) in
                self.ready.iter_mut().zip(kinds).zip(&self.begun).filter(|(_, begun)| **begun > 0)
            {
                if let Some(after) = crashed.target {
                    ready.note(after, slot, table.next(after, op.effect));
                }
            }
        }
    }

    /// What is pending can be done after the first of a kind, too.
    fn make_ready<M: Model>(&mut self, table: &mut Table<'_, M>, kinds: &[CrashedKind], kind: KindId) {
        let ready = &mut self.ready[kind as usize];
        *ready = Row::default();
        let Some(after) = kinds[kind as usize].target else { return };
        let mut rest = self.all.without(&self.overwrites);
        while let Some(slot) = rest.pop() {
            ready.note(after, slot, table.next(after, self.slots[slot as usize].effect));
        }
    }

    /// What pending operations that are no overwrites can do after one of `kind`, an overwrite that began.
    pub(super) fn after(&self, kind: KindId) -> &Row<W> {
        &self.ready[kind as usize]
    }

    /// The effect in a slot.
    pub(super) fn effect(&self, slot: u32) -> EffectId {
        self.slots[slot as usize].effect
    }

    /// Where the overwrite in a slot leads.
    pub(super) fn target(&self, slot: u32) -> Option<StateId> {
        self.slots[slot as usize].target
    }

    /// The pending operations with the effect of the one in `slot` that are answered earlier.
    pub(super) fn earlier(&self, slot: u32) -> &W {
        &self.slots[slot as usize].earlier
    }

    /// What the pending operations can do in a state.
    #[inline]
    pub(super) fn row<M: Model>(&mut self, table: &mut Table<'_, M>, state: StateId) -> &Row<W> {
        let place = state as usize & (ROWS_MAX - 1);
        if place >= self.rows.len() {
            self.rows.resize((place + 1).next_power_of_two().max(16), Row::default());
        }
        if self.rows[place].tick != self.tick || self.rows[place].state != Some(state) {
            self.refresh(table, state, place);
        }
        &self.rows[place]
    }

    fn refresh<M: Model>(&mut self, table: &mut Table<'_, M>, state: StateId, place: usize) {
        let row = &mut self.rows[place];
        let known = if row.state == Some(state) { row.tick } else { 0 };
        *row = if known == 0 {
            Row::default()
        } else {
            Row { still: row.still.and(&self.all), moves: row.moves.and(&self.all), ..*row }
        };
        (row.state, row.tick) = (Some(state), self.tick);
        let mut rest = self.all.clone();
        while let Some(slot) = rest.pop() {
            let Slot { effect, target, since, .. } = self.slots[slot as usize];
            if since <= known {
                continue;
            }
            let next = target.or_else(|| table.next(state, effect));
            row.still.remove(slot);
            row.moves.remove(slot);
            row.note(state, slot, next);
        }
    }

    /// Where the `index`-th of the operations without an answer leads that are possible in `state` and no overwrites.
    pub(super) fn lead<M: Model>(
        &mut self,
        table: &mut Table<'_, M>,
        kinds: &[CrashedKind],
        state: StateId,
        index: usize,
    ) -> Option<(KindId, StateId)> {
        let place = state as usize;
        while place >= self.leads.len() {
            self.leads.push(None);
        }
        if self.leads[place].is_none() {
            let updates = (0..).zip(kinds).filter(|(_, kind)| kind.target.is_none());
            let moves = |(id, kind): (KindId, &CrashedKind)| {
                table.next(state, kind.effect).filter(|next| *next != state).map(|next| (id, next))
            };
            let leads: Leads = updates.filter_map(moves).collect();
            self.leads_bytes += size_of_val::<[_]>(&leads);
            self.leads[place] = Some(leads);
        }
        self.leads[place].as_ref().and_then(|leads| leads.get(index)).copied()
    }

    /// The `index`-th kind of overwrites without an answer after which something that is no overwrite is possible now.
    pub(super) fn worth<M: Model>(
        &mut self,
        table: &mut Table<'_, M>,
        kinds: &[CrashedKind],
        index: usize,
    ) -> Option<KindId> {
        if self.worth.0 != self.tick {
            let mut worth = std::mem::take(&mut self.worth.1);
            worth.clear();
            for (id, kind) in (0..).zip(kinds) {
                let Some(target) = kind.target.filter(|_| self.begun.get(id as usize).is_some_and(|begun| *begun > 0))
                else {
                    continue;
                };
                let ready = &self.ready[id as usize];
                if !ready.still.is_empty() || !ready.moves.is_empty() || self.lead(table, kinds, target, 0).is_some() {
                    worth.push(id);
                }
            }
            self.worth = (self.tick, worth);
        }
        self.worth.1.get(index).copied()
    }

    /// Bytes in use.
    pub(super) fn room(&self) -> Room {
        let heap = self.all.heap_bytes();
        let bytes = self.slots.capacity() * (size_of::<Slot<W>>() + heap)
            + self.rows.capacity() * (size_of::<Row<W>>() + 2 * heap)
            + self.begun.capacity() * 8
            + self.twins.capacity() * (size_of::<W>() + heap)
            + self.ready.capacity() * (size_of::<Row<W>>() + 2 * heap)
            + self.leads.bytes()
            + self.leads_bytes;
        Room::fixed(bytes)
    }

    /// So many operations without an answer began, per kind.
    pub(super) fn begin<M: Model>(&mut self, table: &mut Table<'_, M>, kinds: &[CrashedKind], begun: &[u32]) {
        self.grow_kinds(kinds.len());
        self.begun[..begun.len()].copy_from_slice(begun);
        for (kind, _) in (0..).zip(begun) {
            self.make_ready(table, kinds, kind);
        }
    }
}
