//! Puts with the appends and gets on top of them as blocks, and the order of blocks.
//!
//! *Within a block* the order is forced: the put, the first append, the gets that saw it last, the second append, …
//!
//! *Between blocks.* Block A comes before B if anything of A was over before anything of B began: if A's first answer `f` is
//! before B's last invocation `s`. *Claim*: if no two blocks come each before the other, an order of all exists: sort them by
//! min(f, s). *Proof*: let X be behind Y in that order although X comes before Y, f(X) < s(Y). If f(Y) < s(Y) then f(Y) =
//! min(Y) ≤ min(X) ≤ s(X), so that Y comes before X, too. If not, s(Y) = min(Y) ≤ min(X) ≤ f(X), against the assumption. So
//! one pass with the latest `s` so far finds two blocks that exclude each other, or there are none. What nobody observed is a
//! block of its own, if it was answered; the first state's block has f = 0.

use super::super::phases::{Item, instants};
use super::plan::{Block, Gets, Member, Plan, survey};
use super::trie::Trie;
use super::{AppendOp, NormalAppend};
use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;

/// Decides what can be decided without search.
pub(super) fn decide(trie: &Trie, ops: &[Op<AppendOp>]) -> Shortcut {
    match decide_by(trie, ops, Gets::All) {
        Shortcut::Pass => match decide_by(trie, ops, Gets::Certain) {
            Shortcut::Conflict(conflict) => Shortcut::Conflict(conflict),
            Shortcut::Order(_) | Shortcut::Pass => Shortcut::Pass,
        },
        decided @ (Shortcut::Order(_) | Shortcut::Conflict(_)) => decided,
    }
}

fn decide_by(trie: &Trie, ops: &[Op<AppendOp>], which: Gets) -> Shortcut {
    let mut plan = match survey(trie, ops, which) {
        Ok(plan) => plan,
        Err(shortcut) => return shortcut,
    };
    let sure = match attempt(ops, &plan) {
        Ok(order) => order,
        Err(_) if plan.doubt => return Shortcut::Pass,
        Err(conflict) => return Shortcut::Conflict(plan.explained(conflict)),
    };
    if plan.open.is_empty() {
        return Shortcut::Order(sure);
    }
    if !plan.guess(ops) {
        return Shortcut::Pass;
    }
    attempt(ops, &plan).map_or(Shortcut::Pass, Shortcut::Order)
}

/// The same operations as compare-and-swaps, overwrites and comparisons, as far as it can be told. `whole`: they saw all that the
/// trie knows as observed; of a part a plan can't be made.
pub(super) fn normalise(trie: &Trie, ops: &[Op<AppendOp>], whole: bool) -> Option<Vec<Op<AppendOp>>> {
    let plan = if whole { survey(trie, ops, Gets::All).ok().filter(|plan| !plan.doubt) } else { None };
    let lose = AppendOp::Normal(NormalAppend::Lose { hidden: false });
    let mut forms: Vec<AppendOp> = Vec::with_capacity(ops.len());
    for op in ops {
        forms.push(match op.what {
            AppendOp::Get(text) => {
                trie.observed(text).map_or(AppendOp::Get(text), |node| AppendOp::Normal(NormalAppend::At(node)))
            }
            // With a plan, what is not in it leads to where nothing is observed.
            AppendOp::Put(_) | AppendOp::Append(_) if plan.is_some() => lose.clone(),
            AppendOp::Put(text) => {
                trie.put(text).map_or(lose.clone(), |node| AppendOp::Normal(NormalAppend::Become(node)))
            }
            AppendOp::Append(text) if trie.texts.text(text).is_empty() => AppendOp::Append(text),
            AppendOp::Append(token) if trie.leads(token) => {
                AppendOp::Normal(NormalAppend::Extend { token, alive: false })
            }
            AppendOp::Append(_) => lose.clone(),
            AppendOp::Saw { .. } | AppendOp::Torn(_) | AppendOp::Normal(_) => return None,
        });
    }
    if let Some(plan) = plan {
        for member in &plan.members {
            let path = &plan.blocks[member.block as usize].path;
            let depth = member.phase as usize / 2;
            forms[member.op as usize] = AppendOp::Normal(match ops[member.op as usize].what {
                AppendOp::Put(_) => NormalAppend::Become(path[0]),
                AppendOp::Append(_) => NormalAppend::Step { from: path[depth - 1], to: path[depth] },
                AppendOp::Get(_) | AppendOp::Saw { .. } | AppendOp::Torn(_) | AppendOp::Normal(_) => {
                    NormalAppend::At(path[depth])
                }
            });
        }
        for open in &plan.open {
            let form = NormalAppend::Extend { token: open.token, alive: open.steps.len() == open.ops.len() };
            open.ops.iter().for_each(|op| forms[*op as usize] = AppendOp::Normal(form));
        }
    }
    let dies = |form: &AppendOp| {
        !matches!(form, AppendOp::Append(_) | AppendOp::Normal(NormalAppend::Extend { alive: false, .. }))
    };
    if forms.iter().all(dies) {
        let hidden = AppendOp::Normal(NormalAppend::Lose { hidden: true });
        forms.iter_mut().filter(|form| **form == lose).for_each(|form| *form = hidden.clone());
    }
    Some(forms.into_iter().zip(ops).map(|(what, op)| Op { what, call: op.call, ret: op.ret }).collect())
}

