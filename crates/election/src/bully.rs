//! The bully algorithm: the highest node that answers leads.
//!
//! Who misses the leader asks all nodes with higher numbers (`Election`). If one answers, that one takes over, and asks in its turn; if
//! none does within a heartbeat, whoever asked is the highest that is left, and announces itself to those below (`Coordinator`). A node
//! that comes back, and hears of a leader below itself, takes the leadership from it.
//!
//! ```text
//! n1 ─Election→ n2, n3, n4, n5✗      n2, n3, n4 ─Answer→ n1, and each asks those above it in the same way
//!                                    n4 hears nothing of n5 ─Coordinator→ n1, n2, n3
//! ```
//!
//! **What it promises: nothing, when messages are lost.** It takes silence for death (its authors assume that messages arrive within a
//! known time and that nobody pauses; assumptions 4, 5 and 8 of the paper). In a partition each side elects its own highest node,
//! and a leader that is cut off goes on: no majority is asked for. Both sides then number their leaders alike, so that one term has
//! two leaders.
//!
//! *Term* is no part of the algorithm: a leader numbers its reign one above every reign that it has heard of, so that reigns can be
//! told apart. It is persisted only so that this holds across restarts; the algorithm itself remembers nothing.
//!
//! Messages per election: n − 1 if the second highest notices first, n² − n − 1 if the lowest does.
//!
//! Source: H. Garcia-Molina, "Elections in a Distributed Computing System", IEEE Transactions on Computers C-31(1), 1982, appendix. Its
//! `AreYouNormal` polls are heartbeats here, and a coordinator that lives answers an `Election` by announcing itself again.

use serde::{Deserialize, Serialize};

use crate::member::{self, Elect, Member, Turn};
use crate::protocol::{Algorithm, Kind, Protocol};
use crate::raft::{Input, Output, Recovered, Status};
use crate::setup::Setup;
use crate::types::{Nanos, NodeId, Term};

/// What nodes say. Each message tells the newest reign that its sender knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// To the nodes above: are you there?
    Election(Term),
    /// To a node below, or to a leader that numbers its reign too low: I am, leave it to me.
    Answer(Term),
    /// To the nodes below: I lead this reign.
    Coordinator(Term),
    /// To all: I still do.
    Heartbeat(Term),
}

/// What a node waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// As a follower, for the leader's next heartbeat; as a leader, for its own.
    Heartbeat,
    /// For anybody above to answer.
    Answer,
    /// For whoever has answered to announce itself.
    Coordinator,
}

/// One node.
#[derive(Debug, Clone)]
pub struct Bully {
    member: Member,
    wait: Wait,
    deadline: Nanos,
}

impl Bully {
    /// A node as it starts. It listens for a leader first, and campaigns if there is none.
    ///
    /// # Panics
    /// If the setup's durations contradict each other.
    #[must_use]
    pub fn new(id: NodeId, setup: Setup, seed: u64, recovered: &Recovered, now: Nanos) -> Self {
        let mut member = Member::new(id, setup, seed, recovered);
        let deadline = member.after_timeout(now);
        Self { member, wait: Wait::Heartbeat, deadline }
    }

    /// "The node that starts the election sends to all with higher numbers."
    fn campaign(&mut self, turn: &mut Turn<'_, Message>) {
        let above: Vec<NodeId> = self.member.others().into_iter().filter(|id| *id > self.member.id).collect();
        if above.is_empty() {
            return self.announce(turn);
        }
        self.member.become_candidate(turn);
        self.wait = Wait::Answer;
        self.deadline = turn.at + self.member.setup.heartbeat;
        turn.send_all(above, &Message::Election(self.member.term()));
    }

    /// Begins a reign above every one that this node has heard of.
    fn announce(&mut self, turn: &mut Turn<'_, Message>) {
        self.member.remember(self.member.term().next(), None);
        self.member.become_leader(turn, self.member.term());
        self.wait = Wait::Heartbeat;
        self.deadline = turn.at + self.member.setup.heartbeat;
        let below = self.member.others().into_iter().filter(|id| *id < self.member.id);
        turn.send_all(below.collect::<Vec<_>>(), &Message::Coordinator(self.member.term()));
    }

