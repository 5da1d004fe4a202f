//! Paxos ballots with leader leases: whoever holds a lease of a majority leads, and nobody's disk but the ballots' matters.
//!
//! Who misses the leader prepares a *ballot*, a number that only this node may use. Acceptors promise to hear no lower one, and
//! refuse as long as they have given a lease to another node. With the promises of a majority the proposer asks for a lease, and
//! with a majority's consent it leads, until its own clock says that four fifths of the lease are over, counted from before it
//! asked. It renews under the same ballot, without preparing again; if an acceptor has meanwhile promised a higher one, the leader
//! prepares a ballot above that while its lease lasts.
//!
//! ```text
//! n1 ─Prepare(1001)→ all ─Promise→ n1 ─Propose(1001)→ all ─Accept→ n1 leads ─Propose(1001, again)→ all …
//!                                      ├ relies on 4/5 of it ┤
//!                                          acceptors: ├ give it to nobody else ─┤
//! ```
//!
//! **What it promises.** One leader per ballot, always: ballots belong to nodes, and a node never uses one twice. One leader *at a
//! time* while no clock runs 1.25 times as fast as another: two majorities have an acceptor in common, which lets no other proposer
//! through before the first one's lease is over by that proposer's own clock. A minority has no leader, and a leader that is cut
//! off stops within its lease.
//!
//! *Term* is the ballot: round × 1000 + the node's number, so that 3002 is the third round's ballot of n2. A leader tells its own
//! ballot, who believes in a leader tells that one's, and who knows none tells the highest that it has promised. Persisted is the
//! highest ballot promised, before the promise leaves. Leases are not: an acceptor that restarts is silent for the length of a
//! lease, after which it has given none that matters.
//!
//! Messages per election: 5 (n − 1), that is prepare, promise, propose, accept and the announcement.
//!
//! Sources: L. Lamport, "The Part-Time Parliament", TOCS 16(2), 1998, and "Paxos Made Simple", 2001 (ballots); B. Lampson, "How to Build a
//! Highly Available System Using Consensus", 1996 (leases from consensus, §"Leases"); T. Chandra, R. Griesemer and J. Redstone,
//! "Paxos Made Live", PODC 2007, §5.2 (master leases, refused prepares); M. Trencseni, A. Gazso and H. Reinhardt, "PaxosLease:
//! Diskless Paxos for Leases", 2012 (silence after a restart).

mod acceptor;
mod proposer;

use serde::{Deserialize, Serialize};

use crate::member::{self, Elect, Member, Turn};
use crate::protocol::{Algorithm, Kind, Protocol};
use crate::raft::{Input, Output, Recovered, Status};
use crate::setup::Setup;
use crate::types::{Nanos, NodeId, Term};

use self::acceptor::Acceptor;
use self::proposer::Proposer;

/// More nodes than this would share ballots.
const NODES_MAX: u64 = 1000;

/// The ballot of this node in the first round above `seen`.
fn ballot_above(seen: Term, id: NodeId) -> Term {
    Term((seen.0 / NODES_MAX + 1) * NODES_MAX + id.number())
}

/// What nodes say to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Promise to hear no lower ballot.
    Prepare {
        /// The ballot.
        ballot: Term,
    },
    /// Promised.
    Promise {
        /// The ballot.
        ballot: Term,
    },
    /// Give me a lease.
    Propose {
        /// The ballot.
        ballot: Term,
        /// The proposer's number for this question.
        number: u64,
        /// Whether the sender leads already, under this ballot: then this is also its heartbeat.
        leads: bool,
    },
    /// Given.
    Accept {
        /// The ballot.
        ballot: Term,
        /// Of the question.
        number: u64,
    },
    /// Neither promised nor given.
    Refuse {
        /// The ballot that was asked for.
        ballot: Term,
        /// The highest ballot promised.
        promised: Term,
    },
}

/// One node: a proposer and an acceptor.
#[derive(Debug, Clone)]
pub struct PaxosLease {
    member: Member,
    acceptor: Acceptor,
    proposer: Proposer,
}

