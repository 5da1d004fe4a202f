//! Bringing the cluster up: everything between an empty run directory and a cluster that clients may use.
//!
//! ```text
//!   service nodes:  files, set-up, start — each in turn; then what follows the start, on each
//!   nodes:          files, set-up, (the one before has answered,) start — each in turn; then what follows the start, on each
//!   every node has answered the first observer → the driver says that the cluster is ready
//! ```
//!
//! One deadline stands over all of it. While a command or an answer is waited for, the world goes on taking in events, so that a
//! node that ends, or a user who loses patience, is heard at once.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use chaos_engine::{Event, World};
use chaos_history::{NodeId, NodeLife, RunNanos};
use chaos_systems::{Launch, Preparation};

use crate::inbox::{Ended, Message};
use crate::process::{Attempt, ProcessError, in_words};
use crate::world::{RealWorld, WorldError};

/// How soon a command that runs is looked at again, and an answer that was waited for.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long a command that failed is left alone before it is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// How long a cluster that isn't ready is left alone before it is asked again.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// The log of commands before a node's first start, and of those after it.
const SETUP_LOG: &str = "setup.log";

/// Why the cluster did not come up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The harness itself failed.
    #[error(transparent)]
    World(#[from] WorldError),
    /// A node can't be started at all.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A node ended by itself before it answered.
    #[error("{node} ended by itself before the cluster was up ({how}); its log is {}", log.display())]
    Exited {
        /// The node.
        node: NodeId,
        /// Exit code or signal, in words.
        how: String,
        /// Its stderr log.
        log: PathBuf,
    },
    /// A process beside a node's main one ended by itself.
    #[error("{node}: `{process}` ended by itself before the cluster was up ({how}); its log is {}", log.display())]
    ProcessExited {
        /// The node.
        node: NodeId,
        /// The process's name.
        process: String,
        /// Exit code or signal, in words.
        how: String,
        /// Its stderr log.
        log: PathBuf,
    },
    /// A command that prepares a node failed, or took too long.
    #[error("prepare {node}: `{command}`: {how}; its log is {}", log.display())]
    Preparation {
        /// The node.
        node: NodeId,
        /// The command.
        command: String,
        /// What became of it, in words.
        how: String,
        /// What it said.
        log: PathBuf,
    },
    /// A node did not answer in time, or nothing sensible.
    #[error("{node} did not answer as a node within {within:?}: {seen}; its log is {}", log.display())]
    NeverAnswered {
        /// The node.
        node: NodeId,
        /// How long it had.
        within: Duration,
        /// The last thing that was seen of it.
        seen: String,
        /// Its stderr log.
        log: PathBuf,
    },
    /// All nodes answered, and yet the cluster was not ready for clients in time.
    #[error("the cluster was not ready within {within:?}: {seen}")]
    NotReady {
        /// How long it had.
        within: Duration,
        /// What was missing when it was asked last.
        seen: String,
    },
    /// The user gave up waiting, or whoever watches has seen enough.
    #[error("interrupted before the cluster was up ({why})")]
    Interrupted {
        /// By whom or what.
        why: String,
    },
}

impl StartError {
    /// The log whose last words say more, if there is one.
    #[must_use]
    pub fn log(&self) -> Option<&Path> {
        match self {
            Self::Exited { log, .. }
            | Self::ProcessExited { log, .. }
            | Self::Preparation { log, .. }
            | Self::NeverAnswered { log, .. } => Some(log),
            Self::World(_) | Self::Process(_) | Self::NotReady { .. } | Self::Interrupted { .. } => None,
        }
    }
}

/// What stands over a start.
#[derive(Clone, Copy)]
struct Limit {
    within: Duration,
    deadline: RunNanos,
}

impl RealWorld {
    /// Prepares and starts all nodes, service nodes first, and waits until each node under test has answered as itself and the
    /// driver calls the cluster ready.
    ///
    /// # Errors
    /// If a node can't be prepared or started, ends by itself, stays silent, answers garbage or answers as another, and if the
    /// cluster isn't ready within this time.
    pub fn start_nodes(&mut self, within: Duration) -> Result<(), StartError> {
        let limit = Limit { within, deadline: self.now() + within };
        let (nodes, service) = (self.nodes_under_test(), self.service_nodes());
        for part in [service, nodes.clone()] {
            for (place, &node) in part.iter().enumerate() {
                if place > 0 && self.driver.waits_for_the_one_before(node) {
                    self.await_answer(part[place - 1], limit)?;
                }
                self.start_first(node, limit)?;
            }
            for &node in &part {
                for preparation in self.driver.after_start(node) {
                    self.carry_out(node, &preparation, limit)?;
                }
            }
        }
        for node in nodes {
            self.await_answer(node, limit)?;
        }
        self.await_ready(limit)?;
        self.is_up = true;
        Ok(())
    }

    /// Files, set-up and start of a node that never ran.
    fn start_first(&mut self, node: NodeId, limit: Limit) -> Result<(), StartError> {
        let Launch { files, setup, .. } = self.driver.launch(node, &self.nodes[node.index()].data());
        self.nodes[node.index()].write_files(&files)?;
        for preparation in &setup {
            self.carry_out(node, preparation, limit)?;
        }
        self.nodes[node.index()].settle_disk()?;
        self.start_node(node)??;
        Ok(())
    }

