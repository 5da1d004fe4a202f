//! What a node's files are on: the host's disk as it is, or one that can be spoilt.
//!
//! A disk is made before anything is written to it, and only in runs whose plan asks for it: the calls of a node on a disk that can be
//! spoilt take longer, also while nothing is wrong with it. Refuses to choose the layer; see `chaos-disk`.

use std::io;
use std::process::Command;

use chaos_disk::corrupt::{self, Flip, Selection, Truncation};
use chaos_disk::{CallDisk, DiskError, DiskFault, Durability, Keep, Loss, MountDisk, Reach, Receipt, Touched};

use super::{NodeProcess, ProcessError};

/// What can be done to the disks of a run's nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Disks {
    /// Nothing, at no cost. Files can be damaged all the same.
    #[default]
    Sound,
    /// Calls of this reach can be made slow or fail.
    Calls(Reach),
    /// All that, and power losses: the data directory is a mount.
    Mounted(Durability),
}

/// A node's disk.
#[derive(Debug)]
pub(super) enum NodeDisk {
    Sound,
    Calls(CallDisk),
    Mounted(MountDisk),
}

impl NodeDisk {
    /// Has a program of the node live on it.
    pub(super) fn attach(&self, command: &mut Command) -> io::Result<()> {
        match self {
            Self::Calls(disk) => disk.attach(command),
            // Whoever looks into the directory is on it.
            Self::Sound | Self::Mounted(_) => Ok(()),
        }
    }
}

impl NodeProcess {
    /// Gives the node a disk that can be spoilt. To be called before anything is in its data directory.
    pub(crate) fn put_on(&mut self, disks: Disks) -> Result<(), ProcessError> {
        let data = self.data();
        let made = || match disks {
            Disks::Sound => Ok(NodeDisk::Sound),
            Disks::Calls(reach) => CallDisk::new(&data, reach).map(NodeDisk::Calls),
            Disks::Mounted(durability) => MountDisk::mount(&data, durability).map(NodeDisk::Mounted),
        };
        if disks != Disks::Sound {
            std::fs::create_dir_all(&data).map_err(|source| self.home.files(&data, source))?;
        }
        self.home.disk = made().map_err(|source| self.disk_error(source))?;
        Ok(())
    }

    /// What is in the data directory has been there for long, as if a power loss could not touch it.
    pub(crate) fn settle_disk(&self) -> Result<(), ProcessError> {
        match &self.home.disk {
            NodeDisk::Mounted(disk) => disk.settle().map_err(|source| self.disk_error(source)),
            NodeDisk::Sound | NodeDisk::Calls(_) => Ok(()),
        }
    }

    /// Puts a fault of the disk in the place of the one before; the default is none.
    pub(crate) fn set_disk(&self, fault: DiskFault) -> Result<Receipt, ProcessError> {
        match &self.home.disk {
            NodeDisk::Sound => Err(ProcessError::SoundDisk(self.home.node)),
            NodeDisk::Calls(disk) => disk.set(fault).map_err(|source| self.disk_error(source)),
            NodeDisk::Mounted(disk) => Ok(disk.set(fault)),
        }
    }

    /// What the present fault of the disk has done.
    pub(crate) fn disk_touched(&self) -> Touched {
        match &self.home.disk {
            NodeDisk::Sound => Touched::default(),
            NodeDisk::Calls(disk) => disk.touched(),
            NodeDisk::Mounted(disk) => disk.touched(),
        }
    }

    /// Whether a program of the node writes past the faults of its disk.
    pub(crate) fn disk_bypassed(&self) -> bool {
        matches!(&self.home.disk, NodeDisk::Calls(disk) if disk.bypassed())
    }

    /// Ends all processes of the node at once and takes from its disk what was not synced.
    pub(crate) fn power_loss(&mut self, keep: Keep) -> Result<Loss, ProcessError> {
        let node = self.home.node;
        if !matches!(self.home.disk, NodeDisk::Mounted(_)) {
            return Err(ProcessError::SoundDisk(node));
        }
        self.end_leftovers();
        if !self.processes().is_empty() {
            return Err(ProcessError::StillRunning(node));
        }
        let NodeDisk::Mounted(disk) = &mut self.home.disk else { unreachable!("just seen") };
        disk.power_loss(keep).map_err(|source| ProcessError::Disk { node, source })
    }

    /// Flips bits of the node's files, whether it runs or not.
    pub(crate) fn flip_bits(&self, files: &Selection, count: usize, seed: u64) -> Result<Vec<Flip>, ProcessError> {
        self.damage(|| corrupt::flip_bits(&self.data(), files, count, seed))
    }

    /// Cuts off the end of one of the node's files, whether it runs or not.
    pub(crate) fn truncate(&self, files: &Selection, bytes: u64, seed: u64) -> Result<Truncation, ProcessError> {
        self.damage(|| corrupt::truncate(&self.data(), files, bytes, seed))
    }

    fn damage<T>(&self, work: impl FnOnce() -> Result<T, DiskError>) -> Result<T, ProcessError> {
        let done = match &self.home.disk {
            NodeDisk::Mounted(disk) => disk.damage(work),
            NodeDisk::Sound | NodeDisk::Calls(_) => work(),
        };
        done.map_err(|source| self.disk_error(source))
    }

    fn disk_error(&self, source: DiskError) -> ProcessError {
        ProcessError::Disk { node: self.home.node, source }
    }
}
