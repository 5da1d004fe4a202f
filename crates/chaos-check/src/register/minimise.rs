//! From a key without a legal order to a few operations that have none by themselves.
//!
//! A smaller history refutes the larger one only if it was reached by *weakening*: every step must keep a legal order legal.
//!
//! * Leaving out a read-only operation: always.
//! * Leaving out writers, as long as no operation that stays observes a value they write, and no refused swap stays that
//!   only says what it did not see. Take a legal order; the content that a staying operation observed was written by a
//!   staying writer, and no leaver stood between them (it would have changed the content); so the order without the leavers
//!   is legal. Leaving out *any* write is unsound: the read of its value would then look like a violation.
//! * Taking a swap for a plain write: it demands less. The operation that wrote what it expected may then go, too.
//!
//! The result is minimal in that no single further step leaves a refutation; it is not the smallest there is.

use std::collections::BTreeSet;

use super::decide::{Decision, decide};
use super::model::{Content, Effect, Op};
use crate::verdict::Limits;

/// The work that one trial may cost: a trial that costs more counts as failed, which only makes the result larger.
const TRIAL: Limits = Limits { configurations: 20_000, bytes: 16 << 20 };

/// How many weakenings may be tried for one key.
const TRIALS_MAX: usize = 2_000;

/// The smallest list of operations found that has no legal order, ordered by invocation. A swap that is taken for a write
/// has become one.
pub(super) fn minimise(ops: &[Op], conflict: &[usize]) -> Vec<Op> {
    let mut trials = TRIALS_MAX;
    let mut core = close(ops, conflict.iter().copied().collect());
    if conflict.len() < ops.len() && !refuted(&core, &mut trials) {
        core = ops.to_vec();
    }
    loop {
        let before = core.clone();
        core = leave_out(core, &mut trials);
        core = swaps_to_writes(core, &mut trials);
        if core == before || trials == 0 {
            return core;
        }
    }
}

fn refuted(ops: &[Op], trials: &mut usize) -> bool {
    if *trials == 0 {
        return false;
    }
    *trials -= 1;
    matches!(decide(ops, &TRIAL), Decision::None(_))
}

/// Adds to a choice of operations what it can't do without: every writer of what they observe; if a refusal is among them,
/// every writer there is; and for an unanswered writer one operation that proves that it happened.
fn close(ops: &[Op], mut keep: BTreeSet<usize>) -> Vec<Op> {
    loop {
        let before = keep.len();
        let proofs: Vec<usize> =
            keep.iter().filter(|&&op| ops[op].ret.is_none()).filter_map(|&op| proof(ops, op)).collect();
        keep.extend(proofs);
        with_writers(ops, &mut keep);
        if keep.len() == before {
            return keep.into_iter().map(|op| ops[op]).collect();
        }
    }
}

/// An operation that observed what an unanswered one wrote; an answered one if there is one.
fn proof(ops: &[Op], unanswered: usize) -> Option<usize> {
    let written = ops[unanswered].effect.writes();
    let observers = (0..ops.len()).filter(|&op| written.is_some() && ops[op].effect.observes() == written);
    observers.min_by_key(|&op| ops[op].ret.unwrap_or(u32::MAX))
}

/// Adds the writers of everything observed.
fn with_writers(ops: &[Op], keep: &mut BTreeSet<usize>) {
    if keep.iter().any(|&op| ops[op].effect.is_refusal()) {
        keep.extend((0..ops.len()).filter(|&op| ops[op].effect.writes().is_some()));
        return;
    }
    let mut writers: Vec<(Content, usize)> =
        (0..ops.len()).filter_map(|op| ops[op].effect.writes().map(|written| (written, op))).collect();
    writers.sort_unstable();
    let mut open: Vec<Content> = keep.iter().filter_map(|&op| ops[op].effect.observes()).collect();
    let mut seen = BTreeSet::new();
    while let Some(content) = open.pop() {
        if !seen.insert(content) {
            continue;
        }
        let from = writers.partition_point(|&(written, _)| written < content);
        for &(_, writer) in writers[from..].iter().take_while(|&&(written, _)| written == content) {
            keep.insert(writer);
            open.extend(ops[writer].effect.observes());
        }
    }
}

/// Leaves out ever smaller runs of operations as long as the rest is refuted.
fn leave_out(mut core: Vec<Op>, trials: &mut usize) -> Vec<Op> {
    let mut size = core.len().div_ceil(2);
    while size > 0 && *trials > 0 {
        let mut from = 0;
        while from < core.len() && *trials > 0 {
            let mut keep: BTreeSet<usize> = (0..core.len()).filter(|op| !(from..from + size).contains(op)).collect();
            with_writers(&core, &mut keep);
            let rest: Vec<Op> = keep.into_iter().map(|op| core[op]).collect();
            if rest.len() < core.len() && refuted(&rest, trials) {
                core = rest;
            } else {
                from += size;
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    core
}

/// Takes swaps for plain writes as long as the whole stays refuted.
fn swaps_to_writes(mut core: Vec<Op>, trials: &mut usize) -> Vec<Op> {
    for index in 0..core.len() {
        let Effect::Cas { new, .. } = core[index].effect else { continue };
        let swap = std::mem::replace(&mut core[index].effect, Effect::Write(new));
        if !refuted(&core, trials) {
            core[index].effect = swap;
        }
    }
    core
}
