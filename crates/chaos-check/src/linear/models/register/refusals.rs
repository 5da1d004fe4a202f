//! Swaps that were refused without telling what they saw, fitted into an order of the zones.
//!
//! Given an order of clusters, [`gaps`](super::gaps) decide exactly. The order itself is what this path doesn't choose exactly:
//! it begins with the zones' order by earliest or by latest, and where a content can't make way in time for a refusal, it
//! lets another block go between, one nearby or a write without an answer that nobody observed, and takes the change that
//! carries it furthest. An order that is found is an order. A refusal whose interval lies where its content must have been
//! there is a conflict. The rest is passed on.
//!
//! O(n log n), and a bounded number of changes, each tried on a bounded stretch.

use super::RegisterOp;
use super::gaps::{Refusal, Refusals, Reign, Schedule, order};
use super::zones::{Block, Clusters};
use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;

/// How many reigns before and after a stuck one are asked to go between.
const REACH: usize = 48;
/// How many writes that need not have happened are looked at, latest first, and how many are tried.
const SPARE_SEEN: usize = 512;
const SPARE_TRIED: usize = 24;
/// How many block beginnings before a stuck reign may be changed.
const BOUNDARIES: usize = 6;
/// How far behind a change the schedule must get to be content with it.
const AHEAD: usize = 64;
/// How many steps of schedules are spent on trying changes, per operation.
const STEPS_PER_OPERATION: usize = 200;

/// Orders all operations, refusals included, given blocks that don't exclude each other.
///
/// # Errors
/// The operations of a conflict.
pub(super) fn place(clusters: &Clusters<'_>, mut blocks: Vec<Block>) -> Result<Shortcut, Vec<u32>> {
    let refusals = Refusals::new(clusters);
    let early = reigns(clusters, &blocks);
    possible(clusters, &refusals, &early)?;
    let mut arrangement = Arrangement::new(clusters, &refusals, early);
    if arrangement.arrange() {
        return Ok(arrangement.into_order());
    }
    blocks.sort_unstable_by_key(Block::latest);
    let mut arrangement = Arrangement::new(clusters, &refusals, reigns(clusters, &blocks));
    Ok(if arrangement.arrange() { arrangement.into_order() } else { Shortcut::Pass })
}

fn reigns(clusters: &Clusters<'_>, blocks: &[Block]) -> Vec<Reign> {
    let chain = |block: &Block| std::iter::successors(Some(block.start), |&content| clusters.next(content));
    let contents = blocks.iter().flat_map(|block| chain(block).map(move |content| (content, content == block.start)));
    contents.map(|(content, starts_block)| Reign::new(clusters, content, starts_block)).collect()
}

/// Checks that no refusal lies where its content must have been there: behind the first answer of those that come not
/// before its write, and before the last invocation of those that come not after its reads.
///
/// # Errors
/// The operations of a conflict.
fn possible(clusters: &Clusters<'_>, refusals: &Refusals, reigns: &[Reign]) -> Result<(), Vec<u32>> {
    for block in reigns.chunk_by(|_, next| !next.starts_block) {
        let mut deadlines: Vec<u32> = block.iter().map(|reign| reign.deadline).collect();
        for place in (1..block.len()).rev() {
            deadlines[place - 1] = deadlines[place - 1].min(deadlines[place]);
        }
        let mut last_call = 0;
        for (reign, deadline) in block.iter().zip(deadlines) {
            last_call = last_call.max(reign.last_call);
            let covered = |refusal: &&Refusal| deadline < refusal.call && refusal.deadline < last_call;
            if let Some(refusal) = refusals.of(reign.content).iter().find(covered) {
                let mut conflict = vec![refusal.op];
                conflict.extend(clusters.holds(block[0].content, reign.content, deadline, last_call));
                conflict.sort_unstable();
                conflict.dedup();
                return Err(conflict);
            }
        }
    }
    Ok(())
}

/// A change of an order of reigns.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// The block at `from` goes to the block beginning at `to`, before it.
    Earlier { from: usize, to: usize },
    /// The block at `from` goes behind those before the block beginning at `to`.
    Later { from: usize, to: usize },
    /// A write that was never answered or observed goes there.
    Insert { reign: Reign, at: usize },
}

/// An order of reigns under change.
struct Arrangement<'a> {
    clusters: &'a Clusters<'a>,
    refusals: &'a Refusals,
    /// The reigns up to where changes may reach.
    reigns: Vec<Reign>,
    /// The reigns behind them, the last one first.
    rest: Vec<Reign>,
    schedule: Schedule,
    /// Writes that need not have happened, by invocation.
    spare: Vec<Reign>,
    /// By content: whether it is spare and was inserted.
    inserted: Vec<bool>,
    steps_left: usize,
}

impl<'a> Arrangement<'a> {
    fn new(clusters: &'a Clusters<'a>, refusals: &'a Refusals, mut reigns: Vec<Reign>) -> Self {
        let spare = |op: &Op<RegisterOp>| {
            let content = op.what.writes()?;
            let starts_block = op.what.observes().is_none();
            (op.ret.is_none() && !clusters.is_alive(content)).then(|| Reign::new(clusters, content, starts_block))
        };
        let spare = clusters.ops.iter().filter_map(spare).collect();
        let steps_left = clusters.ops.len().saturating_mul(STEPS_PER_OPERATION).max(100_000);
        reigns.reverse();
        let (schedule, inserted) = (Schedule::new(), vec![false; clusters.contents()]);
        Self { clusters, refusals, reigns: Vec::new(), rest: reigns, schedule, spare, inserted, steps_left }
    }

