//! A system that a definition describes, as a [`Driver`]: templates rendered, programs found, observers asked.
//!
//! Everything that can fail because of the definition or the host fails in [`DefinedDriver::new`], before a node is started: a
//! program that is nowhere or of another version, a template that can't be rendered for some node, an unknown option of the client.
//! Afterwards only nodes can misbehave, and that is what runs are for.

mod belief;
mod change;
mod examine;
mod outfit;
mod programs;
mod render;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chaos_history::{Action, Belief, NodeId, OpPhase, ProcessId, ReplicaState, Seed, Value};
use chaos_plan::definition::{Ask, Comparer, DefinedSystem, EvaluateError, Observer, Ready, Scope};
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};

use self::belief::{Identities, Shown};
use self::change::Changing;
use crate::access::{Addresses, Enter, Views};
use crate::client::ClientSetup;
use crate::driver::{
    Answer, Change, Client, Driver, Launch, ObserverFacts, Preparation, ProbeError, Told, Unchanged, Watch,
};
use crate::probe::{LogTail, Means, Reply, Taken};

pub use examine::{Examined, Misunderstood};
pub use programs::{Programs, cache, is_program, on_path};

/// What a driver of a defined system is made of.
pub struct DefinedSetup {
    /// The system as the workload wants it.
    pub system: DefinedSystem,
    /// How many nodes are under test.
    pub nodes: usize,
    /// Every node's address: those under test, then the service nodes.
    pub addresses: Vec<Ipv4Addr>,
    /// What nodes are told of each other's addresses, if not the same for all.
    pub views: Option<Views>,
    /// Every node's directory, absolute.
    pub directories: Vec<PathBuf>,
    /// A directory with a short path that ends with the run; each node gets one in it.
    pub run: PathBuf,
    /// Where installed systems lie, see [`cache`].
    pub cache: PathBuf,
    /// The run's seed.
    pub seed: Seed,
    /// Where what locks protect answers.
    pub resource: SocketAddr,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// Puts a command into a node's namespaces.
    pub enter: Enter,
    /// Tells the addresses of a node's interfaces.
    pub addresses_of: Addresses,
}

/// Why a defined system can't be run here.
#[derive(Debug, thiserror::Error)]
pub enum DefinedError {
    /// A program is nowhere.
    #[error(
        "{system} needs the program `{program}`, which is neither installed nor on the PATH: {remedy}{}",
        untried(.untested)
    )]
    Missing {
        /// The system.
        system: String,
        /// The program.
        program: String,
        /// What to do.
        remedy: String,
        /// Why nobody has tried the definition, if nobody has; it may be why the program is not there.
        untested: Option<String>,
    },
    /// What the user named is no program.
    #[error("{} is no program that can be run as `{program}`", path.display())]
    NoProgram {
        /// The program.
        program: String,
        /// The path.
        path: PathBuf,
    },
    /// A program doesn't tell its version.
    #[error("ask `{program}` for its version: {why}")]
    NoVersion {
        /// The program.
        program: String,
        /// What happened instead.
        why: String,
    },
    /// A program is of another version than the workload wants.
    #[error("{} is version {found} of `{program}`, but {wanted} is wanted: {remedy}", path.display())]
    WrongVersion {
        /// The program.
        program: String,
        /// Its path.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What the workload or the definition says.
        wanted: String,
        /// What to do.
        remedy: String,
    },
    /// Something in the definition has no value for some node.
    #[error("{system}, {node}: {why}")]
    Unrendered {
        /// The system.
        system: String,
        /// The node.
        node: NodeId,
        /// What is wrong.
        why: String,
    },
    /// The client or the HTTP library refuses.
    #[error("{system}: {why}")]
    Client {
        /// The system.
        system: String,
        /// What is wrong.
        why: String,
    },
}

fn untried(untested: &Option<String>) -> String {
    untested.as_ref().map_or_else(String::new, |why| format!("; nobody has tried this definition: {}", why.trim()))
}

