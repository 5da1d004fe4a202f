//! The place in the schedule where a search stands, with what is pending there.

use super::mask::Mask;
use super::schedule::{Place, Schedule};
use super::space::Space;
use super::table::Table;
use crate::linear::model::Model;

/// Stands before the answer of one step, after all that was invoked before it.
#[derive(Debug)]
pub(super) struct Walk<W> {
    pub(super) space: Space<W>,
    /// The step; there is one more place, behind the last.
    pub(super) step: u32,
    /// The operation in each slot.
    pub(super) in_slot: Vec<u32>,
}

impl<W: Mask> Walk<W> {
    /// Before the first step.
    pub(super) fn new<M: Model>(table: &mut Table<'_, M>, schedule: &Schedule) -> Self {
        let mut walk = Self { space: Space::new(), step: 0, in_slot: vec![0; schedule.slots as usize] };
        walk.invoke(table, schedule, 0);
        walk
    }

    fn invoke<M: Model>(&mut self, table: &mut Table<'_, M>, schedule: &Schedule, from: u32) {
        let until = schedule.steps.get(self.step as usize).map_or(from, |step| step.invoked);
        for op in from..until {
            self.enter(table, schedule, op);
        }
    }

    fn enter<M: Model>(&mut self, table: &mut Table<'_, M>, schedule: &Schedule, op: u32) {
        let planned = &schedule.ops[op as usize];
        if let Place::Slot(slot) = planned.place {
            self.in_slot[slot as usize] = op;
        }
        self.space.enter(table, &schedule.kinds, planned);
    }

    /// Goes to `step`, forward or back.
    pub(super) fn go<M: Model>(&mut self, table: &mut Table<'_, M>, schedule: &Schedule, step: u32) {
        while self.step < step {
            let here = schedule.steps[self.step as usize];
            self.space.leave(&schedule.ops[here.op as usize]);
            self.step += 1;
            self.invoke(table, schedule, here.invoked);
        }
        while self.step > step {
            self.step -= 1;
            let here = schedule.steps[self.step as usize];
            let until = schedule.steps.get(self.step as usize + 1).map_or(here.invoked, |step| step.invoked);
            for op in (here.invoked..until).rev() {
                self.space.leave(&schedule.ops[op as usize]);
            }
            self.enter(table, schedule, here.op);
        }
    }
}
