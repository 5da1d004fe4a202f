//! A lock whose every acquire is answered with a fencing token, greater than all tokens before it.
//!
//! *Specification.* Free at first. `Acquire { hold, token }`: free before, held by `hold` after, and `token` is greater than
//! that of every earlier acquire. `Release(hold)`: held by `hold` before, free after.
//!
//! *What `fail` means.* Of an acquire and of a release: it did not take effect; whoever builds the entries leaves it out.
//! An acquire without an outcome told no token: leave it out, too (a legal order with it is one without it, as nobody
//! releases its hold). A release without an outcome may have taken effect at any time since, or never. A lease that runs out
//! is the same: a `Release` without an answer, invoked when the lease may run out first.
//!
//! ```text
//!  n1  acquire ├──┤ token 33                       release ├──┤
//!  n2                 acquire ├────────┤ token 34                  no order: 34 was given away while 33 was held
//! ```
//!
//! *Decided* in O(n log n), always, if no two acquires name one hold (histories in which two do go to the engine). Proof. In
//! a legal order, sections are disjoint and ascending by token, so the operations that have to take effect have one order
//! only: acquire, end, acquire, end, …. An end without an answer has to take effect if another section follows, and of
//! several such ends the one invoked first can do what any can. A forced order is legal if its running maximum says so
//! (`forced.rs`).
//!
//! Source: fencing tokens, Kleppmann, "How to do distributed locking" (2016); Burrows, "The Chubby lock service" (OSDI 2006),
//! section 2.4 (sequencers).

use super::hold::{Groups, Hold};
use super::sections::{Part, Role, Section};
use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;
use crate::linear::forced;
use crate::linear::model::Model;

/// A lock that gives fencing tokens.
#[derive(Clone, Copy, Debug, Default)]
pub struct FencedLock;

/// What was done to a fenced lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FencedLockOp {
    /// Got the lock.
    Acquire {
        /// The section that begins.
        hold: Hold,
        /// The fencing token that came with it.
        token: u64,
    },
    /// Gave it back, or lost it.
    Release(Hold),
}

/// The state of a fenced lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence {
    /// Who holds the lock.
    pub holder: Option<Hold>,
    /// The last token, if there was any.
    pub token: Option<u64>,
}

impl FencedLockOp {
    /// The section that the operation belongs to.
    #[must_use]
    pub fn hold(self) -> Hold {
        match self {
            Self::Acquire { hold, .. } | Self::Release(hold) => hold,
        }
    }

    /// The fencing token, if the operation got one.
    #[must_use]
    pub fn token(self) -> Option<u64> {
        match self {
            Self::Acquire { token, .. } => Some(token),
            Self::Release(_) => None,
        }
    }
}

impl Part for FencedLockOp {
    fn part(&self) -> Option<(Hold, Role)> {
        match *self {
            Self::Acquire { hold, .. } => Some((hold, Role::Acquire)),
            Self::Release(hold) => Some((hold, Role::End)),
        }
    }
}

impl Model for FencedLock {
    type Op = FencedLockOp;
    type State = Fence;

    fn initial(&self) -> Fence {
        Fence { holder: None, token: None }
    }

    fn apply(&self, &state: &Fence, op: &FencedLockOp) -> Option<Fence> {
        match *op {
            FencedLockOp::Acquire { hold, token } => (state.holder.is_none() && state.token < Some(token))
                .then_some(Fence { holder: Some(hold), token: Some(token) }),
            FencedLockOp::Release(hold) => (state.holder == Some(hold)).then_some(Fence { holder: None, ..state }),
        }
    }

    fn shortcut(&self, ops: &[Op<FencedLockOp>]) -> Shortcut {
        let mut sections: Vec<(u64, u32, Option<u32>)> = Vec::with_capacity(ops.len() / 2);
        for group in Groups::new(ops, |what| Some(what.hold())).iter() {
            match Section::new(ops, group) {
                Ok(section) => sections.extend(section.and_then(|section| {
                    let token = ops[section.acquire as usize].what.token()?;
                    Some((token, section.acquire, section.end))
                })),
                Err(verdict) => return verdict,
            }
        }
        sections.sort_unstable();
        let members = |(_, acquire, end): (u64, u32, Option<u32>)| [acquire].into_iter().chain(end);
        let between = |earlier, later| Shortcut::Conflict(members(earlier).chain(members(later)).collect());
        for pair in sections.windows(2) {
            if pair[0].0 == pair[1].0 || pair[0].2.is_none() {
                return between(pair[0], pair[1]);
            }
        }
        let mut order: Vec<u32> = sections.iter().copied().flat_map(members).collect();
        if order.last().is_some_and(|&last| ops[last as usize].ret.is_none()) {
            order.pop();
        }
        match forced::inversion(ops, &order) {
            None => Shortcut::Order(order),
            Some(inversion) => {
                let of = |place: u32| {
                    sections.iter().copied().find(|&section| members(section).any(|member| member == place))
                };
                of(inversion.first)
                    .zip(of(inversion.second))
                    .map_or(Shortcut::Pass, |(first, second)| between(first, second))
            }
        }
    }

    /// Without a whole section there is more room for the others, in time and in tokens.
    fn independent(&self, kept: &FencedLockOp, dropped: &FencedLockOp) -> bool {
        kept.hold() != dropped.hold()
    }
}