/// An observer with what it keeps.
struct Asked {
    observer: Observer,
    tail: Option<LogTail>,
    shown: Shown,
}

/// Drives a cluster of a defined system.
pub struct DefinedDriver {
    members: usize,
    launches: Vec<Launch>,
    after_start: Vec<Vec<Preparation>>,
    observers: Vec<Asked>,
    /// Whether nodes are started one after the other: those under test, the service nodes.
    one_by_one: [bool; 2],
    ready: Vec<Ready>,
    compare: Option<Comparer>,
    changing: Changing,
    identities: Identities,
    means: Arc<Means>,
    /// How a session of its own is opened.
    sessions: Option<ClientSetup>,
    /// Program versions, for the report.
    versions: BTreeMap<String, String>,
    /// Those of nodes that run otherwise.
    versions_of_nodes: BTreeMap<NodeId, BTreeMap<String, String>>,
}

impl DefinedDriver {
    /// What the node wrote before is its word no more.
    fn forget_words(&self, node: NodeId) {
        for tail in self.observers.iter().filter_map(|asked| asked.tail.as_ref()) {
            if node.index() < self.members {
                tail.forget(node);
            }
        }
    }

    /// Finds the programs, renders everything, opens the client.
    ///
    /// # Errors
    /// If any of that can't be done.
    pub fn new(setup: DefinedSetup) -> Result<Self, DefinedError> {
        let outfits = outfit::outfits(&setup)?;
        let scope = outfits.all.scope;
        let definition = &setup.system.definition;
        let (mut whole, mut programs) = (Vec::new(), Vec::new());
        for index in 0..setup.addresses.len() {
            let own = outfits.of_nodes.get(&NodeId::from_index(index));
            whole.push(render::seen_by(own.map_or(&scope, |own| &own.scope), &setup, index));
            programs.push(own.map_or(&outfits.all.programs, |own| &own.programs).clone());
        }
        let scopes: Vec<_> = whole.iter().enumerate().map(|(index, scope)| scope.at(Some(index))).collect();
        let name = definition.name.clone();
        let (mut launches, mut after_start) = (Vec::new(), Vec::new());
        for (index, context) in scopes.iter().enumerate() {
            let service = definition.service.as_ref().map(|service| &service.part);
            let part = if index < setup.nodes { &definition.nodes } else { service.unwrap_or(&definition.nodes) };
            let is_first = index == 0 || index == setup.nodes;
            let directory = &setup.directories[index];
            let rendering = render::Rendering { part, context, programs: &programs[index], directory, is_first };
            let node = NodeId::from_index(index);
            let unrendered =
                |error: EvaluateError| DefinedError::Unrendered { system: name.clone(), node, why: error.to_string() };
            launches.push(rendering.launch().map_err(unrendered)?);
            after_start.push(rendering.preparations(&part.after_start).map_err(unrendered)?);
        }
        let changing = Changing::of(&setup, whole, &programs)?;
        let refused = |why: String| DefinedError::Client { system: name.clone(), why };
        let sessions = client_of(&setup, &scope).map_err(refused)?;
        let opened = sessions.as_ref().map(crate::client::open).transpose();
        let client = opened.map_err(|error| refused(error.to_string()))?;
        let http = crate::client::web::client(setup.connect_timeout).map_err(|error| refused(error.to_string()))?;
        let main_process = definition.nodes.processes[0].name.clone();
        let means = Arc::new(Means {
            addresses: setup.addresses.clone(),
            directories: setup.directories.clone(),
            scopes,
            http,
            enter: setup.enter,
            addresses_of: setup.addresses_of,
            taken: Taken::new(setup.addresses.len()),
            client,
            ports: definition.ports.clone(),
            programs,
        });
        let asked = |observer: &Observer| Asked {
            tail: tail_of(observer, &main_process, &setup.directories[..setup.nodes]),
            observer: observer.clone(),
            shown: Shown::default(),
        };
        Ok(Self {
            members: setup.nodes,
            launches,
            after_start,
            observers: definition.observers.iter().map(asked).collect(),
            one_by_one: [
                definition.nodes.one_by_one,
                definition.service.as_ref().is_some_and(|service| service.part.one_by_one),
            ],
            ready: definition.ready.clone(),
            compare: definition.compare.clone(),
            changing,
            identities: Identities::new(&setup.addresses, setup.views.as_ref()),
            means,
            sessions,
            versions: outfits.all.versions,
            versions_of_nodes: outfits.of_nodes.into_iter().map(|(node, own)| (node, own.versions)).collect(),
        })
    }

