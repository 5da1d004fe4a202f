//! What the harness needs of a system.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use chaos_history::{Action, Belief, NodeId, OpPhase};
use futures::future::BoxFuture;
use futures::stream::BoxStream;

/// How to start a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// Why a node's view is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The node did not answer: refused, reset or too late.
    #[error("no answer: {0}")]
    Silent(String),
    /// The node answered something that is no view of an election.
    #[error("an answer that makes no sense: {0}")]
    Garbage(String),
    /// Another node answered at this node's address.
    #[error("{asked} was asked, but `{answered}` answered")]
    WrongNode {
        /// Who was asked.
        asked: NodeId,
        /// What the answer calls itself.
        answered: String,
    },
}

/// A view that a node told unasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// When the node came to this view: nanoseconds of the host's `CLOCK_MONOTONIC`, by the node's own word.
    pub monotonic_nanos: u64,
    /// The view.
    pub belief: Belief,
}

/// A node's views as they change.
pub type Watch = BoxStream<'static, Result<Pushed, ProbeError>>;

/// The end of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How it ended; never an invocation.
    pub phase: OpPhase,
    /// Whom the node named as leader, if it named one.
    pub leader_hint: Option<NodeId>,
}

/// One system's protocol.
pub trait Driver: Send + Sync {
    /// How to start this node, with its data in `data`.
    fn launch(&self, node: NodeId, data: &Path) -> Launch;

    /// Asks a node for its view of the election. The caller limits the time.
    fn observe(&self, node: NodeId) -> BoxFuture<'_, Result<Belief, ProbeError>>;

    /// Listens to a node's own announcements, if the system makes any. Ends with the node's process.
    fn watch(&self, node: NodeId) -> Option<BoxFuture<'_, Result<Watch, ProbeError>>>;

    /// Sends one operation to a node. The caller limits the time; an operation dropped half-way is of unknown outcome.
    fn invoke(&self, node: NodeId, action: &Action) -> BoxFuture<'static, Answer>;
}
