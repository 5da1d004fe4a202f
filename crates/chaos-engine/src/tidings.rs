//! What has happened to the cluster since the run began, as counts that only rise: what conditions of a plan are held against.
//!
//! A count that is noted when somebody begins to wait, and compared at every event, can't miss what was over a moment later, and
//! takes no polling. It all comes from observations, so it is what was *seen*: an election that was over between two answers of a
//! node never happened here. No verdict rests on it.

use chaos_history::{Belief, ElectionRole, NodeId, RunNanos, Term};

use crate::view::Leader;

/// What was seen so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tidings {
    /// How often a majority came to name a leader that it had not named before.
    pub(crate) elections: u64,
    /// How often a majority ceased to name the leader that it had named.
    pub(crate) losses: u64,
    /// In how many terms a node was seen to have voted for another one.
    pub(crate) votes: u64,
    /// Whose vote was the first that was seen in the newest of those terms.
    pub(crate) voter: Option<NodeId>,
    /// The newest term that any node was in.
    pub(crate) term: Term,
    /// The leader that a majority named last.
    pub(crate) leader: Option<Leader>,
    /// Whether it still does.
    is_named: bool,
    /// How often a node that leads has said for how long it still will, and what it said last, in nanoseconds.
    pub(crate) leases: (u64, u64),
    /// The newest term in which a vote was seen.
    voted: Term,
    /// The newest claim to lead, and when it was first heard: a new leader shows itself at once, and from then on at every beat.
    claim: Option<(Term, RunNanos)>,
}

impl Tidings {
    /// A node has said something.
    pub(crate) fn told(&mut self, node: NodeId, belief: &Belief, received: RunNanos) {
        self.term = self.term.max(belief.term);
        // Whoever votes for itself is a candidate; nobody has granted it anything yet.
        if belief.voted_for.is_some_and(|voted| voted != node) && belief.term > self.voted {
            self.voted = belief.term;
            self.votes += 1;
            self.voter = Some(node);
        }
        if let (ElectionRole::Leader, Some(remaining)) = (belief.role, belief.lease_remaining_ns) {
            self.leases = (self.leases.0 + 1, remaining);
        }
        if belief.role == ElectionRole::Leader && self.claim.is_none_or(|(term, _)| belief.term > term) {
            self.claim = Some((belief.term, received));
        }
    }

    /// Whom a majority names now, and whether it still names the one that it named last.
    pub(crate) fn named(&mut self, named: Option<Leader>, last_is_named: bool) {
        if named.is_some() && named != self.leader {
            self.losses += u64::from(self.is_named);
            self.elections += 1;
            self.leader = named;
            self.is_named = true;
        } else if self.is_named && !last_is_named {
            self.is_named = false;
            self.losses += 1;
        } else {
            // Named again after a silence: that is no election.
            self.is_named |= named.is_some();
        }
    }

    /// When the newest leader was first heard to lead: the beat from which all others are reckoned.
    pub(crate) fn first_beat(&self) -> Option<RunNanos> {
        self.claim.map(|(_, at)| at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chaos_plan::Condition;

    use super::*;
    use crate::watch::Watch;

    fn n(number: u16) -> NodeId {
        NodeId::new(number)
    }

    #[test]
    fn a_leader_that_is_named_again_was_lost_but_not_elected() {
        let mut tidings = Tidings::default();
        let first = Some((n(1), Term(1)));
        tidings.named(first, false);
        tidings.named(first, true);
        assert_eq!((tidings.elections, tidings.losses), (1, 0));
        tidings.named(None, false);
        tidings.named(None, false);
        tidings.named(first, true);
        assert_eq!((tidings.elections, tidings.losses), (1, 1));
        tidings.named(Some((n(1), Term(2))), false);
        assert_eq!((tidings.elections, tidings.losses), (2, 2), "in another term the same node is elected anew");
    }

    #[test]
    fn a_vote_counts_once_a_term_and_never_for_oneself() {
        let mut tidings = Tidings::default();
        let mut vote = |node: u16, term: u64, whom: Option<u16>| {
            let (term, role) = (Term(term), ElectionRole::Follower);
            let belief =
                Belief { term, role, leader: None, voted_for: whom.map(n), commit: None, lease_remaining_ns: None };
            tidings.told(n(node), &belief, RunNanos(1));
            tidings.votes
        };
        assert_eq!([vote(1, 1, None), vote(1, 1, Some(1)), vote(2, 1, Some(1)), vote(3, 1, Some(1))], [0, 0, 1, 1]);
        assert_eq!([vote(3, 1, Some(1)), vote(1, 3, Some(2)), vote(2, 2, Some(1))], [1, 2, 2]);
    }

    #[test]
    fn a_lease_is_over_soon_when_a_leader_says_so_after_it_is_asked_for() {
        let bound = Duration::from_nanos(50);
        let mut tidings = Tidings::default();
        let say = |tidings: &mut Tidings, role: ElectionRole, remaining: Option<u64>| {
            let (term, leader) = (Term(1), Some(n(1)));
            let belief = Belief { term, role, leader, voted_for: None, commit: None, lease_remaining_ns: remaining };
            tidings.told(n(1), &belief, RunNanos(1));
        };
        say(&mut tidings, ElectionRole::Leader, Some(10));
        let watch = Watch::new(Condition::LeaseBelow(bound), &tidings, 0);
        assert!(!watch.is_seen(&tidings, 0), "that was before");
        say(&mut tidings, ElectionRole::Leader, Some(50));
        assert!(!watch.is_seen(&tidings, 0), "below is below");
        say(&mut tidings, ElectionRole::Leader, None);
        say(&mut tidings, ElectionRole::Follower, Some(3));
        assert!(!watch.is_seen(&tidings, 0), "nobody who leads has said anything");
        say(&mut tidings, ElectionRole::Leader, Some(49));
        assert!(watch.is_seen(&tidings, 0));
    }
}
