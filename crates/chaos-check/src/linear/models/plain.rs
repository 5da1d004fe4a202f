//! The short way through plain sections: acquire answered, then release invoked, and no more than the permits at once.
//!
//! Nearly all histories of locks are that, and long. One pass pairs releases with acquires and lays both out over the ranks
//! (each where [`super::sections`] would), a second one counts what is held and collects the order. Whatever is not plain, and
//! every violation, is left to that file: this one only ever finds orders. Cost: O(n), 16 bytes per operation.

use super::sections::{Part, Role};
use crate::linear::entry::Op;

/// In a slot: a release, not an acquire. Places are below 2³¹ - 1, as every place plus one has a rank of its own.
const RELEASE: u32 = 1 << 31;

/// The order of `ops`, if they are plain sections, of which at most `permits` must be held at a time; operations of no section
/// are ignored.
pub(super) fn order<T: Part>(ops: &[Op<T>], permits: u32) -> Option<Vec<u32>> {
    let mut order = slots(ops)?;
    let (mut count, mut held, mut held_max) = (0_usize, 0_u32, 0_u32);
    for rank in 0..order.len() {
        let slot = order[rank];
        // Whether a rank has a slot is as good as random: no branch. An empty slot is written, too, and then written over;
        // what is written over was read before, as there are no more operations than ranks.
        order[count] = (slot & !RELEASE).wrapping_sub(1);
        let (acquires, releases) = (u32::from(slot != 0 && slot < RELEASE), slot >> 31);
        count += (acquires | releases) as usize;
        held = held.wrapping_add(acquires).wrapping_sub(releases);
        held_max = held_max.max(held);
    }
    order.truncate(count);
    (held_max <= permits).then_some(order)
}

/// For each rank the place, plus one, of the operation that takes effect there; 0 if none does.
fn slots<T: Part>(ops: &[Op<T>]) -> Option<Vec<u32>> {
    let mut slots = vec![0_u32; 2 * ops.len() + 64];
    // For each hold the rank of its acquire's answer; 0 before, and `u32::MAX` after the release, or without an answer.
    let mut acquired = vec![0_u32; ops.len() + 64];
    for (place, op) in (1_u32..).zip(ops) {
        let Some((hold, role)) = op.what.part() else { continue };
        let answered = acquired.get_mut(hold.0 as usize)?;
        match role {
            Role::Acquire if *answered == 0 => {
                *answered = op.deadline();
                if let Some(ret) = op.ret {
                    *slots.get_mut(ret.get() as usize)? = place;
                }
            }
            Role::End if 0 < *answered && *answered < op.call => {
                *answered = u32::MAX;
                *slots.get_mut(op.call as usize)? = place | RELEASE;
            }
            Role::Acquire | Role::Renew | Role::End => return None,
        }
    }
    Some(slots)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::super::mutex::MutexOp;
    use super::super::{Hold, sections};
    use super::*;
    use crate::linear::decision::Shortcut;

    fn ops(stamps: &[(MutexOp, u32, u32)]) -> Vec<Op<MutexOp>> {
        stamps.iter().map(|&(what, call, ret)| Op { what, call, ret: NonZeroU32::new(ret) }).collect()
    }

    #[test]
    fn the_short_way_finds_what_the_long_way_finds_or_nothing() {
        use MutexOp::{Acquire, Release};
        let plain = ops(&[
            (Acquire(Hold(4)), 1, 3),
            (Acquire(Hold(3)), 2, 6),
            (Release(Hold(4)), 4, 0),
            (Acquire(Hold(0)), 5, 0),
            (Release(Hold(3)), 7, 8),
        ]);
        assert_eq!(order(&plain, 1), Some(vec![0, 2, 1, 4]));
        assert_eq!(sections::laid_out(&plain, 1), Shortcut::Order(vec![0, 2, 1, 4]));
        let crowded = ops(&[(Acquire(Hold(4)), 1, 3), (Acquire(Hold(3)), 2, 4), (Release(Hold(4)), 5, 6)]);
        assert_eq!((order(&crowded, 1), order(&crowded, 2)), (None, Some(vec![0, 1, 2])));
        let odd = ops(&[(Acquire(Hold(4)), 1, 3), (Release(Hold(4)), 2, 4)]);
        assert_eq!(order(&odd, 1), None);
    }
}
