//! Why something can't be done to a node.

use std::io;
use std::path::PathBuf;

use chaos_clock::ClockError;
use chaos_disk::DiskError;
use chaos_history::NodeId;
use nix::errno::Errno;

/// Why something can't be done to a node.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// A program can't be started.
    #[error("start {node}: run `{}`", program.display())]
    Start {
        /// The node.
        node: NodeId,
        /// The program.
        program: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// How it is to be started to join the cluster can't be said.
    #[error("start {node} to join the cluster: {why}")]
    Join {
        /// The node.
        node: NodeId,
        /// What is wrong.
        why: String,
    },
    /// A program can't be started under the node's clock.
    #[error("start {node}: run `{}`", program.display())]
    Clock {
        /// The node.
        node: NodeId,
        /// The program.
        program: PathBuf,
        /// The cause.
        #[source]
        source: ClockError,
    },
    /// The node's clock can't be moved like this.
    #[error("move the clock of {node}")]
    ClockChange {
        /// The node.
        node: NodeId,
        /// The cause.
        #[source]
        source: ClockError,
    },
    /// The run was started without clocks that can be moved.
    #[error("move the clock of {0}: its programs were started with the host's")]
    NoClock(NodeId),
    /// Its clock was moved, and none of its processes sees that.
    #[error("move the clock of {node}: its processes {pids:?} have true time")]
    TrueTime {
        /// The node.
        node: NodeId,
        /// Their numbers.
        pids: Vec<u32>,
    },
    /// A directory or file of the node can't be made, or not be removed.
    #[error("start {node}: write {}", path.display())]
    Files {
        /// The node.
        node: NodeId,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The node's disk can't be made, spoilt or put back.
    #[error("disk of {node}")]
    Disk {
        /// The node.
        node: NodeId,
        /// The cause.
        #[source]
        source: DiskError,
    },
    /// The run was not started with disks that can be spoilt in this way.
    #[error("disk of {0}: the run was not started for such a fault")]
    SoundDisk(NodeId),
    /// The node has no process.
    #[error("{0} is not running")]
    NotRunning(NodeId),
    /// One process of the node is missing.
    #[error("{node} has no running process `{process}`")]
    NoProcess {
        /// The node.
        node: NodeId,
        /// Its name.
        process: String,
    },
    /// The node has a process already.
    #[error("{0} is running already")]
    Running(NodeId),
    /// A signal was refused.
    #[error("signal {node}")]
    Signal {
        /// The node.
        node: NodeId,
        /// The cause.
        #[source]
        source: Errno,
    },
    /// It can't be hindered, or not be let go.
    #[error("change what {node} may use of the host")]
    Hinder {
        /// The node.
        node: NodeId,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Some threads went on running.
    #[error("{0}: some threads were still running 100 ms after they were told to stop")]
    StillRunning(NodeId),
}
