//! What the operations that stay need to stay meaningful.
//!
//! An operation may be left out if it is read-only, or if everything that stays is independent of it, or if it began only when
//! the last answer that stays had been given, or if an overwrite that stays lies between it and whatever depends on it
//! ([`verify`](crate::linear::verify) has the argument). Everything else is needed.
//!
//! Ranks, not stamps: this is the minimiser's own reading of the rule; the verifier has another one. A pass over the history
//! costs a comparison per operation, and a question of the model only where an overwrite has not cut the operation off.

use super::Part;
use super::trial::Purse;
use crate::linear::entry::Op;
use crate::linear::model::{Effect, Model};

/// In which forms an operation is added that others need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forms {
    /// As it was, answer included, and whether or not an overwrite cuts it off: nothing is weakened.
    Whole,
    /// As it was by the last answer of those that need it.
    Full,
    /// As an overwrite where possible, which needs nothing itself: chains of swaps end there.
    Weak,
}

/// The history that a core is cut from.
pub(super) struct Field<'a, M: Model> {
    pub(super) model: &'a M,
    pub(super) ops: &'a [Op<M::Op>],
    /// Some of those that are not read-only, from all over the history.
    sample: Vec<u32>,
}

/// How many operations are drawn to tell what an operation demands.
const SAMPLE: usize = 32;

impl<'a, M: Model> Field<'a, M> {
    pub(super) fn new(model: &'a M, ops: &'a [Op<M::Op>]) -> Self {
        let mut field = Self { model, ops, sample: Vec::new() };
        let places = (0_u32..).zip(ops).step_by(ops.len() / (4 * SAMPLE) + 1).map(|(place, _)| place);
        field.sample = places.filter(|&place| !field.read_only(place)).take(SAMPLE).collect();
        field
    }

    /// Whether an operation needs most of all others, whatever they are. A guess without it is cheaper.
    pub(super) fn demands_much(&self, what: &M::Op) -> bool {
        let needed = |place: &&u32| !self.model.independent(what, &self.ops[**place as usize].what);
        2 * self.sample.iter().filter(needed).count() > self.sample.len()
    }

    /// An operation as it was.
    pub(super) fn part(&self, place: u32) -> Part<M::Op> {
        Part { place, op: self.ops[place as usize].clone() }
    }

    /// An operation as it was by the rank `end`: without its answer if that came later.
    pub(super) fn part_until(&self, place: u32, end: u32) -> Part<M::Op> {
        let mut part = self.part(place);
        part.op.ret = part.op.ret.filter(|ret| ret.get() <= end);
        part
    }

    pub(super) fn overwrites(&self, what: &M::Op) -> bool {
        matches!(self.model.effect(what), Effect::Overwrite { .. })
    }

    pub(super) fn read_only(&self, place: u32) -> bool {
        self.model.effect(&self.ops[place as usize].what) == Effect::ReadOnly
    }

    /// The operation as an overwrite, if it is one or has a weaker form that is.
    pub(super) fn as_overwrite(&self, place: u32) -> Option<M::Op> {
        let what = &self.ops[place as usize].what;
        if self.overwrites(what) {
            return Some(what.clone());
        }
        self.model.weaker(what).into_iter().find(|form| self.overwrites(form))
    }

    /// The weakest form of the operation that still says something of `others`; none if it has to stay as it was.
    pub(super) fn weaker_beside(&self, place: u32, others: &[&M::Op]) -> Option<M::Op> {
        let forms = self.model.weaker_beside(&self.ops[place as usize].what, others);
        // An overwrite says nothing of the others.
        forms.into_iter().rfind(|form| !self.overwrites(form))
    }

