//! When the writes of a register happened, given their order and the swaps that were refused.
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

use super::RegisterOp;
use super::zones::Clusters;
use crate::linear::entry::Op;

/// A refused swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Refusal {
    /// The content that it did not see.
    pub(super) unlike: u32,
    /// The rank of its invocation.
    pub(super) call: u32,
    /// The rank of its answer.
    pub(super) deadline: u32,
    /// Its place.
    pub(super) op: u32,
}

/// The answered refused swaps of a history, by content.
pub(super) struct Refusals {
    /// By content, then by invocation.
    all: Vec<Refusal>,
    /// By content: where its refusals begin in `all`; and the end.
    starts: Vec<u32>,
}

impl Refusals {
    pub(super) fn new(clusters: &Clusters<'_>) -> Self {
        let refusal = |(op, what): (u32, &Op<RegisterOp>)| match what.what {
            RegisterOp::Refused { unlike } => {
                what.ret.map(|ret| Refusal { unlike, call: what.call, deadline: ret.get(), op })
            }
            RegisterOp::Read(_) | RegisterOp::Write(_) | RegisterOp::Cas { .. } | RegisterOp::Ousted { .. } => None,
        };
        let mut all: Vec<Refusal> = (0..).zip(clusters.ops).filter_map(refusal).collect();
        all.sort_unstable();
        let contents = clusters.contents().max(all.last().map_or(0, |last| last.unlike as usize + 1));
        let mut starts = vec![0; contents + 1];
        all.iter().for_each(|refusal| starts[refusal.unlike as usize + 1] += 1);
        for content in 0..contents {
            starts[content + 1] += starts[content];
        }
        Self { all, starts }
    }

    /// Those of one content.
    pub(super) fn of(&self, content: u32) -> &[Refusal] {
        &self.all[self.starts[content as usize] as usize..self.starts[content as usize + 1] as usize]
    }
}

/// A content in an order of clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reign {
    /// The content.
    pub(super) content: u32,
    /// Whether it may begin after any other, or only directly after the one before it.
    pub(super) starts_block: bool,
    /// The invocation of its write; 0 of the absent register.
    pub(super) call: u32,
    /// The first answer among its operations: the write is in an earlier gap. 0 of the absent register.
    pub(super) deadline: u32,
    /// The last invocation among its operations: the next write is in this gap or later.
    pub(super) last_call: u32,
}

impl Reign {
    pub(super) fn new(clusters: &Clusters<'_>, content: u32, starts_block: bool) -> Self {
        let writer = clusters.writer(content).map(|writer| clusters.ops[writer as usize]);
        let call = writer.map_or(0, |writer| writer.call);
        let deadline = writer.map_or(0, |writer| writer.deadline());
        let mut reign = Self { content, starts_block, call, deadline, last_call: call };
        for read in clusters.reads(content) {
            let read = &clusters.ops[read as usize];
            reign.deadline = reign.deadline.min(read.deadline());
            reign.last_call = reign.last_call.max(read.call);
        }
        reign
    }
}

/// Gaps at which a reign can begin.
#[derive(Clone, Copy, Debug)]
struct Gaps {
    from: u32,
    to: u32,
    /// The gap of the write before, for all of these.
    before: u32,
}

/// F(0), F(1), …: at which gaps each reign can begin, as far as is known.
pub(super) struct Schedule {
    /// Ascending by both ends, reign by reign.
    all: Vec<Gaps>,
    /// Where each reign begins in `all`; and the end.
    starts: Vec<usize>,
}

impl Schedule {
    /// The absent register began in gap 0.
    pub(super) fn new() -> Self {
        Self { all: vec![Gaps { from: 0, to: 0, before: 0 }], starts: vec![0, 1] }
    }

