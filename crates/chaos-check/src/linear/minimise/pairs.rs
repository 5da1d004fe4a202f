//! A last look at a core that stayed large: is it about one answer and two other operations?
//!
//! Whole reads hold each other's operations in place: nothing can be left out of a core of sixteen, although the read, if it is
//! asked only whether it saw the one of two appends behind the other, needs no more than those two. Single weakenings don't
//! find that, since the answer has to be weakened and a dozen operations left out at once. So every answer of the core is
//! tried, in the form that it takes beside a pair of the others ([`Model::weaker_beside`]), with that pair and what they need.
//!
//! Worst case: one guess per answer and pair, as many as a purse of its own affords; O(k³) for a core of k operations.

use super::closure::{Field, Forms};
use super::reduce::reduce;
use super::trial::{Purse, easily_refuted};
use super::{FEW, Part};
use crate::linear::model::Model;

/// Cores up to this many operations are small enough.
const SMALL: usize = 6;

/// `core`, or a smaller one that was found in it.
pub(super) fn sharpened<M: Model>(
    field: &Field<'_, M>,
    core: Vec<Part<M::Op>>,
    purse: &mut Purse<'_>,
) -> Vec<Part<M::Op>> {
    if core.len() <= SMALL || core.len() > FEW {
        return core;
    }
    match pair(field, &core, purse) {
        Some(smaller) => reduce(field, smaller, purse),
        None => core,
    }
}

fn pair<M: Model>(field: &Field<'_, M>, core: &[Part<M::Op>], purse: &mut Purse<'_>) -> Option<Vec<Part<M::Op>>> {
    let answers = core.iter().filter(|part| part.op.ret.is_some() && field.read_only(part.place));
    for answer in answers {
        let others: Vec<&Part<M::Op>> = core.iter().filter(|other| other.place != answer.place).collect();
        for (index, one) in others.iter().enumerate() {
            for other in &others[..index] {
                let Some(form) = field.weaker_beside(answer.place, &[&one.op.what, &other.op.what]) else { continue };
                let mut heart = vec![(*one).clone(), (*other).clone(), answer.clone()];
                heart[2].op.what = form;
                heart.sort_unstable_by_key(|part| part.place);
                if let Some(smaller) = field.close(heart, Forms::Full, core.len() - 1, purse)
                    && easily_refuted(field.model, &smaller, purse)
                {
                    return Some(smaller);
                }
            }
        }
    }
    None
}