    /// `core` with everything that it needs, or `None` if that makes it larger than `most` or too dear to find out.
    pub(super) fn close(
        &self,
        mut core: Vec<Part<M::Op>>,
        forms: Forms,
        most: usize,
        purse: &mut Purse<'_>,
    ) -> Option<Vec<Part<M::Op>>> {
        let mut until = end(&core);
        let mut fresh: Vec<u32> = core.iter().map(|part| part.place).collect();
        while !fresh.is_empty() {
            let mut horizons = self.horizons(&core, &fresh);
            if forms == Forms::Whole {
                horizons.iter_mut().for_each(|(horizon, _)| *horizon = 0);
            }
            fresh = self.needed(&core, &horizons, until, most, purse)?;
            core.extend(fresh.iter().map(|&place| match forms {
                Forms::Whole => self.part(place),
                Forms::Full => self.part_until(place, until),
                Forms::Weak => {
                    let mut part = self.part_until(place, until);
                    part.op.what = self.as_overwrite(place).unwrap_or(part.op.what);
                    part
                }
            }));
            core.sort_unstable_by_key(|part| part.place);
            if core.len() > most {
                return None;
            }
            // What was added whole may be answered later, so that all have to be asked again.
            if end(&core) > until {
                until = end(&core);
                fresh = core.iter().map(|part| part.place).collect();
            }
        }
        Some(core)
    }

    /// Whether `core` needs nothing more.
    pub(super) fn is_closed(&self, core: &[Part<M::Op>], purse: &mut Purse<'_>) -> bool {
        let all: Vec<u32> = core.iter().map(|part| part.place).collect();
        let horizons = self.horizons(core, &all);
        self.needed(core, &horizons, end(core), core.len(), purse).is_some_and(|needed| needed.is_empty())
    }

    /// What those with the given horizons need and `core` has not. `None` if too dear to find out, or more than `most`.
    fn needed(
        &self,
        core: &[Part<M::Op>],
        horizons: &[(u32, &M::Op)],
        end: u32,
        most: usize,
        purse: &mut Purse<'_>,
    ) -> Option<Vec<u32>> {
        let Some(&(lowest, _)) = horizons.first() else { return Some(Vec::new()) };
        let mut needed = Vec::new();
        let mut kept = core.iter().map(|part| part.place).peekable();
        let begun = self.ops.partition_point(|op| op.call < end);
        if !purse.pay(2 * begun as u64) {
            return None;
        }
        for (place, dropped) in (0_u32..).zip(&self.ops[..begun]) {
            if kept.next_if_eq(&place).is_some() || dropped.deadline() < lowest {
                continue;
            }
            let near = horizons.partition_point(|(horizon, _)| *horizon <= dropped.deadline());
            if horizons[..near].iter().any(|(_, what)| !self.model.independent(what, &dropped.what))
                && !self.read_only(place)
            {
                needed.push(place);
            }
            if needed.len() > most || !purse.pay(near as u64) {
                return None;
            }
        }
        Some(needed)
    }

    /// For each different operation among `askers` the rank from which on others matter to it: what was over before is cut off
    /// by an overwrite. Ascending by rank.
    fn horizons<'c>(&self, core: &'c [Part<M::Op>], askers: &[u32]) -> Vec<(u32, &'c M::Op)> {
        // By answer: for each overwrite that stays, the latest call of those answered no later.
        let mut cuts: Vec<(u32, u32)> = core
            .iter()
            .filter(|part| self.overwrites(&part.op.what))
            .filter_map(|part| Some((part.op.ret?.get(), part.op.call)))
            .collect();
        cuts.sort_unstable();
        let mut latest = 0;
        for (_, call) in &mut cuts {
            latest = latest.max(*call);
            *call = latest;
        }
        let mut askers = askers.iter().peekable();
        let mut horizons: Vec<(u32, &M::Op)> = Vec::new();
        for part in core {
            if askers.next_if_eq(&&part.place).is_none() {
                continue;
            }
            let before = cuts.partition_point(|(ret, _)| *ret < part.op.call);
            let cut = before.checked_sub(1).map_or(0, |last| cuts[last].1);
            let own = if self.overwrites(&part.op.what) { part.op.call } else { 0 };
            horizons.push((cut.max(own), &part.op.what));
        }
        horizons.sort_by_key(|(horizon, _)| *horizon);
        if horizons.len() <= super::FEW {
            let mut seen: Vec<&M::Op> = Vec::new();
            horizons.retain(|(_, what)| {
                !seen.contains(what) && {
                    seen.push(what);
                    true
                }
            });
        }
        horizons
    }
}

/// The rank of the last answer.
pub(super) fn end<T>(core: &[Part<T>]) -> u32 {
    core.iter().filter_map(|part| part.op.ret).map(u32::from).max().unwrap_or_default()
}
