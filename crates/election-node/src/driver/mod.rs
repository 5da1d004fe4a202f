//! The protocol thread: the only owner of the protocol, its disk and its state machine.
//!
//! One loop: wait for deliveries or the protocol's deadline, step through everything that has arrived, make what has to be
//! durable durable with *one* sync, publish the state, and only then let anything leave. That order is the whole safety
//! argument of the shell: no message, answer or published role precedes the write that it rests on (Ongaro's dissertation
//! §3.8; group commit is allowed because a `Persist` may run before its place, never after).
//!
//! It refuses to go on after a storage error: the process ends at once, without answering anybody ([`Fatal`]).

mod requests;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};

use election::raft::{Event, Input, Output, Snapshot};
use election::{NodeId, Protocol};
use tokio::sync::{broadcast, watch};

use self::requests::{Requests, Wanted};
use crate::clock::{Clock, Reading};
use crate::counts::Counts;
use crate::error::NodeError;
use crate::inbox::{Action, Delivery, Request};
use crate::machine::{Machine, MachineError};
use crate::metrics::Metrics;
use crate::recording::Recorder;
use crate::state::{Detail, Name, State};
use crate::storage::Storage;
use crate::transport::Outbox;

/// The most deliveries between two syncs; keeps a batch's sync from growing without bound under load.
const BATCH_MAX: usize = 512;

/// Why the protocol thread can't go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fatal {
    /// The disk failed: what was acknowledged may not be durable.
    #[error(transparent)]
    Storage(#[from] NodeError),
    /// The log holds what this version can't apply.
    #[error(transparent)]
    Machine(#[from] MachineError),
}

/// Where the state goes that others read.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) state: watch::Sender<Arc<State>>,
    pub(crate) events: broadcast::Sender<Arc<str>>,
    pub(crate) incarnation: u64,
    pub(crate) specimen: Option<&'static str>,
}

impl Publisher {
    /// What the protocol would say about itself right now.
    pub(crate) fn state_of(&self, protocol: &impl Protocol, at: Reading) -> State {
        State::new(protocol.status(at.node), protocol.deadline(), at, self.incarnation, self.specimen)
    }
}

/// The protocol thread's possessions.
pub(crate) struct Driver<P: Protocol> {
    pub(crate) protocol: P,
    pub(crate) storage: Storage,
    pub(crate) machine: Machine,
    pub(crate) clock: Clock,
    pub(crate) outbox: Outbox,
    pub(crate) publisher: Publisher,
    pub(crate) metrics: Arc<Metrics>,
    /// Where counts are noted when the leader changes, if anywhere.
    pub(crate) counts: Option<Counts>,
    /// Where every step is noted, if anywhere.
    pub(crate) recorder: Option<Recorder>,
    requests: Requests,
    /// Outputs of the present batch, `Persist`s already taken out; none of it has left the node.
    held: Vec<Output<P::Message>>,
    /// Lines for `/events`, likewise held.
    lines: Vec<Arc<str>>,
    /// Answers to the protocol's own questions, for the next batch.
    replies: Vec<Input<P::Message>>,
    /// The life in which each peer has dialled last, by its number.
    lives: BTreeMap<u64, NodeId>,
}

impl<P: Protocol> Driver<P> {
    /// A driver of these parts.
    pub(crate) fn new(
        protocol: P,
        storage: Storage,
        machine: Machine,
        clock: Clock,
        outbox: Outbox,
        publisher: Publisher,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (held, lines, replies, lives) = (Vec::new(), Vec::new(), Vec::new(), BTreeMap::new());
        let requests = Requests::default();
        Self {
            protocol,
            storage,
            machine,
            clock,
            outbox,
            publisher,
            metrics,
            counts: None,
            recorder: None,
            requests,
            held,
            lines,
            replies,
            lives,
        }
    }

    /// Runs until it is told to stop.
    ///
    /// # Errors
    /// [`Fatal`]; the caller must end the process without letting this driver's unanswered requests be answered.
    pub(crate) fn run(&mut self, inbox: &Receiver<Delivery<P::Message>>) -> Result<(), Fatal> {
        let mut batch = Vec::new();
        loop {
            let go_on = self.collect(inbox, &mut batch);
            for delivery in batch.drain(..) {
                self.take(delivery);
            }
            for input in std::mem::take(&mut self.replies) {
                self.step(input);
            }
            if self.clock.read().node >= self.protocol.deadline() {
                self.step(Input::Tick);
            }
            self.finish_batch()?;
            if !go_on {
                return Ok(());
            }
        }
    }

