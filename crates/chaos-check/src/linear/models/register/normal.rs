//! Fewer words for the engine: contents that nobody can tell apart become one.
//!
//! A content that no operation names as seen or as not seen behaves like every other such content. If no refused swap can
//! follow its write, nothing but an overwrite is possible after it: it becomes [`HIDDEN`], whose writes the engine treats as
//! riders on the next overwrite. Otherwise it makes refusals right, as every other one of its kind does: they become one
//! *other* content. O(n log n).

use std::num::NonZeroU32;

use super::{ABSENT, HIDDEN, RegisterOp};
use crate::linear::entry::Op;

/// The same operations with as few contents as can be. `None` if every content matters already.
pub(super) fn normalise(ops: &[Op<RegisterOp>]) -> Option<Vec<Op<RegisterOp>>> {
    let named = |op: &Op<RegisterOp>| match op.what {
        RegisterOp::Read(seen) => Some(seen),
        RegisterOp::Cas { expect, .. } => Some(expect),
        RegisterOp::Refused { unlike } | RegisterOp::Ousted { unlike } => Some(unlike),
        RegisterOp::Write(_) => None,
    };
    let mut contents: Vec<u32> = ops.iter().filter_map(named).chain([ABSENT]).collect();
    contents.sort_unstable();
    contents.dedup();
    // Once the model itself leaves hidden contents behind, they are not to be confused with others.
    if ops.iter().any(|op| matches!(op.what, RegisterOp::Ousted { .. })) {
        return None;
    }
    // An unanswered refusal needs nothing: it may never have taken effect.
    let refusals = ops.iter().filter(|op| matches!(op.what, RegisterOp::Refused { .. }));
    let refusals_end = refusals.filter_map(|op| op.ret).max().map_or(0, NonZeroU32::get);
    let other = (ABSENT + 1..HIDDEN).find(|content| contents.binary_search(content).is_err())?;
    let mut changed = false;
    let mut put = |new: u32, call: u32| {
        if contents.binary_search(&new).is_ok() {
            return new;
        }
        let put = if call > refusals_end { HIDDEN } else { other };
        changed |= put != new;
        put
    };
    let rewrite = |op: &Op<RegisterOp>| {
        let what = match op.what {
            RegisterOp::Write(new) => RegisterOp::Write(put(new, op.call)),
            RegisterOp::Cas { expect, new } => RegisterOp::Cas { expect, new: put(new, op.call) },
            RegisterOp::Read(_) | RegisterOp::Refused { .. } | RegisterOp::Ousted { .. } => op.what,
        };
        Op { what, ..*op }
    };
    let normal = ops.iter().map(rewrite).collect();
    changed.then_some(normal)
}
