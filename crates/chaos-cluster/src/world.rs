//! The real world: executes the engine's commands against processes and packets, and records whatever happens before
//! anybody acts on it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::unix::process::ExitStatusExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use chaos_engine::{Capabilities, Command, Event, Resource, World};
use chaos_history::{
    self as history, FaultKind, HistoryError, Mark, NodeEvent, NodeId, NodeLife, NoteEvent, Observation,
    ObservationOutcome, OpId, ProcessId, ReplicaEvent, ReplicaOutcome, RunDir, RunNanos, Seed,
};
use chaos_net::{Capture, Network};
use chaos_plan::Observe;
use chaos_systems::Driver;
use futures::FutureExt;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::Signal;
use tokio::runtime::Runtime;

use crate::changes::Changes;
use crate::clock::RunClock;
use crate::faults::PendingKill;
use crate::guest::GuestPlace;
use crate::hinder::{Burnt, Hindered};
use crate::inbox::{Ended, Message, Outbox, inbox};
use crate::logs::LogKeeper;
use crate::observer::Observers;
use crate::oddities::Oddities;
use crate::process::{Clocks, Disks, FurtherEnd, NodeProcess, ProcessError};
use crate::recorder::Recorder;
use crate::resource::Programs;
use crate::sessions::Sessions;
use crate::single::PendingEnd;
use crate::testimony::Testimonies;
use crate::watchdog::Watchdog;

/// How long the world waits for a message at most: for the flush, and for kills that take too long.
const WAKE_UP_EVERY: Duration = Duration::from_millis(25);

/// What a real world is made of.
pub struct RealWorldOptions {
    /// The run's clock.
    pub clock: RunClock,
    /// The network that the nodes live in.
    pub network: Network,
    /// Writes down what passes that network, until the run's end.
    pub capture: Option<Capture>,
    /// The system's protocol.
    pub driver: Arc<dyn Driver>,
    /// The history.
    pub recorder: Recorder,
    /// Where nodes keep logs and data.
    pub directory: RunDir,
    /// How many nodes are under test.
    pub nodes: usize,
    /// How many service nodes stand beside them; the network has places for all of them, the nodes under test first.
    pub service: usize,
    /// How they are observed.
    pub observe: Observe,
    /// What links draw from.
    pub seed: Seed,
    /// What can be done to the nodes' disks.
    pub disks: Disks,
    /// Which of the nodes' clocks can be moved, if the run moves any; programs then ask before they execute others.
    pub clocks: Option<Clocks>,
    /// Whoever wants to see what is recorded as it is recorded, and may end the run.
    pub watch: Option<Watch>,
}

/// Sees each event before it is recorded; a text ends the run as if the user had asked for it, and is the reason given.
pub type Watch = Box<dyn FnMut(&history::Event) -> Option<String>>;

/// Gets the first signal that asks for an end.
pub type OnSignal = Box<dyn FnMut(Signal) + Send>;

/// Ends a run from another thread. When the run is over, nobody listens any more, and nothing happens.
#[derive(Clone)]
pub struct Control(Outbox);

impl Control {
    /// The run is interrupted: faults are taken back, and what happened so far is judged as half a run.
    pub fn interrupt(&self, why: &str) {
        self.0.send(Message::Interrupt { why: why.to_owned() });
    }

    /// What the run accompanies is over, and the run comes to its proper end.
    pub fn conclude(&self, why: &str) {
        self.0.send(Message::Conclude { why: why.to_owned() });
    }

    /// Writes a remark for people into the history.
    pub fn remark(&self, text: &str) {
        self.0.send(Message::Remark { text: text.to_owned() });
    }
}

