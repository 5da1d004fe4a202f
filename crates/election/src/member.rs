//! What all protocols without a log have in common: a node with a memory and a belief, and the frame of a step.
//!
//! A protocol is what remains: when it campaigns, what it answers, and when it believes in whom. The frame keeps the ordering law:
//! what a step has changed in the memory stands as one `Persist` before everything else that the step leads to.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::raft::{Event, HardState, Input, Outcome, Output, Persist, Recovered, Role, Status};
use crate::setup::Setup;
use crate::types::{LogIndex, Nanos, NodeId, Term};

/// The present of a step: when it is, and where outputs go.
pub(crate) struct Turn<'a, M> {
    pub(crate) at: Nanos,
    out: &'a mut Vec<Output<M>>,
}

impl<M: Clone> Turn<'_, M> {
    pub(crate) fn send(&mut self, to: NodeId, message: M) {
        self.out.push(Output::Send { to, message });
    }

    pub(crate) fn send_all(&mut self, to: impl IntoIterator<Item = NodeId>, message: &M) {
        self.out.extend(to.into_iter().map(|to| Output::Send { to, message: message.clone() }));
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.out.push(Output::Event(event));
    }
}

/// One node: who it is, what it remembers, and whom it takes for the leader.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: NodeId,
    pub(crate) setup: Setup,
    rng: ChaCha8Rng,
    hard: HardState,
    unsaved: Persist,
    role: Role,
    leader: Option<NodeId>,
}

impl Member {
    /// A node as it starts, in the role of a follower of nobody.
    ///
    /// # Panics
    /// If the heartbeat is zero, or is not below the shortest timeout, or that is above the longest one.
    pub(crate) fn new(id: NodeId, setup: Setup, seed: u64, recovered: &Recovered) -> Self {
        assert!(!setup.heartbeat.is_zero() && setup.heartbeat < setup.timeout_min, "heartbeat of {setup:?}");
        assert!(setup.timeout_min <= setup.timeout_max, "timeouts of {setup:?}");
        let (rng, hard) = (ChaCha8Rng::seed_from_u64(seed), recovered.hard);
        Self { id, setup, rng, hard, unsaved: Persist::default(), role: Role::Follower, leader: None }
    }

    pub(crate) fn term(&self) -> Term {
        self.hard.term
    }

    pub(crate) fn voted_for(&self) -> Option<NodeId> {
        self.hard.voted_for
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    pub(crate) fn leads(&self) -> bool {
        self.role == Role::Leader
    }

    /// All members but this one, in the order of their numbers.
    pub(crate) fn others(&self) -> BTreeSet<NodeId> {
        self.setup.members.iter().copied().filter(|id| *id != self.id).collect()
    }

    /// An instant after a new random timeout.
    pub(crate) fn after_timeout(&mut self, now: Nanos) -> Nanos {
        let (min, max) = (self.setup.timeout_min, self.setup.timeout_max);
        if min == max { now + min } else { now + self.rng.random_range(min..max) }
    }

    /// Replaces what is remembered, durably before anything that follows in this step.
    ///
    /// # Panics
    /// If the term falls.
    pub(crate) fn remember(&mut self, term: Term, voted_for: Option<NodeId>) {
        assert!(term >= self.hard.term, "a term never falls: {term} after {}", self.hard.term);
        let hard = HardState { term, voted_for };
        if hard != self.hard {
            self.hard = hard;
            self.unsaved.hard = Some(hard);
        }
    }

    /// Writes more than a term and a vote.
    pub(crate) fn unsaved(&mut self) -> &mut Persist {
        &mut self.unsaved
    }

    /// From now on this node follows that leader, or knows none.
    pub(crate) fn become_follower<M: Clone>(&mut self, turn: &mut Turn<'_, M>, leader: Option<NodeId>) {
        assert_ne!(leader, Some(self.id), "nobody follows itself");
        if self.role != Role::Follower {
            self.role = Role::Follower;
            turn.event(Event::BecameFollower { term: self.hard.term, leader });
        }
        self.believe(turn, leader);
    }

    /// From now on this node takes part in an election.
    pub(crate) fn become_candidate<M: Clone>(&mut self, turn: &mut Turn<'_, M>) {
        if self.role != Role::Candidate {
            self.role = Role::Candidate;
            turn.event(Event::BecameCandidate { term: self.hard.term });
        }
        self.believe(turn, None);
    }

    /// From now on this node leads `term`.
    pub(crate) fn become_leader<M: Clone>(&mut self, turn: &mut Turn<'_, M>, term: Term) {
        assert!(term > Term(0), "term 0 is the time before the first leader");
        self.role = Role::Leader;
        turn.event(Event::BecameLeader { term });
        self.believe(turn, Some(self.id));
    }

    fn believe<M: Clone>(&mut self, turn: &mut Turn<'_, M>, leader: Option<NodeId>) {
        if self.leader != leader {
            self.leader = leader;
            turn.event(Event::LeaderChanged { term: self.hard.term, leader });
        }
    }

    /// What this node would say about itself, if the leader that it believes in is that of this term.
    pub(crate) fn status(&self, term: Term) -> Status {
        Status {
            id: self.id,
            term,
            role: self.role,
            leader: self.leader,
            voted_for: self.hard.voted_for,
            commit: LogIndex(0),
            applied: LogIndex(0),
            last_index: LogIndex(0),
            last_term: Term(0),
            snapshot_index: LogIndex(0),
            members: Arc::new(self.setup.members.clone()),
            lease_remaining: None,
            quorum_remaining: None,
        }
    }
}

/// The inner side of a protocol without a log.
pub(crate) trait Elect {
    /// What its nodes say to each other.
    type Message: Clone;

    /// Its identity, memory and belief.
    fn member(&mut self) -> &mut Member;

    /// Time has passed.
    fn tick(&mut self, turn: &mut Turn<'_, Self::Message>);

    /// Another node has said something.
    fn receive(&mut self, turn: &mut Turn<'_, Self::Message>, from: NodeId, message: Self::Message);
}

/// A step of such a protocol. Requests are refused, definitely: whoever wants something is told who leads, and the leader has no word
/// for it.
pub(crate) fn step<P: Elect>(
    protocol: &mut P,
    now: Nanos,
    input: Input<P::Message>,
    out: &mut Vec<Output<P::Message>>,
) {
    let begin = out.len();
    let turn = &mut Turn { at: now, out };
    match input {
        Input::Tick => protocol.tick(turn),
        Input::Receive { from, message } => protocol.receive(turn, from, message),
        Input::Propose { request, .. }
        | Input::Read { request, .. }
        | Input::Transfer { request, .. }
        | Input::ChangeMembership { request, .. } => {
            let member = protocol.member();
            let leader = member.leader();
            let outcome = if member.leads() { Outcome::Invalid } else { Outcome::NotLeader { leader } };
            turn.out.push(Output::Reply { request, outcome });
        }
        // Nobody has asked for one.
        Input::SnapshotTaken(_) => {}
    }
    let persist = std::mem::take(protocol.member().unsaved());
    if persist != Persist::default() {
        out.insert(begin, Output::Persist(persist));
    }
}
