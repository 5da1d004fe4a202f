//! A system under test described by data: what a file under `workloads/systems/` means.
//!
//! A definition says how a cluster of the system is started, how each node is asked who leads, what a client speaks, and
//! what the system promises. It contains no measurement and decides nothing: the driver that carries it out is
//! `chaos-systems`, and the world that starts its processes is `chaos-cluster`. Everything in it that depends on the node, on
//! tuning or on an answer is a [`Template`] or an [`Expression`], compiled when the file is read, so that a mistake has a
//! line and a column before anything starts.
//!
//! ```yaml
//! version: 1
//! system: etcd
//! about: The key-value store under Kubernetes (Raft).
//! install: { name: etcd, versions: ["3.4.23", "3.5.1"] }        # scripts/systems/install etcd
//! programs: { etcd: { version: { run: [etcd, --version], pattern: 'etcd Version: (\S+)' } } }
//! ports: { client: 2379, peer: 2380 }
//! tune:
//!   default: { heartbeat: 100, election: 1000 }                  # the profile that a workload gets unless it says another
//!   fast: { heartbeat: 20, election: 200 }
//! timing: { heartbeat: "{{ tune.heartbeat }}ms", election-timeout: "{{ tune.election }}ms..{{ 2 * tune.election }}ms" }
//! promises: { one-leader: per-term, acknowledged-writes: kept, reads: linearizable }
//! processes:
//!   etcd:
//!     run: [etcd, --name, "{{ id }}", --data-dir, "{{ data }}", --initial-cluster,
//!           '{{ nodes | each("{id}=http://{ip}:2380") }}', --listen-peer-urls, "http://{{ ip }}:{{ port.peer }}"]
//! observers:
//!   self:                                                        # the first one decides who leads
//!     of: own-role
//!     http: { method: POST, port: client, path: /v3/maintenance/status, body: "{}" }
//!     identity: answer.header.member_id                          # what this node calls itself; `leader` names one of those
//!     role: "'leader' if answer.leader == answer.header.member_id else 'follower'"
//!     term: answer.raftTerm
//!     leader: answer.leader
//! client: { driver: etcd, port: client }
//! compare: { exec: [etcdctl, "--endpoints={{ ip }}:2379", endpoint, hashkv, -w, json], value: answer[0].HashKV.hash }
//! ```

mod chosen;
mod operations;
mod template;

use std::collections::BTreeMap;
use std::time::Duration;

pub use chaos_history::TestimonyOf;
use chaos_history::{TermsFrom, Testimony};

use crate::model::DurationRange;

pub(crate) use chosen::part_of;
pub use chosen::{DefinedSystem, NodeChoice};
pub use minijinja::Value as TemplateValue;
pub use operations::{AskedAt, AskedOperation, MembershipOperations, Operations, ToWhom, TransferOperation};
pub use template::{EvaluateError, Expression, Pattern, PlaceOfNode, Scope, Template, TemplateError, beside, value_of};

/// How a system is started, observed, used, and what it promises.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemDefinition {
    /// The system's name as reports write it.
    pub name: String,
    /// One or two sentences for people.
    pub about: String,
    /// Why nobody has tried this definition, if nobody has: the text is shown before a run.
    pub untested: Option<String>,
    /// What `scripts/systems/install` knows it by, and in which versions; the first is the default. `None`: the programs are the
    /// user's own.
    pub install: Option<Install>,
    /// The programs that commands begin with. Any other first word of a command is looked up on the PATH.
    pub programs: BTreeMap<String, Program>,
    /// Ports by name; every node has the same, since each has an address of its own.
    pub ports: BTreeMap<String, u16>,
    /// Whether nodes know their peers by nothing but the addresses that their templates give them, so that each node can be given
    /// its own: then proxies can stand between them.
    pub proxied: bool,
    /// Tuning profiles; all have the same keys, and one is called `default`.
    pub tune: BTreeMap<String, BTreeMap<String, Tuned>>,
    /// The timeouts, for the theoretical floor.
    pub timing: Option<TimingTemplates>,
    /// What the system promises.
    pub promises: Promises,
    /// The nodes that the election is about.
    pub nodes: Part,
    /// Further nodes that these depend on (a lock service, an API server), which are never asked who leads and which roles never
    /// target; they are numbered after the others.
    pub service: Option<Service>,
    /// Who is asked who leads, and how; the first one decides, the others are recorded beside it. Never empty.
    pub observers: Vec<Observer>,
    /// What must hold of every node, beyond an answer of the first observer, before the cluster counts as up.
    pub ready: Vec<Ready>,
    /// What clients speak; `None`: nothing can be read or written, and only leadership is tested.
    pub client: Option<ClientDefinition>,
    /// How the final state of every node is told, to be equal on all.
    pub compare: Option<Comparer>,
    /// What a running cluster can be told.
    pub operations: Operations,
}