    /// Takes a node above for the leader, unless it numbers its reign too low: then it is told.
    fn submit(&mut self, turn: &mut Turn<'_, Message>, leader: NodeId, term: Term) {
        if term < self.member.term() {
            return turn.send(leader, Message::Answer(self.member.term()));
        }
        self.member.remember(term, None);
        self.member.become_follower(turn, Some(leader));
        self.wait = Wait::Heartbeat;
        self.deadline = self.member.after_timeout(turn.at);
    }

    /// A node below leads, or thinks so: it is bullied out of it, if nobody else does that already.
    fn depose(&mut self, turn: &mut Turn<'_, Message>, other: NodeId, term: Term) {
        let follows_another = self.member.leader().is_some_and(|leader| leader > other && leader != self.member.id);
        if follows_another {
            // Its leader will hear of the other one, or the other one of it.
            return;
        }
        if self.member.leads() && term < self.member.term() {
            // What it says may be old; and if not, it has only missed the announcement.
            return turn.send(other, Message::Coordinator(self.member.term()));
        }
        self.member.remember(term.max(self.member.term()), None);
        if self.member.leads() {
            self.announce(turn);
        } else if self.wait == Wait::Heartbeat {
            self.campaign(turn);
        }
    }
}

impl Elect for Bully {
    type Message = Message;

    fn member(&mut self) -> &mut Member {
        &mut self.member
    }

    fn tick(&mut self, turn: &mut Turn<'_, Message>) {
        if turn.at < self.deadline {
            return;
        }
        match self.wait {
            Wait::Heartbeat if self.member.leads() => {
                self.deadline = turn.at + self.member.setup.heartbeat;
                turn.send_all(self.member.others(), &Message::Heartbeat(self.member.term()));
            }
            // Nobody above is there: "it elects itself".
            Wait::Answer => self.announce(turn),
            // The leader is silent, or whoever was to take over is.
            Wait::Heartbeat | Wait::Coordinator => self.campaign(turn),
        }
    }

    fn receive(&mut self, turn: &mut Turn<'_, Message>, from: NodeId, message: Message) {
        let above = from > self.member.id;
        match message {
            Message::Election(_) if above => {}
            Message::Election(term) => {
                turn.send(from, Message::Answer(self.member.term()));
                if self.member.leads() {
                    if term > self.member.term() {
                        self.depose(turn, from, term);
                    } else {
                        turn.send(from, Message::Coordinator(self.member.term()));
                    }
                } else if self.wait == Wait::Heartbeat {
                    self.campaign(turn);
                }
            }
            Message::Answer(term) => {
                if self.member.leads() && term > self.member.term() {
                    self.member.remember(term, None);
                    self.announce(turn);
                } else if self.wait == Wait::Answer && above {
                    self.wait = Wait::Coordinator;
                    self.deadline = self.member.after_timeout(turn.at);
                }
            }
            Message::Coordinator(term) | Message::Heartbeat(term) if above => self.submit(turn, from, term),
            Message::Coordinator(term) | Message::Heartbeat(term) => self.depose(turn, from, term),
        }
    }
}

impl Protocol for Bully {
    const ALGORITHM: Algorithm = Algorithm::Bully;
    const KINDS: &'static [Kind] = &[
        Kind::electing("election"),
        Kind::electing("answer"),
        Kind::electing("coordinator"),
        Kind::keeping("heartbeat"),
    ];

    type Message = Message;

    fn step(&mut self, now: Nanos, input: Input<Message>, out: &mut Vec<Output<Message>>) {
        member::step(self, now, input, out);
    }

    fn deadline(&self) -> Nanos {
        self.deadline
    }

    fn status(&self, _now: Nanos) -> Status {
        self.member.status(self.member.term())
    }

    fn kind(message: &Message) -> &'static str {
        match message {
            Message::Election(_) => "election",
            Message::Answer(_) => "answer",
            Message::Coordinator(_) => "coordinator",
            Message::Heartbeat(_) => "heartbeat",
        }
    }
}
