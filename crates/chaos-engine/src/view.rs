//! What the engine knows of the cluster: what each node last said of the election, and which nodes the faults under way hold.
//!
//! A belief is what a node *said*; it ages. What is older than ten polls (at least 500 ms) counts as unknown, so that a node
//! that is stopped doesn't vote for yesterday's leader for ever. Nodes that speak only of themselves name nobody: of them the
//! leader is who claims to lead and, if several do, who claims the highest term. All this serves aiming and waiting only: verdicts are made
//! from the history, never from this view.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chaos_history::{
    Belief, ElectionRole, FaultKind, Impact, Link, NodeId, NodeLife, Observation, ObservationOutcome, RunNanos, Term,
    TermsFrom, Testimony,
};

use crate::faults::FaultsUnderWay;
use crate::progress::{NodeBelief, NodeState, NodeStatus};
use crate::tidings::Tidings;

/// A leader and the term that it leads.
pub(crate) type Leader = (NodeId, Term);

/// Until when a belief counts, in polls.
const FRESH_POLLS: u32 = 10;
/// Until when a belief counts at least.
const FRESH_MIN: Duration = Duration::from_millis(500);

/// A node's last word.
#[derive(Clone, Debug)]
struct LastBelief {
    incarnation: u64,
    received: RunNanos,
    belief: Belief,
}

/// What faults under way hold. Whole nodes, but for `processes`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Held {
    killed: BTreeSet<NodeId>,
    stopped: BTreeSet<NodeId>,
    hindered: BTreeSet<(FaultKind, NodeId)>,
    /// The single processes that faults hold: their nodes count as up.
    processes: BTreeSet<(FaultKind, NodeId, String)>,
    cut: BTreeSet<Link>,
    /// Who is no member of the cluster for certain.
    removed: BTreeSet<NodeId>,
}

/// What is known of the cluster.
#[derive(Clone, Debug)]
pub(crate) struct ClusterView {
    nodes: usize,
    /// How many service nodes there are; they are numbered after the others, and nothing is believed of them.
    service: usize,
    /// Whether nodes name the leader that they follow.
    names: bool,
    /// Where their terms come from.
    terms: TermsFrom,
    fresh: Duration,
    /// By the node's index.
    beliefs: Vec<Option<LastBelief>>,
    /// Why a node gave no belief when it was last asked.
    silence: BTreeMap<NodeId, String>,
    exited: BTreeSet<NodeId>,
    held: Held,
    /// Which edition of the faults' books that is from.
    held_edition: Option<u64>,
    /// The last node that a majority named, and the last other one before it.
    last: Option<NodeId>,
    old: Option<NodeId>,
    /// Whom all nodes that matter have named, and since when without a change of that or of the faults.
    settled: Option<(Leader, RunNanos)>,
    tidings: Tidings,
    /// Until when [`ClusterView::advance`] finds nothing new, unless something is taken in: the next moment at which a belief is
    /// too old to count.
    same_until: Option<RunNanos>,
}

impl ClusterView {
    /// Knows nothing yet of `nodes` nodes that are polled every `every` and answer like this.
    pub(crate) fn new(nodes: usize, every: Duration, testimony: Testimony) -> Self {
        Self {
            nodes,
            service: 0,
            names: testimony.names_leader,
            terms: testimony.terms,
            fresh: (every * FRESH_POLLS).max(FRESH_MIN),
            beliefs: vec![None; nodes],
            silence: BTreeMap::new(),
            exited: BTreeSet::new(),
            held: Held::default(),
            held_edition: None,
            last: None,
            old: None,
            settled: None,
            tidings: Tidings::default(),
            same_until: None,
        }
    }

    /// The same with service nodes beside the others.
    pub(crate) fn with_service(self, service: usize) -> Self {
        Self { service, ..self }
    }

    /// Takes in an observation. Answers may arrive out of order; the youngest counts.
    pub(crate) fn observed(&mut self, observation: &Observation) {
        match &observation.outcome {
            ObservationOutcome::Answered(belief) => {
                self.silence.remove(&observation.node);
                self.tidings.told(observation.node, belief, observation.received);
                self.believes(observation, belief);
            }
            ObservationOutcome::Silent(why) => {
                self.silence.insert(observation.node, why.clone());
            }
        }
    }

