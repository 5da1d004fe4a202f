//! The plan as everything else sees it: typed, validated, every default filled in.
//!
//! Nothing here knows YAML. A value of these types is *meant*: every node named exists, every heal has its fault, every
//! duration is in range. How a file becomes such a value is the rest of this crate's business.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use chaos_history::{FaultKind, NodeId, Seed, SourcePlace, Testimony};

use crate::control::{Condition, Phase, Stop};
use crate::definition::{DefinedSystem, ToWhom};
use crate::expect::Expectation;
use crate::fault::Fault;

/// A workload: a system, clients, a fault plan, and what is demanded of it all.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Names the run directory.
    pub name: String,
    /// One or two sentences for people.
    pub about: String,
    /// What is tested.
    pub system: System,
    /// How many nodes, 1 to 9.
    pub nodes: usize,
    /// The seed, if the file fixes it; the command line may override it, otherwise it is drawn.
    pub seed: Option<Seed>,
    /// What the nodes talk over.
    pub network: Network,
    /// Whether every packet between nodes is written down.
    pub capture: bool,
    /// How clocks are moved.
    pub clocks: ClockWay,
    /// How nodes are observed.
    pub observe: Observe,
    /// The loads, at least one, each on objects of another kind.
    pub clients: Vec<Clients>,
    /// What goes wrong.
    pub faults: FaultPlan,
    /// What must hold.
    pub checks: Vec<Check>,
    /// What is hoped for: a miss is exit code 3, never a violation.
    pub expect: Vec<Expectation>,
    /// Which of the checks this workload shows violated. Empty for all but demonstrations.
    pub expect_violations: Vec<Check>,
    /// How long a cluster may take until a majority names a leader for the first time.
    pub start_within: Duration,
    /// How long the load goes on after the last fault has ended.
    pub settle: Duration,
    /// When the run is ended whatever the fault plan does.
    pub limit: Duration,
}

/// The system under test.
#[derive(Clone, Debug, PartialEq)]
pub enum System {
    /// The reference node, `chaos node`.
    Raft(RaftOptions),
    /// Any other, described by data.
    Defined(Box<DefinedSystem>),
}

impl System {
    /// The system's name as plans and reports write it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Raft(_) => "raft",
            Self::Defined(defined) => &defined.definition.name,
        }
    }

    /// How many nodes stand beside those under test; they are numbered after them.
    #[must_use]
    pub fn service_nodes(&self) -> usize {
        match self {
            Self::Raft(_) => 0,
            Self::Defined(defined) => defined.service_nodes(),
        }
    }

    /// What faults may call the processes of a node, service nodes included.
    #[must_use]
    pub fn process_names(&self) -> Vec<String> {
        match self {
            Self::Raft(_) => vec!["node".to_owned()],
            Self::Defined(defined) => {
                let definition = &defined.definition;
                let service = definition.service.iter().flat_map(|service| &service.part.processes);
                let mut names: Vec<String> =
                    definition.nodes.processes.iter().chain(service).map(|process| process.name.clone()).collect();
                names.dedup();
                names
            }
        }
    }

    /// What a running cluster of it can be told.
    #[must_use]
    pub fn changes(&self) -> Changes {
        let (transfer, membership) = match self {
            Self::Raft(_) => (Some(ToWhom::Optional), true),
            Self::Defined(defined) => {
                let operations = &defined.definition.operations;
                (operations.transfer.as_ref().map(|transfer| transfer.to), operations.membership.is_some())
            }
        };
        Changes { system: self.name().to_owned(), transfer, membership }
    }

    /// What its nodes' answers are.
    #[must_use]
    pub fn testimony(&self) -> Testimony {
        match self {
            Self::Raft(_) => Testimony::default(),
            Self::Defined(defined) => defined.testimony(),
        }
    }
}

/// The operations of its own that a system offers to fault plans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The system.
    pub system: String,
    /// Whether its leader can be asked to hand over, and be told to whom.
    pub transfer: Option<ToWhom>,
    /// Whether members can be removed and added.
    pub membership: bool,
}

