//! `NoStaleLeaderAfterHeal`: once everything has been whole for a while, one node claims to lead, and none for an old term.
//!
//! *When.* Epochs of the [topology](crate::topology) in which all nodes are up and unpaused, no link is cut and no fault
//! holds; from `within` (plus whatever time the host stalled in the epoch) after their begin, to their end. The first one
//! begins when the last node is ready, which counts as a heal like any other.
//!
//! *What.* Two things, each a proof:
//!
//! 1. *Two at once, for longer than `within`.* In Raft, leadership of a term is one contiguous interval within one incarnation: regaining it takes a
//!    campaign, which raises the term. So claims of (node, incarnation, term) in [a1, b1] and [a2, b2], without another answer
//!    of that node between them, prove leadership on all of G = [b1, a2]. Two such intervals of different nodes have more
//!    than `within` in common.
//! 2. *An old one.* A node claims to lead a term, to a question that left more than `within` after somebody's answer had named
//!    *another* node leader of a *higher* term. Whoever leads a whole cluster hears of higher terms with the next heartbeat's answer.
//!
//! Elections happen in a whole cluster, too (a host that stalls is enough), and whoever is deposed by one leads on until it hears of it:
//! that is no fault of Raft's, and has the same bound as the heal. (Two leaders of *one* term are
//! [`ElectionSafety`](crate::Property::ElectionSafety)'s, however short.)
//!
//! ```text
//!   heal
//!   n1:   [claim 4]────────────────[claim 4]      G of n1: ├──────────────┤
//!   n2:        [claim 5]────────────────[claim 5] G of n2:      ├──────────────┤
//!                                                               ├─ within? ┤
//! ```
//!
//! Where the system shows no terms, the first rests on the assumption of [`one_leader`](crate::one_leader): claims that follow each
//! other within its gap are one reign. The second needs terms: a lead that was lost and won back unseen keeps its number.
//!
//! What lies between two observations is not seen: `Valid` is about the rate of observation at hand.
//! O(n log n) plus the pairs of leaderships in one epoch.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chaos_history::{History, NodeId, RunNanos, Term, TermsFrom};

use crate::answers::{Answer, Answers, answers};
use crate::one_leader::REIGN_GAP;
use crate::text::{count, seconds};
use crate::topology::{Epoch, Topology, stalled};
use crate::verdict::{Verdict, Witness};

/// A healed epoch from the moment at which claims count.
struct Period<'a> {
    epoch: &'a Epoch,
    from: RunNanos,
}

impl Period<'_> {
    fn covers(&self, at: RunNanos) -> bool {
        self.from < at && at <= self.epoch.to
    }
}

/// Leadership proved by claims in order, none of them contradicted in between.
struct Reign<'a> {
    claims: Vec<Answer<'a>>,
}

impl Reign<'_> {
    fn node(&self) -> NodeId {
        self.claims[0].node
    }

    /// The instants at which the node led for certain, if there are any.
    fn guaranteed(&self) -> Option<(RunNanos, RunNanos)> {
        let (from, to) = (self.claims.first()?.received, self.claims.last()?.sent);
        (from <= to).then_some((from, to))
    }

    /// The last claim answered by the begin of an interval and the first one asked from its end on.
    fn around(&self, from: RunNanos, to: RunNanos) -> [&Answer<'_>; 2] {
        let before = self.claims.iter().rfind(|claim| claim.received <= from);
        let after = self.claims.iter().find(|claim| claim.sent >= to);
        let (first, last) = (&self.claims[0], &self.claims[self.claims.len() - 1]);
        [before.unwrap_or(first), after.unwrap_or(last)]
    }
}

/// After a heal one node leads, and none leads an old term.
pub(crate) fn no_stale_leader_after_heal(history: &History, within: Duration) -> (Verdict, String) {
    let Answers { told: answers, malformed } = answers(history);
    if let Some(reason) = malformed {
        return (Verdict::Unknown(reason), "malformed observations".to_owned());
    }
    let topology = Topology::of(history);
    let periods: Vec<Period<'_>> = topology
        .epochs
        .iter()
        .filter(|epoch| epoch.is_whole(topology.nodes))
        .map(|epoch| Period { epoch, from: epoch.from + within + stalled(history, epoch.from, epoch.to) })
        .filter(|period| period.from < period.epoch.to)
        .collect();
    let covered = |answer: &&Answer<'_>| periods.iter().any(|period| period.covers(answer.sent));
    let asked: Vec<&Answer<'_>> = answers.iter().filter(covered).collect();
    let basis = format!(
        "{} healed for more than {}, {} in them",
        count(periods.len(), "period"),
        seconds(within),
        count(asked.len(), "observation")
    );
    if periods.is_empty() {
        let reason = format!("the cluster was never whole for longer than {}", seconds(within));
        return (Verdict::Unknown(reason), basis);
    }
    let terms = history.header.testimony.terms;
    let reigns = reigns(&answers, terms);
    let violation = two_at_once(history, &reigns, &periods, within).or_else(|| match terms {
        TermsFrom::System => an_old_one(history, &answers, &periods, within),
        TermsFrom::Reigns => None,
    });
    if let Some(witness) = violation {
        return (Verdict::Invalid(witness), basis);
    }
    let heard: BTreeSet<NodeId> = asked.iter().map(|answer| answer.node).collect();
    let verdict = match NodeId::all(topology.nodes).find(|node| !heard.contains(node)) {
        Some(node) => Verdict::Unknown(format!("{node} never answered in a healed period")),
        None => Verdict::Valid,
    };
    (verdict, basis)
}

