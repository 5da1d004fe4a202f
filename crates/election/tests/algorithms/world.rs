//! A tiny world for any protocol: true time, clocks of different rates, links that delay, lose and cut, nodes that crash, sleep and return.
//!
//! It is driven step by step or by a seed; the same seed is the same run. After every step it notes who claims to lead what.

use std::collections::{BTreeMap, BTreeSet};

use election::raft::{Input, Output, Persist, Recovered, Role};
use election::{Nanos, NodeId, Protocol, Term};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) const MS: u64 = 1_000_000;

/// How a node begins: who, from which disk, at which instant of its own clock, with which seed.
pub(crate) type Begin<P> = fn(NodeId, &World<P>, Recovered, Nanos, u64) -> P;

struct Node<P: Protocol> {
    protocol: Option<P>,
    disk: Recovered,
    /// How fast its clock runs.
    rate_per_mille: u64,
    /// Stopped, with what has arrived meanwhile.
    asleep: Option<Vec<(NodeId, Input<P::Message>)>>,
}

pub(crate) struct World<P: Protocol> {
    begin: Begin<P>,
    /// True time, nanoseconds.
    pub(crate) now: u64,
    nodes: BTreeMap<NodeId, Node<P>>,
    /// By arrival and number: from, to, what.
    wires: BTreeMap<(u64, u64), (NodeId, NodeId, P::Message)>,
    last_wire: u64,
    pub(crate) cuts: BTreeSet<(NodeId, NodeId)>,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) latency: (u64, u64),
    pub(crate) loss_percent: u32,
    /// Messages sent, by kind.
    pub(crate) sent: BTreeMap<&'static str, u64>,
    /// Who has claimed each term.
    pub(crate) claims: BTreeMap<Term, BTreeSet<NodeId>>,
    /// The first moment at which two nodes claimed to lead, whatever their terms.
    pub(crate) overlap: Option<(u64, Vec<NodeId>)>,
    /// A node whose term fell.
    pub(crate) fallen: Option<NodeId>,
    terms: BTreeMap<NodeId, Term>,
}

impl<P: Protocol> World<P> {
    /// `nodes` nodes that have just been started, one millisecond apart from each other on every link.
    pub(crate) fn new(nodes: u64, seed: u64, begin: Begin<P>) -> Self {
        let mut world = Self {
            begin,
            now: MS,
            nodes: BTreeMap::new(),
            wires: BTreeMap::new(),
            last_wire: 0,
            cuts: BTreeSet::new(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            latency: (MS, MS),
            loss_percent: 0,
            sent: BTreeMap::new(),
            claims: BTreeMap::new(),
            overlap: None,
            fallen: None,
            terms: BTreeMap::new(),
        };
        for id in (1..=nodes).map(NodeId) {
            let node = Node { protocol: None, disk: Recovered::default(), rate_per_mille: 1000, asleep: None };
            world.nodes.insert(id, node);
        }
        (1..=nodes).map(NodeId).for_each(|id| world.start(id));
        world
    }

    pub(crate) fn ids(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }

    pub(crate) fn set_rate(&mut self, id: NodeId, per_mille: u64) {
        assert_eq!(self.now, MS, "a clock changes its rate only before anything has happened");
        self.node(id).rate_per_mille = per_mille;
        self.node(id).protocol = None;
        self.start(id);
    }

    fn node(&mut self, id: NodeId) -> &mut Node<P> {
        self.nodes.get_mut(&id).expect("a node of this world")
    }

    fn clock(&self, id: NodeId) -> Nanos {
        Nanos(self.now * self.nodes[&id].rate_per_mille / 1000)
    }

    pub(crate) fn is_up(&self, id: NodeId) -> bool {
        self.nodes[&id].protocol.is_some()
    }

    pub(crate) fn start(&mut self, id: NodeId) {
        if self.is_up(id) {
            return;
        }
        let (disk, now, seed) = (self.nodes[&id].disk.clone(), self.clock(id), self.rng.random());
        let protocol = (self.begin)(id, self, disk, now, seed);
        self.node(id).protocol = Some(protocol);
    }

    pub(crate) fn crash(&mut self, id: NodeId) {
        let node = self.node(id);
        (node.protocol, node.asleep) = (None, None);
    }

    pub(crate) fn sleep(&mut self, id: NodeId) {
        let node = self.node(id);
        if node.protocol.is_some() && node.asleep.is_none() {
            node.asleep = Some(Vec::new());
        }
    }

    /// It finds out how late it is, and then what has arrived.
    pub(crate) fn wake(&mut self, id: NodeId) {
        if let Some(backlog) = self.node(id).asleep.take() {
            self.step(id, Input::Tick);
            backlog.into_iter().for_each(|(_, input)| self.step(id, input));
        }
    }

    pub(crate) fn cut_off(&mut self, side: &BTreeSet<NodeId>) {
        let ids = self.ids();
        let apart = |one: &NodeId, other: &NodeId| side.contains(one) != side.contains(other);
        let pairs = ids.iter().flat_map(|one| ids.iter().map(move |other| (*one, *other)));
        self.cuts.extend(pairs.filter(|(one, other)| apart(one, other)));
    }

    pub(crate) fn run_for(&mut self, ms: u64) {
        let end = self.now + ms * MS;
        while let Some((at, id)) = self.next_event().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            match id {
                Some(id) => self.step(id, Input::Tick),
                None => self.deliver(),
            }
        }
        self.now = end;
    }

