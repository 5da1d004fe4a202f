//! What goes into the core and what comes out: the whole contract between protocol and shell. Other protocols say the same with messages
//! of their own, and leave unused what they have no word for.
//!
//! **The ordering law.** Outputs are executed in order, and nothing after a [`Output::Persist`] may leave the node before it
//! is durable. A shell may execute a `Persist` *earlier* than its place: so it can gather the outputs of several steps, write
//! all their `Persist`s in order, sync once, and then do the rest in order (group commit).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bytes::CommandBytes;
use super::message::Message;
use crate::types::{LogIndex, NodeId, RequestId, Term};

/// What must survive a crash besides the log (paper Fig. 2). One record: term and vote are written together or not at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardState {
    /// The newest term this node has seen.
    pub term: Term,
    /// The candidate that got this node's vote in `term`.
    pub voted_for: Option<NodeId>,
}

/// What an entry holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryPayload {
    /// Nothing; a new leader appends one to commit what its predecessors left (paper §5.4.2, §8).
    Noop,
    /// Bytes for the shell's state machine.
    Command(CommandBytes),
    /// The members from this entry on (thesis §4.1).
    Membership(BTreeSet<NodeId>),
}

/// One entry of the replicated log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its position.
    pub index: LogIndex,
    /// The term of the leader that created it.
    pub term: Term,
    /// What it holds.
    pub payload: EntryPayload,
}

/// What a snapshot stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotMeta {
    /// The last entry whose effect it contains.
    pub last_index: LogIndex,
    /// That entry's term.
    pub last_term: Term,
    /// The members as of that entry.
    pub members: BTreeSet<NodeId>,
}

/// The shell's state machine in bytes, as of `meta.last_index`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// What it stands for.
    pub meta: SnapshotMeta,
    /// The shell's bytes.
    pub data: Vec<u8>,
}

/// What the disk held at start. The shell restores its state machine from `snapshot` itself, before the first step;
/// committed entries after it come as [`Output::Apply`] once their commitment is known again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovered {
    /// Term and vote; the default on first start.
    pub hard: HardState,
    /// The newest snapshot.
    pub snapshot: Option<Snapshot>,
    /// The entries after the snapshot, consecutive.
    pub entries: Vec<Entry>,
}

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReadConsistency {
    /// Linearizable by a round of messages (ReadIndex, thesis §6.4).
    Linearizable,
    /// Linearizable as long as clocks keep their bounds: from the lease if it holds, else by a round (thesis §6.4.1).
    Lease,
    /// Whatever this node has applied; may be stale. Any node answers.
    Local,
}

/// One thing that happened to the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input<M = Message> {
    /// Time passed. Needed at [`deadline`](super::Raft::deadline) at the latest; harmless at any other time.
    Tick,
    /// A message arrived.
    Receive {
        /// Its sender.
        from: NodeId,
        /// The message.
        message: M,
    },
    /// A client wants a command in the log. Answered by `Committed`, `NotLeader`, `Busy` or `Superseded`.
    Propose {
        /// Echoed in the reply.
        request: RequestId,
        /// For the state machine.
        command: CommandBytes,
    },
    /// A client wants to read. Answered by `ReadAt`, `NotLeader` or `Busy`.
    Read {
        /// Echoed in the reply.
        request: RequestId,
        /// How fresh.
        consistency: ReadConsistency,
    },
    /// Leadership should move. Answered by `Transferred`, `NotLeader`, `Invalid`, `Busy`, `GivenUp` or `Superseded`, after
    /// [`election_timeout_max`](super::Config::election_timeout_max) at the latest.
    Transfer {
        /// Echoed in the reply.
        request: RequestId,
        /// To this member, or to the one with the longest log.
        to: Option<NodeId>,
    },
    /// One member should be added or removed (thesis §4.1). Answered by `MembershipChanged`, `NotLeader`, `Invalid`,
    /// `Busy`, `GivenUp` or `Superseded`. A node that is added gets the log first; it must be up for that.
    ChangeMembership {
        /// Echoed in the reply.
        request: RequestId,
        /// The complete new set; it differs from the current one by exactly one member.
        members: BTreeSet<NodeId>,
    },
    /// The shell answers [`Output::TakeSnapshot`]; at once or later, the core goes on meanwhile.
    SnapshotTaken(Box<Snapshot>),
}

/// What the shell must write. The parts are to be applied in the order of the fields; all of it is durable or none of what
/// follows happens. A write that fails must stop the node: the core has already gone on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Persist {
    /// Replace term and vote, as one record. First, so that a torn write never leaves entries of a term that the node has not
    /// entered.
    pub hard: Option<HardState>,
    /// A new snapshot: it replaces an older one, and the entries up to its last index may be forgotten. If the log does not
    /// hold an entry with its last index and term, *all* entries must be forgotten; `truncate_from` then says so.
    pub snapshot: Option<Box<Snapshot>>,
    /// Forget the entries from here on.
    pub truncate_from: Option<LogIndex>,
    /// Append these, consecutive with what is left.
    pub append: Vec<Entry>,
}

