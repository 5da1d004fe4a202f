//! Fast leader election: the ballot box of one node.
//!
//! It decides whom a node would follow, and nothing that safety rests on.

use std::collections::BTreeMap;

use super::{Doing, Vote};
use crate::types::{Nanos, NodeId};

/// What a looking node has heard.
#[derive(Debug, Clone)]
pub(super) struct Looking {
    /// Its own vote.
    pub(super) vote: Vote,
    /// The votes of this round, its own included.
    votes: BTreeMap<NodeId, Vote>,
    /// What nodes say that look no more.
    settled: BTreeMap<NodeId, (Vote, Doing)>,
    /// Since when a majority has voted as this node does; a better vote begins it anew.
    pub(super) agreed: Option<Nanos>,
    /// When it tells its vote again: notifications may be lost.
    pub(super) tell_deadline: Nanos,
}

impl Looking {
    /// A box with one's own vote.
    pub(super) fn new(own: NodeId, vote: Vote, tell_deadline: Nanos) -> Self {
        Self { vote, votes: BTreeMap::from([(own, vote)]), settled: BTreeMap::new(), agreed: None, tell_deadline }
    }

    /// Begins a newer round with the better of two votes.
    pub(super) fn begin_anew(&mut self, own: NodeId, vote: Vote) {
        self.vote = vote;
        self.votes = BTreeMap::from([(own, vote)]);
        self.agreed = None;
    }

    /// Notes the vote of a looking node in this round; whether this node takes it over.
    pub(super) fn hear(&mut self, own: NodeId, from: NodeId, vote: Vote) -> bool {
        self.settled.remove(&from);
        self.votes.insert(from, vote);
        let is_better = vote > self.vote;
        if is_better {
            self.vote = vote;
            self.votes.insert(own, vote);
            self.agreed = None;
        }
        is_better
    }

    /// Notes what a node says that looks no more.
    pub(super) fn hear_settled(&mut self, from: NodeId, vote: Vote, doing: Doing) {
        self.votes.remove(&from);
        self.settled.insert(from, (vote, doing));
    }

    /// Whether a majority votes as this node does.
    pub(super) fn is_agreed(&self, majority: usize) -> bool {
        self.votes.values().filter(|vote| **vote == self.vote).count() >= majority
    }

    /// The vote of a majority that looks no more, if its candidate itself says that it leads.
    pub(super) fn settled_on(&self, majority: usize) -> Option<Vote> {
        let leads = |candidate| matches!(self.settled.get(&candidate), Some((_, Doing::Leading)));
        let votes = self.settled.values().map(|(vote, _)| vote.candidate);
        let count = |candidate: NodeId| votes.clone().filter(|other| *other == candidate).count();
        let vote = self.settled.values().map(|(vote, _)| *vote).find(|vote| leads(vote.candidate))?;
        // This node is the one that is missing, if it is.
        (count(vote.candidate) + 1 >= majority).then_some(vote)
    }
}
