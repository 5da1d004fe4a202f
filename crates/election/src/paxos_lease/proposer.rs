//! A proposer: campaigns when it misses a leader, relies on its lease, and renews it.
//!
//! A campaign and a lease are two things: a leader whose ballot was overtaken campaigns for a higher one while its lease lasts.

use std::collections::{BTreeMap, BTreeSet};

use super::{Message, ballot_above};
use crate::member::{Member, Turn};
use crate::types::{Nanos, NodeId, Term};

/// Questions under way.
#[derive(Debug, Clone)]
struct Campaign {
    ballot: Term,
    stage: Stage,
}

#[derive(Debug, Clone)]
enum Stage {
    Preparing {
        promises: BTreeSet<NodeId>,
    },
    /// By number; several, since an answer may take longer than a heartbeat.
    Proposing {
        rounds: BTreeMap<u64, Round>,
    },
}

/// One question for a lease.
#[derive(Debug, Clone)]
struct Round {
    asked: Nanos,
    accepts: BTreeSet<NodeId>,
}

/// Whom this node takes for the leader, and how long that is good for.
#[derive(Debug, Clone, Copy)]
struct Reign {
    ballot: Term,
    /// As the leader: until when it relies on its lease. As a follower: never, its own deadline is what counts.
    until: Nanos,
}

/// The proposer's side.
#[derive(Debug, Clone)]
pub(super) struct Proposer {
    campaign: Option<Campaign>,
    reign: Option<Reign>,
    /// When it campaigns, or as the leader renews.
    deadline: Nanos,
    /// The highest ballot that it has heard of.
    highest: Term,
    last_number: u64,
}

impl Proposer {
    pub(super) fn new(member: &mut Member, now: Nanos) -> Self {
        let deadline = member.after_timeout(now);
        Self { campaign: None, reign: None, deadline, highest: member.term(), last_number: 0 }
    }

    pub(super) fn deadline(&self) -> Nanos {
        self.reign.map_or(self.deadline, |reign| self.deadline.min(reign.until))
    }

    /// The ballot of the leader that this node believes in, itself included.
    pub(super) fn reign(&self) -> Option<Term> {
        self.reign.map(|reign| reign.ballot)
    }

    /// Until when it leads if nobody answers any more.
    pub(super) fn relied_on_until(&self) -> Option<Nanos> {
        self.reign.map(|reign| reign.until).filter(|until| *until < Nanos::MAX)
    }

    /// A leader whose lease is over stops before it does anything else, woken from whatever sleep.
    pub(super) fn give_up_what_is_over(&mut self, member: &mut Member, turn: &mut Turn<'_, Message>) {
        if self.reign.is_some_and(|reign| turn.at >= reign.until) {
            self.reign = None;
            self.campaign = None;
            member.become_candidate(turn);
            self.deadline = member.after_timeout(turn.at);
        }
    }

    /// What to ask now, if anything.
    pub(super) fn due(&mut self, member: &mut Member, turn: &mut Turn<'_, Message>) -> Option<Message> {
        if turn.at < self.deadline {
            return None;
        }
        if !member.leads() {
            self.reign = None;
            member.become_candidate(turn);
            self.deadline = member.after_timeout(turn.at);
            return Some(self.prepare(member));
        }
        self.deadline = turn.at + member.setup.heartbeat;
        let ballot = self.reign.map_or(Term(0), |reign| reign.ballot);
        if self.highest.max(member.term()) > ballot {
            return Some(self.prepare(member));
        }
        Some(self.propose(member, turn.at, ballot, true))
    }

    /// The ballot is remembered before it is used: in another life this node must not use it again.
    fn prepare(&mut self, member: &mut Member) -> Message {
        let ballot = ballot_above(self.highest.max(member.term()), member.id);
        self.highest = ballot;
        member.remember(ballot, Some(member.id));
        self.campaign = Some(Campaign { ballot, stage: Stage::Preparing { promises: BTreeSet::new() } });
        Message::Prepare { ballot }
    }

    /// The question that follows promises has the number 0, each renewal the next one.
    fn propose(&mut self, member: &Member, now: Nanos, ballot: Term, leads: bool) -> Message {
        let mut rounds = match self.campaign.take() {
            Some(Campaign { ballot: current, stage: Stage::Proposing { rounds } }) if current == ballot => rounds,
            Some(_) | None => BTreeMap::new(),
        };
        let patience = member.setup.lease_relied_on();
        rounds.retain(|_, round| now.since(round.asked) < patience);
        let number = if leads { self.last_number + 1 } else { 0 };
        self.last_number = number;
        rounds.insert(number, Round { asked: now, accepts: BTreeSet::new() });
        self.campaign = Some(Campaign { ballot, stage: Stage::Proposing { rounds } });
        Message::Propose { ballot, number, leads }
    }

    /// An acceptor has promised.
    pub(super) fn promised(&mut self, member: &Member, now: Nanos, from: NodeId, ballot: Term) -> Option<Message> {
        let campaign = self.campaign.as_mut().filter(|campaign| campaign.ballot == ballot)?;
        let Stage::Preparing { promises } = &mut campaign.stage else { return None };
        promises.insert(from);
        (promises.len() >= member.setup.majority()).then(|| self.propose(member, now, ballot, false))
    }

    /// An acceptor has given its part of the lease.
    pub(super) fn accepted(
        &mut self,
        member: &mut Member,
        turn: &mut Turn<'_, Message>,
        from: NodeId,
        ballot: Term,
        number: u64,
    ) -> Option<Message> {
        if !member.leads() && member.term() > ballot {
            // This node has promised a higher one since: what it says about its term would fall.
            return None;
        }
        let campaign = self.campaign.as_mut().filter(|campaign| campaign.ballot == ballot)?;
        let Stage::Proposing { rounds } = &mut campaign.stage else { return None };
        let round = rounds.get_mut(&number)?;
        round.accepts.insert(from);
        let until = round.asked + member.setup.lease_relied_on();
        if round.accepts.len() < member.setup.majority() || until <= turn.at {
            return None;
        }
        let is_new = !member.leads() || self.reign() != Some(ballot);
        let until = self.reign.filter(|_| !is_new).map_or(until, |reign| reign.until.max(until));
        self.reign = Some(Reign { ballot, until });
        if !is_new {
            return None;
        }
        member.become_leader(turn, ballot);
        self.deadline = turn.at + member.setup.heartbeat;
        // The announcement.
        Some(self.propose(member, turn.at, ballot, true))
    }

    /// An acceptor has refused: the next ballot must be above what it has promised.
    pub(super) fn refused(&mut self, member: &mut Member, turn: &mut Turn<'_, Message>, ballot: Term, promised: Term) {
        self.highest = self.highest.max(promised);
        let is_current = self.campaign.as_ref().is_some_and(|campaign| campaign.ballot == ballot);
        if is_current && !member.leads() && promised > ballot {
            self.campaign = None;
            self.deadline = member.after_timeout(turn.at);
        }
    }

    /// This node's acceptor has given a lease to who says that it leads. Before that is over there is no point in campaigning; a
    /// random time later, so that not everybody does at once.
    pub(super) fn follow(&mut self, member: &mut Member, turn: &mut Turn<'_, Message>, leader: NodeId, ballot: Term) {
        self.campaign = None;
        self.highest = self.highest.max(ballot);
        self.reign = Some(Reign { ballot, until: Nanos::MAX });
        member.become_follower(turn, Some(leader));
        let spread = member.after_timeout(turn.at).since(turn.at) - member.setup.timeout_min;
        self.deadline = turn.at + member.setup.timeout_max + spread;
    }
}