/// Where the programs come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    /// The recipe's name.
    pub name: String,
    /// The versions that the definition fits, the default first; never empty.
    pub versions: Vec<String>,
}

/// A program that commands may begin with.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// Which installed system it is a part of, if not of the definition's own; renders to a recipe's name and a version (`etcd@3.4.23`).
    pub of: Option<Template>,
    /// How it tells its version, which reports show.
    pub version: Option<VersionQuestion>,
}

/// A command whose output shows a version.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionQuestion {
    /// The command; its first word is a program.
    pub run: Vec<Template>,
    /// The first group is the version.
    pub pattern: Pattern,
}

/// A tuned value, as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tuned {
    /// A whole number.
    Number(i64),
    /// `true` or `false`.
    Flag(bool),
    /// Anything else.
    Text(String),
}

/// The timeouts from which the theoretical floor is computed, as templates over `tune`.
#[derive(Clone, Debug, PartialEq)]
pub struct TimingTemplates {
    /// A duration or a range: when a follower that hears nothing campaigns.
    pub election_timeout: Template,
    /// A duration: how often a leader shows that it is there.
    pub heartbeat: Template,
    /// `true` or `false`: whether candidates ask before they campaign.
    pub pre_vote: Option<Template>,
}

/// A system's timeouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefinedTiming {
    /// When a follower that hears nothing campaigns.
    pub election_timeout: DurationRange,
    /// How often a leader shows that it is there.
    pub heartbeat: Duration,
    /// Whether candidates ask before they campaign.
    pub pre_vote: bool,
}

/// What a system promises. What it doesn't promise is measured, never convicted, unless a workload asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promises {
    /// Of its leaders.
    pub one_leader: OneLeader,
    /// Of writes that it has acknowledged.
    pub acknowledged_writes: AcknowledgedWrites,
    /// Of what reads return.
    pub reads: Reads,
}

/// How many leaders there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OneLeader {
    /// At most one per term; two in different terms may overlap (Raft, ZAB).
    PerTerm,
    /// At most one at any moment (leases that are waited out, locks).
    AnyTime,
    /// Nothing is promised.
    Nothing,
}

/// What becomes of an acknowledged write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcknowledgedWrites {
    /// It is there for ever.
    Kept,
    /// A failover may lose it (asynchronous replication).
    MayBeLost,
}

/// What a read returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// The newest value.
    Linearizable,
    /// A value of the past, never one older than what the same client has seen.
    Sequential,
    /// Anything that was ever written.
    Stale,
}

/// Nodes of one kind: what each gets, and what it runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Files that are rendered before the node's first start; their paths lie in the node's directory.
    pub files: Vec<FileTemplate>,
    /// Commands before the node's first start, in order, each node in turn.
    pub setup: Vec<SetupCommand>,
    /// What runs, in the order in which it is started; the first is the node's main process. Never empty.
    pub processes: Vec<ProcessDefinition>,
    /// Commands once all nodes of the cluster have been started for the first time.
    pub after_start: Vec<SetupCommand>,
    /// Files of the node's directory that are removed before every later start.
    pub clean_on_restart: Vec<Template>,
    /// Whether a node is started only when the one before has answered.
    pub one_by_one: bool,
}

/// Further nodes that the nodes under test depend on.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// How many, 1 to 5.
    pub nodes: usize,
    /// What they run.
    pub part: Part,
}

/// A file to render.
#[derive(Clone, Debug, PartialEq)]
pub struct FileTemplate {
    /// Where, relative to the node's directory.
    pub path: Template,
    /// What it contains.
    pub text: Template,
    /// Its permission bits; `None` leaves them to the umask.
    pub mode: Option<u32>,
}