    fn believes(&mut self, observation: &Observation, belief: &Belief) {
        let &Observation { node, incarnation, received, .. } = observation;
        if self.beliefs.len() <= node.index() {
            self.beliefs.resize(node.index() + 1, None);
        }
        let place = &mut self.beliefs[node.index()];
        let Some(last) = place else {
            self.same_until = None;
            *place = Some(LastBelief { incarnation, received, belief: belief.clone() });
            return;
        };
        if (last.incarnation, last.received) > (incarnation, received) {
            return;
        }
        // Who says once more what counted already changes nothing but its age.
        let counted = self.same_until.is_some_and(|until| until <= last.received + self.fresh);
        let says = |belief: &Belief| (belief.term, belief.role, belief.leader);
        if !counted || says(&last.belief) != says(belief) {
            self.same_until = None;
        }
        (last.incarnation, last.received) = (incarnation, received);
        last.belief.clone_from(belief);
    }

    fn last_of(&self, node: NodeId) -> Option<&LastBelief> {
        self.beliefs.get(node.index())?.as_ref()
    }

    fn forget(&mut self, node: NodeId) {
        if let Some(place) = self.beliefs.get_mut(node.index()) {
            *place = None;
        }
    }

    /// Takes in the start or the end of a process. What an earlier process of the node believed is forgotten.
    pub(crate) fn node(&mut self, node: NodeId, life: &NodeLife) {
        self.same_until = None;
        match life {
            NodeLife::Started { .. } => {
                self.exited.remove(&node);
                self.forget(node);
            }
            // An earlier process's end may be told after a later one's start; what answers, runs.
            NodeLife::Ready => {
                self.exited.remove(&node);
            }
            NodeLife::Exited { .. } => {
                self.exited.insert(node);
                self.forget(node);
            }
            NodeLife::ProcessStarted { .. } | NodeLife::ProcessExited { .. } => {}
        }
    }

    /// Takes in which faults are under way. Any change starts the clock of [`ClusterView::stable_since`] anew.
    pub(crate) fn faults(&mut self, faults: &FaultsUnderWay) {
        let edition = Some(faults.edition());
        if std::mem::replace(&mut self.held_edition, edition) == edition {
            return;
        }
        let held = Held {
            killed: &faults.whole(Impact::Ends) | &faults.dying(),
            stopped: faults.whole(Impact::Stops),
            hindered: faults.hindered(),
            processes: faults.processes(),
            cut: faults.cut().links.into_keys().collect(),
            removed: faults.removed(),
        };
        if held != self.held {
            self.held = held;
            self.settled = None;
            self.same_until = None;
        }
    }

    /// Brings what depends on the time up to date; to be called after every event.
    pub(crate) fn advance(&mut self, now: RunNanos) {
        if self.same_until.is_some_and(|until| now <= until) {
            return;
        }
        let fresh = self.beliefs.iter().flatten().map(|last| last.received + self.fresh).filter(|until| now <= *until);
        self.same_until = Some(fresh.min().unwrap_or(RunNanos(u64::MAX)));
        let named = self.majority_leader(now);
        let last_is_named = self.tidings.leader.is_some_and(|last| self.is_named(last, now));
        self.tidings.named(named, last_is_named);
        if let Some((leader, _)) = named {
            if self.last.is_some_and(|last| last != leader) {
                self.old = self.last;
            }
            self.last = Some(leader);
        }
        let agreed = self.agreed_leader(now);
        if self.settled.map(|(leader, _)| leader) != agreed {
            self.settled = agreed.map(|leader| (leader, now));
        }
    }

    /// What has happened so far.
    pub(crate) fn tidings(&self) -> &Tidings {
        &self.tidings
    }

    /// Whether a majority of all nodes names the leader, be it up or not; of nodes that speak only of themselves, whether it claims to
    /// lead.
    fn is_named(&self, leader: Leader, now: RunNanos) -> bool {
        if !self.names {
            return self.claimed_by(leader.0, now) == Some(leader.1);
        }
        self.all().filter(|node| self.named_by(*node, now) == Some(leader)).count() >= self.majority()
    }

