//! A small Raft, message by message, whose every state change is noted: the truth that the analysis never sees.
//!
//! It has followers, candidates and leaders with terms, votes and heartbeats; leaders don't step down when they lose their
//! majority (so that stale leaders go on claiming), candidates that were cut off raise their terms (so that heals disturb), and
//! some followers campaign for no reason. It shares no code with the analysis. All times are microseconds.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform on `lo ..= hi`.
    pub(crate) fn within(&mut self, lo: u64, hi: u64) -> u64 {
        lo + self.next() % (hi - lo + 1)
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Follower,
    Candidate,
    Leader,
}

/// What a node is from one moment to the next change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) up: bool,
    pub(crate) paused: bool,
    pub(crate) incarnation: u64,
    pub(crate) term: u64,
    pub(crate) role: Role,
    /// Whom it takes for the leader of its term.
    pub(crate) leader: Option<usize>,
}

impl State {
    /// Leader and term that the running process names.
    pub(crate) fn names(&self) -> Option<(usize, u64)> {
        self.leader.filter(|_| self.up).map(|leader| (leader, self.term))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Kill,
    Pause,
    Partition,
}

/// A fault as it truly was.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) nodes: Vec<usize>,
    pub(crate) links: Vec<(usize, usize)>,
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// The leader that a majority named when it was aimed.
    pub(crate) leader: Option<(usize, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Deliver { from: usize, to: usize, message: Message },
    Timer { node: usize, set: u64 },
    Beat { node: usize, term: u64, incarnation: u64 },
    Begin { fault: usize },
    End { fault: usize },
    Whim { node: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Message {
    Append { term: u64 },
    Request { term: u64 },
    Vote { term: u64 },
    Higher { term: u64 },
}

#[derive(Debug)]
struct Node {
    state: State,
    voted: Option<(u64, usize)>,
    votes: BTreeSet<usize>,
    set: u64,
    /// What waits for a stopped process.
    inbox: Vec<Step>,
}

/// What truly happened.
#[derive(Debug)]
pub(crate) struct Truth {
    pub(crate) nodes: usize,
    pub(crate) end: u64,
    pub(crate) faults: Vec<Fault>,
    /// Per node its states, each from its moment on.
    pub(crate) states: Vec<Vec<(u64, State)>>,
    /// Links that were cut, from when to when.
    pub(crate) cuts: Vec<(usize, usize, u64, u64)>,
}

impl Truth {
    /// The state of a node at a moment.
    pub(crate) fn at(&self, node: usize, moment: u64) -> State {
        let states = &self.states[node];
        states[states.partition_point(|(from, _)| *from <= moment) - 1].1
    }

    pub(crate) fn connected(&self, one: usize, other: usize, moment: u64) -> bool {
        !self.cuts.iter().any(|(a, b, from, to)| {
            (*from..*to).contains(&moment) && ((*a, *b) == (one, other) || (*a, *b) == (other, one))
        })
    }
}

struct Simulator {
    draw: Draw,
    now: u64,
    steps: BinaryHeap<Reverse<(u64, u64, Step)>>,
    count: u64,
    nodes: Vec<Node>,
    truth: Truth,
    latency: (u64, u64),
    timeout: (u64, u64),
    heartbeat: u64,
}

/// One timeline of a cluster with faults and whims.
pub(crate) fn simulate(draw: Draw) -> Truth {
    let mut draw = draw;
    let count = usize::try_from(draw.within(3, 5)).unwrap_or(3);
    let start = State { up: true, paused: false, incarnation: 1, term: 0, role: Role::Follower, leader: None };
    let node = |_| Node { state: start, voted: None, votes: BTreeSet::new(), set: 0, inbox: Vec::new() };
    let low = draw.within(60_000, 120_000);
    let timeout = (low, low + draw.within(5_000, 100_000));
    let mut simulator = Simulator {
        now: 0,
        steps: BinaryHeap::new(),
        count: 0,
        nodes: (0..count).map(node).collect(),
        truth: Truth {
            nodes: count,
            end: 0,
            faults: Vec::new(),
            states: vec![vec![(0, start)]; count],
            cuts: Vec::new(),
        },
        latency: (200, draw.within(400, 6_000)),
        timeout,
        heartbeat: draw.within(10_000, 30_000),
        draw,
    };
    simulator.plan();
    for node in 0..count {
        simulator.arm(node);
    }
    while let Some(Reverse((at, _, step))) = simulator.steps.pop() {
        if at > simulator.truth.end {
            break;
        }
        simulator.now = at;
        simulator.step(step);
    }
    simulator.truth
}

impl Simulator {
    fn plan(&mut self) {
        let mut at = self.draw.within(500_000, 700_000);
        for fault in 0..usize::try_from(self.draw.within(1, 3)).unwrap_or(1) {
            let kind = [Kind::Kill, Kind::Pause, Kind::Partition][usize::try_from(self.draw.within(0, 2)).unwrap_or(0)];
            let to = at + self.draw.within(20_000, 700_000);
            self.truth.faults.push(Fault { kind, nodes: vec![], links: vec![], from: at, to, leader: None });
            self.schedule(at, Step::Begin { fault });
            self.schedule(to, Step::End { fault });
            // Now and then the next one comes before the last is healed.
            at = if self.draw.chance(15) { at.midpoint(to) } else { to } + self.draw.within(30_000, 500_000);
        }
        self.truth.end = self.truth.faults.iter().map(|fault| fault.to).max().unwrap_or(at) + 400_000;
        if self.draw.chance(30) {
            let (at, node) =
                (self.draw.within(300_000, self.truth.end), self.draw.within(0, self.nodes.len() as u64 - 1));
            self.schedule(at, Step::Whim { node: usize::try_from(node).unwrap_or(0) });
        }
    }

    fn schedule(&mut self, at: u64, step: Step) {
        self.count += 1;
        self.steps.push(Reverse((at, self.count, step)));
    }

    fn arm(&mut self, node: usize) {
        self.nodes[node].set += 1;
        let at = self.now + self.draw.within(self.timeout.0, self.timeout.1);
        self.schedule(at, Step::Timer { node, set: self.nodes[node].set });
    }

    fn send(&mut self, from: usize, to: usize, message: Message) {
        if self.truth.cuts.iter().any(|(a, b, _, until)| (*a, *b) == (from, to) && *until > self.now) {
            return;
        }
        let at = self.now + self.draw.within(self.latency.0, self.latency.1);
        self.schedule(at, Step::Deliver { from, to, message });
    }

    fn broadcast(&mut self, from: usize, message: Message) {
        for to in (0..self.nodes.len()).filter(|to| *to != from) {
            self.send(from, to, message);
        }
    }

    fn become_(&mut self, node: usize, state: State) {
        if self.nodes[node].state != state {
            self.nodes[node].state = state;
            self.truth.states[node].push((self.now, state));
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Begin { fault } => return self.begin(fault),
            Step::End { fault } => return self.end(fault),
            Step::Deliver { .. } | Step::Timer { .. } | Step::Beat { .. } | Step::Whim { .. } => {}
        }
        let node = match step {
            Step::Deliver { to, .. } => to,
            Step::Timer { node, .. } | Step::Beat { node, .. } | Step::Whim { node } => node,
            Step::Begin { .. } | Step::End { .. } => return,
        };
        let state = self.nodes[node].state;
        if !state.up {
            return;
        }
        if state.paused {
            self.nodes[node].inbox.push(step);
            return;
        }
        match step {
            Step::Deliver { from, to, message } => self.deliver(from, to, message),
            Step::Timer { node, set } if self.nodes[node].set == set && state.role != Role::Leader => {
                self.campaign(node)
            }
            Step::Whim { node } if state.role != Role::Leader => self.campaign(node),
            Step::Beat { node, term, incarnation }
                if state.role == Role::Leader && state.term == term && state.incarnation == incarnation =>
            {
                self.broadcast(node, Message::Append { term });
                self.schedule(self.now + self.heartbeat, step);
            }
            Step::Timer { .. } | Step::Beat { .. } | Step::Whim { .. } | Step::Begin { .. } | Step::End { .. } => {}
        }
    }

    fn campaign(&mut self, node: usize) {
        let state = self.nodes[node].state;
        let term = state.term + 1;
        self.nodes[node].voted = Some((term, node));
        self.nodes[node].votes = BTreeSet::from([node]);
        self.become_(node, State { term, role: Role::Candidate, leader: None, ..state });
        self.arm(node);
        self.broadcast(node, Message::Request { term });
    }

    fn follow(&mut self, node: usize, term: u64, leader: Option<usize>) {
        let state = self.nodes[node].state;
        self.become_(node, State { term, role: Role::Follower, leader, ..state });
        if state.role == Role::Leader {
            self.arm(node);
        }
    }

    fn deliver(&mut self, from: usize, to: usize, message: Message) {
        let state = self.nodes[to].state;
        match message {
            Message::Append { term } if term >= state.term => {
                self.follow(to, term, Some(from));
                self.arm(to);
            }
            Message::Append { .. } => self.send(to, from, Message::Higher { term: state.term }),
            Message::Request { term } => {
                if term > state.term {
                    self.follow(to, term, None);
                }
                let free = self.nodes[to].voted.is_none_or(|(voted, whom)| voted < term || whom == from);
                if term >= state.term && free && self.nodes[to].state.role == Role::Follower {
                    self.nodes[to].voted = Some((term, from));
                    self.arm(to);
                    self.send(to, from, Message::Vote { term });
                } else if term < state.term {
                    self.send(to, from, Message::Higher { term: state.term });
                }
            }
            Message::Vote { term } if term == state.term && state.role == Role::Candidate => {
                self.nodes[to].votes.insert(from);
                if self.nodes[to].votes.len() > self.nodes.len() / 2 {
                    self.become_(to, State { role: Role::Leader, leader: Some(to), ..state });
                    self.schedule(self.now, Step::Beat { node: to, term, incarnation: state.incarnation });
                }
            }
            Message::Higher { term } if term > state.term => self.follow(to, term, None),
            Message::Vote { .. } | Message::Higher { .. } => {}
        }
    }

    /// The leader that a majority names.
    fn leader(&self) -> Option<(usize, u64)> {
        let names = |node: &Node| node.state.names();
        let named: Vec<(usize, u64)> = self.nodes.iter().filter_map(names).collect();
        let votes = |leader: &(usize, u64)| named.iter().filter(|other| *other == leader).count();
        named.iter().copied().find(|leader| votes(leader) > self.nodes.len() / 2)
    }

    fn begin(&mut self, index: usize) {
        let (all, leader) = (self.nodes.len(), self.leader());
        let mut target = leader.map_or(0, |(node, _)| node);
        if self.draw.chance(15) {
            target = usize::try_from(self.draw.within(0, all as u64 - 1)).unwrap_or(0);
        }
        let mut nodes = vec![target];
        if self.draw.chance(15) {
            nodes.push((target + 1) % all);
        }
        self.truth.faults[index].leader = leader;
        self.truth.faults[index].nodes = nodes.clone();
        let (kind, to) = (self.truth.faults[index].kind, self.truth.faults[index].to);
        match kind {
            Kind::Partition => {
                for (inside, outside) in nodes.iter().flat_map(|node| (0..all).map(|other| (*node, other))) {
                    if !nodes.contains(&outside) {
                        self.truth.faults[index].links.extend([(inside, outside), (outside, inside)]);
                        self.truth.cuts.extend([(inside, outside, self.now, to), (outside, inside, self.now, to)]);
                    }
                }
            }
            Kind::Kill => nodes.into_iter().for_each(|node| {
                let state = self.nodes[node].state;
                self.nodes[node].inbox.clear();
                self.become_(node, State { up: false, paused: false, role: Role::Follower, leader: None, ..state });
            }),
            Kind::Pause => nodes.into_iter().for_each(|node| {
                let state = self.nodes[node].state;
                self.become_(node, State { paused: state.up, ..state });
            }),
        }
    }

    fn end(&mut self, index: usize) {
        let fault = self.truth.faults[index].clone();
        for node in fault.nodes {
            let state = self.nodes[node].state;
            match fault.kind {
                Kind::Kill if !state.up => {
                    self.become_(node, State { up: true, incarnation: state.incarnation + 1, ..state });
                    self.arm(node);
                }
                Kind::Pause if state.paused => {
                    self.become_(node, State { paused: false, ..state });
                    let inbox = std::mem::take(&mut self.nodes[node].inbox);
                    // One after the other, so that no two states have one stamp.
                    inbox.into_iter().zip(1..).for_each(|(step, place)| self.schedule(self.now + 3 * place, step));
                }
                Kind::Kill | Kind::Pause | Kind::Partition => {}
            }
        }
    }
}
