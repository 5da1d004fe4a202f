//! How stale the reads of a register are: "by one write" is another matter than "by a thousand".
//!
//! Consistency model: k-atomicity (Aiyer, Alvisi and Bazzi, DISC 2005; Golab, Li and Shah, PODC 2011). A history is k-atomic iff
//! there is an order, consistent with real time, in which every read returns one of the k contents written last; linearizable
//! is 1-atomic. An operation that swaps observes what it expects and writes.
//!
//! *At least.* If write b began after the write of a had been answered, and was answered before a read began that returned
//! a, then b is between them in every order. Counting such b for each read takes O(n log n) and bounds k from below.
//!
//! *At most.* From that bound upwards, the engine is asked for an order of a register that remembers k contents, and what
//! it finds is replayed by the verifier (for one content, the zones are). A k that it excludes raises the lower bound. Once its budget is spent, the smallest k
//! stays unknown (deciding k-atomicity for k of three and more is an open problem; Golab, Hurwitz and Li, ICDCS 2013).
//!
//! ```text
//!   n1: ─[ write 7 ]──[ write 8 ]──[ write 9 ]─────────────
//!   n2: ────────────────────────────────────────[ read 7 ]─   two writes behind: 3-atomic at best
//! ```
//!
//! Refuses values that are written twice, since a read doesn't tell which it returned. Swaps refused without telling what
//! they saw say nothing of staleness and are left out, and so are observations that no staleness explains: of what nobody
//! had begun to write.

use std::collections::BTreeMap;

use super::decision::{Budget, Shortcut, Spent, Undecided};
use super::engine::{self, Found};
use super::entry::{Entry, Op, StampError, Timeline};
use super::model::{Effect, Model};
use super::models::{ABSENT, HIDDEN, Register, RegisterOp};
use super::verify;

/// How stale a register's reads are. Numbers of operations are places in the entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staleness {
    /// The history is k-atomic for no smaller k.
    pub at_least: u32,
    /// The history is k-atomic for this k, with an order that was replayed; `None` if none was found.
    pub at_most: Option<u32>,
    /// What kept the engine from telling whether the history is `at_least`-atomic.
    pub undecided: Option<Undecided>,
    /// Answered operations that observed a content although so many writes are certainly between its write and them, one at
    /// least; ascending by place.
    pub behind: Vec<(u32, u32)>,
    /// Operations that observed what nobody had begun to write, and were answered or are observed themselves; ascending.
    /// They count as plain writes, or not at all.
    pub unexplained: Vec<u32>,
}

/// A history that can't be graded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GradeError {
    /// The stamps are no history's.
    #[error(transparent)]
    Stamps(#[from] StampError),
    /// A content is written twice, the absent one counting as written.
    #[error("content {0} is written twice, so reads of it do not tell how stale they are")]
    Repeated(u32),
}

/// Grades a register's history. No k above `k_max` is tried.
///
/// # Errors
/// If the stamps are no history's, or a content is written twice.
pub fn grade(entries: &[Entry<RegisterOp>], k_max: u32, budget: &Budget<'_>) -> Result<Staleness, GradeError> {
    let timeline = Timeline::new(entries)?;
    let writers = writers(&timeline.ops)?;
    let mut behind = forced(&timeline.ops, &writers);
    let mut seen: Vec<u32> = timeline.ops.iter().filter_map(|op| op.what.observes()).collect();
    seen.sort_unstable();
    let observed = |content: u32| seen.binary_search(&content).is_ok();
    let mut unexplained = Vec::new();
    let mut kept: Vec<Entry<RegisterOp>> = Vec::with_capacity(entries.len());
    for (place, op) in (0..).zip(&timeline.ops) {
        let source = timeline.source(place);
        let entry = entries[source as usize];
        let explained = op.what.observes().is_none_or(|seen| seen == ABSENT || began(&writers, op, seen));
        if !explained && (op.ret.is_some() || op.what.writes().is_some_and(observed)) {
            unexplained.push(source);
        }
        match (op.what, op.ret.is_some()) {
            (RegisterOp::Cas { new, .. }, _) if !explained => {
                kept.push(Entry { what: RegisterOp::Write(new), ..entry })
            }
            (RegisterOp::Write(_) | RegisterOp::Cas { .. }, _) => kept.push(entry),
            (RegisterOp::Read(_), true) if explained => kept.push(entry),
            (RegisterOp::Read(_) | RegisterOp::Refused { .. } | RegisterOp::Ousted { .. }, _) => {}
        }
    }
    behind.iter_mut().for_each(|(place, _)| *place = timeline.source(*place));
    behind.sort_unstable();
    unexplained.sort_unstable();
    let mut staleness = Staleness {
        at_least: 1 + behind.iter().map(|(_, writes)| *writes).max().unwrap_or(0),
        at_most: None,
        undecided: None,
        behind,
        unexplained,
    };
    staleness.search(&kept, k_max, budget)?;
    Ok(staleness)
}