    /// How many nodes are a majority of the members. While a member goes or comes, nobody can say which configuration counts; that of
    /// all nodes does, of which no majority is less than one of fewer members.
    pub(crate) fn majority(&self) -> usize {
        self.members() / 2 + 1
    }

    /// How many nodes are members of the cluster, or may be.
    pub(crate) fn members(&self) -> usize {
        self.nodes - self.held.removed.len()
    }

    /// Whether the node is a member of the cluster, or may be.
    pub(crate) fn is_member(&self, node: NodeId) -> bool {
        !self.held.removed.contains(&node)
    }

    /// Every node of the cluster.
    pub(crate) fn all(&self) -> impl Iterator<Item = NodeId> + Clone + use<> {
        NodeId::all(self.nodes)
    }

    /// The service nodes.
    pub(crate) fn service(&self) -> impl Iterator<Item = NodeId> + Clone + use<> {
        NodeId::all(self.nodes + self.service).skip(self.nodes)
    }

    /// Whether a fault of this kind hinders the node.
    pub(crate) fn is_hindered(&self, kind: FaultKind, node: NodeId) -> bool {
        self.held.hindered.contains(&(kind, node))
    }

    /// Whether a fault of this kind holds a process of the node.
    pub(crate) fn has_held(&self, kind: FaultKind, node: NodeId) -> bool {
        self.held.processes.iter().any(|(held, of, _)| (*held, *of) == (kind, node))
    }

    /// Whether a fault of this kind holds this process of the node.
    pub(crate) fn is_held(&self, kind: FaultKind, node: NodeId, process: &str) -> bool {
        self.held.processes.contains(&(kind, node, process.to_owned()))
    }

    /// Whether a node has claimed to lead since then that is not this leader, nor one of an older term.
    pub(crate) fn another_leads(&self, before: Option<Leader>, since: RunNanos) -> bool {
        let mut said = self.beliefs.iter().enumerate().filter_map(|(index, last)| Some((index, last.as_ref()?)));
        said.any(|(index, last)| {
            let newer = before.is_none_or(|(leader, term)| index != leader.index() && last.belief.term > term);
            last.received >= since && last.belief.role == ElectionRole::Leader && newer
        })
    }

    /// Whether the node's process runs and is not stopped.
    pub(crate) fn is_up(&self, node: NodeId) -> bool {
        !self.is_down(node) && !self.held.stopped.contains(&node)
    }

    /// Whether the node has no process.
    pub(crate) fn is_down(&self, node: NodeId) -> bool {
        self.held.killed.contains(&node) || self.exited.contains(&node)
    }

    /// Whom the node names, if it said so lately.
    fn named_by(&self, node: NodeId, now: RunNanos) -> Option<Leader> {
        let last = self.last_of(node).filter(|last| now.since(last.received) <= self.fresh)?;
        last.belief.leader.map(|leader| (leader, last.belief.term))
    }

    fn claims(&self, node: NodeId, term: Term) -> bool {
        self.last_of(node).is_some_and(|last| last.belief.role == ElectionRole::Leader && last.belief.term == term)
    }

    /// The term that a node claims to lead, if it said so lately.
    fn claimed_by(&self, node: NodeId, now: RunNanos) -> Option<Term> {
        let last = self.last_of(node).filter(|last| now.since(last.received) <= self.fresh)?;
        (last.belief.role == ElectionRole::Leader).then_some(last.belief.term)
    }

    /// The node that is up, claims to lead, and is named by a majority of all nodes (itself included) in one term. Of nodes that
    /// speak only of themselves: the one that is up and claims the highest term.
    pub(crate) fn majority_leader(&self, now: RunNanos) -> Option<Leader> {
        if !self.names {
            let claims = self.all().filter(|node| self.is_up(*node));
            return claims.filter_map(|node| Some((node, self.claimed_by(node, now)?))).max_by_key(|claim| claim.1);
        }
        // A majority names one at most, so it is found by those that name themselves.
        self.all().find_map(|node| {
            let leader = self.named_by(node, now).filter(|(named, term)| *named == node && self.claims(node, *term))?;
            let votes = self.all().filter(|voter| self.named_by(*voter, now) == Some(leader)).count();
            (votes >= self.majority() && self.is_up(node)).then_some(leader)
        })
    }

