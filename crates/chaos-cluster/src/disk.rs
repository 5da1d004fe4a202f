//! What is done to the disks of nodes, by whoever drives the world. How each is done is `chaos-disk`'s.

use chaos_disk::corrupt::{Flip, Selection, Truncation};
use chaos_disk::{DiskFault, Keep, Loss, Receipt, Touched};
use chaos_history::NodeId;

use crate::process::ProcessError;
use crate::world::RealWorld;

impl RealWorld {
    /// Puts a fault of a node's disk in the place of the one before; the default is a disk that is well. In force for every call that
    /// begins after it has returned.
    ///
    /// # Errors
    /// [`ProcessError::SoundDisk`] if the run was started without such disks, [`ProcessError::Disk`] if this fault is out of their
    /// reach.
    pub fn set_disk(&self, node: NodeId, fault: DiskFault) -> Result<Receipt, ProcessError> {
        self.nodes[node.index()].set_disk(fault)
    }

    /// What the present fault of a node's disk has done so far: its effect.
    #[must_use]
    pub fn disk_touched(&self, node: NodeId) -> Touched {
        self.nodes[node.index()].disk_touched()
    }

    /// Whether a program of the node does its input and output in a way that faults of calls don't reach (io_uring).
    #[must_use]
    pub fn disk_bypassed(&self, node: NodeId) -> bool {
        self.nodes[node.index()].disk_bypassed()
    }

    /// The power of a node fails: all of its processes end at once, and what was not synced is gone but for what is to be kept. The
    /// ends of the processes arrive as events, as those of a kill; to start it again is a restart.
    ///
    /// # Errors
    /// [`ProcessError::SoundDisk`] if the run was started without mounts, [`ProcessError::StillRunning`] if a process does not end,
    /// [`ProcessError::Disk`] if what the disk had can't be restored.
    pub fn power_loss(&mut self, node: NodeId, keep: Keep) -> Result<Loss, ProcessError> {
        self.nodes[node.index()].power_loss(keep)
    }

    /// Flips bits of a node's files, whether it runs or not; see [`chaos_disk::corrupt::flip_bits`].
    ///
    /// # Errors
    /// [`ProcessError::Disk`] if no file matches or one can't be changed.
    pub fn flip_bits(
        &self,
        node: NodeId,
        files: &Selection,
        count: usize,
        seed: u64,
    ) -> Result<Vec<Flip>, ProcessError> {
        self.nodes[node.index()].flip_bits(files, count, seed)
    }

    /// Cuts off the end of one of a node's files, whether it runs or not; see [`chaos_disk::corrupt::truncate`].
    ///
    /// # Errors
    /// [`ProcessError::Disk`] if no file matches or it can't be cut.
    pub fn truncate(&self, node: NodeId, files: &Selection, bytes: u64, seed: u64) -> Result<Truncation, ProcessError> {
        self.nodes[node.index()].truncate(files, bytes, seed)
    }
}
