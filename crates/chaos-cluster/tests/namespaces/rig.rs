//! A world of shell scripts: nodes that do what a case needs, and a driver that says what the case wants it to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chaos_cluster::{Clocks, Disks, RealWorld, RealWorldOptions, Recorder, RunClock, StartError};
use chaos_engine::{Command, Event, FaultChange, FaultCommand, World};
use chaos_history::{
    self as history, Action, Belief, ElectionRole, FaultEdge, FaultEvent, FaultId, FaultKind, Header, History, NodeId,
    NodeLife, OpPhase, OpResult, ProcessId, RunDir, RunNanos, Seed, Term,
};
use chaos_net::{FilterKind, Network, Star};
use chaos_plan::{Observe, ProcessTarget};
use chaos_systems::{Answer, Client, CommandLine, Driver, Launch, LaunchProcess, Preparation, ProbeError, Watch};
use futures::FutureExt;
use futures::future::BoxFuture;

/// Far more than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// How a node is to be started.
pub(crate) type Launches = Box<dyn Fn(NodeId, &Path) -> Launch + Send + Sync>;

/// Runs scripts, and answers for them.
pub(crate) struct Stub {
    pub(crate) launches: Launches,
    /// How many nodes are under test; the others are service nodes.
    pub(crate) nodes: usize,
    pub(crate) service: usize,
    pub(crate) after_start: fn(NodeId) -> Vec<Preparation>,
    pub(crate) one_by_one: bool,
    /// Nodes answer once this file of theirs exists; without one, at once.
    pub(crate) answers_once: Option<&'static str>,
    /// What the cluster still needs, by the name of a file that is awaited.
    pub(crate) ready_once: Option<&'static str>,
    /// Answers make no sense while this is set.
    pub(crate) nonsense: AtomicBool,
    /// Questions are held back while this is set.
    pub(crate) hold: AtomicBool,
    /// How many questions are held back.
    pub(crate) held: AtomicUsize,
    /// How many sessions were opened.
    pub(crate) opened: AtomicUsize,
    /// Every session that is open keeps a copy.
    pub(crate) alive: Arc<()>,
    /// Sessions can't be opened while this is set.
    pub(crate) refuses_sessions: AtomicBool,
}

/// What its process acquires is its own.
struct Session {
    _alive: Arc<()>,
}

impl Client for Session {
    fn invoke(&self, _node: NodeId, action: &Action) -> BoxFuture<'static, Answer> {
        let result = match action {
            Action::Acquire { key } if key == "answered" => OpResult::Acquired { token: Some(7) },
            Action::Release { .. } => OpResult::Released,
            _ => return std::future::pending().boxed(),
        };
        std::future::ready(Answer { phase: OpPhase::Ok(result), leader_hint: None }).boxed()
    }
}

impl Stub {
    /// Nodes that are started like this, with service nodes beside them.
    pub(crate) fn new(
        nodes: usize,
        service: usize,
        launches: impl Fn(NodeId, &Path) -> Launch + Send + Sync + 'static,
    ) -> Self {
        Self {
            launches: Box::new(launches),
            nodes,
            service,
            after_start: |_| Vec::new(),
            one_by_one: false,
            answers_once: None,
            ready_once: None,
            nonsense: AtomicBool::new(false),
            hold: AtomicBool::new(false),
            held: AtomicUsize::new(0),
            opened: AtomicUsize::new(0),
            alive: Arc::new(()),
            refuses_sessions: AtomicBool::new(false),
        }
    }

    /// Nodes of one process each.
    fn of_scripts(scripts: &[&str]) -> Self {
        let scripts: Vec<String> = scripts.iter().map(|&script| script.to_owned()).collect();
        Self::new(scripts.len(), 0, move |node, _| Launch {
            processes: vec![process("node", &scripts[node.index()])],
            ..Launch::default()
        })
    }
}

/// A shell that does this.
pub(crate) fn shell(script: &str) -> CommandLine {
    let arguments = vec!["-c".into(), script.into()];
    CommandLine { program: PathBuf::from("/bin/sh"), arguments, ..CommandLine::default() }
}

/// A process that is a shell.
pub(crate) fn process(name: &str, script: &str) -> LaunchProcess {
    LaunchProcess { name: name.to_owned(), command: shell(script) }
}

