//! Forced orders: where the answers alone say which operation came before which, one pass decides.
//!
//! Tokens, revisions, offsets, counts and positions of a log are *ranks*: every legal order is ascending by rank. An order is
//! compatible with the stamps if and only if no operation stands behind one that was invoked only when it was over, and that
//! is one running maximum of invocations (the same that the verifier keeps). Operations of equal rank may stand in any order;
//! ascending by invocation is as good as every other: of two in that order, the first can't have been invoked after the
//! second one's answer.
//!
//! This file refuses to know what the operations mean: that the order is *sequentially* legal, and that no other could be, is
//! the model's business. Source: the running maximum is Gibbons and Korach, "Testing Shared Memories" (SIAM J. Comput. 1997),
//! section 4.3, for a given total order of writes. Cost: O(n log n), O(n) where the ranks are almost in order.

use super::entry::Op;

/// Two operations that can't be in the order of their ranks. Numbers are places in the operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inversion {
    /// Must come first by rank, and was invoked only when `second` was over.
    pub(crate) first: u32,
    /// Must come second by rank.
    pub(crate) second: u32,
}

/// The operations that have a rank, ascending by rank, equal ones by invocation.
///
/// # Errors
/// If that order contradicts the stamps; the two operations have no order by themselves, then.
#[cfg_attr(not(test), expect(dead_code, reason = "the models of tokens and logs are to come"))]
pub(crate) fn ascending<T, K: Ord>(
    ops: &[Op<T>],
    mut rank: impl FnMut(&Op<T>) -> Option<K>,
) -> Result<Vec<u32>, Inversion> {
    let mut ranked: Vec<(K, u32)> = (0..).zip(ops).filter_map(|(place, op)| Some((rank(op)?, place))).collect();
    ranked.sort_unstable();
    let order: Vec<u32> = ranked.into_iter().map(|(_, place)| place).collect();
    inversion(ops, &order).map_or(Ok(order), Err)
}

/// The first two operations whose places in `order` contradict their stamps; `None` if none do.
pub(crate) fn inversion<T>(ops: &[Op<T>], order: &[u32]) -> Option<Inversion> {
    let mut latest = *order.first()?;
    for &place in order {
        if ops[place as usize].precedes(&ops[latest as usize]) {
            return Some(Inversion { first: latest, second: place });
        }
        if ops[latest as usize].call < ops[place as usize].call {
            latest = place;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn ops(stamps: &[(u64, u32, Option<u32>)]) -> Vec<Op<u64>> {
        stamps.iter().map(|&(what, call, ret)| Op { what, call, ret: ret.and_then(NonZeroU32::new) }).collect()
    }

    #[test]
    fn equal_ranks_stand_by_invocation_and_unranked_operations_nowhere() {
        let ops = ops(&[(7, 1, Some(6)), (3, 2, None), (7, 3, Some(4)), (0, 5, None)]);
        assert_eq!(ascending(&ops, |op| (op.what > 0).then_some(op.what)), Ok(vec![1, 0, 2]));
    }

    #[test]
    fn a_rank_below_that_of_an_operation_which_was_over_is_an_inversion() {
        let ops = ops(&[(1, 1, Some(2)), (3, 3, Some(4)), (2, 5, Some(6))]);
        assert_eq!(ascending(&ops, |op| Some(op.what)), Err(Inversion { first: 2, second: 1 }));
        assert_eq!(ascending(&ops, |op| (op.what != 2).then_some(op.what)), Ok(vec![0, 1]));
    }

    #[test]
    fn an_operation_without_an_answer_can_always_come_last() {
        assert_eq!(ascending(&ops(&[(9, 1, None), (1, 2, Some(3))]), |op| Some(op.what)), Ok(vec![1, 0]));
    }
}
