//! A history as the search walks through it: one step per answer.
//!
//! ```text
//! step 0                step 1          step 2
//! [invoke a, invoke b]  [invoke c]      []
//!          answer a          answer c       answer b
//! ```
//!
//! Just-in-time linearization (Lowe, "Testing for linearizability", 2017, section 6): only an answer forces a decision, so
//! what happens between two answers is gathered, and slots are given out beforehand.

use super::table::{EffectId, Kind, StateId, Table};
use super::usage::KindId;
use crate::linear::entry::Op;
use crate::linear::model::Model;

/// Where an operation is while it is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is answered later on, and has this slot until then.
    Slot(u32),
    /// It is never answered: one more of this kind.
    Crashed(KindId),
    /// It is never answered and can't matter.
    Nowhere,
}

/// One operation as the search sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    pub(super) effect: EffectId,
    /// When it is answered, on any scale.
    pub(super) deadline: u64,
    pub(super) place: Place,
}

/// One answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// The operation that is answered.
    pub(super) op: u32,
    /// As many operations are invoked before.
    pub(super) invoked: u32,
}

/// Operations without an answer that have the same effect.
#[derive(Clone, Copy, Debug)]
pub(super) struct CrashedKind {
    pub(super) effect: EffectId,
    /// Where it leads, if it is an overwrite.
    pub(super) target: Option<StateId>,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Schedule {
    /// The operations in the order of their invocations.
    pub(super) ops: Vec<Planned>,
    pub(super) steps: Vec<Step>,
    pub(super) kinds: Vec<CrashedKind>,
    /// How many slots are needed.
    pub(super) slots: u32,
}

impl Schedule {
    /// Of `ops`, ascending by `call`.
    pub(super) fn new<M: Model>(table: &mut Table<'_, M>, ops: &[Op<M::Op>]) -> Self {
        let mut answers: Vec<(u32, u32)> =
            (0..).zip(ops).filter_map(|(index, op)| Some((op.ret?.get(), index))).collect();
        answers.sort_unstable();
        let mut schedule = Self {
            ops: Vec::with_capacity(ops.len()),
            steps: Vec::with_capacity(answers.len()),
            kinds: Vec::new(),
            slots: 0,
        };
        let mut kind_of: Vec<Option<KindId>> = Vec::new();
        let mut free: Vec<u32> = Vec::new();
        let mut left = ops.iter();
        for (rank, answered) in answers {
            while let Some(op) = left.as_slice().first().filter(|op| op.call < rank) {
                left.next();
                schedule.invoke(table, op, &mut free, &mut kind_of);
            }
            if let Some(Planned { place: Place::Slot(slot), .. }) = schedule.ops.get(answered as usize) {
                free.push(*slot);
            }
            let invoked = u32::try_from(schedule.ops.len()).expect("there are fewer than 2^31 operations");
            schedule.steps.push(Step { op: answered, invoked });
        }
        schedule
    }

    fn invoke<M: Model>(
        &mut self,
        table: &mut Table<'_, M>,
        op: &Op<M::Op>,
        free: &mut Vec<u32>,
        kind_of: &mut Vec<Option<KindId>>,
    ) {
        let effect = table.effect(&op.what);
        let kind = table.kind(effect);
        let place = match (op.ret, kind) {
            (Some(_), _) => Place::Slot(free.pop().unwrap_or_else(|| {
                self.slots += 1;
                self.slots - 1
            })),
            // Without an answer and without use: what is possible after a hidden overwrite is possible without it.
            (None, Kind::ReadOnly | Kind::Overwrite { hidden: true, .. }) => Place::Nowhere,
            (None, Kind::Update | Kind::Overwrite { hidden: false, .. }) => {
                let place = effect as usize;
                kind_of.resize(kind_of.len().max(place + 1), None);
                Place::Crashed(*kind_of[place].get_or_insert_with(|| {
                    self.kinds.push(CrashedKind { effect, target: kind.target() });
                    u32::try_from(self.kinds.len() - 1).expect("there are fewer than 2^31 operations")
                }))
            }
        };
        self.ops.push(Planned { effect, deadline: u64::from(op.deadline()), place });
    }

    /// Bytes in use.
    pub(super) fn bytes(&self) -> usize {
        self.ops.capacity() * size_of::<Planned>()
            + self.steps.capacity() * size_of::<Step>()
            + self.kinds.capacity() * size_of::<CrashedKind>()
    }
}
