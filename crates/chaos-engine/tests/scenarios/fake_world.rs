//! A world without processes: a toy cluster in virtual time.
//!
//! One node leads a term. When the leader is down, stopped, or no longer connected both ways with a majority, then after 200 ms
//! the first node that is up and connected with a majority leads the next term. A node adopts whoever leads if it is up and
//! connected with it; a node that is cut off keeps its belief. This is no election protocol: it can't disagree about a term,
//! and that is what makes it a yardstick for the engine.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use chaos_engine::{
    Capabilities, Command, Completed, Event, FaultChange, FaultCommand, Finished, Invocation, Resource, World,
};
use chaos_history::{
    Action, Belief, ElectionRole, FaultEvent, FaultKind, Link, NodeId, NodeLife, Observation, ObservationOutcome,
    ObservationSource, OpEvent, OpId, OpPhase, OpResult, ProcessId, Recorded, ReplicaOutcome, RunNanos, Stamps, Term,
    Value,
};

const POLL: Duration = Duration::from_millis(5);
const FAILOVER: Duration = Duration::from_millis(200);
const FAULT_TAKES: Duration = Duration::from_micros(300);
const OPERATION_TAKES: Duration = Duration::from_millis(2);

/// How the world misbehaves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quirks {
    /// No node ever leads.
    pub(crate) never_elects: bool,
    /// The begins of faults with these numbers fail.
    pub(crate) begins_fail: BTreeSet<u32>,
    /// The ends of faults with these numbers fail, and their nodes stay as they are.
    pub(crate) ends_fail: BTreeSet<u32>,
    /// Fault commands are executed but never answered.
    pub(crate) is_mute: bool,
    /// When the user asks for an end.
    pub(crate) interrupts: Vec<RunNanos>,
    /// When what the run accompanies is over.
    pub(crate) concludes: Option<RunNanos>,
    /// Every so many acknowledged additions one is forgotten, by these nodes.
    pub(crate) forgets: Option<(u64, BTreeSet<NodeId>)>,
    /// Until when this node answers reads of sets as if they were empty.
    pub(crate) lags: Option<(NodeId, RunNanos)>,
    /// What a node answers when it is asked what it holds.
    pub(crate) replicas: Option<fn(NodeId, RunNanos) -> ReplicaOutcome>,
    /// Whether nodes that don't lead read sets too.
    pub(crate) followers_read: bool,
    /// The lock service gives locks to whoever asks, held or not.
    pub(crate) locks_are_shared: bool,
    /// Nodes tell that they voted for the leader that they follow.
    pub(crate) votes: bool,
}

/// The toy cluster.
pub(crate) struct FakeWorld {
    nodes: usize,
    quirks: Quirks,
    capabilities: Capabilities,
    now: RunNanos,
    next_poll: RunNanos,
    queue: BTreeMap<(RunNanos, u64), Event>,
    queued: u64,
    pub(crate) killed: BTreeSet<NodeId>,
    pub(crate) paused: BTreeSet<NodeId>,
    pub(crate) cut: BTreeSet<Link>,
    incarnations: BTreeMap<NodeId, u64>,
    beliefs: BTreeMap<NodeId, (Term, Option<NodeId>)>,
    term: Term,
    leader: Option<NodeId>,
    without_leader_since: RunNanos,
    registers: BTreeMap<String, Value>,
    /// What each node shows of each set.
    sets: BTreeMap<(NodeId, String), BTreeSet<Value>>,
    /// Who holds each lock, and who waits for it.
    holders: BTreeMap<String, ProcessId>,
    waiters: BTreeMap<String, VecDeque<(OpId, ProcessId)>>,
    tokens: u64,
    resource: Resource,
    invoked: BTreeMap<OpId, (ProcessId, NodeId)>,
    /// Every observation with the moment at which the engine was told of it.
    pub(crate) told: Vec<(RunNanos, Observation)>,
    /// Every command with the moment of its execution.
    pub(crate) commands: Vec<(RunNanos, Command)>,
    /// What a real world would have recorded, operations only.
    pub(crate) history: Vec<Recorded>,
    /// Faults that hit what was hit already.
    pub(crate) hit_twice: Vec<FaultCommand>,
    pub(crate) finished: Option<Finished>,
}