    /// Changes the order until it works out; false if it doesn't.
    fn arrange(&mut self) -> bool {
        loop {
            let reached = self.advance(usize::MAX);
            if reached > self.reigns.len() {
                return true;
            }
            self.fill(reached + AHEAD + REACH);
            let Some(change) = self.best(reached) else { return false };
            self.apply(&change);
            if let Change::Insert { reign, .. } = change {
                self.inserted[reign.content as usize] = true;
            }
        }
    }

    fn into_order(self) -> Shortcut {
        let starts = self.schedule.gaps(&self.reigns, self.refusals).expect("the arrangement worked out");
        Shortcut::Order(order(self.clusters, self.refusals, &self.reigns, &starts))
    }

    /// Brings `until` reigns within reach.
    fn fill(&mut self, until: usize) {
        while self.reigns.len() < until
            && let Some(next) = self.rest.pop()
        {
            self.reigns.push(next);
        }
    }

    /// Goes on with the schedule up to `until` reigns, and returns how many can begin: one more than there are if the last
    /// one's refusals are satisfied, too.
    fn advance(&mut self, until: usize) -> usize {
        while self.schedule.len() < until {
            self.fill(self.schedule.len() + 1);
            if self.schedule.len() == self.reigns.len() {
                return self.schedule.len() + usize::from(self.schedule.ends(&self.reigns, self.refusals));
            }
            self.steps_left = self.steps_left.saturating_sub(1);
            if !self.schedule.step(&self.reigns, self.refusals) {
                break;
            }
        }
        self.schedule.len()
    }

    /// The change that lets the schedule get furthest beyond `reached` reigns.
    fn best(&mut self, reached: usize) -> Option<Change> {
        let mut best: Option<(Change, usize)> = None;
        for change in self.changes(reached) {
            if self.steps_left == 0 {
                return None;
            }
            let (kept, added) = (self.first(&change), usize::from(matches!(change, Change::Insert { .. })));
            let length = self.apply(&change);
            let further = self.advance(reached + AHEAD);
            self.undo(&change, length);
            self.schedule.truncate(kept);
            if further > reached + added && best.is_none_or(|(_, most)| most < further) {
                best = Some((change, further));
                if further >= reached + AHEAD {
                    break;
                }
            }
        }
        best.map(|(change, _)| change)
    }

    /// Where blocks begin near the last of the reigns that can begin, and what might go there.
    fn changes(&self, reached: usize) -> Vec<Change> {
        let begins = |&at: &usize| self.reigns.get(at).is_none_or(|reign| reign.starts_block);
        let blocks = |range: std::ops::Range<usize>| range.filter(|at| self.reigns[*at].starts_block);
        let last = self.reigns[reached - 1];
        let until = self.refusals.of(last.content).iter().map(|refusal| refusal.deadline).max();
        let until = until.unwrap_or(0).max(last.last_call);
        let begun = self.spare.partition_point(|spare| spare.call < until);
        let mut changes = Vec::new();
        for to in (1..=reached).rev().filter(begins).take(BOUNDARIES) {
            let before = Some(self.reigns[to - 1].content);
            let fits = |spare: &&Reign| {
                !self.inserted[spare.content as usize]
                    && (spare.starts_block || self.clusters.expects(spare.content) == before)
            };
            let spare = self.spare[..begun].iter().rev().take(SPARE_SEEN).filter(fits).take(SPARE_TRIED);
            changes.extend(spare.map(|&reign| Change::Insert { reign, at: to }));
            let end = self.reigns.len().min(to + REACH);
            changes.extend(blocks((to + 1).min(end)..end).map(|from| Change::Earlier { from, to }));
            let begin = to.saturating_sub(REACH).max(1);
            changes
                .extend(blocks(begin..to).filter(|&from| self.end(from) < to).map(|from| Change::Later { from, to }));
        }
        changes
    }

    /// Where the block ends that begins at `from`.
    fn end(&self, from: usize) -> usize {
        (from + 1..self.reigns.len()).find(|&at| self.reigns[at].starts_block).unwrap_or(self.reigns.len())
    }

    /// The first reign whose beginning a change may affect.
    fn first(&self, change: &Change) -> usize {
        match *change {
            Change::Earlier { to, .. } => to,
            Change::Later { from, .. } => from,
            Change::Insert { at, .. } => at,
        }
    }

    /// Makes a change, and says how many reigns it moved.
    fn apply(&mut self, change: &Change) -> usize {
        self.schedule.truncate(self.first(change));
        match *change {
            Change::Earlier { from, to } => {
                let end = self.end(from);
                self.reigns[to..end].rotate_right(end - from);
                end - from
            }
            Change::Later { from, to } => {
                let end = self.end(from);
                self.reigns[from..to].rotate_left(end - from);
                end - from
            }
            Change::Insert { reign, at } => {
                self.reigns.insert(at, reign);
                1
            }
        }
    }

    /// Takes back a change that moved `length` reigns.
    fn undo(&mut self, change: &Change, length: usize) {
        match *change {
            Change::Earlier { from, to } => self.reigns[to..from + length].rotate_left(length),
            Change::Later { from, to } => self.reigns[from..to].rotate_right(length),
            Change::Insert { at, .. } => {
                self.reigns.remove(at);
            }
        }
    }
}