/// A block as others see it: its first answer and its last invocation, with the operations. No first answer: before all.
struct Zone {
    first: Option<(u32, u32)>,
    last: (u32, Option<u32>),
    /// Where its operations are in the order, if it is not just that of `last`.
    block: Option<usize>,
}

impl Zone {
    fn first(&self) -> u32 {
        self.first.map_or(0, |(answer, _)| answer)
    }

    fn least(&self) -> u32 {
        self.first().min(self.last.0)
    }

    fn ops(&self) -> impl Iterator<Item = u32> {
        self.first.map(|(_, op)| op).into_iter().chain(self.last.1)
    }
}

/// An order of what is in the plan, or the operations that exclude one.
fn attempt(ops: &[Op<AppendOp>], plan: &Plan) -> Result<Vec<u32>, Vec<u32>> {
    let mut zones: Vec<Zone> = Vec::with_capacity(plan.blocks.len() + plan.loose.len());
    let mut ordered: Vec<Vec<u32>> = Vec::with_capacity(plan.blocks.len());
    let mut members = plan.members.as_slice();
    for (index, block) in plan.blocks.iter().enumerate() {
        let (these, rest) = members.split_at(members.partition_point(|member| member.block as usize == index));
        members = rest;
        ordered.push(within(ops, block, these)?);
        let first = these.iter().map(|member| (ops[member.op as usize].deadline(), member.op)).min();
        let last = these.iter().map(|member| (ops[member.op as usize].call, member.op)).max();
        zones.push(Zone {
            first: first.filter(|_| block.head.is_some()),
            last: last.map_or((0, None), |(call, op)| (call, Some(op))),
            block: Some(index),
        });
    }
    for &op in &plan.loose {
        let Op { call, .. } = ops[op as usize];
        zones.push(Zone { first: Some((ops[op as usize].deadline(), op)), last: (call, Some(op)), block: None });
    }
    zones.sort_by_key(Zone::least);
    let mut latest: Option<&Zone> = None;
    let mut order = Vec::with_capacity(ops.len());
    for zone in &zones {
        if let Some(other) = latest.filter(|other| zone.first() < other.last.0) {
            let mut few: Vec<u32> = zone.ops().chain(other.ops()).collect();
            for block in [zone, other].into_iter().filter_map(|zone| zone.block) {
                few.extend(plan.blocks[block].evidence());
            }
            return Err(few);
        }
        if latest.is_none_or(|other| other.last.0 < zone.last.0) {
            latest = Some(zone);
        }
        match zone.block {
            Some(block) => order.append(&mut ordered[block]),
            None => order.extend(zone.last.1),
        }
    }
    Ok(order)
}

/// The forced order of one block.
fn within(ops: &[Op<AppendOp>], block: &Block, members: &[Member]) -> Result<Vec<u32>, Vec<u32>> {
    let item = |member: &Member| {
        let op = &ops[member.op as usize];
        Item { phase: member.phase, from: op.call, until: op.deadline() }
    };
    let items: Vec<Item> = members.iter().map(item).collect();
    let instants = instants(&items).map_err(|(early, late)| {
        [members[early].op, members[late].op].into_iter().chain(block.evidence()).collect::<Vec<u32>>()
    })?;
    let mut order: Vec<(u32, u32, u32)> =
        members.iter().zip(instants).map(|(member, instant)| (member.phase, instant, member.op)).collect();
    order.sort_unstable();
    Ok(order.into_iter().map(|(_, _, op)| op).collect())
}

/// Ascending, each once.
pub(super) fn distinct(mut few: Vec<u32>) -> Vec<u32> {
    few.sort_unstable();
    few.dedup();
    few
}