    /// Carries out a command in a node's namespaces, again and again for as long as it may fail.
    fn carry_out(&mut self, node: NodeId, what: &Preparation, limit: Limit) -> Result<(), StartError> {
        let again_until = (self.now() + what.retry_for).min(limit.deadline);
        loop {
            let attempt = self.nodes[node.index()].begin(&what.command, SETUP_LOG)?;
            let how = match self.await_end(attempt, limit)? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => status.to_string(),
                None => return Err(self.unprepared(node, what, format!("it still ran after {:?}", limit.within))),
            };
            if self.now() + RETRY_AFTER > again_until {
                let tried = if what.retry_for.is_zero() {
                    String::new()
                } else {
                    format!(" (tried again for {:?})", what.retry_for.min(limit.within))
                };
                return Err(self.unprepared(node, what, format!("{how}{tried}")));
            }
            let pause_end = self.now() + RETRY_AFTER;
            while self.now() < pause_end {
                self.pump(pause_end)?;
            }
        }
    }

    fn unprepared(&self, node: NodeId, what: &Preparation, how: String) -> StartError {
        let log = self.directory.node(node).join(SETUP_LOG);
        StartError::Preparation { node, command: in_words(&what.command), how, log }
    }

    /// The command's end; `None` if it did not come in time, and then it has been ended.
    fn await_end(&mut self, mut attempt: Attempt, limit: Limit) -> Result<Option<ExitStatus>, StartError> {
        loop {
            let ended = attempt.ended().map_err(|source| WorldError::Setup { action: "wait for a command", source })?;
            if ended.is_some() || self.now() >= limit.deadline {
                return Ok(ended);
            }
            self.pump(self.now() + LOOK_EVERY)?;
        }
    }

    fn await_answer(&mut self, node: NodeId, limit: Limit) -> Result<(), StartError> {
        while !self.answered.contains(&node) {
            if self.now() >= limit.deadline {
                let seen = self.last_silence.remove(&node).unwrap_or_else(|| "it was never asked".to_owned());
                let log = self.stderr_log(node, None);
                return Err(StartError::NeverAnswered { node, within: limit.within, seen, log });
            }
            self.pump(limit.deadline)?;
        }
        Ok(())
    }

    fn await_ready(&mut self, limit: Limit) -> Result<(), StartError> {
        let mut seen = "it did not say what it waits for".to_owned();
        loop {
            let answer = self.ask_whether_ready(limit.deadline);
            let missing = loop {
                match answer.try_recv() {
                    Ok(Ok(())) => return Ok(()),
                    Ok(Err(missing)) => break Some(missing),
                    Err(TryRecvError::Disconnected) => break Some("the driver panicked".to_owned()),
                    Err(TryRecvError::Empty) if self.now() >= limit.deadline => break None,
                    Err(TryRecvError::Empty) => self.pump(self.now() + LOOK_EVERY)?,
                }
            };
            seen = missing.unwrap_or(seen);
            if self.now() >= limit.deadline {
                return Err(StartError::NotReady { within: limit.within, seen });
            }
            let again_at = self.now() + ASK_AGAIN_AFTER;
            while self.now() < again_at {
                self.pump(again_at)?;
            }
        }
    }

    /// Asks the driver in the background. The question ends with the deadline; a channel that closes without an answer means a
    /// panic.
    fn ask_whether_ready(&self, deadline: RunNanos) -> Receiver<Result<(), String>> {
        let (answer, answers) = channel();
        let (driver, patience) = (Arc::clone(&self.driver), deadline.since(self.now()));
        self.runtime.spawn(async move {
            let ready = match tokio::time::timeout(patience, driver.ready()).await {
                Ok(ready) => ready,
                Err(_) => Err("nobody could say in time whether it is".to_owned()),
            };
            // Nobody listens any more when the start has failed meanwhile.
            let _ = answer.send(ready);
        });
        answers
    }

    /// Takes in one event, or lets time pass until then; the ends of processes and of patience are errors.
    fn pump(&mut self, until: RunNanos) -> Result<(), StartError> {
        match self.next_event(until)?.1 {
            Event::Node { node, life: NodeLife::Exited { code, signal, .. } } => {
                Err(StartError::Exited { node, how: how(code, signal), log: self.stderr_log(node, None) })
            }
            Event::Node { node, life: NodeLife::ProcessExited { process, code, signal, .. } } => {
                let log = self.stderr_log(node, Some(&process));
                Err(StartError::ProcessExited { node, process, how: how(code, signal), log })
            }
            Event::Interrupt { why } => Err(StartError::Interrupted { why }),
            Event::Tick
            | Event::Observed(_)
            | Event::Completed(_)
            | Event::Compared { .. }
            | Event::FaultDone(_)
            | Event::Node {
                life: NodeLife::Started { .. } | NodeLife::Ready | NodeLife::ProcessStarted { .. }, ..
            }
            | Event::Conclude { .. } => Ok(()),
        }
    }

    /// Starts one node and records its start.
    pub(crate) fn start_node(&mut self, node: NodeId) -> Result<Result<(), ProcessError>, WorldError> {
        self.release(node);
        let leftovers = self.nodes[node.index()].end_leftovers();
        if leftovers > 0 {
            self.remark(format!(
                "{node} had left {leftovers} processes behind; they were ended before it was started again"
            ))?;
        }
        self.take_further_endings(node)?;
        self.kill_confirmed(node, self.clock.now())?;
        let ended = self.end_message(node);
        let data = self.nodes[node.index()].data();
        let launch = match self.members_to_join(node) {
            None => self.driver.launch(node, &data),
            Some(members) => match self.driver.launch_joining(node, &data, &members) {
                Ok(launch) => launch,
                Err(why) => return Ok(Err(ProcessError::Join { node, why })),
            },
        };
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

    fn stderr_log(&self, node: NodeId, process: Option<&str>) -> PathBuf {
        let name = process.map_or_else(|| "stderr.log".to_owned(), |process| format!("{process}.stderr.log"));
        self.directory.node(node).join(name)
    }
}

fn how(code: Option<i32>, signal: Option<i32>) -> String {
    match (code, signal) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "nobody knows how".to_owned(),
    }
}
