//! A candidate: watches the service, takes the lease when it is free, and leads while its own clock says so.

use std::collections::BTreeMap;

use super::Message;
use crate::member::{Member, Turn};
use crate::types::{Nanos, NodeId, Term};

/// The lease, as its holder sees it.
#[derive(Debug, Clone, Copy)]
struct Held {
    token: Term,
    until: Nanos,
}

/// A candidate's side.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    service: NodeId,
    /// When it asks the service next.
    ask_deadline: Nanos,
    /// When it takes the service for gone.
    silence_deadline: Nanos,
    last_number: u64,
    /// When each question was asked that may yet be answered.
    asked: BTreeMap<u64, Nanos>,
    held: Option<Held>,
}

impl Candidate {
    /// It begins by asking, at a moment of its own, so that candidates don't ask in step.
    pub(super) fn new(member: &mut Member, service: NodeId, now: Nanos) -> Self {
        let silence_deadline = member.after_timeout(now);
        let spread = member.setup.heartbeat.mul_f64(f64::from(u8::try_from(member.id.number() % 8).unwrap_or(0)) / 8.0);
        let (last_number, asked, held) = (0, BTreeMap::new(), None);
        Self { service, ask_deadline: now + spread, silence_deadline, last_number, asked, held }
    }

    pub(super) fn deadline(&self) -> Nanos {
        let own = self.ask_deadline.min(self.silence_deadline);
        self.held.map_or(own, |held| own.min(held.until))
    }

    /// Until when it leads if nobody answers any more.
    pub(super) fn relied_on_until(&self) -> Option<Nanos> {
        self.held.map(|held| held.until)
    }

    pub(super) fn tick(&mut self, member: &mut Member, turn: &mut Turn<'_, Message>) {
        self.give_up_what_is_over(member, turn);
        if turn.at >= self.silence_deadline {
            self.silence_deadline = member.after_timeout(turn.at);
            if self.held.is_none() {
                member.become_candidate(turn);
            }
        }
        if turn.at >= self.ask_deadline {
            self.ask_deadline = turn.at + member.setup.heartbeat;
            let number = self.number(member, turn.at);
            let question = match self.held {
                Some(Held { token, .. }) => Message::Renew { number, token },
                None => Message::Watch { number },
            };
            turn.send(self.service, question);
        }
    }

    pub(super) fn receive(
        &mut self,
        member: &mut Member,
        turn: &mut Turn<'_, Message>,
        from: NodeId,
        message: Message,
    ) {
        // First of all: an answer that was waiting while this node slept must find it as awake as its clock is.
        self.give_up_what_is_over(member, turn);
        if from != self.service {
            return;
        }
        self.silence_deadline = member.after_timeout(turn.at);
        match message {
            Message::Free if self.held.is_none() => {
                member.become_candidate(turn);
                let number = self.number(member, turn.at);
                turn.send(self.service, Message::Acquire { number });
            }
            Message::Held { holder, token } if holder == member.id => {
                // The service still takes this node for the holder: of a lease that it has lost by its own clock, or by a restart.
                if self.held.is_none() && token >= member.term() {
                    let number = self.number(member, turn.at);
                    turn.send(self.service, Message::Acquire { number });
                }
            }
            Message::Held { holder, token } if token >= member.term() => {
                self.held = None;
                member.remember(token, None);
                member.become_follower(turn, Some(holder));
            }
            Message::Grant { number, token } => self.extend(member, turn, number, token),
            Message::Renewed { number, token } if self.held.is_some_and(|held| held.token == token) => {
                self.extend(member, turn, number, token);
            }
            // Old news, or what candidates say.
            Message::Free
            | Message::Held { .. }
            | Message::Renewed { .. }
            | Message::Watch { .. }
            | Message::Acquire { .. }
            | Message::Renew { .. } => {}
        }
    }

    /// Leads, or leads on, until the lease ends that was counted from before the question.
    fn extend(&mut self, member: &mut Member, turn: &mut Turn<'_, Message>, number: u64, token: Term) {
        let Some(asked) = self.asked.remove(&number) else { return };
        let until = asked + member.setup.lease_relied_on();
        if until <= turn.at || token < member.term() {
            return;
        }
        let until = self.held.filter(|held| held.token == token).map_or(until, |held| held.until.max(until));
        let is_new = self.held.is_none_or(|held| held.token != token);
        self.held = Some(Held { token, until });
        if is_new {
            member.remember(token, None);
            member.become_leader(turn, token);
            self.ask_deadline = turn.at + member.setup.heartbeat;
        }
    }

    fn give_up_what_is_over(&mut self, member: &mut Member, turn: &mut Turn<'_, Message>) {
        if self.held.is_some_and(|held| turn.at >= held.until) {
            self.held = None;
            member.become_candidate(turn);
        }
    }

    /// A number for a question that is asked now; forgets those whose answers would come too late.
    fn number(&mut self, member: &Member, now: Nanos) -> u64 {
        let patience = member.setup.timeout_max;
        self.asked.retain(|_, asked| now.since(*asked) < patience);
        self.last_number += 1;
        self.asked.insert(self.last_number, now);
        self.last_number
    }
}
