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
    ObservationOutcome, OpId, ProcessId, ReplicaEvent, ReplicaOutcome, RunDir, RunNanos,
};
use chaos_net::Star;
use chaos_plan::Observe;
use chaos_systems::Driver;
use futures::FutureExt;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::Signal;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::clock::RunClock;
use crate::faults::PendingKill;
use crate::inbox::{Ended, Message, Outbox, inbox};
use crate::observer::Observers;
use crate::process::{FurtherEnd, NodeProcess, ProcessError};
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
    pub star: Star,
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

/// Real processes in real namespaces.
pub struct RealWorld {
    pub(crate) clock: RunClock,
    pub(crate) star: Star,
    /// Those under test, then the service nodes.
    pub(crate) nodes: Vec<NodeProcess>,
    under_test: usize,
    pub(crate) pending_kills: Vec<PendingKill>,
    pub(crate) pending_ends: Vec<PendingEnd>,
    /// Recorded events that the engine has not seen yet.
    ready: VecDeque<(RunNanos, Event)>,
    pub(crate) driver: Arc<dyn Driver>,
    testimonies: Testimonies,
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
    incarnations: Arc<[AtomicU64]>,
    capabilities: Capabilities,
    pub(crate) messages: Outbox,
    inbox: Receiver<Message>,
    /// Whether the last event was a tick.
    ticked: bool,
    /// Ends after the inbox, so that it can't be waiting for a place in there.
    _watchdog: Watchdog,
    pub(crate) runtime: Runtime,
}

impl RealWorld {
    /// Makes the world; its nodes are started by [`RealWorld::start_nodes`]. To be called on the thread that will drive it.
    ///
    /// # Errors
    /// If threads or descriptors are not to be had.
    pub fn new(options: RealWorldOptions) -> Result<Self, WorldError> {
        let RealWorldOptions { clock, star, driver, recorder, directory, nodes, service, observe, watch } = options;
        let setup = |action| move |source| WorldError::Setup { action, source };
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
        let processes = NodeId::all(nodes + service)
            .map(|node| {
                let namespace = star.namespace(node.index()).try_clone_to_owned()?;
                NodeProcess::new(node, directory.node(node), namespace)
            })
            .collect::<Result<_, _>>()
            .map_err(setup("open the nodes' namespaces"))?;
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
        let faults = [FaultKind::Kill, FaultKind::Pause, FaultKind::Partition].into();
        Ok(Self {
            clock,
            star,
            nodes: processes,
            under_test: nodes,
            pending_kills: Vec::new(),
            pending_ends: Vec::new(),
            ready: VecDeque::new(),
            testimonies: Testimonies::new(driver.observers()),
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
            capabilities: Capabilities { faults, remedy: String::new() },
            messages,
            inbox,
            ticked: false,
            _watchdog: watchdog,
            runtime,
        })
    }

    /// A node's address, as it is reached from inside of the run.
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    pub fn address(&self, node: NodeId) -> std::net::Ipv4Addr {
        self.star.address(node.index())
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

    /// Has SIGINT, SIGTERM and SIGHUP ask the run to end; a second one ends this process at once. With `instead`, the first one
    /// goes there, and whoever gets it decides what becomes of the run.
    ///
    /// # Errors
    /// If the signals can't be listened to.
    pub fn interrupt_on_signals(&self, mut instead: Option<OnSignal>) -> Result<(), WorldError> {
        let messages = self.messages.clone();
        let _guard = self.runtime.enter();
        let listen = |kind| signal(kind).map_err(|source| WorldError::Setup { action: "listen to signals", source });
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut terminate = listen(SignalKind::terminate())?;
        let mut hangup = listen(SignalKind::hangup())?;
        self.runtime.spawn(async move {
            let mut asked_before = false;
            loop {
                let caught = tokio::select! {
                    _ = interrupt.recv() => Signal::SIGINT,
                    _ = terminate.recv() => Signal::SIGTERM,
                    _ = hangup.recv() => Signal::SIGHUP,
                };
                if asked_before {
                    // The user insists. The kernel takes the nodes and their network away with this process.
                    std::process::exit(255);
                }
                asked_before = true;
                // Nobody listens any more when the run is over, and then there is nothing to interrupt.
                match &mut instead {
                    Some(instead) => instead(caught),
                    None => drop(messages.send_from_task(Message::Interrupt { why: "by the user".to_owned() }).await),
                }
            }
        });
        Ok(())
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
        let (harness, nodes) = (processor_time(UsageWho::RUSAGE_SELF), processor_time(UsageWho::RUSAGE_CHILDREN));
        let text = format!("the harness used {harness:.2} s of processor time, the nodes {nodes:.2} s");
        self.record(self.clock.now(), history::Event::Note(NoteEvent { mark: None, text }), None)?;
        self.recorder.flush_if_due(RunNanos(u64::MAX))?;
        Ok(())
    }

    /// Starts one node and records its start.
    pub(crate) fn start_node(&mut self, node: NodeId) -> Result<Result<(), ProcessError>, WorldError> {
        let leftovers = self.nodes[node.index()].end_leftovers();
        if leftovers > 0 {
            self.remark(format!(
                "{node} had left {leftovers} processes behind; they were ended before it was started again"
            ))?;
        }
        self.take_further_endings(node)?;
        self.kill_confirmed(node, self.clock.now())?;
        let ended = self.end_message(node);
        let launch = self.driver.launch(node, &self.nodes[node.index()].data());
        self.expect_incarnation(node, 1);
        let started = self.nodes[node.index()].start(&launch, ended);
        self.expect_incarnation(node, 0);
        let started = match started {
            Ok(started) => started,
            Err(error) => return Ok(Err(error)),
        };
        self.answered.remove(&node);
        let now = self.clock.now();
        self.node_event(now, node, NodeLife::Started { pid: started.main })?;
        for (process, pid) in started.further {
            self.node_event(now, node, NodeLife::ProcessStarted { process, pid })?;
        }
        Ok(Ok(()))
    }

    /// What tells the world that a process of this node has ended.
    pub(crate) fn end_message(&self, node: NodeId) -> impl Fn(Ended) + Clone + Send + use<> {
        let (messages, clock) = (self.messages.clone(), self.clock);
        move |which| {
            // Nobody listens any more when the run is over.
            messages.send(Message::Ended { node, which, at: clock.now() });
        }
    }

    /// Tells observers which incarnation of a node's answers they get: so many after the present one. To be called before a new
    /// process exists, whose answers must not count as the word of the one before, and after.
    pub(crate) fn expect_incarnation(&self, node: NodeId, ahead: u64) {
        let incarnation = self.nodes[node.index()].incarnation + ahead;
        self.incarnations[node.index()].store(incarnation, Ordering::Release);
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
            Message::Remark { text } => {
                self.record(self.clock.now(), history::Event::Note(NoteEvent { mark: None, text }), None)
            }
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
            Command::Relieve { fault, change, nodes, process } => {
                match self.bring_back(fault, &change, &nodes, process.as_ref())? {
                    Some(error) => self.remark(format!("fault {} could not be taken back in part: {error}", fault.0)),
                    None => Ok(()),
                }
            }
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
        for node in &mut self.nodes {
            // That it isn't running is what we want.
            let _ = node.end(Signal::SIGKILL);
        }
        // Each waits until it is gone, and all that before their network goes.
        self.nodes.clear();
    }
}

/// Seconds of processor time, user and system together, up to now.
fn processor_time(who: UsageWho) -> f64 {
    let Ok(usage) = getrusage(who) else { return f64::NAN };
    [usage.user_time(), usage.system_time()].iter().map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6).sum()
}
