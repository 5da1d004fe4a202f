//! The forced order of a log.

use super::super::phases::{Item, instants};
use super::{AppendLog, LogOp, LogRead};
use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;

/// What is known of an index.
#[derive(Clone, Copy, Default)]
struct Place {
    /// The element, and the operation that showed it.
    element: Option<(u32, u32)>,
    /// The append.
    append: Option<u32>,
    /// Whether another append may be it as well.
    guessed: bool,
}

/// Everything by index.
struct Plan {
    places: Vec<Place>,
    /// Whole reads, with the length that they saw.
    whole: Vec<(u32, u32)>,
    /// Reads of a range, with the last index that they saw.
    ranges: Vec<(u32, u32)>,
    /// Reads of nothing, which might have been anywhere.
    empty: Vec<u32>,
    /// Appends behind all that is known.
    behind: Vec<u32>,
}

pub(super) fn decide(log: &AppendLog, ops: &[Op<LogOp>]) -> Shortcut {
    let plan = match survey(log, ops) {
        Ok(plan) => plan,
        Err(shortcut) => return shortcut,
    };
    if plan.places.iter().all(|place| place.append.is_some() && !place.guessed) {
        return attempt(ops, &plan, true).map_or_else(Shortcut::Conflict, Shortcut::Order);
    }
    match attempt(ops, &plan, false) {
        Err(conflict) => Shortcut::Conflict(conflict),
        Ok(_) if plan.places.iter().any(|place| place.append.is_none()) => Shortcut::Pass,
        Ok(_) => attempt(ops, &plan, true).map_or(Shortcut::Pass, Shortcut::Order),
    }
}

fn survey(log: &AppendLog, ops: &[Op<LogOp>]) -> Result<Plan, Shortcut> {
    let appends = ops.iter().filter(|op| matches!(op.what, LogOp::Append { .. })).count();
    let mut plan =
        Plan { places: Vec::new(), whole: Vec::new(), ranges: Vec::new(), empty: Vec::new(), behind: Vec::new() };
    // The reads that saw most are to show what an index has, so that few operations show all.
    let mut reads: Vec<(u32, u32)> = (0..)
        .zip(ops)
        .filter(|(_, op)| op.ret.is_some())
        .filter_map(|(number, op)| if let LogOp::Read(read) = op.what { Some((read, number)) } else { None })
        .collect();
    reads.sort_by_key(|(read, _)| std::cmp::Reverse(log.seen(*read).elements.len()));
    for (read, number) in reads {
        plan.see(log.seen(read), number, appends)?;
    }
    // Appends of unknown index by element.
    let mut loose: Vec<(u32, u32)> = Vec::new();
    for (number, op) in (0_u32..).zip(ops) {
        match op.what {
            LogOp::Read(_) => {}
            LogOp::Append { at: Some(_), .. } if op.ret.is_none() => return Err(Shortcut::Pass),
            LogOp::Append { element, at: Some(at) } => {
                if at as usize >= appends {
                    return Err(Shortcut::Conflict(vec![number]));
                }
                plan.learn(at, (element, number))?;
                if let Some(other) = plan.places[at as usize].append.replace(number) {
                    return Err(Shortcut::Conflict(vec![other, number]));
                }
            }
            LogOp::Append { element, at: None } => loose.push((element, number)),
            LogOp::Leap { .. } | LogOp::Saw { .. } => return Err(Shortcut::Pass),
        }
    }
    loose.sort_unstable();
    plan.assign(ops, &loose)?;
    Ok(plan)
}

impl Plan {
    fn see(&mut self, seen: &LogRead, number: u32, appends: usize) -> Result<(), Shortcut> {
        if seen.end() > appends as u64 {
            return Err(Shortcut::Conflict(vec![number]));
        }
        for (index, &element) in (seen.from..).zip(&seen.elements) {
            self.learn(index, (element, number))?;
        }
        let end = seen.from + u32::try_from(seen.elements.len()).expect("there are fewer appends than 2^31");
        match end.checked_sub(1) {
            _ if seen.whole => self.whole.push((end, number)),
            Some(last) => self.ranges.push((last, number)),
            None => self.empty.push(number),
        }
        if let Some(last) = end.checked_sub(1) {
            self.reach(last);
        }
        Ok(())
    }

    fn reach(&mut self, index: u32) -> &mut Place {
        if self.places.len() <= index as usize {
            self.places.resize(index as usize + 1, Place::default());
        }
        &mut self.places[index as usize]
    }

    fn learn(&mut self, index: u32, shown: (u32, u32)) -> Result<(), Shortcut> {
        match self.reach(index).element.get_or_insert(shown) {
            (element, by) if *element != shown.0 => Err(Shortcut::Conflict(vec![*by, shown.1])),
            _ => Ok(()),
        }
    }

