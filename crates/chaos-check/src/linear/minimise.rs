//! From an object without a legal order to a few operations that have none by themselves.

use std::collections::BTreeSet;

use super::decision::{Budget, Kept, Shortcut};
use super::engine::{self, Found};
use super::entry::{Entry, Op, Timeline};
use super::model::{Effect, Model};

/// The smallest weakening found of `entries` that has no legal order, ascending by invocation.
pub(super) fn minimise<M: Model>(
    model: &M,
    entries: &[Entry<M::Op>],
    timeline: &Timeline<M::Op>,
    conflict: &[u32],
    budget: &Budget<'_>,
) -> Vec<Kept<M::Op>> {
    let ops = &timeline.ops;
    let close = |mut keep: BTreeSet<u32>| {
        loop {
            let end = keep.iter().filter_map(|&op| ops[op as usize].ret).max();
            let needed = |op: &u32| {
                let dropped = &ops[*op as usize];
                !keep.contains(op)
                    && end.is_some_and(|end| dropped.call < end.get())
                    && model.effect(&dropped.what) != Effect::ReadOnly
                    && !keep.iter().all(|kept| model.independent(&ops[*kept as usize].what, &dropped.what))
            };
            let more: Vec<u32> = (0..).take(ops.len()).filter(needed).collect();
            if more.is_empty() {
                return keep;
            }
            keep.extend(more);
        }
    };
    let refuted = |keep: &BTreeSet<u32>| {
        let some: Vec<Op<M::Op>> = keep.iter().map(|&op| ops[op as usize].clone()).collect();
        match model.shortcut(&some) {
            Shortcut::Order(_) => false,
            Shortcut::Conflict(_) => true,
            Shortcut::Pass => matches!(engine::decide(model, &some, budget), Found::Nothing { .. }),
        }
    };
    let mut core = close(conflict.iter().copied().collect());
    for candidate in core.clone() {
        let rest = close(core.iter().copied().filter(|&op| op != candidate).collect());
        if rest.len() < core.len() && refuted(&rest) {
            core = rest;
        }
    }
    core.into_iter()
        .map(|op| {
            let index = timeline.source(op);
            Kept { index, entry: entries[index as usize].clone() }
        })
        .collect()
}
