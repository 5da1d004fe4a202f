//! Everything that can be planned for a time.

use chaos_engine::FaultCommand;
use chaos_history::{Belief, FaultId, NodeId, OpId, OpPhase, Stamps};

/// Something of a node that is on its way out of it: it never was, if the process ended before `left`, and comes later, if the process was
/// stopped before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaving {
    pub(crate) node: u16,
    pub(crate) incarnation: u32,
    pub(crate) left: u64,
}

/// A message on a connection.
#[derive(Clone, Debug)]
pub(crate) struct Packet<M> {
    pub(crate) leaving: Leaving,
    /// For whom, in which life.
    pub(crate) to: election::NodeId,
    /// Of which incarnation of the receiver the connection is.
    pub(crate) receiver: u32,
    pub(crate) message: M,
}

/// A fault edge whose effect waits to be confirmed.
#[derive(Clone, Debug)]
pub(crate) struct Confirm {
    pub(crate) command: FaultCommand,
    pub(crate) stamps: Stamps,
    pub(crate) error: Option<String>,
}

/// What comes next.
#[derive(Clone, Debug)]
pub(crate) enum Happening<M> {
    /// A message arrives.
    Deliver(Packet<M>),
    /// A node looks at its protocol's deadline.
    Timer { node: u16, at: u64 },
    /// A node that was busy or stopped goes on.
    Work { node: u16, incarnation: u32 },
    /// A node dials another.
    Dial { wire: u32, generation: u32 },
    /// The connection has come about.
    Dialled { wire: u32, generation: u32, receiver: u32 },
    /// A sender's kernel looks after what is not acknowledged.
    Retry { wire: u32, generation: u32 },
    /// A node learns that its connection is gone.
    Lost { wire: u32, generation: u32 },
    /// A process begins to listen.
    Boot { node: u16, incarnation: u32 },
    /// A node's disk has failed, and the process ends.
    Fall { node: u16, incarnation: u32 },
    /// The end of a process becomes known.
    Ended { node: u16, incarnation: u32 },
    /// An observer's question comes back.
    Ask { node: u16, sent: u64 },
    /// Nobody waits for it any longer.
    AskInVain { node: u16, sent: u64 },
    /// A listener gets through to a node.
    Listen { node: u16, incarnation: u32 },
    /// A node says unasked what it has come to.
    Told { leaving: Leaving, sent: u64, belief: Box<Belief> },
    /// A client's request arrives.
    Request { id: OpId },
    /// A node has lost its patience with a request.
    Impatient { id: OpId, incarnation: u32 },
    /// The answer to a client arrives.
    Answer { leaving: Leaving, id: OpId, phase: Box<OpPhase>, hint: Option<NodeId> },
    /// An operation ends without an answer.
    Unanswered { id: OpId, phase: Box<OpPhase> },
    /// A client has lost its patience.
    GiveUp { id: OpId },
    /// A fault's effect is there.
    Confirm(Box<Confirm>),
    /// A slowed node is stopped, or goes on.
    Beat { node: u16, fault: FaultId, incarnation: u32, stops: bool },
    /// A transfer is looked after.
    Transfer { fault: FaultId },
}