    /// Gives places their appends: those of `loose`, ascending by element.
    fn assign(&mut self, ops: &[Op<LogOp>], loose: &[(u32, u32)]) -> Result<(), Shortcut> {
        let mut wanted: Vec<(u32, u32)> = Vec::new();
        let mut gaps: Vec<u32> = Vec::new();
        for (index, place) in (0_u32..).zip(&self.places).filter(|(_, place)| place.append.is_none()) {
            match place.element {
                Some((element, _)) => wanted.push((element, index)),
                None => gaps.push(index),
            }
        }
        wanted.sort_unstable();
        let mut left: Vec<u32> = Vec::new();
        let mut rest = loose;
        for wanted in wanted.chunk_by(|one, other| one.0 == other.0) {
            let element = wanted[0].0;
            let (skipped, behind) = rest.split_at(rest.partition_point(|(other, _)| *other < element));
            left.extend(skipped.iter().map(|(_, op)| *op));
            let (same, behind) = behind.split_at(behind.partition_point(|(other, _)| *other == element));
            rest = behind;
            if same.len() < wanted.len() {
                let shown = wanted.iter().filter_map(|(_, index)| self.places[*index as usize].element);
                let fixed = self.places.iter().filter(|place| place.element.is_some_and(|(it, _)| it == element));
                let fixed = fixed.filter_map(|place| place.append);
                return Err(conflict(shown.map(|(_, by)| by).chain(same.iter().map(|(_, op)| *op)).chain(fixed)));
            }
            // Answered ones must be somewhere; crashed ones help out.
            let mut same: Vec<u32> = same.iter().map(|(_, op)| *op).collect();
            same.sort_by_key(|op| (ops[*op as usize].ret.is_none(), *op));
            let guessed = same.len() > 1;
            left.extend(same.drain(wanted.len()..));
            same.sort_unstable();
            for ((_, index), op) in wanted.iter().zip(same) {
                let place = &mut self.places[*index as usize];
                (place.append, place.guessed) = (Some(op), guessed);
            }
        }
        left.extend(rest.iter().map(|(_, op)| *op));
        left.sort_by_key(|op| (ops[*op as usize].ret.is_none(), *op));
        let fill = gaps.len().min(left.len());
        for (index, op) in gaps.iter().zip(left.drain(..fill)) {
            let place = &mut self.places[*index as usize];
            (place.append, place.guessed) = (Some(op), true);
        }
        left.retain(|op| ops[*op as usize].ret.is_some());
        self.behind = left;
        Ok(())
    }
}

fn conflict(few: impl Iterator<Item = u32>) -> Shortcut {
    Shortcut::Conflict(distinct(few.collect()))
}

fn distinct(mut few: Vec<u32>) -> Vec<u32> {
    few.sort_unstable();
    few.dedup();
    few
}

/// An order of what is in the plan, or the operations that exclude one; of guesses only if `all`.
fn attempt(ops: &[Op<LogOp>], plan: &Plan, all: bool) -> Result<Vec<u32>, Vec<u32>> {
    // Phases: a whole read of n elements 3n + 1, the append at index n 3n + 2, a read of a range to there 3n + 3.
    let mut items: Vec<(Item, u32)> = Vec::with_capacity(ops.len());
    let mut add = |phase: u32, number: u32| {
        let op = &ops[number as usize];
        items.push((Item { phase, from: op.call, until: op.deadline() }, number));
    };
    for (index, place) in (0_u32..).zip(&plan.places) {
        if let Some(append) = place.append.filter(|_| all || !place.guessed) {
            add(3 * index + 2, append);
        }
    }
    plan.whole.iter().for_each(|&(len, read)| add(3 * len + 1, read));
    let end = u32::try_from(plan.places.len()).expect("there are fewer appends than 2^31");
    // With guesses open, who comes last is open, too.
    if all || plan.places.iter().all(|place| !place.guessed && place.append.is_some()) {
        plan.behind.iter().for_each(|&append| add(3 * end + 2, append));
    }
    // A read of a range bounds, from above only, what it saw last and all before.
    for &(last, read) in &plan.ranges {
        items.push((Item { phase: 3 * last + 3, from: 0, until: ops[read as usize].deadline() }, read));
    }
    items.sort_by_key(|(item, _)| item.phase);
    let found = instants(&items.iter().map(|(item, _)| *item).collect::<Vec<_>>()).map_err(|(early, late)| {
        // What else says where the two are: all that showed an index, most often one read.
        let shown = plan.places.iter().filter_map(|place| place.element).map(|(_, by)| by);
        distinct([items[early].1, items[late].1].into_iter().chain(shown).collect())
    })?;
    let mut order: Vec<(u32, u32, u32)> = Vec::with_capacity(ops.len());
    for ((item, number), instant) in items.iter().zip(found) {
        let op = &ops[*number as usize];
        match op.what {
            LogOp::Read(_) if item.from == 0 => {}
            LogOp::Append { .. } | LogOp::Read(_) | LogOp::Leap { .. } | LogOp::Saw { .. } => {
                order.push((instant, item.phase, *number));
            }
        }
    }
    order.sort_unstable();
    // Where each index is, and from when on.
    let mut from: Vec<u32> = vec![0; plan.places.len()];
    for &(instant, phase, _) in order.iter().filter(|(_, phase, _)| phase % 3 == 2) {
        if let Some(from) = from.get_mut(phase as usize / 3) {
            *from = instant;
        }
    }
    let range = |&(last, read): &(u32, u32)| (ops[read as usize].call.max(from[last as usize]), 3 * last + 3, read);
    order.extend(plan.ranges.iter().map(range));
    order.extend(plan.empty.iter().map(|&read| (ops[read as usize].call, 0, read)));
    order.sort_unstable();
    Ok(order.into_iter().map(|(_, _, number)| number).collect())
}
