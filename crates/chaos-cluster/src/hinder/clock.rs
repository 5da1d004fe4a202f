//! Wrong clocks of nodes: what a plan says of them, as changes of the clocks.
//!
//! A process that does not see its node's clock (see `chaos-clock` for which those are) makes the fault another one than the plan
//! says. If that is all processes of all nodes, the fault has failed; otherwise it is remarked, and the effect has no stamp.

use chaos_clock::Rate;
use chaos_engine::FaultCommand;
use chaos_history::Stamps;
use chaos_plan::ClockFault;

use super::{Grip, Hindered};
use crate::process::{ClockChange, ProcessError};
use crate::world::{RealWorld, WorldError};

impl RealWorld {
    /// Has the clocks of the fault's nodes go wrong, one after another.
    pub(super) fn move_clocks(
        &mut self,
        clock: ClockFault,
        command: &FaultCommand,
        stamps: &mut Stamps,
    ) -> Result<Option<String>, WorldError> {
        let (mut begin, mut partly) = (None, Vec::new());
        let error = self.each_node(command, |world, node| {
            let set = world.set_clock(node, change(clock))?;
            world.hindered.push(Hindered { fault: command.id, node, grip: Grip::Clock, has_fallen: false });
            begin.get_or_insert(set.call_begin);
            stamps.call_end = set.call_end;
            if set.without.is_empty() {
                return Ok(());
            }
            if set.without.len() == world.nodes[node.index()].processes().len() {
                return Err(ProcessError::TrueTime { node, pids: set.without });
            }
            partly.push(format!("processes {:?} of {node} have true time all the same", set.without));
            Ok(())
        })?;
        stamps.call_begin = begin.unwrap_or(stamps.call_begin);
        stamps.effect = (error.is_none() && partly.is_empty()).then_some(stamps.call_end);
        for text in partly {
            self.remark(text)?;
        }
        Ok(error)
    }
}

fn change(clock: ClockFault) -> ClockChange {
    match clock {
        ClockFault::Jump { by_ns } => ClockChange::Jump { by_ns },
        ClockFault::Rate { millionths, monotonic: _ } => {
            let factor = f64::from(millionths) / 1e6;
            ClockChange::Rate(Rate::new(factor).expect("plans know the limits of rates"))
        }
        ClockFault::Strobe { by_ns, every } => ClockChange::Strobe { by_ns, period: every },
    }
}
