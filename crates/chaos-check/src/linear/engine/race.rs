//! Three searches in turn, until the first of them knows.
//!
//! ```text
//! depth   ▮▮▮    ▮▮▮▮    ▮▮▮▮▮▮▮▮            one way: finds an order early, so it begins
//! breadth    ▮▮▮     ▮▮▮▮        ▮▮▮▮▮▮▮▮    all ways at once: refutes early, little memory
//! relaxed       ·       ··             ····  breadth first with crashed operations for all: few configurations; what it
//!                                            refutes is refuted, what it passes is not passed
//! ```
//!
//! Neither order is better on all histories; turns of doubling length, counted in configurations and not in time, make the race
//! cost about twice what the better one costs, and its outcome the same on every machine. A search that needs more memory than
//! there is gives up, the larger one first; what it knows is lost, what the others say stays exact.

use super::breadth::{Answer, Breadth};
use super::depth::{Depth, Outcome};
use super::expand::{Config, Context};
use super::mask::Mask;
use super::order::order;
use super::room::Room;
use super::schedule::{Place, Schedule};
use super::table::Table;
use super::trail::Trail;
use super::usage::Usages;
use super::walk::Walk;
use super::{Found, Searches};
use crate::linear::decision::{Budget, Spent, Undecided};
use crate::linear::model::Model;

/// The first turn.
const TURN_MIN: u64 = 128;
/// The first turn of the depth-first search may be longer, so that it comes to the end of a short history where nothing is in its
/// way, and the others need not begin.
const TURN_FIRST_MAX: u64 = 1 << 10;
/// The longest turn.
const TURN_MAX: u64 = 1 << 16;
/// Configurations between two looks at the budget.
const SLICE: u64 = 128;

/// A breadth-first search along a schedule.
struct Front<W> {
    breadth: Breadth<W>,
    walk: Walk<W>,
    relaxed: bool,
}

impl<W: Mask> Front<W> {
    fn new<M: Model>(table: &mut Table<'_, M>, schedule: &Schedule, relaxed: bool) -> Self {
        let breadth = Breadth::new([Config::first()], Some(Trail::default()));
        Self { breadth, walk: Walk::new(table, schedule), relaxed }
    }

    fn run<M: Model>(
        &mut self,
        table: &mut Table<'_, M>,
        usages: &mut Usages,
        schedule: &Schedule,
        left: &mut u64,
    ) -> Outcome {
        while let Some(step) = schedule.steps.get(self.walk.step as usize) {
            let Place::Slot(slot) = schedule.ops[step.op as usize].place else {
                unreachable!("what is answered has a slot")
            };
            let in_slot = &self.walk.in_slot;
            let answer = Answer { step: self.walk.step, slot, op_in: |slot: u32| in_slot[slot as usize] };
            let (space, unlimited) = (&mut self.walk.space, self.relaxed);
            let mut context = Context { table, usages, kinds: &schedule.kinds, space, unlimited };
            if !self.breadth.pass(&mut context, &answer, left) {
                return Outcome::Open;
            }
            if self.breadth.len() == 0 {
                return Outcome::Stuck(self.walk.step);
            }
            self.walk.go(table, schedule, self.walk.step + 1);
        }
        Outcome::Way(self.breadth.way().unwrap_or_default())
    }

    fn room(&self) -> Room {
        self.breadth.room() + self.walk.space.room()
    }
}

/// The race.
pub(super) struct Race<'a, 'm, M: Model, W> {
    table: &'a mut Table<'m, M>,
    usages: Usages,
    schedule: &'a Schedule,
    budget: &'a Budget<'a>,
    visited: u64,
    breadth: Option<Front<W>>,
    depth: Option<Depth<W>>,
    relaxed: Option<Front<W>>,
}

impl<'a, 'm, M: Model, W: Mask> Race<'a, 'm, M, W> {
    /// At the start.
    pub(super) fn new(table: &'a mut Table<'m, M>, schedule: &'a Schedule, budget: &'a Budget<'a>) -> Self {
        let usages = Usages::new();
        Self { table, usages, schedule, budget, visited: 0, breadth: None, depth: None, relaxed: None }
    }