    /// The number of reigns that can begin.
    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Forgets all but the first `len` reigns, of which there is one at least.
    pub(super) fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.starts.truncate(len + 1);
            self.all.truncate(self.starts[len]);
        }
    }

    /// Finds out when the reign can begin that follows those known; false if never.
    pub(super) fn step(&mut self, reigns: &[Reign], refusals: &Refusals) -> bool {
        let (index, begin, end) = (self.len() - 1, self.starts[self.len() - 1], self.all.len());
        let (reign, next) = (&reigns[index], &reigns[index + 1]);
        let refused = refusals.of(reign.content);
        let first = reign.last_call.max(next.call);
        let mut piece = begin;
        for place in 0..=refused.len() {
            let Some(before) = self.earliest(refused, place, &mut piece, end) else { continue };
            // Refusals are few per content, and sorted by invocation.
            let answered = refused[place..].iter().map(|refusal| refusal.deadline).min().unwrap_or(u32::MAX);
            let gaps = Gaps { from: before.max(first), to: next.deadline.min(answered).saturating_sub(1), before };
            if gaps.from <= gaps.to && self.all[end..].last().is_none_or(|last| last.to < gaps.to) {
                self.all.push(gaps);
            }
        }
        let possible = self.all.len() > end;
        if possible {
            self.starts.push(self.all.len());
        }
        possible
    }

    /// The earliest gap of the last known reign from the invocation of refusal `place - 1` on and before that of `place`.
    fn earliest(&self, refused: &[Refusal], place: usize, piece: &mut usize, end: usize) -> Option<u32> {
        let from = if place == 0 { 0 } else { refused[place - 1].call };
        let to = refused.get(place).map_or(u32::MAX, |refusal| refusal.call - 1);
        while *piece < end && self.all[*piece].to < from {
            *piece += 1;
        }
        let gap = self.all[..end].get(*piece)?.from.max(from);
        (gap <= to).then_some(gap)
    }

    /// Whether the last reign, being known, satisfies its own refusals.
    pub(super) fn ends(&self, reigns: &[Reign], refusals: &Refusals) -> bool {
        self.last_gap(reigns, refusals).is_some()
    }

    fn last_gap(&self, reigns: &[Reign], refusals: &Refusals) -> Option<u32> {
        let refused = refusals.of(reigns.last()?.content);
        let mut begin = self.starts[self.len() - 1];
        self.earliest(refused, refused.len(), &mut begin, self.all.len())
    }

    /// The gaps in which reigns begin, if all are known and the last one can satisfy its own refusals.
    pub(super) fn gaps(&self, reigns: &[Reign], refusals: &Refusals) -> Option<Vec<u32>> {
        let mut gap = self.last_gap(reigns, refusals)?;
        let mut gaps = vec![0; reigns.len()];
        for index in (0..reigns.len()).rev() {
            gaps[index] = gap;
            let some = &self.all[self.starts[index]..self.starts[index + 1]];
            gap = some[some.partition_point(|gaps| gaps.to < gap)].before;
        }
        Some(gaps)
    }
}

/// All operations in the order of reigns that begin in `starts`, and in a reign by gap.
pub(super) fn order(clusters: &Clusters<'_>, refusals: &Refusals, reigns: &[Reign], starts: &[u32]) -> Vec<u32> {
    let mut reign_of: Vec<Option<usize>> = vec![None; clusters.contents()];
    reigns.iter().enumerate().for_each(|(index, reign)| reign_of[reign.content as usize] = Some(index));
    // Before which reign a refusal happens, and in which gap.
    let slot = |refusal: &Refusal| {
        let own = reign_of.get(refusal.unlike as usize).copied().flatten();
        let edge = own.and_then(|own| match starts[own] {
            start if refusal.call <= start => Some((own, start)),
            _ => Some((own + 2, *starts.get(own + 1)?)),
        });
        match edge.filter(|(_, gap)| (refusal.call..refusal.deadline).contains(gap)) {
            Some((before, gap)) => (before, gap, refusal.op),
            // The whole interval lies outside the reign; any gap will do.
            None => (starts.partition_point(|&gap| gap <= refusal.call), refusal.call, refusal.op),
        }
    };
    let mut placed: Vec<(usize, u32, u32)> = refusals.all.iter().map(slot).collect();
    placed.sort_unstable();
    let mut placed = placed.into_iter().peekable();
    let mut order = Vec::with_capacity(clusters.ops.len());
    for (index, (reign, &start)) in reigns.iter().zip(starts).enumerate() {
        order.extend(clusters.writer(reign.content));
        for read in clusters.reads(reign.content) {
            let gap = clusters.ops[read as usize].call.max(start);
            while let Some((.., op)) = placed.next_if(|&(before, at, _)| before == index + 1 && at < gap) {
                order.push(op);
            }
            order.push(read);
        }
        while let Some((.., op)) = placed.next_if(|&(before, ..)| before == index + 1) {
            order.push(op);
        }
    }
    order
}
