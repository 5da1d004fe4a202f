//! Moving the clock of a node: called on the deciding thread, in force within a microsecond, confirmed by looking which of the
//! node's processes see that clock.

use chaos_history::{NodeId, RunNanos};

use crate::process::{ClockChange, ProcessError};
use crate::world::RealWorld;

/// What moving a node's clock came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockSet {
    /// Before the change.
    pub call_begin: RunNanos,
    /// After it: every process that sees the clock sees the change.
    pub call_end: RunNanos,
    /// How far from the truth the wall clock is since, in nanoseconds; positive is ahead.
    pub offset_ns: i64,
    /// The node's processes that see true time all the same. If there are any, the fault is not what its plan says.
    pub without: Vec<u32>,
}

impl RealWorld {
    /// Moves the clock of a node, whether it runs or not. The node keeps it over restarts, until the next change.
    ///
    /// # Errors
    /// If the run was made without clocks ([`crate::RealWorldOptions`]), or the change is out of range.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn set_clock(&mut self, node: NodeId, change: ClockChange) -> Result<ClockSet, ProcessError> {
        let process = &mut self.nodes[node.index()];
        let changed = process.set_clock(change)?;
        let without = process.without_clock();
        tracing::info!(%node, ?change, offset_ns = changed.offset_ns, ?without, "clock moved");
        Ok(ClockSet {
            call_begin: self.clock.from_monotonic(changed.begin_ns),
            call_end: self.clock.from_monotonic(changed.end_ns),
            offset_ns: changed.offset_ns,
            without,
        })
    }
}