    /// The versions that the programs tell of themselves.
    #[must_use]
    pub fn versions(&self) -> &BTreeMap<String, String> {
        &self.versions
    }

    /// Those that the programs of single nodes tell, of nodes that run otherwise than the others.
    #[must_use]
    pub fn versions_of_nodes(&self) -> &BTreeMap<NodeId, BTreeMap<String, String>> {
        &self.versions_of_nodes
    }

    /// Asks a node by one of the observers, the first of which decides.
    async fn ask(&self, index: usize, node: NodeId) -> Result<Told, ProbeError> {
        let first = self.ask_once(index, node).await?;
        if !self.observers[index].observer.confirm {
            return Ok(first);
        }
        let second = self.ask_once(index, node).await?;
        // What is left of a lease is less the second time.
        let timeless = |told: &Told| Told {
            belief: Belief { lease_remaining_ns: None, ..told.belief.clone() },
            stranger: told.stranger.clone(),
        };
        if timeless(&first) == timeless(&second) {
            Ok(second)
        } else {
            Err(ProbeError::Silent("its view moved while it was asked".to_owned()))
        }
    }

    async fn ask_once(&self, index: usize, node: NodeId) -> Result<Told, ProbeError> {
        let Asked { observer, tail, shown } = &self.observers[index];
        let reply = self.means.ask(node, &observer.ask, observer.pattern.as_ref(), tail.as_ref()).await?;
        let told = self.means.context(node, &reply, observer.pattern.as_ref()).and_then(|context| {
            let belief = belief::belief(observer, node, self.members, &context, &self.identities, shown);
            let belief = belief.map_err(|error| quoting(&reply, error))?;
            let stranger = match belief.leader {
                Some(_) => None,
                None => belief::named(observer.leader.as_ref(), &context)?,
            };
            Ok(Told { belief, stranger: stranger.map(|name| self.identities.stranger(&name)) })
        });
        told.map_err(|error| with_status(observer, &reply, error))
    }

    /// Whether one condition holds of every node; otherwise what is missing.
    async fn is_ready(&self, condition: &Ready) -> Result<(), String> {
        for node in NodeId::all(self.members) {
            let seen = |why: String| format!("{node}: {why}");
            match condition {
                Ready::Observed { observer, that } => {
                    let named = |asked: &&Asked| asked.observer.name == *observer;
                    let Asked { observer, tail, .. } =
                        self.observers.iter().find(named).expect("definitions name observers that they have");
                    let pattern = observer.pattern.as_ref();
                    let reply = self.means.ask(node, &observer.ask, pattern, tail.as_ref()).await;
                    let reply = reply.map_err(|error| seen(error.to_string()))?;
                    let context = self.means.context(node, &reply, pattern).map_err(|error| seen(error.to_string()))?;
                    let met = that.value(&context).map_err(|error| seen(error.to_string()))?;
                    if !met.is_true() {
                        return Err(seen(format!("`{}` of observer `{}` is not met", that.text(), observer.name)));
                    }
                }
                Ready::Exec { run } => {
                    let ask = Ask::Exec { run: run.clone() };
                    let reply =
                        self.means.ask(node, &ask, None, None).await.map_err(|error| seen(error.to_string()))?;
                    if reply.status != Some(0) {
                        return Err(seen(format!("exit code {:?}: {}", reply.status, reply.text.trim())));
                    }
                }
                Ready::Write => return self.can_write().await,
            }
        }
        Ok(())
    }

