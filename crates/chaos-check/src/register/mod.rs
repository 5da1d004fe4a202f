//! `Linearizable`: every key behaves as one atomic register.
//!
//! Consistency model: linearizability (Herlihy and Wing, TOPLAS 1990). Every operation seems to happen at one instant
//! between its invocation and its answer; one that ended in `info` at any instant after its invocation, or never.
//!
//! ```text
//!   n1: ─[ write 7 ]──[ write 9 ]──────────────
//!   n2: ───────────────────────────[ read 7 ]──   no instant of the read lies before the end of write 9
//! ```
//!
//! The way of a key: operations ([`model`]) → which engine ([`decide`]): blocks and zones where values are unique
//! ([`zones`], O(n log n), exact), otherwise a search with memory ([`search`], exponential in the worst case, bounded) → a
//! legal order, re-played by the independent verifier ([`recheck`]), or a conflict, made small ([`minimise`]), refuted again
//! by the same verifier, and put into words ([`explain`]). If engine and verifier disagree the verdict is `Unknown`, and a
//! definite violation of one key outranks what is unknown of another.

mod decide;
mod explain;
mod minimise;
mod model;
mod recheck;
mod search;
#[cfg(test)]
mod tests;
mod zones;

use chaos_history::{Completion, History, operations};

use self::decide::{Decision, decide};
use self::model::{Effect, KeyHistory, Op, by_key};
use self::recheck::Taken;
use crate::text::count;
use crate::verdict::{Limits, Verdict, Witness};

/// What may be spent on a key when another one is convicted already.
const GLANCE: Limits = Limits { configurations: 10_000, bytes: 16 << 20 };

/// Every key behaves as one atomic register.
pub(crate) fn linearizable(history: &History, limits: &Limits) -> (Verdict, String) {
    let malformed = |reason: String| (Verdict::Unknown(reason), "malformed operations".to_owned());
    let operations = match operations(&history.events) {
        Ok(operations) => operations,
        Err(error) => return malformed(error.to_string()),
    };
    let keys = match by_key(&operations) {
        Ok(keys) => keys,
        Err(reason) => return malformed(reason),
    };
    let definite = operations.iter().filter(|operation| matches!(operation.completion, Completion::Ok(_))).count();
    let open = operations.iter().filter(|operation| matches!(operation.completion, Completion::Info(_))).count();
    let mut basis =
        format!("{} on {}, {open} of unknown outcome", count(operations.len(), "operation"), count(keys.len(), "key"));
    if definite == 0 {
        return (Verdict::Unknown("no operation got a definite answer".to_owned()), basis);
    }
    let mut violations: Vec<Witness> = Vec::new();
    let mut unknown: Option<String> = None;
    for key in &keys {
        // One violation decides; the other keys are only looked at in passing.
        let limits = if violations.is_empty() { limits } else { &GLANCE };
        match judge(key, limits) {
            Verdict::Valid => {}
            Verdict::Invalid(witness) => violations.push(witness),
            Verdict::Unknown(reason) => unknown = unknown.or(Some(reason)),
        }
    }
    if violations.len() > 1 {
        basis.push_str(&format!(", {} violated", count(violations.len(), "key")));
    }
    // The shortest story is the best one to tell; among equals the first to happen.
    let verdict = match violations.into_iter().min_by_key(|witness| (witness.lines.len(), witness.at)) {
        Some(witness) => Verdict::Invalid(witness),
        None => unknown.map_or(Verdict::Valid, Verdict::Unknown),
    };
    (verdict, basis)
}

/// Judges one key.
fn judge(history: &KeyHistory<'_>, limits: &Limits) -> Verdict {
    let key = history.key;
    if let Some(&source) = history.contradictions.first() {
        return convict(history, &[Taken { operation: history.operations[source], as_write: false }]);
    }
    match decide(&history.ops, limits) {
        Decision::Order(order) => {
            let order: Vec<usize> = order.into_iter().map(|op| history.ops[op].source).collect();
            if recheck::replays(&history.operations, &order) {
                Verdict::Valid
            } else {
                Verdict::Unknown(format!("key {key}: internal disagreement: the order found does not replay"))
            }
        }
        Decision::None(conflict) => {
            let core = minimise::minimise(&history.ops, &conflict);
            let taken: Vec<Taken<'_>> = core.iter().map(|op| taken(history, op)).collect();
            convict(history, &taken)
        }
        Decision::Exhausted(reached, configurations) => {
            let operation = history.operations[history.ops[reached].source];
            Verdict::Unknown(format!(
                "key {key}: the search gave up after {configurations} configurations, before the answer of line {}",
                operation.complete_line.unwrap_or(operation.invoke_line)
            ))
        }
    }
}

/// The operation behind a minimised one.
fn taken<'a>(history: &KeyHistory<'a>, op: &Op) -> Taken<'a> {
    let operation = history.operations[op.source];
    let is_write = matches!(op.effect, Effect::Write(_));
    let was_swap = matches!(operation.action, chaos_history::Action::Cas { .. });
    Taken { operation, as_write: is_write && was_swap }
}

/// Reports a violation if the verifier agrees.
fn convict(history: &KeyHistory<'_>, core: &[Taken<'_>]) -> Verdict {
    let key = history.key;
    match recheck::refutes(core) {
        Some(true) => Verdict::Invalid(explain::witness(key, core, &history.operations)),
        Some(false) => Verdict::Unknown(format!(
            "key {key}: internal disagreement: an order exists for the {} operations that were convicted",
            core.len()
        )),
        None => Verdict::Unknown(format!(
            "key {key}: {} operations seem to have no order, too many to verify independently",
            core.len()
        )),
    }
}
