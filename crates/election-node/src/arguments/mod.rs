//! The command line of a node: what can be said, and what is wrong with it, before anything is touched.
//!
//! Parsing gives [`NodeArguments`] (also the arguments of `chaos node`); `settle` checks how the parts fit together and
//! gives `Settings`, which the rest of the crate trusts. Nothing is ignored or repaired: a contradiction is an error that
//! says what to write instead.

mod cluster;
mod durations;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};
use election::raft::{Config, ConfigError};
use election::specimens::{self, Specimen};
use election::{Algorithm, NodeId, UnknownAlgorithm};

pub(crate) use self::cluster::AddressBook;
use self::cluster::{parse_node_id, parse_peer};
use self::durations::{parse_duration, parse_range};
use crate::choice::Choice;
use crate::clock::ClockRate;
use crate::error::NodeError;
use crate::work::Work;

pub use self::cluster::Peer;
pub use self::durations::DurationRange;

const EXAMPLE: &str = "\
Three nodes on one machine, in three shells:
  NODES=n1=127.0.0.1:7011/7012,n2=127.0.0.1:7021/7022,n3=127.0.0.1:7031/7032
  … --id n1 --data /tmp/n1 --node $NODES        and the same for n2 and n3
  curl 127.0.0.1:7012/status
  curl -X PUT 127.0.0.1:7012/kv/colour -d '{\"value\":\"green\"}'

Exit codes: 0 asked to stop, 2 wrong arguments, 3 the data directory is another node's, in use or
damaged, 4 reading or writing failed, 5 a port could not be bound.";

const WHERE: &str = "Who and where";
const PROTOCOL: &str = "The protocol";
const WORK: &str = "Work and measurement";
const MEMORY: &str = "Memory and clock";

/// How to reach the node, where it keeps its memory, and which protocol options are on.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLE)]
pub struct NodeArguments {
    /// Which node this is: n1, n2, …
    #[arg(help_heading = WHERE, long, value_name = "ID", value_parser = parse_node_id)]
    id: NodeId,

