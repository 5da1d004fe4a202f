//! The path for registers that only grow: when at the earliest each value can be reached.
//!
//! [`super::MaxRegister`] has the claim and its proof. Here, a *moment* is the rank of an invocation, and what happens "at" it
//! happens behind it. Values are visited ascending; `Floor` is the last moment so far that larger values have to wait for, with
//! the operations that show it. Cost: O(n log n).

use super::max_register::MaxRegisterOp;
use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;

/// A moment that has to be waited for, and why.
#[derive(Clone, Copy, Default)]
struct Floor {
    moment: u32,
    /// The operation invoked then; if it is a raise, also one that reads the value which it raises to.
    why: [Option<u32>; 2],
}

impl Floor {
    fn lift(&mut self, moment: u32, why: [Option<u32>; 2]) {
        if self.moment < moment {
            *self = Self { moment, why };
        }
    }

    /// `place` can't be at this moment any more.
    fn against(self, place: u32) -> Shortcut {
        Shortcut::Conflict(self.why.into_iter().flatten().chain([place]).collect())
    }
}

/// What can make an [`MaxRegisterOp::AtLeast`] true: the first raise to a value.
#[derive(Clone, Copy)]
struct Reach {
    value: u64,
    /// When it can happen.
    moment: u32,
    raise: u32,
    /// Whether it happens anyway.
    placed: bool,
}

/// The path's work.
#[derive(Default)]
struct Sweep {
    floor: Floor,
    /// What happens when: moment, value, whether it needs to wait for others of the same, place.
    order: Vec<(u32, u64, u8, u32)>,
    /// The first raise to each value, ascending by value.
    reaches: Vec<Reach>,
    /// For each value that is raised to, ascending: the first invocation of a raise, and the floor under it.
    floors: Vec<(u64, u32, Floor)>,
    /// Acceptances without an answer that are not needed by a read: value and invocation.
    loose: Vec<(u64, u32)>,
}

/// Decides `ops`.
pub(super) fn decide(ops: &[Op<MaxRegisterOp>]) -> Shortcut {
    let mut ascending: Vec<(u64, u32)> = Vec::with_capacity(ops.len());
    let mut at_least: Vec<(u64, u32)> = Vec::new();
    for (place, op) in (0_u32..).zip(ops) {
        match op.what {
            MaxRegisterOp::Set(_) => return Shortcut::Pass,
            MaxRegisterOp::Raise(value) | MaxRegisterOp::Accept(value) => ascending.push((value, place)),
            MaxRegisterOp::Read(_) | MaxRegisterOp::AtLeast(_) | MaxRegisterOp::AtMost(_) if op.ret.is_none() => {}
            MaxRegisterOp::Read(value) | MaxRegisterOp::AtMost(value) => ascending.push((value, place)),
            MaxRegisterOp::AtLeast(value) => at_least.push((value, place)),
        }
    }
    ascending.sort_unstable();
    let mut sweep = Sweep::default();
    for group in ascending.chunk_by(|one, other| one.0 == other.0) {
        if let Err(verdict) = sweep.visit(ops, group) {
            return verdict;
        }
    }
    if let Err(verdict) = sweep.await_reaches(ops, at_least) {
        return verdict;
    }
    sweep.order.sort_unstable();
    Shortcut::Order(sweep.order.into_iter().map(|(_, _, _, place)| place).collect())
}

