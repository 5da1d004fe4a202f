//! The simulated world: executes the engine's commands in virtual time, and says what they lead to.
//!
//! One thread, one queue, one seed. Nothing is asked of the host: the same world, told the same, does the same, to the bit.

use std::collections::VecDeque;
use std::time::Duration;

use chaos_engine::{Capabilities, Command, Event, Resource, World};
use chaos_history::{self as history, Mark, NodeEvent, NodeId, NodeLife, NoteEvent, RunNanos, Seed};
use chaos_plan::{Observe, ReadConsistency};
use election::Protocol;
use election::raft::Output;

use crate::capabilities::capabilities;
use crate::clients::{Effects, Operations};
use crate::clock::Clock;
use crate::disk::Disk;
use crate::faults::{Hindered, Transfer};
use crate::happening::{Happening, Leaving};
use crate::machine::Machine;
use crate::network::small;
use crate::node::{Life, Node};
use crate::program::{Program, Transport, members};
use crate::random::{Draws, Purpose, Rolling};
use crate::record::Sink;
use crate::timings::Timings;
use crate::wire::Wire;

/// What the harness takes over a command, nanoseconds.
const REACTION: u64 = 1_000;

/// What the nodes of a program say to each other.
pub(crate) type Msg<P> = <<P as Program>::Node as Protocol>::Message;

/// Sees each event before it is recorded; a text ends the run, and is the reason given.
pub type Watch<'a> = Box<dyn FnMut(&history::Event) -> Option<String> + 'a>;

/// What a simulated world is made of.
pub struct WorldOptions<'a> {
    /// How many nodes.
    pub nodes: usize,
    /// From which everything is drawn.
    pub seed: Seed,
    /// How the nodes are observed.
    pub observe: Observe,
    /// How clients read.
    pub read: ReadConsistency,
    /// How long things take.
    pub timings: Timings,
    /// Whoever wants to see what is recorded, and may end the run.
    pub watch: Option<Watch<'a>>,
}

/// Whether something has left a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Departure {
    /// It has.
    Left,
    /// The process ended before.
    Never,
    /// The process was stopped before, and is still.
    Withheld,
}

/// Nodes of a program, with all that is around them, in virtual time.
pub struct SimWorld<'a, P: Program, S: Sink> {
    pub(crate) now: u64,
    pub(crate) queue: crate::queue::Queue<Happening<Msg<P>>>,
    pub(crate) nodes: Vec<Node<P::Node>>,
    /// By sender and receiver; those of nodes to themselves are never used.
    pub(crate) wires: Vec<Wire<Msg<P>>>,
    pub(crate) transports: Vec<Transport>,
    pub(crate) program: P,
    pub(crate) seed: Seed,
    pub(crate) observe: Observe,
    pub(crate) read: ReadConsistency,
    pub(crate) timings: Timings,
    pub(crate) operations: Operations,
    pub(crate) resource: Resource,
    pub(crate) transfers: Vec<Transfer>,
    pub(crate) hindered: Vec<Hindered>,
    /// Recorded events that the engine has not seen yet.
    pub(crate) ready: VecDeque<(RunNanos, Event)>,
    /// Outputs of the present batch.
    pub(crate) held: Vec<Output<Msg<P>>>,
    /// Room for the effects of a batch's entries.
    pub(crate) effects: Effects,
    pub(crate) hash: Rolling,
    /// How many things have happened.
    pub(crate) happened: u64,
    /// How many of them may.
    pub(crate) happenings_max: u64,
    pub(crate) started: u32,
    sink: S,
    error: Option<S::Error>,
    watch: Option<Watch<'a>>,
    capabilities: Capabilities,
}

/// Why a simulated world can't go on.
#[derive(Debug, thiserror::Error)]
pub enum SimWorldError<E> {
    /// What happens can't be recorded.
    #[error("record what happens")]
    Sink(#[source] E),
    /// Nodes make so much of nothing that the run would never end.
    #[error("simulate on: more than {0} things have happened")]
    Runaway(u64),
}

impl<'a, P: Program, S: Sink> SimWorld<'a, P, S> {
    /// A world whose nodes have never run.
    ///
    /// # Panics
    /// If there are no nodes, or more than a cluster can have.
    #[must_use]
    pub fn new(program: P, options: WorldOptions<'a>, sink: S) -> Self {
        let WorldOptions { nodes: count, seed, observe, read, timings, watch } = options;
        assert!((1..=1_000).contains(&count), "a cluster has nodes");
        let nodes = NodeId::all(count).map(|node| new_node(&program, node, seed)).collect();
        let wires = (0..count * count).map(|index| {
            let end = |index: usize| u16::try_from(index).expect("at most a thousand nodes");
            Wire::new(end(index / count), end(index % count), Draws::new(seed, Purpose::Link, index))
        });
        Self {
            now: 0,
            queue: crate::queue::Queue::default(),
            nodes,
            wires: wires.collect(),
            transports: NodeId::all(count).map(|node| program.transport(node)).collect(),
            program,
            seed,
            observe,
            read,
            timings,
            operations: Operations::default(),
            resource: Resource::default(),
            transfers: Vec::new(),
            hindered: Vec::new(),
            ready: VecDeque::new(),
            held: Vec::new(),
            effects: Effects::new(),
            hash: Rolling::default(),
            happened: 0,
            happenings_max: u64::MAX,
            started: 0,
            sink,
            error: None,
            watch,
            capabilities: capabilities(),
        }
    }

