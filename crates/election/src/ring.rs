//! The algorithm of Chang and Roberts: numbers travel around a ring, and the highest one that comes back to its owner leads.
//!
//! Each node speaks to its successor only: the next higher number, and after the highest the lowest. Who misses the leader sends its own
//! number around. A node passes a higher number on, and in the place of a lower one sends its own, once. A number that returns is
//! the highest; its owner announces itself around the ring (`Elected`), and then sends a heartbeat around from time to time.
//!
//! ```text
//! n1 ─1→ n2 ─2→ n3 ─3→ n1 ─3→ n2 ─3→ n3: it is mine. n3 ─Elected→ n1 → n2 → n3
//! ```
//!
//! **What it promises: nothing, when messages are lost.** Its authors assume that neither nodes nor links fail. To live with faults at all,
//! this ring mends itself: every message is acknowledged, a successor that doesn't acknowledge within a heartbeat is left out, and
//! asked with each heartbeat whether it is back. So in a partition each side closes a ring of its own and elects its highest node, and a
//! leader that is cut off goes on, in a ring of one.
//!
//! *Term* is no part of the algorithm: a number carries the newest reign that it has met, and its owner's reign is one more. Two sides
//! of a partition number alike, so that one term has two leaders. It is persisted only so that reigns don't repeat after restarts.
//!
//! Messages per election, acknowledgements left out: 2n if the highest node begins, 3n − 1 if the one behind it does, and
//! n(n + 1)/2 + n at worst if all begin.
//!
//! Source: E. Chang and R. Roberts, "An improved algorithm for decentralized extrema-finding in circular configurations of processes",
//! Communications of the ACM 22(5), 1979. Acknowledgements and the mending of the ring are ours.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::member::{self, Elect, Member, Turn};
use crate::protocol::{Algorithm, Kind, Protocol};
use crate::raft::{Input, Output, Recovered, Role, Status};
use crate::setup::Setup;
use crate::types::{Nanos, NodeId, Term};

/// What a token means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Meaning {
    /// The owner's number, which wants to return to it.
    Election,
    /// The owner leads.
    Elected,
    /// It still does.
    Heartbeat,
}

/// What travels around. A node passes each token on once: where a slow acknowledgement has doubled it, its copy ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What it means.
    pub meaning: Meaning,
    /// Who has sent it around.
    pub owner: NodeId,
    /// When, on the owner's clock: of two tokens of one owner the later one is the newer.
    pub stamp: Nanos,
    /// Of a number, the newest reign that it has met; else the owner's reign.
    pub term: Term,
}

/// What nodes say to their successors, and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// A token, under the sender's number for it.
    Pass(Token, u64),
    /// Back: it has arrived.
    Taken(u64),
    /// The same of a heartbeat.
    TakenHeartbeat(u64),
    /// To a node that was left out: are you back?
    Ping,
    /// It is.
    Pong,
}

/// A token that has not been acknowledged.
#[derive(Debug, Clone, Copy)]
struct Sent {
    to: NodeId,
    token: Token,
    deadline: Nanos,
}

/// One node.
#[derive(Debug, Clone)]
pub struct Ring {
    member: Member,
    /// When it acts by itself: a follower that hears nothing, a participant whose election doesn't end, a leader with its heartbeat.
    own_deadline: Nanos,
    sent: BTreeMap<u64, Sent>,
    last_number: u64,
    /// Who has not acknowledged, and has not been heard of since.
    left_out: BTreeSet<NodeId>,
    /// The newest token of each owner and meaning.
    seen: BTreeMap<(NodeId, Meaning), Nanos>,
}

impl Ring {
    /// A node as it starts. It listens for a leader first.
    ///
    /// # Panics
    /// If the setup's durations contradict each other.
    #[must_use]
    pub fn new(id: NodeId, setup: Setup, seed: u64, recovered: &Recovered, now: Nanos) -> Self {
        let mut member = Member::new(id, setup, seed, recovered);
        let own_deadline = member.after_timeout(now);
        let (sent, seen) = (BTreeMap::new(), BTreeMap::new());
        Self { member, own_deadline, sent, last_number: 0, left_out: BTreeSet::new(), seen }
    }

    /// All other nodes, in the order of the ring from the successor on.
    fn round(&self) -> Vec<NodeId> {
        let own = self.member.id;
        let (below, above): (Vec<NodeId>, Vec<NodeId>) = self.member.others().into_iter().partition(|id| *id < own);
        above.into_iter().chain(below).collect()
    }

    /// Hands a token to the next node that is not left out. In a ring of one it is back at once.
    fn pass(&mut self, turn: &mut Turn<'_, Message>, token: Token) {
        let Some(to) = self.round().into_iter().find(|id| !self.left_out.contains(id)) else {
            if token.meaning == Meaning::Election && token.owner == self.member.id {
                self.win(turn, token.term);
            }
            return;
        };
        self.last_number += 1;
        self.sent.insert(self.last_number, Sent { to, token, deadline: turn.at + self.member.setup.heartbeat });
        turn.send(to, Message::Pass(token, self.last_number));
    }

    /// Sends a token of its own around.
    fn send_around(&mut self, turn: &mut Turn<'_, Message>, meaning: Meaning, term: Term) {
        let token = Token { meaning, owner: self.member.id, stamp: turn.at, term };
        self.seen.insert((token.owner, meaning), turn.at);
        self.pass(turn, token);
    }

