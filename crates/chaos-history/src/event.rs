//! Everything that can stand on a line of the history.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{FaultId, FaultKind, NodeId, OpEvent, RunNanos, Term, View};

/// One line of the history, with its place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The line's number in `history.jsonl`, from 1 (line 1 is the header).
    pub line: usize,
    /// When it happened: the moment of sending for an invocation, of receiving for a completion or an observation.
    pub at: RunNanos,
    /// What happened.
    pub event: Event,
}

/// What can happen in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A client operation begins or ends.
    Op(OpEvent),
    /// A node was asked, or said unasked, who leads.
    Observation(Observation),
    /// Somebody beside the main observer was told who leads. Whoever reads observations leaves views out unless it says otherwise.
    View(View),
    /// A fault begins or ends.
    Fault(FaultEvent),
    /// A node process starts, becomes ready or ends.
    Node(NodeEvent),
    /// The host did not let the harness run for a while: what was measured meanwhile is doubtful.
    Stall(Stall),
    /// A landmark of the run or a remark.
    Note(NoteEvent),
    /// A node was asked for the state that its replica holds.
    Replica(ReplicaEvent),
}

/// A node's answer to "what do you hold?", or its silence. Asked only while nothing is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaEvent {
    /// The node.
    pub node: NodeId,
    /// When the question left.
    pub sent: RunNanos,
    /// When the answer was there.
    pub received: RunNanos,
    /// The answer.
    pub outcome: ReplicaOutcome,
}

/// An answer or its absence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaOutcome {
    /// The node answered.
    Told(ReplicaState),
    /// No (usable) answer; the text says what happened instead.
    Silent(String),
}

/// What stands for all that a replica holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaState {
    /// A hash or a list: equal for equal states, and different for different ones for all practical purposes.
    pub value: String,
    /// The place in the system's order that it is the state of, where the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// What a node says of the election.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ElectionRole {
    /// Follows, or waits for, a leader.
    Follower,
    /// Asks whether it would be elected, without a new term yet.
    PreCandidate,
    /// Campaigns in its term.
    Candidate,
    /// Claims to lead its term.
    Leader,
}

/// One node's view, as it told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Belief {
    /// The node's term.
    pub term: Term,
    /// The node's own role.
    pub role: ElectionRole,
    /// Whom the node takes for the leader of `term`; itself when `role` is leader.
    pub leader: Option<NodeId>,
    /// For whom the node voted in `term`, where the system shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voted_for: Option<NodeId>,
    /// The last log position that the node knows to be committed, where the system shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<u64>,
    /// As a leader: for how many nanoseconds it will still lead if nobody answers it any more, by its own word and its own clock,
    /// where the system shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_remaining_ns: Option<u64>,
}

/// How an observation came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObservationSource {
    /// The harness asked.
    Poll,
    /// The node said so unasked; `sent` is then the node's own stamp on the host's monotonic clock.
    Push,
}

/// A node's answer to "who leads?", or its silence.
///
/// An answer was true at *some* instant in `[sent, received]`, and no more than that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The node.
    pub node: NodeId,
    /// How many times the harness had started the node's process, from 1.
    pub incarnation: u64,
    /// Whether the node was asked.
    pub source: ObservationSource,
    /// When the question left.
    pub sent: RunNanos,
    /// When the answer was there.
    pub received: RunNanos,
    /// The answer.
    pub outcome: ObservationOutcome,
}

/// An answer or its absence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObservationOutcome {
    /// The node answered.
    Answered(Belief),
    /// No (usable) answer; the text says what happened instead.
    Silent(String),
}

/// A directed link between two nodes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Link {
    /// Whose packets.
    pub from: NodeId,
    /// To whom.
    pub to: NodeId,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}->{}", self.from, self.to)
    }
}

/// When a fault was wanted, called and confirmed. The true moment lies in `[call_begin, effect]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamps {
    /// When the plan wanted it.
    pub scheduled: RunNanos,
    /// Just before the first system call.
    pub call_begin: RunNanos,
    /// Just after the last system call returned.
    pub call_end: RunNanos,
    /// When the effect was confirmed (process reaped, threads stopped, rule read back or probe lost); `None` if nobody could tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<RunNanos>,
}

/// Where in the fault plan a fault is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourcePlace {
    /// The file, as the user named it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
}

/// Whether a fault begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultEdge {
    /// The fault is injected.
    Begin,
    /// The fault is taken back (restart, resume, heal).
    End,
}

/// A fault's begin or end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultEvent {
    /// The fault; begin and end carry the same number.
    pub id: FaultId,
    /// Begin or end.
    pub edge: FaultEdge,
    /// What kind.
    pub kind: FaultKind,
    /// The plan's words for the fault, for example `isolate leader`.
    pub label: String,
    /// The nodes that were aimed at.
    pub nodes: Vec<NodeId>,
    /// The one process of those nodes that is hit, by the name in the system's definition; `None`: all of the node. A node of
    /// which one process is hit is disturbed, and may be up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// The directed links cut by this fault, of whatever kind it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// The leader that a majority named when the fault was aimed, and its term.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<(NodeId, Term)>,
    /// The four stamps.
    pub stamps: Stamps,
    /// The plan line that asked for it; `None` for the harness's own clean-up at the end of a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourcePlace>,
    /// Why the mechanism failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The life of a node's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEvent {
    /// The node.
    pub node: NodeId,
    /// How many times the harness had started it, from 1.
    pub incarnation: u64,
    /// What happened.
    pub life: NodeLife,
}

/// What can happen to a node's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeLife {
    /// The process was started.
    Started {
        /// Its process id inside the run's namespace.
        pid: u32,
    },
    /// It answered its first question.
    Ready,
    /// It ended.
    Exited {
        /// The exit code, if it exited.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<i32>,
        /// The signal, if one ended it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<i32>,
        /// Whether the harness ended it; a node that ends by itself is a finding.
        expected: bool,
    },
    /// A further process of the node was started. Says nothing of whether the node is up: that is its main process's.
    ProcessStarted {
        /// What the system's definition calls it.
        process: String,
        /// Its process id inside the run's namespace.
        pid: u32,
    },
    /// A further process of the node ended. The node goes on as long as its main process does.
    ProcessExited {
        /// What the system's definition calls it.
        process: String,
        /// The exit code, if it exited.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<i32>,
        /// The signal, if one ended it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<i32>,
        /// Whether the harness ended it.
        expected: bool,
    },
}

/// An interval in which the harness's watchdog was not scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stall {
    /// When the watchdog should have run.
    pub from: RunNanos,
    /// When it ran.
    pub to: RunNanos,
}

/// The landmarks of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// The cluster is up and a majority names a leader; clients start.
    LoadBegin,
    /// The first step of the fault plan begins.
    FaultsBegin,
    /// The fault plan has ended and every fault is taken back.
    FaultsEnd,
    /// Clients stop; from here on only final reads.
    LoadEnd,
    /// The run has ended as it should.
    RunEnd,
    /// The run was ended early by the user or by an error.
    Interrupted,
}

/// A landmark or a remark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteEvent {
    /// The landmark, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}
