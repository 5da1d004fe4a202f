//! What the simulated nodes run: anything behind [`Protocol`], and how its transport behaves.
//!
//! The simulator is written once against [`Program`]. That of a workload is [`RaftProgram`], which is the reference node as the workload
//! configures it, specimens included; whoever explores another protocol writes another one.

use std::time::Duration;

use chaos_history::NodeId;
use chaos_plan::RaftOptions;
use election::raft::{Config, Recovered, Sound};
use election::specimens::{self, Specimen};
use election::{Nanos, Protocol};

/// How a node comes to life.
#[derive(Clone, Debug)]
pub struct Start {
    /// Who it is, in its present life.
    pub id: election::NodeId,
    /// The nodes of the cluster as it was born.
    pub members: Vec<election::NodeId>,
    /// From which it draws everything.
    pub seed: u64,
    /// What its disk holds.
    pub recovered: Recovered,
    /// What its clock shows.
    pub now: Nanos,
}

/// How patient a node's connections to others are, as the reference node derives it from its timeouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// How long a dial may take.
    pub connect_timeout: Duration,
    /// The pause between two dials, plus up to as much again.
    pub redial_delay: Duration,
    /// How long sent data may stay unacknowledged before the connection is given up.
    pub user_timeout: Duration,
    /// A message that waited longer than this for a connection is not sent.
    pub message_age_max: Duration,
}

impl Transport {
    /// What suits a protocol with this heartbeat and this longest election timeout.
    #[must_use]
    pub fn suited_to(heartbeat: Duration, election_timeout_max: Duration) -> Self {
        Self {
            connect_timeout: heartbeat.max(Duration::from_millis(50)),
            redial_delay: (heartbeat / 2).clamp(Duration::from_millis(5), Duration::from_millis(500)),
            user_timeout: election_timeout_max * 2,
            message_age_max: election_timeout_max,
        }
    }
}

/// A kind of node.
pub trait Program {
    /// The protocol.
    type Node: Protocol;

    /// Starts a node, for the first time or again.
    fn start(&self, start: Start) -> Self::Node;

    /// How its connections behave.
    fn transport(&self, node: NodeId) -> Transport;

    /// How fast its clock goes, in parts per million of true time.
    fn clock_rate_millionths(&self, _node: NodeId) -> u32 {
        1_000_000
    }

    /// How long it lets a client wait before it says that it doesn't know.
    fn request_timeout(&self, _node: NodeId) -> Duration {
        Duration::from_secs(1)
    }
}

/// The reference node as a workload configures it.
#[derive(Clone, Debug)]
pub struct RaftProgram {
    /// By the node's index.
    nodes: Vec<Configured>,
}

#[derive(Clone, Debug)]
struct Configured {
    config: Config,
    specimen: Option<&'static Specimen>,
    request_timeout: Duration,
    clock_rate_millionths: u32,
}

/// Why a node of a workload can't be simulated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// It runs a program of its own.
    #[error("{node} runs the program `{program}`, which the simulator doesn't have")]
    Foreign {
        /// The node.
        node: NodeId,
        /// The program.
        program: String,
    },
    /// It gets an argument whose meaning the simulator doesn't know.
    #[error(
        "{node} is given the argument `{argument}`; the simulator knows --clock-rate, --batch-entries, --snapshot-threshold and --trailing-entries"
    )]
    Argument {
        /// The node.
        node: NodeId,
        /// The argument.
        argument: String,
    },
    /// Nobody knows the specimen.
    #[error("{node}: {error}")]
    Specimen {
        /// The node.
        node: NodeId,
        /// What is wrong.
        error: String,
    },
    /// The options contradict each other.
    #[error("{node}: {error}")]
    Config {
        /// The node.
        node: NodeId,
        /// What is wrong.
        error: String,
    },
}

impl RaftProgram {
    /// The nodes of a cluster of this size.
    ///
    /// # Errors
    /// [`ProgramError`] for the first node that can't be simulated.
    pub fn new(options: &RaftOptions, nodes: usize) -> Result<Self, ProgramError> {
        let nodes = NodeId::all(nodes).map(|node| configured(node, options.of_node(node), nodes));
        Ok(Self { nodes: nodes.collect::<Result<_, _>>()? })
    }
}

fn configured(node: NodeId, options: &RaftOptions, nodes: usize) -> Result<Configured, ProgramError> {
    if let Some(program) = &options.program {
        return Err(ProgramError::Foreign { node, program: program.display().to_string() });
    }
    let mut config = Config {
        election_timeout_min: options.election_timeout.min,
        election_timeout_max: options.election_timeout.max,
        heartbeat: options.heartbeat,
        pre_vote: options.pre_vote,
        check_quorum: options.check_quorum,
        stickiness: options.stickiness,
        lease_reads: options.lease_reads,
        ..Config::new(members(nodes))
    };
    let mut clock_rate_millionths = 1_000_000;
    let mut arguments = options.arguments.iter();
    while let Some(argument) = arguments.next() {
        let unknown = || ProgramError::Argument { node, argument: argument.clone() };
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, value),
            None => (argument.as_str(), arguments.next().ok_or_else(unknown)?.as_str()),
        };
        match name {
            "--snapshot-threshold" => config.snapshot_threshold = value.parse().map_err(|_| unknown())?,
            "--trailing-entries" => config.trailing_entries = value.parse().map_err(|_| unknown())?,
            "--batch-entries" => config.max_batch_entries = value.parse().map_err(|_| unknown())?,
            "--clock-rate" => clock_rate_millionths = millionths(value).ok_or_else(unknown)?,
            _ => return Err(unknown()),
        }
    }
    config.validate().map_err(|error| ProgramError::Config { node, error: error.to_string() })?;
    let specimen = options.specimen.as_deref().map(Specimen::named).transpose();
    let specimen = specimen.map_err(|error| ProgramError::Specimen { node, error: error.to_string() })?;
    Ok(Configured { config, specimen, request_timeout: options.request_timeout, clock_rate_millionths })
}

/// A decimal factor, `1.25`, in parts per million; six digits behind the point count.
fn millionths(text: &str) -> Option<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part: String = part.chars().chain("000000".chars()).take(6).collect();
    let whole: u32 = whole.parse().ok()?;
    let sum = whole.checked_mul(1_000_000)?.checked_add(part.parse().ok()?)?;
    (1_000..=1_000_000_000).contains(&sum).then_some(sum)
}

/// The first members of a cluster of this size.
pub(crate) fn members(nodes: usize) -> Vec<election::NodeId> {
    NodeId::all(nodes).map(|node| election::NodeId(node.number().into())).collect()
}

impl Program for RaftProgram {
    type Node = specimens::Node;

    fn start(&self, start: Start) -> specimens::Node {
        let index = usize::try_from(start.id.number()).expect("nodes have small numbers") - 1;
        let Configured { config, specimen, .. } = &self.nodes[index];
        let Start { id, seed, recovered, now, members: _ } = start;
        let start = specimens::Start { id, config: config.clone(), seed, recovered, now };
        match specimen {
            None => start.with(Sound),
            Some(specimen) => (specimen.start)(start),
        }
    }

    fn transport(&self, node: NodeId) -> Transport {
        let config = &self.nodes[node.index()].config;
        Transport::suited_to(config.heartbeat, config.election_timeout_max)
    }

    fn clock_rate_millionths(&self, node: NodeId) -> u32 {
        self.nodes[node.index()].clock_rate_millionths
    }

    fn request_timeout(&self, node: NodeId) -> Duration {
        self.nodes[node.index()].request_timeout
    }
}
