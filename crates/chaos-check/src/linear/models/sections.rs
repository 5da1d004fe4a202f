//! Sections: what must be inside one, when it must be held, and whether so many at once are allowed.
//!
//! A section is an acquire, its renewals, and its end, in this order. Held it must be from `from` (the first answer among its
//! operations: the acquire has happened by then) to `to` (the last invocation: the end has not happened before). If `from`
//! is not before `to`, the section can be of no duration, at any moment from `to` to `from`.
//!
//! ```text
//!   acquire ├─────┤            ├────┤ release          acquire ├──────────┤
//!                 from═══════to                         release    ├────────────┤
//!             it must be held in between                           to····from: a point somewhere in here
//! ```
//!
//! *Claim.* With n permits there is a legal order if and only if each section's own operations can follow each other, never
//! more than n sections must be held, and each point finds a moment at which fewer than n must. *Proof.* Needed: a legal
//! order holds every section at least as long, and a point's acquire at some moment inside its window. Enough: acquire at the
//! last moment, end at the first, renew in between at the first possible; points need no time, so any number of them fits
//! into one moment, one behind the other. An end without an answer is better used than not; of several the one invoked first
//! can do what any can. Sections of which nothing was answered are left out.
//!
//! *Refuses* histories in which two acquires name one hold ([`Shortcut::Pass`]). Source: Gibbons and Korach, "Testing Shared
//! Memories" (SIAM J. Comput. 1997), the zones of section 4.2, with sections for clusters. Cost: O(n), and O(k log k) for the
//! k renewals and points that don't fit the pattern.

use std::num::NonZeroU32;

use super::hold::{Groups, Hold};
use super::plain;
use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;

/// The part that an operation plays in its section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Begins it.
    Acquire,
    /// Happens inside it and changes nothing.
    Renew,
    /// Ends it.
    End,
}

/// An operation that may belong to a section.
pub(super) trait Part {
    /// The section and the part in it; `None` if the operation belongs to none.
    fn part(&self) -> Option<(Hold, Role)>;
}

/// A section that has to be in every order.
pub(super) struct Section<'a> {
    /// Its operations, ascending by invocation.
    group: &'a [u32],
    /// The acquire.
    pub(super) acquire: u32,
    /// What ends it: the end that was answered, or else the first one that was invoked.
    pub(super) end: Option<u32>,
    /// The rank of the first answer; `u32::MAX` if there is none.
    pub(super) from: u32,
    /// The rank of the last invocation; `u32::MAX` if nothing ends it.
    pub(super) to: u32,
}

impl<'a> Section<'a> {
    /// The section that a hold's operations make; `None` if the order can do without.
    ///
    /// # Errors
    /// If the operations can't follow each other, or name more than one acquire.
    pub(super) fn new<T: Part>(ops: &[Op<T>], group: &'a [u32]) -> Result<Option<Self>, Shortcut> {
        let (mut acquire, mut end, mut optional): (Option<u32>, Option<u32>, Option<u32>) = (None, None, None);
        let (mut surplus, mut needed, mut from, mut to) = (None, None, u32::MAX, 0);
        for &place in group {
            let op = &ops[place as usize];
            match (op.what.part().map(|(_, role)| role), op.ret.is_some()) {
                (None, _) | (Some(Role::Renew), false) => continue,
                (Some(Role::Acquire), _) if acquire.is_some() => return Err(Shortcut::Pass),
                (Some(Role::Acquire), _) => acquire = Some(place),
                (Some(Role::End), false) => {
                    optional = optional.or(Some(place));
                    continue;
                }
                (Some(Role::End), true) if end.is_some() => surplus = Some(place),
                (Some(Role::End), true) => end = Some(place),
                (Some(Role::Renew), true) => {}
            }
            needed = needed.or(op.ret.is_some().then_some(place));
            (from, to) = (from.min(op.deadline()), to.max(op.call));
        }
        let Some(needed) = needed else { return Ok(None) };
        let Some(acquire) = acquire else { return Err(Shortcut::Conflict(vec![needed])) };
        if let (Some(end), Some(surplus)) = (end, surplus) {
            return Err(Shortcut::Conflict(vec![acquire, end, surplus]));
        }
        let end = end.or(optional);
        let to = end.map_or(u32::MAX, |end| to.max(ops[end as usize].call));
        let section = Self { group, acquire, end, from, to };
        section.inversion(ops).map_or(Ok(Some(section)), |pair| Err(Shortcut::Conflict(pair.to_vec())))
    }

