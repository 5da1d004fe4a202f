//! States and operations as small numbers, and where each operation leads from each state.
//!
//! Equal states share a number and so do equal operations (an *effect*). The model is asked once for what an effect does to a
//! state; the answer is remembered in a cache of bounded size, in which a later answer may displace an earlier one: the cost
//! of forgetting is asking again.

use std::hash::{BuildHasher, Hash};

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use super::room::{Pile, Room};
use crate::linear::model::{Effect, Model};

/// A state.
pub(super) type StateId = u32;
/// What equal operations have in common.
pub(super) type EffectId = u32;

/// The most entries of the cache, 12 bytes each.
const CACHE_MAX: usize = if cfg!(test) { 1 << 4 } else { 1 << 18 };
/// Its size at first.
const CACHE_MIN: usize = if cfg!(test) { 1 } else { 1 << 8 };
/// In the cache: the effect is impossible in the state. There are never so many states.
const IMPOSSIBLE: StateId = StateId::MAX;

/// What kind of effect an effect is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Never changes the state.
    ReadOnly,
    /// Anything.
    Update,
    /// Possible everywhere, and leads to `target` from everywhere.
    Overwrite {
        /// The state afterwards.
        target: StateId,
        /// Nothing but overwrites is possible in it.
        hidden: bool,
    },
}

impl Kind {
    /// Where an overwrite leads.
    pub(super) fn target(self) -> Option<StateId> {
        match self {
            Self::Overwrite { target, .. } => Some(target),
            Self::ReadOnly | Self::Update => None,
        }
    }
}

/// The numbers and the cache.
#[derive(Debug)]
pub(super) struct Table<'m, M: Model> {
    model: &'m M,
    states: Pile<M::State>,
    state_ids: HashTable<StateId>,
    effects: Vec<(M::Op, Kind)>,
    effect_ids: HashTable<EffectId>,
    /// The state after a hidden overwrite, whichever: they behave alike, so the first stands for all.
    hidden: Option<StateId>,
    cache: Vec<(StateId, EffectId, StateId)>,
    /// Entries written since the cache had its size.
    written: usize,
    /// Bytes that states have on the heap.
    heap_bytes: usize,
}

fn hash(value: &impl Hash) -> u64 {
    FxBuildHasher.hash_one(value)
}

impl<'m, M: Model> Table<'m, M> {
    /// State 0 is the model's first.
    pub(super) fn new(model: &'m M, effects: usize) -> Self {
        let mut table = Self {
            model,
            states: Pile::new(),
            state_ids: HashTable::new(),
            effects: Vec::new(),
            effect_ids: HashTable::with_capacity(effects),
            hidden: None,
            cache: vec![(IMPOSSIBLE, 0, 0); CACHE_MIN],
            written: 0,
            heap_bytes: 0,
        };
        table.state(model.initial());
        table
    }

    /// The number of a state.
    pub(super) fn state(&mut self, state: M::State) -> StateId {
        let (hash, states) = (hash(&state), &self.states);
        if let Some(&id) = self.state_ids.find(hash, |&id| states[id as usize] == state) {
            return id;
        }
        let id = u32::try_from(self.states.len()).ok().filter(|id| *id < IMPOSSIBLE);
        let id = id.expect("4 billion states don't fit into any budget");
        self.heap_bytes += self.model.state_heap_bytes(&state);
        self.states.push(state);
        let states = &self.states;
        self.state_ids.insert_unique(hash, id, |&id| self::hash(&states[id as usize]));
        id
    }

    /// The number of an operation's effect.
    pub(super) fn effect(&mut self, op: &M::Op) -> EffectId {
        let (hash, effects) = (hash(op), &self.effects);
        if let Some(&id) = self.effect_ids.find(hash, |&id| effects[id as usize].0 == *op) {
            return id;
        }
        let kind = match self.model.effect(op) {
            Effect::ReadOnly => Kind::ReadOnly,
            Effect::Update => Kind::Update,
            Effect::Overwrite { hidden } => self.overwrite(op, hidden),
        };
        let id = u32::try_from(self.effects.len()).expect("there are fewer than 2^31 operations");
        self.effects.push((op.clone(), kind));
        let effects = &self.effects;
        self.effect_ids.insert_unique(hash, id, |&id| self::hash(&effects[id as usize].0));
        id
    }

    fn overwrite(&mut self, op: &M::Op, hidden: bool) -> Kind {
        let known = self.hidden.filter(|_| hidden);
        let Some(target) = known.or_else(|| {
            let state = self.model.apply(&self.states[0], op)?;
            Some(self.state(state))
        }) else {
            // The model contradicts itself; believing its steps rather than its promise is safe.
            return Kind::Update;
        };
        if hidden {
            self.hidden = Some(target);
        }
        Kind::Overwrite { target, hidden }
    }

    /// What kind of effect it is.
    pub(super) fn kind(&self, effect: EffectId) -> Kind {
        self.effects[effect as usize].1
    }

    /// The state after `effect` in `state`; `None` if it is impossible there.
    #[inline]
    pub(super) fn next(&mut self, state: StateId, effect: EffectId) -> Option<StateId> {
        let place = self.place(state, effect);
        let (cached_state, cached_effect, next) = self.cache[place];
        if (cached_state, cached_effect) == (state, effect) {
            return (next != IMPOSSIBLE).then_some(next);
        }
        self.ask(state, effect)
    }

    fn place(&self, state: StateId, effect: EffectId) -> usize {
        let mixed = (u64::from(state) << 32 | u64::from(effect)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        usize::try_from(mixed >> 40).expect("24 bits fit") & (self.cache.len() - 1)
    }

    #[cold]
    fn ask(&mut self, state: StateId, effect: EffectId) -> Option<StateId> {
        let (op, kind) = &self.effects[effect as usize];
        let next = match *kind {
            Kind::Overwrite { target, .. } => Some(target),
            Kind::ReadOnly => self.model.apply(&self.states[state as usize], op).map(|_| state),
            Kind::Update => {
                let next = self.model.apply(&self.states[state as usize], op);
                next.map(|next| self.state(next))
            }
        };
        self.written += 1;
        if self.written > self.cache.len() && self.cache.len() < CACHE_MAX {
            self.cache = vec![(IMPOSSIBLE, 0, 0); self.cache.len() * 4];
            self.written = 0;
        }
        let place = self.place(state, effect);
        self.cache[place] = (state, effect, next.unwrap_or(IMPOSSIBLE));
        next
    }

    /// Bytes in use.
    pub(super) fn room(&self) -> Room {
        Room::fixed(self.heap_bytes + self.states.bytes())
            + Room::doubling::<(M::Op, Kind)>(self.effects.len(), self.effects.capacity())
            + Room::table(&self.state_ids)
            + Room::table(&self.effect_ids)
            + Room::fixed(self.cache.capacity() * size_of::<(StateId, EffectId, StateId)>())
    }

    /// The states and effects that are `live`, under new numbers, and nothing else: what a stream forgets. Returns the new
    /// numbers of the states and effects, in the order in which they were named.
    pub(super) fn keep(&mut self, states: &[StateId], effects: &[EffectId]) -> (Vec<StateId>, Vec<EffectId>) {
        let mut kept = Self::new(self.model, 0);
        kept.hidden = self.hidden.map(|hidden| kept.state(self.states[hidden as usize].clone()));
        let states = states.iter().map(|&id| kept.state(self.states[id as usize].clone())).collect();
        let effects = effects.iter().map(|&id| kept.effect(&self.effects[id as usize].0)).collect();
        *self = kept;
        (states, effects)
    }
}
