//! The path for counters to which only ones are added, by deadlines.
//!
//! [`super::Counter`] has the claim and its proof. Cost: O(n log n).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::counter::CounterOp;
use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;

/// The state of the sweep.
struct Ones<'a> {
    ops: &'a [Op<CounterOp>],
    count: i128,
    order: Vec<u32>,
    placed: Vec<bool>,
    /// Additions that have begun and may be placed: deadline and place, the earliest first.
    open: BinaryHeap<Reverse<(u32, u32)>>,
    /// Reads that have begun and are not right yet: what they saw, and place.
    reads: BTreeSet<(i128, u32)>,
    /// The additions by which a number is reached, and nothing else.
    reached_by: BTreeMap<i128, u32>,
    begun: usize,
}

/// Decides reads, additions of one, and answered additions of one that told the sum.
pub(super) fn decide(ops: &[Op<CounterOp>]) -> Shortcut {
    let mut deadlines: Vec<(u32, u32)> =
        (0_u32..).zip(ops).filter(|(_, op)| op.ret.is_some()).map(|(place, op)| (op.deadline(), place)).collect();
    deadlines.sort_unstable();
    let mut reached_by = BTreeMap::new();
    for (place, op) in (0_u32..).zip(ops) {
        if let CounterOp::AddGet { after, .. } = op.what
            && let Some(other) = reached_by.insert(after, place)
        {
            return until(ops, op.deadline().max(ops[other as usize].deadline()));
        }
    }
    let mut ones = Ones {
        ops,
        count: 0,
        order: Vec::with_capacity(ops.len()),
        placed: vec![false; ops.len()],
        open: BinaryHeap::new(),
        reads: BTreeSet::new(),
        reached_by,
        begun: 0,
    };
    for (deadline, place) in deadlines {
        ones.begin(deadline);
        if ones.place_by_now(place).is_none() {
            return until(ops, ones.proof_end(deadline));
        }
    }
    Shortcut::Order(ones.order)
}

/// Additions matter to all that saw a number, so all that had begun by `deadline` is the conflict.
fn until(ops: &[Op<CounterOp>], deadline: u32) -> Shortcut {
    Shortcut::Conflict((0_u32..).zip(ops).filter(|(_, op)| op.call < deadline).map(|(place, _)| place).collect())
}

impl Ones<'_> {
    fn begin(&mut self, deadline: u32) {
        while let Some(op) = self.ops.get(self.begun).filter(|op| op.call < deadline) {
            let place = u32::try_from(self.begun).unwrap_or(u32::MAX);
            match op.what {
                CounterOp::Add(_) => self.open.push(Reverse((op.deadline(), place))),
                CounterOp::Read(seen) if op.ret.is_some() && seen == self.count => self.put(place),
                CounterOp::Read(seen) if op.ret.is_some() => {
                    self.reads.insert((seen, place));
                }
                CounterOp::Read(_) | CounterOp::AddGet { .. } => {}
                CounterOp::AtLeast(_) | CounterOp::AtMost(_) | CounterOp::Set(_) => {}
            }
            self.begun += 1;
        }
    }

    fn put(&mut self, place: u32) {
        self.placed[place as usize] = true;
        self.order.push(place);
    }

    /// Places `place`, and before it what has to be; `None` if it can't be placed.
    fn place_by_now(&mut self, place: u32) -> Option<()> {
        while !self.placed[place as usize] {
            let op = &self.ops[place as usize];
            match op.what {
                CounterOp::Read(seen) | CounterOp::AddGet { after: seen, .. } if seen <= self.count => return None,
                CounterOp::Add(_) | CounterOp::Read(_) | CounterOp::AddGet { .. } => self.count_one()?,
                CounterOp::AtLeast(_) | CounterOp::AtMost(_) | CounterOp::Set(_) => return None,
            }
        }
        Some(())
    }

    /// Places the addition that comes next, and the reads that it makes right.
    fn count_one(&mut self) -> Option<()> {
        let next = self.count + 1;
        let addition = match self.reached_by.get(&next) {
            Some(&only) => Some(only).filter(|&only| (only as usize) < self.begun),
            None => loop {
                let Reverse((_, place)) = self.open.pop()?;
                if !self.placed[place as usize] {
                    break Some(place);
                }
            },
        }?;
        self.put(addition);
        self.count = next;
        while let Some(&(seen, read)) = self.reads.range((next, 0)..=(next, u32::MAX)).next() {
            self.reads.remove(&(seen, read));
            self.put(read);
        }
        Some(())
    }

    /// The deadline by which it shows that there is no order: what reaches a number may begin only later.
    fn proof_end(&self, deadline: u32) -> u32 {
        let only = self.reached_by.get(&(self.count + 1)).map(|&only| self.ops[only as usize].deadline());
        deadline.max(only.unwrap_or(deadline))
    }
}