impl FakeWorld {
    pub(crate) fn new(nodes: usize, quirks: Quirks) -> Self {
        let faults = BTreeSet::from(FaultKind::ALL);
        let mut world = Self {
            nodes,
            capabilities: Capabilities { faults, remedy: String::new() },
            now: RunNanos(0),
            next_poll: RunNanos(0),
            queue: BTreeMap::new(),
            queued: 0,
            killed: BTreeSet::new(),
            paused: BTreeSet::new(),
            cut: BTreeSet::new(),
            incarnations: NodeId::all(nodes).map(|node| (node, 1)).collect(),
            beliefs: NodeId::all(nodes).map(|node| (node, (Term(0), None))).collect(),
            term: Term(0),
            leader: None,
            without_leader_since: RunNanos(0),
            registers: BTreeMap::new(),
            sets: BTreeMap::new(),
            holders: BTreeMap::new(),
            waiters: BTreeMap::new(),
            tokens: 0,
            resource: Resource::default(),
            invoked: BTreeMap::new(),
            told: Vec::new(),
            commands: Vec::new(),
            history: Vec::new(),
            hit_twice: Vec::new(),
            finished: None,
            quirks: quirks.clone(),
        };
        if let Some(at) = quirks.concludes {
            world.queue(at, Event::Conclude { why: "the command ended".to_owned() });
        }
        for at in quirks.interrupts {
            world.queue(at, Event::Interrupt { why: "by the user".to_owned() });
        }
        world
    }

    pub(crate) fn nodes(&self) -> usize {
        self.nodes
    }

    fn queue(&mut self, at: RunNanos, event: Event) {
        self.queued += 1;
        self.queue.insert((at, self.queued), event);
    }

    fn is_up(&self, node: NodeId) -> bool {
        !self.killed.contains(&node) && !self.paused.contains(&node)
    }

    fn connected(&self, one: NodeId, other: NodeId) -> bool {
        !self.cut.contains(&Link { from: one, to: other }) && !self.cut.contains(&Link { from: other, to: one })
    }

    /// Whether the node could lead.
    fn has_majority(&self, node: NodeId) -> bool {
        let reached =
            NodeId::all(self.nodes).filter(|other| self.is_up(*other) && self.connected(node, *other)).count();
        self.is_up(node) && reached > self.nodes / 2
    }

    fn works(&self, node: NodeId) -> bool {
        self.leader == Some(node) && self.has_majority(node)
    }

    /// Lets the cluster react to how things are now.
    fn elect(&mut self) {
        if self.leader.is_some_and(|leader| self.works(leader)) {
            self.without_leader_since = self.now;
        } else if self.now.since(self.without_leader_since) >= FAILOVER
            && !self.quirks.never_elects
            && let Some(next) = NodeId::all(self.nodes).find(|node| self.has_majority(*node))
        {
            self.term = Term(self.term.0 + 1);
            self.leader = Some(next);
            self.without_leader_since = self.now;
        }
        let Some(leader) = self.leader.filter(|leader| self.works(*leader)) else { return };
        for node in NodeId::all(self.nodes) {
            if self.is_up(node) && self.connected(leader, node) {
                self.beliefs.insert(node, (self.term, Some(leader)));
            }
        }
    }

    fn observe(&mut self, node: NodeId) {
        let (term, leader) = self.beliefs[&node];
        let role = if leader == Some(node) { ElectionRole::Leader } else { ElectionRole::Follower };
        let outcome = if self.is_up(node) {
            let voted_for = leader.filter(|_| self.quirks.votes);
            // A leader that hears no majority has next to nothing left, as long as it leads.
            let lease = if self.has_majority(node) { 280_000_000 } else { 10_000_000 };
            ObservationOutcome::Answered(Belief {
                term,
                role,
                leader,
                voted_for,
                commit: None,
                lease_remaining_ns: (role == ElectionRole::Leader).then_some(lease),
            })
        } else {
            ObservationOutcome::Silent("no answer".to_owned())
        };
        let (now, incarnation) = (self.now, self.incarnations[&node]);
        let source = ObservationSource::Poll;
        self.queue(now, Event::Observed(Observation { node, incarnation, source, sent: now, received: now, outcome }));
    }

    fn fault(&mut self, command: FaultCommand) {
        let number = command.id.0;
        let failing = match command.edge {
            chaos_history::FaultEdge::Begin => &self.quirks.begins_fail,
            chaos_history::FaultEdge::End => &self.quirks.ends_fail,
        };
        let error = failing.contains(&number).then(|| "the toy was told to fail".to_owned());
        if error.is_none() {
            let hits = match command.change {
                // This world's nodes go on without their further processes.
                _ if command.process.is_some() => false,
                FaultChange::Kill(_) | FaultChange::LosePower { .. } | FaultChange::RemoveMember => {
                    command.nodes.iter().any(|node| self.killed.contains(node))
                }
                FaultChange::Pause | FaultChange::Freeze(_) => command.nodes.iter().any(|node| !self.is_up(*node)),
                FaultChange::Restart
                | FaultChange::AddMember
                | FaultChange::Transfer { .. }
                | FaultChange::Resume
                | FaultChange::Cut(_)
                | FaultChange::Thaw(_)
                | FaultChange::Corrupt { .. }
                | FaultChange::Hinder(_)
                | FaultChange::Relax => false,
            };
            if hits {
                self.hit_twice.push(command.clone());
            }
            if command.process.is_none() {
                self.change(&command.change, &command.nodes);
            }
        }
        let (call_begin, done) = (self.now, self.now + FAULT_TAKES);
        let stamps = Stamps { scheduled: command.scheduled, call_begin, call_end: done, effect: Some(done) };
        let FaultCommand { id, edge, change: _, kind, label, nodes, process, links, leader, scheduled: _, source } =
            command;
        let process = process.map(|process| process.name);
        let event = FaultEvent { id, edge, kind, label, nodes, process, links, leader, stamps, source, error };
        if !self.quirks.is_mute {
            self.queue(done, Event::FaultDone(event));
        }
    }

