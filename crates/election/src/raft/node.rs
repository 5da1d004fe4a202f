//! The state of one node, the single way into it ([`Raft::step`]), and the order of what comes out.
//!
//! Handlers write their outputs as they go and only *mark* what the disk must learn. At the end of the step everything marked
//! becomes one [`Persist`](super::Persist) that is put before all other outputs of the step. So the ordering law holds by
//! construction: no handler can send something that rests on state that is not durable yet.

use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::config::Config;
use super::io::{Event, HardState, Input, Outcome, Output, Persist, Recovered, Role, Status};
use super::leadership::Leadership;
use super::log::Log;
use super::message::Message;
use super::rules::{Rules, Sound, StepDown};
use crate::types::{LogIndex, Nanos, NodeId, RequestId, Term};

/// One node of Raft under the rules `R`.
#[derive(Debug, Clone)]
pub struct Raft<R: Rules = Sound> {
    pub(super) id: NodeId,
    pub(super) config: Config,
    pub(super) rules: R,
    rng: ChaCha8Rng,
    pub(super) hard: HardState,
    pub(super) hard_unsaved: bool,
    pub(super) log: Log,
    pub(super) state: State,
    /// Everything up to here was handed to `Apply`.
    pub(super) commit: LogIndex,
    /// When this node last heard a leader of its term, or restarted: the start of its promise.
    pub(super) heard: Option<Nanos>,
    pub(super) election_deadline: Nanos,
    /// Outlives the leadership that began it: only the successor's first message tells how it ended.
    pub(super) transfer: Option<Transfer>,
    /// The shell owes an answer to `TakeSnapshot`.
    pub(super) snapshot_asked: bool,
}

/// The role, with what belongs to it alone.
#[derive(Debug, Clone)]
pub(super) enum State {
    Follower { leader: Option<NodeId> },
    PreCandidate { votes: Vec<NodeId> },
    Candidate { votes: Vec<NodeId> },
    Leader(Leadership),
}

/// Leadership on its way to another node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transfer {
    pub(super) request: RequestId,
    pub(super) to: NodeId,
    pub(super) deadline: Nanos,
    /// Whether `TimeoutNow` has left: from then on the end is open.
    pub(super) asked: bool,
}

/// The present of a step: when it is, and where outputs go.
pub(super) struct Now<'a> {
    pub(super) at: Nanos,
    out: &'a mut Vec<Output>,
}

impl Now<'_> {
    pub(super) fn send(&mut self, to: NodeId, message: Message) {
        self.out.push(Output::Send { to, message });
    }

    pub(super) fn reply(&mut self, request: RequestId, outcome: Outcome) {
        self.out.push(Output::Reply { request, outcome });
    }

    pub(super) fn event(&mut self, event: Event) {
        self.out.push(Output::Event(event));
    }

    pub(super) fn output(&mut self, output: Output) {
        self.out.push(output);
    }
}

impl<R: Rules> Raft<R> {
    /// A node as it starts, from what its disk held. All its randomness comes from `seed`.
    ///
    /// # Panics
    /// If the configuration is invalid (see [`Config::validate`]) or the recovered entries have a gap.
    #[must_use]
    pub fn new(id: NodeId, config: Config, rules: R, seed: u64, recovered: Recovered, now: Nanos) -> Self {
        config.validate().expect("the shell validates the configuration before it starts a node");
        let hard = recovered.hard;
        let log = Log::recover(&config.members, recovered);
        // In term 0 this node can't have heard any leader.
        let restarted = hard.term > Term(0);
        let mut raft = Self {
            id,
            heard: (restarted && rules.promises_after_restart()).then_some(now),
            config,
            rules,
            rng: ChaCha8Rng::seed_from_u64(seed),
            hard,
            hard_unsaved: false,
            commit: log.snapshot_index(),
            log,
            state: State::Follower { leader: None },
            election_deadline: now,
            transfer: None,
            snapshot_asked: false,
        };
        raft.arm(now);
        raft
    }

