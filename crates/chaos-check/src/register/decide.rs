//! Which engine decides a key, and what may be left out before it does.
//!
//! *Unanswered operations that nobody observed* are dropped. Let D be the unanswered operations that remain unobserved: start
//! from what answered operations observe, keep the unanswered writers of it, add what those expect, and so on; D is the rest,
//! and no kept operation observes a value that D writes. Dropping D is exact as long as no refused swap is left that only
//! says what it did *not* see: an order without D is an order; and an order with some of D stays legal without them, because
//! the content that a kept operation observed was written by a kept operation, and nothing of D came between (it would have
//! changed the content to one that no kept operation observes).
//!
//! *Where values are unique*, what is kept unanswered must have happened, and [`zones`](super::zones) decides in O(n log n).
//! *Refused swaps* that don't tell what they saw are placed into the zones' order afterwards; if they all fit, that is an
//! order. If not, nothing follows (placing one may have shut out another, and an unobserved unanswered write might have made
//! room), and the search decides.

use std::collections::BTreeSet;

use super::model::{ABSENT, Content, Op};
use super::search::{Found, search};
use super::zones;
use crate::verdict::Limits;

/// What was decided of a list of operations.
#[derive(Debug)]
pub(super) enum Decision {
    /// A legal order, as positions; unanswered operations that are missing never took effect.
    Order(Vec<usize>),
    /// No legal order; these operations, as positions, are at the heart of it (all of them if nothing smaller is known).
    None(Vec<usize>),
    /// The limits were reached: the operation whose answer was the furthest reached, and the configurations visited.
    Exhausted(usize, u64),
}

/// Decides whether `ops`, ordered by invocation, have a legal order.
pub(super) fn decide(ops: &[Op], limits: &Limits) -> Decision {
    let refusals: Vec<usize> = (0..ops.len()).filter(|&op| ops[op].effect.is_refusal()).collect();
    let kept = observed(ops, &[]);
    let plain: Vec<usize> = kept.iter().copied().filter(|&op| !ops[op].effect.is_refusal()).collect();
    let plain_ops: Vec<Op> = plain.iter().map(|&op| ops[op]).collect();
    if zones::values_are_unique(&plain_ops) {
        match zones::order(&plain_ops) {
            // Leaving out read-only operations only makes it easier: without an order now there is none with them.
            Err(conflict) => return Decision::None(conflict.into_iter().map(|op| plain[op]).collect()),
            Ok(order) => {
                let order = order.into_iter().map(|op| plain[op]).collect();
                if let Some(order) = place(ops, order, &refusals) {
                    return Decision::Order(order);
                }
            }
        }
    }
    let kept = observed(ops, &refusals);
    let kept_ops: Vec<Op> = kept.iter().map(|&op| ops[op]).collect();
    match search(&kept_ops, limits) {
        Found::Order(order) => Decision::Order(order.into_iter().map(|op| kept[op]).collect()),
        Found::Nothing => Decision::None((0..ops.len()).collect()),
        Found::Exhausted { reached, configurations } => Decision::Exhausted(kept[reached], configurations),
    }
}

/// The answered operations, and the unanswered ones that were, or may have been, observed. Those invoked before a refusal
/// was answered may have made it true, so they all stay.
fn observed(ops: &[Op], refusals: &[usize]) -> Vec<usize> {
    let last_refusal = refusals.iter().filter_map(|&op| ops[op].ret).max().unwrap_or_default();
    let mut writers: Vec<(Content, usize)> = Vec::new();
    let mut seen: BTreeSet<Content> = BTreeSet::new();
    let mut open: Vec<Content> = Vec::new();
    let mut keep = vec![false; ops.len()];
    for (index, op) in ops.iter().enumerate() {
        if op.ret.is_some() || op.call < last_refusal {
            keep[index] = true;
            open.extend(op.effect.observes());
        } else if let Some(written) = op.effect.writes() {
            writers.push((written, index));
        }
    }
    writers.sort_unstable();
    while let Some(content) = open.pop() {
        if !seen.insert(content) {
            continue;
        }
        let from = writers.partition_point(|&(written, _)| written < content);
        for &(_, index) in writers[from..].iter().take_while(|&&(written, _)| written == content) {
            keep[index] = true;
            open.extend(ops[index].effect.observes());
        }
    }
    (0..ops.len()).filter(|&op| keep[op]).collect()
}

/// Puts refused swaps into an order, each at the first place that real time and the content allow.
fn place(ops: &[Op], mut order: Vec<usize>, refusals: &[usize]) -> Option<Vec<usize>> {
    let mut refusals = refusals.to_vec();
    refusals.sort_unstable_by_key(|&op| ops[op].ret);
    for refusal in refusals {
        let Op { effect, call, ret, .. } = ops[refusal];
        let over = |&op: &usize| ops[op].ret.is_some_and(|other| other < call);
        let first = order.iter().rposition(over).map_or(0, |before| before + 1);
        let mut state = ABSENT;
        let mut found = None;
        for place in 0..=order.len() {
            if place >= first && effect.apply(state).is_some() {
                found = Some(place);
                break;
            }
            let Some(&next) = order.get(place) else { break };
            if ret.is_some_and(|ret| ret < ops[next].call) {
                break;
            }
            state = ops[next].effect.apply(state)?;
        }
        order.insert(found?, refusal);
    }
    Some(order)
}
