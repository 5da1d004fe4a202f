//! One node: looking, following a candidate, or being one.

use super::looking::Looking;
use super::serving::{Serving, Stage};
use super::{Doing, Message, Vote};
use crate::member::{Elect, Member, Turn};
use crate::raft::{Entry, EntryPayload, Event, Recovered, Status};
use crate::setup::Setup;
use crate::types::{LogIndex, Nanos, NodeId, Term};

/// What a node is doing, with what belongs to it alone.
#[derive(Debug, Clone)]
enum State {
    Looking(Looking),
    /// The candidate, whether it has said that it leads, when it is given up, and when it is asked again.
    Following {
        candidate: Vote,
        leads: bool,
        give_up: Nanos,
        ask: Nanos,
    },
    Serving {
        vote: Vote,
        books: Serving,
    },
}

/// One node of ZooKeeper's election.
#[derive(Debug, Clone)]
pub struct Zab {
    member: Member,
    /// The epoch of the last leader with which this node was synchronized.
    current: Term,
    /// ZooKeeper's logical clock: the round of voting.
    round: u64,
    /// The newest accepted epoch that it has heard of, in a majority or not: a new one must be above it, or whoever has accepted it could
    /// never be led again.
    newest_heard: Term,
    state: State,
}

impl Zab {
    /// A node as it starts: looking.
    ///
    /// # Panics
    /// If the setup's durations contradict each other.
    #[must_use]
    pub fn new(id: NodeId, setup: Setup, seed: u64, recovered: &Recovered, now: Nanos) -> Self {
        let member = Member::new(id, setup, seed, recovered);
        let current = recovered.entries.last().map_or(Term(0), |entry| entry.term);
        let vote = Vote { epoch: current, candidate: id };
        // It tells its vote at the first tick.
        Self { member, current, round: 1, newest_heard: Term(0), state: State::Looking(Looking::new(id, vote, now)) }
    }

    pub(super) fn deadline(&self) -> Nanos {
        match &self.state {
            State::Looking(looking) => {
                let settled = looking.agreed.map(|since| since + self.member.setup.heartbeat);
                settled.map_or(looking.tell_deadline, |settled| settled.min(looking.tell_deadline))
            }
            State::Following { give_up, ask, .. } => (*give_up).min(*ask),
            State::Serving { books, .. } => books.ping_deadline.min(self.quorum_until(books)),
        }
    }

    pub(super) fn status(&self, now: Nanos) -> Status {
        let status = self.member.status(self.member.term());
        match &self.state {
            State::Serving { books, .. } if self.member.leads() => {
                Status { quorum_remaining: Some(self.quorum_until(books).since(now)), ..status }
            }
            State::Looking(_) | State::Following { .. } | State::Serving { .. } => status,
        }
    }

    fn quorum_until(&self, books: &Serving) -> Nanos {
        books.majority_heard(self.member.setup.majority() - 1) + self.member.setup.timeout_max
    }

    fn own_vote(&self) -> Vote {
        Vote { epoch: self.current, candidate: self.member.id }
    }

    fn notification(&self) -> Message {
        let (vote, doing) = match &self.state {
            State::Looking(looking) => (looking.vote, Doing::Looking),
            State::Following { candidate, .. } => (*candidate, Doing::Following),
            State::Serving { vote, .. } => (*vote, Doing::Leading),
        };
        Message::Notification { round: self.round, vote, doing }
    }

    /// Begins a new round of voting.
    fn look(&mut self, turn: &mut Turn<'_, Message>) {
        self.member.become_candidate(turn);
        self.round += 1;
        self.state = State::Looking(Looking::new(self.member.id, self.own_vote(), turn.at));
        self.tell(turn);
    }

    fn tell(&mut self, turn: &mut Turn<'_, Message>) {
        let next = turn.at + self.member.setup.heartbeat;
        if let State::Looking(looking) = &mut self.state {
            looking.tell_deadline = next;
        }
        turn.send_all(self.member.others(), &self.notification());
    }

    /// A majority has voted alike, or has settled: follow, or be followed.
    fn settle(&mut self, turn: &mut Turn<'_, Message>, vote: Vote) {
        if vote.candidate == self.member.id {
            let ping = turn.at + self.member.setup.heartbeat;
            let books = Serving::new(self.member.id, turn.at, ping);
            self.state = State::Serving { vote, books };
            return self.advance(turn);
        }
        let (give_up, ask) = (self.member.after_timeout(turn.at), turn.at + self.member.setup.heartbeat);
        self.state = State::Following { candidate: vote, leads: false, give_up, ask };
        turn.send(vote.candidate, Message::FollowerInfo { accepted: self.member.term(), of: self.member.voted_for() });
    }