/// How a request ended. *Definite* means that nothing happened and nothing will.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The command is committed and was handed to `Apply` before this reply.
    Committed {
        /// Where.
        index: LogIndex,
        /// In whose term.
        term: Term,
    },
    /// The shell may answer from a state that has applied at least up to here; all of it was handed to `Apply` before.
    ReadAt {
        /// The read index.
        index: LogIndex,
    },
    /// This node has handed its leadership over.
    Transferred {
        /// Who leads now, as a rule the chosen successor; `None` if this node has not heard of it in time.
        leader: Option<NodeId>,
        /// This node's term: that of the leader, if there is one.
        term: Term,
    },
    /// The new members are committed.
    MembershipChanged {
        /// Where.
        index: LogIndex,
    },
    /// Definite: this node does not lead; perhaps that one does.
    NotLeader {
        /// Whom this node takes for the leader.
        leader: Option<NodeId>,
    },
    /// Definite: not now; a limit is reached, leadership is moving, or another membership change is under way.
    Busy,
    /// Definite: never; the request makes no sense for the current members.
    Invalid,
    /// Definite: it was tried and given up before anything was done. The successor, or the node to be added, did not catch up
    /// in time.
    GivenUp,
    /// Indefinite: leadership was lost after the request had been acted upon; or, of a transfer, the successor was asked and has
    /// not been heard of, and may yet win.
    Superseded,
}

/// What the protocol did, for traces and tests. Nothing depends on events being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Event {
    /// This node gave its vote of `term` to `to` (itself included).
    Granted {
        /// The term.
        term: Term,
        /// The candidate.
        to: NodeId,
    },
    /// This node follows in `term`.
    BecameFollower {
        /// The term.
        term: Term,
        /// Its leader, if known.
        leader: Option<NodeId>,
    },
    /// This node asks whether it could win.
    BecamePreCandidate {
        /// Its term, which a pre-vote does not raise.
        term: Term,
    },
    /// This node campaigns.
    BecameCandidate {
        /// The term it wants to lead.
        term: Term,
    },
    /// This node leads.
    BecameLeader {
        /// Its term.
        term: Term,
    },
    /// This node takes another one (or itself, or nobody) for the leader than before.
    LeaderChanged {
        /// The term.
        term: Term,
        /// The leader it believes in now.
        leader: Option<NodeId>,
    },
    /// The commit index rose.
    Committed {
        /// To here.
        index: LogIndex,
        /// The term of the entry there.
        term: Term,
    },
    /// The members changed, by an entry appended or cut off, or by a snapshot.
    MembersChanged {
        /// The entry that defines them.
        index: LogIndex,
        /// How many there are now.
        members: usize,
    },
    /// A leader's entries replaced some that this node had committed. Never happens under sound rules. The node goes on, so
    /// that the harness, not an assertion of the culprit, finds it out.
    CommittedOverwritten {
        /// The first of them.
        index: LogIndex,
    },
}

/// One thing for the shell to do. See the module's ordering law.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output<M = Message> {
    /// Make this durable before anything that follows.
    Persist(Persist),
    /// Send; may be lost, and need not arrive in order.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: M,
    },
    /// These entries are committed: hand them to the state machine, in order. Each index comes once per start, without gaps.
    Apply(Vec<Entry>),
    /// A request ended.
    Reply {
        /// Which.
        request: RequestId,
        /// How.
        outcome: Outcome,
    },
    /// Answer with [`Input::SnapshotTaken`]: this meta and the bytes of the state machine *as of `meta.last_index`*, which is
    /// the last index handed to `Apply` before this output. Asked once; asked again only after the answer.
    TakeSnapshot {
        /// What the snapshot is to stand for.
        meta: SnapshotMeta,
    },
    /// Replace the state machine by this; `Apply` goes on after it.
    RestoreSnapshot(Box<Snapshot>),
    /// For the trace.
    Event(Event),
}

/// What a node takes part as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Follows.
    Follower,
    /// Asks whether it could win an election.
    PreCandidate,
    /// Campaigns.
    Candidate,
    /// Leads.
    Leader,
}

/// What a node would say about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Who.
    pub id: NodeId,
    /// Its term.
    pub term: Term,
    /// Its role.
    pub role: Role,
    /// Whom it takes for the leader of `term`.
    pub leader: Option<NodeId>,
    /// Whom it voted for in `term`.
    pub voted_for: Option<NodeId>,
    /// Its commit index.
    pub commit: LogIndex,
    /// The last index handed to `Apply` (or restored). Equal to `commit` between steps.
    pub applied: LogIndex,
    /// Its last entry.
    pub last_index: LogIndex,
    /// That entry's term.
    pub last_term: Term,
    /// The last index of its snapshot; 0 without one.
    pub snapshot_index: LogIndex,
    /// The members it goes by; none if it has joined later and has not been told.
    pub members: Arc<BTreeSet<NodeId>>,
    /// As a leader with a valid lease: how long it lasts if nobody answers any more.
    pub lease_remaining: Option<Duration>,
    /// As a leader that checks its quorum: how long until it steps down if nobody answers any more.
    pub quorum_remaining: Option<Duration>,
}