    /// Ends the run with an error once so many things have happened.
    #[must_use]
    pub fn limited_to(self, happenings_max: u64) -> Self {
        Self { happenings_max, ..self }
    }

    /// Starts all nodes, and waits until each has answered as itself.
    ///
    /// # Errors
    /// If the history can't be kept. Nodes that stay silent are no error: the engine finds no leader then.
    pub fn start_nodes(&mut self, within: Duration) -> Result<(), SimWorldError<S::Error>> {
        for node in 0..self.nodes.len() {
            self.start_node(node);
            self.begin_to_observe(node);
        }
        let deadline = self.now() + within;
        while !self.nodes.iter().all(|node| node.has_answered) && self.now() < deadline {
            self.next_event(deadline)?;
        }
        // The engine begins to look now.
        self.ready.clear();
        Ok(())
    }

    /// Ends all nodes, and hands over what has recorded the run, with the hash over everything that happened and how much that was.
    ///
    /// # Errors
    /// If the history can't be kept.
    pub fn finish(mut self) -> Result<(S, u64, u64), SimWorldError<S::Error>> {
        for node in 0..self.nodes.len() {
            if self.nodes[node].is_up() {
                self.end_node(node, None, Some(9), true);
                self.tell_end(node);
            }
        }
        match self.error {
            Some(error) => Err(SimWorldError::Sink(error)),
            None => Ok((self.sink, self.hash.value(), self.happened)),
        }
    }

    /// Plans something.
    pub(crate) fn plan(&mut self, at: u64, what: Happening<Msg<P>>) {
        self.queue.push(self.now, at.max(self.now), what);
    }

    /// Something leaves this node then, if nothing comes between.
    pub(crate) fn leaving(&self, node: usize, left: u64) -> Leaving {
        let number = u16::try_from(node).expect("at most a thousand nodes");
        Leaving { node: number, incarnation: self.nodes[node].incarnation, left }
    }

    /// Whether it has left by now.
    pub(crate) fn departure(&self, leaving: Leaving) -> Departure {
        let node = &self.nodes[usize::from(leaving.node)];
        if let Some(end) = node.ends.get(leaving.incarnation as usize - 1) {
            return if *end < leaving.left { Departure::Never } else { Departure::Left };
        }
        match node.stopped_since {
            Some(since) if since < leaving.left => Departure::Withheld,
            Some(_) | None => Departure::Left,
        }
    }

    /// Records an event for the history and, if there is one, hands its counterpart to the engine.
    pub(crate) fn record(&mut self, at: RunNanos, event: history::Event, for_engine: Option<Event>) {
        self.hash.take(at.0);
        self.hash.take(words_of(&event));
        if let Some(watch) = &mut self.watch
            && let Some(why) = watch(&event)
        {
            self.watch = None;
            self.ready.push_back((RunNanos(self.now), Event::Interrupt { why }));
        }
        if self.error.is_none() {
            self.error = self.sink.record(at, &event).err();
        }
        self.ready.extend(for_engine.map(|event| (at, event)));
    }

    /// Writes a remark for people.
    pub(crate) fn remark(&mut self, text: String) {
        self.record(RunNanos(self.now), history::Event::Note(NoteEvent { mark: None, text }), None);
    }

    fn mark(&mut self, mark: Mark, text: String) {
        self.record(RunNanos(self.now), history::Event::Note(NoteEvent { mark: Some(mark), text }), None);
    }

    pub(crate) fn node_event(&mut self, at: RunNanos, node: usize, life: NodeLife) {
        let incarnation = self.nodes[node].incarnation.into();
        let id = NodeId::from_index(node);
        let event = history::Event::Node(NodeEvent { node: id, incarnation, life: life.clone() });
        self.record(at, event, Some(Event::Node { node: id, life }));
    }