impl Staleness {
    /// Raises `at_least` until the engine finds an order, or none in its budget.
    fn search(&mut self, kept: &[Entry<RegisterOp>], k_max: u32, budget: &Budget<'_>) -> Result<(), StampError> {
        let timeline = Timeline::new(kept)?;
        while self.at_least <= k_max {
            let model = LastContents { k: self.at_least as usize };
            let found = match model.shortcut(&timeline.ops) {
                Shortcut::Order(order) => Found::Order(order),
                Shortcut::Conflict(_) => Found::Nothing { at: 0 },
                Shortcut::Pass => {
                    let normal = model.normalise(&timeline.ops);
                    engine::decide(&model, normal.as_deref().unwrap_or(&timeline.ops), budget)
                }
            };
            match found {
                Found::Order(order) => {
                    let order: Vec<u32> = order.into_iter().map(|op| timeline.source(op)).collect();
                    match verify::replays(&model, kept, &order) {
                        Ok(()) => self.at_most = Some(self.at_least),
                        Err(why) => {
                            let spent = Spent::Disagreement(format!("the order that was found does not replay: {why}"));
                            self.undecided =
                                Some(Undecided { spent, reached: None, answers_proved: 0, configurations: 0 });
                        }
                    }
                    return Ok(());
                }
                Found::Nothing { .. } => self.at_least += 1,
                Found::Spent(undecided) => {
                    self.undecided = Some(Undecided { reached: None, ..undecided });
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// By content, the rank at which its write began and the last rank at which it can have taken effect.
type Writers = BTreeMap<u32, (u32, u32)>;

fn writers(ops: &[Op<RegisterOp>]) -> Result<Writers, GradeError> {
    let mut writers = Writers::from([(ABSENT, (0, 0))]);
    for op in ops {
        if let Some(new) = op.what.writes()
            && writers.insert(new, (op.call, op.deadline())).is_some()
        {
            return Err(GradeError::Repeated(new));
        }
    }
    Ok(writers)
}

/// Whether the write of what `op` saw had begun when `op` was over.
fn began(writers: &Writers, op: &Op<RegisterOp>, seen: u32) -> bool {
    writers.get(&seen).is_some_and(|(call, _)| *call < op.deadline())
}

/// The answered operations that observed a content with writes between, and how many there are at least.
fn forced(ops: &[Op<RegisterOp>], writers: &Writers) -> Vec<(u32, u32)> {
    // Writes by their ends; those that began after `over` and ended before a read began are those that ended before it began,
    // but for those of them that began up to `over`.
    let mut writes: Vec<(u32, u32)> = ops
        .iter()
        .filter(|op| op.what.writes().is_some())
        .filter_map(|op| op.ret.map(|ret| (ret.get(), op.call)))
        .collect();
    writes.sort_unstable();
    let mut calls: Vec<u32> = writes.iter().map(|(_, call)| *call).collect();
    calls.sort_unstable();
    let mut ended = Counts(vec![0; calls.len() + 1]);
    let mut writes = writes.into_iter().zip(1_u32..).peekable();
    let (mut count, mut behind) = (0, Vec::new());
    for (place, op) in (0..).zip(ops) {
        while let Some(((_, call), number)) = writes.next_if(|((ret, _), _)| *ret < op.call) {
            count = number;
            ended.add(calls.partition_point(|other| *other < call));
        }
        let Some(&(_, over)) = op.what.observes().and_then(|seen| writers.get(&seen)) else { continue };
        let between = count - ended.below(calls.partition_point(|call| *call <= over));
        if between > 0 && op.ret.is_some() {
            behind.push((place, between));
        }
    }
    behind
}

/// Counts of places, summed up in O(log n): Fenwick, "A new data structure for cumulative frequency tables" (1994).
struct Counts(Vec<u32>);

impl Counts {
    fn add(&mut self, place: usize) {
        let mut node = place + 1;
        while node < self.0.len() {
            self.0[node] += 1;
            node += node & node.wrapping_neg();
        }
    }

    /// How many places below this one were added.
    fn below(&self, place: usize) -> u32 {
        let (mut node, mut sum) = (place, 0);
        while node > 0 {
            sum += self.0[node];
            node -= node & node.wrapping_neg();
        }
        sum
    }
}

/// A register that may answer with any of the `k` contents written last.
#[derive(Clone, Copy, Debug)]
struct LastContents {
    k: usize,
}

impl Model for LastContents {
    type Op = RegisterOp;
    /// The contents, the latest last.
    type State = Vec<u32>;

    fn initial(&self) -> Vec<u32> {
        vec![ABSENT]
    }

    fn apply(&self, state: &Vec<u32>, op: &RegisterOp) -> Option<Vec<u32>> {
        if op.observes().is_some_and(|seen| !state.contains(&seen)) {
            return None;
        }
        let Some(new) = op.writes() else { return Some(state.clone()) };
        let kept = state.len() - (state.len() + 1).saturating_sub(self.k).min(state.len());
        Some(state[state.len() - kept..].iter().copied().chain([new]).collect())
    }

    fn effect(&self, op: &RegisterOp) -> Effect {
        if op.writes().is_some() { Effect::Update } else { Effect::ReadOnly }
    }

    /// One content is an atomic register's.
    fn shortcut(&self, ops: &[Op<RegisterOp>]) -> Shortcut {
        if self.k == 1 { Register.shortcut(ops) } else { Shortcut::Pass }
    }

    /// Contents that nobody observes are one.
    fn normalise(&self, ops: &[Op<RegisterOp>]) -> Option<Vec<Op<RegisterOp>>> {
        let mut observed: Vec<u32> = ops.iter().filter_map(|op| op.what.observes()).collect();
        observed.sort_unstable();
        let put = |new: u32| if observed.binary_search(&new).is_ok() { new } else { HIDDEN };
        let rewrite = |op: &Op<RegisterOp>| {
            let what = match op.what {
                RegisterOp::Write(new) => RegisterOp::Write(put(new)),
                RegisterOp::Cas { expect, new } => RegisterOp::Cas { expect, new: put(new) },
                RegisterOp::Read(_) | RegisterOp::Refused { .. } | RegisterOp::Ousted { .. } => op.what,
            };
            Op { what, ..*op }
        };
        Some(ops.iter().map(rewrite).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(what: RegisterOp, invoked: u64, answered: u64) -> Entry<RegisterOp> {
        Entry { what, invoked, answered: Some(answered) }
    }

    #[test]
    fn read_of_the_last_write_but_two_is_two_behind() {
        let mut entries: Vec<Entry<RegisterOp>> =
            (1..4).map(|at| entry(RegisterOp::Write(at), u64::from(at) * 2, u64::from(at) * 2 + 1)).collect();
        entries.push(entry(RegisterOp::Read(1), 10, 11));
        let staleness = grade(&entries, 8, &Budget::default()).unwrap();
        assert_eq!((staleness.at_least, staleness.at_most), (3, Some(3)));
        assert_eq!(staleness.behind, [(3, 2)]);
        let capped = grade(&entries, 2, &Budget::default()).unwrap();
        assert_eq!((capped.at_least, capped.at_most), (3, None));
    }

    /// Two reads see two concurrent writes in opposite orders: nothing is certainly between, and yet it is not 1-atomic.
    #[test]
    fn engine_raises_the_bound_that_real_time_gives() {
        let entries = [
            entry(RegisterOp::Write(1), 1, 20),
            entry(RegisterOp::Write(2), 1, 20),
            entry(RegisterOp::Read(1), 2, 3),
            entry(RegisterOp::Read(2), 4, 5),
            entry(RegisterOp::Read(1), 6, 7),
        ];
        let staleness = grade(&entries, 8, &Budget::default()).unwrap();
        assert_eq!((staleness.at_least, staleness.at_most, staleness.behind.len()), (2, Some(2), 0));
        let none = Budget { configurations: 0, ..Budget::default() };
        let staleness = grade(&entries, 8, &none).unwrap();
        assert_eq!((staleness.at_least, staleness.at_most), (2, None), "zones need no budget");
        assert!(staleness.undecided.is_some());
    }

    #[test]
    fn what_nobody_wrote_is_named_and_does_not_spoil_the_rest() {
        let entries = [
            entry(RegisterOp::Read(9), 1, 2),
            entry(RegisterOp::Write(1), 3, 4),
            entry(RegisterOp::Cas { expect: 8, new: 2 }, 5, 6),
            entry(RegisterOp::Read(2), 7, 8),
        ];
        let staleness = grade(&entries, 8, &Budget::default()).unwrap();
        assert_eq!((staleness.at_least, staleness.at_most), (1, Some(1)));
        assert_eq!(staleness.unexplained, [0, 2]);
        let twice = [entry(RegisterOp::Write(1), 1, 2), entry(RegisterOp::Write(1), 3, 4)];
        assert_eq!(grade(&twice, 8, &Budget::default()), Err(GradeError::Repeated(1)));
    }
}