    /// A node and where it is: ID=HOST[:PEER_PORT[/HTTP_PORT]]. Repeat it, or separate several by commas; list the node
    /// itself too. Its own entry says where it listens, the others where it dials
    #[arg(
        help_heading = WHERE,
        long = "node",
        visible_alias = "cluster",
        value_name = "ID=HOST[:PEER[/HTTP]]",
        value_delimiter = ',',
        required = true,
        value_parser = parse_peer
    )]
    nodes: Vec<Peer>,

    /// The first members, if not all listed nodes: a node that is to join later is listed, but is no member. Give every
    /// node the same members; once a log exists, the log decides
    #[arg(help_heading = WHERE, long, value_name = "IDS", value_delimiter = ',', value_parser = parse_node_id)]
    members: Vec<NodeId>,

    /// Start as a node that is to join: with an empty log, and no part in elections before a leader has made it a member
    /// (POST /members). For a new node, and for one that was removed and has lost its disk; without effect on a data
    /// directory that has a past
    #[arg(help_heading = WHERE, long)]
    join: bool,

    /// Nodes of another cluster name refuse each other's connections and data directories
    #[arg(help_heading = WHERE, long, value_name = "NAME", default_value = "election")]
    cluster_name: String,

    /// The node-to-node port of entries that name none
    #[arg(help_heading = WHERE, long, value_name = "PORT", default_value_t = 7001, value_parser = clap::value_parser!(u16).range(1..))]
    peer_port: u16,

    /// The HTTP port of entries that name none
    #[arg(help_heading = WHERE, long, value_name = "PORT", default_value_t = 7002, value_parser = clap::value_parser!(u16).range(1..))]
    http_port: u16,

    /// The address to listen on and to dial from [default: the host of the node's own entry if it is an IP address,
    /// else all]
    #[arg(help_heading = WHERE, long, value_name = "IP")]
    bind: Option<IpAddr>,

    /// The directory of term, vote, log and snapshot. Created if absent; refused if it is another node's, in use, or damaged
    #[arg(help_heading = MEMORY, long, value_name = "DIR")]
    data: PathBuf,

    /// The election algorithm; nodes of different ones refuse each other. An unknown name lists the known ones
    #[arg(help_heading = PROTOCOL, long, value_name = "NAME", default_value_t = Algorithm::Raft, value_parser = parse_algorithm)]
    algorithm: Algorithm,

    /// Of --algorithm lease: the listed node that is the lock service, and no candidate
    #[arg(help_heading = PROTOCOL, long, value_name = "ID", value_parser = parse_node_id)]
    service: Option<NodeId>,

    /// How long a follower waits for a leader before it campaigns, drawn anew from this range each time. Leases last for the longest
    #[arg(help_heading = PROTOCOL, long, value_name = "MIN..MAX", default_value = "150ms..300ms", value_parser = parse_range)]
    election_timeout: DurationRange,

    /// How often a leader makes itself heard; below the shortest election timeout
    #[arg(help_heading = PROTOCOL, long, value_name = "TIME", default_value = "40ms", value_parser = parse_duration)]
    heartbeat: Duration,

    /// Ask whether an election could be won before raising the term, so that a node that was cut off disturbs nobody
    #[arg(help_heading = PROTOCOL, long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pre_vote: bool,

    /// A leader that hears no majority for the longest election timeout steps down
    #[arg(help_heading = PROTOCOL, long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    check_quorum: bool,

    /// A follower that heard a leader within the shortest election timeout votes for nobody else
    #[arg(help_heading = PROTOCOL, long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    stickiness: bool,

    /// Answer ?read=lease from the leader's lease, without asking the others; needs --stickiness true and clocks that run
    /// at about the same rate
    #[arg(help_heading = PROTOCOL, long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    lease_reads: bool,

    /// How fast this node's clock runs: 1.25 makes it believe that 1.25 s pass in a second (0.001 to 1000)
    #[arg(help_heading = MEMORY, long, value_name = "FACTOR", default_value_t = 1.0)]
    clock_rate: f64,

    /// Take a snapshot after so many applied entries
    #[arg(help_heading = MEMORY, long, value_name = "ENTRIES", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    snapshot_threshold: u64,

    /// Keep so many entries before a snapshot in memory, for followers that lag a little; one that lags more gets the snapshot
    #[arg(help_heading = MEMORY, long, value_name = "ENTRIES", default_value_t = 1_000)]
    trailing_entries: u64,

    /// Send so many entries in one message at most; at 1 the entries of former terms travel apart from the one that opens a term (Raft, figure 8)
    #[arg(help_heading = PROTOCOL, long, value_name = "ENTRIES", default_value = "256")]
    batch_entries: NonZeroUsize,

    /// Answer `timeout` to a client after this time; a write may still happen later
    #[arg(help_heading = PROTOCOL, long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    request_timeout: Duration,

    /// Seed of the random election timeouts, mixed with the id and the number of this start [default: random, logged]
    #[arg(help_heading = PROTOCOL, long, value_name = "NUMBER")]
    seed: Option<u64>,

    /// Wait for the disk before answering. Without it a power cut loses acknowledged writes and votes; a kill does not
    #[arg(help_heading = MEMORY, long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    fsync: bool,

    /// Run a node that breaks one rule of Raft, to see a checker convict it; an unknown name lists the known ones
    #[arg(help_heading = PROTOCOL, long, value_name = "NAME")]
    specimen: Option<String>,

    /// Work on a resource while this node leads: HOST:PORT of a server that answers POST /access/LOCK?hold=TEXT&token=NUMBER
    #[arg(help_heading = WORK, long, value_name = "HOST:PORT")]
    resource: Option<String>,

    /// Show the resource the term as a fencing token
    #[arg(help_heading = WORK, long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    fencing: bool,

    /// Append to this file, whenever the leader changes, how many messages of each kind were sent
    #[arg(help_heading = WORK, long, value_name = "FILE")]
    counts: Option<PathBuf>,

    /// Append to this file every input of the protocol, and a check of what it led to, for `chaos replay --core FILE`
    #[arg(help_heading = WORK, long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// What to log on stderr: error, warn, info, debug, trace, or a filter such as election_node::transport=debug
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
}

/// Arguments that fit together.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) id: NodeId,
    pub(crate) choice: Choice,
    pub(crate) cluster_name: String,
    /// Every listed node, this one included.
    pub(crate) book: AddressBook,
    pub(crate) bind: IpAddr,
    pub(crate) data: PathBuf,
    pub(crate) config: Config,
    pub(crate) clock_rate: ClockRate,
    pub(crate) request_timeout: Duration,
    /// What is done while this node leads.
    pub(crate) work: Option<Work>,
    /// Where messages are counted.
    pub(crate) counts: Option<PathBuf>,
    /// Where the protocol's inputs are recorded.
    pub(crate) record: Option<PathBuf>,
    pub(crate) seed: Option<u64>,
    pub(crate) fsync: bool,
    /// Begin another life if the data directory has no past.
    pub(crate) join: bool,
}

impl NodeArguments {
    /// The filter of the log.
    pub(crate) fn log_filter(&self) -> &str {
        &self.log
    }

