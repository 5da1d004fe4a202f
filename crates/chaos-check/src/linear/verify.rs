//! The independent verifier: believes neither shortcuts nor engine.
//!
//! It reads entries as recorded and the model's sequential specification, and shares no code with what decides: not ranks, not
//! normal forms, not reductions. [`replays`] re-plays a claimed order. [`refutes`] tries every order of a few operations,
//! remembering which sets of operations led to which state, and nothing cleverer; and it checks that the few were reached from
//! the many by weakening only.
//!
//! What is trusted: [`Model::apply`], and of a refutation [`Model::effect`]'s read-only and overwrite, [`Model::independent`]
//! and [`Model::is_weaker`].

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::decision::Kept;
use super::entry::Entry;
use super::model::{Effect, Model};

/// How many partial orders [`refutes`] looks at before it gives up.
const PARTIAL_ORDERS_MAX: usize = 300_000;
/// How many operations [`refutes`] looks at before it gives up: the sets of more of them would fill the memory.
const CORE_MAX: usize = 512;

/// Checks that `order` (places in `entries`) is a legal order of all of them: every answered one once, every other at most
/// once, each possible in the state at its place, and none placed after one that was invoked only when it was over.
///
/// # Errors
/// If it is not; the text says where.
pub fn replays<M: Model>(model: &M, entries: &[Entry<M::Op>], order: &[u32]) -> Result<(), String> {
    let mut placed = vec![false; entries.len()];
    let mut state = model.initial();
    let mut invoked_latest = 0;
    for &place in order {
        let Some(entry) = entries.get(place as usize) else { return Err(format!("there is no operation {place}")) };
        if std::mem::replace(&mut placed[place as usize], true) {
            return Err(format!("operation {place} is placed twice"));
        }
        invoked_latest = invoked_latest.max(entry.invoked);
        if entry.answered.is_some_and(|answered| answered < invoked_latest) {
            return Err(format!("operation {place} is placed after one that was invoked only when it was over"));
        }
        state =
            model.apply(&state, &entry.what).ok_or_else(|| format!("operation {place} is impossible at its place"))?;
    }
    if order.len() == entries.len() {
        // As many as there are, and none twice: all of them.
        return Ok(());
    }
    let missing = entries.iter().zip(placed).position(|(entry, placed)| !placed && entry.answered.is_some());
    missing.map_or(Ok(()), |place| Err(format!("operation {place} was answered and is not placed")))
}

/// Checks that `core` is a weakening of `entries` and that it has no legal order. `Ok(false)`: there are too many operations, or
/// too many orders, to try.
///
/// # Errors
/// If it is no weakening, or has a legal order; the text says which.
pub fn refutes<M: Model>(model: &M, entries: &[Entry<M::Op>], core: &[Kept<M::Op>]) -> Result<bool, String> {
    if core.len() > CORE_MAX {
        return Ok(false);
    }
    weakens(model, entries, core)?;
    let mut visited: BTreeSet<(Vec<u64>, usize)> = BTreeSet::new();
    let mut states: Vec<M::State> = Vec::new();
    let mut by_hash: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    let mut number = |states: &mut Vec<M::State>, state: M::State| {
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        let alike = by_hash.entry(hasher.finish()).or_default();
        alike.iter().copied().find(|&known| states[known] == state).unwrap_or_else(|| {
            alike.push(states.len());
            states.push(state);
            states.len() - 1
        })
    };
    number(&mut states, model.initial());
    let mut open = vec![(vec![0_u64; core.len().div_ceil(64)], 0)];
    while let Some((placed, state)) = open.pop() {
        let left: Vec<usize> = (0..core.len()).filter(|index| placed[index / 64] >> (index % 64) & 1 == 0).collect();
        let Some(deadline) = left.iter().filter_map(|&index| core[index].entry.answered).min() else {
            return Err(format!("an order exists for the {} operations that were convicted", core.len()));
        };
        for index in left.into_iter().filter(|&index| core[index].entry.invoked <= deadline) {
            let Some(next) = model.apply(&states[state], &core[index].entry.what) else { continue };
            let next = number(&mut states, next);
            let mut placed = placed.clone();
            placed[index / 64] |= 1 << (index % 64);
            if visited.insert((placed.clone(), next)) {
                open.push((placed, next));
            }
        }
        if visited.len() > PARTIAL_ORDERS_MAX {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Checks that each operation of `core` demands no more than its entry, and that what was left out could be.
fn weakens<M: Model>(model: &M, entries: &[Entry<M::Op>], core: &[Kept<M::Op>]) -> Result<(), String> {
    let mut kept = BTreeSet::new();
    for Kept { index, entry } in core {
        let Some(original) = entries.get(*index as usize) else { return Err(format!("there is no operation {index}")) };
        if !kept.insert(*index) {
            return Err(format!("operation {index} is in the counterexample twice"));
        }
        let later = match (original.answered, entry.answered) {
            (_, None) => true,
            (Some(original), Some(answered)) => answered >= original,
            (None, Some(_)) => false,
        };
        let weaker = entry.what == original.what || model.is_weaker(&original.what, &entry.what);
        if !later || entry.invoked > original.invoked || !weaker {
            return Err(format!("operation {index} demands more in the counterexample than in the history"));
        }
    }
    // An order ends with the last answered operation that stays; what began after that was over is behind it and of no matter.
    let end = core.iter().filter_map(|kept| kept.entry.answered).max().unwrap_or_default();
    let forgotten: Vec<u64> = core.iter().map(|kept| forgotten_before(model, core, kept)).collect();
    let matters = |dropped: &Entry<M::Op>, (kept, forgotten): (&Kept<M::Op>, &u64)| {
        dropped.answered.is_none_or(|answered| answered >= *forgotten)
            && !model.independent(&kept.entry.what, &dropped.what)
    };
    for (index, dropped) in (0_u32..).zip(entries) {
        if dropped.invoked <= end
            && !kept.contains(&index)
            && model.effect(&dropped.what) != Effect::ReadOnly
            && core.iter().zip(&forgotten).any(|pair| matters(dropped, pair))
        {
            return Err(format!("operation {index} is not in the counterexample and may matter to it"));
        }
    }
    Ok(())
}

/// The moment before which everything that was over can't matter to `kept`: the latest invocation of an overwrite that is
/// `kept` or was answered before `kept` began; 0 if there is none. Cut a legal order before each overwrite that stays: whatever
/// came before, each piece starts from the same state, so that it is a legal order by itself, and what was over before the
/// overwrite began is in an earlier piece than `kept`.
fn forgotten_before<M: Model>(model: &M, core: &[Kept<M::Op>], kept: &Kept<M::Op>) -> u64 {
    core.iter()
        .filter(|other| matches!(model.effect(&other.entry.what), Effect::Overwrite { .. }))
        .filter(|o| o.index == kept.index || o.entry.answered.is_some_and(|answered| answered < kept.entry.invoked))
        .map(|overwrite| overwrite.entry.invoked)
        .max()
        .unwrap_or_default()
}
