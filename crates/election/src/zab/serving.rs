//! Discovery and synchronization from the candidate's side: who has got how far into the new epoch.

use std::collections::{BTreeMap, BTreeSet};

use crate::types::{Nanos, NodeId};

/// How far the candidate has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It gathers the accepted epochs of a majority.
    Gathering,
    /// It has proposed an epoch, and waits for a majority to accept it.
    Proposed,
    /// A majority has accepted it, and is asked to make it its current one.
    Synchronizing,
    /// A majority has: it leads.
    Established,
}

/// A candidate's books.
#[derive(Debug, Clone)]
pub(super) struct Serving {
    pub(super) stage: Stage,
    /// Who has told its accepted epoch.
    pub(super) infos: BTreeSet<NodeId>,
    /// Who has accepted the epoch.
    pub(super) accepted: BTreeSet<NodeId>,
    /// Whose current epoch it is.
    pub(super) synchronized: BTreeSet<NodeId>,
    /// When each follower was heard last.
    heard: BTreeMap<NodeId, Nanos>,
    /// Since when it is the candidate.
    since: Nanos,
    /// When it pings.
    pub(super) ping_deadline: Nanos,
}

impl Serving {
    pub(super) fn new(own: NodeId, now: Nanos, ping_deadline: Nanos) -> Self {
        Self {
            stage: Stage::Gathering,
            infos: BTreeSet::from([own]),
            accepted: BTreeSet::new(),
            synchronized: BTreeSet::new(),
            heard: BTreeMap::new(),
            since: now,
            ping_deadline,
        }
    }

    pub(super) fn hear(&mut self, from: NodeId, now: Nanos) {
        self.heard.insert(from, now);
    }

    /// Since when it may have been without `followers` others: the moment at which the last of the most recently heard ones was heard.
    pub(super) fn majority_heard(&self, followers: usize) -> Nanos {
        let mut heard: Vec<Nanos> = self.heard.values().copied().collect();
        heard.sort_unstable_by(|one, other| other.cmp(one));
        match followers.checked_sub(1) {
            // Alone it is its own majority.
            None => Nanos::MAX,
            Some(index) => heard.get(index).copied().unwrap_or(Nanos(0)).max(self.since),
        }
    }
}
