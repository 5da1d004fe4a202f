//! Which path decides a register, and what it may leave out.
//!
//! *Where values are unique*, [`zones`](super::zones) decide, and [`refusals`] place the swaps that were refused without
//! telling what they saw.
//!
//! *Where some values are not*, the zones decide a relaxation: each write of a content with several writers writes a content
//! of its own instead, reads of such a content are left out, and a swap that expects one becomes a plain write. A legal order
//! of the history is one of the relaxation, so a conflict there is a proof (a read that finds the key absent after a write is
//! found this way whatever the values); an order there proves nothing.
//!
//! O(n log n).

use super::refusals;
use super::zones::{Block, Clusters};
use super::{ABSENT, RegisterOp};
use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;

/// Decides what can be decided in polynomial time.
pub(super) fn decide(ops: &[Op<RegisterOp>]) -> Shortcut {
    let numbered = renumbered(ops);
    let ops = numbered.as_deref().unwrap_or(ops);
    match Clusters::new(ops) {
        Some(clusters) => clusters.and_then(|clusters| order(&clusters)).unwrap_or_else(Shortcut::Conflict),
        None => {
            let relaxed = relaxed(ops);
            match Clusters::new(&relaxed).map(|clusters| clusters.and_then(|clusters| order(&clusters))) {
                // An order of the relaxation is not one of the history.
                Some(Ok(Shortcut::Order(_) | Shortcut::Pass)) | None => Shortcut::Pass,
                Some(Ok(Shortcut::Conflict(conflict)) | Err(conflict)) => Shortcut::Conflict(conflict),
            }
        }
    }
}

fn order(clusters: &Clusters<'_>) -> Result<Shortcut, Vec<u32>> {
    let mut blocks = clusters.blocks()?;
    blocks.sort_unstable_by_key(Block::earliest);
    clusters.exclude(&blocks)?;
    if clusters.ops.iter().any(|op| matches!(op.what, RegisterOp::Ousted { .. })) {
        return Ok(Shortcut::Pass);
    }
    let refused = |op: &Op<RegisterOp>| op.ret.is_some() && matches!(op.what, RegisterOp::Refused { .. });
    if clusters.ops.iter().any(refused) {
        return refusals::place(clusters, blocks);
    }
    let mut order = Vec::with_capacity(clusters.ops.len());
    blocks.iter().for_each(|block| order.extend(clusters.forced(block.start)));
    Ok(Shortcut::Order(order))
}

/// The operations with contents from 0 on without large gaps, since the paths keep a list by content; `None` if they are so
/// already.
fn renumbered(ops: &[Op<RegisterOp>]) -> Option<Vec<Op<RegisterOp>>> {
    let named = |op: &Op<RegisterOp>| match op.what {
        RegisterOp::Read(seen) => [Some(seen), None],
        RegisterOp::Write(new) => [Some(new), None],
        RegisterOp::Cas { expect, new } => [Some(expect), Some(new)],
        RegisterOp::Refused { unlike } | RegisterOp::Ousted { unlike } => [Some(unlike), None],
    };
    let largest = ops.iter().flat_map(named).flatten().max()?;
    if largest as usize <= 2 * ops.len() + 64 {
        return None;
    }
    let mut contents: Vec<u32> = ops.iter().flat_map(named).flatten().chain([ABSENT]).collect();
    contents.sort_unstable();
    contents.dedup();
    let number = |content: u32| {
        let place = contents.binary_search(&content).expect("all contents are listed");
        u32::try_from(place).expect("there are no more contents than numbers of 32 bits")
    };
    let renumber = |op: &Op<RegisterOp>| {
        let what = match op.what {
            RegisterOp::Read(seen) => RegisterOp::Read(number(seen)),
            RegisterOp::Write(new) => RegisterOp::Write(number(new)),
            RegisterOp::Cas { expect, new } => RegisterOp::Cas { expect: number(expect), new: number(new) },
            RegisterOp::Refused { unlike } => RegisterOp::Refused { unlike: number(unlike) },
            RegisterOp::Ousted { unlike } => RegisterOp::Ousted { unlike: number(unlike) },
        };
        Op { what, ..*op }
    };
    Some(ops.iter().map(renumber).collect())
}

/// The operations, at the same places, in a form in which every content has one writer; weaker where contents are repeated.
fn relaxed(ops: &[Op<RegisterOp>]) -> Vec<Op<RegisterOp>> {
    let contents = ops.iter().flat_map(|op| [op.what.observes(), op.what.writes()]).flatten();
    let mut fresh = contents.max().unwrap_or(ABSENT);
    let (mut written, mut repeated) = (vec![false; fresh as usize + 1], vec![false; fresh as usize + 1]);
    written[ABSENT as usize] = true;
    for content in ops.iter().filter_map(|op| op.what.writes()) {
        repeated[content as usize] |= std::mem::replace(&mut written[content as usize], true);
    }
    let repeated = |content: u32| repeated[content as usize];
    let mut put = |new: u32| {
        fresh += u32::from(repeated(new));
        if repeated(new) { fresh } else { new }
    };
    // An unanswered read is none.
    let nothing = |op: &Op<RegisterOp>| Op { what: RegisterOp::Read(ABSENT), ret: None, ..*op };
    let relax = |op: &Op<RegisterOp>| match op.what {
        RegisterOp::Read(seen) if repeated(seen) => nothing(op),
        // Another writer of the content may have made the refusal wrong or right.
        RegisterOp::Refused { .. } | RegisterOp::Ousted { .. } => nothing(op),
        RegisterOp::Read(_) => *op,
        RegisterOp::Cas { expect, new } if !repeated(expect) => {
            Op { what: RegisterOp::Cas { expect, new: put(new) }, ..*op }
        }
        RegisterOp::Cas { new, .. } | RegisterOp::Write(new) => Op { what: RegisterOp::Write(put(new)), ..*op },
    };
    ops.iter().map(relax).collect()
}