    /// Whether any node acknowledges a write.
    async fn can_write(&self) -> Result<(), String> {
        let Some(client) = &self.means.client else { return Err("the definition has no client".to_owned()) };
        let mut seen = String::new();
        for node in NodeId::all(self.members) {
            let action = Action::Write { key: "ready".to_owned(), value: Value(1) };
            let answer = tokio::time::timeout(Duration::from_secs(2), client.invoke(node, &action)).await;
            match answer.map(|answer| answer.phase) {
                Ok(OpPhase::Ok(_)) => return Ok(()),
                Ok(phase) => seen = format!("{node} answers a write with {phase:?}"),
                Err(_) => seen = format!("{node} does not answer a write"),
            }
        }
        Err(seen)
    }
}

/// Why an answer is no view: an HTTP status that refuses the question comes first, since what else is wrong follows from it.
fn with_status(observer: &Observer, reply: &Reply, error: ProbeError) -> ProbeError {
    match (&observer.ask, reply.status, error) {
        (Ask::Http { method, path, .. }, Some(status @ 400..), ProbeError::Garbage(why)) => {
            ProbeError::Garbage(format!("{method} {} answered {status}: {why}", path.text()))
        }
        (_, _, error) => error,
    }
}

/// What makes no sense, with the beginning of the answer that it was made of.
fn quoting(reply: &Reply, error: ProbeError) -> ProbeError {
    match error {
        ProbeError::Garbage(why) => {
            let plain = |c: char| if c.is_control() { ' ' } else { c };
            let begin: String = reply.text.trim().chars().take(120).map(plain).collect();
            ProbeError::Garbage(format!("{why}; the answer begins `{begin}`"))
        }
        ProbeError::Silent(_) | ProbeError::WrongNode { .. } => error,
    }
}

/// Where an observer that reads a log stands in it.
fn tail_of(observer: &Observer, main_process: &str, directories: &[PathBuf]) -> Option<LogTail> {
    match &observer.ask {
        Ask::Log { process, stderr } => {
            let stream = if *stderr { "stderr.log" } else { "stdout.log" };
            let name = if process == main_process { stream.to_owned() } else { format!("{process}.{stream}") };
            Some(LogTail::new(name, directories))
        }
        Ask::Http { .. }
        | Ask::Prometheus { .. }
        | Ask::Tcp { .. }
        | Ask::Resp { .. }
        | Ask::UnixJsonRpc { .. }
        | Ask::Exec { .. }
        | Ask::Address { .. }
        | Ask::Client { .. } => None,
    }
}

fn client_of(setup: &DefinedSetup, scope: &Scope) -> Result<Option<ClientSetup>, String> {
    let definition = &setup.system.definition;
    let Some(client) = &definition.client else { return Ok(None) };
    let context = scope.at(None);
    let options = render::client_options(&setup.system, &context).map_err(|error| error.to_string())?;
    let program = client.program.iter().map(|word| word.render(&context)).collect::<Result<_, _>>();
    let port = client.port.as_ref().map_or(0, |port| definition.ports[port]);
    Ok(Some(ClientSetup {
        driver: client.driver.clone(),
        endpoints: setup.addresses[..setup.nodes].iter().map(|&ip| (ip, port).into()).collect(),
        options,
        http: client.http.clone(),
        program: program.map_err(|error| error.to_string())?,
        nodes: setup.nodes,
        scope: scope.clone(),
        connect_timeout: setup.connect_timeout,
        seed: setup.seed,
    }))
}

impl Driver for DefinedDriver {
    fn launch(&self, node: NodeId, _data: &Path) -> Launch {
        self.means.taken.restart(node);
        self.forget_words(node);
        self.launches[node.index()].clone()
    }