    /// The answered renewals, ascending by invocation.
    fn renewals<T: Part>(&self, ops: &[Op<T>]) -> impl Iterator<Item = u32> {
        let inner =
            |place: &u32| *place != self.acquire && Some(*place) != self.end && ops[*place as usize].ret.is_some();
        self.group.iter().copied().filter(inner)
    }

    /// The operations in their order.
    fn members<T: Part>(&self, ops: &[Op<T>]) -> impl Iterator<Item = u32> {
        [self.acquire].into_iter().chain(self.renewals(ops)).chain(self.end)
    }

    fn inversion<T: Part>(&self, ops: &[Op<T>]) -> Option<[u32; 2]> {
        let mut latest = self.acquire;
        for place in self.members(ops) {
            if ops[place as usize].precedes(&ops[latest as usize]) {
                return Some([latest, place]);
            }
            if ops[latest as usize].call < ops[place as usize].call {
                latest = place;
            }
        }
        None
    }

    /// Whether it must be held for some time.
    pub(super) fn lasts(&self) -> bool {
        self.from < self.to
    }

    /// Whether it must be held at some moment of the gaps (behind the ranks) `first..=last`.
    fn covers(&self, first: u32, last: u32) -> bool {
        self.lasts() && self.from <= last && first < self.to
    }

    /// The few operations that make it what it is.
    pub(super) fn evidence<T: Part>(&self, ops: &[Op<T>]) -> Vec<u32> {
        let answered_first = self.members(ops).min_by_key(|&place| ops[place as usize].deadline());
        let invoked_last = self.members(ops).max_by_key(|&place| ops[place as usize].call);
        let mut evidence: Vec<u32> =
            [self.acquire].into_iter().chain(self.end).chain(answered_first).chain(invoked_last).collect();
        evidence.sort_unstable();
        evidence.dedup();
        evidence
    }
}

/// The sections of a history, laid out over its ranks.
struct Layout {
    /// At each rank the operation that takes effect right there, plus one; 0 if none does. An acquire stands at the answer
    /// before which it has to happen, all others at the invocation behind which they can.
    slots: Vec<u32>,
    /// At each rank 1 if a section begins there that lasts, -1 if one ends.
    steps: Vec<i8>,
    /// What else takes effect: the rank, whether it has to wait for all others of that rank, and a running number.
    extras: Vec<(u32, bool, u32, u32)>,
}

/// Decides whether the sections among `ops` can all be, `permits` of them at a time; operations of no section are ignored.
pub(super) fn decide<T: Part + Clone>(ops: &[Op<T>], permits: u32) -> Shortcut {
    plain::order(ops, permits).map_or_else(|| laid_out(ops, permits), Shortcut::Order)
}

/// The same for sections of any kind.
pub(super) fn laid_out<T: Part + Clone>(ops: &[Op<T>], permits: u32) -> Shortcut {
    let last = ops.iter().map(|op| op.ret.map_or(op.call, NonZeroU32::get)).max().unwrap_or(0);
    let ranks = last as usize + 1;
    if ranks > 2 * ops.len() + 64 {
        // A few operations out of many: closer ranks, so that the layout is no larger than they are.
        return laid_out(&ranked_anew(ops), permits);
    }
    let groups = Groups::new(ops, |what| what.part().map(|(hold, _)| hold));
    let mut layout = Layout { slots: vec![0; ranks], steps: vec![0; ranks], extras: Vec::new() };
    let mut points = Vec::new();
    for group in groups.iter() {
        match Section::new(ops, group) {
            Ok(Some(section)) if section.lasts() => layout.add(ops, &section),
            Ok(Some(section)) => points.push(section),
            Ok(None) => {}
            Err(Shortcut::Pass) => return Shortcut::Pass,
            Err(verdict) => return verdict,
        }
    }
    if let Some(rank) = layout.crowded(permits) {
        return Shortcut::Conflict(covering(ops, &groups, rank, rank));
    }
    if !points.is_empty() {
        let free = layout.free(permits);
        for point in points {
            let gap = free[point.to as usize];
            if gap >= point.from {
                let mut conflict = covering(ops, &groups, point.to, point.from - 1);
                conflict.extend(point.evidence(ops));
                return Shortcut::Conflict(conflict);
            }
            for member in point.members(ops) {
                layout.extra(gap, true, member);
            }
        }
    }
    Shortcut::Order(layout.order(ops.len()))
}

