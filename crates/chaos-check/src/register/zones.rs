//! The near-linear, exact decision for registers whose every value is written by one operation only.
//!
//! *Blocks.* A cluster is a write and the reads of its value. A swap from a to b forces b's cluster directly behind a's, so
//! clusters form chains, the *blocks*: in every legal order each block is contiguous, and inside it the order of the layers
//! (write, its reads, swap, its reads, …) is forced. The block of the absent register begins before everything.
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
//! forward and backward zones. The order is re-played by [`recheck`](super::recheck) before anybody believes it.
//!
//! Source: Gibbons and Korach, "Testing Shared Memories" (SIAM J. Comput. 26, 1997), theorem 4.13 and zones; extended to
//! chains of swaps. O(n log n). Refuses [`Effect::Refused`], which names no cluster; wants every value written by one
//! operation at most.

use super::model::{ABSENT, Effect, Op};

/// A legal order of all operations, as positions in `ops`.
///
/// Every operation is ordered, those with `ret = None` included: the caller has dropped those that nobody observed.
///
/// # Errors
/// The operations of a conflict; with the writers of what they observed they have no legal order either.
pub(super) fn order(ops: &[Op]) -> Result<Vec<usize>, Vec<usize>> {
    let clusters = Clusters::new(ops)?;
    let mut blocks: Vec<Block> = Vec::new();
    let mut placed = 0;
    for start in clusters.starts(ops) {
        let block = clusters.block(ops, start)?;
        placed += block.order.len();
        if !block.order.is_empty() {
            blocks.push(block);
        }
    }
    if placed < ops.len() {
        // Swaps in a ring: each expects what another one writes, and none has a first write behind it.
        let in_block: Vec<usize> = blocks.iter().flat_map(|block| block.order.iter().copied()).collect();
        let mut seen = vec![false; ops.len()];
        in_block.into_iter().for_each(|op| seen[op] = true);
        return Err((0..ops.len()).filter(|&op| !seen[op] && ops[op].effect.writes().is_some()).collect());
    }
    blocks.sort_by_key(|block| block.f.0.min(block.s.0));
    let mut forward: Option<&Block> = None;
    for block in &blocks {
        if let Some(open) = forward
            && block.f.0 < open.s.0
        {
            let ends = [open.f.1, open.s.1, block.f.1, block.s.1];
            return Err(ends.into_iter().flatten().collect());
        }
        if block.f.0 < block.s.0 {
            forward = Some(block);
        }
    }
    Ok(blocks.into_iter().flat_map(|block| block.order).collect())
}

/// Who writes, reads and swaps away each content.
struct Clusters {
    writer: Vec<Option<usize>>,
    readers: Vec<Vec<usize>>,
    swap: Vec<Option<usize>>,
}

impl Clusters {
    /// Sorts operations into clusters; a content that nobody wrote and a content swapped away twice are conflicts already.
    fn new(ops: &[Op]) -> Result<Self, Vec<usize>> {
        let contents = ops.iter().flat_map(|op| [op.effect.observes(), op.effect.writes()]).flatten();
        let size = contents.max().map_or(1, |largest| largest as usize + 1);
        let mut clusters = Self { writer: vec![None; size], readers: vec![Vec::new(); size], swap: vec![None; size] };
        for (index, op) in ops.iter().enumerate() {
            match op.effect {
                Effect::Read(seen) => clusters.readers[seen as usize].push(index),
                Effect::Write(new) => clusters.writer[new as usize] = Some(index),
                Effect::Cas { expect, new } => {
                    clusters.writer[new as usize] = Some(index);
                    if let Some(first) = clusters.swap[expect as usize].replace(index) {
                        return Err(vec![first, index]);
                    }
                }
                Effect::Refused { .. } => unreachable!("refused swaps are placed by the caller"),
            }
        }
        let unwritten = |op: &Op| {
            op.effect.observes().is_some_and(|seen| seen != ABSENT && clusters.writer[seen as usize].is_none())
        };
        match ops.iter().position(unwritten) {
            Some(op) => Err(vec![op]),
            None => Ok(clusters),
        }
    }

    /// The contents with which blocks begin.
    fn starts<'a>(&'a self, ops: &'a [Op]) -> impl Iterator<Item = usize> + 'a {
        let is_start = |writer: &Option<usize>| writer.is_some_and(|op| matches!(ops[op].effect, Effect::Write(_)));
        let written = (1..self.writer.len()).filter(move |&content| is_start(&self.writer[content]));
        std::iter::once(ABSENT as usize).chain(written)
    }

    /// The block that begins with a content, its layers in their forced order.
    fn block(&self, ops: &[Op], start: usize) -> Result<Block, Vec<usize>> {
        let mut block = Block { order: Vec::new(), f: (u32::MAX, None), s: (0, None) };
        if start == ABSENT as usize {
            // The absent register was "written" before every instant, whose ranks begin at 1.
            block.f = (0, None);
        }
        let mut content = start;
        block.order.extend(self.writer[content]);
        loop {
            // Readers are in order of invocation, as `ops` is, which respects real time among themselves.
            block.order.extend(&self.readers[content]);
            let Some(swap) = self.swap[content] else { break };
            block.order.push(swap);
            let Effect::Cas { new, .. } = ops[swap].effect else { unreachable!("only swaps are in `swap`") };
            content = new as usize;
        }
        for &index in &block.order {
            let ret = ops[index].ret.unwrap_or(u32::MAX);
            if let Some(earlier) = block.s.1
                && ret < block.s.0
            {
                return Err(vec![earlier, index]);
            }
            if ret < block.f.0 {
                block.f = (ret, Some(index));
            }
            if ops[index].call > block.s.0 {
                block.s = (ops[index].call, Some(index));
            }
        }
        Ok(block)
    }
}

/// A chain of clusters.
struct Block {
    /// Its operations in their forced order.
    order: Vec<usize>,
    /// The earliest answer, and whose.
    f: (u32, Option<usize>),
    /// The latest invocation, and whose.
    s: (u32, Option<usize>),
}
