//! The lock service: gives the lease to one candidate at a time, each time under a new token.
//!
//! It knows the time only as spans of its own clock. It never takes the lease away: it waits.

use super::Message;
use crate::member::{Member, Turn};
use crate::raft::Event;
use crate::types::{Nanos, NodeId, Term};

/// The service's side. Token and holder of the last grant are the member's term and vote.
#[derive(Debug, Clone)]
pub(super) struct Service {
    /// Until when the last grant or renewal binds it.
    bound_until: Nanos,
}

impl Service {
    /// After a restart the lease counts as renewed at this moment: at the latest then it was (Gray and Cheriton, §5).
    pub(super) fn new(member: &Member, now: Nanos) -> Self {
        let bound_until = if member.voted_for().is_some() { now + member.setup.timeout_max } else { now };
        Self { bound_until }
    }

    /// Who holds the lease, as far as the service knows.
    pub(super) fn holder(&self, member: &Member, now: Nanos) -> Option<NodeId> {
        member.voted_for().filter(|_| now < self.bound_until)
    }

    pub(super) fn receive(
        &mut self,
        member: &mut Member,
        turn: &mut Turn<'_, Message>,
        from: NodeId,
        message: Message,
    ) {
        if !member.setup.members.contains(&from) {
            return;
        }
        let holder = self.holder(member, turn.at);
        match message {
            Message::Watch { .. } => {
                let told = holder.map_or(Message::Free, |holder| Message::Held { holder, token: member.term() });
                turn.send(from, told);
            }
            // A holder that asks anew has forgotten its lease, by a restart for example: nobody relies on the old one.
            Message::Acquire { number } => match holder.filter(|holder| *holder != from) {
                Some(holder) => turn.send(from, Message::Held { holder, token: member.term() }),
                None => self.grant(member, turn, from, number),
            },
            // Late is not too late, as long as nobody else was given it.
            Message::Renew { number, token } if member.voted_for() == Some(from) && member.term() == token => {
                self.bound_until = turn.at + member.setup.timeout_max;
                turn.send(from, Message::Renewed { number, token });
            }
            Message::Renew { .. } => {
                let told = holder.map_or(Message::Free, |holder| Message::Held { holder, token: member.term() });
                turn.send(from, told);
            }
            // What the service itself says.
            Message::Free | Message::Held { .. } | Message::Grant { .. } | Message::Renewed { .. } => {}
        }
    }

    fn grant(&mut self, member: &mut Member, turn: &mut Turn<'_, Message>, to: NodeId, number: u64) {
        let token: Term = member.term().next();
        member.remember(token, Some(to));
        turn.event(Event::Granted { term: token, to });
        self.bound_until = turn.at + member.setup.timeout_max;
        turn.send(to, Message::Grant { number, token });
    }
}