/// A command that prepares a node or the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct SetupCommand {
    /// The command; its first word is a program.
    pub run: Vec<Template>,
    /// On which nodes.
    pub on: SetupOn,
    /// How long it is tried again and again while it fails; zero: it is tried once.
    pub retry_for: Duration,
    /// Whether it needs a user that isn't root.
    pub nonroot: bool,
}

/// Which nodes a set-up command runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupOn {
    /// On the first only.
    First,
    /// On every node but the first.
    Others,
    /// On all.
    All,
}

/// A process of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessDefinition {
    /// What fault plans call it.
    pub name: String,
    /// The command; its first word is a program.
    pub run: Vec<Template>,
    /// Environment variables beside those that every process gets.
    pub environment: Vec<(String, Template)>,
    /// Whether it refuses to be root: it then gets a user namespace with another uid.
    pub nonroot: bool,
}

/// Somebody who is asked who leads.
#[derive(Clone, Debug, PartialEq)]
pub struct Observer {
    /// Its name in the history.
    pub name: String,
    /// Whose word it is.
    pub of: TestimonyOf,
    /// How it is asked.
    pub ask: Ask,
    /// Applied to the answer as a text; its named groups are `m.NAME` in the expressions. An answer that it doesn't match is no
    /// view.
    pub pattern: Option<Pattern>,
    /// `leader`, `follower`, `candidate` or `pre-candidate` (or `true`, `false` for the first two).
    pub role: Expression,
    /// The term, a whole number; nothing where the answer tells none, which then may name no leader. `None`: the system shows none at all,
    /// and reigns are numbered as they are seen.
    pub term: Option<Expression>,
    /// Whom the node takes for the leader: an identity, a node's id or address, or nothing; `None`: nodes speak only of
    /// themselves.
    pub leader: Option<Expression>,
    /// What the answering node calls itself, if not by its id or address; a change replaces what was known.
    pub identity: Option<Expression>,
    /// For whom the node voted in the term.
    pub voted_for: Option<Expression>,
    /// As a leader: how many seconds it will still lead if nobody answers it any more, as it reckons; nothing where it doesn't say.
    pub lease_remaining: Option<Expression>,
    /// Whether a node is asked twice, and believed only if both answers are the same. A system that reads role and term one after the
    /// other may mix two terms. Terms only rise: if both answers have one term, it did not move between its two readings, and one
    /// of the two readings of the role lies between them, whichever of role and term is read first (a double collect: Afek et al.,
    /// "Atomic Snapshots of Shared Memory", J. ACM 1993).
    pub confirm: bool,
    /// Whether role, term, leader and vote of an answer are known to be of one moment, as if read under one lock. Otherwise two leaders of
    /// a term, or two votes in it, count only as far as nodes claim them of themselves.
    pub snapshot: bool,
    /// How often, if not as often as the workload says.
    pub every: Option<Duration>,
}

impl Observer {
    /// What its answers are: with or without terms, with or without the name of the leader that is followed.
    #[must_use]
    pub fn testimony(&self) -> Testimony {
        let terms = if self.term.is_some() { TermsFrom::System } else { TermsFrom::Reigns };
        // A command may read a file or an interface as well as ask the process: it is believed the less.
        let shows_life = match self.ask {
            Ask::Http { .. }
            | Ask::Prometheus { .. }
            | Ask::Tcp { .. }
            | Ask::Resp { .. }
            | Ask::UnixJsonRpc { .. }
            | Ask::Client { .. } => true,
            Ask::Exec { .. } | Ask::Log { .. } | Ask::Address { .. } => false,
        };
        Testimony { terms, names_leader: self.leader.is_some(), shows_life, snapshot: self.snapshot }
    }
}

