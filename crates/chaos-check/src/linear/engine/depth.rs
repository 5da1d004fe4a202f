//! Depth first, with a memory: the deepest answer reached, and there the configuration with the fewest crashed operations
//! used, then with the fewest operations placed.
//!
//! It finds one way to the end without looking for the others. What it pays: it remembers what it visited at every answer, and
//! where there is no way it refutes only after having tried everything.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU32;

use super::antichain::Antichain;
use super::expand::{Config, Context, Move};
use super::mask::Mask;
use super::room::Room;
use super::schedule::{Place, Schedule};
use super::table::Table;
use super::trail::Mark;
use super::usage::Usages;
use super::walk::Walk;
use crate::linear::model::Model;

/// What a search came to, for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Not at its end.
    Open,
    /// A way to the end.
    Way(Vec<Mark>),
    /// No configuration passes this step.
    Stuck(u32),
}

/// Where a configuration comes from.
#[derive(Clone, Copy, Debug)]
struct Origin {
    /// The place of the one before, plus one.
    parent: Option<NonZeroU32>,
    mark: Option<Mark>,
}

/// A configuration whose turn has not come, by preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    crashed_used: u32,
    /// Before this answer.
    placed: u32,
    /// Whether it was satisfied as it is, and is to be expanded now for what else can be placed before the answer.
    again: bool,
    node: u32,
}

/// The turns at one step. The best one stands by itself: most steps of a search that goes straight ahead never have another,
/// and pay for no heap.
#[derive(Debug, Default)]
struct Turns {
    first: Option<Turn>,
    others: BinaryHeap<Reverse<Turn>>,
}

impl Turns {
    fn push(&mut self, turn: Turn) {
        match &mut self.first {
            None => self.first = Some(turn),
            Some(first) => {
                let worse = if turn < *first { std::mem::replace(first, turn) } else { turn };
                self.others.push(Reverse(worse));
            }
        }
    }

    fn pop(&mut self) -> Option<Turn> {
        let first = self.first.take()?;
        self.first = self.others.pop().map(|Reverse(turn)| turn);
        Some(first)
    }

    fn capacity(&self) -> usize {
        self.others.capacity()
    }
}

/// A depth-first search.
#[derive(Debug)]
pub(super) struct Depth<W> {
    walk: Walk<W>,
    memory: Antichain<W, Origin>,
    /// Per step up to the deepest that has any, the configurations whose turn has not come.
    turns: Vec<Turns>,
    turns_bytes: usize,
    moves: Vec<Move<W>>,
    /// The deepest step that was reached.
    pub(super) deepest: u32,
}

impl<W: Mask> Depth<W> {
    /// Before the first step.
    pub(super) fn new<M: Model>(table: &mut Table<'_, M>, usages: &mut Usages, schedule: &Schedule) -> Self {
        let walk = Walk::new(table, schedule);
        let mut depth = Self {
            walk,
            memory: Antichain::new(true),
            turns: Vec::new(),
            turns_bytes: 0,
            moves: Vec::new(),
            deepest: 0,
        };
        let mut context = depth.context(table, usages, schedule);
        let mut first = Config::first();
        context.settle(&mut first);
        depth.keep(usages, first, 0, Origin { parent: None, mark: None });
        depth
    }

    fn context<'a, 'm, M: Model>(
        &'a mut self,
        table: &'a mut Table<'m, M>,
        usages: &'a mut Usages,
        schedule: &'a Schedule,
    ) -> Context<'a, 'm, M, W> {
        Context { table, usages, kinds: &schedule.kinds, space: &mut self.walk.space, unlimited: false }
    }

    /// Keeps a configuration at the step where the walk stands.
    fn keep(&mut self, usages: &Usages, config: Config<W>, placed: u32, origin: Origin) {
        let (step, crashed_used) = (self.walk.step, usages.total(config.usage));
        if let Some(node) = self.memory.insert(usages, config, step, &self.walk.space.overwrites, origin) {
            self.turn(Turn { crashed_used, placed, again: false, node });
        }
    }

    fn turn(&mut self, turn: Turn) {
        let step = self.walk.step as usize;
        while self.turns.len() <= step {
            self.turns.push(Turns::default());
        }
        let turns = &mut self.turns[step];
        let before = turns.capacity();
        turns.push(turn);
        self.turns_bytes += (turns.capacity() - before) * size_of::<Turn>();
    }