impl Driver for Stub {
    fn launch(&self, node: NodeId, data: &Path) -> Launch {
        (self.launches)(node, data)
    }

    fn after_start(&self, node: NodeId) -> Vec<Preparation> {
        (self.after_start)(node)
    }

    fn waits_for_the_one_before(&self, _node: NodeId) -> bool {
        self.one_by_one
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), String>> {
        let answer = match self.ready_once {
            Some(file) if !Path::new(file).exists() => Err(format!("there is no {file}")),
            Some(_) | None => Ok(()),
        };
        std::future::ready(answer).boxed()
    }

    fn observe(&self, node: NodeId) -> BoxFuture<'_, Result<Belief, ProbeError>> {
        async move {
            assert!(node.index() < self.nodes, "a service node is never asked");
            if self.answers_once.is_some_and(|file| !Path::new(&format!("{file}{node}")).exists()) {
                return Err(ProbeError::Silent("not yet".to_owned()));
            }
            if self.nonsense.load(Ordering::SeqCst) {
                return Err(ProbeError::Garbage("`role` is `boss`".to_owned()));
            }
            if self.hold.load(Ordering::SeqCst) {
                self.held.fetch_add(1, Ordering::SeqCst);
                while self.hold.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            let leader = Some(NodeId::new(1));
            Ok(Belief {
                term: Term(1),
                role: ElectionRole::Follower,
                leader,
                voted_for: None,
                commit: None,
                lease_remaining_ns: None,
            })
        }
        .boxed()
    }

    fn watch(&self, _node: NodeId) -> Option<BoxFuture<'_, Result<Watch, ProbeError>>> {
        None
    }

    fn session(&self, _process: ProcessId) -> Option<Result<Arc<dyn Client>, String>> {
        if self.refuses_sessions.load(Ordering::SeqCst) {
            return Some(Err("no place for it".to_owned()));
        }
        self.opened.fetch_add(1, Ordering::SeqCst);
        Some(Ok(Arc::new(Session { _alive: Arc::clone(&self.alive) })))
    }

    /// A key says what becomes of its operation.
    fn invoke(&self, _node: NodeId, action: &Action) -> BoxFuture<'static, Answer> {
        let key = action.key().to_owned();
        async move {
            match key.as_str() {
                "answered" => Answer {
                    phase: OpPhase::Ok(OpResult::Read { value: None, revision: None }),
                    leader_hint: Some(NodeId::new(1)),
                },
                "panics" => panic!("the driver's defect, on purpose"),
                _ => std::future::pending().await,
            }
        }
        .boxed()
    }
}

/// A world and what a case wants to know of it.
pub(crate) struct Rig {
    pub(crate) world: RealWorld,
    pub(crate) driver: Arc<Stub>,
    pub(crate) clock: RunClock,
    pub(crate) directory: RunDir,
    faults: u32,
}

impl Rig {
    /// Nodes that run these scripts, not started yet, with their run directory in here.
    pub(crate) fn new(root: &Path, scripts: &[&str]) -> Self {
        Self::of(root, Stub::of_scripts(scripts))
    }

    /// The same with a driver.
    pub(crate) fn of(root: &Path, driver: Stub) -> Self {
        Self::made(root, driver, Disks::Sound, None)
    }

    /// The same on disks that can be spoilt.
    pub(crate) fn on(disks: Disks, root: &Path, driver: Stub) -> Self {
        Self::made(root, driver, disks, None)
    }

    /// The same whose nodes have clocks that can be moved.
    pub(crate) fn with_clocks(root: &Path, driver: Stub, clocks: Option<Clocks>) -> Self {
        Self::made(root, driver, Disks::Sound, clocks)
    }

