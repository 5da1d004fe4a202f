//! What was placed on the way to each configuration, as a tree that forgets its dead branches.
//!
//! A breadth-first search reaches the end with a handful of configurations, whose ways are the same but for their last part. So
//! the tree of all ways is little more than one way, once what leads nowhere is cut off, which is done whenever the tree
//! has doubled.

use super::expand::Placed;
use super::room::Room;

/// So few branches are never cut.
const CUT_AT_MIN: usize = if cfg!(test) { 2 } else { 1 << 12 };

/// A branch of the tree; `None`: its root.
pub(super) type Link = Option<std::num::NonZeroU32>;

/// One thing placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Before the answer of this step.
    pub(super) step: u32,
    /// An operation that will be answered, or a kind of those that won't.
    pub(super) what: Result<u32, u32>,
}

/// The tree.
#[derive(Debug, Default)]
pub(super) struct Trail {
    branches: Vec<(Link, Mark)>,
    /// Cut when there are so many.
    cut_at: usize,
}

impl Mark {
    /// What a move placed; `op_in` tells which operation is in a slot.
    pub(super) fn new(step: u32, placed: Placed, op_in: impl Fn(u32) -> u32) -> Self {
        let what = match placed {
            Placed::Slot(slot) => Ok(op_in(slot)),
            Placed::Crashed(kind) => Err(kind),
        };
        Self { step, what }
    }
}

impl Trail {
    /// A new branch.
    pub(super) fn push(&mut self, parent: Link, mark: Mark) -> Link {
        self.branches.push((parent, mark));
        Link::Some(at(self.branches.len()))
    }

    /// Whether it is time to cut.
    pub(super) fn is_long(&self) -> bool {
        self.branches.len() > self.cut_at.max(CUT_AT_MIN)
    }

    /// Cuts off all that leads to none of `live`, which get their new names.
    pub(super) fn cut<'a>(&mut self, live: impl Iterator<Item = &'a mut Link>) {
        let live: Vec<&mut Link> = live.collect();
        let mut keep = vec![false; self.branches.len()];
        for link in live.iter().filter_map(|link| **link) {
            keep[link.get() as usize - 1] = true;
        }
        for place in (0..keep.len()).rev() {
            if let (true, Some(parent)) = (keep[place], self.branches[place].0) {
                keep[parent.get() as usize - 1] = true;
            }
        }
        let mut renamed: Vec<Link> = vec![None; keep.len()];
        let rename = |link: Link, renamed: &[Link]| link.and_then(|link| renamed[link.get() as usize - 1]);
        let mut kept = 0;
        for place in 0..keep.len() {
            if keep[place] {
                let (parent, mark) = self.branches[place];
                self.branches[kept] = (rename(parent, &renamed), mark);
                kept += 1;
                renamed[place] = Some(at(kept));
            }
        }
        self.branches.truncate(kept);
        for link in live {
            *link = rename(*link, &renamed);
        }
        self.cut_at = 2 * kept;
    }

    /// All that was placed on the way, in order.
    pub(super) fn way(&self, mut link: Link) -> Vec<Mark> {
        let mut way = Vec::new();
        while let Some(branch) = link {
            let (parent, mark) = self.branches[branch.get() as usize - 1];
            way.push(mark);
            link = parent;
        }
        way.reverse();
        way
    }

    /// Bytes in use, those of cutting included.
    pub(super) fn room(&self) -> Room {
        Room::doubling::<(Link, Mark)>(self.branches.len(), self.branches.capacity())
            + Room::fixed(self.branches.capacity() * (size_of::<Link>() + 1))
    }
}

fn at(place: usize) -> std::num::NonZeroU32 {
    u32::try_from(place).ok().and_then(std::num::NonZeroU32::new).expect("a budget is never so large")
}
