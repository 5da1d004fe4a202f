//! What a node does with what arrives: the reference node's protocol thread, in virtual time.

use chaos_history::{Belief, NodeId, NodeLife, OpPhase, RunNanos};
use election::raft::{Event, Input, Outcome, Output, Snapshot};
use election::{Nanos, Protocol};

use crate::clients::Effects;
use crate::disk::Synced;
use crate::happening::Happening;
use crate::machine::Machine;
use crate::node::{Delivery, Life, Origin};
use crate::program::{Program, Start, members};
use crate::random::{Draws, Purpose};
use crate::record::Sink;
use crate::world::{Msg, SimWorld, number};

/// The most deliveries between two syncs.
const BATCH_MAX: usize = 512;

/// A batch's outputs on their way out.
struct Batch {
    node: usize,
    left: u64,
    effects: Effects,
    /// When the protocol wants to look at the time again.
    deadline: Option<Nanos>,
}

/// What a batch's outputs say before any of them leaves.
#[derive(Default)]
struct Noted {
    /// What whoever listens will hear.
    told: Vec<Belief>,
    /// Whether something is to be written.
    persists: bool,
}

impl<P: Program, S: Sink> SimWorld<'_, P, S> {
    /// A process has come so far that it listens.
    pub(crate) fn boot(&mut self, node: usize, incarnation: u32) {
        let now = self.now;
        let cluster = members(self.nodes.len());
        let state = &mut self.nodes[node];
        if state.life != Life::Starting || state.incarnation != incarnation {
            return;
        }
        if state.stopped_since.is_some() {
            state.withheld.push(Happening::Boot { node: number(node), incarnation });
            return;
        }
        // The real one writes down that it has started.
        if let Synced::Failed(_) = state.disk.sync(&self.timings) {
            state.life = Life::Failing;
            return self.fall(node, incarnation);
        }
        state.life = Life::Running;
        let recovered = state.disk.recovered();
        state.machine = match &recovered.snapshot {
            Some(snapshot) => Machine::restored(snapshot.meta.last_index, &snapshot.data),
            None => Machine::default(),
        };
        let seed = Draws::new(self.seed, Purpose::Node, node << 32 | incarnation as usize).next();
        let start = Start { id: state.own, members: cluster, seed, recovered, now: state.clock.at(now) };
        let protocol = self.program.start(start);
        let deadline = protocol.deadline();
        state.protocol = Some(protocol);
        state.busy_until = now;
        self.arm(node, deadline);
        self.dial_all(node);
        self.plan_listening(node);
    }

    /// Something has arrived at a node.
    pub(crate) fn arrives(&mut self, node: usize, delivery: Delivery<Msg<P>>) {
        let state = &mut self.nodes[node];
        let takes_in = state.runs() && !state.work_planned;
        if takes_in && state.busy_until <= self.now && state.inbox.is_empty() {
            return self.batch(node, Some(delivery));
        }
        state.inbox.push_back(delivery);
        if !takes_in {
            return;
        }
        if state.busy_until <= self.now {
            self.batch(node, None);
        } else {
            let at = state.busy_until;
            self.plan_work(node, at);
        }
    }

    pub(crate) fn plan_work(&mut self, node: usize, at: u64) {
        let state = &mut self.nodes[node];
        if !state.work_planned {
            state.work_planned = true;
            let incarnation = state.incarnation;
            self.plan(at, Happening::Work { node: number(node), incarnation });
        }
    }

    /// A node goes on with what has arrived meanwhile.
    pub(crate) fn work(&mut self, node: usize, incarnation: u32) {
        let state = &mut self.nodes[node];
        if state.incarnation != incarnation || !state.work_planned {
            return;
        }
        state.work_planned = false;
        if !state.runs() {
            return;
        }
        if state.busy_until > self.now {
            let at = state.busy_until;
            return self.plan_work(node, at);
        }
        self.batch(node, None);
    }

    /// A node's timer: it is set for the deadline of some time ago, which may have moved.
    pub(crate) fn timer(&mut self, node: usize, at: u64) {
        let state = &mut self.nodes[node];
        if state.timer_at != at {
            return;
        }
        state.timer_at = u64::MAX;
        if !state.runs() || state.work_planned {
            return;
        }
        if state.busy_until > self.now {
            let at = state.busy_until;
            return self.plan_work(node, at);
        }
        let shown = state.clock.at(self.now);
        let Some(deadline) = state.deadline() else { return };
        if deadline <= shown { self.batch(node, None) } else { self.arm(node, deadline) }
    }

    /// Sets a node's timer for its protocol's deadline, if none is set for as early.
    pub(crate) fn arm(&mut self, node: usize, deadline: Nanos) {
        let state = &mut self.nodes[node];
        let due = state.clock.shows(deadline, self.now);
        if due < state.timer_at {
            let at = due.saturating_add(self.timings.lateness.draw(&mut state.work));
            if at < state.timer_at {
                state.timer_at = at;
                self.plan(at, Happening::Timer { node: number(node), at });
            }
        }
    }

    /// Takes in what has arrived, `first` before what waits, makes it durable, and lets out what comes of it.
    fn batch(&mut self, node: usize, first: Option<Delivery<Msg<P>>>) {
        let now = self.now;
        let state = &mut self.nodes[node];
        state.before = if state.disk.is_slow() { state.belief(now) } else { None };
        state.disk.settle();
        let mut held = std::mem::take(&mut self.held);
        let mut noted = Noted::default();
        let (mut took, mut count) = (0, 0);
        let mut next = first.or_else(|| state.inbox.pop_front());
        while let Some(delivery) = next {
            let state = &mut self.nodes[node];
            took += self.timings.work.draw(&mut state.work);
            let begin = held.len();
            match delivery {
                Delivery::Message { from, message } => state.step(now, Input::Receive { from, message }, &mut held),
                Delivery::Own(input) => state.step(now, input, &mut held),
                Delivery::Client(id) => self.client_asks(node, id, &mut held),
                Delivery::Operator { fault, to } => self.operator_asks(node, fault, to, &mut held),
            }
            self.note(node, &held[begin..], &mut noted);
            count += 1;
            next = if count < BATCH_MAX { self.nodes[node].inbox.pop_front() } else { None };
        }
        let state = &mut self.nodes[node];
        let shown = state.clock.at(now);
        let mut deadline = state.deadline();
        if deadline.is_some_and(|deadline| deadline <= shown) {
            let begin = held.len();
            took += self.timings.work.draw(&mut state.work);
            state.step(now, Input::Tick, &mut held);
            deadline = state.deadline();
            self.note(node, &held[begin..], &mut noted);
        }
        let at = now + self.nodes[node].paced(took);
        match if noted.persists { self.begin_to_write(node, at) } else { Some(at) } {
            Some(left) => {
                self.nodes[node].busy_until = left;
                let effects = std::mem::take(&mut self.effects);
                self.let_out(Batch { node, left, effects, deadline }, &mut held, noted.told);
            }
            None => held.clear(),
        }
        self.held = held;
    }

    /// What a step tells whoever listens, and the hash.
    fn note(&mut self, node: usize, outputs: &[Output<Msg<P>>], noted: &mut Noted) {
        let mut changed = false;
        for output in outputs {
            match output {
                Output::Event(event) => {
                    self.hash.take(event_word(event) ^ (node as u64) << 60);
                    // What happens with every write is not announced.
                    changed |= !matches!(event, Event::Committed { .. });
                }
                Output::Persist(_) => noted.persists = true,
                Output::Send { .. }
                | Output::Apply(_)
                | Output::Reply { .. }
                | Output::TakeSnapshot { .. }
                | Output::RestoreSnapshot(_) => {}
            }
        }
        let state = &self.nodes[node];
        if changed && state.is_heard {
            noted.told.extend(state.belief(self.now));
        }
    }

    /// Waits for the disk to take what the batch wants written; when it has, or `None` if the disk has failed.
    fn begin_to_write(&mut self, node: usize, at: u64) -> Option<u64> {
        let state = &mut self.nodes[node];
        match state.disk.sync(&self.timings) {
            Synced::After(took) => {
                let left = at + took;
                state.disk.begin_batch(left);
                Some(left)
            }
            Synced::Failed(after) => {
                state.protocol = None;
                state.life = Life::Failing;
                state.busy_until = u64::MAX;
                let incarnation = state.incarnation;
                self.plan(at + after, Happening::Fall { node: number(node), incarnation });
                None
            }
        }
    }

    /// A node's disk has failed it: it ends, as the reference node does, with exit code 4.
    pub(crate) fn fall(&mut self, node: usize, incarnation: u32) {
        let state = &self.nodes[node];
        if state.incarnation != incarnation || state.life != Life::Failing {
            return;
        }
        self.end_node(node, Some(4), None, false);
        self.nodes[node].has_fallen = true;
        let at = self.now + self.timings.exit.draw(&mut self.nodes[node].leg);
        self.plan(at, Happening::Ended { node: number(node), incarnation });
    }

    fn let_out(&mut self, mut batch: Batch, held: &mut Vec<Output<Msg<P>>>, told: Vec<Belief>) {
        let node = batch.node;
        for output in held.drain(..) {
            match output {
                Output::Event(_) => {}
                Output::Persist(persist) => self.nodes[node].disk.stage(persist),
                Output::Send { to, message } => self.send(node, to, message, batch.left),
                Output::Apply(entries) => {
                    let state = &mut self.nodes[node];
                    for entry in &entries {
                        let effect = state.machine.apply(entry);
                        if !state.requests.is_empty() {
                            batch.effects.extend(effect.map(|effect| (entry.index, effect)));
                        }
                    }
                }
                Output::Reply { request, outcome } => {
                    let origin = self.nodes[node].dismiss(request);
                    self.reply(&batch, origin, outcome);
                }
                Output::TakeSnapshot { meta } => {
                    let state = &mut self.nodes[node];
                    let snapshot = Box::new(Snapshot { meta, data: state.machine.save() });
                    state.inbox.push_front(Delivery::Own(Input::SnapshotTaken(snapshot)));
                }
                Output::RestoreSnapshot(snapshot) => {
                    self.nodes[node].machine = Machine::restored(snapshot.meta.last_index, &snapshot.data);
                }
            }
        }
        if !told.is_empty() {
            self.tell(node, batch.left, told);
        }
        if let Some(deadline) = batch.deadline {
            self.arm(node, deadline);
        }
        batch.effects.clear();
        self.effects = batch.effects;
        if !self.nodes[node].inbox.is_empty() {
            self.plan_work(node, batch.left);
        }
    }

    fn reply(&mut self, batch: &Batch, origin: Option<Origin>, outcome: Outcome) {
        match origin {
            Some(Origin::Client(id)) => self.client_is_answered(batch.node, batch.left, id, outcome, &batch.effects),
            Some(Origin::Fault(fault)) => self.operator_is_answered(fault, outcome),
            None => {}
        }
    }

    /// Stops every thread of a node.
    pub(crate) fn stop(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        state.stopped_since.get_or_insert(self.now);
    }

    /// Lets a stopped node run again: what it held back leaves, what has arrived is taken in at once, and its timers are due.
    pub(crate) fn go_on(&mut self, node: usize) {
        let now = self.now;
        let state = &mut self.nodes[node];
        if state.stopped_since.take().is_none() || !state.is_up() {
            return;
        }
        let withheld = std::mem::take(&mut state.withheld);
        let wake = self.timings.lateness.draw(&mut state.work);
        state.timer_at = u64::MAX;
        let busy_until = state.busy_until;
        for (place, happening) in withheld.into_iter().enumerate() {
            // In their order, and not at one instant.
            self.plan(now + 1_000 + place as u64, left_now(happening, now));
        }
        if self.nodes[node].life == Life::Running && busy_until < u64::MAX {
            self.nodes[node].work_planned = false;
            self.plan_work(node, busy_until.max(now + wake));
        }
        let state = &mut self.nodes[node];
        if let Some(sent) = state.question.filter(|_| state.question_waits && !state.leg_cut) {
            let busy = if busy_until < u64::MAX { busy_until } else { now };
            let at = busy.max(now + wake) + self.timings.question.draw(&mut state.leg);
            self.plan(at, Happening::Ask { node: number(node), sent });
        }
    }

    /// A node that was told to end while it was stopped, or an orderly end: the same for both.
    pub(crate) fn exits(&mut self, node: usize, code: Option<i32>, signal: Option<i32>) {
        if self.nodes[node].is_up() {
            self.end_node(node, code, signal, true);
        }
    }

    /// Records that a node has answered for the first time since it was started.
    pub(crate) fn answered(&mut self, node: usize, at: RunNanos) {
        if !self.nodes[node].has_answered {
            self.nodes[node].has_answered = true;
            self.node_event(at, node, NodeLife::Ready);
        }
    }
}