    fn change(&mut self, change: &FaultChange, nodes: &[NodeId]) {
        match change {
            // Who is only hindered leads on here.
            FaultChange::Corrupt { .. } | FaultChange::Hinder(_) | FaultChange::Relax => {}
            FaultChange::Transfer { to } => {
                let next = to
                    .or_else(|| NodeId::all(self.nodes).find(|node| !nodes.contains(node) && self.has_majority(*node)));
                self.leader = next.or(self.leader);
                self.term = Term(self.term.0 + 1);
            }
            FaultChange::Kill(_) | FaultChange::LosePower { .. } | FaultChange::RemoveMember => {
                for node in nodes {
                    self.killed.insert(*node);
                    self.paused.remove(node);
                    let life = NodeLife::Exited { code: None, signal: Some(9), expected: true };
                    self.queue(self.now, Event::Node { node: *node, life });
                }
            }
            FaultChange::Restart | FaultChange::AddMember => {
                for node in nodes.iter().filter(|node| self.killed.contains(node)).copied().collect::<Vec<_>>() {
                    self.killed.remove(&node);
                    *self.incarnations.entry(node).or_default() += 1;
                    self.beliefs.entry(node).and_modify(|belief| belief.1 = None);
                    self.queue(self.now, Event::Node { node, life: NodeLife::Started { pid: 1 } });
                }
            }
            FaultChange::Pause => self.paused.extend(nodes.iter().filter(|node| !self.killed.contains(node))),
            FaultChange::Resume => self.paused.retain(|node| !nodes.contains(node)),
            FaultChange::Cut(cut) => self.cut = cut.links.keys().copied().collect(),
            FaultChange::Freeze(cut) => {
                self.cut = cut.links.keys().copied().collect();
                self.change(&FaultChange::Pause, nodes);
            }
            FaultChange::Thaw(cut) => {
                self.cut = cut.links.keys().copied().collect();
                self.change(&FaultChange::Resume, nodes);
            }
        }
    }

    fn invoke(&mut self, invocation: &Invocation) {
        let Invocation { id, process, node, role, due, deadline, action } = invocation.clone();
        self.record(id, process, node, OpPhase::Invoke { role, due, action: action.clone() });
        self.invoked.insert(id, (process, node));
        let fail = |error: &str| OpPhase::Fail { error: error.to_owned() };
        let believed = self.beliefs[&node].1;
        let soon = (self.now + OPERATION_TAKES).min(deadline);
        let reads_here = self.quirks.followers_read && matches!(action, Action::Elements { .. });
        if let Action::Access { key, token } = &action {
            let accepted = self.resource.access(key, *token);
            let phase = OpPhase::Ok(OpResult::Accessed { accepted });
            return self.queue(self.now, Event::Completed(Completed { id, phase, leader_hint: None }));
        }
        let (at, phase, leader_hint) = if self.killed.contains(&node) {
            (soon, fail("connection refused"), None)
        } else if self.is_up(node) && self.works(node) && self.is_held(&action) {
            // It waits until the lock is free or its time is over.
            self.waiters.entry(action.key().to_owned()).or_default().push_back((id, process));
            (deadline, OpPhase::Info { error: "timed out".to_owned() }, None)
        } else if self.is_up(node) && (self.works(node) || reads_here) {
            if let Action::Acquire { key } = &action {
                self.holders.insert(key.clone(), process);
            }
            (soon, OpPhase::Ok(self.apply(node, action)), None)
        } else if self.is_up(node) && believed != Some(node) {
            (soon, fail("not the leader"), believed)
        } else {
            (deadline, OpPhase::Info { error: "timed out".to_owned() }, None)
        };
        self.queue(at, Event::Completed(Completed { id, phase, leader_hint }));
    }

