//! The frontier of a run that is still going on.
//!
//! ```text
//!            processed ────────────┐ held back until b's fate is known
//! a  ├───────┤                     │
//! b                                ├─────────────── ?
//! c       ├──────────┤             │   ├───────┤
//!    configurations after every answer up to here
//! ```
//!
//! What an operation did is known when it is answered, and what was answered meanwhile can only be judged then. So events are
//! held back from the oldest invocation on of which the fate is open: answered, or lost. Memory is the window and the
//! frontier, whatever the length of the run; states and operations that neither names are forgotten. Crashed operations are
//! not: they may take effect at any time to come. They cost a count per kind.
//!
//! With many crashed operations the ways in which they may have been used can outgrow any memory. A stream that visits too many
//! configurations per answer stops counting them: from then on any crashed operation may be used any number of times. What is a
//! violation then is one in any case; what passes is not proved any more, and [`Frontier::answers_proved`] stays where it is.
//!
//! It refuses to give an order (that of a finished history is [`super::decide`]'s) and to go on after a violation.

use std::collections::VecDeque;

use super::breadth::{Answer, Breadth};
use super::expand::{Config, Context};
use super::mask::{Mask, Wide};
use super::room::Room;
use super::schedule::{CrashedKind, Place, Planned};
use super::space::Space;
use super::table::{Kind, StateId, Table};
use super::usage::{KindId, Usages};
use crate::linear::decision::{Budget, Spent};
use crate::linear::model::Model;

/// Configurations between two looks at the budget.
const SLICE: u64 = 128;
/// A stream counts crashed operations as long as it visits at most so many configurations, and so many more per answer.
const COUNTED_BASE: u64 = 1 << 18;
const COUNTED_PER_ANSWER: u64 = 16;
/// So many bytes of states, operations and counts are never worth forgetting.
const FORGET_BYTES_MIN: usize = 1 << 20;

/// An operation of a stream, numbered in the order of invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// Why a stream came to an end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// There is no legal order of what had begun when this operation was answered.
    #[error("no legal order of what had begun when operation {} was answered", at.0)]
    Violation {
        /// The operation.
        at: Ticket,
    },
    /// The budget is spent.
    #[error("the budget is spent at the answer of operation {} ({spent:?})", at.0)]
    Spent {
        /// What ran out.
        spent: Spent,
        /// The operation whose answer could not be passed.
        at: Ticket,
    },
}

/// What became of an operation.
#[derive(Debug)]
enum Fate<T> {
    Open,
    Answered { what: T, answer: u64 },
    Lost(Option<T>),
    Pending { slot: u32 },
    Over,
}

/// An event that is held back.
#[derive(Clone, Copy, Debug)]
enum Event {
    Invoked(u64),
    Answered(u64),
}

/// What depends on the width of the masks.
#[derive(Debug)]
struct Core<W> {
    space: Space<W>,
    breadth: Breadth<W>,
    /// What is in each slot.
    entered: Vec<Option<Planned>>,
}

#[derive(Debug)]
enum Cores {
    Narrow(Core<u64>),
    Middle(Core<u128>),
    Wide(Core<Wide>),
}

macro_rules! each {
    ($cores:expr, $core:ident => $do:expr) => {
        match $cores {
            Cores::Narrow($core) => $do,
            Cores::Middle($core) => $do,
            Cores::Wide($core) => $do,
        }
    };
}

/// The configurations after a part of a run, and the events after it.
#[derive(Debug)]
pub struct Frontier<'m, M: Model> {
    budget: Budget<'m>,
    known: Known<'m, M>,
    cores: Cores,
    free: Vec<u32>,
    /// The fates from operation `first` on.
    fates: VecDeque<Fate<M::Op>>,
    first: u64,
    events: VecDeque<Event>,
    answers: u64,
    answers_passed: u64,
    /// The answers passed before crashed operations were counted no more.
    counted: Option<u64>,
    visited: u64,
    halt: Option<Halt>,
}

/// What configurations refer to.
#[derive(Debug)]
struct Known<'m, M: Model> {
    table: Table<'m, M>,
    usages: Usages,
    kinds: Vec<CrashedKind>,
    /// By effect.
    kind_of: Vec<Option<KindId>>,
    /// Time to forget when it has so many bytes.
    forget_at: usize,
    /// It never is with fewer.
    forget_at_min: usize,
}