impl Changes {
    /// Whether faults of this kind can be made, as far as the system goes.
    #[must_use]
    pub fn offers(&self, kind: FaultKind) -> bool {
        (kind != FaultKind::Transfer || self.transfer.is_some()) && (kind != FaultKind::RemoveMember || self.membership)
    }
}

/// What a plan may tune of the reference node.
#[derive(Clone, Debug, PartialEq)]
pub struct RaftOptions {
    /// The node program to start instead of this binary's own `node` command. It gets the same arguments.
    pub program: Option<PathBuf>,
    /// The range from which each election timeout is drawn, `150ms..300ms` by default.
    pub election_timeout: DurationRange,
    /// How often a leader shows that it is there, 40 ms by default.
    pub heartbeat: Duration,
    /// Ask before campaigning (Raft thesis §9.6).
    pub pre_vote: bool,
    /// A leader that hears no majority steps down.
    pub check_quorum: bool,
    /// Refuse votes while a leader is heard.
    pub stickiness: bool,
    /// Serve `lease` reads from the leader's lease.
    pub lease_reads: bool,
    /// How clients read.
    pub read: ReadConsistency,
    /// How long a node waits for its own command to commit before it answers that it doesn't know.
    pub request_timeout: Duration,
    /// The broken variant to run; `None` is the sound node.
    pub specimen: Option<String>,
    /// Further arguments, handed to every node as they are.
    pub arguments: Vec<String>,
    /// Each process records what its core was told; of all nodes or none.
    pub record: bool,
    /// The nodes that run otherwise, each with all of its own options; how clients read is not one of them, and these have no nodes.
    pub nodes: BTreeMap<NodeId, RaftOptions>,
}

impl RaftOptions {
    /// What this node runs with.
    #[must_use]
    pub fn of_node(&self, node: NodeId) -> &Self {
        self.nodes.get(&node).unwrap_or(self)
    }
}

/// How a read is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadConsistency {
    /// Confirmed by a majority.
    Linearizable,
    /// From the leader's lease.
    Lease,
    /// Whatever the node holds: stale by design.
    Local,
}

/// What the nodes talk over, and so what faults between them act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Network namespaces around a switch, which has every packet.
    Namespaces {
        /// How partitions are made.
        filter: Filter,
    },
    /// A TCP proxy per directed link on the host's loopback, which has the bytes of connections. Needs no namespaces.
    Proxy,
}

impl Default for Network {
    fn default() -> Self {
        Self::Namespaces { filter: Filter::Nftables }
    }
}

/// How the switch filters packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// One nf_tables set, changed by one netlink transaction.
    Nftables,
    /// `iptables-restore` in the switch's namespace.
    Iptables,
}

/// How the clocks of nodes are moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClockWay {
    /// By another vDSO in every program.
    #[default]
    Vdso,
    /// By libfaketime, preloaded: dynamic programs that ask the C library, and no monotonic clocks.
    Libfaketime {
        /// The library; `None`: where distributions put it.
        library: Option<PathBuf>,
    },
}

/// How every node is asked who leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observe {
    /// The poll interval per node, 5 ms by default.
    pub every: Duration,
    /// When a question counts as unanswered.
    pub timeout: Duration,
}

/// One load: its clients, and what they do over a few keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Clients {
    /// What is asked.
    pub work: Work,
    /// How many keys, 1 to 1,000.
    pub keys: usize,
    /// Operations a second, all clients together, open loop; 0 of [`Work::Lock`] and [`Work::Election`], whose clients go on
    /// whenever they are through with what they did.
    pub rate_per_second: f64,
    /// How many clients follow the leader. (Besides them each node has one that stays with it.) Those that lock or campaign.
    pub roaming: usize,
    /// Whether each node has a client that stays with it.
    pub pinned: bool,
    /// When a client gives up waiting: the operation is then `info`.
    pub timeout: Duration,
}

