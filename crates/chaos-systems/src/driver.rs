//! What the harness needs of a system.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chaos_history::{Action, Belief, NodeId, OpPhase, ProcessId, ReplicaState, Testimony, TestimonyOf};
use futures::future::BoxFuture;
use futures::stream::BoxStream;

/// How to start a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launch {
    /// Files to write before the node's first start.
    pub files: Vec<LaunchFile>,
    /// Commands to carry out before the node's first start, in order; one that fails is a node that can't be started.
    pub setup: Vec<Preparation>,
    /// Files and directories to remove before every later start.
    pub remove: Vec<PathBuf>,
    /// What runs, in the order in which it is started; the first is the main process. Never empty.
    pub processes: Vec<LaunchProcess>,
}

/// A file of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchFile {
    /// Where, absolute.
    pub path: PathBuf,
    /// What it contains.
    pub text: String,
    /// Its permission bits, if not what the umask leaves.
    pub mode: Option<u32>,
}

/// A process of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchProcess {
    /// What fault plans and logs call it; the main process of the reference node is `node`.
    pub name: String,
    /// What to run.
    pub command: CommandLine,
}

/// A command that prepares a node or a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preparation {
    /// What to run, in the node's namespaces.
    pub command: CommandLine,
    /// How long it is tried again and again while it fails; zero: it is tried once.
    pub retry_for: Duration,
}

/// A program with everything that it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Environment variables beside those that it inherits.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it runs; `None`: where the harness does.
    pub directory: Option<PathBuf>,
    /// Whether it refuses to be root, and gets a user namespace with another uid if the harness is.
    pub nonroot: bool,
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

/// What an observer was told at a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What it means.
    pub belief: Belief,
    /// Whom the node named as its leader if no node is known by that name, with the names that are known, for people; the belief is then
    /// one without a leader.
    pub stranger: Option<String>,
}

impl From<Belief> for Told {
    fn from(belief: Belief) -> Self {
        Self { belief, stranger: None }
    }
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

/// What clients speak with a system: one implementation per wire protocol.
///
/// The rule that decides verdicts: an operation is `fail` only if the system says definitely that it did not happen and never
/// will, or if not a byte of it was sent. Everything else that is no success is `info`.
pub trait Client: Send + Sync {
    /// Sends one operation to a node. The caller limits the time; an operation dropped half-way is of unknown outcome, so whatever
    /// state it leaves behind (a half-read connection) must not be used again. An action that the protocol has no words for is a
    /// `fail` that says so.
    ///
    /// Of locks: a release is `ok` only if the system found the lock still held by this session (checkers conclude from it that the
    /// hold was never lost), and `fail` if it says that it wasn't; the token of an acquisition is one that the system makes
    /// larger for every later holder, or none.
    fn invoke(&self, node: NodeId, action: &Action) -> BoxFuture<'static, Answer>;

    /// Makes what operations need (a stream, a table, a topic) once the cluster is up; called again and again until it succeeds.
    fn prepare(&self) -> BoxFuture<'_, Result<(), ProbeError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Answers a question of an observer in the system's own protocol (`Ask::Client` of a definition), as JSON.
    fn ask(&self, node: NodeId, question: &str) -> BoxFuture<'_, Result<serde_json::Value, ProbeError>> {
        let _ = node;
        let error = ProbeError::Garbage(format!("this driver knows no question `{question}`"));
        Box::pin(std::future::ready(Err(error)))
    }
}

/// Somebody who is asked at each node who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObserverFacts {
    /// Its name in the history.
    pub name: String,
    /// Whose word it brings.
    pub of: TestimonyOf,
    /// What its answers are. Where they have no terms, whatever stands in [`Belief::term`] is replaced by the number of a reign.
    pub testimony: Testimony,
    /// How often it is asked, if not as often as the workload says.
    pub every: Option<Duration>,
}

/// Something that a running cluster is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What.
    pub what: ChangeOf,
    /// Whom it is about: the leader that hands over, or the member that goes or comes.
    pub target: NodeId,
    /// Who leads, as far as that is known.
    pub leader: Option<NodeId>,
    /// The members of the moment, in order; without one that comes.
    pub members: Vec<NodeId>,
    /// How often it has been asked for in vain: each time, another node may be asked.
    pub attempt: usize,
}

/// What a cluster is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeOf {
    /// The target hands its leadership over.
    Transfer {
        /// To whom; `None`: to whom the system chooses.
        to: Option<NodeId>,
    },
    /// The target is a member no more.
    Remove,
    /// The target, which does not run, is a member again.
    Add,
}

/// Whom a change is asked of, of those that can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedOf {
    /// The leader, then others.
    Leader,
    /// The target.
    Target,
    /// Other members than the target, the leader first.
    Other,
}

