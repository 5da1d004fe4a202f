//! The general search: exact for every model, exponential in the worst case, bounded.
//!
//! Wing and Gong's search with Lowe's memory of visited configurations ("Testing for linearizability", 2017).

use std::collections::BTreeMap;

use super::decision::{Budget, Spent, Undecided};
use super::entry::Op;
use super::model::Model;

/// What a search found. Numbers are places in the operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A legal order; operations without an answer that are missing never took effect.
    Order(Vec<u32>),
    /// There is none, and there is none already of what had begun when `at` was answered.
    Nothing {
        /// An answered operation.
        at: u32,
    },
    /// The budget is spent.
    Spent(Undecided),
}

/// Decides `ops`, ascending by `call`.
#[must_use]
pub fn decide<M: Model>(model: &M, ops: &[Op<M::Op>], budget: &Budget<'_>) -> Found {
    let mut visited: BTreeMap<Vec<u64>, Vec<M::State>> = BTreeMap::new();
    let mut open = vec![(vec![0_u64; ops.len().div_ceil(64)], model.initial(), Vec::<u32>::new())];
    let (mut configurations, mut reached): (u64, Option<u32>) = (0, None);
    while let Some((placed, state, order)) = open.pop() {
        let left = || (0_u32..).zip(ops).filter(|(index, _)| placed[*index as usize / 64] >> (index % 64) & 1 == 0);
        let Some((last, first)) = left().filter(|(_, op)| op.ret.is_some()).min_by_key(|(_, op)| op.deadline()) else {
            return Found::Order(order);
        };
        if reached.is_none_or(|reached| ops[reached as usize].deadline() < first.deadline()) {
            reached = Some(last);
        }
        for (index, op) in left().filter(|(_, op)| op.call < first.deadline()) {
            let Some(next) = model.apply(&state, &op.what) else { continue };
            let mut placed = placed.clone();
            placed[index as usize / 64] |= 1 << (index % 64);
            let states = visited.entry(placed.clone()).or_default();
            if states.contains(&next) {
                continue;
            }
            states.push(next.clone());
            configurations += 1;
            let order = order.iter().copied().chain([index]).collect();
            open.push((placed, next, order));
        }
        let answers_proved =
            reached.map_or(0, |at| ops.iter().filter(|op| op.deadline() < ops[at as usize].deadline()).count() as u64);
        let spent = if budget.stopped() {
            Spent::Stopped
        } else if configurations >= budget.configurations {
            Spent::Configurations
        } else {
            continue;
        };
        return Found::Spent(Undecided { spent, reached, answers_proved, configurations });
    }
    Found::Nothing { at: reached.unwrap_or(0) }
}