/// What the clients of a load ask, and of which kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Reads, writes and compare-and-sets of registers.
    Register(Mix),
    /// Additions to sets, each of an element that was never added before.
    Set {
        /// The share of operations that read all elements instead, in parts per million.
        reads_millionths: u32,
    },
    /// Each client, in a session of its own: takes a lock, uses the resource that it protects, gives it back.
    Lock(LockWork),
    /// Each client, in a session of its own: campaigns for a leadership, holds it, resigns.
    Election {
        /// For how long it leads.
        hold: DurationRange,
    },
}

/// What clients do with a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockWork {
    /// For how long a client keeps it.
    pub hold: DurationRange,
    /// How often it uses the resource meanwhile.
    pub accesses: u32,
    /// Whether it shows the resource its fencing token.
    pub fencing: bool,
}

/// Weights of the kinds of operation; at least one is positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// Reads.
    pub read: u32,
    /// Writes.
    pub write: u32,
    /// Compare-and-sets.
    pub cas: u32,
}

/// A fault plan.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultPlan {
    /// Its name.
    pub name: String,
    /// One or two sentences for people.
    pub about: String,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// One step of a fault plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Numbered in reading order from 0, nested steps included; names the step's own random stream.
    pub number: usize,
    /// Where it is written.
    pub place: SourcePlace,
    /// What it does.
    pub action: StepAction,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum StepAction {
    /// Injects a fault.
    Fault {
        /// The fault.
        fault: Fault,
        /// When it ends.
        hold: Hold,
        /// When within a heartbeat it begins.
        phase: Phase,
        /// What later steps call the nodes that it hits.
        name: Option<String>,
    },
    /// Waits until something is seen, and then does the steps; remarked, and the steps left out, if it isn't in time.
    On {
        /// What is waited for.
        condition: Condition,
        /// How long after it the steps begin.
        after: DurationRange,
        /// For how long it is waited for.
        within: Duration,
        /// What is done then; may be nothing.
        steps: Vec<Step>,
    },
    /// Does all branches at the same time; is over when all are.
    Together {
        /// When within a heartbeat they begin.
        phase: Phase,
        /// Steps one after another; a branch that begins with a fault has no phase of its own for it.
        branches: Vec<Vec<Step>>,
    },
    /// Starts killed nodes again: those of `target`, or all that are down.
    Restart {
        /// Which; `None`: all that are down.
        target: Option<Target>,
    },
    /// Resumes paused nodes: those of `target`, or all.
    Resume {
        /// Which; `None`: all that are paused.
        target: Option<Target>,
    },
    /// Takes back every partition under way.
    Heal,
    /// Goes on when something is seen, or fails the run's liveness when it isn't in time.
    Await {
        /// What is awaited.
        what: Awaited,
        /// For how long at most.
        within: Duration,
    },
    /// Waits.
    Wait(DurationRange),
    /// Does the steps so many times.
    Repeat {
        /// How many times, at least 1; at most, if something ends it before.
        times: u32,
        /// What does.
        until: Option<Stop>,
        /// What.
        steps: Vec<Step>,
    },
    /// Does one of the choices after another, drawn by weight, until the time is over.
    Random {
        /// For how long new choices are made.
        lasting: Duration,
        /// The pause before each choice.
        every: DurationRange,
        /// With which probability each choice takes part in a run at all (at least one does), in parts per million; `None`: all do.
        swarm_millionths: Option<u32>,
        /// What may be chosen; weights are positive.
        choices: Vec<Choice>,
    },
}

/// One of the things that a random step may do.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// How often, relative to the others.
    pub weight: u32,
    /// What.
    pub steps: Vec<Step>,
}

/// When a fault ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// After a time, drawn from the range; the plan waits for it.
    For(DurationRange),
    /// When another leader has been seen, and a time later; the plan waits for it.
    Until(Until),
    /// By a later restart, resume or heal, or at the plan's end; the plan goes on at once.
    Open,
}

/// What a fault waits for before it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Until {
    /// How much longer it lasts once a node claims to lead that is not the one which led when the fault was aimed.
    pub plus: Duration,
    /// When it ends although nobody else has been seen to lead.
    pub within: Duration,
}

