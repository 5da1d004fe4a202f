//! Zones: the exact decision, in near-linear time, for registers whose every content is written by one operation at most.
//!
//! *Blocks.* A cluster is a write and the reads of its content. A swap from a to b forces b's cluster directly behind a's, so
//! clusters form chains, the *blocks*: in every legal order each block is contiguous, and inside it the order of the layers
//! (write, its reads, swap, its reads, …) is forced. The block of the absent register begins before everything.
//!
//! *Unanswered operations that nobody observed* are left out. What an answered operation observes was written; so was what
//! that writer expects, and so on: those operations are *alive*. Leaving out the rest is exact: an order without them is an
//! order, and an order with some of them stays legal without them, because the content that a live operation observed was
//! written by a live operation, and nothing that is not alive came between (it would have changed the content to one that
//! nothing alive observes).
//!
//! *Inside a block* the forced order must respect real time: no operation may have been answered before one of an earlier
//! layer was invoked. One running maximum.
//!
//! *Between blocks.* Let f be the earliest answer in a block and s its latest invocation. A must precede B iff f(A) < s(B).
//! The history is linearizable iff this relation has no cycle; and if it has a cycle, it has one of two blocks. Proof: take
//! the block A of the cycle with the smallest f. Every block E of the cycle has a predecessor D on it, so f(A) ≤ f(D) < s(E)
//! and A must precede E; in particular A must precede its own predecessor. So it is enough to look at pairs: A and B conflict
//! iff f(A) < s(B) and f(B) < s(A), that is, iff two forward zones (f < s) overlap or a backward zone (s < f) lies inside a
//! forward one.
//!
//! ```text
//!   block 7:  [write 7 ]f──────────────────────s[read 7]
//!   block 9:               [write 9]f  s[read 9]            f(7) < s(9) and f(9) < s(7): no order
//! ```
//!
//! Without a conflict, sorting blocks by min(f, s) is an order: f(A) < s(B) implies min(A) < min(B) in all four cases of
//! forward and backward zones. By the symmetry of time, so is sorting by max(f, s).
//!
//! Source: Gibbons and Korach, "Testing Shared Memories" (SIAM J. Comput. 26, 1997), theorem 4.13 and zones; extended to
//! chains of swaps and to unanswered operations. O(n log n) time, 48 bytes per operation at most. Refuses contents with several
//! writers ([`Clusters::new`] says `None`); leaves out refused swaps, which name no cluster.

use std::num::NonZeroU32;

use super::{ABSENT, RegisterOp};
use crate::linear::entry::Op;

/// An operation's place, or none, in four bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place(Option<NonZeroU32>);

impl Place {
    fn of(op: u32) -> Self {
        Self(NonZeroU32::new(op + 1))
    }

    /// The place.
    pub(super) fn get(self) -> Option<u32> {
        self.0.map(|place| place.get() - 1)
    }
}

/// What is done with one content.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cluster {
    /// Who writes it.
    writer: Place,
    /// The first answered read of it by invocation; the others follow by [`Clusters::next_read`].
    read: Place,
    /// Who swaps it away, of those that are alive.
    swap: Place,
}

/// The operations of a register by content.
pub(super) struct Clusters<'a> {
    /// The operations.
    pub(super) ops: &'a [Op<RegisterOp>],
    /// By content.
    clusters: Vec<Cluster>,
    /// By operation that reads: the next one of the same content.
    next_read: Vec<Place>,
}

/// A chain of clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The content with which it begins.
    pub(super) start: u32,
    /// The earliest answer; 0 for the absent register, which was there before all; `u32::MAX` if nothing was answered.
    pub(super) first_answer: u32,
    /// The latest invocation.
    pub(super) last_call: u32,
}

impl Block {
    /// The key of the order that takes blocks as early as possible.
    pub(super) fn earliest(&self) -> u32 {
        self.first_answer.min(self.last_call)
    }

    /// The key of the order that takes blocks as late as possible.
    pub(super) fn latest(&self) -> u32 {
        if self.start == ABSENT { 0 } else { self.first_answer.max(self.last_call) }
    }
}