    fn launch_joining(&self, node: NodeId, data: &Path, members: &[NodeId]) -> Result<Launch, String> {
        let joining = self
            .changing
            .joining(node, members, &self.means.programs[node.index()])
            .map_err(|error| error.to_string())?;
        // What the process before it left behind is forgotten all the same.
        self.launch(node, data);
        Ok(joining)
    }

    fn change(&self, change: &Change) -> BoxFuture<'_, Result<(), Unchanged>> {
        self.tell(change.clone()).boxed()
    }

    fn resuming(&self, node: NodeId) {
        self.forget_words(node);
    }

    fn after_start(&self, node: NodeId) -> Vec<Preparation> {
        self.after_start[node.index()].clone()
    }

    fn waits_for_the_one_before(&self, node: NodeId) -> bool {
        self.one_by_one[usize::from(node.index() >= self.members)]
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), String>> {
        async move {
            for condition in self.ready.iter().filter(|condition| **condition != Ready::Write) {
                self.is_ready(condition).await?;
            }
            if let Some(client) = &self.means.client {
                client.prepare().await.map_err(|error| format!("prepare what clients need: {error}"))?;
            }
            if self.ready.contains(&Ready::Write) { self.can_write().await } else { Ok(()) }
        }
        .boxed()
    }

    fn observe(&self, node: NodeId) -> BoxFuture<'_, Result<Belief, ProbeError>> {
        self.ask(0, node).map_ok(|told| told.belief).boxed()
    }

    fn watch(&self, _node: NodeId) -> Option<BoxFuture<'_, Result<Watch, ProbeError>>> {
        None
    }

    fn observers(&self) -> Vec<ObserverFacts> {
        let facts = self.observers.iter().map(|Asked { observer, .. }| ObserverFacts {
            name: observer.name.clone(),
            of: observer.of,
            testimony: observer.testimony(),
            every: observer.every,
        });
        facts.collect()
    }

    fn observe_as(&self, observer: usize, node: NodeId) -> BoxFuture<'_, Result<Told, ProbeError>> {
        self.ask(observer, node).boxed()
    }

    fn compare(&self, node: NodeId) -> Option<BoxFuture<'static, Result<ReplicaState, ProbeError>>> {
        let (comparer, means) = (self.compare.clone()?, Arc::clone(&self.means));
        let ask = async move {
            let Comparer { ask, pattern, value, revision } = &comparer;
            let reply = means.ask(node, ask, pattern.as_ref(), None).await?;
            let context = means.context(node, &reply, pattern.as_ref())?;
            let told = value.value(&context).map_err(|error| ProbeError::Garbage(error.to_string()))?;
            if told.is_undefined() || told.is_none() {
                return Err(ProbeError::Garbage(format!("`{}` is nothing", value.text())));
            }
            let revision = revision.as_ref().map(|revision| belief::number(revision, &context)).transpose()?;
            Ok(ReplicaState { value: told.to_string(), revision })
        };
        Some(ask.boxed())
    }

    fn invoke(&self, node: NodeId, action: &Action) -> BoxFuture<'static, Answer> {
        match &self.means.client {
            Some(client) => client.invoke(node, action),
            None => {
                let error = "the system's definition has no client".to_owned();
                let phase = OpPhase::Fail { error };
                std::future::ready(Answer { phase, leader_hint: None }).boxed()
            }
        }
    }

    fn session(&self, process: ProcessId) -> Option<Result<Arc<dyn Client>, String>> {
        let setup = self.sessions.as_ref()?;
        // What a driver draws must not be the same in two sessions.
        let seed = Seed(setup.seed.0.wrapping_add(process.0).wrapping_add(1));
        let opened = crate::client::open(&ClientSetup { seed, ..setup.clone() });
        Some(opened.map_err(|error| error.to_string()))
    }
}
