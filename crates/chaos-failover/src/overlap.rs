//! Two leaders at once: for how long certainly, for how long at most.
//!
//! Leadership of a term is one contiguous stretch within one incarnation of a node, since regaining it takes a campaign and
//! a campaign raises the term. So two claims of one term prove everything between them: the guaranteed stretch
//! `G = [first claim's answer, last claim's question]`. The possible stretch `P` reaches from the last answer before that was no
//! claim to the first after, or to the process's end.
//!
//! ```text
//!  answers     f     f     L     L     L     f
//!                    └─────|──── P ────|─────┘
//!                          └──── G ────┘
//! ```
//!
//! A stopped process leads nobody: its pauses are taken out of `G` and stay in `P`. Leaders of different terms may overlap in a
//! correct Raft; this measures, and judges nothing.

use std::time::Duration;

use chaos_history::{RunNanos, Term};

use crate::analysis::{Overlap, TermLeader};
use crate::beliefs::{Answer, Beliefs};
use crate::conditions::{Conditions, merge};
use crate::interval::{Elapsed, Interval};

/// One node's leadership of one term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leadership {
    pub(crate) leader: TermLeader,
    /// Stretches in which it led for certain.
    guaranteed: Vec<Interval>,
    /// Outside of this it did not lead.
    possible: Interval,
}

/// All leaderships that were claimed, by the start of their possible stretch.
pub(crate) fn leaderships(beliefs: &Beliefs, conditions: &Conditions) -> Vec<Leadership> {
    let mut found = Vec::new();
    for (node, answers) in beliefs.nodes() {
        let same = |one: &Answer, other: &Answer| {
            one.claims() == other.claims()
                && (!one.claims() || (one.term == other.term && one.incarnation == other.incarnation))
        };
        let mut begin: usize = 0;
        for run in answers.chunk_by(same) {
            let (first, last) = (run[0], run[run.len() - 1]);
            let previous = begin.checked_sub(1).map(|index| answers[index]);
            let next = answers.get(begin + run.len());
            begin += run.len();
            if !first.claims() {
                continue;
            }
            let died = conditions.down(node).iter().map(|span| span.lo).find(|at| *at >= last.from);
            let lost = next.map_or(conditions.end(), |next| next.to);
            let possible = Interval::new(
                previous.map_or(RunNanos::default(), |previous| previous.from),
                died.map_or(lost, |died| died.min(lost)),
            );
            let certain = (first.to <= last.from).then_some(Interval { lo: first.to, hi: last.from });
            let guaranteed = certain.map_or_else(Vec::new, |span| without(span, conditions.maybe_stopped(node)));
            found.push(Leadership { leader: TermLeader { node, term: first.term }, guaranteed, possible });
        }
    }
    found.extend(unclaimed(beliefs, conditions));
    found.sort_by_key(|leadership| (leadership.possible.lo, leadership.leader));
    found
}

/// Leaderships that only others told of: the leader was elected, and nobody asked it in time. Nothing of them is certain.
fn unclaimed(beliefs: &Beliefs, conditions: &Conditions) -> Vec<Leadership> {
    let unclaimed = beliefs.elections_after(Term(0)).filter_map(|(leader, elected)| {
        let own = beliefs.of(leader.node);
        if own.iter().any(|answer| answer.claims() && answer.term == leader.term) {
            return None;
        }
        let left = own.iter().find(|answer| answer.term > leader.term).map_or(conditions.end(), |answer| answer.to);
        let died = conditions.down(leader.node).iter().map(|span| span.lo).find(|at| *at >= elected.hi);
        let possible = Interval::new(elected.lo, died.map_or(left, |died| died.min(left)));
        Some(Leadership { leader, guaranteed: Vec::new(), possible })
    });
    unclaimed.collect()
}

/// Every pair of different nodes whose leaderships did or may have overlapped, the older term first. Pairs that may have but
/// need not have, and then only within the error of the measurement, are kept too: the reader decides.
pub(crate) fn overlaps(leaderships: &[Leadership]) -> Vec<Overlap> {
    let mut overlaps = Vec::new();
    for (index, one) in leaderships.iter().enumerate() {
        let later = leaderships[index + 1..].iter().take_while(|other| other.possible.lo <= one.possible.hi);
        overlaps.extend(later.filter_map(|other| overlap(one, other)));
    }
    overlaps.sort_by_key(|overlap| overlap.span.lo);
    overlaps
}

/// For how long more than one node led: for certain and at most. Moments with three leaders count once.
pub(crate) fn total(leaderships: &[Leadership]) -> Elapsed {
    let (mut certain, mut possible) = (Vec::new(), Vec::new());
    for (index, one) in leaderships.iter().enumerate() {
        let later = leaderships[index + 1..].iter().take_while(|other| other.possible.lo <= one.possible.hi);
        for other in later.filter(|other| other.leader.node != one.leader.node) {
            possible.extend(one.possible.shared(other.possible));
            certain.extend(one.guaranteed.iter().flat_map(|a| other.guaranteed.iter().filter_map(|b| a.shared(*b))));
        }
    }
    let covered = |mut spans: Vec<Interval>| {
        merge(&mut spans);
        spans.iter().map(|span| span.length()).sum()
    };
    Elapsed { lo: covered(certain), hi: covered(possible) }
}

fn overlap(one: &Leadership, other: &Leadership) -> Option<Overlap> {
    if one.leader.node == other.leader.node {
        return None;
    }
    let possible = one.possible.shared(other.possible)?;
    let (older, newer) = if one.leader.term <= other.leader.term { (one, other) } else { (other, one) };
    let pairs = one.guaranteed.iter().flat_map(|a| other.guaranteed.iter().filter_map(|b| a.shared(*b)));
    let certain: Vec<Interval> = pairs.collect();
    let span = match (certain.first(), certain.last()) {
        (Some(first), Some(last)) => Interval { lo: first.lo, hi: last.hi },
        (None, _) | (_, None) => possible,
    };
    let lo: Duration = certain.iter().map(|span| span.length()).sum();
    Some(Overlap { older: older.leader, newer: newer.leader, lasted: Elapsed { lo, hi: possible.length() }, span })
}

/// What remains of `span` outside of `holes` (sorted, disjoint).
fn without(span: Interval, holes: &[Interval]) -> Vec<Interval> {
    let mut rest = Vec::new();
    let mut lo = span.lo;
    for hole in holes.iter().filter(|hole| hole.meets(span)) {
        if lo < hole.lo {
            rest.push(Interval { lo, hi: hole.lo });
        }
        lo = lo.max(hole.hi);
    }
    if lo <= span.hi {
        rest.push(Interval { lo, hi: span.hi });
    }
    rest
}
