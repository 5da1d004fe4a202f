//! The cluster that a definition is tried on: asked, killed and started again, and always taking in what happens meanwhile.

use std::collections::BTreeSet;
use std::fs;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chaos_cluster::{RealWorld, StartError, WorldError};
use chaos_engine::{Command, Event, FaultChange, FaultCommand, World};
use chaos_history::{FaultEdge, FaultId, FaultKind, NodeId, NodeLife, RunDir, RunNanos};
use chaos_plan::definition::{DefinedSystem, SystemDefinition};
use chaos_systems::{DefinedDriver, Examined, Misunderstood, ProbeError};

use super::findings::{Findings, in_one_line};
use super::views::Views;

/// How long one question of an observer may take.
const QUESTION_WITHIN: Duration = Duration::from_secs(2);
/// How long a system is left alone between two looks at all nodes.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// How many lines of a log are shown.
const LOG_LINES: usize = 6;
/// How much of each log is read for them.
const LOG_BYTES: usize = 16 << 10;

/// Why a trial can't go on: nothing that the definition could mend.
pub(super) enum Abort {
    /// The harness failed.
    World(WorldError),
    /// The user gave up.
    Interrupted(String),
}

impl From<WorldError> for Abort {
    fn from(error: WorldError) -> Self {
        Self::World(error)
    }
}

/// What has happened while something else was waited for.
#[derive(Debug, Default)]
struct Happened {
    /// Ends that nobody had asked for: at which node, and how.
    exits: Vec<(NodeId, String)>,
    /// Nodes that have answered since they were started last.
    ready: BTreeSet<NodeId>,
    /// The end of the last fault command: its error, if it had one.
    fault: Option<Option<String>>,
    interrupted: Option<String>,
}

impl Happened {
    fn take_in(&mut self, event: Event) {
        match event {
            Event::Node { node, life } => match life {
                NodeLife::Exited { code, signal, expected: false } => {
                    self.exits.push((node, format!("its main process ended by itself ({})", how(code, signal))));
                }
                NodeLife::ProcessExited { process, code, signal, expected: false } => {
                    self.exits.push((node, format!("its process `{process}` ended by itself ({})", how(code, signal))));
                }
                NodeLife::Ready => {
                    self.ready.insert(node);
                }
                NodeLife::Started { .. } => {
                    self.ready.remove(&node);
                }
                NodeLife::ProcessStarted { .. }
                | NodeLife::Exited { expected: true, .. }
                | NodeLife::ProcessExited { expected: true, .. } => {}
            },
            Event::FaultDone(done) => self.fault = Some(done.error),
            Event::Interrupt { why } => self.interrupted = Some(why),
            Event::Tick
            | Event::Observed(_)
            | Event::Completed(_)
            | Event::Compared { .. }
            | Event::Conclude { .. } => {}
        }
    }
}

fn how(code: Option<i32>, signal: Option<i32>) -> String {
    match (code, signal) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "nobody knows how".to_owned(),
    }
}

/// A cluster under trial.
pub(super) struct Trial {
    world: RealWorld,
    pub(super) driver: Arc<DefinedDriver>,
    pub(super) system: DefinedSystem,
    nodes: usize,
    directory: RunDir,
    /// How long a start or a failover may take.
    pub(super) within: Duration,
    /// How long a cluster that is up may take to agree on something.
    pub(super) settle: Duration,
    pub(super) findings: Findings,
    happened: Happened,
}

impl Trial {
    /// A trial on this world, whose nodes are not started yet.
    pub(super) fn new(
        world: RealWorld,
        driver: Arc<DefinedDriver>,
        system: DefinedSystem,
        nodes: usize,
        directory: RunDir,
        within: Duration,
    ) -> Self {
        let timeout = system.timing().map_or(Duration::ZERO, |timing| timing.election_timeout.max);
        let settle = (3 * timeout).max(Duration::from_secs(10)).min(within);
        let (findings, happened) = (Findings::default(), Happened::default());
        Self { world, driver, system, nodes, directory, within, settle, findings, happened }
    }

    /// The definition.
    pub(super) fn definition(&self) -> &SystemDefinition {
        &self.system.definition
    }