    /// Checks how the arguments fit together.
    ///
    /// # Errors
    /// `Argument`, saying what to write instead.
    pub(crate) fn settle(self) -> Result<Settings, NodeError> {
        let book = self.address_book()?;
        let config = self.config(&book)?;
        let choice = self.choice(&book)?;
        let own = &book[&self.id];
        let bind = self.bind.or_else(|| own.host.parse().ok()).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let clock_rate = ClockRate::new(self.clock_rate)
            .ok_or_else(|| wrong(format!("--clock-rate {}: it must be from 0.001 to 1000", self.clock_rate)))?;
        if self.request_timeout.is_zero() {
            return Err(wrong("--request-timeout must be above zero"));
        }
        if self.cluster_name.is_empty() || self.cluster_name.len() > 64 || self.cluster_name.contains(char::is_control)
        {
            return Err(wrong("--cluster-name must be 1 to 64 bytes without control characters"));
        }
        Ok(Settings {
            id: self.id,
            choice,
            cluster_name: self.cluster_name,
            book,
            bind,
            data: self.data,
            config,
            clock_rate,
            request_timeout: self.request_timeout,
            work: self.resource.map(|resource| Work { resource, fencing: self.fencing }),
            counts: self.counts,
            record: self.record,
            seed: self.seed,
            fsync: self.fsync,
            join: self.join,
        })
    }

    fn address_book(&self) -> Result<AddressBook, NodeError> {
        let mut book = AddressBook::new();
        for peer in &self.nodes {
            let (id, address) = peer.with_ports(self.peer_port, self.http_port);
            if book.insert(id, address).is_some() {
                return Err(wrong(format!("--node lists {id} twice")));
            }
        }
        match book.get(&self.id) {
            None => Err(wrong(format!("--node does not list {} itself: add {}=HOST", self.id, self.id))),
            Some(own) if own.peer_port == own.http_port => {
                Err(wrong(format!("{} has port {} for both peers and HTTP: give it two", self.id, own.peer_port)))
            }
            Some(_) => Ok(book),
        }
    }

    /// The algorithm, with what only some of them know.
    fn choice(&self, book: &AddressBook) -> Result<Choice, NodeError> {
        let algorithm = self.algorithm;
        if algorithm != Algorithm::Raft && (self.specimen.is_some() || self.join) {
            return Err(wrong(format!("--specimen and --join are of --algorithm raft, and this is {algorithm}")));
        }
        if let Some(service) = self.service.filter(|_| algorithm != Algorithm::Lease) {
            return Err(wrong(format!("--service {service}: only --algorithm lease has a lock service")));
        }
        if let Some(service) = self.service.filter(|service| !book.contains_key(service)) {
            return Err(wrong(format!("--service names {service}, which --node does not list")));
        }
        let specimen = self.specimen.as_deref().map(parse_specimen).transpose()?;
        Choice::of(algorithm, specimen, self.service)
            .ok_or_else(|| wrong("--algorithm lease needs a lock service: add --service ID of a listed node"))
    }

    fn config(&self, book: &AddressBook) -> Result<Config, NodeError> {
        let stranger = self.members.iter().find(|member| !book.contains_key(member));
        if let Some(member) = stranger {
            return Err(wrong(format!("--members names {member}, which --node does not list")));
        }
        let listed: BTreeSet<NodeId> = book.keys().copied().collect();
        let mut members = if self.members.is_empty() { listed } else { self.members.iter().copied().collect() };
        members.retain(|member| Some(*member) != self.service);
        let config = Config {
            election_timeout_min: self.election_timeout.min,
            election_timeout_max: self.election_timeout.max,
            heartbeat: self.heartbeat,
            pre_vote: self.pre_vote,
            check_quorum: self.check_quorum,
            stickiness: self.stickiness,
            lease_reads: self.lease_reads,
            snapshot_threshold: self.snapshot_threshold,
            trailing_entries: self.trailing_entries,
            max_batch_entries: self.batch_entries.get(),
            ..Config::new(members)
        };
        config.validate().map_err(|error| explain(&error))?;
        Ok(config)
    }
}

fn wrong(message: impl Into<String>) -> NodeError {
    NodeError::Argument(message.into())
}

fn explain(error: &ConfigError) -> NodeError {
    let remedy = match error {
        ConfigError::Heartbeat { .. } => "change --heartbeat or --election-timeout",
        ConfigError::Timeouts { .. } => "write --election-timeout MIN..MAX",
        ConfigError::LeaseWithoutPromise => "add --lease-reads false",
        ConfigError::LeaseRatio(_) | ConfigError::ZeroLimit => "raise it",
    };
    wrong(format!("{error}; {remedy}"))
}

fn parse_algorithm(name: &str) -> Result<Algorithm, UnknownAlgorithm> {
    name.parse()
}

