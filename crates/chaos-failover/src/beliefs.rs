//! Who named whom as leader of which term, and when each change can have happened.
//!
//! A node's answer was true at some instant between question and answer; what a node says unasked was true at its own stamp.
//! So a change lies between the last old answer's `from` and the first new answer's `to`. "i leads t" and "i believes that j
//! leads t" are both evidence that j was elected in t: a node adopts a leader only when it hears from it in that term.

use std::collections::BTreeMap;

use chaos_history::{ElectionRole, Event, History, NodeId, ObservationOutcome, ObservationSource, RunNanos, Term};

use crate::analysis::{Observed, TermLeader};
use crate::interval::Interval;

/// One answer of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) node: NodeId,
    pub(crate) incarnation: u64,
    /// True not before.
    pub(crate) from: RunNanos,
    /// True not after.
    pub(crate) to: RunNanos,
    pub(crate) role: ElectionRole,
    pub(crate) term: Term,
    pub(crate) leader: Option<NodeId>,
}

impl Answer {
    /// Whom the answer is evidence for.
    pub(crate) fn names(&self) -> Option<TermLeader> {
        let leader = if self.claims() { Some(self.node) } else { self.leader };
        leader.map(|node| TermLeader { node, term: self.term })
    }

    /// Whether the node claims to lead.
    pub(crate) fn claims(&self) -> bool {
        self.role == ElectionRole::Leader
    }

    /// Whether the answer's instant is a single one.
    fn moment(&self) -> Interval {
        Interval::new(self.from, self.to)
    }
}

/// A change of what the cluster as a whole says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) at: Interval,
    pub(crate) what: Changed,
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// A term higher than any before was seen.
    Term(Term),
    /// A majority of all nodes came to name this leader.
    Majority(TermLeader),
}

/// All answers of a history, and what follows from them.
#[derive(Debug)]
pub(crate) struct Beliefs {
    by_node: BTreeMap<NodeId, Vec<Answer>>,
    /// The leader first seen in each term.
    elections: BTreeMap<Term, (NodeId, Interval)>,
    changes: Vec<Change>,
    observed: Observed,
}

impl Beliefs {
    /// Reads them out of a history.
    pub(crate) fn read(history: &History) -> Self {
        let (mut answers, observed) = answers(history);
        answers.sort_by_key(|answer| (answer.to, answer.from));
        let mut by_node: BTreeMap<NodeId, Vec<Answer>> = BTreeMap::new();
        for answer in &answers {
            by_node.entry(answer.node).or_default().push(*answer);
        }
        let elections = elections(&answers, &by_node);
        let changes = changes(&answers, history.header.nodes / 2 + 1);
        Self { by_node, elections, changes, observed }
    }

    /// A node's answers, in order of arrival.
    pub(crate) fn of(&self, node: NodeId) -> &[Answer] {
        self.by_node.get(&node).map_or(&[], Vec::as_slice)
    }

    /// All nodes that answered, with their answers.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (NodeId, &[Answer])> {
        self.by_node.iter().map(|(node, answers)| (*node, answers.as_slice()))
    }

    /// The elections of terms above `term`, lowest term first.
    pub(crate) fn elections_after(&self, term: Term) -> impl Iterator<Item = (TermLeader, Interval)> {
        let above = self.elections.range((std::ops::Bound::Excluded(term), std::ops::Bound::Unbounded));
        above.map(|(term, (node, at))| (TermLeader { node: *node, term: *term }, *at))
    }

    /// Changes of what the cluster says, in order.
    pub(crate) fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Counts.
    pub(crate) fn observed(&self) -> Observed {
        self.observed
    }
}

fn answers(history: &History) -> (Vec<Answer>, Observed) {
    let (mut answers, mut observed) = (Vec::new(), Observed::default());
    for recorded in &history.events {
        let Event::Observation(observation) = &recorded.event else { continue };
        let belief = match &observation.outcome {
            ObservationOutcome::Answered(belief) => belief,
            ObservationOutcome::Silent(_) => {
                observed.silences += 1;
                continue;
            }
        };
        let to = match observation.source {
            ObservationSource::Poll => observation.received,
            ObservationSource::Push => observation.sent,
        };
        observed.answers += 1;
        observed.claims += u64::from(belief.role == ElectionRole::Leader);
        // Term 0 is where every node begins, before anybody stood for anything.
        if belief.term > Term(0) {
            let (lowest, highest) = observed.terms.unwrap_or((belief.term, belief.term));
            observed.terms = Some((lowest.min(belief.term), highest.max(belief.term)));
        }
        answers.push(Answer {
            node: observation.node,
            incarnation: observation.incarnation,
            from: observation.sent.min(to),
            to,
            role: belief.role,
            term: belief.term,
            leader: belief.leader,
        });
    }
    (answers, observed)
}

/// For each term the leader that the first evidence names, and when it can have been elected: not before the last answer in
/// which that node itself did not claim the term, not after the first evidence by anybody.
fn elections(answers: &[Answer], by_node: &BTreeMap<NodeId, Vec<Answer>>) -> BTreeMap<Term, (NodeId, Interval)> {
    let mut elections: BTreeMap<Term, (NodeId, Interval)> = BTreeMap::new();
    for answer in answers {
        let Some(named) = answer.names() else { continue };
        elections.entry(named.term).or_insert_with(|| {
            let own = by_node.get(&named.node).map_or(&[][..], Vec::as_slice);
            let claims_it = |own: &Answer| own.claims() && own.term == named.term;
            let before = own.iter().take_while(|own| !claims_it(own) && own.term <= named.term && own.to <= answer.to);
            let lo = before.last().map_or(RunNanos::default(), |own| own.from);
            (named.node, Interval::new(lo, answer.to))
        });
    }
    elections
}

/// Follows every node's latest word and notes when the cluster's word changes.
fn changes(answers: &[Answer], majority: usize) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut latest: BTreeMap<NodeId, Answer> = BTreeMap::new();
    // For each node: whom it names, and the earliest moment at which it can have begun to.
    let mut named: BTreeMap<NodeId, (TermLeader, RunNanos)> = BTreeMap::new();
    let (mut highest, mut by_majority): (Option<Term>, Option<TermLeader>) = (None, None);
    for answer in answers {
        let since = latest.insert(answer.node, *answer).map_or(answer.from, |previous| previous.from);
        let at = Interval::new(since, answer.moment().hi);
        if highest.is_none_or(|highest| answer.term > highest) {
            highest = Some(answer.term);
            changes.push(Change { at, what: Changed::Term(answer.term) });
        }
        let Some(leader) = answer.names() else {
            named.remove(&answer.node);
            continue;
        };
        if named.get(&answer.node).is_some_and(|(before, _)| *before == leader) {
            continue;
        }
        named.insert(answer.node, (leader, since));
        let mut adopted: Vec<RunNanos> = named.values().filter(|(who, _)| *who == leader).map(|(_, at)| *at).collect();
        if by_majority != Some(leader) && adopted.len() >= majority {
            adopted.sort_unstable();
            by_majority = Some(leader);
            let at = Interval::new(adopted[majority - 1], answer.to);
            changes.push(Change { at, what: Changed::Majority(leader) });
        }
    }
    changes
}