impl<'m, M: Model> Frontier<'m, M> {
    /// Before the first event. No operation of `model` may call itself hidden because of what else is in a history: there is
    /// no history yet. The budget is that of the whole stream.
    #[must_use]
    pub fn new(model: &'m M, budget: Budget<'m>) -> Self {
        let (usages, breadth) = (Usages::new(), Breadth::new([Config::first()], None));
        let (table, kinds, kind_of) = (Table::new(model, 64), Vec::new(), Vec::new());
        Self {
            budget,
            known: Known {
                table,
                usages,
                kinds,
                kind_of,
                forget_at: FORGET_BYTES_MIN,
                forget_at_min: FORGET_BYTES_MIN,
            },
            cores: Cores::Narrow(Core { space: Space::new(), breadth, entered: Vec::new() }),
            free: Vec::new(),
            fates: VecDeque::new(),
            first: 0,
            events: VecDeque::new(),
            answers: 0,
            answers_passed: 0,
            counted: None,
            visited: 0,
            halt: None,
        }
    }

    /// An operation is invoked. Events come in the order of their stamps, invocations before answers at equal ones.
    pub fn invoke(&mut self) -> Ticket {
        let ticket = self.first + self.fates.len() as u64;
        self.fates.push_back(Fate::Open);
        self.events.push_back(Event::Invoked(ticket));
        Ticket(ticket)
    }

    /// An operation is answered: question and answer are `what`.
    ///
    /// # Errors
    /// If some answer up to this one can't be passed: a violation, or the end of the budget. It stays so.
    ///
    /// # Panics
    /// If the operation was answered or lost already.
    pub fn answer(&mut self, ticket: Ticket, what: M::Op) -> Result<(), Halt> {
        let answer = self.answers;
        self.answers += 1;
        self.resolve(ticket, Fate::Answered { what, answer });
        self.events.push_back(Event::Answered(ticket.0));
        self.advance()
    }

    /// An operation will never be answered. It may have taken effect at any time since its invocation as `what`, or never;
    /// `None`: it can't have had an effect, or did not happen at all.
    ///
    /// # Errors
    /// As [`Self::answer`].
    ///
    /// # Panics
    /// If the operation was answered or lost already.
    pub fn lose(&mut self, ticket: Ticket, what: Option<M::Op>) -> Result<(), Halt> {
        self.resolve(ticket, Fate::Lost(what));
        self.advance()
    }

    /// The answers that were passed: the history up to the last of them is linearizable.
    #[must_use]
    pub fn answers_proved(&self) -> u64 {
        self.counted.unwrap_or(self.answers_passed)
    }

    /// The answers that were passed. No violation is among them that can be shown without counting crashed operations.
    #[must_use]
    pub fn answers_passed(&self) -> u64 {
        self.answers_passed
    }

    /// The events that are held back, because of an operation of which the fate is open.
    #[must_use]
    pub fn held_back(&self) -> usize {
        self.events.len()
    }

