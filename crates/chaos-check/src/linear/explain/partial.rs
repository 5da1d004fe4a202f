//! The longest partial order of a counterexample: how far a legal order of its operations comes before an answer fits nowhere.
//!
//! All partial orders are tried, with a memory of (set of operations, state), as in Lowe's search ("Testing for
//! linearizability", 2017): 2ⁿ in the worst case, bounded, and n is a dozen. Looks at the operations in the form in which they
//! stay, but between the stamps as recorded, so that each point lies inside its bar.

use super::Cast;
use crate::linear::entry::Entry;
use crate::linear::model::Model;

/// Partial orders that are looked at.
const PARTIAL_ORDERS_MAX: usize = 5_000;
/// Operations of which partial orders are looked at.
const OPERATIONS_MAX: usize = 64;

/// A legal order of some operations, and the answer at which it ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partial {
    /// The operations, as places in the counterexample.
    pub order: Vec<usize>,
    /// The first answered operation that has no place behind them, as a place in the counterexample. `None` if there were too
    /// many orders to try them all.
    pub culprit: Option<usize>,
}

struct Node<S> {
    placed: u64,
    state: S,
    parent: Option<(usize, usize)>,
}

pub(super) fn longest<M: Model>(model: &M, cast: &[Cast], forms: &[M::Op], entries: &[Entry<M::Op>]) -> Partial {
    let original = |place: usize| &entries[cast[place].index as usize];
    let answers = |place: &usize| cast[*place].answer_matters;
    if cast.len() > OPERATIONS_MAX {
        return Partial::default();
    }
    let mut nodes = vec![Node { placed: 0, state: model.initial(), parent: None }];
    let (mut best, mut next) = (None, 0);
    while next < nodes.len() && nodes.len() < PARTIAL_ORDERS_MAX {
        let placed = nodes[next].placed;
        let left = || (0..cast.len()).filter(|place| placed >> place & 1 == 0);
        let culprit = left().filter(answers).min_by_key(|&place| original(place).answered);
        let answered = (0..cast.len()).filter(answers).filter(|place| placed >> place & 1 == 1).count();
        let deadline = culprit.and_then(|place| original(place).answered);
        // Most answers; among those the latest culprit; among those the fewest operations.
        let score = (answered, deadline, std::cmp::Reverse(placed.count_ones()));
        if best.as_ref().is_none_or(|(best, _, _)| score > *best) {
            best = Some((score, next, culprit));
        }
        for place in left() {
            // Whatever was over before it began must be in the order already.
            if left().any(|other| answers(&other) && original(other).answered < Some(original(place).invoked)) {
                continue;
            }
            // Nor may it be over before one that is in the order began.
            let over = |earlier: usize| original(place).answered.is_some_and(|end| end < original(earlier).invoked);
            if (0..cast.len()).any(|earlier| placed >> earlier & 1 == 1 && over(earlier)) {
                continue;
            }
            let Some(state) = model.apply(&nodes[next].state, &forms[place]) else { continue };
            let placed = placed | 1 << place;
            if !nodes.iter().rev().any(|node| node.placed == placed && node.state == state) {
                nodes.push(Node { placed, state, parent: Some((next, place)) });
            }
        }
        next += 1;
    }
    // Of a search that was cut short nobody knows what is longest, nor whom to blame.
    if next < nodes.len() {
        return Partial::default();
    }
    let Some((_, mut node, culprit)) = best else { return Partial::default() };
    let mut order = Vec::new();
    while let Some((parent, place)) = nodes[node].parent {
        order.push(place);
        node = parent;
    }
    order.reverse();
    Partial { order, culprit }
}
