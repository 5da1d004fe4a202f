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
//! *Where some values are not*, the zones decide a relaxation: each write of a value with several writers writes a value of
//! its own instead, reads of such a value are left out, and a swap that expects one becomes a plain write. A legal order of
//! the history is one of the relaxation, so a conflict there is a proof (a read that finds the key absent after a write is
//! found this way whatever the values); an order there proves nothing, and the search decides.
//!
//! *Refused swaps* that don't tell what they saw are placed into the zones' order afterwards; if they all fit, that is an
//! order. If not, nothing follows (placing one may have shut out another, and an unobserved unanswered write might have made
//! room), and the search decides.

use std::collections::BTreeSet;

use super::model::{ABSENT, Content, Effect, Op};
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
    let repeated = repeated(plain.iter().map(|&op| &ops[op]));
    let (relaxed, relaxed_ops) = relax(ops, &plain, &repeated);
    match zones::order(&relaxed_ops) {
        // Leaving out read-only operations only makes it easier: without an order now there is none with them.
        Err(conflict) => return Decision::None(conflict.into_iter().map(|op| relaxed[op]).collect()),
        Ok(order) if repeated.is_empty() => {
            let order = order.into_iter().map(|op| relaxed[op]).collect();
            if let Some(order) = place(ops, order, &refusals) {
                return Decision::Order(order);
            }
        }
        Ok(_) => {}
    }
    let kept = observed(ops, &refusals);
    let kept_ops: Vec<Op> = kept.iter().map(|&op| ops[op]).collect();
    match search(&kept_ops, limits) {
        Found::Order(order) => Decision::Order(order.into_iter().map(|op| kept[op]).collect()),
        Found::Nothing => Decision::None((0..ops.len()).collect()),
        Found::Exhausted { reached, configurations } => Decision::Exhausted(kept[reached], configurations),
    }
}

/// The contents with several writers.
fn repeated<'a>(ops: impl Iterator<Item = &'a Op>) -> BTreeSet<Content> {
    let mut written = BTreeSet::new();
    ops.filter_map(|op| op.effect.writes()).filter(|&content| !written.insert(content)).collect()
}

/// The chosen operations in a form in which every value has one writer, and their positions. Weaker than the original where
/// contents are repeated, and the same where none is.
fn relax(ops: &[Op], chosen: &[usize], repeated: &BTreeSet<Content>) -> (Vec<usize>, Vec<Op>) {
    let mut fresh =
        ops.iter().flat_map(|op| [op.effect.observes(), op.effect.writes()]).flatten().max().unwrap_or(ABSENT);
    let mut relaxed = Vec::with_capacity(chosen.len());
    for &position in chosen {
        let op = ops[position];
        let forgets = op.effect.observes().is_some_and(|content| repeated.contains(&content));
        let effect = match op.effect.writes() {
            Some(content) if repeated.contains(&content) => {
                fresh += 1;
                match op.effect {
                    Effect::Cas { expect, .. } if !forgets => Effect::Cas { expect, new: fresh },
                    Effect::Cas { .. } | Effect::Write(_) | Effect::Read(_) | Effect::Refused { .. } => {
                        Effect::Write(fresh)
                    }
                }
            }
            Some(content) if forgets => Effect::Write(content),
            None if forgets => continue,
            Some(_) | None => op.effect,
        };
        relaxed.push((position, Op { effect, ..op }));
    }
    let (positions, relaxed): (Vec<usize>, Vec<Op>) = relaxed.into_iter().unzip();
    // What was left out may have been the only proof that an unanswered operation happened.
    observed(&relaxed, &[]).into_iter().map(|kept| (positions[kept], relaxed[kept])).unzip()
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