    /// Runs until something holds.
    ///
    /// # Panics
    /// If it doesn't come to hold in ten seconds.
    pub(crate) fn run_until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let limit = self.now + 10_000 * MS;
        while !holds(self) {
            assert!(self.now < limit, "waited in vain for {what}");
            self.run_for(1);
        }
    }

    /// The next deadline of a node, or the next arrival. Deadlines first: who is due at an instant acts before it hears of it.
    fn next_event(&self) -> Option<(u64, Option<NodeId>)> {
        let awake = self.nodes.iter().filter(|(_, node)| node.asleep.is_none());
        let due = awake.filter_map(|(id, node)| {
            let deadline = node.protocol.as_ref()?.deadline();
            let at = deadline.0.checked_mul(1000)?.div_ceil(node.rate_per_mille);
            Some((at.max(self.now), Some(*id)))
        });
        let arrival = self.wires.keys().next().map(|(at, _)| (*at, None));
        due.min_by_key(|(at, id)| (*at, *id)).into_iter().chain(arrival).min_by_key(|(at, id)| (*at, id.is_none()))
    }

    fn deliver(&mut self) {
        let Some((_, (from, to, message))) = self.wires.pop_first() else { return };
        let input = Input::Receive { from, message };
        let node = self.node(to);
        match &mut node.asleep {
            Some(backlog) => backlog.push((from, input)),
            None if node.protocol.is_some() => self.step(to, input),
            None => {}
        }
    }

    fn step(&mut self, id: NodeId, input: Input<P::Message>) {
        let now = self.clock(id);
        let mut out = Vec::new();
        let Some(protocol) = self.node(id).protocol.as_mut() else { return };
        protocol.step(now, input, &mut out);
        for (index, output) in out.into_iter().enumerate() {
            match output {
                Output::Persist(persist) => {
                    assert_eq!(index, 0, "what must be durable stands before everything else");
                    write(&mut self.node(id).disk, persist);
                }
                Output::Send { to, message } => self.send(id, to, message),
                Output::Event(_) | Output::Reply { .. } => {}
                Output::Apply(_) | Output::TakeSnapshot { .. } | Output::RestoreSnapshot(_) => {}
            }
        }
        self.note(id);
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: P::Message) {
        assert_ne!(from, to, "nobody sends to itself");
        *self.sent.entry(P::kind(&message)).or_default() += 1;
        let is_lost = self.rng.random_range(0..100u32) < self.loss_percent;
        if is_lost || self.cuts.contains(&(from, to)) {
            return;
        }
        let (min, max) = self.latency;
        self.last_wire += 1;
        let arrives = self.now + self.rng.random_range(min..=max);
        self.wires.insert((arrives, self.last_wire), (from, to, message));
    }

    /// Notes what the node that has just moved says, and who leads now.
    fn note(&mut self, id: NodeId) {
        let Some(status) = self.nodes[&id].protocol.as_ref().map(|protocol| protocol.status(self.clock(id))) else {
            return;
        };
        if self.terms.get(&id).is_some_and(|term| *term > status.term) {
            self.fallen = Some(id);
        }
        self.terms.insert(id, status.term);
        // Who follows a leader in a term tells of that leader as well.
        if let Some(leader) = status.leader {
            self.claims.entry(status.term).or_default().insert(leader);
        }
        let leaders = self.leaders();
        if leaders.len() > 1 && self.overlap.is_none() {
            self.overlap = Some((self.now, leaders));
        }
    }

    /// Who says, if asked now, that it leads. Who sleeps says nothing.
    pub(crate) fn leaders(&self) -> Vec<NodeId> {
        let awake = self.nodes.iter().filter(|(_, node)| node.asleep.is_none());
        let leads = awake.filter(|(id, node)| {
            let status = node.protocol.as_ref().map(|protocol| protocol.status(self.clock(**id)));
            status.is_some_and(|status| status.role == Role::Leader)
        });
        leads.map(|(id, _)| *id).collect()
    }

    /// The leader and term that all of these nodes name.
    pub(crate) fn agreed(&self, ids: &[NodeId]) -> Option<(NodeId, Term)> {
        let views = ids.iter().map(|id| {
            let status = self.nodes[id].protocol.as_ref()?.status(self.clock(*id));
            Some((status.leader?, status.term))
        });
        let views: BTreeSet<_> = views.collect::<Option<_>>()?;
        views.first().copied().filter(|(leader, _)| views.len() == 1 && self.leaders() == [*leader])
    }

    /// Two leaders of one term, by their own word or somebody else's.
    pub(crate) fn double(&self) -> Option<(&Term, &BTreeSet<NodeId>)> {
        self.claims.iter().find(|(_, leaders)| leaders.len() > 1)
    }

    /// What a window of messages cost, in those of these kinds.
    pub(crate) fn count(&self, kinds: &[&str]) -> u64 {
        kinds.iter().filter_map(|kind| self.sent.get(kind)).sum()
    }
}

fn write(disk: &mut Recovered, Persist { hard, snapshot, truncate_from, append }: Persist) {
    disk.hard = hard.unwrap_or(disk.hard);
    disk.snapshot = snapshot.map(|snapshot| *snapshot).or(disk.snapshot.take());
    if let Some(from) = truncate_from {
        disk.entries.retain(|entry| entry.index < from);
    }
    disk.entries.extend(append);
}
