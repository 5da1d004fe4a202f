//! The shortest stretch before the conflict's end that has no legal order by itself.
//!
//! A stretch begins with an *anchor*: an answered operation that is taken as an overwrite, whatever else it saw, so that its
//! past is of no matter to what began after it. What was under way together with the anchor is not cut off; it is taken as an
//! overwrite, too, or left out if it is read-only.
//! ```text
//!   … ├─cas 1→4─┤  ├──write 2──┤                    ├─read 2─┤        the past is forgotten;
//!              ├──anchor: wrote 7──┤  ├─read 7─┤                        read 2 finds no writer of 2 behind the anchor
//! ```

use super::Part;
use super::closure::{Field, Forms, end};
use super::trial::{Purse, refuted};
use crate::linear::model::Model;

/// How many anchors are tried per stretch.
const ANCHORS: usize = 3;
/// The most operations of a stretch.
const STRETCH_MAX: usize = 1024;

/// The first stretch, in doubling length, that is refuted. `None` if there is none, or if models without overwrites have no
/// anchors.
pub(super) fn shortest<M: Model>(
    field: &Field<'_, M>,
    base: &[Part<M::Op>],
    purse: &mut Purse<'_>,
) -> Option<Vec<Part<M::Op>>> {
    let end = end(base);
    let last = field.ops.partition_point(|op| op.call < end);
    let culprit = field.ops[..last].iter().rposition(|op| op.deadline() == end)?;
    let limit = field.ops[culprit].call;
    let begun = field.ops.partition_point(|op| op.call < limit);
    let (mut near, mut far) = (0, 4);
    while near < begun {
        for anchor in anchors(field, begun.saturating_sub(far)..begun - near, limit) {
            for demanding in [false, true] {
                if let Some(core) = stretch(field, anchor, end, demanding, purse)
                    && core.len() < base.len()
                    && refuted(field.model, &core, purse)
                {
                    return Some(core);
                }
            }
            if purse.is_empty() {
                return None;
            }
        }
        (near, far) = (far, far * 2);
    }
    None
}

/// The operations of a range that begin a stretch best: over before `limit`, possible as an overwrite, and the shortest.
fn anchors<M: Model>(field: &Field<'_, M>, range: std::ops::Range<usize>, limit: u32) -> Vec<u32> {
    let mut anchors: Vec<(u32, u32)> = (0_u32..)
        .zip(field.ops)
        .skip(range.start)
        .take(range.len())
        .filter(|(_, op)| op.deadline() < limit)
        .map(|(place, op)| (op.deadline() - op.call, place))
        .collect();
    anchors.sort_unstable();
    let possible = |&(_, place): &(u32, u32)| field.as_overwrite(place).map(|_| place);
    anchors.iter().filter_map(possible).take(ANCHORS).collect()
}

/// The answered operations from the anchor to the rank `end`, and what they need. Without those that have no answer and aren't
/// needed: an order without them is an order with them. `demanding`: with reads that need most of all others, too.
fn stretch<M: Model>(
    field: &Field<'_, M>,
    anchor: u32,
    end: u32,
    demanding: bool,
    purse: &mut Purse<'_>,
) -> Option<Vec<Part<M::Op>>> {
    let begin = &field.ops[anchor as usize];
    let begun = field.ops.partition_point(|op| op.call < end);
    if !purse.pay(begun as u64) {
        return None;
    }
    let mut core = Vec::new();
    for (place, op) in (0_u32..).zip(&field.ops[..begun]).filter(|(_, op)| op.deadline() >= begin.call) {
        let mut part = field.part_until(place, end);
        if part.op.ret.is_none() || !demanding && field.read_only(place) && field.demands_much(&op.what) {
            continue;
        }
        if op.call < begin.deadline() {
            if place != anchor && field.read_only(place) {
                continue;
            }
            part.op.what = field.as_overwrite(place).unwrap_or(part.op.what);
        }
        core.push(part);
    }
    field.close(core, Forms::Weak, STRETCH_MAX, purse)
}
