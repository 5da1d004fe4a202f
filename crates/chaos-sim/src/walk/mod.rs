//! The untimed walk: a protocol's nodes without a clock that means anything, driven through any order of deliveries, time-outs, crashes,
//! losses and repetitions that a seed comes up with, and looked at from within.
//!
//! Runs in time only reach what time allows; many mistakes hide behind orders that need a week of bad luck. Here each step draws what happens
//! next among all that could: any message under way, whatever its age; any node's deadline, whatever its length. What is promised without
//! regard to time must hold all the same (Ongaro and Ousterhout, figure 3): one vote a term, one leader a term, log matching, leader
//! completeness, state machine safety. What rests on clocks, leases above all, is not asked for here.
//!
//! The checks see every event, every write and every applied entry, so a violation is noticed in the step that commits it.
//!
//! A walk is its [`Move`]s: [`walk`] draws them, [`retrace`] makes them again, or some of them (so that whoever looks for the shortest
//! way to a violation can leave out one after the other), and [`narrate`] tells what they lead to.

mod checks;
mod moves;
mod story;

use std::time::Duration;

use chaos_history::{NodeId, Seed};
use election::raft::{CommandBytes, Input, Output, ReadConsistency, Recovered, Snapshot};
use election::{Nanos, Protocol, RequestId};

use self::checks::Checks;
pub use self::checks::WalkProperty;
use self::moves::members_of;
pub use self::moves::{Letter, Move};
use self::story::Story;
pub use self::story::Told;
use crate::disk;
use crate::program::{Program, Start, members};
use crate::random::{Draws, Purpose, Rolling};

/// What a walk may do, and for how long. Weights are relative; the default ones find each of the specimens that a walk can find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkOptions {
    /// How many nodes.
    pub nodes: usize,
    /// How many steps.
    pub steps: u32,
    /// Deliver any message under way.
    pub deliver: u32,
    /// Deliver one and leave it under way.
    pub repeat: u32,
    /// Lose one.
    pub lose: u32,
    /// Let a node's deadline pass.
    pub time_out: u32,
    /// Ask a node to append a command.
    pub propose: u32,
    /// Ask a node to read.
    pub read: u32,
    /// Ask a node to add or remove a member, or two at once.
    pub change: u32,
    /// End a node, between two outputs of what it does next, and start it again.
    pub crash: u32,
    /// How many messages may be under way; when there are more, the oldest is lost.
    pub messages_max: usize,
}

impl Default for WalkOptions {
    fn default() -> Self {
        Self {
            nodes: 3,
            steps: 3_000,
            deliver: 60,
            repeat: 8,
            lose: 6,
            time_out: 14,
            propose: 8,
            read: 4,
            change: 0,
            crash: 2,
            messages_max: 64,
        }
    }
}

/// A violation, and when it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkViolation {
    /// What was violated.
    pub property: WalkProperty,
    /// By whom and how.
    pub why: String,
    /// In which step, from 0.
    pub step: u32,
}

/// Where a walk has led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walked {
    /// How many steps were made: all of them, or those up to the violation.
    pub steps: u32,
    /// The first violation, which ended it.
    pub violation: Option<WalkViolation>,
    /// What happened. Fewer than the steps: nothing happens to a message where none is under way.
    pub moves: Vec<Move>,
    /// How many terms had a leader.
    pub leaders: usize,
    /// How many entries were applied somewhere.
    pub applied: usize,
    /// A hash over everything that happened.
    pub hash: u64,
}

/// Walks as far as the options say, or to the first violation. The same arguments lead the same way.
///
/// # Panics
/// If there are no nodes, or all weights are 0.
pub fn walk<P: Program>(program: &P, seed: Seed, options: &WalkOptions) -> Walked {
    let mut draws = Draws::new(seed, Purpose::Walk, options.nodes);
    let mut walk = Walk::new(program, seed, options, Story::Untold);
    let mut moves = Vec::new();
    for step in 0..options.steps {
        if let Some(next) = walk.draw(&mut draws) {
            moves.push(next);
            walk.make(&next);
        }
        if walk.checks.violated.is_some() {
            return walk.over(step, moves).0;
        }
    }
    walk.over(options.steps, moves).0
}

