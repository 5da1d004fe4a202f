//! Why something can't be done to a node.

use std::io;
use std::path::PathBuf;

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
    /// Some threads went on running.
    #[error("{0}: some threads were still running 100 ms after they were told to stop")]
    StillRunning(NodeId),
}