impl<'a> Clusters<'a> {
    /// Sorts operations into clusters. `None` if some content has several writers, the absent register counting as written.
    ///
    /// # Errors
    /// The operations of a conflict.
    pub(super) fn new(ops: &'a [Op<RegisterOp>]) -> Option<Result<Self, Vec<u32>>> {
        let contents = ops.iter().flat_map(|op| [op.what.observes(), op.what.writes()]).flatten();
        let size = contents.max().map_or(1, |largest| largest as usize + 1);
        let mut clusters = vec![Cluster::default(); size];
        let mut next_read = vec![Place::default(); ops.len()];
        let count = u32::try_from(ops.len()).expect("ranks of 32 bits have room for fewer operations");
        for (index, op) in (0..count).zip(ops).rev() {
            match op.what {
                RegisterOp::Read(seen) => {
                    if op.ret.is_some() {
                        let first = &mut clusters[seen as usize].read;
                        next_read[index as usize] = std::mem::replace(first, Place::of(index));
                    }
                }
                RegisterOp::Write(new) | RegisterOp::Cas { new, .. } => {
                    let writer = &mut clusters[new as usize].writer;
                    if new == ABSENT || *writer != Place::default() {
                        return None;
                    }
                    *writer = Place::of(index);
                }
                RegisterOp::Refused { .. } | RegisterOp::Ousted { .. } => {}
            }
        }
        let mut all = Self { ops, clusters, next_read };
        Some((0..).take(size).try_for_each(|content| all.link(content)).map(|()| all))
    }

    /// The number of contents.
    pub(super) fn contents(&self) -> usize {
        self.clusters.len()
    }

    /// Who writes a content.
    pub(super) fn writer(&self, content: u32) -> Option<u32> {
        self.clusters[content as usize].writer.get()
    }

