//! Guesses at a core of two or three operations, before anything is searched.
//!
//! Most violations are about one answer: a stale one contradicts the last overwrite before it, a swap another one of the same
//! value, a lock's grant another grant. So each of the last answers is tried by itself, with the last operation before it
//! that can be taken as an overwrite, and the very last with each of those around it, and with others that need what it
//! needs; always with what they need, in weak
//! forms. A guess costs a pass over the history, and proves itself or is forgotten.

use super::Part;
use super::closure::{Field, Forms, end};
use super::trial::{Purse, easily_refuted};
use crate::linear::model::Model;

/// How many of the last answers are tried as the one that is impossible.
const CULPRITS: usize = 8;
/// How many others that need the same operations are tried together with the last answer.
const RIVALS: usize = 16;
/// How far before it they may be.
const RIVAL_DISTANCE: u32 = 4096;
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
        let Some(anchor) = anchor(field, culprit) else { continue };
        if let Some(core) = proved(field, vec![anchor, answer], purse) {
            return Some(core);
        }
    }
    // Which of the answers after the last question is the one that can't be passed is not known.
    let begun = field.ops.partition_point(|op| op.call < end);
    let asked = field.ops[..begun].last().map_or(0, |op| op.call);
    let last = |place: &&u32| **place == culprits[0] || field.ops[**place as usize].deadline() > asked;
    culprits.iter().filter(last).find_map(|&culprit| {
        with_rivals(field, culprit, end, purse).or_else(|| with_companion(field, culprit, end, purse))
    })
}

/// The last operation that was over before the one at `place` began and that can be taken as an overwrite, as one.
fn anchor<M: Model>(field: &Field<'_, M>, place: u32) -> Option<Part<M::Op>> {
    let limit = field.ops[place as usize].call;
    let over = |place: &u32| field.ops[*place as usize].deadline() < limit;
    let (place, form) = (0..place).rev().filter(over).find_map(|place| Some((place, field.as_overwrite(place)?)))?;
    let mut anchor = field.part(place);
    anchor.op.what = form;
    Some(anchor)
}

/// A core of one answer and others before it that need the same operations, each with the anchor before it: two reads of a
/// value that was written once, and something else in between.
fn with_rivals<M: Model>(
    field: &Field<'_, M>,
    culprit: u32,
    end: u32,
    purse: &mut Purse<'_>,
) -> Option<Vec<Part<M::Op>>> {
    let mut core = vec![anchor(field, culprit)?, field.part_until(culprit, end)];
    let closed = field.close(core.clone(), Forms::Weak, super::FEW, purse)?;
    let wanted: Vec<&M::Op> =
        closed.iter().filter(|part| !core.contains(part)).map(|part| &field.ops[part.place as usize].what).collect();
    let needs = |place: &u32| {
        let op = &field.ops[*place as usize];
        op.ret.is_some()
            && wanted.iter().any(|wanted| op.what != **wanted && !field.model.independent(&op.what, wanted))
    };
    let mut rivals = 0_u32;
    for rival in (culprit.saturating_sub(RIVAL_DISTANCE)..culprit).rev().filter(needs).take(RIVALS) {
        core.retain(|part| part.place != rival);
        core.push(field.part_until(rival, end));
        core.extend(anchor(field, rival).filter(|anchor| core.iter().all(|part| part.place != anchor.place)));
        core.sort_unstable_by_key(|part| part.place);
        rivals += 1;
        if rivals.is_power_of_two()
            && let Some(core) = proved(field, core.clone(), purse)
        {
            return Some(core);
        }
    }
    None
}

/// A core of one answer and an operation near it.
fn with_companion<M: Model>(
    field: &Field<'_, M>,
    culprit: u32,
    end: u32,
    purse: &mut Purse<'_>,
) -> Option<Vec<Part<M::Op>>> {
    let begun = u32::try_from(field.ops.partition_point(|op| op.call < end)).expect("places are of 32 bits");
    // Each costs a pass over the history; of a long one only a few are affordable.
    let near = purse.passes(begun).min(COMPANIONS);
    let (from, to) = (culprit.saturating_sub(near), culprit.saturating_add(near).min(begun));
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
    easily_refuted(field.model, &core, purse).then_some(core)
}
