//! Where nodes speak only of themselves: who claims, who doesn't, and when exactly one did.
//!
//! Nobody names a leader there, so no majority can be seen to agree. What can be seen is that one node claims to lead and every
//! other one says that it doesn't, or can't say or do anything because it has no process or is stopped. The first such moment
//! stands in for a majority's agreement:
//!
//! ```text
//!  n1  claims ═════════════|····|not════════════
//!  n2  not ════|···|claims ═════════════════════
//!  n3  not ═════════════════════════════════════
//!                   ^ elected   ^ only n2 claims: not later than this, and not before its election
//! ```
//!
//! An answer proves itself only at its own moment; two alike with no other between prove what lies between them. Nothing here
//! says what anybody but the node itself believed.

use std::collections::BTreeMap;

use chaos_history::{NodeId, RunNanos, Term};

use crate::analysis::TermLeader;
use crate::beliefs::{Answer, Change, Changed};
use crate::conditions::Conditions;
use crate::interval::Interval;

/// When each elected leader was first the only one that claimed to lead.
pub(crate) fn sole_claims(
    by_node: &BTreeMap<NodeId, Vec<Answer>>,
    elections: &BTreeMap<Term, (NodeId, Interval)>,
    conditions: &Conditions,
) -> Vec<Change> {
    let silent: BTreeMap<NodeId, Vec<Interval>> =
        NodeId::all(conditions.nodes()).map(|node| (node, quiet(node, by_node, conditions))).collect();
    let holds = |spans: &[Interval], at: RunNanos| spans.iter().any(|span| span.lo <= at && at <= span.hi);
    let change = |(term, (node, elected)): (&Term, &(NodeId, Interval))| {
        let answers = by_node.get(node).map_or(&[][..], Vec::as_slice);
        let claims = runs(*node, answers, conditions, |answer| answer.claims() && answer.term == *term);
        let begins = silent.values().flatten().chain(&claims).map(|span| span.lo);
        let alone = |at: &RunNanos| {
            holds(&claims, *at) && silent.iter().all(|(other, spans)| other == node || holds(spans, *at))
        };
        let hi = begins.filter(alone).min()?;
        let leader = TermLeader { node: *node, term: *term };
        Some(Change { at: Interval::new(elected.lo, hi), what: Changed::Majority(leader) })
    };
    elections.iter().filter_map(change).collect()
}

/// When a node surely led nobody: by its own word, or because it did not run.
fn quiet(node: NodeId, by_node: &BTreeMap<NodeId, Vec<Answer>>, conditions: &Conditions) -> Vec<Interval> {
    let answers = by_node.get(&node).map_or(&[][..], Vec::as_slice);
    let mut spans = runs(node, answers, conditions, |answer| !answer.claims());
    spans.extend(conditions.down(node).iter().chain(conditions.paused(node)));
    spans
}

/// The stretches that runs of answers of one kind prove. A node's last word counts until its process ends or the history does.
fn runs(node: NodeId, answers: &[Answer], conditions: &Conditions, is: impl Fn(&Answer) -> bool) -> Vec<Interval> {
    let same = |one: &Answer, other: &Answer| is(one) == is(other) && one.incarnation == other.incarnation;
    let (mut spans, mut end) = (Vec::new(), 0);
    for run in answers.chunk_by(same) {
        end += run.len();
        let last = run[run.len() - 1].from;
        let until = if end < answers.len() { last } else { conditions.ends_after(node, last) };
        if is(&run[0]) && run[0].to <= until {
            spans.push(Interval { lo: run[0].to, hi: until });
        }
    }
    spans
}
