//! `TermMonotonic`: a node's term never goes back, restarts included (Raft, figure 2: `currentTerm` increases monotonically
//! and is persisted before any answer).
//!
//! Two observations of a node are compared only if the first one's answer had arrived when the second one's question left:
//! concurrent ones may have been answered in either order. One sweep per node: for each observation, in order of `sent`, the
//! highest term among those received before. O(n log n). A fall that no pair of observations straddles is not seen. A node that was
//! removed from the cluster and has joined it anew, with an empty disk, begins anew; what it says from the removal on until then counts for
//! nothing.
//!
//! ```text
//!   [ term 5 ]   received
//!                    ├──────► sent   [ term 4 ]      a violation
//!   [ term 5     ]
//!            [ term 4     ]                          concurrent: says nothing
//! ```

use std::collections::{BTreeMap, BTreeSet};

use chaos_history::{History, NodeId, TermsFrom};

use crate::answers::{Answer, answers};
use crate::election::without_terms;
use crate::text::count;
use crate::verdict::{Verdict, Witness};

/// A node's term never goes back.
pub(crate) fn term_monotonic(history: &History) -> (Verdict, String) {
    if history.header.testimony.terms == TermsFrom::Reigns {
        return without_terms(history);
    }
    let answers = answers(history);
    let mut by_node: BTreeMap<(NodeId, usize), Vec<Answer<'_>>> = BTreeMap::new();
    for answer in &answers.told {
        let Some(membership) = answer.membership else { continue };
        by_node.entry((answer.node, membership)).or_default().push(*answer);
    }
    let nodes: BTreeSet<NodeId> = by_node.keys().map(|(node, _)| *node).collect();
    let basis = format!("{}, {}", count(nodes.len(), "node"), count(answers.told.len(), "observation"));
    let mut compared = 0;
    let mut worst: Option<(Answer<'_>, Answer<'_>)> = None;
    for of_node in by_node.values() {
        let (fall, pairs) = first_fall(of_node);
        compared += pairs;
        let earlier = |fall: &(Answer<'_>, Answer<'_>)| worst.is_none_or(|worst| fall.1.received < worst.1.received);
        worst = fall.filter(earlier).or(worst);
    }
    let verdict = match worst {
        Some((before, after)) => Verdict::Invalid(fell(&before, &after)),
        None if compared == 0 => Verdict::Unknown("no node was observed twice, one after the other".to_owned()),
        None => Verdict::Valid,
    };
    (answers.conclude(verdict), basis)
}

/// The first fall of one node's term in order of asking, and how many observations had one before them to compare with.
fn first_fall<'a>(of_node: &[Answer<'a>]) -> (Option<(Answer<'a>, Answer<'a>)>, usize) {
    let mut by_sent = of_node.to_vec();
    by_sent.sort_by_key(|answer| (answer.sent, answer.line));
    let mut by_received = of_node.to_vec();
    by_received.sort_by_key(|answer| (answer.received, answer.line));
    let mut arrived = by_received.into_iter().peekable();
    let mut highest: Option<Answer<'a>> = None;
    let mut compared = 0;
    for answer in by_sent {
        while let Some(before) = arrived.next_if(|before| before.received < answer.sent) {
            if highest.is_none_or(|highest| before.belief.term >= highest.belief.term) {
                highest = Some(before);
            }
        }
        let Some(before) = highest else { continue };
        compared += 1;
        if before.belief.term > answer.belief.term {
            return (Some((before, answer)), compared);
        }
    }
    (None, compared)
}

fn fell(before: &Answer<'_>, after: &Answer<'_>) -> Witness {
    let (node, high, low) = (after.node, before.belief.term, after.belief.term);
    let restart = if before.incarnation == after.incarnation { "" } else { ", across a restart" };
    Witness::new(
        format!("{node} went back from term {high} to term {low}{restart}"),
        vec![before.line, after.line],
        vec![
            before.step(),
            after.step(),
            format!(
                "the answer of line {} had arrived {:?} before the question of line {} left",
                before.line,
                after.sent.since(before.received),
                after.line
            ),
        ],
        after.received,
        vec![node],
    )
}
