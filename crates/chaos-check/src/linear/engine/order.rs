//! From a way through the search to an order of the operations.
//!
//! The way says what was placed for its effect, before which answer. Everything else that is answered was idle: it fits
//! somewhere without changing anything ([`super::expand`]). Walking the way again finds where.

use super::schedule::{Place, Schedule};
use super::table::{Kind, StateId, Table};
use super::trail::Mark;
use crate::linear::model::Model;

struct Writer<'a, 'm, M: Model> {
    table: &'a mut Table<'m, M>,
    schedule: &'a Schedule,
    state: StateId,
    /// Operations that began and are not in the order, without those that are placed for their effect.
    idle: Vec<u32>,
    order: Vec<u32>,
}

impl<M: Model> Writer<'_, '_, M> {
    /// Puts all into the order that leave the state as it is.
    fn settle(&mut self) {
        let (table, schedule, state, order) = (&mut *self.table, self.schedule, self.state, &mut self.order);
        self.idle.retain(|&op| {
            let fits = table.next(state, schedule.ops[op as usize].effect) == Some(state);
            if fits {
                order.push(op);
            }
            !fits
        });
    }

    /// Puts `op` into the order, and directly before it, if it is an overwrite, all overwrites that ride.
    fn place(&mut self, op: u32) -> Option<()> {
        let (table, schedule, order) = (&mut *self.table, self.schedule, &mut self.order);
        let effect = schedule.ops[op as usize].effect;
        let overwrite = |table: &Table<'_, M>, op: u32| {
            let kind = table.kind(schedule.ops[op as usize].effect);
            matches!(kind, Kind::Overwrite { .. })
        };
        if overwrite(table, op) {
            self.idle.retain(|&op| {
                let rides = overwrite(table, op);
                if rides {
                    order.push(op);
                }
                !rides
            });
        }
        self.state = table.next(self.state, effect)?;
        order.push(op);
        self.settle();
        Some(())
    }
}

/// The order along `way`. `None` if it uses more crashed operations than there were, as a search without limits may.
pub(super) fn order<M: Model>(table: &mut Table<'_, M>, schedule: &Schedule, way: &[Mark]) -> Option<Vec<u32>> {
    let mut placed = vec![false; schedule.ops.len()];
    for op in way.iter().filter_map(|mark| mark.what.ok()) {
        placed[op as usize] = true;
    }
    let mut crashed: Vec<Vec<u32>> = vec![Vec::new(); schedule.kinds.len()];
    let mut used = vec![0_usize; schedule.kinds.len()];
    let order = Vec::with_capacity(schedule.ops.len());
    let mut writer = Writer { table, schedule, state: 0, idle: Vec::new(), order };
    let (mut way, mut begun) = (way.iter().peekable(), 0);
    for (number, step) in (0..).zip(&schedule.steps) {
        for op in begun..step.invoked {
            match schedule.ops[op as usize].place {
                Place::Slot(_) if !placed[op as usize] => writer.idle.push(op),
                Place::Slot(_) | Place::Nowhere => {}
                Place::Crashed(kind) => crashed[kind as usize].push(op),
            }
        }
        begun = step.invoked;
        writer.settle();
        while let Some(mark) = way.next_if(|mark| mark.step == number) {
            match mark.what {
                Ok(op) => writer.place(op)?,
                Err(kind) => {
                    let kind = kind as usize;
                    used[kind] += 1;
                    writer.place(*crashed[kind].get(used[kind] - 1)?)?;
                }
            }
        }
    }
    Some(writer.order)
}