impl Change {
    /// The node to ask at this attempt.
    #[must_use]
    pub fn asked(&self, of: AskedOf) -> NodeId {
        // Only the target can hand over, and only those that stay know of those that come.
        let of = match (self.what, of) {
            (ChangeOf::Transfer { .. }, AskedOf::Leader) => AskedOf::Target,
            (ChangeOf::Add, AskedOf::Leader) => AskedOf::Other,
            (ChangeOf::Transfer { .. } | ChangeOf::Add | ChangeOf::Remove, of) => of,
        };
        let may = |node: &NodeId| of == AskedOf::Leader || *node != self.target;
        let first = self.leader.filter(|leader| may(leader) && self.members.contains(leader));
        let others = self.members.iter().copied().filter(|node| may(node) && Some(*node) != first);
        let candidates: Vec<NodeId> = first.into_iter().chain(others).collect();
        match of {
            AskedOf::Leader | AskedOf::Other if !candidates.is_empty() => candidates[self.attempt % candidates.len()],
            AskedOf::Leader | AskedOf::Other | AskedOf::Target => self.target,
        }
    }
}

/// Why a change did not come about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unchanged {
    /// It was refused: nothing has changed, nor will.
    #[error("refused: {0}")]
    Refused(String),
    /// Nobody knows.
    #[error("{0}")]
    Unknown(String),
}

/// One system: how it is started, who leads, what clients do.
pub trait Driver: Send + Sync {
    /// Who is asked at each node; never empty. The first is the main one: its answers are the history's observations, and decide
    /// who leads. Those of the others are views.
    fn observers(&self) -> Vec<ObserverFacts> {
        let testimony = Testimony::default();
        vec![ObserverFacts { name: "node".to_owned(), of: TestimonyOf::OwnRole, testimony, every: None }]
    }

    /// Asks one of the observers, by its place in [`Driver::observers`], for its view at a node. The caller limits the time.
    fn observe_as(&self, observer: usize, node: NodeId) -> BoxFuture<'_, Result<Told, ProbeError>> {
        debug_assert_eq!(observer, 0, "a driver of several observers says how each is asked");
        let asked = self.observe(node);
        Box::pin(async move { asked.await.map(Told::from) })
    }

    /// How to start this node, with its data in `data`.
    fn launch(&self, node: NodeId, data: &Path) -> Launch;

    /// How to start this node so that, if its directory `data` is empty, it joins a running cluster of these members, itself among them.
    ///
    /// # Errors
    /// Why it can't be said, for people.
    fn launch_joining(&self, node: NodeId, data: &Path, members: &[NodeId]) -> Result<Launch, String> {
        let _ = members;
        Ok(self.launch(node, data))
    }

    /// Whether a node that joins runs before it is added, since the leader has it catch up first.
    fn joins_first(&self) -> bool {
        false
    }

    /// Tells the cluster something, once; the caller limits the time. What was dropped half-way is of unknown outcome. A change that is
    /// there already counts as done.
    fn change(&self, change: &Change) -> BoxFuture<'_, Result<(), Unchanged>> {
        let _ = change;
        Box::pin(std::future::ready(Err(Unchanged::Refused("this driver has no such operation".to_owned()))))
    }

    /// A node that was stopped is about to go on: what it said before is its word no more.
    fn resuming(&self, node: NodeId) {
        let _ = node;
    }

    /// What is carried out in a node's namespaces, in order, once all nodes (or, for a service node, all service nodes) have been
    /// started for the first time. One that fails is a cluster that can't be started.
    fn after_start(&self, node: NodeId) -> Vec<Preparation> {
        let _ = node;
        Vec::new()
    }

    /// Whether this node is started for the first time only when the one before it has answered.
    fn waits_for_the_one_before(&self, node: NodeId) -> bool {
        let _ = node;
        false
    }

    /// Whether the cluster is ready for clients, asked again and again once every node has answered; if not, what is missing, for
    /// people. The caller limits the time.
    fn ready(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Asks a node for its view of the election. The caller limits the time.
    fn observe(&self, node: NodeId) -> BoxFuture<'_, Result<Belief, ProbeError>>;

    /// Listens to a node's own announcements, if the system makes any. Ends with the node's process.
    fn watch(&self, node: NodeId) -> Option<BoxFuture<'_, Result<Watch, ProbeError>>>;

    /// Asks a node for what stands for all that its replica holds; `None` if the system has no such question. The caller limits the
    /// time, and asks only while nothing is written.
    fn compare(&self, node: NodeId) -> Option<BoxFuture<'static, Result<ReplicaState, ProbeError>>> {
        let _ = node;
        None
    }

    /// Sends one operation to a node. The caller limits the time; an operation dropped half-way is of unknown outcome.
    fn invoke(&self, node: NodeId, action: &Action) -> BoxFuture<'static, Answer>;

    /// A session of its own for a process that will hold something: what it acquires is this session's, and nobody else's. When the
    /// last use of it is dropped, whatever it still holds ends in the system's own time. `None`: this system's clients hold nothing.
    ///
    /// # Errors
    /// Why it can't be opened, for people; nothing was sent.
    fn session(&self, process: ProcessId) -> Option<Result<Arc<dyn Client>, String>> {
        let _ = process;
        None
    }
}
