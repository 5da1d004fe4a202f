//! A world of shell scripts: nodes that do what a case needs, and a driver that says what the case wants it to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chaos_cluster::{RealWorld, RealWorldOptions, Recorder, RunClock, StartError};
use chaos_engine::{Command, Event, FaultChange, FaultCommand, World};
use chaos_history::{
    self as history, Action, Belief, ElectionRole, FaultEdge, FaultEvent, FaultId, FaultKind, Header, History, NodeId,
    NodeLife, OpPhase, OpResult, RunDir, RunNanos, Seed, Term,
};
use chaos_net::{FilterKind, Star};
use chaos_plan::Observe;
use chaos_systems::{Answer, CommandLine, Driver, Launch, LaunchProcess, ProbeError, Watch};
use futures::FutureExt;
use futures::future::BoxFuture;

/// Far more than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// Runs scripts, and answers for them.
#[derive(Default)]
pub(crate) struct Stub {
    scripts: Vec<String>,
    /// Questions are held back while this is set.
    pub(crate) hold: AtomicBool,
    /// How many questions are held back.
    pub(crate) held: AtomicUsize,
}

impl Driver for Stub {
    fn launch(&self, node: NodeId, _data: &Path) -> Launch {
        let script = self.scripts[node.index()].clone();
        let arguments = vec!["-c".into(), script.into()];
        let command = CommandLine { program: PathBuf::from("/bin/sh"), arguments, ..CommandLine::default() };
        Launch { processes: vec![LaunchProcess { name: "node".to_owned(), command }], ..Launch::default() }
    }

    fn observe(&self, _node: NodeId) -> BoxFuture<'_, Result<Belief, ProbeError>> {
        async move {
            if self.hold.load(Ordering::SeqCst) {
                self.held.fetch_add(1, Ordering::SeqCst);
                while self.hold.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            let leader = Some(NodeId::new(1));
            Ok(Belief { term: Term(1), role: ElectionRole::Follower, leader, voted_for: None, commit: None })
        }
        .boxed()
    }

    fn watch(&self, _node: NodeId) -> Option<BoxFuture<'_, Result<Watch, ProbeError>>> {
        None
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
        let nodes = scripts.len();
        let directory = RunDir::create(&root.join("run")).unwrap();
        for node in NodeId::all(nodes) {
            std::fs::create_dir(directory.node(node)).unwrap();
        }
        let header = Header {
            chaos_history: history::format::VERSION,
            workload: "test".to_owned(),
            system: "stub".to_owned(),
            nodes,
            seed: Seed(1),
            started: "2026-01-01T00:00:00Z".to_owned(),
            chaos: "0".to_owned(),
            testimony: chaos_history::Testimony::default(),
        };
        let driver =
            Arc::new(Stub { scripts: scripts.iter().map(|&script| script.to_owned()).collect(), ..Stub::default() });
        let clock = RunClock::start();
        let options = RealWorldOptions {
            watch: None,
            clock,
            star: Star::build(nodes, FilterKind::Nftables).unwrap(),
            driver: Arc::clone(&driver) as Arc<dyn Driver>,
            recorder: Recorder::create(&directory.history(), &header).unwrap(),
            directory: directory.clone(),
            nodes,
            observe: Observe { every: Duration::from_millis(2), timeout: LONG },
        };
        Self { world: RealWorld::new(options).unwrap(), driver, clock, directory, faults: 0 }
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
        let kind = match change {
            FaultChange::Kill(_) | FaultChange::Restart => FaultKind::Kill,
            FaultChange::Pause | FaultChange::Resume => FaultKind::Pause,
            FaultChange::Cut(_) => FaultKind::Partition,
        };
        self.faults += 1;
        let scheduled = self.clock.now();
        let nodes = nodes.iter().map(|&number| NodeId::new(number)).collect();
        let (id, label, links) = (FaultId(self.faults), "test".to_owned(), Vec::new());
        let command =
            FaultCommand { id, edge, change, kind, label, nodes, links, leader: None, scheduled, source: None };
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
        let edge = match change {
            FaultChange::Kill(_) | FaultChange::Pause | FaultChange::Cut(_) => FaultEdge::Begin,
            FaultChange::Restart | FaultChange::Resume => FaultEdge::End,
        };
        self.command(edge, change, nodes);
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
                NodeLife::Ready | NodeLife::Exited { .. } => None,
            })
            .collect()
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