/// All leaderships that the answers prove.
fn reigns<'a>(answers: &[Answer<'a>], terms: TermsFrom) -> Vec<Reign<'a>> {
    let mut by_node: BTreeMap<NodeId, Vec<Answer<'a>>> = BTreeMap::new();
    for answer in answers {
        by_node.entry(answer.node).or_default().push(*answer);
    }
    let mut reigns: Vec<Reign<'a>> = Vec::new();
    for mut of_node in by_node.into_values() {
        of_node.sort_by_key(|answer| (answer.sent, answer.received));
        let same = |one: &Answer<'_>, other: &Answer<'_>| {
            let close = terms == TermsFrom::System || other.received.since(one.sent) <= REIGN_GAP;
            close
                && one.claims()
                && other.claims()
                && (one.incarnation, one.belief.term) == (other.incarnation, other.belief.term)
        };
        let runs = of_node.chunk_by(same).filter(|run| run[0].claims());
        reigns.extend(runs.map(|run| Reign { claims: run.to_vec() }));
    }
    reigns
}

fn two_at_once(history: &History, reigns: &[Reign<'_>], periods: &[Period<'_>], within: Duration) -> Option<Witness> {
    for period in periods {
        let inside = |reign: &Reign<'_>| {
            let (from, to) = reign.guaranteed()?;
            let (from, to) = (from.max(period.epoch.from), to.min(period.epoch.to));
            (from < to).then_some((from, to))
        };
        let mut here: Vec<(RunNanos, RunNanos, &Reign<'_>)> =
            reigns.iter().filter_map(|reign| inside(reign).map(|(from, to)| (from, to, reign))).collect();
        here.sort_by_key(|&(from, to, reign)| (from, to, reign.node()));
        for (index, &(_, one_to, one)) in here.iter().enumerate() {
            let overlaps = here[index + 1..].iter().take_while(|&&(from, _, _)| from < one_to);
            for &(from, other_to, other) in overlaps.filter(|(_, _, other)| other.node() != one.node()) {
                let to = one_to.min(other_to);
                if to.since(from) > within + stalled(history, from, to) {
                    return Some(both_lead(one, other, (from, to), period, within));
                }
            }
        }
    }
    None
}

fn healed(period: &Period<'_>) -> String {
    match period.epoch.line {
        Some(line) => format!("line {line}: from {} on all nodes were up and nothing was broken", period.epoch.from),
        None => "before line 2: all nodes were up and nothing was broken from the begin".to_owned(),
    }
}

fn both_lead(
    one: &Reign<'_>,
    other: &Reign<'_>,
    (from, to): (RunNanos, RunNanos),
    period: &Period<'_>,
    within: Duration,
) -> Witness {
    let claims: Vec<&Answer<'_>> = [one, other].into_iter().flat_map(|reign| reign.around(from, to)).collect();
    let mut steps = vec![healed(period)];
    steps.extend(claims.iter().map(|claim| claim.step()));
    let word = one.claims[0].terms.word();
    for pair in claims.chunks_exact(2) {
        steps.push(format!(
            "lines {} and {}: {} led {word} {} without interruption from {} to {}",
            pair[0].line, pair[1].line, pair[0].node, pair[0].belief.term, pair[0].received, pair[1].sent
        ));
    }
    let sentence = format!(
        "{} ({word} {}) and {} ({word} {}) both led for {}, from {from} on, {} after the heal (bound {})",
        one.node(),
        one.claims[0].belief.term,
        other.node(),
        other.claims[0].belief.term,
        seconds(to.since(from)),
        seconds(from.since(period.epoch.from)),
        seconds(within)
    );
    let lines = claims.iter().map(|claim| claim.line).chain(period.epoch.line).collect();
    Witness::new(sentence, lines, steps, from + within, vec![one.node(), other.node()])
}

fn an_old_one(history: &History, answers: &[Answer<'_>], periods: &[Period<'_>], within: Duration) -> Option<Witness> {
    let mut by_sent: Vec<&Answer<'_>> = answers.iter().collect();
    by_sent.sort_by_key(|answer| (answer.sent, answer.line));
    let mut by_received = by_sent.clone();
    by_received.sort_by_key(|answer| (answer.received, answer.line));
    // When each leader of each term was named first.
    let mut named: BTreeMap<(Term, NodeId), &Answer<'_>> = BTreeMap::new();
    for answer in by_received {
        if let Some(leader) = answer.named() {
            named.entry(leader).or_insert(answer);
        }
    }
    for claim in by_sent.into_iter().filter(|claim| claim.claims()) {
        let Some(period) = periods.iter().find(|period| period.covers(claim.sent)) else { continue };
        let late = |answer: &Answer<'_>| {
            claim.sent.since(answer.received) > within + stalled(history, answer.received, claim.sent)
        };
        let higher = (Term(claim.belief.term.0.saturating_add(1)), NodeId::new(1));
        let newer = named.range(higher..).find(|&(&(_, leader), answer)| leader != claim.node && late(answer));
        if let Some((&(_, leader), newer)) = newer {
            return Some(superseded(claim, leader, newer, period, within));
        }
    }
    None
}

fn superseded(
    claim: &Answer<'_>,
    leader: NodeId,
    newer: &Answer<'_>,
    period: &Period<'_>,
    within: Duration,
) -> Witness {
    let sentence = format!(
        "{} still claimed to lead term {}, {} after the heal (bound {}), when {leader} had already led term {}",
        claim.node,
        claim.belief.term,
        seconds(claim.sent.since(period.epoch.from)),
        seconds(within),
        newer.belief.term
    );
    let steps = vec![healed(period), newer.step(), claim.step()];
    let lines = [newer.line, claim.line].into_iter().chain(period.epoch.line).collect();
    Witness::new(sentence, lines, steps, claim.received, vec![claim.node, leader])
}