/// Makes these moves, as far as they can be made, up to the first violation. Of the options only the sizes count; with the moves of
/// a walk and its seed it is that walk.
///
/// # Panics
/// If there are no nodes.
pub fn retrace<P: Program>(program: &P, seed: Seed, options: &WalkOptions, moves: &[Move]) -> Walked {
    along(program, seed, options, moves, Story::Untold).0
}

/// The same, in words.
///
/// # Panics
/// If there are no nodes.
pub fn narrate<P: Program>(program: &P, seed: Seed, options: &WalkOptions, moves: &[Move]) -> Vec<Told> {
    along(program, seed, options, moves, Story::default()).1
}

fn along<P: Program>(
    program: &P,
    seed: Seed,
    options: &WalkOptions,
    moves: &[Move],
    story: Story,
) -> (Walked, Vec<Told>) {
    let mut walk = Walk::new(program, seed, options, story);
    let mut made = Vec::new();
    for next in moves {
        if walk.make(next) {
            made.push(*next);
        }
        if walk.checks.violated.is_some() {
            break;
        }
    }
    let steps = u32::try_from(made.len()).unwrap_or(u32::MAX);
    let last = if walk.checks.violated.is_some() { steps.saturating_sub(1) } else { steps };
    walk.over(last, made)
}

struct Walker<N> {
    protocol: N,
    disk: Recovered,
    now: Nanos,
    starts: usize,
}

/// A message under way.
struct Posted<M> {
    from: usize,
    to: usize,
    message: M,
}

type Node<P> = <P as Program>::Node;
type Msg<P> = <Node<P> as Protocol>::Message;

struct Walk<'a, P: Program> {
    program: &'a P,
    options: &'a WalkOptions,
    seed: Seed,
    nodes: Vec<Walker<Node<P>>>,
    /// In the order in which they were sent.
    posted: Vec<Posted<Msg<P>>>,
    requests: u64,
    checks: Checks,
    story: Story,
    hash: Rolling,
}

impl<'a, P: Program> Walk<'a, P> {
    fn new(program: &'a P, seed: Seed, options: &'a WalkOptions, story: Story) -> Self {
        assert!(options.nodes > 0, "a walk has nodes");
        let nodes = (0..options.nodes).map(|node| {
            let now = Nanos(1_000_000_000 * (1 + node as u64));
            let disk = Recovered::default();
            let protocol = start(program, seed, options.nodes, (node, 1), &disk, now);
            Walker { protocol, disk, now, starts: 1 }
        });
        let nodes = nodes.collect();
        let (checks, hash) = (Checks::default(), Rolling::default());
        Self { program, options, seed, nodes, posted: Vec::new(), requests: 0, checks, story, hash }
    }

    fn over(mut self, step: u32, moves: Vec<Move>) -> (Walked, Vec<Told>) {
        let (leaders, applied) = (self.checks.leaders.len(), self.checks.applied.len());
        let violation = self.checks.violated.take().map(|(property, why)| WalkViolation { property, why, step });
        let steps = step + u32::from(violation.is_some());
        let walked = Walked { steps, violation, moves, leaders, applied, hash: self.hash.value() };
        (walked, self.story.told())
    }

    /// One thing that could happen, drawn by weight; `None` if it would happen to a message and there is none.
    fn draw(&self, draws: &mut Draws) -> Option<Move> {
        let WalkOptions { deliver, repeat, lose, time_out, propose, read, change, crash, .. } = *self.options;
        let weights = [deliver, repeat, lose, time_out, propose, read, change, crash];
        let total: u64 = weights.iter().copied().map(u64::from).sum();
        assert!(total > 0, "something must be possible");
        let mut draw = draws.below(total);
        let chosen = weights.iter().position(|weight| {
            let weight = u64::from(*weight);
            let here = draw < weight;
            draw = draw.saturating_sub(weight);
            here
        });
        match chosen {
            Some(0) => Some(Move::Deliver { letter: self.any_letter(draws)?, later: a_moment(draws) }),
            Some(1) => Some(Move::Repeat { letter: self.any_letter(draws)?, later: a_moment(draws) }),
            Some(2) => Some(Move::Lose { letter: self.any_letter(draws)? }),
            Some(3) => Some(Move::TimeOut { node: self.any_node(draws) }),
            Some(4) => Some(Move::Propose { node: self.any_node(draws) }),
            Some(5) => Some(Move::Read { node: self.any_node(draws) }),
            Some(6) => self.any_change(draws),
            Some(_) | None => {
                let (node, outputs) = (self.any_node(draws), u8::try_from(draws.below(4)).expect("below four"));
                Some(Move::Crash { node, outputs, later: a_moment(draws) })
            }
        }
    }