    /// The answered reads of a content, by invocation.
    pub(super) fn reads(&self, content: u32) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(self.clusters[content as usize].read.get(), |&read| self.next_read[read as usize].get())
    }

    /// What the swap that writes a content expects.
    pub(super) fn expects(&self, content: u32) -> Option<u32> {
        self.ops[self.writer(content)? as usize].what.observes()
    }

    /// What a content is swapped for.
    pub(super) fn next(&self, content: u32) -> Option<u32> {
        let swap = self.clusters[content as usize].swap.get()?;
        self.ops[swap as usize].what.writes()
    }

    /// Whether a content certainly was there.
    pub(super) fn is_alive(&self, content: u32) -> bool {
        let Cluster { writer, read, swap } = self.clusters[content as usize];
        content == ABSENT
            || read != Place::default()
            || swap != Place::default()
            || writer.get().is_some_and(|writer| self.ops[writer as usize].ret.is_some())
    }

    /// Enters the swap that wrote a live content with the content that it expects, and so on backwards.
    fn link(&mut self, mut content: u32) -> Result<(), Vec<u32>> {
        if !self.is_alive(content) {
            return Ok(());
        }
        loop {
            let Some(writer) = self.writer(content) else {
                // Somebody saw what nobody wrote.
                return if content == ABSENT { Ok(()) } else { Err(vec![self.evidence(content)]) };
            };
            let RegisterOp::Cas { expect, .. } = self.ops[writer as usize].what else { return Ok(()) };
            let swap = &mut self.clusters[expect as usize].swap;
            match swap.get() {
                Some(other) if other == writer => return Ok(()),
                Some(other) => {
                    let mut conflict = vec![other, writer];
                    conflict.extend([other, writer].map(|swap| self.proof(swap)));
                    return Err(conflict);
                }
                None => *swap = Place::of(writer),
            }
            content = expect;
        }
    }

    /// An answered operation that shows that a live content was there.
    fn evidence(&self, mut content: u32) -> u32 {
        loop {
            let cluster = &self.clusters[content as usize];
            if let Some(read) = cluster.read.get() {
                return read;
            }
            let swap = cluster.swap.get().or(cluster.writer.get()).expect("somebody wrote or saw a live content");
            if self.ops[swap as usize].ret.is_some() {
                return swap;
            }
            content = self.ops[swap as usize].what.writes().expect("it is a swap");
        }
    }

    /// An answered operation that shows that `op`, which is alive, took effect: itself, if it was answered.
    fn proof(&self, op: u32) -> u32 {
        match self.ops[op as usize].what.writes() {
            Some(content) if self.ops[op as usize].ret.is_none() => self.evidence(content),
            Some(_) | None => op,
        }
    }

    /// The operations of a block in their forced order.
    pub(super) fn forced(&self, start: u32) -> impl Iterator<Item = u32> + '_ {
        let contents = std::iter::successors(Some(start), |&content| self.next(content));
        contents.flat_map(|content| self.writer(content).into_iter().chain(self.reads(content)))
    }

    /// All blocks, not ordered yet.
    ///
    /// # Errors
    /// The operations of a conflict inside a block.
    pub(super) fn blocks(&self) -> Result<Vec<Block>, Vec<u32>> {
        let mut blocks = Vec::with_capacity(self.clusters.len());
        let (mut alive, mut chained) = (0, 0);
        for content in (0..).take(self.clusters.len()) {
            if !self.is_alive(content) {
                continue;
            }
            alive += 1;
            let starts =
                self.writer(content).map(|writer| matches!(self.ops[writer as usize].what, RegisterOp::Write(_)));
            if starts.unwrap_or(true) {
                blocks.push(self.block(content)?);
                chained += std::iter::successors(Some(content), |&content| self.next(content)).count();
            }
        }
        if chained == alive { Ok(blocks) } else { Err(self.ring()) }
    }

    /// Swaps in a ring: each expects what another one writes, and none has a first write behind it. One of them was observed.
    fn ring(&self) -> Vec<u32> {
        let mut chained = vec![false; self.clusters.len()];
        for content in (0..).take(self.clusters.len()).filter(|&content| self.is_alive(content)) {
            let writer = self.writer(content);
            if writer.is_none_or(|writer| matches!(self.ops[writer as usize].what, RegisterOp::Write(_))) {
                let block = std::iter::successors(Some(content), |&content| self.next(content));
                block.for_each(|content| chained[content as usize] = true);
            }
        }
        let ringed = (0..).zip(chained).find(|&(content, chained)| !chained && self.is_alive(content));
        ringed.map(|(content, _)| self.evidence(content)).into_iter().collect()
    }

    /// The block that begins with a content.
    fn block(&self, start: u32) -> Result<Block, Vec<u32>> {
        let mut block = Block { start, first_answer: if start == ABSENT { 0 } else { u32::MAX }, last_call: 0 };
        for op in self.forced(start) {
            let Op { call, .. } = self.ops[op as usize];
            let deadline = self.ops[op as usize].deadline();
            if deadline < block.last_call {
                let invoked = self.forced(start).find(|&op| self.ops[op as usize].call == block.last_call);
                let invoked = invoked.expect("the latest invocation is somebody's");
                return Err(vec![invoked, self.proof(invoked), op]);
            }
            block.first_answer = block.first_answer.min(deadline);
            block.last_call = block.last_call.max(call);
        }
        Ok(block)
    }

    /// The operations that give a block its first answer and its last invocation.
    fn ends(&self, block: &Block) -> impl Iterator<Item = u32> {
        let answered = self.forced(block.start).find(|&op| self.ops[op as usize].deadline() == block.first_answer);
        let invoked = self.forced(block.start).find(|&op| self.ops[op as usize].call == block.last_call);
        [answered, invoked, invoked.map(|op| self.proof(op))].into_iter().flatten()
    }

    /// The operations that show that `content`, in the block that begins with `start`, was there from rank `deadline` to rank
    /// `last_call`.
    pub(super) fn holds(&self, start: u32, content: u32, deadline: u32, last_call: u32) -> impl Iterator<Item = u32> {
        let answered = self.forced(content).find(|&op| self.ops[op as usize].deadline() == deadline);
        let invoked = self.forced(start).find(|&op| self.ops[op as usize].call == last_call);
        [answered, invoked, invoked.map(|op| self.proof(op)), Some(self.evidence(content))].into_iter().flatten()
    }

    /// Checks blocks, ordered by [`Block::earliest`], for two that exclude each other.
    ///
    /// # Errors
    /// The operations of a conflict, six at most.
    pub(super) fn exclude(&self, blocks: &[Block]) -> Result<(), Vec<u32>> {
        let mut forward: Option<&Block> = None;
        for block in blocks {
            if let Some(open) = forward
                && block.first_answer < open.last_call
            {
                let mut conflict: Vec<u32> = self.ends(open).chain(self.ends(block)).collect();
                conflict.sort_unstable();
                conflict.dedup();
                return Err(conflict);
            }
            if block.first_answer < block.last_call {
                forward = Some(block);
            }
        }
        Ok(())
    }
}
