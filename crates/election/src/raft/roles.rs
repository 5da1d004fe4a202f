//! The transitions between the roles (paper Fig. 4): the only places where the role changes, each with its legal predecessors.
//!
//! What a role leaves behind is settled here too: requests that wait on a leadership are answered before it is dropped.

use super::io::{Entry, EntryPayload, Event, Outcome, Role};
use super::leadership::Leadership;
use super::node::{Now, Raft, State};
use super::rules::Rules;
use crate::types::{NodeId, Term};

impl<R: Rules> Raft<R> {
    /// From every role; within the same term a leader only falls back to following nobody.
    pub(super) fn become_follower(&mut self, cx: &mut Now<'_>, term: Term, leader: Option<NodeId>) {
        let (role, believed) = (self.role(), self.leader());
        assert!(term >= self.hard.term, "terms never fall");
        assert!(role != Role::Leader || term > self.hard.term || leader.is_none(), "a term has one leader");
        let voted_for = if term > self.hard.term { None } else { self.rules.vote_after_step_down(self.hard.voted_for) };
        let entered = term > self.hard.term;
        if entered || voted_for != self.hard.voted_for {
            self.hard.term = term;
            self.hard.voted_for = voted_for;
            self.hard_unsaved = true;
        }
        if role != Role::Follower {
            self.arm(cx.at);
        }
        if let State::Leader(lead) = std::mem::replace(&mut self.state, State::Follower { leader }) {
            for read in lead.reads {
                cx.reply(read.request, Outcome::NotLeader { leader });
            }
            if let Some(joining) = lead.joining {
                cx.reply(joining.request, Outcome::NotLeader { leader });
            }
            for proposal in lead.proposals {
                cx.reply(proposal.request, Outcome::Superseded);
            }
        }
        if entered || role != Role::Follower {
            cx.event(Event::BecameFollower { term, leader });
        }
        if leader != believed {
            cx.event(Event::LeaderChanged { term, leader });
        }
        self.settle_transfer(cx, leader);
    }

    /// From every role but leader. The term and the vote stay (thesis §9.6).
    pub(super) fn become_pre_candidate(&mut self, cx: &mut Now<'_>) {
        let believed = self.leader();
        assert!(self.role() != Role::Leader, "a leader does not campaign");
        self.state = State::PreCandidate { votes: vec![self.id] };
        self.arm(cx.at);
        cx.event(Event::BecamePreCandidate { term: self.hard.term });
        self.forget_leader(cx, believed);
    }

    /// From every role but leader: "increments its current term", "votes for itself" (paper §5.2).
    pub(super) fn become_candidate(&mut self, cx: &mut Now<'_>) {
        let believed = self.leader();
        assert!(self.role() != Role::Leader, "a leader does not campaign");
        self.hard.term = self.hard.term.next();
        self.hard.voted_for = self.rules.own_vote(self.id);
        self.hard_unsaved = true;
        self.state = State::Candidate { votes: vec![self.id] };
        self.arm(cx.at);
        cx.event(Event::BecameCandidate { term: self.hard.term });
        cx.event(Event::Granted { term: self.hard.term, to: self.id });
        self.forget_leader(cx, believed);
    }

    /// From candidate only. Opens the term with a no-op (paper §8).
    pub(super) fn become_leader(&mut self, cx: &mut Now<'_>) {
        assert!(self.role() == Role::Candidate, "only a candidate wins an election");
        let next = self.log.last_index().next();
        let mut lead = Leadership::new(next, cx.at);
        lead.track(self.log.members(), self.id, next, cx.at);
        self.state = State::Leader(lead);
        cx.event(Event::BecameLeader { term: self.hard.term });
        cx.event(Event::LeaderChanged { term: self.hard.term, leader: Some(self.id) });
        // An older transfer of this node can no longer end in its target's favour in a way that this node would learn of.
        self.settle_transfer(cx, Some(self.id));
        self.log.append(Entry { index: next, term: self.hard.term, payload: EntryPayload::Noop });
        self.begin_round(cx);
    }

    fn forget_leader(&self, cx: &mut Now<'_>, believed: Option<NodeId>) {
        if believed.is_some() {
            cx.event(Event::LeaderChanged { term: self.hard.term, leader: None });
        }
    }
}