    /// Waits for something to do, then takes what else is there; whether to go on afterwards.
    fn collect(&self, inbox: &Receiver<Delivery<P::Message>>, batch: &mut Vec<Delivery<P::Message>>) -> bool {
        if self.replies.is_empty() {
            let left = self.protocol.deadline().since(self.clock.read().node);
            match inbox.recv_timeout(self.clock.host_duration(left)) {
                Ok(Delivery::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
                Ok(delivery) => batch.push(delivery),
                Err(RecvTimeoutError::Timeout) => return true,
            }
        }
        while batch.len() < BATCH_MAX {
            match inbox.try_recv() {
                Ok(Delivery::Stop) | Err(TryRecvError::Disconnected) => return false,
                Ok(delivery) => batch.push(delivery),
                Err(TryRecvError::Empty) => break,
            }
        }
        true
    }

    fn take(&mut self, delivery: Delivery<P::Message>) {
        match delivery {
            Delivery::Message { from, message } => self.step(Input::Receive { from, message }),
            Delivery::Met { from } => drop(self.lives.insert(from.number(), from)),
            Delivery::Request(request) => self.take_request(request),
            Delivery::Stop => {}
        }
    }

    fn take_request(&mut self, Request { action, answer }: Request) {
        if answer.is_closed() {
            // Its client was told `timeout` while it waited here; not doing it is one of the things that can mean.
            return;
        }
        // Of this very moment: between the request and now the members may have changed.
        let members = || (*self.protocol.status(self.clock.read().node).members).clone();
        let in_its_life = |name: NodeId| members().into_iter().find(|id| id.number() == name.number()).unwrap_or(name);
        let wanted = match &action {
            Action::Read { key, .. } => Wanted::Value(key.clone()),
            Action::AddMember(name) => Wanted::Members(with(members(), *name, &self.lives)),
            Action::RemoveMember(name) => Wanted::Members(without(members(), *name)),
            Action::Propose(_) | Action::Transfer { .. } => Wanted::Outcome,
        };
        let changed = if let Wanted::Members(changed) = &wanted { changed.clone() } else { BTreeSet::new() };
        let successor = if let Action::Transfer { to } = &action { to.map(in_its_life) } else { None };
        let request = self.requests.admit(wanted, answer);
        let input = match action {
            Action::Propose(command) => Input::Propose { request, command: command.encode().into() },
            Action::Read { consistency, .. } => Input::Read { request, consistency },
            Action::Transfer { .. } => Input::Transfer { request, to: successor },
            Action::AddMember(_) | Action::RemoveMember(_) => Input::ChangeMembership { request, members: changed },
        };
        self.step(input);
    }

    fn step(&mut self, input: Input<P::Message>) {
        let now = self.clock.read();
        let begin = self.held.len();
        let told = self.recorder.is_some().then(|| input.clone());
        self.protocol.step(now.node, input, &mut self.held);
        if let (Some(recorder), Some(told)) = (&mut self.recorder, told) {
            recorder.note(now.node, &told, &self.held[begin..], self.protocol.deadline());
        }
        // Here and not when they leave: what is published of a step has its messages counted.
        for output in &self.held[begin..] {
            if let Output::Send { message, .. } = output {
                self.metrics.count_sent(P::kind(message));
            }
        }
        if self.held[begin..].iter().any(|output| matches!(output, Output::Event(_))) {
            self.note_events(begin, now);
        }
    }

    /// Counts the events of one step and prepares their lines, which tell the state right after that step.
    fn note_events(&mut self, begin: usize, now: Reading) {
        let state = self.publisher.state_of(&self.protocol, now);
        for output in &self.held[begin..] {
            let Output::Event(event) = output else { continue };
            count(&self.metrics, event);
            log(event, &state);
            if let Some((kind, detail)) = describe(event) {
                self.lines.push(Arc::from(state.event_line(kind, now, detail)));
            }
        }
    }

    /// Makes the batch durable, then lets it out.
    fn finish_batch(&mut self) -> Result<(), Fatal> {
        if let Some(recorder) = &mut self.recorder {
            recorder.flush();
        }
        for output in &mut self.held {
            if let Output::Persist(persist) = output {
                self.storage.stage(std::mem::take(persist))?;
            }
        }
        if let Some(committed) = self.storage.commit()? {
            self.metrics.sync.record(committed.elapsed);
            self.metrics.entries_appended.fetch_add(committed.entries as u64, Relaxed);
        }
        let state = self.publisher.state_of(&self.protocol, self.clock.read());
        if let Some(counts) = &mut self.counts
            && self.publisher.state.borrow().leader != state.leader
        {
            counts.note(&state, &self.metrics);
        }
        self.publisher.state.send_replace(Arc::new(state));
        for line in self.lines.drain(..) {
            // Nobody listening is fine.
            let _ = self.publisher.events.send(line);
        }
        let mut held = std::mem::take(&mut self.held);
        for output in held.drain(..) {
            self.let_out(output)?;
        }
        self.held = held;
        self.requests.end_batch();
        Ok(())
    }

    fn let_out(&mut self, output: Output<P::Message>) -> Result<(), Fatal> {
        match output {
            Output::Persist(_) | Output::Event(_) => {}
            Output::Send { to, message } => self.outbox.send(to, &message),
            Output::Apply(entries) => {
                for entry in &entries {
                    if let Some(effect) = self.machine.apply(entry)? {
                        self.requests.applied(entry, effect);
                    }
                }
            }
            Output::Reply { request, outcome } => {
                let machine = &self.machine;
                self.requests.resolve(request, outcome, |key| machine.get(key).cloned());
            }
            Output::TakeSnapshot { meta } => {
                assert_eq!(meta.last_index, self.machine.applied(), "a snapshot is taken as of the last applied entry");
                self.metrics.snapshots_taken.fetch_add(1, Relaxed);
                self.replies.push(Input::SnapshotTaken(Box::new(Snapshot { meta, data: self.machine.save() })));
            }
            Output::RestoreSnapshot(snapshot) => {
                self.metrics.snapshots_restored.fetch_add(1, Relaxed);
                self.machine.restore(snapshot.meta.last_index, &snapshot.data)?;
            }
        }
        Ok(())
    }
}

/// The members with one more, in the life in which it was met last. A name that has a member already gets no second one: the set
/// stays as it is, and the protocol refuses it.
fn with(mut members: BTreeSet<NodeId>, name: NodeId, lives: &BTreeMap<u64, NodeId>) -> BTreeSet<NodeId> {
    if !members.iter().any(|id| id.number() == name.number()) {
        members.insert(lives.get(&name.number()).copied().unwrap_or(name));
    }
    members
}

/// The members without this one, in whatever life it is.
fn without(mut members: BTreeSet<NodeId>, name: NodeId) -> BTreeSet<NodeId> {
    members.retain(|id| id.number() != name.number());
    members
}

/// The name of an event in `/events` and what it adds; `None` for what happens with every write.
pub(crate) fn describe(event: &Event) -> Option<(&'static str, Detail)> {
    let none = Detail::default();
    match event {
        Event::Granted { to, .. } => Some(("granted", Detail { to: Some(Name(*to)), ..none })),
        Event::BecameFollower { .. } => Some(("became_follower", none)),
        Event::BecamePreCandidate { .. } => Some(("became_pre_candidate", none)),
        Event::BecameCandidate { .. } => Some(("became_candidate", none)),
        Event::BecameLeader { .. } => Some(("became_leader", none)),
        Event::LeaderChanged { .. } => Some(("leader_changed", none)),
        Event::Committed { .. } => None,
        Event::MembersChanged { index, .. } => Some(("members_changed", Detail { index: Some(index.0), ..none })),
        Event::CommittedOverwritten { index } => {
            Some(("committed_overwritten", Detail { index: Some(index.0), ..none }))
        }
    }
}

fn count(metrics: &Metrics, event: &Event) {
    let counter = match event {
        Event::Granted { .. } => &metrics.votes_granted,
        Event::BecamePreCandidate { .. } => &metrics.pre_votes_started,
        Event::BecameCandidate { .. } => &metrics.elections_started,
        Event::BecameLeader { .. } => &metrics.elections_won,
        Event::LeaderChanged { .. } => &metrics.leader_changes,
        Event::BecameFollower { .. }
        | Event::Committed { .. }
        | Event::MembersChanged { .. }
        | Event::CommittedOverwritten { .. } => return,
    };
    counter.fetch_add(1, Relaxed);
}

fn log(event: &Event, state: &State) {
    let (id, term) = (state.id, state.term.0);
    match event {
        Event::BecameLeader { .. } => tracing::info!(node = %id, term, "became leader"),
        Event::LeaderChanged { leader: Some(leader), .. } => {
            tracing::info!(node = %id, term, %leader, "follows a leader");
        }
        Event::LeaderChanged { leader: None, .. } => tracing::info!(node = %id, term, "knows no leader"),
        Event::MembersChanged { index, members } => {
            tracing::info!(node = %id, term, index = index.0, members, "members changed");
        }
        Event::CommittedOverwritten { index } => {
            tracing::error!(node = %id, term, index = index.0, "committed entries were overwritten");
        }
        Event::Granted { .. }
        | Event::BecameFollower { .. }
        | Event::BecamePreCandidate { .. }
        | Event::BecameCandidate { .. }
        | Event::Committed { .. } => tracing::debug!(node = %id, term, ?event, "event"),
    }
}