    /// Bytes in use.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.room().held
    }

    fn room(&self) -> Room {
        Room::doubling::<Event>(self.events.len(), self.events.capacity())
            + Room::doubling::<Fate<M::Op>>(self.fates.len(), self.fates.capacity())
            + self.known.room()
            + each!(&self.cores, core => core.space.room() + core.breadth.room())
    }

    fn fate(&mut self, ticket: u64) -> &mut Fate<M::Op> {
        let place = ticket.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        place.and_then(|place| self.fates.get_mut(place)).expect("the fate of an operation is told once")
    }

    fn resolve(&mut self, ticket: Ticket, fate: Fate<M::Op>) {
        let before = std::mem::replace(self.fate(ticket.0), fate);
        assert!(matches!(before, Fate::Open), "the fate of an operation is told once");
    }

    /// Processes events up to the first that must wait.
    fn advance(&mut self) -> Result<(), Halt> {
        if let Some(halt) = &self.halt {
            return Err(halt.clone());
        }
        while let Some(&event) = self.events.front() {
            match event {
                Event::Invoked(ticket) => match std::mem::replace(self.fate(ticket), Fate::Over) {
                    Fate::Open => {
                        *self.fate(ticket) = Fate::Open;
                        return Ok(());
                    }
                    Fate::Answered { what, answer } => {
                        let slot = self.enter(&what, answer);
                        *self.fate(ticket) = Fate::Pending { slot };
                    }
                    Fate::Lost(what) => {
                        if let Some(what) = what {
                            self.enter_lost(&what);
                        }
                    }
                    Fate::Pending { .. } | Fate::Over => unreachable!("an operation is invoked once"),
                },
                Event::Answered(ticket) => {
                    let Fate::Pending { slot } = std::mem::replace(self.fate(ticket), Fate::Over) else {
                        unreachable!("an operation is invoked before it is answered")
                    };
                    self.pass(Ticket(ticket), slot)?;
                }
            }
            self.events.pop_front();
            while let Some(Fate::Over) = self.fates.front() {
                self.fates.pop_front();
                self.first += 1;
            }
        }
        Ok(())
    }

    /// An operation that will be answered begins, in a slot of its own.
    fn enter(&mut self, what: &M::Op, answer: u64) -> u32 {
        let slots = each!(&self.cores, core => core.entered.len());
        let slot = self.free.pop().unwrap_or_else(|| u32::try_from(slots).expect("there are fewer than 2^32 clients"));
        self.cores.fit(&mut self.known, slot);
        let effect = self.known.table.effect(what);
        let planned = Planned { effect, deadline: answer, place: Place::Slot(slot) };
        each!(&mut self.cores, core => core.enter(&mut self.known, planned, slot));
        slot
    }

    /// An operation that will never be answered begins.
    fn enter_lost(&mut self, what: &M::Op) {
        let known = &mut self.known;
        let effect = known.table.effect(what);
        let kind = known.table.kind(effect);
        if matches!(kind, Kind::ReadOnly | Kind::Overwrite { hidden: true, .. }) {
            return;
        }
        let (place, kinds) = (effect as usize, &mut known.kinds);
        known.kind_of.resize(known.kind_of.len().max(place + 1), None);
        let id = *known.kind_of[place].get_or_insert_with(|| {
            kinds.push(CrashedKind { effect, target: kind.target() });
            u32::try_from(kinds.len() - 1).expect("they fit into a budget")
        });
        let planned = Planned { effect, deadline: u64::MAX, place: Place::Crashed(id) };
        each!(&mut self.cores, core => core.space.enter(&mut known.table, &known.kinds, &planned));
    }

    fn pass(&mut self, at: Ticket, slot: u32) -> Result<(), Halt> {
        loop {
            let (mut left, counted) = (SLICE, self.counted.is_none());
            let passed = each!(&mut self.cores, core => core.pass(&mut self.known, slot, counted, &mut left));
            self.visited += SLICE - left;
            if passed == Some(0) {
                return Err(self.halt.insert(Halt::Violation { at }).clone());
            }
            if passed.is_some() {
                break;
            }
            if counted
                && self.visited > COUNTED_BASE.saturating_add(COUNTED_PER_ANSWER.saturating_mul(self.answers_passed))
            {
                self.counted = Some(self.answers_passed);
                each!(&mut self.cores, core => core.stop_counting());
            }
            self.check_budget(at)?;
        }
        self.answers_passed += 1;
        self.free.push(slot);
        if self.known.forgettable().held > self.known.forget_at {
            each!(&mut self.cores, core => core.forget(&mut self.known));
        }
        if self.answers_passed.is_multiple_of(256) { self.check_budget(at) } else { Ok(()) }
    }

    fn check_budget(&mut self, at: Ticket) -> Result<(), Halt> {
        let spent = if self.budget.stopped() {
            Spent::Stopped
        } else if self.visited >= self.budget.configurations {
            Spent::Configurations
        } else if self.room().peak() > self.budget.bytes {
            Spent::Bytes
        } else {
            return Ok(());
        };
        Err(self.halt.insert(Halt::Spent { spent, at }).clone())
    }
}

impl<M: Model> Known<'_, M> {
    /// What could be forgotten.
    fn forgettable(&self) -> Room {
        self.table.room() + self.usages.room()
    }

    fn room(&self) -> Room {
        self.forgettable()
            + Room::doubling::<CrashedKind>(self.kinds.len(), self.kinds.capacity())
            + Room::doubling::<Option<KindId>>(self.kind_of.len(), self.kind_of.capacity())
    }
}

impl<W: Mask> Core<W> {
    fn enter<M: Model>(&mut self, known: &mut Known<'_, M>, planned: Planned, slot: u32) {
        self.entered.resize(self.entered.len().max(slot as usize + 1), None);
        self.entered[slot as usize] = Some(planned);
        self.space.enter(&mut known.table, &known.kinds, &planned);
    }

