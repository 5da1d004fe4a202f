//! A cluster in virtual time: nodes with their own clocks, a network that delays, loses, repeats and reorders, disks that keep
//! exactly what was persisted. One seed decides everything.
//!
//! It models what a process can observe: a paused node keeps its sockets and gets all at once, in any order, when it resumes; a
//! crash can fall between any two outputs of a step. It does not model lost disk writes: `Persist` is durable when executed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use election::raft::{
    Config, Entry, EntryPayload, Event, Input, Message, Outcome, Output, Raft, ReadConsistency, Recovered, Role, Rules,
    Snapshot,
};
use election::{LogIndex, Nanos, NodeId, RequestId, Term};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::checks::{Checks, Disk, Property};
use crate::faults::Fault;

pub(crate) const MS: u64 = 1_000_000;

/// What a seed fixes before the run.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) config: Config,
    /// Clock rates differ from real time by up to this many per mille.
    pub(crate) skew_per_mille: u64,
    pub(crate) loss_percent: u32,
    pub(crate) duplicate_percent: u32,
    /// Messages that take up to 600 ms.
    pub(crate) spike_percent: u32,
    /// How many kinds of fault this seed uses, by number.
    pub(crate) faults: BTreeSet<u32>,
}

#[derive(Debug, Clone)]
pub(crate) enum Happening {
    Input {
        to: NodeId,
        input: Input,
    },
    /// The deadline that a node named.
    Timer {
        to: NodeId,
    },
    Client,
    Fault,
    End(Fault),
}

pub(crate) struct Node<R: Rules> {
    pub(crate) raft: Option<Raft<R>>,
    pub(crate) disk: Disk,
    machine: Machine,
    rate_per_mille: u64,
    offset: u64,
    scheduled: Option<u64>,
    pub(crate) paused: bool,
    held: Vec<Happening>,
    pub(crate) crash_in_step: bool,
    starts: u64,
}

/// A register: its value, the index of the write that set it, and how far it has applied.
#[derive(Debug, Clone, Copy, Default)]
struct Machine {
    value: u64,
    revision: LogIndex,
    applied: LogIndex,
}

impl Machine {
    fn apply(&mut self, entry: &Entry) {
        assert_eq!(entry.index, self.applied.next(), "entries are applied in order, once");
        self.applied = entry.index;
        if let EntryPayload::Command(bytes) = &entry.payload {
            self.value = u64::from_be_bytes((**bytes).try_into().unwrap());
            self.revision = entry.index;
        }
    }

    fn save(self) -> Vec<u8> {
        [self.value, self.revision.0, self.applied.0].into_iter().flat_map(u64::to_be_bytes).collect()
    }