    fn campaign(&mut self, turn: &mut Turn<'_, Message>, newest: Term) {
        self.member.become_candidate(turn);
        self.own_deadline = self.member.after_timeout(turn.at);
        self.send_around(turn, Meaning::Election, newest.max(self.member.term()));
    }

    fn win(&mut self, turn: &mut Turn<'_, Message>, newest: Term) {
        let term = newest.max(self.member.term()).next();
        self.member.remember(term, None);
        self.member.become_leader(turn, term);
        self.own_deadline = turn.at + self.member.setup.heartbeat;
        self.send_around(turn, Meaning::Elected, term);
    }

    fn take(&mut self, turn: &mut Turn<'_, Message>, token: Token) {
        let newest = self.seen.get(&(token.owner, token.meaning)).copied();
        if token.owner == self.member.id {
            // An announcement or a heartbeat has been all around; so has a number, which wins if it is the latest one and still wanted.
            let wins = token.meaning == Meaning::Election && Some(token.stamp) == newest;
            if wins && self.member.role() == Role::Candidate {
                self.win(turn, token.term);
            }
            return;
        }
        if newest.is_some_and(|newest| token.stamp <= newest) {
            return;
        }
        self.seen.insert((token.owner, token.meaning), token.stamp);
        match token.meaning {
            Meaning::Election => self.take_number(turn, token),
            Meaning::Elected | Meaning::Heartbeat => self.take_leader(turn, token),
        }
    }

    fn take_leader(&mut self, turn: &mut Turn<'_, Message>, token: Token) {
        if (token.term, Some(token.owner)) < (self.member.term(), self.member.leader()) {
            // It lost a newer election, or leads one of two rings that have become one. The other's tokens will reach it.
            return;
        }
        self.member.remember(token.term, None);
        self.member.become_follower(turn, Some(token.owner));
        self.own_deadline = self.member.after_timeout(turn.at);
        self.pass(turn, token);
    }

    fn take_number(&mut self, turn: &mut Turn<'_, Message>, token: Token) {
        let takes_part = self.member.role() == Role::Candidate;
        let term = token.term.max(self.member.term());
        if token.owner > self.member.id {
            if !takes_part {
                self.member.become_candidate(turn);
                self.own_deadline = self.member.after_timeout(turn.at);
            }
            self.pass(turn, Token { term, ..token });
        } else if !takes_part {
            self.campaign(turn, term);
        }
    }

    /// Gives up on successors that have not acknowledged, and passes on to the next ones.
    fn mend(&mut self, turn: &mut Turn<'_, Message>) {
        let late: Vec<u64> = self.sent.iter().filter(|(_, sent)| turn.at >= sent.deadline).map(|(n, _)| *n).collect();
        for number in late {
            if let Some(Sent { to, token, .. }) = self.sent.remove(&number) {
                self.left_out.insert(to);
                self.pass(turn, token);
            }
        }
    }
}

impl Elect for Ring {
    type Message = Message;

    fn member(&mut self) -> &mut Member {
        &mut self.member
    }

    fn tick(&mut self, turn: &mut Turn<'_, Message>) {
        self.mend(turn);
        if turn.at < self.own_deadline {
            return;
        }
        if self.member.leads() {
            self.own_deadline = turn.at + self.member.setup.heartbeat;
            self.send_around(turn, Meaning::Heartbeat, self.member.term());
            turn.send_all(self.left_out.clone(), &Message::Ping);
        } else {
            self.campaign(turn, Term(0));
        }
    }

    fn receive(&mut self, turn: &mut Turn<'_, Message>, from: NodeId, message: Message) {
        // Whoever speaks is there. Only a pong, or the proof of a token, comes from where tokens are sent to.
        self.left_out.remove(&from);
        match message {
            Message::Pass(token, number) => {
                let taken = match token.meaning {
                    Meaning::Heartbeat => Message::TakenHeartbeat(number),
                    Meaning::Election | Meaning::Elected => Message::Taken(number),
                };
                turn.send(from, taken);
                if token.meaning == Meaning::Heartbeat && !self.member.leads() {
                    turn.send_all(self.left_out.clone(), &Message::Ping);
                }
                self.take(turn, token);
            }
            Message::Taken(number) | Message::TakenHeartbeat(number) => {
                self.sent.remove(&number);
            }
            Message::Ping => turn.send(from, Message::Pong),
            Message::Pong => {}
        }
    }
}

impl Protocol for Ring {
    const ALGORITHM: Algorithm = Algorithm::Ring;
    const KINDS: &'static [Kind] = &[
        Kind::electing("election"),
        Kind::electing("elected"),
        Kind::electing("taken"),
        Kind::keeping("heartbeat"),
        Kind::keeping("taken_heartbeat"),
        Kind::keeping("ping"),
        Kind::keeping("pong"),
    ];

    type Message = Message;

    fn step(&mut self, now: Nanos, input: Input<Message>, out: &mut Vec<Output<Message>>) {
        member::step(self, now, input, out);
    }

    fn deadline(&self) -> Nanos {
        self.sent.values().map(|sent| sent.deadline).fold(self.own_deadline, Nanos::min)
    }

    fn status(&self, _now: Nanos) -> Status {
        self.member.status(self.member.term())
    }

    fn kind(message: &Message) -> &'static str {
        match message {
            Message::Pass(token, _) => match token.meaning {
                Meaning::Election => "election",
                Meaning::Elected => "elected",
                Meaning::Heartbeat => "heartbeat",
            },
            Message::Taken(_) => "taken",
            Message::TakenHeartbeat(_) => "taken_heartbeat",
            Message::Ping => "ping",
            Message::Pong => "pong",
        }
    }
}
