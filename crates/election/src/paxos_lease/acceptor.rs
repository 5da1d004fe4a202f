//! An acceptor: promises ballots and gives leases, to one node at a time.

use super::Message;
use crate::member::{Member, Turn};
use crate::raft::Event;
use crate::types::{Nanos, NodeId, Term};

/// A lease that this acceptor has given.
#[derive(Debug, Clone, Copy)]
struct Given {
    to: NodeId,
    until: Nanos,
}

/// The acceptor's side. The highest ballot promised is the member's term.
#[derive(Debug, Clone)]
pub(super) struct Acceptor {
    /// Before this it may have given, in its former life, a lease that it has forgotten.
    silent_until: Nanos,
    given: Option<Given>,
}

impl Acceptor {
    pub(super) fn new(member: &Member, now: Nanos) -> Self {
        let ran_before = member.term() > Term(0);
        Self { silent_until: if ran_before { now + member.setup.timeout_max } else { now }, given: None }
    }

    /// The answer to a question; none while it keeps silent, and to what is none.
    pub(super) fn answer(
        &mut self,
        member: &mut Member,
        turn: &mut Turn<'_, Message>,
        from: NodeId,
        question: Message,
    ) -> Option<Message> {
        let now = turn.at;
        if now < self.silent_until {
            return None;
        }
        let promised = member.term();
        let anothers = self.given.is_some_and(|given| given.to != from && now < given.until);
        match question {
            Message::Prepare { ballot } if ballot > promised && !anothers => {
                member.remember(ballot, Some(from));
                turn.event(Event::Granted { term: ballot, to: from });
                Some(Message::Promise { ballot })
            }
            // The same again: the first answer may have been lost.
            Message::Prepare { ballot } if ballot == promised && !anothers => Some(Message::Promise { ballot }),
            Message::Propose { ballot, number, .. } if ballot >= promised && !anothers => {
                member.remember(ballot, Some(from));
                self.given = Some(Given { to: from, until: now + member.setup.timeout_max });
                Some(Message::Accept { ballot, number })
            }
            Message::Prepare { ballot } | Message::Propose { ballot, .. } => Some(Message::Refuse { ballot, promised }),
            Message::Promise { .. } | Message::Accept { .. } | Message::Refuse { .. } => None,
        }
    }
}
