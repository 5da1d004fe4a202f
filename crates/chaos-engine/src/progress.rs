//! What a live view shows of a run. Nothing decides by it.

use chaos_history::{ElectionRole, NodeId, Term};

use crate::load::Counts;

/// The phases of a run, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// No majority has named a leader yet.
    Starting,
    /// The clients run, the faults have not begun: a short warm-up.
    Load,
    /// The fault plan runs, or its last faults are being taken back.
    Faults,
    /// The load goes on without faults, and then comes to its end.
    Settling,
    /// Every key is read once more.
    FinalReads,
    /// The user ended the run: faults are being taken back.
    Stopping,
    /// The run is over.
    Done,
}

/// A snapshot of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The phase.
    pub phase: Phase,
    /// Whom a majority of all nodes names at the moment, and in which term.
    pub leader: Option<(NodeId, Term)>,
    /// How many fault steps are over: ended, left open by the plan, or skipped.
    pub faults_done: u32,
    /// How many fault steps there will be, repeats counted; `None` if the plan draws them.
    pub faults_total: Option<u32>,
    /// What is broken at the moment, in the plan's words, oldest first.
    pub active_faults: Vec<String>,
    /// How the operations ended so far, final reads included.
    pub operations: Counts,
    /// How many operations are due and wait for a free client.
    pub operations_waiting: usize,
    /// What the run waits for; empty if for nothing in particular.
    pub waiting_for: String,
    /// How much of the run is behind, 0 to 1: an estimate that never goes back and is 1 only at the end.
    pub fraction: f64,
}

/// What is known of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// The node.
    pub node: NodeId,
    /// Whether its process runs.
    pub state: NodeState,
    /// The nodes with which it can't exchange packets both ways because of a fault under way.
    pub cut_from: Vec<NodeId>,
    /// What it said last, unless that is too long ago.
    pub belief: Option<NodeBelief>,
}

/// Whether a node's process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// It does.
    Up,
    /// A fault has stopped it.
    Paused,
    /// A fault has ended it.
    Killed,
    /// It has ended by itself, or has not been started yet.
    Ended,
}

/// A node's last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeBelief {
    /// What it takes itself for.
    pub role: ElectionRole,
    /// Its term.
    pub term: Term,
    /// Whom it takes for the leader.
    pub leader: Option<NodeId>,
}