    /// Takes one input and appends what it leads to. `now` must never fall. Calls cost no more than what they append.
    pub fn step(&mut self, now: Nanos, input: Input, out: &mut Vec<Output>) {
        let begin = out.len();
        let cx = &mut Now { at: now, out };
        match input {
            Input::Tick => self.tick(cx),
            Input::Receive { from, message } => self.receive(cx, from, message),
            Input::Propose { request, command } => self.propose(cx, request, command),
            Input::Read { request, consistency } => self.read(cx, request, consistency),
            Input::Transfer { request, to } => self.begin_transfer(cx, request, to),
            Input::ChangeMembership { request, members } => self.change_membership(cx, request, members),
            Input::SnapshotTaken(snapshot) => self.snapshot_taken(snapshot),
        }
        let hard = std::mem::take(&mut self.hard_unsaved).then_some(self.hard);
        if hard.is_some() || self.log.is_unsaved() {
            out.insert(begin, Output::Persist(Persist { hard, ..self.log.take_unsaved() }));
        }
    }

    /// When the next [`Input::Tick`] is due.
    #[must_use]
    pub fn deadline(&self) -> Nanos {
        let own = match &self.state {
            State::Leader(lead) => lead.heartbeat_deadline,
            State::Follower { .. } | State::PreCandidate { .. } | State::Candidate { .. } => self.election_deadline,
        };
        self.transfer.map_or(own, |transfer| own.min(transfer.deadline))
    }

    /// What this node would say about itself.
    #[must_use]
    pub fn status(&self, now: Nanos) -> Status {
        let lease = self.lease_end(now).map(|end| end.since(now)).filter(|left| !left.is_zero());
        Status {
            id: self.id,
            term: self.hard.term,
            role: self.role(),
            leader: self.leader(),
            voted_for: self.hard.voted_for,
            commit: self.commit,
            applied: self.commit,
            last_index: self.log.last_index(),
            last_term: self.log.last_term(),
            snapshot_index: self.log.snapshot_index(),
            members: if self.knows_members() { Arc::clone(self.log.members()) } else { Arc::default() },
            lease_remaining: lease,
            quorum_remaining: self.quorum_remaining(now),
        }
    }

    pub(super) fn role(&self) -> Role {
        match &self.state {
            State::Follower { .. } => Role::Follower,
            State::PreCandidate { .. } => Role::PreCandidate,
            State::Candidate { .. } => Role::Candidate,
            State::Leader(_) => Role::Leader,
        }
    }

    pub(super) fn leader(&self) -> Option<NodeId> {
        match &self.state {
            State::Follower { leader } => *leader,
            State::PreCandidate { .. } | State::Candidate { .. } => None,
            State::Leader(_) => Some(self.id),
        }
    }

    /// Draws a new election timeout.
    pub(super) fn arm(&mut self, now: Nanos) {
        let (min, max) = (self.config.election_timeout_min, self.config.election_timeout_max);
        self.election_deadline = now + self.rules.election_timeout(min, max, self.rng.next_u64());
    }

    pub(super) fn quorum(&self) -> usize {
        self.rules.quorum(self.log.members().len())
    }

    pub(super) fn commit_quorum(&self) -> usize {
        self.rules.commit_quorum(self.log.members().len())
    }

    fn tick(&mut self, cx: &mut Now<'_>) {
        self.expire_transfer(cx);
        self.expire_joining(cx);
        match &self.state {
            State::Leader(lead) if cx.at >= lead.heartbeat_deadline => self.heartbeat(cx),
            State::Leader(_) => {}
            State::Follower { .. } | State::PreCandidate { .. } | State::Candidate { .. } => {
                if cx.at >= self.election_deadline {
                    self.time_out(cx);
                }
            }
        }
    }

    fn receive(&mut self, cx: &mut Now<'_>, from: NodeId, message: Message) {
        match message {
            Message::Vote(vote) => self.on_vote(cx, from, &vote),
            Message::VoteReply(reply) => self.on_vote_reply(cx, from, &reply),
            Message::Append(append) => self.on_append(cx, from, append),
            Message::AppendReply(reply) => self.on_append_reply(cx, from, &reply),
            Message::InstallSnapshot(install) => self.on_install_snapshot(cx, from, install),
            Message::InstallReply(reply) => self.on_install_reply(cx, from, &reply),
            Message::TimeoutNow(message) => self.on_timeout_now(cx, from, &message),
        }
    }

    /// "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert to follower" (paper Fig. 2).
    /// True if the node is now in `term` or a later one; false if its rules let it ignore the newer term.
    pub(super) fn observe_term(&mut self, cx: &mut Now<'_>, term: Term, leader: Option<NodeId>) -> bool {
        if term <= self.hard.term {
            return true;
        }
        let leads = matches!(self.state, State::Leader(_));
        if leads && !self.rules.steps_down(StepDown::HigherTerm) {
            return false;
        }
        self.become_follower(cx, term, leader);
        true
    }
}
