//! The way of one object from entries to a verified decision, and of many objects over all cores.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::decision::{Budget, Decision, Shortcut, Spent, Undecided};
use super::engine::{self, Found};
use super::entry::{Entry, StampError, Timeline};
use super::minimise::minimise;
use super::model::Model;
use super::verify;

/// Decides whether `entries` are linearizable.
///
/// # Errors
/// If the stamps are no history's.
pub fn check<M: Model>(
    model: &M,
    entries: &[Entry<M::Op>],
    budget: &Budget<'_>,
) -> Result<Decision<M::Op>, StampError> {
    let timeline = Timeline::new(entries)?;
    let conflict = match model.shortcut(&timeline.ops) {
        Shortcut::Order(order) => return Ok(acquit(model, entries, &timeline, order)),
        Shortcut::Conflict(conflict) => conflict,
        Shortcut::Pass => match engine::decide(model, &timeline.ops, budget) {
            Found::Order(order) => return Ok(acquit(model, entries, &timeline, order)),
            Found::Nothing { at } => {
                let end = timeline.ops[at as usize].deadline();
                (0..).zip(&timeline.ops).filter(|(_, op)| op.call < end).map(|(index, _)| index).collect()
            }
            Found::Spent(undecided) => {
                let reached = undecided.reached.map(|op| timeline.source(op));
                return Ok(Decision::Undecided(Undecided { reached, ..undecided }));
            }
        },
    };
    Ok(convict(model, entries, &timeline, &conflict, budget))
}

/// Tries an order that the system itself claims (by revision, zxid, index, offset): places in `entries`. Success is a proof;
/// a mismatch says nothing about linearizability, only about the claim.
///
/// # Errors
/// If the claimed order is not a legal one; the text says where.
pub fn check_claimed<M: Model>(model: &M, entries: &[Entry<M::Op>], order: &[u32]) -> Result<(), String> {
    verify::replays(model, entries, order)
}

fn acquit<M: Model>(
    model: &M,
    entries: &[Entry<M::Op>],
    timeline: &Timeline<M::Op>,
    mut order: Vec<u32>,
) -> Decision<M::Op> {
    order.iter_mut().for_each(|op| *op = timeline.source(*op));
    match verify::replays(model, entries, &order) {
        Ok(()) => Decision::Linearizable(order),
        Err(why) => disagreement(format!("the order that was found does not replay: {why}")),
    }
}

fn convict<M: Model>(
    model: &M,
    entries: &[Entry<M::Op>],
    timeline: &Timeline<M::Op>,
    conflict: &[u32],
    budget: &Budget<'_>,
) -> Decision<M::Op> {
    let core = minimise(model, entries, timeline, conflict, budget);
    if let Ok(verified) = verify::refutes(model, entries, &core) {
        return Decision::Violation { core, verified };
    }
    // A normal form may know from the future of a history that an operation can't be right; without that future it can.
    let all: Vec<u32> = (0..).zip(&timeline.ops).map(|(place, _)| place).collect();
    let core = minimise(model, entries, timeline, &all, budget);
    match verify::refutes(model, entries, &core) {
        Ok(verified) => Decision::Violation { core, verified },
        Err(why) => disagreement(format!("the counterexample does not hold: {why}")),
    }
}

fn disagreement<T>(why: String) -> Decision<T> {
    let spent = Spent::Disagreement(why);
    Decision::Undecided(Undecided { spent, reached: None, answers_proved: 0, configurations: 0 })
}

/// Applies `job` to each of `objects` on as many threads as there are cores (or fewer), largest index last to be taken, and
/// returns the results in the objects' order.
///
/// # Panics
/// If `job` does.
pub fn check_all<T: Sync, R: Send>(objects: &[T], threads: NonZeroUsize, job: impl Fn(&T) -> R + Sync) -> Vec<R> {
    if threads.get() == 1 || objects.len() < 2 {
        return objects.iter().map(job).collect();
    }
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::with_capacity(objects.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads.get().min(objects.len()) {
            scope.spawn(|| {
                let mut mine = Vec::new();
                while let Some((index, object)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|index| Some((index, objects.get(index)?)))
                {
                    mine.push((index, job(object)));
                }
                done.lock().expect("no thread panics while it holds the lock").extend(mine);
            });
        }
    });
    let mut done = done.into_inner().expect("no thread panics while it holds the lock");
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