impl PaxosLease {
    /// A node as it starts.
    ///
    /// # Panics
    /// If the setup's durations contradict each other, or a member's number is 1000 or more.
    #[must_use]
    pub fn new(id: NodeId, setup: Setup, seed: u64, recovered: &Recovered, now: Nanos) -> Self {
        assert!(setup.members.iter().all(|id| id.number() < NODES_MAX), "ballots have room for numbers below 1000");
        let mut member = Member::new(id, setup, seed, recovered);
        let acceptor = Acceptor::new(&member, now);
        let proposer = Proposer::new(&mut member, now);
        Self { member, acceptor, proposer }
    }

    /// Asks this node's own acceptor at once, and the others by message.
    fn ask(&mut self, turn: &mut Turn<'_, Message>, question: Message) {
        turn.send_all(self.member.others(), &question);
        let own = self.member.id;
        if let Some(answer) = self.acceptor.answer(&mut self.member, turn, own, question) {
            self.hear(turn, own, answer);
        }
    }

    /// Takes an answer in, and asks what follows from it.
    fn hear(&mut self, turn: &mut Turn<'_, Message>, from: NodeId, answer: Message) {
        let next = match answer {
            Message::Promise { ballot } => self.proposer.promised(&self.member, turn.at, from, ballot),
            Message::Accept { ballot, number } => self.proposer.accepted(&mut self.member, turn, from, ballot, number),
            Message::Refuse { ballot, promised } => {
                self.proposer.refused(&mut self.member, turn, ballot, promised);
                None
            }
            // Questions, which acceptors answer.
            Message::Prepare { .. } | Message::Propose { .. } => None,
        };
        if let Some(question) = next {
            self.ask(turn, question);
        }
    }
}

impl Elect for PaxosLease {
    type Message = Message;

    fn member(&mut self) -> &mut Member {
        &mut self.member
    }

    fn tick(&mut self, turn: &mut Turn<'_, Message>) {
        self.proposer.give_up_what_is_over(&mut self.member, turn);
        if let Some(question) = self.proposer.due(&mut self.member, turn) {
            self.ask(turn, question);
        }
    }

    fn receive(&mut self, turn: &mut Turn<'_, Message>, from: NodeId, message: Message) {
        self.proposer.give_up_what_is_over(&mut self.member, turn);
        if !self.member.setup.members.contains(&from) {
            return;
        }
        match message {
            Message::Prepare { .. } | Message::Propose { .. } => {
                let Some(answer) = self.acceptor.answer(&mut self.member, turn, from, message) else { return };
                if let (Message::Propose { ballot, leads: true, .. }, Message::Accept { .. }) = (message, answer) {
                    self.proposer.follow(&mut self.member, turn, from, ballot);
                }
                turn.send(from, answer);
            }
            Message::Promise { .. } | Message::Accept { .. } | Message::Refuse { .. } => {
                self.hear(turn, from, message);
            }
        }
    }
}

impl Protocol for PaxosLease {
    const ALGORITHM: Algorithm = Algorithm::PaxosLease;
    const KINDS: &'static [Kind] = &[
        Kind::electing("prepare"),
        Kind::electing("promise"),
        Kind::electing("propose"),
        Kind::electing("accept"),
        Kind::electing("refuse"),
        Kind::keeping("renew"),
        Kind::keeping("renewed"),
    ];

    type Message = Message;

    fn step(&mut self, now: Nanos, input: Input<Message>, out: &mut Vec<Output<Message>>) {
        member::step(self, now, input, out);
    }

    fn deadline(&self) -> Nanos {
        self.proposer.deadline()
    }

    fn status(&self, now: Nanos) -> Status {
        let lease_remaining = self.proposer.relied_on_until().map(|until| until.since(now));
        let status = self.member.status(self.proposer.reign().unwrap_or(self.member.term()));
        Status { lease_remaining: lease_remaining.filter(|left| !left.is_zero()), ..status }
    }

    fn kind(message: &Message) -> &'static str {
        match message {
            Message::Prepare { .. } => "prepare",
            Message::Promise { .. } => "promise",
            Message::Propose { leads: false, .. } => "propose",
            Message::Propose { leads: true, .. } => "renew",
            Message::Accept { number: 0, .. } => "accept",
            Message::Accept { .. } => "renewed",
            Message::Refuse { .. } => "refuse",
        }
    }
}
