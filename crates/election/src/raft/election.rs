//! Elections: campaigning, voting, counting (paper §5.2, §5.4.1; pre-vote thesis §9.6; promise §4.2.3; transfer §3.10).

use super::io::Event;
use super::message::{Ballot, Message, TimeoutNow, Vote, VoteReply};
use super::node::{Now, Raft, State};
use super::rules::Rules;
use crate::types::{Nanos, NodeId};

impl<R: Rules> Raft<R> {
    /// The election timer ran out.
    pub(super) fn time_out(&mut self, cx: &mut Now<'_>) {
        self.campaign(cx, if self.config.pre_vote { Ballot::Pre } else { Ballot::Election });
    }

    fn campaign(&mut self, cx: &mut Now<'_>, ballot: Ballot) {
        if !self.rules.campaigns(self.log.members().contains(&self.id), self.log.members_index() <= self.commit) {
            // A removed node, or one that has yet to join, follows whoever calls, and nobody meanwhile.
            if self.leader().is_some() {
                self.become_follower(cx, self.hard.term, None);
            }
            self.arm(cx.at);
            return;
        }
        let term = match ballot {
            Ballot::Pre => {
                self.become_pre_candidate(cx);
                self.hard.term.next()
            }
            Ballot::Election | Ballot::Transfer => {
                self.become_candidate(cx);
                self.hard.term
            }
        };
        let vote = Vote { term, ballot, last_index: self.log.last_index(), last_term: self.log.last_term() };
        for peer in self.log.members().iter().filter(|peer| **peer != self.id) {
            cx.send(*peer, Message::Vote(vote.clone()));
        }
        self.count_votes(cx);
    }

    fn count_votes(&mut self, cx: &mut Now<'_>) {
        let (pre, votes) = match &self.state {
            State::PreCandidate { votes } => (true, votes),
            State::Candidate { votes } => (false, votes),
            State::Follower { .. } | State::Leader(_) => return,
        };
        if votes.iter().filter(|voter| self.log.members().contains(voter)).count() < self.quorum() {
            return;
        }
        if pre { self.campaign(cx, Ballot::Election) } else { self.become_leader(cx) }
    }

    pub(super) fn on_vote(&mut self, cx: &mut Now<'_>, from: NodeId, vote: &Vote) {
        let pre = vote.ballot == Ballot::Pre;
        // In a vote of this node's own term too: it may have learned of the term otherwise, and a lease still rests on its promise.
        let refused = self.rules.keeps_promise(vote.ballot, self.config.stickiness, self.is_led(cx.at));
        if !refused && !pre && !self.observe_term(cx, vote.term, None) {
            return;
        }
        let own = (self.log.last_term(), self.log.last_index());
        let free = match vote.term.cmp(&self.hard.term) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => self.rules.grants_vote(self.hard.voted_for, from),
            // Only a pre-vote, or a refused vote, still asks for a later term here.
            std::cmp::Ordering::Greater => true,
        };
        let granted = !refused && free && self.rules.up_to_date((vote.last_term, vote.last_index), own);
        if !pre {
            if granted {
                self.hard_unsaved |= self.hard.voted_for != Some(from);
                self.hard.voted_for = Some(from);
                cx.event(Event::Granted { term: vote.term, to: from });
            }
            if self.rules.vote_rearms_timer(granted) {
                self.arm(cx.at);
            }
        }
        let term = self.rules.vote_reply_term(self.hard.term);
        cx.send(from, Message::VoteReply(VoteReply { term, for_term: vote.term, pre, granted }));
    }

    /// Whether a leader was heard so recently that this voter's promise to it still holds.
    fn is_led(&self, now: Nanos) -> bool {
        match &self.state {
            State::Leader(_) => true,
            State::Follower { .. } | State::PreCandidate { .. } | State::Candidate { .. } => {
                self.heard.is_some_and(|heard| now < heard + self.config.election_timeout_min)
            }
        }
    }

    pub(super) fn on_vote_reply(&mut self, cx: &mut Now<'_>, from: NodeId, reply: &VoteReply) {
        if reply.term > self.hard.term {
            self.observe_term(cx, reply.term, None);
            return;
        }
        let own = self.hard.term;
        let votes = match &mut self.state {
            State::PreCandidate { votes } if self.rules.counts_vote(own.next(), true, reply) => votes,
            State::Candidate { votes } if self.rules.counts_vote(own, false, reply) => votes,
            State::Follower { .. } | State::PreCandidate { .. } | State::Candidate { .. } | State::Leader(_) => return,
        };
        if self.rules.counts_voter(votes, from) {
            votes.push(from);
            self.count_votes(cx);
        }
    }

    /// "The target server starts a new election ... in the same way as if its election timer had elapsed" (thesis §3.10), but
    /// without a pre-vote, which the voters' promise would refuse.
    pub(super) fn on_timeout_now(&mut self, cx: &mut Now<'_>, from: NodeId, message: &TimeoutNow) {
        let follows = matches!(self.state, State::Follower { leader } if leader == Some(from));
        if message.term == self.hard.term && follows {
            self.campaign(cx, Ballot::Transfer);
        }
    }
}