    /// Whether packets pass between the two nodes in both directions, as far as the faults under way go.
    fn connected(&self, one: NodeId, other: NodeId) -> bool {
        !self.held.cut.contains(&Link { from: one, to: other })
            && !self.held.cut.contains(&Link { from: other, to: one })
    }

    /// The majority's leader, if it is also connected in both directions with a majority of nodes that are up. Until its
    /// followers give up on it, a leader that was cut off is still the majority's, but no longer this.
    pub(crate) fn working_leader(&self, now: RunNanos) -> Option<Leader> {
        let leader = self.majority_leader(now)?;
        let reached = self.all().filter(|node| self.is_up(*node) && self.connected(leader.0, *node)).count();
        (reached >= self.majority()).then_some(leader)
    }

    /// The working leader, if no other node that is up and connected with it claims to lead. Where a majority names it, that it
    /// does is enough: a claimant of an older term is on its way out.
    pub(crate) fn awaited_leader(&self, now: RunNanos) -> Option<Leader> {
        let leader = self.working_leader(now)?;
        let mut others = self.all().filter(|node| *node != leader.0 && self.serves(leader.0, *node));
        (self.names || !others.any(|node| self.claimed_by(node, now).is_some())).then_some(leader)
    }

    /// The working leader, if every node that is up and connected with it names it or, where nodes speak only of themselves, if it
    /// is the only one of them that claims to lead.
    fn agreed_leader(&self, now: RunNanos) -> Option<Leader> {
        let leader = self.awaited_leader(now)?;
        let mut served = self.all().filter(|node| self.serves(leader.0, *node));
        (!self.names || served.all(|node| self.named_by(node, now) == Some(leader))).then_some(leader)
    }

    /// Whether a node is up and in reach of the leader.
    fn serves(&self, leader: NodeId, node: NodeId) -> bool {
        self.is_up(node) && self.connected(leader, node)
    }

    /// Since when all nodes that are up and not cut off from the leader agree on it, without a change of leader, term or
    /// faults.
    pub(crate) fn stable_since(&self) -> Option<RunNanos> {
        self.settled.map(|(_, since)| since)
    }

    /// The last node that a majority named, even if none is named now.
    pub(crate) fn last_leader(&self) -> Option<NodeId> {
        self.last
    }

    /// The node whose vote for another one was seen first in the newest term in which one was seen.
    pub(crate) fn voter(&self) -> Option<NodeId> {
        self.tidings.voter
    }

    /// The last node that a majority named before it named another one.
    pub(crate) fn old_leader(&self) -> Option<NodeId> {
        self.old
    }

    /// What is known of a node.
    pub(crate) fn status(&self, node: NodeId, now: RunNanos) -> NodeStatus {
        let state = if self.held.killed.contains(&node) {
            NodeState::Killed
        } else if self.exited.contains(&node) {
            NodeState::Ended
        } else if self.held.stopped.contains(&node) {
            NodeState::Paused
        } else {
            NodeState::Up
        };
        let fresh = self.last_of(node).filter(|last| now.since(last.received) <= self.fresh);
        let belief = fresh.map(|LastBelief { belief: Belief { role, term, leader, .. }, .. }| NodeBelief {
            role: *role,
            term: *term,
            leader: *leader,
        });
        let cut_from = self.all().filter(|other| *other != node && !self.connected(node, *other)).collect();
        NodeStatus { node, state, cut_from, belief }
    }

    /// That somebody leads, for people.
    pub(crate) fn led(&self, leader: NodeId, term: Term) -> String {
        if self.names {
            format!("a majority names {leader} in {} {term}", self.terms.word())
        } else {
            format!("{leader} claims to lead")
        }
    }

