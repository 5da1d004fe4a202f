//! Swaps that were refused without telling what they saw, fitted into the zones' order.
//!
//! *Gaps.* Gap g lies between ranks g and g + 1. Give every write a gap between its invocation and its answer, so that gaps
//! do not fall along the order of clusters; the *reign* of a content lasts from its own write to the next one. A read fits
//! iff the reign meets the read's interval. A refusal `not a` with invocation c and answer r fits iff some other content was
//! there at some time in between: iff a's reign begins at gap c or later, or ends at gap r - 1 or earlier. Reads and refusals
//! change nothing, so *given the gaps of all writes* they fit or don't, each by itself. (Placing refusals one by one into an
//! order without gaps, each wherever it fits, is unsound: two may rely on the same write being early and late.)
//!
//! *The gaps of a fixed order of clusters* are found exactly: let F(i) be the gaps at which write i can begin, everything
//! before it being in order. From a gap t in F(i), write i + 1 may be at any gap from t on that its own interval and the reads
//! allow, but before the answer of each refusal `not i` invoked after t. The later t, the fewer those are; so between the
//! invocations of two refusals the earliest t in F(i) is best, and F(i + 1) is a union of as many intervals as i has refusals,
//! and one. O(n log n) in all.
//!
//! ```text
//!   write 7   ├──────────────┤                     7 may begin late: then 'not 7' happened before it;
//!   not 7        ├────────┤                        or end early: then it happened after write 9
//!   write 9      ├────────────────┤
//! ```
//!
//! *The order of clusters* is not fixed, and choosing it is what this path doesn't do exactly: it tries some. An order that is
//! found is an order. A refusal whose interval lies where its content must have been there is a conflict. The rest is passed
//! on.

use super::RegisterOp;
use super::zones::{Block, Clusters};
use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;

/// A refused swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Refusal {
    /// The content that it did not see.
    unlike: u32,
    /// The rank of its invocation.
    call: u32,
    /// The rank of its answer.
    deadline: u32,
    /// Its place.
    op: u32,
}

/// A content in an order of clusters.
#[derive(Clone, Copy, Debug)]
struct Reign {
    content: u32,
    /// Whether it is the first of its block.
    starts_block: bool,
    /// The invocation of its write; 0 of the absent register.
    call: u32,
    /// The first answer among its operations: the write is in an earlier gap. 0 of the absent register.
    deadline: u32,
    /// The last invocation among its operations: the next write is in this gap or later.
    last_call: u32,
}

/// Gaps at which a reign can begin.
#[derive(Clone, Copy, Debug)]
struct Gaps {
    from: u32,
    to: u32,
    /// The gap of the write before, for all of these.
    before: u32,
}

/// Orders all operations, refusals included, given blocks that don't exclude each other.
///
/// # Errors
/// The operations of a conflict.
pub(super) fn place(clusters: &Clusters<'_>, mut blocks: Vec<Block>) -> Result<Shortcut, Vec<u32>> {
    let refusals = Refusals::new(clusters);
    let reigns = reigns(clusters, &blocks);
    refusals.possible(clusters, &reigns)?;
    if let Ok(starts) = refusals.gaps(&reigns) {
        return Ok(Shortcut::Order(refusals.order(clusters, &reigns, &starts)));
    }
    blocks.sort_unstable_by_key(Block::latest);
    let reigns = self::reigns(clusters, &blocks);
    if let Ok(starts) = refusals.gaps(&reigns) {
        return Ok(Shortcut::Order(refusals.order(clusters, &reigns, &starts)));
    }
    Ok(Shortcut::Pass)
}

fn reigns(clusters: &Clusters<'_>, blocks: &[Block]) -> Vec<Reign> {
    let chain = |block: &Block| std::iter::successors(Some(block.start), |&content| clusters.next(content));
    let contents = blocks.iter().flat_map(|block| chain(block).map(move |content| (content, content == block.start)));
    let reign = |(content, starts_block)| {
        let writer = clusters.writer(content).map(|writer| clusters.ops[writer as usize]);
        let call = writer.map_or(0, |writer| writer.call);
        let deadline = writer.map_or(0, |writer| writer.deadline());
        let mut reign = Reign { content, starts_block, call, deadline, last_call: call };
        for read in clusters.reads(content) {
            let read = &clusters.ops[read as usize];
            reign.deadline = reign.deadline.min(read.deadline());
            reign.last_call = reign.last_call.max(read.call);
        }
        reign
    };
    contents.map(reign).collect()
}

/// The refused swaps of a history.
struct Refusals {
    /// By content, then by invocation.
    all: Vec<Refusal>,
}

impl Refusals {
    fn new(clusters: &Clusters<'_>) -> Self {
        let refusal = |(op, what): (u32, &Op<RegisterOp>)| match what.what {
            RegisterOp::Refused { unlike } => {
                what.ret.map(|ret| Refusal { unlike, call: what.call, deadline: ret.get(), op })
            }
            RegisterOp::Read(_) | RegisterOp::Write(_) | RegisterOp::Cas { .. } => None,
        };
        let mut all: Vec<Refusal> = (0..).zip(clusters.ops).filter_map(refusal).collect();
        all.sort_unstable();
        Self { all }
    }

    /// Those of one content.
    fn of(&self, content: u32) -> &[Refusal] {
        let from = self.all.partition_point(|refusal| refusal.unlike < content);
        let count = self.all[from..].partition_point(|refusal| refusal.unlike == content);
        &self.all[from..from + count]
    }