    fn next_turn(&mut self) -> Option<(u32, Turn)> {
        loop {
            let turns = self.turns.last_mut()?;
            if let Some(turn) = turns.pop() {
                let step = u32::try_from(self.turns.len() - 1).expect("there are fewer than 2^31 operations");
                return Some((step, turn));
            }
            self.turns_bytes -= turns.capacity() * size_of::<Turn>();
            self.turns.pop();
        }
    }

    /// Visits at most `left` configurations more.
    pub(super) fn run<M: Model>(
        &mut self,
        table: &mut Table<'_, M>,
        usages: &mut Usages,
        schedule: &Schedule,
        left: &mut u64,
    ) -> Outcome {
        while *left > 0 {
            let Some((step, turn)) = self.next_turn() else { return Outcome::Stuck(self.deepest) };
            if self.memory.nodes[turn.node as usize].beaten {
                continue;
            }
            *left = left.saturating_sub(1 + self.memory.compared());
            let config = self.memory.nodes[turn.node as usize].config.clone();
            self.walk.go(table, schedule, step);
            let Some(Place::Slot(slot)) =
                schedule.steps.get(step as usize).map(|step| schedule.ops[step.op as usize].place)
            else {
                return Outcome::Way(self.way(turn.node));
            };
            let context = self.context(table, usages, schedule);
            match context.pass(&config, slot).filter(|_| !turn.again) {
                Some((after, ridden)) => {
                    if !context.closed(&config, slot) {
                        self.turn(Turn { again: true, ..turn });
                    }
                    self.go_deeper(table, usages, schedule, after, turn.node, ridden.map(|placed| (placed, step)));
                }
                None => self.expand(table, usages, schedule, slot, turn),
            }
        }
        Outcome::Open
    }

    fn go_deeper<M: Model>(
        &mut self,
        table: &mut Table<'_, M>,
        usages: &mut Usages,
        schedule: &Schedule,
        mut after: Config<W>,
        parent: u32,
        ridden: Option<(super::expand::Placed, u32)>,
    ) {
        let mark = ridden.map(|(placed, step)| Mark::new(step, placed, |slot| self.walk.in_slot[slot as usize]));
        let step = self.walk.step + 1;
        self.walk.go(table, schedule, step);
        self.deepest = self.deepest.max(step);
        self.context(table, usages, schedule).settle(&mut after);
        self.keep(usages, after, 0, Origin { parent: NonZeroU32::new(parent + 1), mark });
    }

    fn expand<M: Model>(
        &mut self,
        table: &mut Table<'_, M>,
        usages: &mut Usages,
        schedule: &Schedule,
        slot: u32,
        turn: Turn,
    ) {
        let mut moves = std::mem::take(&mut self.moves);
        let config = self.memory.nodes[turn.node as usize].config.clone();
        self.context(table, usages, schedule).expand(&config, slot, &mut moves);
        for Move { config, placed } in moves.drain(..) {
            let mark = Mark::new(self.walk.step, placed, |slot| self.walk.in_slot[slot as usize]);
            let origin = Origin { parent: NonZeroU32::new(turn.node + 1), mark: Some(mark) };
            self.keep(usages, config, turn.placed + 1, origin);
        }
        self.moves = moves;
    }

    fn way(&self, mut node: u32) -> Vec<Mark> {
        let mut way = Vec::new();
        loop {
            let Origin { parent, mark } = self.memory.nodes[node as usize].tag;
            way.extend(mark);
            let Some(parent) = parent else { break };
            node = parent.get() - 1;
        }
        way.reverse();
        way
    }

    /// Bytes in use.
    pub(super) fn room(&self) -> Room {
        let deepest = self
            .turns
            .last()
            .map_or(Room::default(), |turns| Room::doubling::<Turn>(turns.others.len(), turns.capacity()));
        let turns = self.turns_bytes - deepest.held + self.turns.capacity() * size_of::<Turns>();
        self.walk.space.room()
            + self.memory.room()
            + deepest
            + Room::fixed(turns + self.moves.capacity() * size_of::<Move<W>>())
    }
}