    fn on_notification(&mut self, turn: &mut Turn<'_, Message>, from: NodeId, round: u64, vote: Vote, doing: Doing) {
        let own_vote = self.own_vote();
        let answer = self.notification();
        let majority = self.member.setup.majority();
        let State::Looking(looking) = &mut self.state else {
            if doing == Doing::Looking {
                turn.send(from, answer);
            }
            return;
        };
        match doing {
            Doing::Looking if round < self.round => turn.send(from, answer),
            Doing::Looking => {
                let is_newer = round > self.round;
                if is_newer {
                    self.round = round;
                    looking.begin_anew(self.member.id, vote.max(own_vote));
                }
                let is_better = looking.hear(self.member.id, from, vote);
                if looking.agreed.is_none() && looking.is_agreed(majority) {
                    looking.agreed = Some(turn.at);
                }
                if is_newer || is_better {
                    self.tell(turn);
                }
            }
            Doing::Following | Doing::Leading => {
                looking.hear_settled(from, vote, doing);
                if let Some(vote) = looking.settled_on(majority) {
                    self.round = round;
                    self.settle(turn, vote);
                }
            }
        }
    }

    /// The follower's side of discovery, synchronization and what comes after.
    fn on_candidate(&mut self, turn: &mut Turn<'_, Message>, from: NodeId, message: Message) {
        let State::Following { candidate, leads, give_up, .. } = &mut self.state else { return };
        if from != candidate.candidate {
            return;
        }
        let promised = (self.member.term(), self.member.voted_for());
        let answer = match message {
            Message::NewEpoch { epoch } if epoch > promised.0 => {
                self.member.remember(epoch, Some(from));
                turn.event(Event::Granted { term: epoch, to: from });
                Message::AckEpoch { epoch, current: self.current }
            }
            // The same again: the answer may have been lost.
            Message::NewEpoch { epoch } if promised == (epoch, Some(from)) => {
                Message::AckEpoch { epoch, current: self.current }
            }
            // Accepted from another candidate, or a newer one: this one can't be followed.
            Message::NewEpoch { .. } => return self.look(turn),
            Message::NewLeader { epoch } if promised == (epoch, Some(from)) => {
                *give_up = self.member.after_timeout(turn.at);
                self.enter(epoch);
                return turn.send(from, Message::AckNewLeader { epoch });
            }
            Message::UpToDate { epoch } | Message::Ping { epoch }
                if promised == (epoch, Some(from)) && self.current == epoch =>
            {
                *leads |= matches!(message, Message::UpToDate { .. });
                *give_up = self.member.after_timeout(turn.at);
                if *leads {
                    self.member.become_follower(turn, Some(from));
                }
                Message::Pong { epoch }
            }
            Message::NewLeader { .. }
            | Message::UpToDate { .. }
            | Message::Ping { .. }
            | Message::Notification { .. }
            | Message::FollowerInfo { .. }
            | Message::AckEpoch { .. }
            | Message::AckNewLeader { .. }
            | Message::Pong { .. } => return,
        };
        turn.send(from, answer);
    }

    /// Makes an epoch the current one, durably: the only entry of the log.
    fn enter(&mut self, epoch: Term) {
        if self.current == epoch {
            return;
        }
        self.current = epoch;
        let entry = Entry { index: LogIndex(1), term: epoch, payload: EntryPayload::Noop };
        let unsaved = self.member.unsaved();
        unsaved.truncate_from = Some(LogIndex(1));
        unsaved.append = vec![entry];
    }

    /// The candidate's side of it.
    fn on_follower(&mut self, turn: &mut Turn<'_, Message>, from: NodeId, message: Message) {
        let own_epoch = self.member.term();
        let own_current = self.current;
        if let Message::FollowerInfo { accepted, .. } = message {
            self.newest_heard = self.newest_heard.max(accepted);
        }
        let State::Serving { books, .. } = &mut self.state else { return };
        books.hear(from, turn.at);
        match message {
            // An epoch that this candidate's is not above, or the same of another candidate: it would be refused, for ever. Better a
            // new election, and a newer epoch.
            Message::FollowerInfo { accepted, of }
                if books.stage != Stage::Gathering
                    && (accepted > own_epoch || accepted == own_epoch && of != Some(self.member.id)) =>
            {
                return self.look(turn);
            }
            Message::FollowerInfo { .. } => {
                books.infos.insert(from);
                if books.stage != Stage::Gathering {
                    turn.send(from, Message::NewEpoch { epoch: own_epoch });
                }
            }
            // "If the follower's history is newer, the leader gives up" (Zab, phase 1).
            Message::AckEpoch { epoch, current } if epoch == own_epoch && current > own_current && current < epoch => {
                return self.look(turn);
            }
            Message::AckEpoch { epoch, .. } if epoch == own_epoch && books.stage != Stage::Gathering => {
                books.accepted.insert(from);
                if matches!(books.stage, Stage::Synchronizing | Stage::Established) {
                    turn.send(from, Message::NewLeader { epoch });
                }
            }
            Message::AckNewLeader { epoch } if epoch == own_epoch && books.stage != Stage::Gathering => {
                books.synchronized.insert(from);
                if books.stage == Stage::Established {
                    turn.send(from, Message::UpToDate { epoch });
                }
            }
            Message::AckEpoch { .. }
            | Message::AckNewLeader { .. }
            | Message::Pong { .. }
            | Message::Notification { .. }
            | Message::NewEpoch { .. }
            | Message::NewLeader { .. }
            | Message::UpToDate { .. }
            | Message::Ping { .. } => {}
        }
        self.advance(turn);
    }

