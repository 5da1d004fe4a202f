//! The watch: the same rules while a run is still going on, so that it can end at the first violation.
//!
//! Fed with every event as it is recorded, the watch raises an alarm at the first one that refutes a property by itself,
//! together with what it remembers of those before. It never re-reads: per term one leader, per node and term one vote, per
//! node the rises of its term, and per key of the clients the zones of the values that can still be read
//! ([`RegisterStream`]).
//!
//! An alarm is no verdict. It ends the run; the verdict comes from the saved history, like every other. So the watch may stay
//! silent where it is not certain: what only an end can tell (a lost write, a leader that never comes), two leaders of different terms at once, and histories with
//! repeated values are left to the checkers.
//!
//! Events come in the order in which they are recorded, which for concurrent ones is not always that of their stamps. An answer
//! that is recorded late only widens its interval, so an alarm stays right.

use std::collections::BTreeMap;

use chaos_history::{
    Action, ElectionRole, Event, NodeId, ObjectKind, Observation, ObservationOutcome, OpEvent, OpId, OpPhase, OpResult,
    RunNanos, Term, TermsFrom, Testimony, Value,
};

use crate::linear::online::{Answer, Invocation, RegisterStream, Seen};
use crate::verdict::Property;

/// Watches a run for the first violation of some properties.
#[derive(Debug)]
pub struct Watch {
    properties: Vec<Property>,
    nodes: usize,
    /// Whether what a node says of others, and of its votes, is a fact.
    snapshot: bool,
    leaders: BTreeMap<Term, NodeId>,
    votes: BTreeMap<(NodeId, Term), NodeId>,
    /// Per node, when it was first heard of each new highest term: both ascending.
    rises: BTreeMap<NodeId, Vec<(RunNanos, Term)>>,
    registers: Vec<Watched>,
    /// Where each key's register stands.
    places: BTreeMap<String, usize>,
    /// What is under way, one a process, and how many operation events there were: the registers' clock.
    asked: Vec<Asked>,
    instants: u64,
}

/// A key's register; `None` once nothing can be said of it any more (a repeated value, an answer to no question).
#[derive(Debug)]
struct Watched {
    key: String,
    register: Option<RegisterStream<Value>>,
}

/// An operation under way.
#[derive(Clone, Copy, Debug)]
struct Asked {
    id: OpId,
    /// Of the register.
    place: usize,
    /// What it expects there, if it is a swap.
    expects: Option<Option<Value>>,
}

/// A violation that was seen while the run was going on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// The property that can't hold any more.
    pub property: Property,
    /// Why, in one sentence.
    pub sentence: String,
}

impl Watch {
    /// A watch over those of `properties` that can be refuted before the end, in a cluster of `nodes` nodes.
    #[must_use]
    pub fn new(properties: &[Property], nodes: usize) -> Self {
        Self {
            properties: properties.to_vec(),
            nodes,
            snapshot: true,
            leaders: BTreeMap::new(),
            votes: BTreeMap::new(),
            rises: BTreeMap::new(),
            registers: Vec::new(),
            places: BTreeMap::new(),
            asked: Vec::new(),
            instants: 0,
        }
    }

    /// The same for a run whose observations are of this kind: numbers of reigns are not watched as if they were terms.
    #[must_use]
    pub fn of(mut self, testimony: Testimony) -> Self {
        let needs_terms = |property: &Property| {
            matches!(property, Property::ElectionSafety | Property::SingleVote | Property::TermMonotonic)
        };
        self.properties.retain(|property| testimony.terms == TermsFrom::System || !needs_terms(property));
        self.snapshot = testimony.snapshot;
        self
    }

    /// The same for a run in which members may join the cluster anew, with empty disks: what they said before binds them no more, and from
    /// when on that is, is recorded only when it is over. Which of their words count, the checkers say.
    #[must_use]
    pub fn renewing(mut self, nodes_are_renewed: bool) -> Self {
        let binds = |property: &Property| matches!(property, Property::SingleVote | Property::TermMonotonic);
        self.properties.retain(|property| !nodes_are_renewed || !binds(property));
        self
    }

    /// Takes in what has just been recorded.
    pub fn event(&mut self, event: &Event) -> Option<Alarm> {
        let (property, sentence) = match event {
            Event::Observation(observation) => self.observation(observation)?,
            Event::Op(op) => self.operation(op)?,
            Event::Fault(_)
            | Event::Node(_)
            | Event::Stall(_)
            | Event::Note(_)
            | Event::Replica(_)
            | Event::View(_) => return None,
        };
        Some(Alarm { property, sentence })
    }

    fn watches(&self, property: Property) -> bool {
        self.properties.contains(&property)
    }

    fn operation(&mut self, op: &OpEvent) -> Option<(Property, String)> {
        if !self.watches(Property::Linearizable) {
            return None;
        }
        self.instants += 1;
        let (now, id) = (self.instants, op.id.0);
        if let OpPhase::Invoke { action, .. } = &op.phase {
            if action.object() != ObjectKind::Register {
                return None;
            }
            let place = self.place_of(action.key());
            let register = self.registers[place].register.as_mut()?;
            let invoked = register.invoke(now, id, invocation(action));
            let asked = Asked { id: op.id, place, expects: expected(action) };
            match self.asked.iter_mut().find(|asked| asked.id == op.id) {
                Some(before) => *before = asked,
                None => self.asked.push(asked),
            }
            return self.settle(place, invoked.is_err(), op);
        }
        let asked = self.asked.iter().position(|asked| asked.id == op.id)?;
        let Asked { place, expects, .. } = self.asked.swap_remove(asked);
        let register = self.registers[place].register.as_mut()?;
        let refused = register.answer(now, id, answer(expects, &op.phase)).is_err();
        register.flush();
        self.settle(place, refused, op)
    }