/// Whom a fault aims at; resolved when the fault is injected, never earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The leader that a majority names.
    Leader,
    /// The leader before that one.
    OldLeader,
    /// The node whose vote for another one was seen first in the newest term in which one was seen.
    Voter,
    /// One node, drawn, that isn't the leader.
    Follower,
    /// All nodes but the leader.
    Followers,
    /// One node, drawn.
    Random,
    /// A bare majority, drawn.
    Majority,
    /// A largest minority, drawn.
    Minority,
    /// A largest minority that includes the leader, the rest drawn.
    MinorityWithLeader,
    /// All nodes.
    All,
    /// All service nodes: those that the nodes under test depend on. No other word means them.
    Service,
    /// These nodes; service nodes may be among them.
    Nodes(Vec<NodeId>),
    /// All nodes but these.
    AllBut(Box<Target>),
    /// The nodes that the step of this name hit when it was done last.
    Named(String),
}

impl fmt::Display for Target {
    /// The plan's word; nodes are separated by commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leader => "leader",
            Self::OldLeader => "old-leader",
            Self::Voter => "voter",
            Self::Follower => "follower",
            Self::Followers => "followers",
            Self::Random => "random",
            Self::Majority => "majority",
            Self::Minority => "minority",
            Self::MinorityWithLeader => "minority-with-leader",
            Self::All => "all",
            Self::Service => "service",
            Self::AllBut(target) => return write!(f, "all but {target}"),
            Self::Named(name) => return write!(f, "${name}"),
            Self::Nodes(nodes) => {
                let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
                return f.write_str(&nodes.join(", "));
            }
        })
    }
}

/// What a plan can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// A majority names one leader that is up and reachable.
    Leader,
    /// The same, and by all nodes that are up and not cut off, without a change for this long.
    Stable(Duration),
}

/// A span of time to draw from; `min == max` where nothing is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurationRange {
    /// The shortest.
    pub min: Duration,
    /// The longest, not below `min`.
    pub max: Duration,
}

/// A property that must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// At most one leader per term.
    ElectionSafety,
    /// A node's term never goes back, restarts included.
    TermMonotonic,
    /// Every key behaves as one register.
    Linearizable,
    /// Acknowledged writes are there at the end.
    NoAcknowledgedWriteLost,
    /// No two clients certainly hold one lock at one moment.
    MutualExclusion,
    /// Fencing tokens rise from holder to holder.
    Fencing,
    /// What a lock protects is used by one holder after the other.
    ExclusiveAccess,
    /// In the end all nodes hold the same state.
    ReplicasAgree,
    /// Whenever a majority clique is up, connected and unpaused, it has a leader within the bound.
    BoundedReelection {
        /// The bound.
        within: Duration,
    },
    /// Once everything has been healed for the bound, clients' changes are acknowledged again.
    Recovers {
        /// The bound.
        within: Duration,
    },
    /// After a heal, at most one node claims to lead once the bound has passed.
    NoStaleLeaderAfterHeal {
        /// The bound.
        within: Duration,
    },
    /// At no instant do two nodes both lead, whatever their terms.
    OneLeaderAtATime {
        /// For how long two may lead nevertheless; zero unless the plan says otherwise.
        overlap: Duration,
    },
}

impl Check {
    /// The check as plans write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ElectionSafety => "election-safety",
            Self::TermMonotonic => "term-monotonic",
            Self::Linearizable => "linearizable",
            Self::NoAcknowledgedWriteLost => "no-lost-writes",
            Self::MutualExclusion => "mutual-exclusion",
            Self::Fencing => "fencing",
            Self::ExclusiveAccess => "exclusive-access",
            Self::ReplicasAgree => "replicas-agree",
            Self::BoundedReelection { .. } => "reelection",
            Self::NoStaleLeaderAfterHeal { .. } => "no-stale-leader",
            Self::Recovers { .. } => "recovers",
            Self::OneLeaderAtATime { .. } => "one-leader",
        }
    }
}