    fn happen(&mut self, what: Happening<Msg<P>>) {
        match what {
            Happening::Deliver(packet) => {
                self.hash.take(self.now ^ u64::from(packet.leaving.node) << 56 ^ packet.to.number() << 48);
                self.deliver(packet);
            }
            Happening::Timer { node, at } => self.timer(usize::from(node), at),
            Happening::Work { node, incarnation } => self.work(usize::from(node), incarnation),
            Happening::Dial { wire, generation } => self.dial(wire as usize, generation),
            Happening::Dialled { wire, generation, receiver } => self.dialled(wire as usize, generation, receiver),
            Happening::Retry { wire, generation } => self.retry(wire as usize, generation),
            Happening::Lost { wire, generation } => self.lost(wire as usize, generation),
            Happening::Boot { node, incarnation } => self.boot(usize::from(node), incarnation),
            Happening::Fall { node, incarnation } => self.fall(usize::from(node), incarnation),
            Happening::Ended { node, incarnation } => {
                if self.nodes[usize::from(node)].incarnation == incarnation {
                    self.tell_end(usize::from(node));
                }
            }
            Happening::Ask { node, sent } => self.ask(usize::from(node), sent),
            Happening::AskInVain { node, sent } => self.ask_in_vain(usize::from(node), sent),
            Happening::Listen { node, incarnation } => self.listen(usize::from(node), incarnation),
            Happening::Told { leaving, sent, belief } => self.told(leaving, sent, belief),
            Happening::Request { id } => self.request(id),
            Happening::Impatient { id, incarnation } => self.impatient(id, incarnation),
            Happening::Answer { leaving, id, phase, hint } => self.answer(leaving, id, phase, hint),
            Happening::Unanswered { id, phase } => self.complete(id, *phase, None),
            Happening::GiveUp { id } => self.give_up(id),
            Happening::Confirm(confirm) => self.confirm(*confirm),
            Happening::Beat { node, fault, incarnation, stops } => {
                self.beat(usize::from(node), fault, incarnation, stops);
            }
            Happening::Transfer { fault } => self.tend_transfer(fault),
        }
    }

    /// Starts a node's process, which will listen in a moment.
    pub(crate) fn start_node(&mut self, node: usize) {
        self.tell_end(node);
        self.started += 1;
        let (now, pid) = (self.now, 100 + self.started);
        let state = &mut self.nodes[node];
        state.incarnation += 1;
        state.life = Life::Starting;
        state.started_at = now;
        state.has_answered = false;
        state.has_fallen = false;
        let incarnation = state.incarnation;
        let took = self.timings.boot.draw(&mut state.dial);
        let took = state.paced(took);
        let number = u16::try_from(node).expect("at most a thousand nodes");
        self.plan(now + took, Happening::Boot { node: number, incarnation });
        self.node_event(RunNanos(now), node, NodeLife::Started { pid });
    }

    /// Ends a node's process at this moment; who wants to know hears of it by [`SimWorld::tell_end`].
    pub(crate) fn end_node(&mut self, node: usize, code: Option<i32>, signal: Option<i32>, expected: bool) {
        let now = self.now;
        let state = &mut self.nodes[node];
        debug_assert!(state.is_up(), "only a process that is there can end");
        state.life = Life::Down;
        // The kernel has what was written, and goes on.
        state.disk.settle();
        state.ends.push(now);
        state.protocol = None;
        state.stopped_since = None;
        state.withheld.clear();
        state.inbox.clear();
        state.requests.clear();
        state.before = None;
        state.work_planned = false;
        state.timer_at = u64::MAX;
        state.busy_until = now;
        state.idle = 0;
        state.is_heard = false;
        state.untold_end = Some((code, signal, expected));
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            let own = self.wire_index(node, other);
            self.wires[own].stall = None;
            self.wires[own].waiting.clear();
            self.wires[own].end();
            let theirs = self.wire_index(other, node);
            if matches!(self.wires[theirs].state, crate::wire::State::Up { .. }) {
                self.hear_of_end(theirs);
            }
        }
        self.clients_lose(node);
        self.observer_loses(node);
    }

    /// Records the end of a process, unless that was done.
    pub(crate) fn tell_end(&mut self, node: usize) {
        if let Some((code, signal, expected)) = self.nodes[node].untold_end.take() {
            self.node_event(RunNanos(self.now), node, NodeLife::Exited { code, signal, expected });
        }
    }
}