/// A question and how it is sent. In the expressions, `answer` is what comes back.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// HTTP; `answer` is the decoded JSON, or the text if it is none; `status` the status code. Any status is an answer.
    Http {
        /// The method.
        method: String,
        /// A port of [`SystemDefinition::ports`].
        port: String,
        /// Path and query.
        path: Template,
        /// Headers.
        headers: Vec<(String, Template)>,
        /// The body, if there is one.
        body: Option<Template>,
    },
    /// Prometheus text over HTTP; `answer` maps each metric's name to a list of `{labels, value}`.
    Prometheus {
        /// A port of [`SystemDefinition::ports`].
        port: String,
        /// Path and query.
        path: Template,
    },
    /// Bytes over TCP; `answer` is the text (bytes that are no UTF-8 are hex digits).
    Tcp {
        /// A port of [`SystemDefinition::ports`].
        port: String,
        /// What is sent.
        send: Vec<u8>,
        /// When the answer is whole.
        until: Until,
    },
    /// A Redis command; `answer` is the reply, with maps for `pairs`.
    Resp {
        /// A port of [`SystemDefinition::ports`].
        port: String,
        /// The words.
        command: Vec<Template>,
        /// Whether a list of names and values in turn is taken for a map.
        pairs: bool,
    },
    /// JSON-RPC 1.0 over a unix socket, as OVSDB's `unixctl` speaks it; `answer` is the result.
    UnixJsonRpc {
        /// The socket's path, in the node's directory.
        socket: Template,
        /// The method.
        method: String,
        /// The parameters, texts.
        params: Vec<Template>,
    },
    /// A command in the node's namespaces; `answer` is its standard output, decoded if it is JSON; `code` the exit code.
    Exec {
        /// The command; its first word is a program.
        run: Vec<Template>,
    },
    /// The last line of a process's output that the observer's pattern matches; `answer` is the line.
    Log {
        /// A process of [`Part::processes`].
        process: String,
        /// Whether standard error is read instead of standard output.
        stderr: bool,
    },
    /// Whether an address is on one of the node's interfaces; `answer` is `true` or `false`. What an earlier process of the node left
    /// behind doesn't count.
    Address {
        /// The IPv4 address.
        address: Template,
    },
    /// A question that the client driver knows by name; `answer` is the JSON that it gives.
    Client {
        /// The question.
        question: String,
    },
}

/// When an answer over TCP is whole.
#[derive(Clone, Debug, PartialEq)]
pub enum Until {
    /// The node closes the connection.
    End,
    /// The observer's pattern matches what has come so far.
    Matched,
    /// So many bytes are there.
    Bytes(usize),
}

/// A condition that every node must meet before the cluster counts as up.
#[derive(Clone, Debug, PartialEq)]
pub enum Ready {
    /// The observer's answer at every node, evaluated.
    Observed {
        /// An observer's name.
        observer: String,
        /// True where it is met.
        that: Expression,
    },
    /// A command that succeeds on every node.
    Exec {
        /// The command; its first word is a program.
        run: Vec<Template>,
    },
    /// A client's write is acknowledged by some node.
    Write,
}

/// What clients speak.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientDefinition {
    /// A native driver by name, `http` or `program`.
    pub driver: String,
    /// A port of [`SystemDefinition::ports`]; `None` for drivers that need none.
    pub port: Option<String>,
    /// The driver's own options, by name; a workload may change each.
    pub options: BTreeMap<String, Template>,
    /// For the driver `http`: what each operation sends and what its answers mean.
    pub http: BTreeMap<HttpOperation, HttpExchange>,
    /// For the driver `program`: a command that speaks `chaos-client/1`.
    pub program: Vec<Template>,
}

/// An operation of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HttpOperation {
    /// Read a key.
    Read,
    /// Write a key.
    Write,
    /// Compare and set.
    Cas,
    /// Add an element to a set.
    Add,
    /// Read all elements of a set.
    Elements,
}

/// One request of the `http` driver and the meaning of its answers. The templates know `key`, `value`, `expect` beside the node's
/// words; the expressions know `status` and `answer`.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpExchange {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: Template,
    /// Headers.
    pub headers: Vec<(String, Template)>,
    /// The body, if there is one.
    pub body: Option<Template>,
    /// True if it happened.
    pub ok: Expression,
    /// True if it definitely did not happen and never will; whatever is neither is of unknown outcome.
    pub fail: Option<Expression>,
    /// The value read, nothing if the key is absent; for `elements` the list.
    pub value: Option<Expression>,
    /// For `cas`: whether the value was set.
    pub swapped: Option<Expression>,
    /// The change's place in the system's order.
    pub revision: Option<Expression>,
    /// Whom the answer names as the leader.
    pub leader: Option<Expression>,
}

/// How each node's final state is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparer {
    /// The question.
    pub ask: Ask,
    /// Applied to the answer as a text.
    pub pattern: Option<Pattern>,
    /// The state or its digest: equal on all nodes, or they have diverged.
    pub value: Expression,
    /// Up to which change the state goes, if the system tells: only states at one revision are compared.
    pub revision: Option<Expression>,
}
