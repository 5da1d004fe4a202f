//! From an object without a legal order to a few operations that have none by themselves.
//!
//! Every step weakens what the history says, in a way that [`verify`](super::verify) accepts, so that a core without an order
//! refutes the whole: operations are left out, taken in a weaker form ([`Model::weaker`]), or taken for unanswered. (Intervals
//! are never widened: that makes no core smaller, and a reader would look for stamps that aren't in the history.)
//!
//! ```text
//!   conflict ──→ closed (what it needs is added) ──→ few? ──────────────→ reduced: chunks, then one by one
//!                                                      │no                 ↑
//!                                                      └→ seeds → windows ─┘
//! ```
//!
//! * [`closure`]: what an operation needs to stay meaningful, found in one pass over the history. An overwrite that stays cuts
//!   off the past of everything that began after it.
//! * [`seed`]: guesses of two or three operations, which are right for most stale answers, rival swaps and double grants.
//! * [`window`]: for long conflicts (the engine's: everything up to the answer that it could not pass), the last stretches
//!   before the conflict's end, each made self-contained by taking one operation as an overwrite; stretches double in length.
//! * [`reduce`]: delta debugging (Zeller and Hildebrandt, TSE 2002): large chunks first, then single operations, until no
//!   single weakening leaves a refutation.
//! * [`pairs`]: of a core that is still large, one answer that says nothing but how two of the others stand to each other.
//!
//! Which cores are found depends on nothing but the input: the limits are counts ([`trial::Purse`]). What costs too much to
//! decide counts as not refuted. Refuses to judge: the caller has the result re-checked.
//!
//! Worst case: a bounded number of passes over the history; O(n log n) trials of a few operations each.

mod closure;
mod pairs;
mod reduce;
mod seed;
mod trial;
mod window;

use self::closure::{Field, Forms};
use self::trial::{Purse, refuted};
use super::decision::{Budget, Kept};
use super::entry::{Entry, Op, Timeline};
use super::model::Model;

/// Conflicts up to this many operations are reduced as they are; longer ones are looked at through windows first.
const FEW: usize = 48;
/// Conflicts up to this many operations need no windows.
const FEWER: usize = 12;
/// Configurations that a trial may visit at first.
const EASY: u64 = 250;
/// And if what is found then is still large, or hard to refute.
const PATIENT: u64 = 10_000;
/// The longest conflict that is reduced operation by operation.
const REDUCIBLE_MAX: usize = 4096;

/// An operation that stays, in the form in which it stays.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part<T> {
    /// Its place in the timeline.
    place: u32,
    /// The operation: as it was, in a weaker form, or without its answer.
    op: Op<T>,
}

/// The smallest weakening found of `entries` that has no legal order, ascending by invocation. `conflict` are places in
/// `timeline`, in any order: operations that have no order together with everything that they need, or everything up to an answer
/// that can't be passed.
pub(super) fn minimise<M: Model>(
    model: &M,
    entries: &[Entry<M::Op>],
    timeline: &Timeline<M::Op>,
    conflict: &[u32],
    budget: &Budget<'_>,
) -> Vec<Kept<M::Op>> {
    let field = Field::new(model, &timeline.ops);
    let mut conflict = conflict.to_vec();
    conflict.sort_unstable();
    conflict.dedup();
    let core = smallest(&field, &conflict, budget);
    core.into_iter()
        .map(|part| {
            let index = timeline.source(part.place);
            let original = &entries[index as usize];
            let answered = part.op.ret.and(original.answered);
            Kept { index, entry: Entry { what: part.op.what, invoked: original.invoked, answered } }
        })
        .collect()
}

/// The smaller core of those that easy trials and patient ones lead to. Most violations need no patience, and a trial that is
/// given up early leaves more for others; but it is also sooner left to a shortcut, which may know from the future of the whole
/// history what a part of it does not show. So a core of easy trials counts only if trying all its orders refutes it.
fn smallest<M: Model>(field: &Field<'_, M>, conflict: &[u32], budget: &Budget<'_>) -> Vec<Part<M::Op>> {
    let find = |of_a_trial: u64| {
        let core = minimal(field, conflict, &mut Purse::new(of_a_trial, budget));
        pairs::sharpened(field, core, &mut Purse::new(of_a_trial, budget))
    };
    let easy = find(EASY);
    let proved = trial::surely_refuted(field.model, &easy, &mut Purse::new(PATIENT, budget));
    if proved && easy.len() <= FEWER {
        return easy;
    }
    let patient = find(PATIENT);
    if proved && easy.len() <= patient.len() { easy } else { patient }
}

