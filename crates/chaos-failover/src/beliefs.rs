//! Who named whom as leader of which term, and when each change can have happened.
//!
//! A node's answer was true at some instant between question and answer; what a node says unasked was true at its own stamp.
//! So a change lies between the last old answer's `from` and the first new answer's `to`. "i leads t" and "i believes that j
//! leads t" are both evidence that j was elected in t: a node adopts a leader only when it hears from it in that term.

use std::collections::BTreeMap;

use chaos_history::{ElectionRole, Event, History, NodeId, ObservationOutcome, ObservationSource, RunNanos, Term};

use crate::analysis::{Observed, TermLeader};
use crate::claims::sole_claims;
use crate::conditions::Conditions;
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

    /// Whether both say the same.
    fn agrees(&self, other: &Self) -> bool {
        (self.incarnation, self.role, self.term, self.leader)
            == (other.incarnation, other.role, other.term, other.leader)
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
    /// A majority of all nodes came to name this leader or, where nodes speak only of themselves, it alone claimed to lead.
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
    pub(crate) fn read(history: &History, conditions: &Conditions) -> Self {
        let (answers, observed) = answers(history);
        let mut by_node: BTreeMap<NodeId, Vec<Answer>> = BTreeMap::new();
        for answer in answers {
            by_node.entry(answer.node).or_default().push(answer);
        }
        by_node.values_mut().for_each(|answers| settle(answers));
        let mut answers: Vec<Answer> = by_node.values().flatten().copied().collect();
        answers.sort_by_key(|answer| (answer.to, answer.from));
        let elections = elections(&answers, &by_node);
        let mut changes = rises(&answers, &by_node, conditions);
        changes.extend(if history.header.testimony.names_leader {
            convergences(&by_node, &elections, conditions)
        } else {
            sole_claims(&by_node, &elections, conditions)
        });
        changes.sort_by_key(|change| (change.at.hi, change.at.lo));
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

/// Puts one node's answers in order. What it pushed has a moment; a question under way at that moment was answered before it or
/// after it, and which of them the answer itself tells: a term is never taken back, and a state that is left doesn't come again.
fn settle(answers: &mut [Answer]) {
    answers.sort_by_key(|answer| (answer.to, answer.from));
    let pushed: Vec<Answer> = answers.iter().filter(|answer| answer.from == answer.to).copied().collect();
    for answer in answers.iter_mut().filter(|answer| answer.from < answer.to) {
        let first = pushed.partition_point(|push| push.from <= answer.from);
        let within: Vec<&Answer> = pushed[first..].iter().take_while(|push| push.from < answer.to).collect();
        let place = within.iter().rposition(|push| push.agrees(answer));
        let (since, until) = match place {
            Some(place) => (Some(within[place]), within.get(place + 1).copied()),
            None => (
                within.iter().rfind(|push| push.term < answer.term).copied(),
                within.iter().find(|push| is_left(answer, push)).copied(),
            ),
        };
        answer.from = since.map_or(answer.from, |since| since.from);
        answer.to = until.map_or(answer.to, |until| until.from).max(answer.from);
    }
    answers.sort_by_key(|answer| (answer.to, answer.from));
}

/// Whether a node that says `later` has left `earlier` behind: it has a higher term, or leads the one that it stood for.
fn is_left(earlier: &Answer, later: &Answer) -> bool {
    earlier.term < later.term || (earlier.term == later.term && later.names().is_some() && earlier.names().is_none())
}

/// When the highest term of all rose: not before the last answer with a lower term of the nodes that came to have it.
fn rises(answers: &[Answer], by_node: &BTreeMap<NodeId, Vec<Answer>>, conditions: &Conditions) -> Vec<Change> {
    let (mut rises, mut highest) = (Vec::new(), None);
    for answer in answers {
        if highest.is_some_and(|highest| answer.term <= highest) {
            continue;
        }
        highest = Some(answer.term);
        let since = by_node.iter().filter_map(|(node, own)| {
            let index = own.iter().position(|own| own.term >= answer.term)?;
            let before = index.checked_sub(1).map_or(RunNanos::default(), |before| own[before].from);
            Some(conditions.awake_from(*node, before))
        });
        let at = Interval::new(since.min().unwrap_or_default(), answer.to);
        rises.push(Change { at, what: Changed::Term(answer.term) });
    }
    rises
}

/// When a majority of all nodes came to name each leader that was ever named.
///
/// ```text
///  n2  ----|=====naming=====|····      proven from the first answer that names it to the last
///  n3  ---------|=====naming=====      upper bound: the first moment that is proven for a majority
///       ^  ^                           lower bound: the moment at which a majority can have begun, each node by itself
/// ```
///
/// A node's last word counts until its process ends or the history does: nothing contradicts it.
fn convergences(
    by_node: &BTreeMap<NodeId, Vec<Answer>>,
    elections: &BTreeMap<Term, (NodeId, Interval)>,
    conditions: &Conditions,
) -> Vec<Change> {
    let mut proven: BTreeMap<TermLeader, Vec<Interval>> = BTreeMap::new();
    for (node, answers) in by_node {
        let same = |one: &Answer, other: &Answer| one.names() == other.names() && one.incarnation == other.incarnation;
        let mut end = 0;
        for run in answers.chunk_by(same) {
            end += run.len();
            let Some(leader) = run[0].names() else { continue };
            let last = run[run.len() - 1].from;
            let until = if end < answers.len() { last } else { conditions.ends_after(*node, last) };
            if run[0].to <= until {
                proven.entry(leader).or_default().push(Interval { lo: run[0].to, hi: until });
            }
        }
    }
    let change = |(leader, proven): (TermLeader, Vec<Interval>)| {
        let holds = |at: RunNanos| proven.iter().filter(|span| span.lo <= at && at <= span.hi).count();
        let agreed = proven.iter().map(|span| span.lo).filter(|at| holds(*at) >= conditions.majority());
        let hi = agreed.min()?;
        let elected = elections.get(&leader.term).filter(|(node, _)| *node == leader.node).map(|(_, at)| at.lo);
        let nodes = NodeId::all(conditions.nodes());
        let possible = |node| {
            let answers = by_node.get(&node).map_or(&[][..], Vec::as_slice);
            adopts(node, answers, leader.term, elected.unwrap_or_default(), conditions)
        };
        let mut adopted: Vec<RunNanos> = nodes.filter_map(possible).collect();
        adopted.sort_unstable();
        let lo = adopted.get(conditions.majority() - 1).copied().unwrap_or_default();
        Some(Change { at: Interval::new(lo, hi), what: Changed::Majority(leader) })
    };
    proven.into_iter().filter_map(change).collect()
}

/// The first moment from `elected` on at which the node can have begun to name the leader of `term`: while it ran, between an
/// answer of that term or below and one of that term or above.
fn adopts(
    node: NodeId,
    answers: &[Answer],
    term: Term,
    elected: RunNanos,
    conditions: &Conditions,
) -> Option<RunNanos> {
    let first = answers.partition_point(|answer| answer.to < elected);
    (first..=answers.len()).find_map(|index| {
        let before = index.checked_sub(1).map(|before| answers[before]);
        let after = answers.get(index);
        let fits = before.is_none_or(|before| before.term <= term) && after.is_none_or(|after| term <= after.term);
        let since = before.map_or(RunNanos::default(), |before| before.from).max(elected);
        let at = conditions.awake_from(node, since);
        (fits && after.is_none_or(|after| at <= after.to)).then_some(at)
    })
}