    fn any_node(&self, draws: &mut Draws) -> NodeId {
        name(below(self.nodes.len(), draws))
    }

    fn any_letter(&self, draws: &mut Draws) -> Option<Letter> {
        if self.posted.is_empty() {
            return None;
        }
        let place = below(self.posted.len(), draws);
        let Posted { from, to, .. } = self.posted[place];
        let newer = self.posted[place + 1..].iter().filter(|other| (other.from, other.to) == (from, to)).count();
        let newer = u16::try_from(newer).expect("few messages are under way");
        Some(Letter { from: name(from), to: name(to), newer })
    }

    /// One member more or less than a node goes by, or two.
    fn any_change(&self, draws: &mut Draws) -> Option<Move> {
        let node = self.any_node(draws);
        let Walker { protocol, now, .. } = &self.nodes[node.index()];
        let going_by = protocol.status(*now).members;
        let numbers = going_by.iter().map(|member| member.number());
        let mut members = numbers.fold(0_u16, |members, number| members | 1 << number.saturating_sub(1));
        for _ in 0..draws.pick(&[1, 1, 1, 2]) {
            members ^= 1 << below(self.nodes.len(), draws);
        }
        (members != 0).then_some(Move::Change { node, members })
    }

    fn place_of(&self, letter: Letter) -> Option<usize> {
        let between = (letter.from.index(), letter.to.index());
        let newest_first = self.posted.iter().enumerate().rev().filter(|(_, other)| (other.from, other.to) == between);
        newest_first.map(|(place, _)| place).nth(usize::from(letter.newer))
    }

    /// Makes it happen; false if it can't.
    fn make(&mut self, next: &Move) -> bool {
        match *next {
            Move::Deliver { letter, later } => {
                let Some(place) = self.place_of(letter) else { return false };
                let letter = self.posted.remove(place);
                self.story.begin(next, Some(Node::<P>::kind(&letter.message)));
                self.receive(letter, later, usize::MAX);
            }
            Move::Repeat { letter, later } => {
                let Some(place) = self.place_of(letter) else { return false };
                let Posted { from, to, message } = &self.posted[place];
                let copy = Posted { from: *from, to: *to, message: message.clone() };
                self.story.begin(next, Some(Node::<P>::kind(message)));
                self.receive(copy, later, usize::MAX);
            }
            Move::Lose { letter } => {
                let Some(place) = self.place_of(letter) else { return false };
                let lost = self.posted.remove(place);
                self.story.begin(next, Some(Node::<P>::kind(&lost.message)));
            }
            Move::TimeOut { node } => {
                self.story.begin(next, None);
                self.time_out(node.index(), usize::MAX);
            }
            Move::Propose { node } => {
                let request = self.request(next);
                let command = CommandBytes::from(&request.0.to_be_bytes()[..]);
                self.take(node.index(), Input::Propose { request, command }, usize::MAX);
            }
            Move::Read { node } => {
                let request = self.request(next);
                self.checks.asked_to_read(request);
                let consistency = ReadConsistency::Linearizable;
                self.take(node.index(), Input::Read { request, consistency }, usize::MAX);
            }
            Move::Change { node, members } => {
                let request = self.request(next);
                let members = members_of(members).map(own).collect();
                self.take(node.index(), Input::ChangeMembership { request, members }, usize::MAX);
            }
            Move::Crash { node, outputs, later } => self.crash(next, node.index(), outputs.into(), later),
        }
        true
    }

    /// A client or an operator comes.
    fn request(&mut self, this: &Move) -> RequestId {
        self.story.begin(this, None);
        self.requests += 1;
        RequestId(self.requests)
    }

    fn receive(&mut self, letter: Posted<Msg<P>>, later: Duration, outputs_max: usize) {
        let Posted { from, to, message } = letter;
        // A moment passes at the receiver; how long, nobody may rely on.
        self.nodes[to].now = self.nodes[to].now + later;
        self.take(to, Input::Receive { from: own(from), message }, outputs_max);
    }