    /// Where the register of a key stands, which is a new one if nobody asked for it before.
    fn place_of(&mut self, key: &str) -> usize {
        if let Some(place) = self.places.get(key) {
            return *place;
        }
        let place = self.registers.len();
        self.registers.push(Watched { key: key.to_owned(), register: Some(RegisterStream::new()) });
        self.places.insert(key.to_owned(), place);
        place
    }

    /// What the last event made of a key.
    fn settle(&mut self, place: usize, refused: bool, op: &OpEvent) -> Option<(Property, String)> {
        let Watched { key, register } = &mut self.registers[place];
        let seen = register.as_ref().map_or(Seen::Nothing, RegisterStream::seen);
        if refused || matches!(seen, Seen::Repeated(_)) {
            *register = None;
            return None;
        }
        matches!(seen, Seen::Violation(_)).then(|| {
            let node = op.node;
            let sentence =
                format!("nothing that key {key} can have held explains the answer of {node} to operation {}", op.id.0);
            (Property::Linearizable, sentence)
        })
    }

    fn observation(&mut self, observation: &Observation) -> Option<(Property, String)> {
        let ObservationOutcome::Answered(belief) = &observation.outcome else { return None };
        let (node, term) = (observation.node, belief.term);
        let known = |node: NodeId| node.index() < self.nodes;
        if !known(node) || !belief.leader.is_none_or(known) || observation.received < observation.sent {
            return None;
        }
        if self.watches(Property::ElectionSafety) {
            let claimant = (belief.role == ElectionRole::Leader).then_some(node);
            let named = belief.leader.filter(|_| self.snapshot);
            for leader in [claimant, named].into_iter().flatten() {
                let first = *self.leaders.entry(term).or_insert(leader);
                if first != leader {
                    let sentence = format!("term {term} has two leaders: {first} and {leader}");
                    return Some((Property::ElectionSafety, sentence));
                }
            }
        }
        if let Some(candidate) = belief.voted_for.filter(|_| self.snapshot && self.watches(Property::SingleVote)) {
            let first = *self.votes.entry((node, term)).or_insert(candidate);
            if first != candidate {
                let sentence = format!("{node} voted twice in term {term}: for {first} and for {candidate}");
                return Some((Property::SingleVote, sentence));
            }
        }
        if self.watches(Property::TermMonotonic) {
            let rises = self.rises.entry(node).or_default();
            let before = rises[..rises.partition_point(|&(received, _)| received < observation.sent)].last();
            if let Some(&(_, high)) = before.filter(|&&(_, high)| high > term) {
                return Some((Property::TermMonotonic, format!("{node} went back from term {high} to term {term}")));
            }
            if rises.last().is_none_or(|&(received, high)| term > high && observation.received >= received) {
                rises.push((observation.received, term));
            }
        }
        None
    }
}

fn invocation(action: &Action) -> Invocation<Value> {
    match *action {
        Action::Read { .. } => Invocation::Read,
        Action::Write { value, .. } => Invocation::Write(Some(value)),
        Action::Cas { expect, value, .. } => Invocation::Cas { expect, new: Some(value) },
        Action::Add { .. }
        | Action::Elements { .. }
        | Action::Acquire { .. }
        | Action::Release { .. }
        | Action::Access { .. } => {
            unreachable!("only operations of registers are watched")
        }
    }
}

/// What a swap expects to find.
fn expected(action: &Action) -> Option<Option<Value>> {
    match action {
        Action::Cas { expect, .. } => Some(*expect),
        Action::Read { .. }
        | Action::Write { .. }
        | Action::Add { .. }
        | Action::Elements { .. }
        | Action::Acquire { .. }
        | Action::Release { .. }
        | Action::Access { .. } => None,
    }
}

fn answer(expects: Option<Option<Value>>, phase: &OpPhase) -> Answer<Value> {
    match phase {
        OpPhase::Invoke { .. } | OpPhase::Info { .. } => Answer::Unknown,
        OpPhase::Fail { .. } => Answer::Failed,
        OpPhase::Ok(OpResult::Read { value, .. }) => Answer::Saw(*value),
        OpPhase::Ok(OpResult::Written { .. } | OpResult::Cas { swapped: true, .. }) => Answer::Done,
        OpPhase::Ok(OpResult::Cas { swapped: false, observed: None, .. }) => Answer::Refused,
        // A refusal that saw what it expected contradicts itself; that is the checker's to say.
        OpPhase::Ok(OpResult::Cas { swapped: false, observed: Some(seen), .. }) if expects == Some(*seen) => {
            Answer::Refused
        }
        OpPhase::Ok(OpResult::Cas { swapped: false, observed: Some(seen), .. }) => Answer::Saw(*seen),
        // No answer to any question about a register; the checker calls it malformed.
        OpPhase::Ok(
            OpResult::Elements { .. } | OpResult::Acquired { .. } | OpResult::Released | OpResult::Accessed { .. },
        ) => Answer::Unknown,
    }
}
