//! Holds: what ties an acquire to the release that ends it, and the grouping of operations by it.
//!
//! A hold is one section: one acquire, the renewals of it, and its end. Whoever builds the entries numbers them (a process
//! that ended without an outcome is never used again, so "the n-th section of process p" is a hold). The paths for locks
//! demand that no two acquires name one hold, and leave a history in which two do to the engine. Cost: O(n) for numbers that
//! are dense, O(n log n) for others.

use crate::linear::entry::Op;

/// The number of a section: one acquire and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hold(pub u32);

/// The operations of every hold, ascending by invocation.
pub(super) struct Groups {
    /// Places of operations, group behind group.
    members: Vec<u32>,
    /// Where each group ends in `members`.
    ends: Vec<u32>,
}

impl Groups {
    /// Groups `ops` by what `hold` says; operations without a hold are in no group.
    pub(super) fn new<T>(ops: &[Op<T>], hold: impl Fn(&T) -> Option<Hold>) -> Self {
        let largest = ops.iter().filter_map(|op| hold(&op.what)).max();
        let dense = largest.is_none_or(|largest| (largest.0 as usize) < 2 * ops.len() + 64);
        let names: Vec<Hold> = if dense { Vec::new() } else { Self::names(ops, &hold) };
        let group = |hold: Hold| {
            if dense { hold.0 as usize } else { names.partition_point(|name| *name < hold) }
        };
        let count = if dense { largest.map_or(0, |largest| largest.0 as usize + 1) } else { names.len() };
        // A counting sort: sizes, then where each group begins, which filling turns into where it ends.
        let mut ends = vec![0_u32; count];
        for hold in ops.iter().filter_map(|op| hold(&op.what)) {
            ends[group(hold)] += 1;
        }
        let mut filled = 0;
        for end in &mut ends {
            filled += std::mem::replace(end, filled);
        }
        let mut members = vec![0_u32; filled as usize];
        for (place, op) in (0..).zip(ops) {
            if let Some(hold) = hold(&op.what) {
                let end = &mut ends[group(hold)];
                members[*end as usize] = place;
                *end += 1;
            }
        }
        Self { members, ends }
    }

    fn names<T>(ops: &[Op<T>], hold: impl Fn(&T) -> Option<Hold>) -> Vec<Hold> {
        let mut names: Vec<Hold> = ops.iter().filter_map(|op| hold(&op.what)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The groups that are not empty.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u32]> {
        let mut from = 0;
        self.ends.iter().filter_map(move |&end| {
            let group = &self.members[from..end as usize];
            from = end as usize;
            (!group.is_empty()).then_some(group)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dense_and_sparse_holds_make_the_same_groups() {
        for scale in [1, 50_000_000] {
            let ops: Vec<Op<u32>> =
                [5, 0, 5, 9, 0, 5].into_iter().zip(1..).map(|(what, call)| Op { what, call, ret: None }).collect();
            let groups = Groups::new(&ops, |what| (*what < 9).then_some(Hold(what * scale)));
            assert_eq!(groups.iter().collect::<Vec<_>>(), [[1, 4].as_slice(), &[0, 2, 5]]);
        }
    }
}