    fn restore(snapshot: &Snapshot) -> Self {
        let word = |n: usize| u64::from_be_bytes(snapshot.data[8 * n..8 * n + 8].try_into().unwrap());
        Self { value: word(0), revision: LogIndex(word(1)), applied: LogIndex(word(2)) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Write {
        value: u64,
    },
    Read {
        known: LogIndex,
    },
    /// Once this node is removed, its disk may go.
    Remove(NodeId),
    /// A node without a disk is to be a member again.
    Return,
    Admin,
}

pub(crate) struct World<R: Rules> {
    pub(crate) now: u64,
    pub(crate) setup: Setup,
    rules: R,
    pub(crate) rng: ChaCha8Rng,
    queue: BTreeMap<(u64, u64), Happening>,
    sequence: u64,
    pub(crate) nodes: BTreeMap<NodeId, Node<R>>,
    /// Directed links that lose everything.
    pub(crate) cut: BTreeSet<(NodeId, NodeId)>,
    operations: BTreeMap<RequestId, Operation>,
    requests: u64,
    pub(crate) writes_quiet: bool,
    pub(crate) calm: bool,
    pub(crate) checks: Checks,
    pub(crate) steps: u64,
    /// How often a node became a member again after it had lost its disk.
    pub(crate) returned: u32,
}

impl<R: Rules + Clone> World<R> {
    pub(crate) fn new(setup: Setup, rules: R, seed: u64) -> Self {
        let mut world = Self {
            now: 0,
            rules,
            rng: ChaCha8Rng::seed_from_u64(seed),
            queue: BTreeMap::new(),
            sequence: 0,
            nodes: BTreeMap::new(),
            cut: BTreeSet::new(),
            operations: BTreeMap::new(),
            requests: 0,
            writes_quiet: false,
            calm: false,
            checks: Checks::default(),
            steps: 0,
            returned: 0,
            setup,
        };
        for id in world.setup.config.members.clone() {
            world.add(id);
        }
        world.after(0, Happening::Client);
        world.after(400 * MS, Happening::Fault);
        world
    }

    /// A node that was never there before, with a clock of its own.
    fn add(&mut self, id: NodeId) {
        let skew = self.setup.skew_per_mille;
        let rate_per_mille = self.rng.random_range(1000 - skew..=1000 + skew);
        let offset = self.rng.random_range(0..1000 * MS);
        let node = Node {
            raft: None,
            disk: Disk::default(),
            machine: Machine::default(),
            rate_per_mille,
            offset,
            scheduled: None,
            paused: false,
            held: Vec::new(),
            crash_in_step: false,
            starts: 0,
        };
        self.nodes.insert(id, node);
        self.start(id);
    }

    pub(crate) fn after(&mut self, delay: u64, what: Happening) {
        self.sequence += 1;
        self.queue.insert((self.now + delay, self.sequence), what);
    }

    pub(crate) fn run_until(&mut self, end: u64) {
        while let Some(((at, _), _)) = self.queue.first_key_value()
            && *at <= end
        {
            let ((at, _), what) = self.queue.pop_first().unwrap();
            self.now = at;
            match what {
                // A former life: whatever was meant for it is lost.
                Happening::Input { to, .. } | Happening::Timer { to } if !self.nodes.contains_key(&to) => {}
                Happening::Input { to, .. } | Happening::Timer { to } if self.nodes[&to].paused => {
                    self.nodes.get_mut(&to).unwrap().held.push(what);
                }
                Happening::Input { to, input } => self.step(to, input),
                Happening::Timer { to } => self.timer(to),
                Happening::Client => self.client(),
                Happening::Fault => self.next_fault(),
                Happening::End(fault) => self.end_fault(&fault),
            }
        }
        self.now = end;
    }

    // ---- nodes ----

    pub(crate) fn local(&self, id: NodeId) -> Nanos {
        let node = &self.nodes[&id];
        Nanos(node.offset + self.now / 1000 * node.rate_per_mille)
    }

    pub(crate) fn start(&mut self, id: NodeId) {
        if !self.nodes.contains_key(&id) {
            return;
        }
        let (seed, now) = (self.rng.next_u64(), self.local(id));
        let node = self.nodes.get_mut(&id).unwrap();
        if node.raft.is_some() {
            return;
        }
        let recovered: Recovered = node.disk.0.clone();
        node.machine = recovered.snapshot.as_ref().map_or_else(Machine::default, Machine::restore);
        node.raft = Some(Raft::new(id, self.setup.config.clone(), self.rules.clone(), seed, recovered, now));
        node.starts += 1;
        self.schedule(id);
    }

    pub(crate) fn crash(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.raft = None;
        node.scheduled = None;
        node.paused = false;
        node.held.clear();
        node.crash_in_step = false;
    }

    /// A removed node loses everything, and starts again in its next life.
    pub(crate) fn wipe(&mut self, id: NodeId) {
        if self.nodes.remove(&id).is_none() {
            return;
        }
        let next = id.in_life(u32::try_from(id.life()).unwrap() + 1);
        self.add(next);
        let delay = self.rng.random_range(0..100) * MS;
        self.after(delay, Happening::End(Fault::Absent(next)));
    }

    pub(crate) fn resume(&mut self, id: NodeId) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.paused = false;
        for what in std::mem::take(&mut node.held) {
            let delay = self.rng.random_range(0..200_000);
            self.after(delay, what);
        }
    }

    fn schedule(&mut self, id: NodeId) {
        let node = self.nodes.get_mut(&id).unwrap();
        let Some(raft) = &node.raft else { return };
        let local = raft.deadline().0.saturating_sub(node.offset);
        let due = (local / node.rate_per_mille + 1) * 1000;
        if node.scheduled != Some(due) {
            node.scheduled = Some(due);
            let delay = due.saturating_sub(self.now);
            self.after(delay, Happening::Timer { to: id });
        }
    }

    fn timer(&mut self, id: NodeId) {
        let due = self.nodes[&id].scheduled;
        if due.is_some_and(|due| due <= self.now) {
            self.nodes.get_mut(&id).unwrap().scheduled = None;
            self.step(id, Input::Tick);
        }
    }

    pub(crate) fn step(&mut self, id: NodeId, input: Input) {
        let now = self.local(id);
        let node = self.nodes.get_mut(&id).unwrap();
        let Some(raft) = &mut node.raft else { return };
        let mut out = Vec::new();
        raft.step(now, input, &mut out);
        let term = raft.status(now).term;
        self.steps += 1;
        let crash_in_step = std::mem::take(&mut node.crash_in_step) && !out.is_empty();
        let survives = if crash_in_step { self.rng.random_range(0..out.len()) } else { out.len() };
        if out.iter().skip(1).any(|output| matches!(output, Output::Persist(_))) {
            self.checks.violated(Property::OrderingLaw, || format!("{id} persists after other outputs"));
        }
        for output in out.into_iter().take(survives) {
            self.execute(id, output);
        }
        if crash_in_step {
            self.crash(id);
            let delay = self.rng.random_range(1..200) * MS;
            self.after(delay, Happening::End(Fault::Crash(id)));
            return;
        }
        self.checks.term(id, term);
        self.schedule(id);
    }

    fn execute(&mut self, id: NodeId, output: Output) {
        let node = self.nodes.get_mut(&id).unwrap();
        match output {
            Output::Persist(persist) => node.disk.write(persist),
            Output::Send { to, message } => self.transmit(id, to, message),
            Output::Apply(entries) => {
                let current = node.disk.0.hard.term;
                for entry in &entries {
                    node.machine.apply(entry);
                    self.checks.apply(id, current, entry);
                }
            }
            Output::Reply { request, outcome } => self.replied(id, request, outcome),
            Output::TakeSnapshot { meta } => {
                assert_eq!(meta.last_index, node.machine.applied, "a snapshot is asked for where the machine stands");
                let snapshot = Box::new(Snapshot { meta, data: node.machine.save() });
                let delay = self.rng.random_range(0..20) * MS;
                self.after(delay, Happening::Input { to: id, input: Input::SnapshotTaken(snapshot) });
            }
            Output::RestoreSnapshot(snapshot) => node.machine = Machine::restore(&snapshot),
            Output::Event(event) => self.observe(id, event),
        }
    }

    fn observe(&mut self, id: NodeId, event: Event) {
        match event {
            Event::Granted { term, to } => self.checks.granted(id, term, to),
            Event::BecameLeader { term } => self.elected(id, term),
            Event::LeaderChanged { term, leader: Some(leader) } => self.checks.leads(term, leader),
            Event::CommittedOverwritten { index } => {
                self.checks.violated(Property::CommittedKept, || format!("{id} overwrites {index}"));
            }
            Event::BecameFollower { .. }
            | Event::BecamePreCandidate { .. }
            | Event::BecameCandidate { .. }
            | Event::LeaderChanged { .. }
            | Event::Committed { .. }
            | Event::MembersChanged { .. } => {}
        }
    }

    fn elected(&mut self, id: NodeId, term: Term) {
        self.checks.leads(term, id);
        self.checks.elected(id, term, &self.nodes[&id].disk);
        let disks: Vec<&Disk> = self.nodes.values().map(|node| &node.disk).collect();
        self.checks.logs(&disks);
        for (other, node) in self.nodes.iter().filter(|(other, _)| **other != id) {
            let now = self.local(*other);
            let status = node.raft.as_ref().map(|raft| raft.status(now));
            // An election may end when its term is long over; it takes nothing from a leader of a newer one.
            let lease = status.filter(|status| status.term < term).and_then(|status| status.lease_remaining);
            if let Some(left) = lease {
                self.checks.violated(Property::LeaseExclusivity, || {
                    format!("{id} wins term {term} while {other} has a lease for {left:?}")
                });
            }
        }
    }

    // ---- network ----

    fn transmit(&mut self, from: NodeId, to: NodeId, message: Message) {
        let percent = |rng: &mut ChaCha8Rng| rng.random_range(0..100u32);
        let lossy = !self.calm;
        if self.cut.contains(&(from, to)) || (lossy && percent(&mut self.rng) < self.setup.loss_percent) {
            return;
        }
        let copies = if lossy && percent(&mut self.rng) < self.setup.duplicate_percent { 2 } else { 1 };
        for _ in 0..copies {
            let spike = lossy && percent(&mut self.rng) < self.setup.spike_percent;
            let delay = self.rng.random_range(MS / 5..if spike { 600 * MS } else { 2 * MS });
            let input = Input::Receive { from, message: message.clone() };
            self.after(delay, Happening::Input { to, input });
        }
    }

    // ---- clients ----

    fn client(&mut self) {
        let delay = self.rng.random_range(2 * MS..10 * MS);
        self.after(delay, Happening::Client);
        self.compare_claims();
        let to = self.random_node();
        self.requests += 1;
        let request = RequestId(self.requests);
        let (operation, input) = match self.rng.random_range(0..10u32) {
            0..4 if !self.writes_quiet => {
                let value = self.requests;
                (Operation::Write { value }, Input::Propose { request, command: value.to_be_bytes()[..].into() })
            }
            choice => {
                let consistency = if choice < 7 { ReadConsistency::Linearizable } else { ReadConsistency::Lease };
                (Operation::Read { known: self.checks.revision_known }, Input::Read { request, consistency })
            }
        };
        self.operations.insert(request, operation);
        self.after(0, Happening::Input { to, input });
    }

    /// A paused node claims nothing, and a deposed leader has its CheckQuorum window and one heartbeat on a slow clock.
    fn compare_claims(&mut self) {
        if !self.setup.config.check_quorum {
            return;
        }
        let bound = self.timeout_max() * 3 / 2;
        for (id, node) in &self.nodes {
            let status = node.raft.as_ref().filter(|_| !node.paused).map(|raft| raft.status(Nanos::default()));
            let claims = status.filter(|status| status.role == Role::Leader).map(|status| status.term);
            self.checks.claim(*id, claims, self.now, bound);
        }
    }

    pub(crate) fn administer(&mut self, to: NodeId, input: impl FnOnce(RequestId) -> Input) {
        self.operate(Operation::Admin, to, input);
    }

    /// Asks for the removal of a member, or for its addition if it is none.
    pub(crate) fn replace(&mut self, leader: NodeId, member: NodeId) {
        let Some(raft) = self.nodes.get(&leader).and_then(|node| node.raft.as_ref()) else { return };
        let mut members = (*raft.status(self.local(leader)).members).clone();
        let operation = if members.remove(&member) { Operation::Remove(member) } else { Operation::Return };
        members.extend((operation == Operation::Return).then_some(member));
        self.operate(operation, leader, |request| Input::ChangeMembership { request, members });
    }

    fn operate(&mut self, operation: Operation, to: NodeId, input: impl FnOnce(RequestId) -> Input) {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.operations.insert(request, operation);
        self.after(0, Happening::Input { to, input: input(request) });
    }

    fn replied(&mut self, id: NodeId, request: RequestId, outcome: Outcome) {
        let machine = self.nodes[&id].machine;
        let operation = self.operations.remove(&request).expect("every request has one reply");
        match (operation, outcome) {
            (Operation::Write { value }, Outcome::Committed { index, .. }) => {
                self.checks.write_acknowledged(index, value);
            }
            (Operation::Read { known }, Outcome::ReadAt { index }) => {
                assert!(machine.applied >= index, "what a read must see is applied before its reply");
                self.checks.read_returned(id, known, machine.revision);
            }
            (Operation::Remove(member), Outcome::MembershipChanged { .. }) => {
                self.after(0, Happening::End(Fault::Removed(member)));
            }
            (Operation::Return, Outcome::MembershipChanged { .. }) => self.returned += 1,
            (
                Operation::Write { .. }
                | Operation::Read { .. }
                | Operation::Remove(_)
                | Operation::Return
                | Operation::Admin,
                _,
            ) => {}
        }
    }

    pub(crate) fn random_node(&mut self) -> NodeId {
        let at = self.rng.random_range(0..self.nodes.len());
        *self.nodes.keys().nth(at).unwrap()
    }

    /// The claimed leader of the newest term.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        let now = Nanos::default();
        let statuses = self.nodes.values().filter_map(|node| node.raft.as_ref()).map(|raft| raft.status(now));
        statuses.filter(|status| status.role == Role::Leader).max_by_key(|status| status.term).map(|status| status.id)
    }

    pub(crate) fn claims(&self) -> usize {
        let rafts = self.nodes.values().filter_map(|node| node.raft.as_ref());
        rafts.filter(|raft| raft.status(Nanos::default()).role == Role::Leader).count()
    }

    /// How long a term of a lease-safe configuration is, for the fault generator.
    pub(crate) fn timeout_max(&self) -> u64 {
        let max: Duration = self.setup.config.election_timeout_max;
        u64::try_from(max.as_nanos()).unwrap()
    }
}