    /// Runs those of the searches that are wanted, to the end.
    pub(super) fn run(mut self, searches: Searches) -> Found {
        let mut turn = TURN_MIN;
        let mut begun = Searches::NONE;
        let (mut proved, mut spent) = (0, Spent::Bytes);
        loop {
            for search in Searches::ALL.into_iter().filter(|search| searches.has(*search)) {
                // The relaxed search helps in few histories and has a small share.
                let mut left = if search == Searches::RELAXED { turn / 4 } else { turn };
                if !begun.has(search) {
                    begun = begun.with(search);
                    self.begin(search);
                    if search == Searches::DEPTH {
                        left = (2 * self.schedule.steps.len() as u64).clamp(turn, TURN_FIRST_MAX);
                    }
                }
                while left > 0 && self.is_on(search) {
                    let found = self.slice(search, &mut left);
                    proved = proved.max(self.proved());
                    if let Some(found) = found {
                        return found;
                    }
                    if let Some(out) = self.check_budget() {
                        spent = out;
                        return self.give_up(proved, spent);
                    }
                }
            }
            if self.breadth.is_none() && self.depth.is_none() && self.relaxed.is_none() {
                return self.give_up(proved, spent);
            }
            turn = (turn * 2).min(TURN_MAX);
        }
    }

    fn begin(&mut self, search: Searches) {
        let mut front = |relaxed| Front::new(self.table, self.schedule, relaxed);
        if search == Searches::BREADTH {
            self.breadth = Some(front(false));
        } else if search == Searches::DEPTH {
            self.depth = Some(Depth::new(self.table, &mut self.usages, self.schedule));
        } else if !self.schedule.kinds.is_empty() {
            self.relaxed = Some(front(true));
        }
    }

    fn is_on(&self, search: Searches) -> bool {
        if search == Searches::BREADTH {
            self.breadth.is_some()
        } else if search == Searches::DEPTH {
            self.depth.is_some()
        } else {
            self.relaxed.is_some()
        }
    }

    /// Lets a search visit a few configurations.
    fn slice(&mut self, search: Searches, left: &mut u64) -> Option<Found> {
        let slice = SLICE.min(*left).min(self.budget.configurations.saturating_sub(self.visited).max(1));
        let mut rest = slice;
        let (table, usages, schedule) = (&mut *self.table, &mut self.usages, self.schedule);
        let outcome = if search == Searches::BREADTH {
            self.breadth.as_mut().map(|front| front.run(table, usages, schedule, &mut rest))
        } else if search == Searches::DEPTH {
            self.depth.as_mut().map(|depth| depth.run(table, usages, schedule, &mut rest))
        } else {
            self.relaxed.as_mut().map(|front| front.run(table, usages, schedule, &mut rest))
        };
        self.visited += slice - rest;
        *left -= slice;
        match outcome? {
            Outcome::Open => None,
            Outcome::Stuck(step) => Some(Found::Nothing { at: schedule.steps[step as usize].op }),
            Outcome::Way(way) => {
                let order = order(table, schedule, &way).map(Found::Order);
                if order.is_none() {
                    // It used more crashed operations than there were.
                    self.relaxed = None;
                }
                order
            }
        }
    }

    /// The steps that some configuration passed.
    fn proved(&self) -> u32 {
        let breadth = self.breadth.as_ref().map_or(0, |front| front.walk.step);
        breadth.max(self.depth.as_ref().map_or(0, |depth| depth.deepest))
    }

    fn check_budget(&mut self) -> Option<Spent> {
        if self.budget.stopped() {
            return Some(Spent::Stopped);
        }
        if self.visited >= self.budget.configurations {
            return Some(Spent::Configurations);
        }
        let shared = Room::fixed(self.schedule.bytes()) + self.table.room() + self.usages.room();
        loop {
            let breadth = self.breadth.as_ref().map_or(Room::default(), Front::room);
            let depth = self.depth.as_ref().map_or(Room::default(), Depth::room);
            let relaxed = self.relaxed.as_ref().map_or(Room::default(), Front::room);
            if (shared + breadth + depth + relaxed).peak() <= self.budget.bytes {
                return None;
            }
            let (breadth, depth, relaxed) = (breadth.peak(), depth.peak(), relaxed.peak());
            if relaxed > 0 && relaxed >= breadth.max(depth) {
                self.relaxed = None;
            } else if depth > 0 && depth >= breadth {
                self.depth = None;
            } else if breadth > 0 {
                self.breadth = None;
            } else {
                return Some(Spent::Bytes);
            }
        }
    }

    fn give_up(self, proved: u32, spent: Spent) -> Found {
        let reached = self.schedule.steps.get(proved as usize).map(|step| step.op);
        let undecided = Undecided { spent, reached, answers_proved: u64::from(proved), configurations: self.visited };
        Found::Spent(undecided)
    }
}
