//! A small replicated key-value server around openraft, the Raft library under Databend, for tests of the library's elections.
//!
//! The protocol is the library's alone; ours are its storage (`storage`), its network (`peers`) and the interface for clients (the crate
//! `kv-node`). Options leave the library's defaults as they are unless they are given; only snapshots are never taken. The status is
//! one value of the library's metrics channel, which its core task fills at the end of a pass: one consistent view. It doesn't tell
//! how far the log is committed, so `commit` is null.
//!
//! A write is refused definitely only if this node does not lead when it comes. The library's own `ForwardToLeader` is not definite:
//! it is also what a client is told whose entry was appended here and then cut off by a new leader's, and such an entry can live on in
//! another node's log and be committed by a later leader.

mod peers;
mod storage;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use kv_node::http::{Node, Refusal, Status};
use kv_node::log::Log;
use kv_node::map::{Answer, Command};
use kv_node::options::{Common, Peers, locked_version};
use kv_node::{http, wire};
use openraft::error::{CheckIsLeaderError, ClientWriteError, InitializeError, RaftError};
use openraft::{BasicNode, Config, Raft, ServerState, SnapshotPolicy};

use crate::peers::Network;
use crate::storage::{LogStore, Machine, Types};

/// The library's version, which is also this program's.
fn version() -> &'static str {
    locked_version(include_str!("../Cargo.lock"), "openraft").expect("the lock file names every package")
}

#[derive(Parser, Debug)]
#[command(name = "openraft", version = version(), about = "A replicated key-value server around openraft")]
struct Options {
    #[command(flatten)]
    common: Common,
    /// How often a leader shows that it is there, milliseconds
    #[arg(long, default_value_t = Config::default().heartbeat_interval)]
    heartbeat: u64,
    /// The shortest election timeout, milliseconds; it starts when the leader's lease, --election-max, has run out
    #[arg(long, default_value_t = Config::default().election_timeout_min)]
    election_min: u64,
    /// The longest election timeout, milliseconds, never reached itself
    #[arg(long, default_value_t = Config::default().election_timeout_max)]
    election_max: u64,
}

struct Handle {
    id: String,
    peers: Peers,
    raft: Raft<Types>,
}

impl Handle {
    fn not_leader(&self, leader: Option<u64>) -> Refusal {
        Refusal::NotLeader(leader.and_then(|leader| self.peers.name(leader)))
    }
}

impl Node for Handle {
    fn status(&self) -> Status {
        let metrics = self.raft.metrics().borrow().clone();
        let role = match metrics.state {
            ServerState::Learner => "learner",
            ServerState::Follower => "follower",
            ServerState::Candidate => "candidate",
            ServerState::Leader => "leader",
            ServerState::Shutdown => "shutdown",
        };
        Status {
            id: self.id.clone(),
            role,
            term: metrics.current_term,
            leader: metrics.current_leader.and_then(|leader| self.peers.name(leader)),
            // A committed vote is the library's word for the term's leader, whomever this node has voted for.
            voted_for: (!metrics.vote.is_committed())
                .then(|| metrics.vote.leader_id().voted_for().and_then(|voted| self.peers.name(voted)))
                .flatten(),
            commit: None,
            applied: metrics.last_applied.map(|last| last.index),
        }
    }

    async fn read_barrier(&self) -> Result<(), Refusal> {
        match self.raft.ensure_linearizable().await {
            Ok(_) => Ok(()),
            Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(to))) => Err(self.not_leader(to.leader_id)),
            // No quorum has confirmed that this node still leads.
            Err(RaftError::APIError(CheckIsLeaderError::QuorumNotEnough(_)) | RaftError::Fatal(_)) => {
                Err(Refusal::Superseded)
            }
        }
    }

    async fn propose(&self, command: Command) -> Result<Answer, Refusal> {
        let (state, leader) = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow();
            (metrics.state, metrics.current_leader)
        };
        if state != ServerState::Leader {
            return Err(self.not_leader(leader));
        }
        match self.raft.client_write(command).await {
            Ok(response) => response.data.ok_or(Refusal::Superseded),
            Err(RaftError::APIError(
                ClientWriteError::ForwardToLeader(_) | ClientWriteError::ChangeMembershipError(_),
            ))
            | Err(RaftError::Fatal(_)) => Err(Refusal::Superseded),
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let Common { id, peers, http, data_dir, request_timeout } = options.common;
    let number = peers.number(&id).ok_or_else(|| format!("--id {id} is not one of --peers"))?;
    let address = peers.address(number).expect("a numbered node has an address");
    let config = Config {
        cluster_name: "chaos".to_owned(),
        heartbeat_interval: options.heartbeat,
        election_timeout_min: options.election_min,
        election_timeout_max: options.election_max,
        snapshot_policy: SnapshotPolicy::Never,
        ..Config::default()
    };
    std::fs::create_dir_all(&data_dir).map_err(|error| format!("{}: {error}", data_dir.display()))?;
    let log = LogStore(Arc::new(Log::open(&data_dir)?));
    let machine = Machine::default();
    let map = Arc::clone(&machine.map);
    let network = Network::new(&peers, address, Duration::from_millis(options.election_min));
    let raft = Raft::new(number, Arc::new(config.validate()?), network, log, machine).await?;

    tokio::spawn(peers::accept(wire::listen(address)?, raft.clone()));
    // All nodes do it, with the same members, which the library says is safe; one that has been a member is told `NotAllowed`.
    let members: BTreeMap<u64, BasicNode> =
        peers.iter().map(|(number, address)| (number, BasicNode::new(address))).collect();
    match raft.initialize(members).await {
        Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
        Err(error) => return Err(error.into()),
    }
    let mut metrics = raft.metrics();
    let handle = Handle { id, peers, raft };
    tokio::select! {
        // A disk that refuses, or a panic of the library: the process ends, and with it every promise that it could break.
        ended = metrics.wait_for(|now| now.running_state.is_err()) => ended?.running_state.clone()?,
        served = http::serve(http, handle, map, Duration::from_millis(request_timeout)) => served?,
    }
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let failed = match run(Options::parse()).await {
        Ok(()) => return ExitCode::SUCCESS,
        Err(error) => error,
    };
    eprintln!("openraft: {failed}");
    // Not a return: that would wait for a thread that may be stuck in the disk.
    std::process::exit(1);
}