    /// Goes on with an answer; `None`: not passed yet, else by how many.
    fn pass<M: Model>(&mut self, known: &mut Known<'_, M>, slot: u32, counted: bool, left: &mut u64) -> Option<usize> {
        let (table, usages, space) = (&mut known.table, &mut known.usages, &mut self.space);
        let mut context = Context { table, usages, kinds: &known.kinds, space, unlimited: !counted };
        let answer = Answer { step: 0, slot, op_in: |slot| slot };
        if !self.breadth.pass(&mut context, &answer, left) {
            return None;
        }
        if let Some(planned) = self.entered[slot as usize].take() {
            self.space.leave(&planned);
        }
        Some(self.breadth.len())
    }

    /// Goes back to before the answer, with no crashed operation used.
    fn stop_counting(&mut self) {
        self.breadth = Breadth::new(self.breadth.configs().map(|config| Config { usage: 0, ..config.clone() }), None);
    }

    /// Forgets states, operations and counts that nothing refers to. Only between answers.
    fn forget<M: Model>(&mut self, known: &mut Known<'_, M>) {
        let states: Vec<StateId> = self.breadth.configs().map(|config| config.state).collect();
        let pending = self.entered.iter().flatten().map(|planned| planned.effect);
        let effects: Vec<_> = pending.chain(known.kinds.iter().map(|kind| kind.effect)).collect();
        let (states, effects) = known.table.keep(&states, &effects);
        let mut effects = effects.into_iter();
        for planned in self.entered.iter_mut().flatten() {
            planned.effect = effects.next().expect("one for each");
        }
        known.kind_of.clear();
        for (id, (kind, effect)) in (0..).zip(known.kinds.iter_mut().zip(effects)) {
            *kind = CrashedKind { effect, target: known.table.kind(effect).target() };
            known.kind_of.resize(known.kind_of.len().max(effect as usize + 1), None);
            known.kind_of[effect as usize] = Some(id);
        }
        let mut usages = Usages::new();
        let old = &known.usages;
        self.breadth = Breadth::new(
            self.breadth.configs().zip(states).map(|(config, state)| {
                let usage = usages.intern(old.counts(config.usage));
                Config { state, usage, ..config.clone() }
            }),
            None,
        );
        known.usages = usages;
        self.space = self.entered_again(known);
        known.forget_at = match known.forget_at_min {
            0 => 0,
            min => min.max(2 * known.forgettable().held),
        };
    }

    /// What is pending, in a new space.
    fn entered_again<M: Model, V: Mask>(&self, known: &mut Known<'_, M>) -> Space<V> {
        let mut space = Space::new();
        for planned in self.entered.iter().flatten() {
            space.enter(&mut known.table, &known.kinds, planned);
        }
        space.begin(&mut known.table, &known.kinds, &self.space.begun);
        space
    }

    fn widened<M: Model, V: Mask>(&self, known: &mut Known<'_, M>) -> Core<V> {
        let space = self.entered_again(known);
        let wide = |mask: &W| {
            let (mut rest, mut wide) = (mask.clone(), V::default());
            while let Some(slot) = rest.pop() {
                wide.insert(slot);
            }
            wide
        };
        let configs = self.breadth.configs().map(|config| Config {
            state: config.state,
            usage: config.usage,
            used: wide(&config.used),
            done: wide(&config.done),
        });
        let breadth = Breadth::new(configs, None);
        Core { space, breadth, entered: self.entered.clone() }
    }
}

impl Cores {
    /// Makes room for `slot`.
    fn fit<M: Model>(&mut self, known: &mut Known<'_, M>, slot: u32) {
        let full = |slots: Option<u32>| slots.is_some_and(|slots| slot >= slots);
        match self {
            Self::Narrow(core) if full(u64::SLOTS) => *self = Self::Middle(core.widened(known)),
            Self::Middle(core) if full(u128::SLOTS) => *self = Self::Wide(core.widened(known)),
            Self::Narrow(_) | Self::Middle(_) | Self::Wide(_) => {}
        }
    }
}

#[cfg(test)]
impl<M: Model> Frontier<'_, M> {
    /// Forgets all the time, and gives out slots that need wider and wider masks.
    pub(super) fn under_stress(mut self) -> Self {
        (self.known.forget_at, self.known.forget_at_min) = (0, 0);
        self.free = vec![140, 3, 130, 2, 70, 64, 1];
        self
    }
}