/// The same, leaving now.
fn left_now<M>(mut happening: Happening<M>, now: u64) -> Happening<M> {
    match &mut happening {
        Happening::Deliver(packet) => packet.leaving.left = now,
        Happening::Told { leaving, .. } | Happening::Answer { leaving, .. } => leaving.left = now,
        Happening::Timer { .. }
        | Happening::Work { .. }
        | Happening::Dial { .. }
        | Happening::Dialled { .. }
        | Happening::Retry { .. }
        | Happening::Lost { .. }
        | Happening::Boot { .. }
        | Happening::Fall { .. }
        | Happening::Ended { .. }
        | Happening::Ask { .. }
        | Happening::AskInVain { .. }
        | Happening::Listen { .. }
        | Happening::Request { .. }
        | Happening::Impatient { .. }
        | Happening::Unanswered { .. }
        | Happening::GiveUp { .. }
        | Happening::Confirm(_)
        | Happening::Beat { .. }
        | Happening::Transfer { .. } => {}
    }
    happening
}

/// A word for the hash.
fn event_word(event: &Event) -> u64 {
    match event {
        Event::Granted { term, to } => 1 ^ term.0 << 8 ^ to.0 << 40,
        Event::BecameFollower { term, leader } => 2 ^ term.0 << 8 ^ leader.map_or(0, |leader| leader.0) << 40,
        Event::BecamePreCandidate { term } => 3 ^ term.0 << 8,
        Event::BecameCandidate { term } => 4 ^ term.0 << 8,
        Event::BecameLeader { term } => 5 ^ term.0 << 8,
        Event::LeaderChanged { term, leader } => 6 ^ term.0 << 8 ^ leader.map_or(0, |leader| leader.0) << 40,
        Event::Committed { index, term } => 7 ^ term.0 << 8 ^ index.0 << 28,
        Event::MembersChanged { index, members } => 8 ^ index.0 << 8 ^ (*members as u64) << 40,
        Event::CommittedOverwritten { index } => 9 ^ index.0 << 8,
    }
}

/// What the reference node's HTTP interface makes of an outcome that is no success.
pub(crate) fn refusal(outcome: Outcome, definite_if_open: bool) -> (OpPhase, Option<NodeId>) {
    let fail = |error: &str| OpPhase::Fail { error: error.to_owned() };
    match outcome {
        Outcome::NotLeader { leader } => {
            let hint = leader.and_then(|leader| u16::try_from(leader.number()).ok());
            (fail("not_leader"), hint.filter(|number| *number > 0).map(NodeId::new))
        }
        Outcome::Busy => (fail("busy"), None),
        Outcome::Invalid => (fail("invalid"), None),
        Outcome::GivenUp => (fail("given_up"), None),
        Outcome::Superseded
        | Outcome::Committed { .. }
        | Outcome::ReadAt { .. }
        | Outcome::Transferred { .. }
        | Outcome::MembershipChanged { .. } => {
            let superseded = "superseded".to_owned();
            let phase = if definite_if_open {
                OpPhase::Fail { error: superseded }
            } else {
                OpPhase::Info { error: superseded }
            };
            (phase, None)
        }
    }
}