    /// Checks that no refusal lies where its content must have been there: behind the first answer of those that come not
    /// before its write, and before the last invocation of those that come not after its reads.
    ///
    /// # Errors
    /// The operations of a conflict.
    fn possible(&self, clusters: &Clusters<'_>, reigns: &[Reign]) -> Result<(), Vec<u32>> {
        let mut from = 0;
        while from < reigns.len() {
            let length = 1 + reigns[from + 1..].iter().take_while(|reign| !reign.starts_block).count();
            let block = &reigns[from..from + length];
            from += length;
            // In a block, calls don't fall behind deadlines; the bounds are running extremes from both ends.
            let mut deadlines: Vec<u32> = block.iter().map(|reign| reign.deadline).collect();
            for place in (1..length).rev() {
                deadlines[place - 1] = deadlines[place - 1].min(deadlines[place]);
            }
            let mut last_call = 0;
            for (reign, deadline) in block.iter().zip(deadlines) {
                last_call = last_call.max(reign.last_call);
                let covered = |refusal: &&Refusal| deadline < refusal.call && refusal.deadline < last_call;
                if let Some(refusal) = self.of(reign.content).iter().find(covered) {
                    let mut conflict = vec![refusal.op];
                    conflict.extend(clusters.holds(block[0].content, reign.content, deadline, last_call));
                    return Err(conflict);
                }
            }
        }
        Ok(())
    }

    /// Gaps for the beginnings of reigns in a fixed order.
    ///
    /// # Errors
    /// The index of the reign behind which there is no place for the next one, or none that satisfies its refusals.
    fn gaps(&self, reigns: &[Reign]) -> Result<Vec<u32>, usize> {
        let mut all: Vec<Gaps> = vec![Gaps { from: 0, to: 0, before: 0 }];
        let mut starts: Vec<usize> = vec![0];
        let mut ends: Vec<u32> = Vec::new();
        let mut last = 0;
        for (index, reign) in reigns.iter().enumerate() {
            let refusals = self.of(reign.content);
            ends.clear();
            ends.resize(refusals.len() + 1, u32::MAX);
            for (place, refusal) in refusals.iter().enumerate().rev() {
                ends[place] = ends[place + 1].min(refusal.deadline);
            }
            let next = reigns.get(index + 1);
            let (begin, end) = (starts[index], all.len());
            for place in 0..=refusals.len() {
                let from = if place == 0 { 0 } else { refusals[place - 1].call };
                let to = refusals.get(place).map_or(u32::MAX, |refusal| refusal.call - 1);
                let first = begin + all[begin..end].partition_point(|gaps| gaps.to < from);
                let Some(before) = all[..end].get(first).map(|gaps| gaps.from.max(from)).filter(|&gap| gap <= to)
                else {
                    continue;
                };
                let Some(next) = next else {
                    if ends[place] == u32::MAX {
                        last = before;
                        all.push(Gaps { from: 0, to: 0, before });
                        break;
                    }
                    continue;
                };
                let gaps = Gaps {
                    from: before.max(reign.last_call).max(next.call),
                    to: next.deadline.min(ends[place]) - 1,
                    before,
                };
                if gaps.from <= gaps.to && (all.len() == end || all[all.len() - 1].to < gaps.to) {
                    all.push(gaps);
                }
            }
            if all.len() == end {
                return Err(index);
            }
            starts.push(end);
        }
        let mut gaps = vec![0; reigns.len()];
        for index in (0..reigns.len()).rev() {
            gaps[index] = last;
            let some = &all[starts[index]..starts[index + 1]];
            last = some[some.partition_point(|gaps| gaps.to < last)].before;
        }
        Ok(gaps)
    }

    /// All operations in the order of reigns, and in a reign by gap.
    fn order(&self, clusters: &Clusters<'_>, reigns: &[Reign], starts: &[u32]) -> Vec<u32> {
        let mut reign_of: Vec<Option<usize>> = vec![None; clusters.contents()];
        reigns.iter().enumerate().for_each(|(index, reign)| reign_of[reign.content as usize] = Some(index));
        // Before which reign a refusal happens, and in which gap.
        let slot = |refusal: &Refusal| {
            let own = reign_of.get(refusal.unlike as usize).copied().flatten();
            let edge = own.and_then(|own| {
                if refusal.call <= starts[own] {
                    Some((own, starts[own]))
                } else {
                    Some((own + 2, *starts.get(own + 1)?))
                }
            });
            match edge.filter(|(_, gap)| (refusal.call..refusal.deadline).contains(gap)) {
                Some((before, gap)) => (before, gap, refusal.op),
                // The whole interval lies outside the reign; any gap will do.
                None => (starts.partition_point(|&gap| gap <= refusal.call), refusal.call, refusal.op),
            }
        };
        let mut refusals: Vec<(usize, u32, u32)> = self.all.iter().map(slot).collect();
        refusals.sort_unstable();
        let mut refusals = refusals.into_iter().peekable();
        let mut order = Vec::with_capacity(clusters.ops.len());
        for (index, (reign, &start)) in reigns.iter().zip(starts).enumerate() {
            order.extend(clusters.writer(reign.content));
            for read in clusters.reads(reign.content) {
                let gap = clusters.ops[read as usize].call.max(start);
                while let Some((.., op)) = refusals.next_if(|&(before, at, _)| before == index + 1 && at < gap) {
                    order.push(op);
                }
                order.push(read);
            }
            while let Some((.., op)) = refusals.next_if(|&(before, ..)| before == index + 1) {
                order.push(op);
            }
        }
        order
    }
}