    /// What each node said last, for people.
    pub(crate) fn seen(&self, now: RunNanos) -> String {
        let nodes = self.all().map(|node| match (self.last_of(node), self.silence.get(&node)) {
            (Some(last), _) if !self.names => {
                let claims = last.belief.role == ElectionRole::Leader;
                let what = if claims { "claimed to lead" } else { "did not claim to lead" };
                format!("{node} {what} ({:.1}s ago)", now.since(last.received).as_secs_f64())
            }
            (Some(last), _) => {
                let leader = last.belief.leader.map_or_else(|| "nobody".to_owned(), |leader| leader.to_string());
                let age = now.since(last.received).as_secs_f64();
                format!("{node} named {leader} in {} {} ({age:.1}s ago)", self.terms.word(), last.belief.term)
            }
            (None, Some(why)) => format!("{node} gave no answer ({why})"),
            (None, None) if self.exited.contains(&node) => format!("{node} had ended"),
            (None, None) => format!("{node} was not heard of"),
        });
        nodes.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::faults::Aimed;
    use chaos_history::ObservationSource;
    use chaos_plan::{Fault, Partition, Target};

    const MS: u64 = 1_000_000;

    pub(crate) fn n(number: u16) -> NodeId {
        NodeId::new(number)
    }

    /// A cluster in which everybody names this leader, in term 1, at 10 ms.
    pub(crate) fn led(nodes: usize, leader: u16) -> ClusterView {
        let mut view = ClusterView::new(nodes, Duration::from_millis(5), Testimony::default());
        for node in NodeId::all(nodes) {
            tell(&mut view, 10, node.number(), Some(leader), 1);
        }
        view
    }

    fn tell(view: &mut ClusterView, at_ms: u64, node: u16, leader: Option<u16>, term: u64) {
        let role = if leader == Some(node) { ElectionRole::Leader } else { ElectionRole::Follower };
        let belief = Belief {
            term: Term(term),
            role,
            leader: leader.map(n),
            voted_for: None,
            commit: None,
            lease_remaining_ns: None,
        };
        view.observed(&Observation {
            node: n(node),
            incarnation: 1,
            source: ObservationSource::Poll,
            sent: RunNanos(at_ms * MS),
            received: RunNanos(at_ms * MS),
            outcome: ObservationOutcome::Answered(belief),
        });
        view.advance(RunNanos(at_ms * MS));
    }

    #[test]
    fn followers_without_the_leaders_own_claim_are_no_majority() {
        let mut view = ClusterView::new(3, Duration::from_millis(5), Testimony::default());
        tell(&mut view, 10, 2, Some(1), 1);
        tell(&mut view, 10, 3, Some(1), 1);
        assert_eq!(view.majority_leader(RunNanos(11 * MS)), None);
        tell(&mut view, 12, 1, Some(1), 1);
        assert_eq!(view.majority_leader(RunNanos(12 * MS)), Some((n(1), Term(1))));
    }

    #[test]
    fn beliefs_of_two_terms_are_not_added_up() {
        let mut view = ClusterView::new(3, Duration::from_millis(5), Testimony::default());
        tell(&mut view, 10, 1, Some(1), 2);
        tell(&mut view, 10, 2, Some(1), 1);
        assert_eq!(view.majority_leader(RunNanos(10 * MS)), None);
    }

    #[test]
    fn old_beliefs_are_forgotten() {
        let view = led(3, 1);
        assert!(view.majority_leader(RunNanos(510 * MS)).is_some());
        assert!(view.majority_leader(RunNanos(511 * MS)).is_none());
    }

    #[test]
    fn a_leader_that_is_cut_off_is_named_but_does_not_work() {
        let mut view = led(3, 1);
        let mut faults = FaultsUnderWay::default();
        let links = [(1, 2), (1, 3)].map(|(from, to)| Link { from: n(from), to: n(to) });
        let cut = Aimed {
            fault: Fault::partition(Partition::Isolate(Target::Leader)),
            label: String::new(),
            nodes: vec![n(1)],
            links: links.to_vec(),
            conditioned: Vec::new(),
            pulse: None,
            seed: chaos_history::Seed(1),
            leader: None,
            to: None,
            scheduled: RunNanos(0),
            source: None,
        };
        faults.begin(cut, &mut Vec::new());
        view.faults(&faults);
        view.advance(RunNanos(20 * MS));
        assert!(view.majority_leader(RunNanos(20 * MS)).is_some());
        assert_eq!(view.working_leader(RunNanos(20 * MS)), None);
        assert_eq!(view.stable_since(), None);
        // The others elect another one: that is stable, though the node that is cut off names itself.
        tell(&mut view, 200, 2, Some(2), 2);
        tell(&mut view, 210, 3, Some(2), 2);
        assert_eq!(view.stable_since(), Some(RunNanos(210 * MS)));
        assert_eq!((view.last_leader(), view.old_leader()), (Some(n(2)), Some(n(1))));
    }

    #[test]
    fn a_majority_is_one_of_the_members() {
        let mut view = led(5, 1);
        for node in [3, 4, 5] {
            tell(&mut view, 20, node, None, 1);
        }
        assert_eq!((view.majority(), view.majority_leader(RunNanos(20 * MS))), (3, None));
        view.held.removed = [4, 5].map(n).into();
        assert_eq!((view.majority(), view.members()), (2, 3));
        assert_eq!(view.majority_leader(RunNanos(20 * MS)), Some((n(1), Term(1))));
    }

    #[test]
    fn a_process_that_ends_takes_its_belief_along() {
        let mut view = led(3, 1);
        view.node(n(1), &NodeLife::Exited { code: None, signal: Some(9), expected: false });
        assert_eq!(view.majority_leader(RunNanos(10 * MS)), None);
        assert!(view.is_down(n(1)));
        view.node(n(1), &NodeLife::Started { pid: 4 });
        assert!(view.is_up(n(1)));
        assert_eq!(view.majority_leader(RunNanos(10 * MS)), None);
    }
    /// Nodes 1, 2, … claim to lead these terms, or (0) don't, at a moment; none names another.
    fn claim(view: &mut ClusterView, at_ms: u64, terms: &[u64]) {
        for (node, term) in (1..).zip(terms) {
            tell(view, at_ms, node, (*term > 0).then_some(node), *term);
        }
    }

    fn of_claims() -> ClusterView {
        let testimony = Testimony { names_leader: false, ..Testimony::default() };
        ClusterView::new(3, Duration::from_millis(5), testimony)
    }

    #[test]
    fn of_nodes_that_speak_only_of_themselves_the_newest_claimant_leads_and_a_lone_one_is_stable() {
        let mut view = of_claims();
        claim(&mut view, 10, &[0, 0, 0]);
        assert_eq!(view.majority_leader(RunNanos(10 * MS)), None);
        claim(&mut view, 20, &[1, 0, 0]);
        assert_eq!(view.awaited_leader(RunNanos(20 * MS)), Some((n(1), Term(1))));
        assert_eq!(view.stable_since(), Some(RunNanos(20 * MS)));
        // Two in one whole network: the newer is aimed at, but nobody who waits for a leader goes on.
        claim(&mut view, 30, &[1, 2, 0]);
        assert_eq!(view.working_leader(RunNanos(30 * MS)), Some((n(2), Term(2))));
        assert_eq!((view.last_leader(), view.old_leader()), (Some(n(2)), Some(n(1))));
        assert_eq!((view.awaited_leader(RunNanos(30 * MS)), view.stable_since()), (None, None));
        claim(&mut view, 40, &[0, 2, 0]);
        assert_eq!(view.stable_since(), Some(RunNanos(40 * MS)));
        assert!(view.seen(RunNanos(40 * MS)).starts_with("n1 did not claim to lead (0.0s ago), n2 claimed to lead"));
    }

    #[test]
    fn who_claims_to_lead_beyond_a_cut_disturbs_no_one() {
        let mut view = of_claims();
        claim(&mut view, 10, &[1, 2, 0]);
        view.same_until = None;
        view.held.cut = [(1, 2), (2, 1), (1, 3), (3, 1)].map(|(from, to)| Link { from: n(from), to: n(to) }).into();
        view.advance(RunNanos(11 * MS));
        assert_eq!(view.awaited_leader(RunNanos(11 * MS)), Some((n(2), Term(2))));
        assert_eq!(view.stable_since(), Some(RunNanos(11 * MS)));
        // A claim that is as old as that of a stopped node counts no more.
        assert_eq!(view.majority_leader(RunNanos(600 * MS)), None);
    }
}
