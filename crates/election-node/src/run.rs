//! From arguments to a running node, and from a running node to an exit code.
//!
//! Two threads: the main one runs a current-thread runtime with every socket and timer of clients and peers; the other one
//! is the protocol thread, which alone waits for the disk, so that a slow sync delays the protocol and never the sockets,
//! and a busy socket never the protocol. A storage error or a panic of the protocol thread ends the process at once: an
//! orderly shutdown would give the runtime time to answer.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;

use election::Protocol;
use election::raft::Recovered;
use election::specimens::{ClockKind, Start};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{broadcast, watch};
use tracing_subscriber::EnvFilter;

use crate::arguments::{NodeArguments, Settings};
use crate::choice::WithProtocol;
use crate::clock::Clock;
use crate::counts::Counts;
use crate::driver::{Driver, Fatal, Publisher};
use crate::error::{EXIT_IO, NodeError};
use crate::http::{self, Api, Patience};
use crate::inbox::{Delivery, Inbox};
use crate::machine::Machine;
use crate::metrics::Metrics;
use crate::recording::Recorder;
use crate::state::Published;
use crate::storage::{Storage, StorageOptions};
use crate::transport::{self, Local, Timing};

/// Size at which a journal file is followed by the next one.
const SEGMENT_BYTES_MAX: u64 = 4 << 20;
/// How many lines of `/events` a slow reader may be behind.
const EVENT_LINES_MAX: usize = 1024;

/// Runs a node until SIGTERM or SIGINT; the `main` of `election-node` and of `chaos node`.
///
/// Exit codes: 0 asked to stop · 2 wrong arguments · 3 the data directory is another node's, in use, or damaged · 4 reading
/// or writing failed · 5 a port could not be bound.
pub fn main(arguments: NodeArguments) -> ExitCode {
    match start_log(arguments.log_filter()).and_then(|()| arguments.settle()).and_then(|settings| run(&settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::from(&error)
        }
    }
}

/// The reason of an exit goes to stderr whatever the log filter says.
#[expect(clippy::print_stderr, reason = "the last word of a process, when its log may be filtered or not yet there")]
fn report(error: &dyn std::error::Error) {
    eprintln!("error: {error}");
}

fn start_log(filter: &str) -> Result<(), NodeError> {
    let filter = EnvFilter::try_new(filter).map_err(|error| NodeError::Argument(format!("--log {filter}: {error}")))?;
    // A program that has set up its own log keeps it.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false).try_init();
    Ok(())
}

fn run(settings: &Settings) -> Result<(), NodeError> {
    settings.choice.with(Running(settings))
}

/// The node of these settings, until it is asked to stop.
struct Running<'a>(&'a Settings);

impl WithProtocol for Running<'_> {
    type Outcome = Result<(), NodeError>;

    fn run<P: Protocol + Send + 'static>(self, begin: impl FnOnce(Start) -> P) -> Self::Outcome {
        run_with(self.0, begin)
    }
}

fn run_with<P: Protocol + Send + 'static>(
    settings: &Settings,
    begin: impl FnOnce(Start) -> P,
) -> Result<(), NodeError> {
    let (storage, recovered, incarnation) = Storage::open(&StorageOptions {
        directory: settings.data.clone(),
        id: settings.id,
        new_life: if settings.join { Some(random_life()?) } else { None },
        cluster: settings.cluster_name.clone(),
        algorithm: settings.choice.algorithm(),
        sync: settings.fsync,
        segment_bytes_max: SEGMENT_BYTES_MAX,
    })?;
    let machine = restore(settings, &recovered)?;
    let kind = settings.choice.specimen().map_or(ClockKind::Monotonic, |specimen| specimen.clock);
    let clock = Clock::new(settings.clock_rate, kind);
    let seed = settings.seed.map_or_else(random_seed, Ok)?;
    let (id, term, last) = (storage.id(), recovered.hard.term.0, recovered.entries.last().map(|entry| entry.index.0));
    let specimen = settings.choice.specimen().map(|specimen| specimen.name);
    let algorithm = settings.choice.algorithm().as_str();
    tracing::info!(node = %id, algorithm, incarnation, seed, term, last, specimen, "starting");
    let seed = mix_seed(seed, id.number(), incarnation);
    let start = Start { id, config: settings.config.clone(), seed, recovered, now: clock.read().node };
    let recorder = settings.record.as_deref().map(|path| Recorder::open(path, settings.choice, &start)).transpose()?;
    let protocol = begin(start);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| NodeError::Start { what: "the runtime", source })?;
    runtime.block_on(serve(settings, clock, incarnation, Core { protocol, recorder }, storage, machine))
}

/// The protocol, and who notes what it is told.
struct Core<P> {
    protocol: P,
    recorder: Option<Recorder>,
}