    /// Goes as far as the followers allow.
    fn advance(&mut self, turn: &mut Turn<'_, Message>) {
        let (own, majority) = (self.member.id, self.member.setup.majority());
        let State::Serving { books, .. } = &mut self.state else { return };
        let others = |books: &Serving| books.infos.iter().copied().filter(|id| *id != own).collect::<Vec<_>>();
        if books.stage == Stage::Gathering && books.infos.len() >= majority {
            let epoch = self.newest_heard.max(self.member.term()).next();
            self.member.remember(epoch, Some(own));
            turn.event(Event::Granted { term: epoch, to: own });
            books.stage = Stage::Proposed;
            books.accepted.insert(own);
            turn.send_all(others(books), &Message::NewEpoch { epoch });
        }
        let epoch = self.member.term();
        if books.stage == Stage::Proposed && books.accepted.len() >= majority {
            books.stage = Stage::Synchronizing;
            books.synchronized.insert(own);
            let accepted: Vec<NodeId> = books.accepted.iter().copied().filter(|id| *id != own).collect();
            turn.send_all(accepted, &Message::NewLeader { epoch });
        }
        if books.stage == Stage::Synchronizing && books.synchronized.len() >= majority {
            books.stage = Stage::Established;
            let synchronized: Vec<NodeId> = books.synchronized.iter().copied().filter(|id| *id != own).collect();
            turn.send_all(synchronized, &Message::UpToDate { epoch });
            self.enter(epoch);
            self.member.become_leader(turn, epoch);
        }
    }
}

impl Elect for Zab {
    type Message = Message;

    fn member(&mut self) -> &mut Member {
        &mut self.member
    }

    fn tick(&mut self, turn: &mut Turn<'_, Message>) {
        let (now, heartbeat, epoch) = (turn.at, self.member.setup.heartbeat, self.member.term());
        match &mut self.state {
            State::Looking(looking) => {
                self.member.become_candidate(turn);
                let is_agreed = looking.is_agreed(self.member.setup.majority());
                looking.agreed = if is_agreed { Some(looking.agreed.unwrap_or(now)) } else { None };
                if looking.agreed.is_some_and(|since| now.since(since) >= heartbeat) {
                    let vote = looking.vote;
                    self.settle(turn, vote);
                } else if now >= looking.tell_deadline {
                    self.tell(turn);
                }
            }
            State::Following { give_up, .. } if now >= *give_up => self.look(turn),
            State::Following { candidate, leads, ask, .. } => {
                if now >= *ask {
                    *ask = now + heartbeat;
                    if !*leads {
                        let of = self.member.voted_for();
                        turn.send(candidate.candidate, Message::FollowerInfo { accepted: epoch, of });
                    }
                }
            }
            State::Serving { .. } => self.tick_serving(turn),
        }
    }

    fn receive(&mut self, turn: &mut Turn<'_, Message>, from: NodeId, message: Message) {
        if !self.member.setup.members.contains(&from) {
            return;
        }
        match message {
            Message::Notification { round, vote, doing } => self.on_notification(turn, from, round, vote, doing),
            Message::NewEpoch { .. } | Message::NewLeader { .. } | Message::UpToDate { .. } | Message::Ping { .. } => {
                self.on_candidate(turn, from, message);
            }
            Message::FollowerInfo { .. }
            | Message::AckEpoch { .. }
            | Message::AckNewLeader { .. }
            | Message::Pong { .. } => self.on_follower(turn, from, message),
        }
    }
}

impl Zab {
    /// A candidate pings, and looks again when it misses its majority.
    fn tick_serving(&mut self, turn: &mut Turn<'_, Message>) {
        let epoch = self.member.term();
        let State::Serving { books, .. } = &self.state else { return };
        if turn.at >= self.quorum_until(books) {
            return self.look(turn);
        }
        let next = turn.at + self.member.setup.heartbeat;
        let State::Serving { books, .. } = &mut self.state else { return };
        if turn.at >= books.ping_deadline {
            books.ping_deadline = next;
            let synchronized = books.synchronized.iter().copied().filter(|id| *id != self.member.id);
            turn.send_all(synchronized.collect::<Vec<_>>(), &Message::Ping { epoch });
        }
    }
}