    fn apply(&mut self, node: NodeId, action: Action) -> OpResult {
        let held = self.registers.get(action.key()).copied();
        match action {
            Action::Read { .. } => OpResult::Read { value: held, revision: None },
            Action::Write { key, value } => {
                self.registers.insert(key, value);
                OpResult::Written { revision: None }
            }
            Action::Cas { key, expect, value } => {
                let swapped = expect == held;
                if swapped {
                    self.registers.insert(key, value);
                }
                OpResult::Cas { swapped, observed: Some(held), revision: None }
            }
            Action::Add { key, value } => {
                for node in NodeId::all(self.nodes) {
                    let forgets =
                        |(every, by): &(u64, BTreeSet<NodeId>)| value.0.is_multiple_of(*every) && by.contains(&node);
                    if !self.quirks.forgets.as_ref().is_some_and(forgets) {
                        self.sets.entry((node, key.clone())).or_default().insert(value);
                    }
                }
                OpResult::Written { revision: None }
            }
            Action::Elements { key } => {
                let lags = self.quirks.lags.is_some_and(|(lagging, until)| lagging == node && self.now < until);
                let held = self.sets.get(&(node, key)).filter(|_| !lags);
                OpResult::Elements { values: held.into_iter().flatten().copied().collect(), revision: None }
            }
            Action::Acquire { .. } => self.granted(),
            Action::Release { key } => {
                self.holders.remove(&key);
                self.grant(&key);
                OpResult::Released
            }
            Action::Access { .. } => unreachable!("the resource is asked before any node is"),
        }
    }

    fn granted(&mut self) -> OpResult {
        self.tokens += 1;
        OpResult::Acquired { token: Some(self.tokens) }
    }

    fn is_held(&self, action: &Action) -> bool {
        let wants = matches!(action, Action::Acquire { .. });
        wants && self.holders.contains_key(action.key()) && !self.quirks.locks_are_shared
    }

    /// Gives a lock that is free to the first who still waits.
    fn grant(&mut self, key: &str) {
        while let Some((id, process)) = self.waiters.get_mut(key).and_then(VecDeque::pop_front) {
            let gives_up = |event: &Event| matches!(event, Event::Completed(completed) if completed.id == id);
            let Some(at) = self.queue.iter().find_map(|(at, event)| gives_up(event).then_some(*at)) else { continue };
            self.queue.remove(&at);
            self.holders.insert(key.to_owned(), process);
            let phase = OpPhase::Ok(self.granted());
            return self
                .queue(self.now + OPERATION_TAKES, Event::Completed(Completed { id, phase, leader_hint: None }));
        }
    }

    fn record(&mut self, id: OpId, process: ProcessId, node: NodeId, phase: OpPhase) {
        let event = chaos_history::Event::Op(OpEvent { id, process, node, phase });
        self.history.push(Recorded { line: self.history.len() + 2, at: self.now, event });
    }
}

impl World for FakeWorld {
    type Error = std::convert::Infallible;

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn now(&self) -> RunNanos {
        self.now
    }

    fn execute(&mut self, command: Command) -> Result<(), Self::Error> {
        assert!(self.finished.is_none(), "{command:?} follows the end of the run");
        self.commands.push((self.now, command.clone()));
        match command {
            Command::Fault(command) => self.fault(command),
            Command::Invoke(invocation) => self.invoke(&invocation),
            Command::Alter { process: Some(_), .. } => {}
            Command::Alter { fault: _, change, nodes, process: None } => self.change(&change, &nodes),
            Command::Mark(..) | Command::Remark(_) => {}
            Command::Compare { node, deadline: _ } => {
                let told = self.quirks.replicas.as_ref().map(|replicas| replicas(node, self.now));
                self.queue(self.now + OPERATION_TAKES, Event::Compared { node, outcome: told });
            }
            Command::Finish(finished) => self.finished = Some(finished),
        }
        Ok(())
    }

    fn next_event(&mut self, deadline: RunNanos) -> Result<(RunNanos, Event), Self::Error> {
        assert!(deadline > self.now, "the engine spins at {}", self.now);
        loop {
            let due = self.queue.first_entry().map(|entry| entry.key().0);
            let polled_before = due.is_none_or(|due| self.next_poll <= due) && self.next_poll <= deadline;
            if polled_before {
                self.now = self.now.max(self.next_poll);
                self.next_poll = self.now + POLL;
                self.elect();
                NodeId::all(self.nodes).for_each(|node| self.observe(node));
            } else if due.is_some_and(|due| due <= deadline) {
                let ((at, _), event) = self.queue.pop_first().expect("there is a first event");
                self.now = self.now.max(at);
                if let Event::Completed(completed) = &event {
                    let (process, node) = self.invoked[&completed.id];
                    self.record(completed.id, process, node, completed.phase.clone());
                }
                if let Event::Observed(observation) = &event {
                    self.told.push((self.now, observation.clone()));
                }
                return Ok((self.now, event));
            } else {
                self.now = deadline;
                return Ok((self.now, Event::Tick));
            }
        }
    }
}