    fn made(root: &Path, driver: Stub, disks: Disks, clocks: Option<Clocks>) -> Self {
        let (nodes, service) = (driver.nodes, driver.service);
        let directory = RunDir::create(&root.join("run")).unwrap();
        for node in NodeId::all(nodes + service) {
            std::fs::create_dir(directory.node(node)).unwrap();
        }
        let header = Header {
            chaos_history: history::format::VERSION,
            simulated: None,
            workload: "test".to_owned(),
            system: "stub".to_owned(),
            nodes,
            seed: Seed(1),
            started: "2026-01-01T00:00:00Z".to_owned(),
            chaos: "0".to_owned(),
            testimony: chaos_history::Testimony::default(),
        };
        let driver = Arc::new(driver);
        let clock = RunClock::start();
        let options = RealWorldOptions {
            capture: None,
            clocks,
            watch: None,
            clock,
            network: Network::Star(Box::new(Star::build(nodes + service, FilterKind::Nftables).unwrap())),
            driver: Arc::clone(&driver) as Arc<dyn Driver>,
            recorder: Recorder::create(&directory.history(), &header).unwrap(),
            directory: directory.clone(),
            nodes,
            service,
            seed: Seed(1),
            observe: Observe { every: Duration::from_millis(2), timeout: LONG },
            disks,
        };
        Self { world: RealWorld::new(options).unwrap(), driver, clock, directory, faults: 0 }
    }

    pub(crate) fn try_start_within(&mut self, within: Duration) -> Result<(), StartError> {
        self.world.start_nodes(within)
    }

    pub(crate) fn try_start(&mut self) -> Result<(), StartError> {
        self.world.start_nodes(LONG)
    }

    /// A world whose nodes run.
    pub(crate) fn started(scripts: &[&str]) -> Self {
        let mut rig = Self::new(Path::new("/tmp"), scripts);
        rig.try_start().unwrap();
        rig
    }