impl Sweep {
    /// Places the operations of one value, ascending by invocation.
    fn visit(&mut self, ops: &[Op<MaxRegisterOp>], group: &[(u64, u32)]) -> Result<(), Shortcut> {
        use MaxRegisterOp::{Accept, AtLeast, AtMost, Raise, Read, Set};
        let value = group[0].0;
        let op = |place: u32| &ops[place as usize];
        let raises =
            || group.iter().map(|&(_, place)| place).filter(|&place| matches!(op(place).what, Raise(_) | Accept(_)));
        let reader = group.iter().map(|&(_, place)| place).find(|&place| matches!(op(place).what, Read(_)));
        let below = self.floor;
        let first = raises().next();
        // A read of what was there at first needs nobody to raise.
        let mut ground = below;
        let chosen = match (reader.filter(|_| value > 0), first) {
            (Some(reader), None) => return Err(Shortcut::Conflict(vec![reader])),
            (Some(reader), Some(first)) => {
                ground.lift(op(first).call, [Some(first), Some(reader)]);
                Some(first)
            }
            (None, _) => None,
        };
        let mut above = ground;
        let mut first_usable: Option<u32> = None;
        for &(_, place) in group {
            let (call, answered) = (op(place).call, op(place).ret.is_some());
            match op(place).what {
                Raise(_) | Accept(_) => {
                    let accept = matches!(op(place).what, Accept(_));
                    if !answered && chosen != Some(place) {
                        match accept {
                            true => self.loose.push((value, call)),
                            false => first_usable = first_usable.or(Some(place)),
                        }
                        continue;
                    }
                    first_usable = first_usable.or(Some(place));
                    if op(place).deadline() < below.moment {
                        return Err(below.against(place));
                    }
                    let rank = if chosen == Some(place) { 0 } else { 1 };
                    self.order.push((call.max(below.moment), value, rank, place));
                    if accept {
                        above.lift(call, [Some(place), None]);
                    }
                }
                Read(_) => {
                    if op(place).deadline() < ground.moment {
                        return Err(ground.against(place));
                    }
                    self.order.push((call.max(ground.moment), value, 2, place));
                    above.lift(call, [Some(place), None]);
                }
                AtMost(_) => {
                    self.order.push((call, value, 2, place));
                    above.lift(call, [Some(place), None]);
                }
                AtLeast(_) | Set(_) => {}
            }
        }
        if let Some(raise) = first_usable {
            let placed = op(raise).ret.is_some() || chosen == Some(raise);
            self.reaches.push(Reach { value, moment: op(raise).call.max(below.moment), raise, placed });
        }
        if let Some(first) = first {
            self.floors.push((value, op(first).call, below));
        }
        self.floor = above;
        Ok(())
    }

    /// Places each of `at_least` behind the first that makes it true.
    fn await_reaches(&mut self, ops: &[Op<MaxRegisterOp>], mut at_least: Vec<(u64, u32)>) -> Result<(), Shortcut> {
        at_least.sort_unstable();
        let mut used: Vec<Reach> = Vec::new();
        let mut best: Option<Reach> = None;
        let mut larger = std::mem::take(&mut self.reaches).into_iter().rev().peekable();
        for (value, place) in at_least.into_iter().rev() {
            let op = &ops[place as usize];
            while let Some(reach) = larger.next_if(|reach| reach.value >= value) {
                if best.is_none_or(|best| reach.moment <= best.moment) {
                    best = Some(reach);
                }
            }
            if value == 0 {
                self.order.push((op.call, 0, 2, place));
                continue;
            }
            match best.filter(|best| best.moment < op.deadline()) {
                Some(best) => {
                    used.push(best);
                    self.order.push((op.call.max(best.moment), best.value, 3, place));
                }
                None if self.loose.iter().any(|&(loose, call)| loose >= value && call < op.deadline()) => {
                    return Err(Shortcut::Pass);
                }
                None => {
                    let from = self.floors.partition_point(|floor| floor.0 < value);
                    let floor = self.floors[from..].iter().find(|(_, call, _)| *call < op.deadline());
                    return Err(floor.map_or(Floor::default(), |floor| floor.2).against(place));
                }
            }
        }
        // What has no answer takes effect only because somebody saw it.
        used.dedup_by_key(|reach| reach.raise);
        let missing = used.into_iter().filter(|reach| !reach.placed);
        self.order.extend(missing.map(|reach| (reach.moment, reach.value, 1, reach.raise)));
        Ok(())
    }
}