fn new_node<P: Program>(program: &P, node: NodeId, seed: Seed) -> Node<P::Node> {
    let draws = |purpose| Draws::new(seed, purpose, node.index());
    let mut dial = draws(Purpose::Dial);
    // Clocks begin anywhere within an hour.
    let mut clock = Clock::new(1_000_000_000 + dial.below(3_600_000_000_000));
    clock.goes_at(0, program.clock_rate_millionths(node));
    Node {
        own: members(node.index() + 1).pop().expect("as many as were asked for"),
        life: Life::Down,
        protocol: None,
        incarnation: 0,
        ends: Vec::new(),
        started_at: 0,
        stopped_since: None,
        withheld: Vec::new(),
        clock,
        disk: Disk::new(draws(Purpose::Disk)),
        machine: Machine::default(),
        inbox: VecDeque::new(),
        busy_until: 0,
        before: None,
        work_planned: false,
        timer_at: u64::MAX,
        requests: VecDeque::new(),
        last_request: 0,
        slowness_millionths: 1_000_000,
        work: draws(Purpose::Work),
        leg: draws(Purpose::Leg),
        dial,
        idle: 0,
        leg_cut: false,
        leg_stalled: Vec::new(),
        question: None,
        question_waits: false,
        is_heard: false,
        has_answered: false,
        untold_end: None,
        has_fallen: false,
        request_timeout: program.request_timeout(node),
    }
}

/// A word for the hash that differs for most different events.
fn words_of(event: &history::Event) -> u64 {
    use history::Event;
    match event {
        Event::Op(op) => {
            let phase = match &op.phase {
                history::OpPhase::Invoke { .. } => 1,
                history::OpPhase::Ok(result) => 2 ^ value_of(result).wrapping_mul(31),
                history::OpPhase::Fail { .. } => 3,
                history::OpPhase::Info { .. } => 4,
            };
            phase ^ op.id.0 << 32 ^ u64::from(op.node.number()) << 24
        }
        Event::Observation(observation) => {
            let told = match &observation.outcome {
                history::ObservationOutcome::Answered(belief) => {
                    let leader = belief.leader.map_or(0, NodeId::number);
                    belief.term.0 << 20 ^ u64::from(leader) << 4 ^ belief.commit.unwrap_or(0) << 36 ^ 1
                }
                history::ObservationOutcome::Silent(_) => 2,
            };
            told ^ u64::from(observation.node.number()) << 12 ^ observation.sent.0.rotate_left(17)
        }
        Event::Fault(fault) => u64::from(fault.id.0) << 8 ^ 5,
        Event::Node(node) => u64::from(node.node.number()) << 8 ^ node.incarnation << 24 ^ 6,
        Event::Note(_) => 7,
        Event::View(_) | Event::Stall(_) | Event::Replica(_) => 8,
    }
}

fn value_of(result: &history::OpResult) -> u64 {
    use history::OpResult;
    match result {
        OpResult::Read { value, revision } => {
            value.map_or(1, |value| value.0) ^ revision.map_or(0, |revision| revision.0 << 32)
        }
        OpResult::Written { revision } => revision.map_or(2, |revision| revision.0 << 3),
        OpResult::Cas { swapped, revision, .. } => u64::from(*swapped) ^ revision.map_or(0, |revision| revision.0 << 5),
        OpResult::Elements { .. } | OpResult::Acquired { .. } | OpResult::Released | OpResult::Accessed { .. } => 9,
    }
}

impl<P: Program, S: Sink> World for SimWorld<'_, P, S> {
    type Error = SimWorldError<S::Error>;

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn now(&self) -> RunNanos {
        RunNanos(self.now)
    }

    fn execute(&mut self, command: Command) -> Result<(), Self::Error> {
        // Of two things that follow from each other, the later one has a later stamp.
        self.now += REACTION;
        match command {
            Command::Fault(fault) => self.fault(fault),
            Command::Invoke(invocation) => self.invoke(invocation),
            // The reference node has no such question.
            Command::Compare { node, .. } => {
                self.ready.push_back((self.now(), Event::Compared { node, outcome: None }));
            }
            Command::Mark(mark, text) => self.mark(mark, text),
            Command::Remark(text) => self.remark(text),
            Command::Alter { fault, change, nodes, .. } => self.alter(fault, &change, &nodes),
            Command::Finish(_) => {}
        }
        match self.error.take() {
            Some(error) => Err(SimWorldError::Sink(error)),
            None => Ok(()),
        }
    }

    fn next_event(&mut self, deadline: RunNanos) -> Result<(RunNanos, Event), Self::Error> {
        loop {
            if let Some(error) = self.error.take() {
                return Err(SimWorldError::Sink(error));
            }
            if let Some(ready) = self.ready.pop_front() {
                return Ok(ready);
            }
            let Some((at, what)) = self.queue.pop_by(deadline.0) else {
                self.now = self.now.max(deadline.0);
                return Ok((self.now(), Event::Tick));
            };
            // What falls into the moment that a command took comes right after it.
            self.now = self.now.max(at);
            self.happened += 1;
            if self.happened > self.happenings_max {
                return Err(SimWorldError::Runaway(self.happenings_max));
            }
            self.happen(what);
        }
    }
}

/// A number of a node as it is planned.
pub(crate) fn number(node: usize) -> u16 {
    u16::try_from(small(node)).expect("at most a thousand nodes")
}
