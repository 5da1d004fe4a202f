//! A small replicated key-value server around raft-rs, the Raft library under TiKV, for tests of the library's elections.
//!
//! The protocol is the library's alone; ours are its storage (`store`), its thread (`core`), its network (`peers`) and the interface for
//! clients (the crate `kv-node`). Options leave the library's defaults as they are unless they are given; only the size of a message
//! differs (1 MiB instead of one entry), which elections do not notice.

mod core;
mod peers;
mod store;

use std::process::ExitCode;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use clap::{ArgAction, Parser};
use kv_node::http::{Node, Refusal, Status};
use kv_node::log::Log;
use kv_node::map::{Answer, Command, Map};
use kv_node::options::{Common, locked_version};
use kv_node::{http, wire};
use raft::{Config, RawNode};
use tokio::sync::oneshot;

use crate::core::{Core, Input};
use crate::peers::{Local, Outbound};
use crate::store::Store;

/// The most inputs that wait for the library's thread.
const INBOX_MAX: usize = 65_536;

/// The library's version, which is also this program's.
fn version() -> &'static str {
    locked_version(include_str!("../Cargo.lock"), "raft").expect("the lock file names every package")
}

#[derive(Parser, Debug)]
#[command(name = "raft-rs", version = version(), about = "A replicated key-value server around raft-rs")]
struct Options {
    #[command(flatten)]
    common: Common,
    /// Length of a tick, milliseconds; the library leaves it to us (its example has 100, TiKV 1000)
    #[arg(long, default_value_t = 100)]
    tick: u64,
    /// A leader sends heartbeats every so many ticks
    #[arg(long, default_value_t = Config::default().heartbeat_tick)]
    heartbeat_tick: usize,
    /// A follower campaigns after once to twice so many ticks of silence
    #[arg(long, default_value_t = Config::default().election_tick)]
    election_tick: usize,
    /// Whether a leader without a quorum steps down, and followers of a live leader refuse candidates
    #[arg(long, action = ArgAction::Set, default_value_t = Config::default().check_quorum)]
    check_quorum: bool,
    /// Whether candidates ask before they campaign
    #[arg(long, action = ArgAction::Set, default_value_t = Config::default().pre_vote)]
    pre_vote: bool,
}

/// Requests on their way to the library's thread, and its published status.
struct Handle {
    inbox: SyncSender<Input>,
    status: Arc<RwLock<Status>>,
}

impl Handle {
    async fn ask<T>(&self, input: impl FnOnce(core::Reply<T>) -> Input) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        match self.inbox.try_send(input(reply)) {
            Ok(()) => answer.await.unwrap_or(Err(Refusal::Superseded)),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(Refusal::Busy),
        }
    }
}

impl Node for Handle {
    fn status(&self) -> Status {
        self.status.read().expect("nobody panics with the status in hand").clone()
    }

    async fn read_barrier(&self) -> Result<(), Refusal> {
        self.ask(Input::Barrier).await
    }

    async fn propose(&self, command: Command) -> Result<Answer, Refusal> {
        self.ask(|reply| Input::Propose(command, reply)).await
    }
}

async fn run(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let Common { id, peers, http, data_dir, request_timeout } = options.common;
    let number = peers.number(&id).ok_or_else(|| format!("--id {id} is not one of --peers"))?;
    let address = peers.address(number).expect("a numbered node has an address");
    let tick = Duration::from_millis(options.tick);
    let election_tick = u32::try_from(options.election_tick)?;
    let config = Config {
        id: number,
        heartbeat_tick: options.heartbeat_tick,
        election_tick: options.election_tick,
        check_quorum: options.check_quorum,
        pre_vote: options.pre_vote,
        max_size_per_msg: 1 << 20,
        ..Config::default()
    };
    std::fs::create_dir_all(&data_dir).map_err(|error| format!("{}: {error}", data_dir.display()))?;
    let store = Store::open(Log::open(&data_dir)?, peers.iter().map(|(number, _)| number).collect())?;
    // The library's log would repeat what the status tells; its errors are panics.
    let raft = RawNode::new(&config, store, &slog::Logger::root(slog::Discard, slog::o!()))?;

    let local = Local { number, address, patience: tick * election_tick };
    let (inbox, inputs) = sync_channel(INBOX_MAX);
    let map = Arc::new(RwLock::new(Map::default()));
    let outbound = Outbound::start(&peers, local, &inbox);
    tokio::spawn(peers::accept(wire::listen(address)?, local, inbox.clone()));
    let core = Core::new(id, peers, raft, Arc::clone(&map), outbound);
    let handle = Handle { inbox, status: core.status() };
    let thread = tokio::task::spawn_blocking(move || core.run(&inputs, tick));
    tokio::select! {
        // A panic of the library, or a disk that refuses: the process ends, and with it every promise that it could break.
        ended = thread => ended??,
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
    eprintln!("raft-rs: {failed}");
    // Not a return: that would wait for the library's thread, which may be stuck.
    std::process::exit(1);
}
