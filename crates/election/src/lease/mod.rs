//! A lease from a lock service: whoever holds it leads, for as long as its own clock says that it does.
//!
//! One node is the service; the others are candidates that watch it. Who finds the lease free asks for it, and gets it with a
//! *fencing token*, a number above that of every earlier grant. The holder renews in time, or stops leading by its own clock,
//! before the service gives the lease to anybody else: it counts from *before* it asked, and relies on four fifths of what the
//! service counts from *after* it was asked.
//!
//! ```text
//! candidate   ask├──────── relies on it ───────┤                      must be over
//! service          grant├──────────── gives it to nobody else ───────────┤      before this is
//! ```
//!
//! **What it promises.** One holder per token, whatever happens, as long as the service keeps its disk. One holder *at a time* only
//! while no clock runs 1.25 times as fast as another, and only in what a node says of itself when it is asked: work that a holder
//! began before it was paused may reach its target after the lease is over. So the target must check tokens, and refuse one that is
//! older than it has seen. It survives every partition that leaves a candidate with the service; without the service nobody leads.
//! Availability is that of one process.
//!
//! *Term* is the fencing token. The service persists the last token and its holder before it grants; after a restart it treats the lease as
//! held for a whole length more, because it can't know when it granted. Candidates persist the newest token that they have seen.
//!
//! Why the service is a process of its own and no candidate: a candidate that held both would tie two failures together, and killing a
//! leader would at times have killed the service.
//!
//! Sources: C. Gray and D. Cheriton, "Leases: an efficient fault-tolerant mechanism for distributed file cache consistency", SOSP 1989
//! (§2 the lease, §5 clocks and the server's recovery); M. Burrows, "The Chubby lock service", OSDI 2006, §2.4 (sequencers);
//! M. Kleppmann, "How to do distributed locking", 2016 (fencing tokens).

mod candidate;
mod service;

use serde::{Deserialize, Serialize};

use crate::member::{self, Elect, Member, Turn};
use crate::protocol::{Algorithm, Kind, Protocol};
use crate::raft::{Input, Output, Recovered, Status};
use crate::setup::Setup;
use crate::types::{Nanos, NodeId, Term};

use self::candidate::Candidate;
use self::service::Service;

/// What candidates and the service say to each other. `number` is the candidate's own, echoed in the answer, by which it knows when
/// it asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Who holds it?
    Watch {
        /// Of the question.
        number: u64,
    },
    /// Nobody; ask for it.
    Free,
    /// That node does.
    Held {
        /// The holder.
        holder: NodeId,
        /// The token that it was given.
        token: Term,
    },
    /// I want it.
    Acquire {
        /// Of the question.
        number: u64,
    },
    /// I want to keep it.
    Renew {
        /// Of the question.
        number: u64,
        /// Under this token.
        token: Term,
    },
    /// It is yours.
    Grant {
        /// Of the question.
        number: u64,
        /// Its fencing token.
        token: Term,
    },
    /// It stays yours.
    Renewed {
        /// Of the question.
        number: u64,
        /// Its fencing token.
        token: Term,
    },
}

#[derive(Debug, Clone)]
enum Part {
    Service(Service),
    Candidate(Candidate),
}

/// One node: the service, or a candidate.
#[derive(Debug, Clone)]
pub struct Lease {
    member: Member,
    part: Part,
}

impl Lease {
    /// A node as it starts. All nodes are told the same `service`, which is no member.
    ///
    /// # Panics
    /// If the setup's durations contradict each other, or the service is among the members.
    #[must_use]
    pub fn new(id: NodeId, service: NodeId, setup: Setup, seed: u64, recovered: &Recovered, now: Nanos) -> Self {
        assert!(!setup.members.contains(&service), "the lock service {service} is no candidate");
        let mut member = Member::new(id, setup, seed, recovered);
        let part = if id == service {
            Part::Service(Service::new(&member, now))
        } else {
            Part::Candidate(Candidate::new(&mut member, service, now))
        };
        Self { member, part }
    }
}

impl Elect for Lease {
    type Message = Message;

    fn member(&mut self) -> &mut Member {
        &mut self.member
    }

    fn tick(&mut self, turn: &mut Turn<'_, Message>) {
        match &mut self.part {
            // It waits to be asked.
            Part::Service(_) => {}
            Part::Candidate(candidate) => candidate.tick(&mut self.member, turn),
        }
    }

    fn receive(&mut self, turn: &mut Turn<'_, Message>, from: NodeId, message: Message) {
        match &mut self.part {
            Part::Service(service) => service.receive(&mut self.member, turn, from, message),
            Part::Candidate(candidate) => candidate.receive(&mut self.member, turn, from, message),
        }
    }
}

impl Protocol for Lease {
    const ALGORITHM: Algorithm = Algorithm::Lease;
    const KINDS: &'static [Kind] = &[
        Kind::keeping("watch"),
        Kind::electing("free"),
        Kind::keeping("held"),
        Kind::electing("acquire"),
        Kind::keeping("renew"),
        Kind::electing("grant"),
        Kind::keeping("renewed"),
    ];

    type Message = Message;

    fn step(&mut self, now: Nanos, input: Input<Message>, out: &mut Vec<Output<Message>>) {
        member::step(self, now, input, out);
    }

    fn deadline(&self) -> Nanos {
        match &self.part {
            Part::Service(_) => Nanos::MAX,
            Part::Candidate(candidate) => candidate.deadline(),
        }
    }

    fn status(&self, now: Nanos) -> Status {
        let status = self.member.status(self.member.term());
        match &self.part {
            Part::Service(service) => Status { leader: service.holder(&self.member, now), ..status },
            Part::Candidate(candidate) => {
                let lease_remaining = candidate.relied_on_until().map(|until| until.since(now));
                Status { lease_remaining: lease_remaining.filter(|left| !left.is_zero()), ..status }
            }
        }
    }

    fn kind(message: &Message) -> &'static str {
        match message {
            Message::Watch { .. } => "watch",
            Message::Free => "free",
            Message::Held { .. } => "held",
            Message::Acquire { .. } => "acquire",
            Message::Renew { .. } => "renew",
            Message::Grant { .. } => "grant",
            Message::Renewed { .. } => "renewed",
        }
    }
}