    /// All nodes under test.
    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        NodeId::all(self.nodes)
    }

    /// The run's time.
    pub(super) fn now(&self) -> RunNanos {
        self.world.now()
    }

    /// Brings the cluster up.
    pub(super) fn start(&mut self) -> Result<(), StartError> {
        self.world.interrupt_on_signals(None)?;
        self.world.start_nodes(self.within)
    }

    /// Does something where observers and clients work; `None` if it was not through in time.
    pub(super) fn beside<T: Send + 'static>(
        &mut self,
        work: impl Future<Output = T> + Send + 'static,
        within: Duration,
    ) -> Result<Option<T>, Abort> {
        let happened = &mut self.happened;
        let done = self.world.beside(work, within, &mut |event| happened.take_in(event))?;
        match self.happened.interrupted.take() {
            Some(why) => Err(Abort::Interrupted(why)),
            None => Ok(done),
        }
    }

    /// Lets time pass.
    pub(super) fn pause(&mut self, time: Duration) -> Result<(), Abort> {
        self.beside(std::future::pending::<()>(), time).map(drop)
    }

    /// Asks these nodes at the same time.
    pub(super) fn ask(&mut self, observer: usize, nodes: &[NodeId]) -> Result<Views, Abort> {
        let (driver, nodes) = (Arc::clone(&self.driver), nodes.to_vec());
        let asked = nodes.clone();
        let work = async move {
            let mut tasks = Vec::new();
            for &node in &asked {
                let driver = Arc::clone(&driver);
                let question = async move { driver.examine(observer, node).await };
                tasks.push(tokio::spawn(tokio::time::timeout(QUESTION_WITHIN, question)));
            }
            let mut views = Vec::new();
            for task in tasks {
                views.push(task.await.ok().and_then(Result::ok));
            }
            views
        };
        let answers = self.beside(work, 2 * QUESTION_WITHIN)?.unwrap_or_default();
        let answers = answers.into_iter().chain(std::iter::repeat(None));
        Ok(nodes.into_iter().zip(answers).map(|(node, answer)| (node, answer.unwrap_or_else(late))).collect())
    }

    /// Asks again and again until `complaint` has nothing to say or time is up; the last answers, and what is wrong with them.
    pub(super) fn ask_until<C>(
        &mut self,
        observer: usize,
        nodes: &[NodeId],
        within: Duration,
        mut complaint: impl FnMut(&Views) -> Option<C>,
    ) -> Result<(Views, Option<C>), Abort> {
        let give_up = self.now() + within;
        loop {
            let views = self.ask(observer, nodes)?;
            let wrong = complaint(&views);
            if wrong.is_none() || self.now() >= give_up {
                return Ok((views, wrong));
            }
            self.pause(LOOK_AGAIN_AFTER)?;
        }
    }

    /// Kills a node, or starts it again. What went wrong with that, if something did.
    pub(super) fn fault(&mut self, node: NodeId, change: FaultChange) -> Result<Option<String>, Abort> {
        let edge = if change == FaultChange::Restart { FaultEdge::End } else { FaultEdge::Begin };
        self.happened.fault = None;
        let command = FaultCommand {
            id: FaultId(1),
            edge,
            change,
            kind: FaultKind::Kill,
            label: "kill: leader".to_owned(),
            nodes: vec![node],
            process: None,
            links: Vec::new(),
            leader: None,
            scheduled: self.now(),
            source: None,
        };
        self.world.execute(Command::Fault(command))?;
        let give_up = self.now() + self.within;
        while self.happened.fault.is_none() && self.now() < give_up {
            self.pause(LOOK_AGAIN_AFTER)?;
        }
        Ok(self.happened.fault.take().unwrap_or_else(|| Some("it was not confirmed in time".to_owned())))
    }

    /// Waits until a node that was started answers. Whether it does.
    pub(super) fn answers_again(&mut self, node: NodeId) -> Result<bool, Abort> {
        let give_up = self.now() + self.within;
        while !self.happened.ready.contains(&node) {
            if self.now() >= give_up || self.happened.exits.iter().any(|(ended, _)| *ended == node) {
                return Ok(false);
            }
            self.pause(LOOK_AGAIN_AFTER)?;
        }
        Ok(true)
    }

    /// Ends that nobody had asked for.
    pub(super) fn take_exits(&mut self) -> Vec<(NodeId, String)> {
        std::mem::take(&mut self.happened.exits)
    }

    /// On which ports something listens at a node; none if nobody can tell.
    pub(super) fn listening(&self, node: NodeId) -> BTreeSet<u16> {
        self.world.listening(node).unwrap_or_default()
    }

    /// The last lines of a node's logs, each log with its name.
    pub(super) fn last_words(&self, node: NodeId) -> String {
        last_words(node, &self.directory.node(node))
    }

    /// Ends the cluster and gives back what was found.
    pub(super) fn finish(self) -> Result<Findings, WorldError> {
        let Self { world, findings, .. } = self;
        world.finish()?;
        Ok(findings)
    }
}

fn late() -> Examined {
    let error = ProbeError::Silent(format!("not within {QUESTION_WITHIN:?}"));
    Examined { raw: None, status: None, identity: None, named: None, belief: Err(Misunderstood { key: None, error }) }
}

fn last_words(node: NodeId, directory: &Path) -> String {
    let Ok(entries) = fs::read_dir(directory) else { return String::new() };
    let mut logs: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log") && path.is_file());
    logs.sort();
    let mut text = String::new();
    for log in logs {
        let bytes = fs::read(&log).unwrap_or_default();
        let tail = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(LOG_BYTES)..]).into_owned();
        let lines: Vec<&str> = tail.lines().filter(|line| !line.trim().is_empty()).collect();
        if lines.is_empty() {
            continue;
        }
        let name = log.file_name().unwrap_or_default().to_string_lossy().into_owned();
        text.push_str(&format!("  the last words of {node}, {}:\n", in_one_line(&name)));
        for line in &lines[lines.len().saturating_sub(LOG_LINES)..] {
            let line: String = line.chars().take(400).collect();
            text.push_str(&format!("    {}\n", in_one_line(&line)));
        }
    }
    text
}