/// Wires the parts, starts the protocol thread, and waits for the wish to stop.
async fn serve<P: Protocol + Send + 'static>(
    settings: &Settings,
    clock: Clock,
    incarnation: u64,
    Core { protocol, recorder }: Core<P>,
    storage: Storage,
    machine: Machine,
) -> Result<(), NodeError> {
    let metrics = Arc::new(Metrics::new(P::KINDS));
    let (inbox, deliveries) = Inbox::new(Arc::clone(&metrics));
    let own = &settings.book[&settings.id];
    let http_listener = http::listen(settings.bind, own.http_port)?;
    let (cluster, algorithm) = (settings.cluster_name.clone(), settings.choice.algorithm());
    let local = Local { id: storage.id(), cluster, algorithm, bind: settings.bind };
    let timing = Timing::suited_to(
        clock.host_duration(settings.config.heartbeat),
        clock.host_duration(settings.config.election_timeout_max),
    );
    let outbox = transport::start(&local, &settings.book, timing, inbox.clone(), &metrics)?;
    let specimen = settings.choice.specimen().map(|specimen| specimen.name);
    let (events, _) = broadcast::channel(EVENT_LINES_MAX);
    let at = clock.read();
    let first = crate::state::State::new(protocol.status(at.node), protocol.deadline(), at, incarnation, specimen);
    let (state, receiver) = watch::channel(Arc::new(first));
    let publisher = Publisher { state, events: events.clone(), incarnation, specimen };
    let published = Published::new(receiver, clock);
    if let Some(work) = settings.work.clone() {
        tokio::spawn(work.run(published.clone()));
    }
    let api = Api::new(
        Box::new(inbox.clone()),
        published,
        events,
        settings.book.clone(),
        Arc::clone(&metrics),
        settings.choice.algorithm(),
        Patience {
            clients: settings.request_timeout,
            operators: settings.request_timeout + clock.host_duration(settings.config.election_timeout_max) * 6,
        },
    );
    let mut driver = Driver::new(protocol, storage, machine, clock, outbox, publisher, metrics);
    driver.recorder = recorder;
    driver.counts = settings.counts.as_deref().map(Counts::open).transpose()?;
    let thread = spawn_protocol(driver, deliveries)?;
    let stop = stop_signal()?;
    tokio::select! {
        served = http::serve(http_listener, Arc::new(api)) => {
            served.map_err(|source| NodeError::Start { what: "the HTTP server", source })?;
        }
        () = stop => {}
    }
    tracing::info!(node = %settings.id, "stopping");
    inbox.stop();
    // A thread that panicked has ended the process already.
    let _ = thread.join();
    Ok(())
}

fn spawn_protocol<P: Protocol + Send + 'static>(
    mut driver: Driver<P>,
    deliveries: Receiver<Delivery<P::Message>>,
) -> Result<thread::JoinHandle<()>, NodeError> {
    let body = move || {
        let end_with_me = EndProcess;
        if let Err(fatal) = driver.run(&deliveries) {
            fail_stop(&fatal);
        }
        std::mem::forget(end_with_me);
    };
    let thread = thread::Builder::new().name("protocol".to_owned()).spawn(body);
    thread.map_err(|source| NodeError::Start { what: "the protocol thread", source })
}

/// Ends the process while the driver still holds every unanswered request.
fn fail_stop(fatal: &Fatal) -> ! {
    report(fatal);
    std::process::exit(match fatal {
        Fatal::Storage(error) => i32::from(error.exit_code()),
        Fatal::Machine(_) => i32::from(EXIT_IO),
    })
}

/// Ends the process when a panic drops it: a node without its protocol thread would answer questions about a state that
/// nobody keeps.
struct EndProcess;

impl Drop for EndProcess {
    fn drop(&mut self) {
        std::process::abort();
    }
}

fn stop_signal() -> Result<impl Future<Output = ()>, NodeError> {
    let handler = |kind| signal(kind).map_err(|source| NodeError::Start { what: "the signal handlers", source });
    let (mut terminate, mut interrupt) = (handler(SignalKind::terminate())?, handler(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn restore(settings: &Settings, recovered: &Recovered) -> Result<Machine, NodeError> {
    let mut machine = Machine::default();
    if let Some(snapshot) = &recovered.snapshot {
        machine
            .restore(snapshot.meta.last_index, &snapshot.data)
            .map_err(|error| NodeError::corrupt(&settings.data, 0, error.to_string()))?;
    }
    Ok(machine)
}

fn random_seed() -> Result<u64, NodeError> {
    use std::io::Read as _;
    let path = std::path::Path::new("/dev/urandom");
    let mut bytes = [0; 8];
    let mut file = std::fs::File::open(path).map_err(NodeError::io("open", path))?;
    file.read_exact(&mut bytes).map_err(NodeError::io("read", path))?;
    Ok(u64::from_le_bytes(bytes))
}

/// A life that no other directory of this node has had: never 0, which is the first one.
fn random_life() -> Result<u32, NodeError> {
    let [a, b, c, d, ..] = random_seed()?.to_le_bytes();
    Ok(u32::from_le_bytes([a, b, c, d]).max(1))
}

/// One seed for all nodes of a run gives each node, and each start of it, timeouts of its own (SplitMix64's finalizer).
fn mix_seed(seed: u64, id: u64, incarnation: u64) -> u64 {
    [id, incarnation].into_iter().fold(seed, |state, part| {
        let mut mixed = (state ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}
