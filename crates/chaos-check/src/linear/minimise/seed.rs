//! Guesses at a core of two or three operations, before anything is searched.
//!
//! Most violations are about one answer: a stale one contradicts the last overwrite before it, a swap another one of the same
//! value, a lock's grant another grant. So each of the last answers is tried by itself, with the last operation before it
//! that can be taken as an overwrite, and the very last with each of those around it; always with what they need, in weak
//! forms. A guess costs a pass over the history, and proves itself or is forgotten.

use super::Part;
use super::closure::{Field, Forms, end};
use super::trial::{Purse, refuted};
use crate::linear::model::Model;

/// How many of the last answers are tried as the one that is impossible.
const CULPRITS: usize = 8;
/// How many operations before the last answer's, and how many after it, are tried together with it.
const COMPANIONS: u32 = 40;

/// A core that was guessed, if one was. `base` is refuted.
pub(super) fn guess<M: Model>(
    field: &Field<'_, M>,
    base: &[Part<M::Op>],
    purse: &mut Purse<'_>,
) -> Option<Vec<Part<M::Op>>> {
    let end = end(base);
    let culprits = last_answers(field, end);
    for &culprit in &culprits {
        let answer = field.part_until(culprit, end);
        if let Some(core) = proved(field, vec![answer.clone()], purse) {
            return Some(core);
        }
        let limit = answer.op.call;
        let over = |place: &u32| field.ops[*place as usize].deadline() < limit;
        let anchor = (0..culprit).rev().filter(over).find_map(|place| Some((place, field.as_overwrite(place)?)));
        let Some((place, form)) = anchor else { continue };
        let mut anchor = field.part(place);
        anchor.op.what = form;
        if let Some(core) = proved(field, vec![anchor, answer], purse) {
            return Some(core);
        }
    }
    // Which of the answers after the last question is the one that can't be passed is not known.
    let begun = field.ops.partition_point(|op| op.call < end);
    let asked = field.ops[..begun].last().map_or(0, |op| op.call);
    let last = |place: &&u32| **place == culprits[0] || field.ops[**place as usize].deadline() > asked;
    culprits.iter().filter(last).find_map(|&culprit| with_companion(field, culprit, end, purse))
}

/// A core of one answer and an operation near it.
fn with_companion<M: Model>(
    field: &Field<'_, M>,
    culprit: u32,
    end: u32,
    purse: &mut Purse<'_>,
) -> Option<Vec<Part<M::Op>>> {
    let begun = u32::try_from(field.ops.partition_point(|op| op.call < end)).expect("places are of 32 bits");
    let (from, to) = (culprit.saturating_sub(COMPANIONS), culprit.saturating_add(COMPANIONS).min(begun));
    (from..culprit).rev().chain(culprit + 1..to).find_map(|companion| {
        let mut core = vec![field.part_until(companion, end), field.part_until(culprit, end)];
        core.sort_unstable_by_key(|part| part.place);
        proved(field, core, purse)
    })
}

/// The places of the last few answers up to the rank `end`, latest first.
fn last_answers<M: Model>(field: &Field<'_, M>, end: u32) -> Vec<u32> {
    let mut answers: Vec<(u32, u32)> = (0..)
        .zip(field.ops)
        .map(|(place, op)| (op.deadline(), place))
        .filter(|(deadline, _)| *deadline <= end)
        .collect();
    let rest = answers.len().saturating_sub(CULPRITS);
    if rest > 0 {
        answers.select_nth_unstable(rest);
    }
    let mut last = answers.split_off(rest);
    last.sort_unstable();
    last.into_iter().rev().map(|(_, place)| place).collect()
}

/// `core` with what it needs, if that is little and refuted.
fn proved<M: Model>(field: &Field<'_, M>, core: Vec<Part<M::Op>>, purse: &mut Purse<'_>) -> Option<Vec<Part<M::Op>>> {
    let core = field.close(core, Forms::Weak, super::FEW, purse)?;
    refuted(field.model, &core, purse).then_some(core)
}
