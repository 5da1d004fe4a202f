//! Clients' operations: what the harness's HTTP client and the reference node's HTTP interface make of them together.
//!
//! What is definite is what is definite there: the node's own word, and a connection that did not come about. A request of whose node the
//! process ends, or that is not answered in time, is `info`; and the node may still do what it asked.

use std::collections::{BTreeMap, VecDeque};

use chaos_engine::{Completed, Event, Invocation};
use chaos_history::{
    self as history, Action, NodeId, OpEvent, OpId, OpPhase, OpResult, ProcessId, Revision, RunNanos, Value,
};
use election::LogIndex;
use election::raft::{Input, Outcome, Output};

use crate::happening::{Happening, Leaving};
use crate::machine::{Command, Effect, Versioned};
use crate::node::{Delivery, Life, Origin};
use crate::program::Program;
use crate::random::nanos;
use crate::record::Sink;
use crate::shell::refusal;
use crate::world::{Departure, Msg, SimWorld};

/// Effects of the entries of the present batch.
pub(crate) type Effects = Vec<(LogIndex, Effect)>;

/// What is asked of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Read { key: u16 },
    Change(Command),
}

/// An operation under way.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    process: ProcessId,
    node: usize,
    question: Question,
    /// Of which incarnation of the node its connection is; none yet while it is being made.
    incarnation: Option<u32>,
    deadline: u64,
}

/// All operations under way, by their numbers, which rise.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    first: u64,
    under_way: VecDeque<Option<UnderWay>>,
    keys: BTreeMap<String, u16>,
}

impl Operations {
    fn add(&mut self, id: OpId, operation: UnderWay) {
        if self.under_way.is_empty() {
            self.first = id.0;
        }
        let place = id.0.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        let place = place.expect("the engine numbers operations by their invocation");
        while self.under_way.len() <= place {
            self.under_way.push_back(None);
        }
        self.under_way[place] = Some(operation);
    }

    fn get(&mut self, id: OpId) -> Option<&mut UnderWay> {
        let place = usize::try_from(id.0.checked_sub(self.first)?).ok()?;
        self.under_way.get_mut(place)?.as_mut()
    }

    fn remove(&mut self, id: OpId) -> Option<UnderWay> {
        let place = usize::try_from(id.0.checked_sub(self.first)?).ok()?;
        let operation = self.under_way.get_mut(place)?.take();
        while let Some(None) = self.under_way.front() {
            self.under_way.pop_front();
            self.first += 1;
        }
        operation
    }

    fn key(&mut self, name: &str) -> u16 {
        if let Some(key) = self.keys.get(name) {
            return *key;
        }
        let key = u16::try_from(self.keys.len()).expect("a workload has at most a thousand keys");
        self.keys.insert(name.to_owned(), key);
        key
    }

    fn at(&self, node: usize) -> Vec<(OpId, bool)> {
        let under_way = (self.first..).zip(&self.under_way);
        let here = under_way.filter_map(|(id, operation)| Some((id, operation.as_ref()?)));
        here.filter(|(_, operation)| operation.node == node)
            .map(|(id, operation)| (OpId(id), operation.incarnation.is_some()))
            .collect()
    }
}