fn ranked_anew<T: Clone>(ops: &[Op<T>]) -> Vec<Op<T>> {
    let mut ranks: Vec<u32> =
        ops.iter().flat_map(|op| [op.call].into_iter().chain(op.ret.map(NonZeroU32::get))).collect();
    ranks.sort_unstable();
    let anew =
        |rank: u32| (1..).zip(&ranks).nth(ranks.partition_point(|other| *other < rank)).map_or(rank, |(anew, _)| anew);
    let ranked = |op: &Op<T>| Op {
        what: op.what.clone(),
        call: anew(op.call),
        ret: op.ret.and_then(|rank| NonZeroU32::new(anew(rank.get()))),
    };
    ops.iter().map(ranked).collect()
}

/// What shows that the sections which must be held in the gaps `first..=last` must be.
fn covering<T: Part>(ops: &[Op<T>], groups: &Groups, first: u32, last: u32) -> Vec<u32> {
    let sections = groups.iter().filter_map(|group| Section::new(ops, group).ok().flatten());
    sections.filter(|section| section.covers(first, last)).flat_map(|section| section.evidence(ops)).collect()
}

impl Layout {
    fn extra(&mut self, rank: u32, last: bool, place: u32) {
        let number = u32::try_from(self.extras.len()).unwrap_or(u32::MAX);
        self.extras.push((rank, last, number, place));
    }

    fn add<T: Part>(&mut self, ops: &[Op<T>], section: &Section<'_>) {
        self.slots[section.from as usize] = section.acquire + 1;
        self.steps[section.from as usize] = 1;
        for renewal in section.renewals(ops) {
            let call = ops[renewal as usize].call;
            if call < section.from {
                self.extra(section.from, false, renewal);
            } else {
                self.slots[call as usize] = renewal + 1;
            }
        }
        let Some(end) = section.end else { return };
        self.steps[section.to as usize] = -1;
        if ops[end as usize].call == section.to {
            self.slots[section.to as usize] = end + 1;
        } else {
            self.extra(section.to, false, end);
        }
    }

    /// The first rank behind which more than `permits` sections must be held.
    fn crowded(&self, permits: u32) -> Option<u32> {
        let mut held = 0_i64;
        let over = |step: &i8| {
            held += i64::from(*step);
            held > i64::from(permits)
        };
        self.steps.iter().position(over).and_then(|rank| u32::try_from(rank).ok())
    }

    /// For each rank the first one from it on behind which fewer than `permits` sections must be held.
    fn free(&self, permits: u32) -> Vec<u32> {
        let mut held: i64 = self.steps.iter().map(|step| i64::from(*step)).sum();
        let mut free = vec![u32::MAX; self.steps.len()];
        let mut next = u32::MAX;
        for (rank, step) in (0..).zip(&self.steps).collect::<Vec<(u32, _)>>().into_iter().rev() {
            if held < i64::from(permits) {
                next = rank;
            }
            free[rank as usize] = next;
            held -= i64::from(*step);
        }
        free
    }

    fn order(mut self, count: usize) -> Vec<u32> {
        let mut order = Vec::with_capacity(count);
        if self.extras.is_empty() {
            order.extend(self.slots.iter().filter(|&&slot| slot > 0).map(|slot| slot - 1));
            return order;
        }
        self.extras.sort_unstable();
        let mut extras = self.extras.into_iter().peekable();
        for (rank, slot) in (0..).zip(self.slots) {
            order.extend(slot.checked_sub(1));
            while let Some((_, _, _, place)) = extras.next_if(|extra| extra.0 == rank) {
                order.push(place);
            }
        }
        order
    }
}
