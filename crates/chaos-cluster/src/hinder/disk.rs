//! Spoilt disks of nodes: what a plan says of them, in the words of `chaos-disk`.
//!
//! In force is such a fault for every call that begins after it was set, and that is its effect; whether there were any such calls is
//! said in a note when it ends. A node may be so idle that it meets none.

use chaos_disk::{Behaviour, DiskFault, Failure};
use chaos_engine::FaultCommand;
use chaos_history::{NodeId, Stamps};
use chaos_plan as plan;

use super::{Grip, Hindered};
use crate::process::ProcessError;
use crate::world::{RealWorld, WorldError};

impl RealWorld {
    /// Spoils the disks of the fault's nodes, one after another.
    pub(super) fn spoil_disks(
        &mut self,
        disk: plan::DiskFault,
        command: &FaultCommand,
        stamps: &mut Stamps,
    ) -> Result<Option<String>, WorldError> {
        let (mut begin, mut bypassed) = (None, Vec::new());
        let error = self.each_node(command, |world, node| {
            let receipt = world.set_disk(node, fault(disk))?;
            world.hindered.push(Hindered { fault: command.id, node, grip: Grip::Disk, has_fallen: false });
            begin.get_or_insert(world.clock.from_monotonic(receipt.begin_ns));
            stamps.call_end = world.clock.from_monotonic(receipt.end_ns);
            bypassed.extend(world.disk_bypassed(node).then_some(node));
            Ok(())
        })?;
        stamps.call_begin = begin.unwrap_or(stamps.call_begin);
        stamps.effect = (error.is_none() && bypassed.is_empty()).then_some(stamps.call_end);
        for node in bypassed {
            self.remark(format!("a program of {node} uses io_uring, which this fault of its disk does not reach"))?;
        }
        Ok(error)
    }

    /// Makes a node's disk well again, and notes what its fault has done.
    pub(super) fn mend_disk(&mut self, node: NodeId) -> Result<Result<(), ProcessError>, WorldError> {
        let touched = self.disk_touched(node);
        let mended = self.set_disk(node, DiskFault::default()).map(drop);
        let (delayed, failed) = (touched.delayed, touched.failed);
        self.note(match touched.first_ns {
            Some(first_ns) => {
                let first = self.clock.from_monotonic(first_ns).0 as f64 / 1e9;
                format!("disk of {node}: {delayed} calls were delayed and {failed} failed, the first at {first:.3} s")
            }
            None => format!("disk of {node}: no call met its fault"),
        })?;
        Ok(mended)
    }
}

fn fault(disk: plan::DiskFault) -> DiskFault {
    DiskFault { syncs: behaviour(disk.sync), writes: behaviour(disk.write) }
}

fn behaviour(call: plan::CallFault) -> Behaviour {
    let failure = call.failure.map(|failure| match failure {
        plan::DiskFailure::Io => Failure::Io,
        plan::DiskFailure::Full => Failure::Full,
        plan::DiskFailure::ReadOnly => Failure::ReadOnly,
    });
    Behaviour { delay: call.delay, failure }
}