fn parse_specimen(name: &str) -> Result<&'static Specimen, NodeError> {
    Specimen::named(name).map_err(|_| {
        let known: Vec<String> =
            specimens::ALL.iter().map(|specimen| format!("  {specimen:<26} {}", specimen.about)).collect();
        wrong(format!("--specimen `{name}` is unknown; known are\n{}", known.join("\n")))
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        arguments: NodeArguments,
    }

    fn parse(line: &str) -> Result<Settings, String> {
        let words = std::iter::once("node").chain(line.split_whitespace());
        let program = Program::try_parse_from(words).map_err(|error| error.to_string())?;
        program.arguments.settle().map_err(|error| error.to_string())
    }

    const BASE: &str = "--id n1 --data d --node n1=127.0.0.1:7011/7012 --cluster n2=127.0.0.1:7021/7022,n3=host";

    #[test]
    fn the_defaults_are_the_papers_timeouts_with_every_option_on() {
        let settings = parse(BASE).unwrap();
        assert_eq!(settings.config, Config::new([1, 2, 3].map(NodeId)));
        assert_eq!(settings.bind, IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert_eq!(settings.book[&NodeId(2)].peer(), "127.0.0.1:7021");
        assert_eq!(settings.book[&NodeId(3)].http(), "host:7002");
        assert!(!settings.join && parse(&format!("{BASE} --join")).unwrap().join);
        assert!(
            settings.fsync && settings.choice == Choice::Raft(None) && Some(settings.clock_rate) == ClockRate::new(1.0)
        );
    }

    #[test]
    fn a_node_that_joins_later_is_listed_but_no_member() {
        let settings = parse(&format!("{BASE} --members n2,n3")).unwrap();
        assert_eq!(settings.config.members, [2, 3].map(NodeId).into());
    }

    #[test]
    fn what_does_not_fit_together_is_refused_with_a_remedy() {
        let cases = [
            ("--id n4", "does not list n4 itself: add n4=HOST"),
            ("--node n2=127.0.0.9", "lists n2 twice"),
            ("--members n1,n7", "names n7, which --node does not list"),
            ("--heartbeat 200ms", "change --heartbeat or --election-timeout"),
            ("--heartbeat 0ms", "change --heartbeat"),
            ("--heartbeat 40", "`40` has no unit"),
            ("--election-timeout 300ms..150ms", "write --election-timeout MIN..MAX"),
            ("--stickiness false", "add --lease-reads false"),
            ("--pre-vote maybe", "possible values: true, false"),
            ("--clock-rate 0", "from 0.001 to 1000"),
            ("--clock-rate NaN", "from 0.001 to 1000"),
            ("--snapshot-threshold 0", "0 is not in 1.."),
            ("--batch-entries 0", "non-zero"),
            ("--request-timeout 0s", "above zero"),
            ("--specimen nonsense", "double-vote"),
            ("--peer-port 0", "0 is not in 1.."),
            ("--algorithm nonsense", "known are raft, bully, ring, lease, paxos-lease, zab"),
            ("--algorithm lease", "add --service ID"),
            ("--algorithm lease --service n9", "names n9, which --node does not list"),
            ("--service n3", "only --algorithm lease"),
            ("--algorithm zab --specimen double-vote", "are of --algorithm raft"),
            ("--algorithm ring --join", "are of --algorithm raft"),
            ("--unknown-flag", "unexpected argument"),
        ];
        for (extra, expected) in cases {
            let line =
                if extra.starts_with("--id") { BASE.replace("--id n1", extra) } else { format!("{BASE} {extra}") };
            let message = parse(&line).err().unwrap_or_else(|| panic!("{extra} was accepted"));
            assert!(message.contains(expected), "{extra}: {message}");
        }
        let same_port = parse("--id n1 --data d --node n1=h:7001/7001").unwrap_err();
        assert!(same_port.contains("give it two"), "{same_port}");
    }

    #[test]
    fn every_algorithm_is_accepted_and_a_lock_service_is_no_candidate() {
        for algorithm in Algorithm::ALL {
            let service = if algorithm == Algorithm::Lease { "--service n3" } else { "" };
            let settings = parse(&format!("{BASE} --algorithm {algorithm} {service}")).unwrap();
            assert_eq!(settings.choice.algorithm(), algorithm);
            assert_eq!(settings.config.members.len(), if algorithm == Algorithm::Lease { 2 } else { 3 });
        }
    }

    #[test]
    fn every_known_specimen_is_accepted() {
        for specimen in specimens::ALL.iter().copied() {
            assert_eq!(parse(&format!("{BASE} --specimen {specimen}")).unwrap().choice, Choice::Raft(Some(specimen)));
        }
    }
}
