//! Delta debugging: from a refuted core to one of which no single weakening is refuted.
//!
//! Weakening is monotone (a core without an order refutes everything that it was weakened from), so that a greedy descent ends
//! in a core that is minimal by itself, though not always in the smallest. Reads go first: they hold others in place.

use super::Part;
use super::closure::{Field, Forms};
use super::trial::{Purse, refuted};
use crate::linear::model::Model;

/// A core of which no operation can be left out, taken in a weaker form or taken for unanswered; or as far as the purse goes.
pub(super) fn reduce<M: Model>(
    field: &Field<'_, M>,
    core: Vec<Part<M::Op>>,
    purse: &mut Purse<'_>,
) -> Vec<Part<M::Op>> {
    let mut core = thin(field, core, purse);
    loop {
        let before = core.clone();
        core = drop_one_by_one(field, core, purse);
        core = take_weaker(field, core, purse);
        // An answer that is forgotten can't cut off the past any more, so answers go last.
        if core == before {
            core = forget_answers(field, core, purse);
        }
        if core == before || purse.is_empty() {
            return core;
        }
    }
}

/// Leaves out chunks: halves, quarters, and so on.
fn thin<M: Model>(field: &Field<'_, M>, mut core: Vec<Part<M::Op>>, purse: &mut Purse<'_>) -> Vec<Part<M::Op>> {
    let mut size = core.len() / 2;
    while size > 1 && !purse.is_empty() {
        let mut from = 0;
        while from < core.len() {
            let to = (from + size).min(core.len());
            let rest = core.iter().enumerate().filter(|(index, _)| !(from..to).contains(index));
            match without(field, rest.map(|(_, part)| part.clone()).collect(), core.len(), purse) {
                Some(smaller) => core = smaller,
                None => from += size,
            }
        }
        size /= 2;
    }
    core
}

fn drop_one_by_one<M: Model>(
    field: &Field<'_, M>,
    mut core: Vec<Part<M::Op>>,
    purse: &mut Purse<'_>,
) -> Vec<Part<M::Op>> {
    let (mut readers, mut others): (Vec<u32>, Vec<u32>) =
        core.iter().map(|part| part.place).partition(|&place| field.read_only(place));
    readers.append(&mut others);
    for place in readers {
        let rest: Vec<Part<M::Op>> = core.iter().filter(|part| part.place != place).cloned().collect();
        if rest.len() < core.len()
            && let Some(smaller) = without(field, rest, core.len(), purse)
        {
            core = smaller;
        }
    }
    core
}

/// `rest` with what it needs, if that is fewer than `size` and still refuted.
fn without<M: Model>(
    field: &Field<'_, M>,
    rest: Vec<Part<M::Op>>,
    size: usize,
    purse: &mut Purse<'_>,
) -> Option<Vec<Part<M::Op>>> {
    let rest = field.close(rest, Forms::Full, size - 1, purse)?;
    refuted(field.model, &rest, purse).then_some(rest)
}

/// Takes operations in weaker forms. Of the forms of one operation those further down the model's list are preferred.
fn take_weaker<M: Model>(field: &Field<'_, M>, mut core: Vec<Part<M::Op>>, purse: &mut Purse<'_>) -> Vec<Part<M::Op>> {
    for index in 0..core.len() {
        let others: Vec<&M::Op> =
            core.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, part)| &part.op.what).collect();
        let mut forms = field.model.weaker_beside(&field.ops[core[index].place as usize].what, &others);
        forms.drain(..forms.iter().position(|form| *form == core[index].op.what).map_or(0, |at| at + 1));
        for form in forms {
            let mut weaker = core.clone();
            weaker[index].op.what = form;
            if refuted(field.model, &weaker, purse) && field.is_closed(&weaker, purse) {
                core = weaker;
            }
        }
    }
    core
}

/// Takes answered operations for unanswered ones.
fn forget_answers<M: Model>(
    field: &Field<'_, M>,
    mut core: Vec<Part<M::Op>>,
    purse: &mut Purse<'_>,
) -> Vec<Part<M::Op>> {
    for index in 0..core.len() {
        let mut weaker = core.clone();
        weaker[index].op.ret = None;
        if core[index].op.ret.is_some() && refuted(field.model, &weaker, purse) && field.is_closed(&weaker, purse) {
            core = weaker;
        }
    }
    core
}