/// Why the world can't go on. The history up to then is on disk.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The history can't be written.
    #[error("record what happens")]
    History(#[from] HistoryError),
    /// Disks that can be spoilt are not to be had.
    #[error("set up the disks of the nodes")]
    Disk(#[source] ProcessError),
    /// Threads, sockets or descriptors are not to be had.
    #[error("set up the harness: {action}")]
    Setup {
        /// What was tried.
        action: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

/// Real processes, in namespaces or on the host.
pub struct RealWorld {
    pub(crate) clock: RunClock,
    pub(crate) network: Network,
    pub(crate) capture: Option<Capture>,
    pub(crate) seed: Seed,
    /// Those under test, then the service nodes.
    pub(crate) nodes: Vec<NodeProcess>,
    under_test: usize,
    pub(crate) pending_kills: Vec<PendingKill>,
    pub(crate) pending_ends: Vec<PendingEnd>,
    /// What the cluster is being told.
    pub(crate) changes: Changes,
    /// Nodes that run on, worse than before.
    pub(crate) hindered: Vec<Hindered>,
    pub(crate) burnt: Burnt,
    /// Recorded events that the engine has not seen yet.
    ready: VecDeque<(RunNanos, Event)>,
    pub(crate) driver: Arc<dyn Driver>,
    testimonies: Testimonies,
    oddities: Oddities,
    /// Whether the cluster has come up.
    pub(crate) is_up: bool,
    recorder: Recorder,
    watch: Option<Watch>,
    pub(crate) directory: RunDir,
    /// Of processes that hold something.
    pub(crate) sessions: Sessions,
    /// What locks protect.
    pub(crate) resource: Resource,
    pub(crate) programs: Programs,
    /// Which process runs each operation, and at which node.
    pub(crate) under_way: BTreeMap<OpId, (ProcessId, NodeId)>,
    /// Nodes whose current incarnation has answered, and what was last heard of the others.
    pub(crate) answered: BTreeSet<NodeId>,
    pub(crate) last_silence: BTreeMap<NodeId, String>,
    pub(crate) incarnations: Arc<[AtomicU64]>,
    capabilities: Capabilities,
    pub(crate) messages: Outbox,
    inbox: Receiver<Message>,
    /// Whether the last event was a tick.
    ticked: bool,
    /// Both end after the inbox, so that they can't be waiting for a place in there, and after the nodes.
    _watchdog: Watchdog,
    _logs: LogKeeper,
    pub(crate) runtime: Runtime,
}

impl RealWorld {
    /// Makes the world; its nodes are started by [`RealWorld::start_nodes`]. To be called on the thread that will drive it.
    ///
    /// # Errors
    /// If threads, descriptors or the disks that are asked for are not to be had.
    pub fn new(options: RealWorldOptions) -> Result<Self, WorldError> {
        let processes = node_processes(&options)?;
        let RealWorldOptions { clock, network, capture, driver, recorder, directory, nodes, service, .. } = options;
        let RealWorldOptions { observe, seed, watch, .. } = options;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(setup("start the runtime of clients and observers"))?;
        let (messages, inbox) = inbox();
        let incarnations: Arc<[AtomicU64]> = (0..nodes + service).map(|_| AtomicU64::new(0)).collect();
        let stalls = messages.clone();
        let watchdog = Watchdog::start(clock, move |stall| {
            // Nobody listens any more when the run is over.
            stalls.send(Message::Stalled(stall));
        });
        let remarks = messages.clone();
        let directories = NodeId::all(nodes + service).map(|node| (node, directory.node(node))).collect();
        let logs = LogKeeper::start(directories, move |text| {
            remarks.send(Message::Remark { text });
        });
        Observers {
            clock,
            driver: Arc::clone(&driver),
            messages: messages.clone(),
            incarnations: Arc::clone(&incarnations),
            nodes,
            every: observe.every,
            timeout: observe.timeout,
        }
        .start(runtime.handle());
        Ok(Self {
            clock,
            network,
            capture,
            seed,
            nodes: processes,
            under_test: nodes,
            pending_kills: Vec::new(),
            pending_ends: Vec::new(),
            changes: Changes::default(),
            hindered: Vec::new(),
            burnt: Burnt::default(),
            ready: VecDeque::new(),
            testimonies: Testimonies::new(driver.observers()),
            oddities: Oddities::default(),
            is_up: false,
            driver,
            recorder,
            watch,
            directory,
            sessions: Sessions::default(),
            resource: Resource::default(),
            programs: Programs::default(),
            under_way: BTreeMap::new(),
            answered: BTreeSet::new(),
            last_silence: BTreeMap::new(),
            incarnations,
            capabilities: Capabilities { faults: FaultKind::ALL.into(), remedy: String::new() },
            messages,
            inbox,
            ticked: false,
            _watchdog: watchdog,
            _logs: logs,
            runtime,
        })
    }

    /// A node's address, as it is reached from inside of the run.
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    pub fn address(&self, node: NodeId) -> std::net::Ipv4Addr {
        self.network.address(node.index())
    }

    /// Where a command beside the run lives.
    #[must_use]
    pub fn guest_place(&self) -> GuestPlace {
        GuestPlace::beside(&self.network)
    }

    /// The nodes that are asked who leads.
    pub(crate) fn nodes_under_test(&self) -> Vec<NodeId> {
        NodeId::all(self.under_test).collect()
    }

    /// The nodes that those depend on.
    pub(crate) fn service_nodes(&self) -> Vec<NodeId> {
        NodeId::all(self.nodes.len()).skip(self.under_test).collect()
    }

    /// A way to end the run from another thread.
    #[must_use]
    pub fn control(&self) -> Control {
        Control(self.messages.clone())
    }

    /// Ends all nodes and closes the history.
    ///
    /// # Errors
    /// If the history can't be written.
    pub fn finish(mut self) -> Result<(), WorldError> {
        for node in &mut self.nodes {
            // That it isn't running is what we want.
            let _ = node.end(Signal::SIGKILL);
        }
        let give_up = self.clock.now() + Duration::from_secs(2);
        while self.nodes.iter().any(NodeProcess::is_running) && self.clock.now() < give_up {
            self.next_event(give_up)?;
        }
        self.hindered.clear();
        self.end_capture()?;
        for text in self.nodes.iter().flat_map(NodeProcess::take_missed_clocks).collect::<Vec<_>>() {
            self.remark(text)?;
        }
        for text in self.oddities.totals() {
            self.note(text)?;
        }
        let (harness, nodes) = (processor_time(UsageWho::RUSAGE_SELF), processor_time(UsageWho::RUSAGE_CHILDREN));
        let burnt = Duration::from_nanos(self.burnt.load(Ordering::Relaxed)).as_secs_f64();
        let mut text = format!("the harness used {:.2} s of processor time, the nodes {nodes:.2} s", harness - burnt);
        if burnt > 0.0 {
            text.push_str(&format!(", what starved nodes {burnt:.2} s"));
        }
        self.note(text)?;
        self.recorder.flush_if_due(RunNanos(u64::MAX))?;
        Ok(())
    }

    /// Records an event for the history and, if there is one, hands its counterpart to the engine.
    pub(crate) fn record(
        &mut self,
        at: RunNanos,
        event: history::Event,
        for_engine: Option<Event>,
    ) -> Result<(), WorldError> {
        // The watch sees events in the order in which they are recorded.
        let alarm = self.watch.as_mut().and_then(|watch| watch(&event));
        self.recorder.record(at, event)?;
        if let Some(why) = alarm {
            self.watch = None;
            self.ready.push_back((self.clock.now(), Event::Interrupt { why }));
        }
        self.ready.extend(for_engine.map(|event| (at, event)));
        Ok(())
    }

    /// Writes a remark for people.
    pub(crate) fn remark(&mut self, text: String) -> Result<(), WorldError> {
        tracing::warn!("{text}");
        self.note(text)
    }

    /// The same without a word to who follows the run.
    pub(crate) fn note(&mut self, text: String) -> Result<(), WorldError> {
        self.record(self.clock.now(), history::Event::Note(NoteEvent { mark: None, text }), None)
    }

    pub(crate) fn node_event(&mut self, at: RunNanos, node: NodeId, life: NodeLife) -> Result<(), WorldError> {
        let incarnation = self.nodes[node.index()].incarnation;
        let event = history::Event::Node(NodeEvent { node, incarnation, life: life.clone() });
        self.record(at, event, Some(Event::Node { node, life }))
    }

    /// Asks a node what its replica holds.
    fn compare(&mut self, node: NodeId, deadline: RunNanos) {
        let Some(question) = self.driver.compare(node) else {
            self.ready.push_back((self.clock.now(), Event::Compared { node, outcome: None }));
            return;
        };
        let (messages, clock) = (self.messages.clone(), self.clock);
        self.runtime.spawn(async move {
            let sent = clock.now();
            let question = AssertUnwindSafe(question).catch_unwind();
            let outcome = match tokio::time::timeout(deadline.since(sent), question).await {
                Ok(Ok(Ok(state))) => ReplicaOutcome::Told(state),
                Ok(Ok(Err(error))) => ReplicaOutcome::Silent(error.to_string()),
                Ok(Err(_)) => ReplicaOutcome::Silent("the driver panicked".to_owned()),
                Err(_) => ReplicaOutcome::Silent("no answer in time".to_owned()),
            };
            let event = ReplicaEvent { node, sent, received: clock.now(), outcome };
            messages.send_from_task(Message::Compared(event)).await;
        });
    }

    fn handle(&mut self, message: Message) -> Result<(), WorldError> {
        match message {
            Message::Observed(observation) => {
                let observation = self.testimonies.observed(observation);
                self.observed(observation)
            }
            Message::Viewed { observer, observation } => {
                let at = observation.received;
                match self.testimonies.viewed(observer, observation) {
                    Some(view) => self.record(at, history::Event::View(view), None),
                    None => Ok(()),
                }
            }
            Message::Odd { observer, node, oddity } => {
                let Some(name) = self.testimonies.name(observer).filter(|_| self.is_up) else { return Ok(()) };
                match self.oddities.take_in(name, node, &oddity) {
                    Some(text) => self.note(text),
                    None => Ok(()),
                }
            }
            Message::Completed { at, completed } => self.completed(at, completed),
            Message::Compared(event) => {
                let compared = Event::Compared { node: event.node, outcome: Some(event.outcome.clone()) };
                self.record(event.received, history::Event::Replica(event), Some(compared))
            }
            Message::Ended { node, which: Ended::Main { incarnation }, at } => self.ended(node, incarnation, at),
            Message::Ended { node, which: Ended::Further { serial }, at } => {
                match self.nodes[node.index()].take_further_ending(serial) {
                    Some(end) => self.further_ended(node, end, at),
                    None => Ok(()),
                }
            }
            Message::Changed { fault, node, outcome, at } => self.changed(fault, node, outcome, at),
            Message::Stalled(stall) => self.record(stall.to, history::Event::Stall(stall), None),
            Message::Interrupt { why } => {
                self.ready.push_back((self.clock.now(), Event::Interrupt { why }));
                Ok(())
            }
            Message::Conclude { why } => {
                self.ready.push_back((self.clock.now(), Event::Conclude { why }));
                Ok(())
            }
            Message::Asked(asked) => self.asked(asked),
            Message::Remark { text } => self.note(text),
        }
    }

    /// Takes in that a node's main process has ended. Says nothing twice.
    pub(crate) fn ended(&mut self, node: NodeId, incarnation: u64, at: RunNanos) -> Result<(), WorldError> {
        let process = &mut self.nodes[node.index()];
        if process.incarnation != incarnation {
            return Ok(());
        }
        let Some((status, expected)) = process.take_ending() else { return Ok(()) };
        let alone = process.processes().is_empty();
        if !expected {
            self.fell(node);
        }
        let status = status.ok();
        let code = status.and_then(|status| status.code());
        let signal = status.and_then(|status| status.signal());
        self.node_event(at, node, NodeLife::Exited { code, signal, expected })?;
        if alone { self.kill_confirmed(node, at) } else { Ok(()) }
    }

    /// Records the ends of a node's further processes that nobody has heard of yet.
    pub(crate) fn take_further_endings(&mut self, node: NodeId) -> Result<(), WorldError> {
        for end in self.nodes[node.index()].take_further_endings() {
            self.further_ended(node, end, self.clock.now())?;
        }
        Ok(())
    }

    fn further_ended(&mut self, node: NodeId, end: FurtherEnd, at: RunNanos) -> Result<(), WorldError> {
        let FurtherEnd { process, status, expected } = end;
        let status = status.ok();
        let code = status.and_then(|status| status.code());
        let signal = status.and_then(|status| status.signal());
        self.node_event(at, node, NodeLife::ProcessExited { process, code, signal, expected })
    }

    /// Takes in messages until one has become an event for the engine; whether there is one.
    fn something_waits(&mut self) -> Result<bool, WorldError> {
        while self.ready.is_empty() {
            let Ok(message) = self.inbox.try_recv() else { return Ok(false) };
            self.handle(message)?;
        }
        Ok(true)
    }

    fn observed(&mut self, observation: Observation) -> Result<(), WorldError> {
        let (node, at) = (observation.node, observation.received);
        let current = observation.incarnation == self.nodes[node.index()].incarnation;
        match &observation.outcome {
            ObservationOutcome::Answered(_) if current && self.answered.insert(node) => {
                self.node_event(at, node, NodeLife::Ready)?;
            }
            ObservationOutcome::Answered(_) => {}
            ObservationOutcome::Silent(why) => {
                self.last_silence.insert(node, why.clone());
            }
        }
        self.claimed(&observation);
        self.record(at, history::Event::Observation(observation.clone()), Some(Event::Observed(observation)))
    }

    fn mark(&mut self, mark: Mark, text: String) -> Result<(), WorldError> {
        self.record(self.clock.now(), history::Event::Note(NoteEvent { mark: Some(mark), text }), None)
    }
}

impl World for RealWorld {
    type Error = WorldError;

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn now(&self) -> RunNanos {
        self.clock.now()
    }

    fn execute(&mut self, command: Command) -> Result<(), WorldError> {
        match command {
            Command::Fault(fault) => self.fault(fault),
            Command::Invoke(invocation) => self.invoke(invocation),
            Command::Compare { node, deadline } => {
                self.compare(node, deadline);
                Ok(())
            }
            Command::Mark(mark, text) => self.mark(mark, text),
            Command::Remark(text) => self.remark(text),
            Command::Alter { fault, change, nodes, process } => self.alter(fault, &change, &nodes, process.as_ref()),
            Command::Finish(_) => Ok(()),
        }
    }

    fn next_event(&mut self, deadline: RunNanos) -> Result<(RunNanos, Event), WorldError> {
        loop {
            let now = self.clock.now();
            self.recorder.flush_if_due(now)?;
            let tend_within = self.tend_kills(now)?;
            // Two ticks in a row come only if nothing waits: dense deadlines must not starve what happens.
            if now >= deadline && !(self.ticked && self.something_waits()?) {
                self.ticked = true;
                return Ok((now, Event::Tick));
            }
            if let Some((at, event)) = self.ready.pop_front() {
                self.ticked = false;
                return Ok((at, event));
            }
            let patience = deadline.since(now).min(tend_within.unwrap_or(WAKE_UP_EVERY));
            match self.inbox.recv_timeout(patience) {
                Ok(message) => self.handle(message)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("the world holds a sender of its own inbox"),
            }
        }
    }
}

impl Drop for RealWorld {
    fn drop(&mut self) {
        self.hindered.clear();
        for node in &mut self.nodes {
            // That it isn't running is what we want.
            let _ = node.end(Signal::SIGKILL);
        }
        // Each waits until it is gone, and all that before their network goes.
        self.nodes.clear();
    }
}

/// An error of setting up, from the cause.
fn setup(action: &'static str) -> impl Fn(std::io::Error) -> WorldError {
    move |source| WorldError::Setup { action, source }
}

/// The nodes, not started yet, with the disks and the clocks that the run needs.
fn node_processes(options: &RealWorldOptions) -> Result<Vec<NodeProcess>, WorldError> {
    let RealWorldOptions { network, directory, nodes, service, disks, clocks, .. } = options;
    let mut processes = NodeId::all(nodes + service)
        .map(|node| NodeProcess::new(node, directory.node(node), network.place(node.index())?))
        .collect::<Result<Vec<_>, _>>()
        .map_err(setup("find the nodes' places"))?;
    processes.iter_mut().try_for_each(|node| node.put_on(*disks)).map_err(WorldError::Disk)?;
    if let Some(clocks) = clocks {
        let give = processes.iter_mut().try_for_each(|node| node.give_clock(clocks));
        give.map_err(std::io::Error::other).map_err(setup("make the nodes' clocks"))?;
    }
    Ok(processes)
}

/// Seconds of processor time, user and system together, up to now.
fn processor_time(who: UsageWho) -> f64 {
    let Ok(usage) = getrusage(who) else { return f64::NAN };
    [usage.user_time(), usage.system_time()].iter().map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6).sum()
}