    /// The next event that the case looks for.
    pub(crate) fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(RunNanos, &Event) -> Option<T>) -> T {
        let give_up = self.clock.now() + LONG;
        loop {
            let (at, event) = self.world.next_event(give_up).unwrap();
            if let Some(found) = wanted(at, &event) {
                return found;
            }
            assert!(self.clock.now() < give_up, "{what}: not within {LONG:?}");
        }
    }

    /// Commands a fault without waiting for it.
    pub(crate) fn command(&mut self, edge: FaultEdge, change: FaultChange, nodes: &[u16]) -> RunNanos {
        self.command_one(edge, change, nodes, None)
    }

    fn command_one(
        &mut self,
        edge: FaultEdge,
        change: FaultChange,
        nodes: &[u16],
        process: Option<ProcessTarget>,
    ) -> RunNanos {
        let kind = match change {
            FaultChange::Kill(_) | FaultChange::Restart => FaultKind::Kill,
            FaultChange::Pause | FaultChange::Resume => FaultKind::Pause,
            FaultChange::Cut(_) => FaultKind::Partition,
            FaultChange::Freeze(_) | FaultChange::Thaw(_) => FaultKind::FreezeHost,
            FaultChange::LosePower { .. } => FaultKind::PowerLoss,
            FaultChange::Corrupt { .. } => FaultKind::CorruptFile,
            FaultChange::Transfer { .. } => FaultKind::Transfer,
            FaultChange::RemoveMember | FaultChange::AddMember => FaultKind::RemoveMember,
            FaultChange::Hinder(_) | FaultChange::Relax => FaultKind::Slow,
        };
        // A hindrance is taken back by its own number, all else by what it hit.
        if change != FaultChange::Relax {
            self.faults += 1;
        }
        let scheduled = self.clock.now();
        let nodes = nodes.iter().map(|&number| NodeId::new(number)).collect();
        let (id, label, links) = (FaultId(self.faults), "test".to_owned(), Vec::new());
        let command = FaultCommand {
            id,
            edge,
            change,
            kind,
            label,
            nodes,
            process,
            links,
            leader: None,
            scheduled,
            source: None,
        };
        self.world.execute(Command::Fault(command)).unwrap();
        scheduled
    }

    /// The answer to a fault command, with its stamps checked.
    pub(crate) fn answer(&mut self) -> FaultEvent {
        let wanted = FaultId(self.faults);
        let event = self.until("the fault's answer", |_, event| match event {
            Event::FaultDone(event) if event.id == wanted => Some(event.clone()),
            _ => None,
        });
        let stamps = event.stamps;
        assert!(stamps.scheduled <= stamps.call_begin && stamps.call_begin <= stamps.call_end, "{stamps:?}");
        assert!(
            stamps.effect.is_none_or(|effect| stamps.call_begin <= effect && effect <= self.clock.now()),
            "{stamps:?}"
        );
        event
    }

    pub(crate) fn fault(&mut self, change: FaultChange, nodes: &[u16]) -> FaultEvent {
        self.fault_of(change, nodes, None)
    }

    /// The same of one process, and of its children too if the name ends in `+`.
    pub(crate) fn fault_of(&mut self, change: FaultChange, nodes: &[u16], process: Option<&str>) -> FaultEvent {
        let edge = match change {
            FaultChange::Kill(_)
            | FaultChange::Pause
            | FaultChange::Cut(_)
            | FaultChange::Freeze(_)
            | FaultChange::LosePower { .. }
            | FaultChange::Corrupt { .. }
            | FaultChange::Transfer { .. }
            | FaultChange::RemoveMember
            | FaultChange::Hinder(_) => FaultEdge::Begin,
            FaultChange::Restart
            | FaultChange::Resume
            | FaultChange::Thaw(_)
            | FaultChange::AddMember
            | FaultChange::Relax => FaultEdge::End,
        };
        let process = process.map(|name| ProcessTarget {
            name: name.trim_end_matches('+').to_owned(),
            with_children: name.ends_with('+'),
        });
        self.command_one(edge, change, nodes, process);
        self.answer()
    }

    /// The end of a node's main process.
    pub(crate) fn exit_of(&mut self, number: u16) -> NodeLife {
        self.until("the node's end", |_, event| match event {
            Event::Node { node, life } if *node == NodeId::new(number) && matches!(life, NodeLife::Exited { .. }) => {
                Some(life.clone())
            }
            _ => None,
        })
    }

    pub(crate) fn history(&self) -> History {
        History::read(&self.directory.history()).unwrap()
    }

    /// The process ids under which a node was started, in order.
    pub(crate) fn pids_of(&self, number: u16) -> Vec<i32> {
        let lives = self.history().events.into_iter().filter_map(|recorded| match recorded.event {
            history::Event::Node(event) if event.node == NodeId::new(number) => Some(event.life),
            _ => None,
        });
        lives
            .filter_map(|life| match life {
                NodeLife::Started { pid } => Some(i32::try_from(pid).unwrap()),
                NodeLife::Ready
                | NodeLife::Exited { .. }
                | NodeLife::ProcessStarted { .. }
                | NodeLife::ProcessExited { .. } => None,
            })
            .collect()
    }

    /// What a node's further processes went through, in order: `+NAME` for a start, `-NAME` for an end that was meant, `!NAME` for
    /// one that was not.
    pub(crate) fn further_of(&self, number: u16) -> Vec<String> {
        let lives = self.history().events.into_iter().filter_map(|recorded| match recorded.event {
            history::Event::Node(event) if event.node == NodeId::new(number) => Some(event.life),
            _ => None,
        });
        let told = lives.filter_map(|life| match life {
            NodeLife::ProcessStarted { process, .. } => Some(format!("+{process}")),
            NodeLife::ProcessExited { process, expected: true, .. } => Some(format!("-{process}")),
            NodeLife::ProcessExited { process, expected: false, .. } => Some(format!("!{process}")),
            NodeLife::Started { .. } | NodeLife::Ready | NodeLife::Exited { .. } => None,
        });
        told.collect()
    }

    /// A file of a node's.
    pub(crate) fn file(&self, number: u16, name: &str) -> String {
        std::fs::read_to_string(self.directory.node(NodeId::new(number)).join(name)).unwrap()
    }

    /// The remarks of the history, in one text.
    pub(crate) fn remarks(&self) -> String {
        let notes = self.history().events.into_iter().filter_map(|recorded| match recorded.event {
            history::Event::Note(note) => Some(note.text),
            _ => None,
        });
        notes.collect::<Vec<_>>().join("\n")
    }
}

/// The states of all processes but the init, this one and zombies: one letter each, by process id.
pub(crate) fn states() -> Vec<(i32, char)> {
    let own = nix::unistd::getpid().as_raw();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|&pid| pid != 1 && pid != own)
        .filter_map(|pid: i32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let state = stat.rsplit_once(')')?.1.trim_start().chars().next()?;
            (!matches!(state, 'Z' | 'X')).then_some((pid, state))
        })
        .collect()
}