fn minimal<M: Model>(field: &Field<'_, M>, conflict: &[u32], purse: &mut Purse<'_>) -> Vec<Part<M::Op>> {
    let heart = || conflict.iter().map(|&place| field.part(place)).collect::<Vec<_>>();
    if conflict.len() <= FEW
        && let Some(core) = field.close(heart(), Forms::Weak, FEW, purse)
        && refuted(field.model, &core, purse)
    {
        return reduce::reduce(field, core, purse);
    }
    if conflict.len() <= FEW
        && let Some(heart) = weak_heart(field, conflict)
        && let Some(core) = field.close(heart, Forms::Full, FEW, purse)
        && refuted(field.model, &core, purse)
    {
        return reduce::reduce(field, core, purse);
    }
    let prefix = prefix(field, conflict);
    if let Some(prefix) = &prefix
        && let Some(core) = part_of(field, prefix, purse)
    {
        return reduce::reduce(field, core, purse);
    }
    // A short prefix may be one by accident.
    if let Some(prefix) = prefix
        && (prefix.len() > FEW || refuted(field.model, &prefix, purse))
    {
        return reduced(field, prefix, purse);
    }
    if let Some(base) = field.close(heart(), Forms::Full, REDUCIBLE_MAX, purse)
        && let Some(core) =
            part_of(field, &base, purse).or_else(|| Some(base).filter(|base| refuted(field.model, base, purse)))
    {
        return reduce::reduce(field, core, purse);
    }
    // That took away too much: the conflict as it was named, and if need be the whole history.
    let named = field.close(heart(), Forms::Whole, field.ops.len(), purse);
    let named = named.filter(|base| base.len() > FEW || refuted(field.model, base, purse));
    reduced(field, named.unwrap_or_else(|| everything(field)), purse)
}

/// The operations of a conflict, each saying of the others only what it must: a read of a thousand elements, whether it held
/// the two in question. `None` if none has such a form.
fn weak_heart<M: Model>(field: &Field<'_, M>, conflict: &[u32]) -> Option<Vec<Part<M::Op>>> {
    let mut heart: Vec<Part<M::Op>> = conflict.iter().map(|&place| field.part(place)).collect();
    let mut weakened = false;
    for (index, &place) in conflict.iter().enumerate() {
        let others = conflict.iter().filter(|other| **other != place);
        let others: Vec<&M::Op> = others.map(|&other| &field.ops[other as usize].what).collect();
        if let Some(form) = field.weaker_beside(place, &others) {
            heart[index].op.what = form;
            weakened = true;
        }
    }
    weakened.then_some(heart)
}

/// A few operations of `base` that are refuted, found without reducing it.
fn part_of<M: Model>(field: &Field<'_, M>, base: &[Part<M::Op>], purse: &mut Purse<'_>) -> Option<Vec<Part<M::Op>>> {
    seed::guess(field, base, purse)
        .or_else(|| if base.len() > FEWER { window::shortest(field, base, purse) } else { None })
}

fn reduced<M: Model>(field: &Field<'_, M>, core: Vec<Part<M::Op>>, purse: &mut Purse<'_>) -> Vec<Part<M::Op>> {
    if core.len() <= REDUCIBLE_MAX { reduce::reduce(field, core, purse) } else { core }
}

/// The operations of a conflict that is a prefix of the history, without the answers that came later. `None` if it isn't one.
fn prefix<M: Model>(field: &Field<'_, M>, conflict: &[u32]) -> Option<Vec<Part<M::Op>>> {
    let is_prefix = (0..).zip(conflict).all(|(index, place)| index == *place);
    let next = field.ops.get(conflict.len()).map_or(u32::MAX, |next| next.call);
    let end = field.ops.iter().filter_map(|op| op.ret).map(u32::from).filter(|ret| *ret < next).max()?;
    is_prefix.then(|| conflict.iter().map(|&place| field.part_until(place, end)).collect())
}

fn everything<M: Model>(field: &Field<'_, M>) -> Vec<Part<M::Op>> {
    (0..).zip(field.ops).map(|(place, _)| field.part(place)).collect()
}
