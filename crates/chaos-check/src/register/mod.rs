//! `Linearizable`: every key behaves as one atomic register (or set, see `set/linear.rs`).
//!
//! Consistency model: linearizability (Herlihy and Wing, TOPLAS 1990). Every operation seems to happen at one instant
//! between its invocation and its answer; one that ended in `info` at any instant after its invocation, or never.
//!
//! ```text
//!   n1: ─[ write 7 ]──[ write 9 ]──────────────
//!   n2: ───────────────────────────[ read 7 ]──   no instant of the read lies before the end of write 9
//! ```
//!
//! The way of a key: operations → entries of a register ([`model`]) → the order that revisions claim, if they do ([`claim`]), and
//! if that is no proof → [`linear::check`], which decides, makes a violation small
//! and has both re-checked by the independent verifier → words ([`explain`]). Keys are independent (Herlihy and Wing, theorem 1)
//! and judged on all cores. A definite violation of one key outranks what is unknown of another.

mod claim;
mod explain;
mod model;
#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;

use chaos_history::{Completion, History, operations};

use self::claim::{Claim, claim};
use self::model::{KeyHistory, by_key};
use crate::linear::models::Register;
use crate::linear::{self, Budget, Decision, Spent, Undecided};
use crate::text::count;
use crate::verdict::{Verdict, Witness};

/// Every key behaves as one atomic register.
pub(crate) fn linearizable(history: &History, budget: &Budget<'_>) -> (Verdict, String) {
    let malformed = |reason: String| (Verdict::Unknown(reason), "malformed operations".to_owned());
    let operations = match operations(&history.events) {
        Ok(operations) => operations,
        Err(error) => return malformed(error.to_string()),
    };
    let keys = match by_key(&operations) {
        Ok(keys) => keys,
        Err(reason) => return malformed(reason),
    };
    let sets = match crate::set::linear::sets(&operations) {
        Ok(sets) => sets,
        Err(reason) => return malformed(reason),
    };
    let definite = operations.iter().filter(|operation| matches!(operation.completion, Completion::Ok(_))).count();
    let open = operations.iter().filter(|operation| matches!(operation.completion, Completion::Info(_))).count();
    let mut basis = format!(
        "{} on {}, {open} of unknown outcome",
        count(operations.len(), "operation"),
        count(keys.len() + sets.read.len(), "key")
    );
    if sets.unread > 0 {
        basis.push_str(&format!("; {} not read during the load and not judged", count(sets.unread, "set")));
    }
    if definite == 0 {
        return (Verdict::Unknown("no operation got a definite answer".to_owned()), basis);
    }
    if keys.is_empty() && sets.read.is_empty() {
        let reason = "no register was used, and no set was read while the load was on";
        return (Verdict::Unknown(reason.to_owned()), basis);
    }
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let share = Budget { bytes: budget.bytes / threads.get().min(keys.len().max(1)), ..*budget };
    let verdicts = linear::check_all(&keys, threads, |key| match claim(key) {
        Claim::Proved => (Claim::Proved, Verdict::Valid),
        claim @ (Claim::None | Claim::Wrong) => (claim, judge(key, &share)),
    });
    let (claims, mut verdicts): (Vec<Claim>, Vec<Verdict>) = verdicts.into_iter().unzip();
    verdicts.extend(sets.read.iter().map(|set| crate::set::linear::judge(set, budget)));
    let mut violations: Vec<Witness> = Vec::new();
    let mut unknown: Option<String> = None;
    for verdict in verdicts {
        match verdict {
            Verdict::Valid => {}
            Verdict::Invalid(witness) => violations.push(witness),
            Verdict::Unknown(reason) => unknown = unknown.or(Some(reason)),
        }
    }
    if violations.len() > 1 {
        basis.push_str(&format!(", {} violated", count(violations.len(), "key")));
    }
    if let Some(key) = claims.iter().position(|claim| *claim == Claim::Wrong) {
        basis.push_str(&format!("; the revisions told for key {} are no legal order", keys[key].key));
    } else if !claims.is_empty() && claims.iter().all(|claim| *claim == Claim::Proved) {
        basis.push_str("; the revisions told are a legal order");
    }
    // The shortest story is the best one to tell; among equals the first to happen.
    let verdict = match violations.into_iter().min_by_key(|witness| (witness.lines.len(), witness.at)) {
        Some(witness) => Verdict::Invalid(witness),
        None => unknown.map_or(Verdict::Valid, Verdict::Unknown),
    };
    (verdict, basis)
}

/// Judges one key.
fn judge(history: &KeyHistory<'_>, budget: &Budget<'_>) -> Verdict {
    match linear::check(&Register, &history.entries, budget) {
        Err(error) => Verdict::Unknown(format!("key {}: {error}", history.key)),
        Ok(Decision::Linearizable(_)) => Verdict::Valid,
        Ok(Decision::Violation { core, verified }) => Verdict::Invalid(explain::witness(history, &core, verified)),
        Ok(Decision::Undecided(undecided)) => Verdict::Unknown(undecided_of(history, &undecided)),
    }
}

/// Why a key was not decided, and how far it was.
fn undecided_of(history: &KeyHistory<'_>, undecided: &Undecided) -> String {
    let Undecided { spent, reached, answers_proved, configurations } = undecided;
    let what = match spent {
        Spent::Configurations => "the search gave up".to_owned(),
        Spent::Bytes => "the search ran out of the memory it may use".to_owned(),
        Spent::Stopped => "the search was stopped".to_owned(),
        Spent::Disagreement(why) => return format!("key {}: internal disagreement: {why}", history.key),
    };
    let reached = reached.map(|entry| history.operations[history.sources[entry as usize]]);
    let place = reached.map_or_else(String::new, |operation| {
        format!(" before the answer of line {}", operation.complete_line.unwrap_or(operation.invoke_line))
    });
    let (key, proved) = (history.key, count(usize::try_from(*answers_proved).unwrap_or(usize::MAX), "answer"));
    format!(
        "key {key}: {what}{place}, after {configurations} configurations; what comes before it ({proved}) is linearizable"
    )
}