    fn time_out(&mut self, node: usize, outputs_max: usize) {
        let walker = &mut self.nodes[node];
        walker.now = walker.now.max(walker.protocol.deadline());
        self.take(node, Input::Tick, outputs_max);
    }

    /// The node's next step is its last: it ends after some of what comes out of it, and starts again with what is on its disk.
    fn crash(&mut self, this: &Move, node: usize, outputs_max: usize, later: Duration) {
        match self.posted.iter().position(|letter| letter.to == node) {
            Some(place) => {
                let letter = self.posted.remove(place);
                self.story.begin(this, Some(Node::<P>::kind(&letter.message)));
                self.receive(letter, later, outputs_max);
            }
            None => {
                self.story.begin(this, None);
                self.time_out(node, outputs_max);
            }
        }
        let count = self.nodes.len();
        let walker = &mut self.nodes[node];
        walker.starts += 1;
        self.checks.started(node, &walker.disk);
        walker.protocol = start(self.program, self.seed, count, (node, walker.starts), &walker.disk, walker.now);
    }

    /// One input of a node, and at most so many of its outputs.
    fn take(&mut self, node: usize, input: Input<Msg<P>>, outputs_max: usize) {
        let mut outputs = Vec::new();
        let walker = &mut self.nodes[node];
        walker.protocol.step(walker.now, input, &mut outputs);
        let term = walker.protocol.status(walker.now).term;
        self.hash.take(term.0 << 16 ^ (node as u64) << 8 ^ outputs.len() as u64);
        let mut snapshots = Vec::new();
        for output in outputs.into_iter().take(outputs_max) {
            match output {
                Output::Persist(persist) => {
                    if let Some(hard) = persist.hard {
                        self.checks.term(node, hard.term);
                    }
                    let walker = &mut self.nodes[node];
                    self.checks.appended(&walker.disk, &persist, node);
                    self.story.written(node, &persist);
                    disk::write(&mut walker.disk, persist);
                }
                Output::Send { to, message } => {
                    let to = to.number().checked_sub(1).and_then(|to| usize::try_from(to).ok());
                    if let Some(to) = to.filter(|to| *to < self.nodes.len() && *to != node) {
                        self.posted.push(Posted { from: node, to, message });
                    }
                }
                Output::Apply(entries) => entries.iter().for_each(|entry| self.checks.applied(node, term, entry)),
                Output::Event(event) => {
                    self.story.happened(node, &event);
                    self.checks.event(node, &event, &self.nodes[node].disk);
                }
                Output::Reply { request, outcome } => {
                    self.story.answered(node, outcome);
                    self.checks.answered(node, request, outcome);
                }
                Output::TakeSnapshot { meta } => snapshots.push(Snapshot { meta, data: Vec::new() }),
                Output::RestoreSnapshot(snapshot) => self.checks.restored(node, snapshot.meta),
            }
        }
        // Who crashes in this step takes none any more.
        for snapshot in snapshots.into_iter().filter(|_| outputs_max == usize::MAX) {
            self.take(node, Input::SnapshotTaken(Box::new(snapshot)), outputs_max);
        }
        while self.posted.len() > self.options.messages_max {
            self.posted.remove(0);
        }
    }
}

/// A node starts for the n-th time.
fn start<P: Program>(
    program: &P,
    seed: Seed,
    count: usize,
    (node, nth): (usize, usize),
    disk: &Recovered,
    now: Nanos,
) -> P::Node {
    let drawn = Draws::new(seed, Purpose::Node, node << 32 | nth).next();
    program.start(Start { id: own(node), members: members(count), seed: drawn, recovered: disk.clone(), now })
}

fn a_moment(draws: &mut Draws) -> Duration {
    Duration::from_nanos(draws.below(3_000_000))
}

fn below(count: usize, draws: &mut Draws) -> usize {
    let count = u64::try_from(count).expect("a length fits 64 bits");
    usize::try_from(draws.below(count)).expect("below a length")
}

/// What a node is called by the others.
fn own(node: usize) -> election::NodeId {
    members(node + 1).pop().expect("as many as were asked for")
}

fn name(node: usize) -> NodeId {
    NodeId::from_index(node)
}