impl<P: Program, S: Sink> SimWorld<'_, P, S> {
    /// Begins an operation.
    pub(crate) fn invoke(&mut self, invocation: Invocation) {
        let Invocation { id, process, node, role, due, deadline, action } = invocation;
        let key = self.operations.key(action.key());
        let asked = match &action {
            Action::Read { .. } => Ok(Question::Read { key }),
            Action::Write { value, .. } => Ok(Question::Change(Command::Put { key, value: *value })),
            Action::Cas { expect, value, .. } => {
                Ok(Question::Change(Command::Cas { key, expect: *expect, value: *value }))
            }
            Action::Access { key, token } => {
                Err(OpPhase::Ok(OpResult::Accessed { accepted: self.resource.access(key, *token) }))
            }
            Action::Add { .. } | Action::Elements { .. } | Action::Acquire { .. } | Action::Release { .. } => {
                Err(OpPhase::Fail { error: "the reference node keeps registers only".to_owned() })
            }
        };
        let phase = OpPhase::Invoke { role, due, action };
        self.record(RunNanos(self.now), history::Event::Op(OpEvent { id, process, node, phase }), None);
        let (question, definite) = match asked {
            Ok(question) => (question, None),
            Err(phase) => (Question::Read { key }, Some(phase)),
        };
        let node = node.index();
        let operation = UnderWay { process, node, question, incarnation: None, deadline: deadline.0 };
        self.operations.add(id, operation);
        match definite {
            Some(phase) => self.complete(id, phase, None),
            None => self.dispatch(id, node),
        }
    }

    /// Puts a request on its way, over a connection that is there or a new one.
    fn dispatch(&mut self, id: OpId, node: usize) {
        let now = self.now;
        let Some(deadline) = self.operations.get(id).map(|operation| operation.deadline) else { return };
        let state = &mut self.nodes[node];
        let way = self.timings.request.draw(&mut state.leg);
        self.queue.push(now, deadline.max(now + 1), Happening::GiveUp { id });
        if state.idle > 0 {
            state.idle -= 1;
            let incarnation = state.incarnation;
            if let Some(operation) = self.operations.get(id) {
                operation.incarnation = Some(incarnation);
            }
            return self.plan(now + way, Happening::Request { id });
        }
        let connect = self.timings.connect.draw(&mut state.leg);
        if state.leg_cut {
            // The handshake is lost, and tried again when everybody has lost patience.
            return;
        }
        if !state.listens() {
            let error = "not connected: Connection refused (os error 111)".to_owned();
            let phase = Box::new(OpPhase::Fail { error });
            return self.plan(now + connect, Happening::Unanswered { id, phase });
        }
        let incarnation = state.incarnation;
        if let Some(operation) = self.operations.get(id) {
            operation.incarnation = Some(incarnation);
        }
        self.plan(now + connect + way, Happening::Request { id });
    }

    /// A request arrives at its node.
    pub(crate) fn request(&mut self, id: OpId) {
        let now = self.now;
        let Some(operation) = self.operations.get(id).copied() else { return };
        let state = &mut self.nodes[operation.node];
        if state.leg_cut {
            state.leg_stalled.push((now, Happening::Request { id }));
            return;
        }
        if operation.incarnation != Some(state.incarnation) || !state.listens() {
            // Its client hears of it by the connection's end.
            return;
        }
        let patience = now + nanos(state.request_timeout);
        if patience < operation.deadline && state.runs() {
            let incarnation = state.incarnation;
            self.plan(patience, Happening::Impatient { id, incarnation });
        }
        self.arrives(operation.node, Delivery::Client(id));
    }

    /// The protocol thread takes a request in.
    pub(crate) fn client_asks(&mut self, node: usize, id: OpId, held: &mut Vec<Output<Msg<P>>>) {
        let Some(operation) = self.operations.get(id).copied() else { return };
        let read = self.read;
        let state = &mut self.nodes[node];
        let request = state.admit(Origin::Client(id));
        let input = match operation.question {
            Question::Read { .. } => Input::Read { request, consistency: consistency(read) },
            Question::Change(command) => Input::Propose { request, command: command.encode() },
        };
        state.step(self.now, input, held);
    }

    /// The protocol has answered a request.
    pub(crate) fn client_is_answered(&mut self, node: usize, left: u64, id: OpId, outcome: Outcome, effects: &Effects) {
        let Some(operation) = self.operations.get(id).copied() else { return };
        let effect_at = |index| effects.iter().rev().find(|(at, _)| *at == index).map(|(_, effect)| *effect);
        let done = match (outcome, operation.question) {
            (Outcome::Committed { index, .. }, Question::Change(_)) => {
                effect_at(index).map(|effect| written(index, effect))
            }
            (Outcome::ReadAt { .. }, Question::Read { key }) => {
                let (value, revision) = parts(self.nodes[node].machine.get(key));
                Some(OpResult::Read { value, revision })
            }
            (
                Outcome::Committed { .. }
                | Outcome::ReadAt { .. }
                | Outcome::Transferred { .. }
                | Outcome::MembershipChanged { .. }
                | Outcome::NotLeader { .. }
                | Outcome::Busy
                | Outcome::Invalid
                | Outcome::GivenUp
                | Outcome::Superseded,
                Question::Read { .. } | Question::Change(_),
            ) => None,
        };
        let changes_nothing = matches!(operation.question, Question::Read { .. });
        let (phase, hint) = match done {
            Some(result) => (OpPhase::Ok(result), None),
            None => refusal(outcome, changes_nothing),
        };
        let hint = hint.filter(|hint| hint.index() < self.nodes.len());
        self.send_answer(node, left, id, phase, hint);
    }

    fn send_answer(&mut self, node: usize, left: u64, id: OpId, phase: OpPhase, hint: Option<NodeId>) {
        let leaving = self.leaving(node, left);
        let at = left + self.timings.request.draw(&mut self.nodes[node].leg);
        self.plan(at, Happening::Answer { leaving, id, phase: Box::new(phase), hint });
    }

    /// A node lets a client wait no longer.
    pub(crate) fn impatient(&mut self, id: OpId, incarnation: u32) {
        let Some(operation) = self.operations.get(id).copied() else { return };
        let state = &mut self.nodes[operation.node];
        if state.incarnation != incarnation || state.life != Life::Running {
            return;
        }
        if state.stopped_since.is_some() {
            state.withheld.push(Happening::Impatient { id, incarnation });
            return;
        }
        let error = "timeout".to_owned();
        let phase = match operation.question {
            Question::Read { .. } => OpPhase::Fail { error },
            Question::Change(_) => OpPhase::Info { error },
        };
        self.send_answer(operation.node, self.now, id, phase, None);
    }

    /// An answer arrives.
    pub(crate) fn answer(&mut self, leaving: Leaving, id: OpId, phase: Box<OpPhase>, hint: Option<NodeId>) {
        let node = usize::from(leaving.node);
        match self.departure(leaving) {
            Departure::Left => {}
            // The connection's end says the rest.
            Departure::Never => return,
            Departure::Withheld => {
                self.nodes[node].withheld.push(Happening::Answer { leaving, id, phase, hint });
                return;
            }
        }
        if self.nodes[node].leg_cut {
            let stalled = (self.now, Happening::Answer { leaving, id, phase, hint });
            self.nodes[node].leg_stalled.push(stalled);
            return;
        }
        if self.operations.get(id).is_some() {
            if self.nodes[node].incarnation == leaving.incarnation && self.nodes[node].is_up() {
                self.nodes[node].idle += 1;
            }
            self.complete(id, *phase, hint);
        }
    }

    /// A client waits no longer.
    pub(crate) fn give_up(&mut self, id: OpId) {
        self.complete(id, OpPhase::Info { error: "no answer in time".to_owned() }, None);
    }

    /// The process of a node has ended: whoever waited for it hears so, unless nothing passes.
    pub(crate) fn clients_lose(&mut self, node: usize) {
        if self.nodes[node].leg_cut {
            return;
        }
        for (id, was_sent) in self.operations.at(node) {
            let phase = if was_sent {
                OpPhase::Info { error: "connection closed before message completed".to_owned() }
            } else {
                OpPhase::Fail { error: "not connected: Connection refused (os error 111)".to_owned() }
            };
            let at = self.now + self.timings.request.draw(&mut self.nodes[node].leg);
            self.plan(at, Happening::Unanswered { id, phase: Box::new(phase) });
        }
    }

    /// Records the end of an operation. Says nothing twice.
    pub(crate) fn complete(&mut self, id: OpId, phase: OpPhase, leader_hint: Option<NodeId>) {
        let Some(UnderWay { process, node, .. }) = self.operations.remove(id) else { return };
        let event = OpEvent { id, process, node: NodeId::from_index(node), phase: phase.clone() };
        let completed = Event::Completed(Completed { id, phase, leader_hint });
        self.record(RunNanos(self.now), history::Event::Op(event), Some(completed));
    }

    /// From now on nothing, or everything, passes between a node and whoever is no node.
    pub(crate) fn cut_leg(&mut self, node: usize, is_cut: bool) {
        let was_cut = std::mem::replace(&mut self.nodes[node].leg_cut, is_cut);
        if !was_cut || is_cut {
            return;
        }
        let first = nanos(self.timings.retransmit);
        for (lost_at, happening) in std::mem::take(&mut self.nodes[node].leg_stalled) {
            let mut again = lost_at + first;
            while again < self.now {
                again += again - lost_at;
            }
            self.plan(again, happening);
        }
    }
}

fn consistency(read: chaos_plan::ReadConsistency) -> election::raft::ReadConsistency {
    match read {
        chaos_plan::ReadConsistency::Linearizable => election::raft::ReadConsistency::Linearizable,
        chaos_plan::ReadConsistency::Lease => election::raft::ReadConsistency::Lease,
        chaos_plan::ReadConsistency::Local => election::raft::ReadConsistency::Local,
    }
}

fn written(index: LogIndex, effect: Effect) -> OpResult {
    match effect {
        Effect::Put => OpResult::Written { revision: Some(Revision(index.0)) },
        Effect::Cas { swapped, before } => {
            let (observed, revision_before) = parts(before);
            let revision = if swapped { Some(Revision(index.0)) } else { revision_before };
            OpResult::Cas { swapped, observed: Some(observed), revision }
        }
    }
}

fn parts(held: Option<Versioned>) -> (Option<Value>, Option<Revision>) {
    (held.map(|held| held.value), held.map(|held| Revision(held.revision.0)))
}
