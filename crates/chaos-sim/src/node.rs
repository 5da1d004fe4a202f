//! One simulated node: the shell around a protocol, as far as others can tell it from the real one's.
//!
//! Like the reference node's (`election-node/src/driver`), it takes everything that has arrived as one batch, steps through it, syncs once,
//! and only then lets anything out. Until then it is busy, and what arrives waits. A process that is stopped lets nothing out and takes
//! nothing in, while its kernel goes on accepting for it.

use std::collections::VecDeque;
use std::time::Duration;

use chaos_history::{Belief, ElectionRole, FaultId, NodeId, OpId, Term};
use election::raft::{Input, Output, Role, Status};
use election::{Nanos, Protocol, RequestId};

use crate::clock::Clock;
use crate::disk::Disk;
use crate::happening::Happening;
use crate::machine::Machine;
use crate::random::{Draws, nanos};

/// Who waits for a protocol's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A client.
    Client(OpId),
    /// A fault that the system itself carries out.
    Fault(FaultId),
}

/// Something that waits to be taken in.
#[derive(Debug)]
pub(crate) enum Delivery<M> {
    /// From another node.
    Message { from: election::NodeId, message: M },
    /// From a client.
    Client(OpId),
    /// From an operator.
    Operator { fault: FaultId, to: Option<NodeId> },
    /// What the protocol itself asked for.
    Own(Input<M>),
}

/// How far a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// There is none.
    Down,
    /// It was started, and does not listen yet.
    Starting,
    /// It serves.
    Running,
    /// Its disk has failed it: it says nothing more, and ends in a moment.
    Failing,
}

/// The node.
pub(crate) struct Node<P: Protocol> {
    /// Who it is to its peers, in its present life.
    pub(crate) own: election::NodeId,
    pub(crate) life: Life,
    pub(crate) protocol: Option<P>,
    /// How many times it was started.
    pub(crate) incarnation: u32,
    /// When each of those ended that have.
    pub(crate) ends: Vec<u64>,
    /// When the present one was started.
    pub(crate) started_at: u64,
    pub(crate) stopped_since: Option<u64>,
    /// What left it only after it was stopped, in order.
    pub(crate) withheld: Vec<Happening<P::Message>>,
    pub(crate) clock: Clock,
    pub(crate) disk: Disk,
    pub(crate) machine: Machine,
    pub(crate) inbox: VecDeque<Delivery<P::Message>>,
    pub(crate) busy_until: u64,
    /// What it said of itself before the batch that its slow disk holds up.
    pub(crate) before: Option<Belief>,
    pub(crate) work_planned: bool,
    pub(crate) timer_at: u64,
    /// By rising number.
    pub(crate) requests: VecDeque<(RequestId, Origin)>,
    pub(crate) last_request: u64,
    /// By how much everything takes longer, in parts per million.
    pub(crate) slowness_millionths: u64,
    pub(crate) work: Draws,
    pub(crate) leg: Draws,
    pub(crate) dial: Draws,
    /// Connections of clients that nobody uses at the moment.
    pub(crate) idle: u32,
    /// Whether nothing passes between it and clients or observers.
    pub(crate) leg_cut: bool,
    /// What waits for that to end, with the moment of its loss.
    pub(crate) leg_stalled: Vec<(u64, Happening<P::Message>)>,
    /// When the observer's present question was sent.
    pub(crate) question: Option<u64>,
    /// Whether it has arrived, and waits for a node that is stopped or cut off.
    pub(crate) question_waits: bool,
    /// Whether a listener hears its events.
    pub(crate) is_heard: bool,
    /// Whether its present incarnation has answered an observer.
    pub(crate) has_answered: bool,
    /// An end that nobody has been told of yet: code and signal, and whether the harness wanted it.
    pub(crate) untold_end: Option<(Option<i32>, Option<i32>, bool)>,
    /// Whether it has ended by itself under a fault, and waits for that fault's end.
    pub(crate) has_fallen: bool,
    pub(crate) request_timeout: Duration,
}

impl<P: Protocol> Node<P> {
    /// Whether its threads run.
    pub(crate) fn runs(&self) -> bool {
        self.life == Life::Running && self.stopped_since.is_none()
    }

    /// Whether its kernel accepts connections for it.
    pub(crate) fn listens(&self) -> bool {
        match self.life {
            Life::Running | Life::Failing => true,
            Life::Down | Life::Starting => false,
        }
    }

    /// Whether it has a process.
    pub(crate) fn is_up(&self) -> bool {
        self.life != Life::Down
    }

    /// One input, taken in at this moment.
    pub(crate) fn step(&mut self, now: u64, input: Input<P::Message>, held: &mut Vec<Output<P::Message>>) {
        let shown = self.clock.at(now);
        if let Some(protocol) = &mut self.protocol {
            protocol.step(shown, input, held);
        }
    }

    /// What it says of itself.
    pub(crate) fn belief(&self, now: u64) -> Option<Belief> {
        let protocol = self.protocol.as_ref()?;
        Some(belief_of(&protocol.status(self.clock.at(now))))
    }

    /// A number for a request that somebody waits for.
    pub(crate) fn admit(&mut self, origin: Origin) -> RequestId {
        self.last_request += 1;
        let request = RequestId(self.last_request);
        self.requests.push_back((request, origin));
        request
    }

    /// Who waits for this answer; nobody waits any more.
    pub(crate) fn dismiss(&mut self, request: RequestId) -> Option<Origin> {
        let place = self.requests.binary_search_by_key(&request, |(number, _)| *number).ok()?;
        self.requests.remove(place).map(|(_, origin)| origin)
    }

    /// When its protocol wants to look at the time again.
    pub(crate) fn deadline(&self) -> Option<Nanos> {
        self.protocol.as_ref().map(Protocol::deadline)
    }

    /// So much work, at the node's present pace.
    pub(crate) fn paced(&self, took: u64) -> u64 {
        if self.slowness_millionths == 1_000_000 {
            return took;
        }
        took.saturating_mul(self.slowness_millionths) / 1_000_000
    }
}

/// A status as the reference node's driver reads it.
pub(crate) fn belief_of(status: &Status) -> Belief {
    let known = |id: election::NodeId| u16::try_from(id.number()).ok().filter(|number| *number > 0).map(NodeId::new);
    let left = [status.lease_remaining, status.quorum_remaining].into_iter().flatten().map(nanos).min();
    Belief {
        term: Term(status.term.0),
        role: match status.role {
            Role::Follower => ElectionRole::Follower,
            Role::PreCandidate => ElectionRole::PreCandidate,
            Role::Candidate => ElectionRole::Candidate,
            Role::Leader => ElectionRole::Leader,
        },
        leader: status.leader.and_then(known),
        voted_for: status.voted_for.and_then(known),
        commit: Some(status.commit.0),
        lease_remaining_ns: left,
    }
}
