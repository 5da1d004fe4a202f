//! The untimed walk: a protocol's nodes without a clock that means anything, driven through any order of deliveries, time-outs, crashes,
//! losses and repetitions that a seed comes up with, and looked at from within.
//!
//! Runs in time only reach what time allows; many mistakes hide behind orders that need a week of bad luck. Here each step draws what happens
//! next among all that could: any message under way, whatever its age; any node's deadline, whatever its length. What is promised without
//! regard to time must hold all the same (Ongaro and Ousterhout, figure 3): one vote a term, one leader a term, log matching, leader
//! completeness, state machine safety. What rests on clocks, leases above all, is not asked for here.
//!
//! The checks see every event, every write and every applied entry, so a violation is noticed in the step that commits it. Of logs that
//! match it is enough to know, for each position and term, one entry and the term before it: two logs that share an entry then
//! share, by induction, everything before.

use std::collections::BTreeMap;
use std::time::Duration;

use chaos_history::{NodeId, Seed};
use election::raft::{Entry, EntryPayload, Event, Input, Output, Persist, Recovered};
use election::{LogIndex, Nanos, Protocol, RequestId, Term};

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
            repeat: 4,
            lose: 6,
            time_out: 14,
            propose: 8,
            crash: 2,
            messages_max: 64,
        }
    }
}

/// What a walk demands, by the names of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WalkProperty {
    /// A node votes once a term, restarts included.
    SingleVote,
    /// A term has one leader.
    ElectionSafety,
    /// Two logs with the same entry at one place are the same up to there.
    LogMatching,
    /// Who leads a term holds all that was committed in earlier ones.
    LeaderCompleteness,
    /// No two nodes apply different entries at one place.
    StateMachineSafety,
    /// A node's term never falls.
    TermMonotonic,
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
    assert!(options.nodes > 0, "a walk has nodes");
    let mut walk = Walk::new(program, seed, options);
    for step in 0..options.steps {
        walk.step();
        if let Some((property, why)) = walk.checks.violated.take() {
            let violation = Some(WalkViolation { property, why, step });
            return walk.over(step + 1, violation);
        }
    }
    walk.over(options.steps, None)
}

struct Walker<N> {
    protocol: N,
    disk: Recovered,
    now: Nanos,
    starts: u64,
}

/// A message under way.
struct Letter<M> {
    from: election::NodeId,
    to: usize,
    message: M,
}

type Node<P> = <P as Program>::Node;
type Msg<P> = <Node<P> as Protocol>::Message;

struct Walk<'a, P: Program> {
    program: &'a P,
    options: &'a WalkOptions,
    draws: Draws,
    nodes: Vec<Walker<Node<P>>>,
    letters: Vec<Letter<Msg<P>>>,
    requests: u64,
    checks: Checks,
    hash: Rolling,
}

/// What is known of the past.
#[derive(Default)]
struct Checks {
    votes: BTreeMap<(usize, Term), election::NodeId>,
    leaders: BTreeMap<Term, usize>,
    terms: BTreeMap<usize, Term>,
    /// Of each place and term the entry, by its digest, and the term before it.
    entries: BTreeMap<(LogIndex, Term), (u64, Term)>,
    /// What was applied, and in which term its first applier was then.
    applied: BTreeMap<LogIndex, (Term, u64, Term)>,
    violated: Option<(WalkProperty, String)>,
}

impl<'a, P: Program> Walk<'a, P> {
    fn new(program: &'a P, seed: Seed, options: &'a WalkOptions) -> Self {
        let mut draws = Draws::new(seed, Purpose::Walk, options.nodes);
        let nodes = (0..options.nodes).map(|node| {
            let now = Nanos(1_000_000_000 * (1 + node as u64));
            let disk = Recovered::default();
            let protocol = start(program, options.nodes, node, &disk, now, draws.next());
            Walker { protocol, disk, now, starts: 1 }
        });
        let nodes = nodes.collect();
        let (checks, hash) = (Checks::default(), Rolling::default());
        Self { program, options, draws, nodes, letters: Vec::new(), requests: 0, checks, hash }
    }

    fn over(self, steps: u32, violation: Option<WalkViolation>) -> Walked {
        let (leaders, applied) = (self.checks.leaders.len(), self.checks.applied.len());
        Walked { steps, violation, leaders, applied, hash: self.hash.value() }
    }

    fn any_node(&mut self) -> usize {
        let count = u64::try_from(self.nodes.len()).expect("a length fits 64 bits");
        usize::try_from(self.draws.below(count)).expect("below a length")
    }

    fn any_letter(&mut self) -> Option<usize> {
        let count = u64::try_from(self.letters.len()).expect("a length fits 64 bits");
        (count > 0).then(|| usize::try_from(self.draws.below(count)).expect("below a length"))
    }

    /// One thing that could happen, drawn by weight.
    fn step(&mut self) {
        let WalkOptions { deliver, repeat, lose, time_out, propose, crash, .. } = *self.options;
        let weights = [deliver, repeat, lose, time_out, propose, crash];
        let total: u64 = weights.iter().copied().map(u64::from).sum();
        assert!(total > 0, "something must be possible");
        let mut draw = self.draws.below(total);
        let chosen = weights.iter().position(|weight| {
            let weight = u64::from(*weight);
            let here = draw < weight;
            draw = draw.saturating_sub(weight);
            here
        });
        self.hash.take(chosen.map_or(0, |chosen| chosen as u64));
        match chosen {
            Some(0) => {
                if let Some(letter) = self.any_letter() {
                    let letter = self.letters.swap_remove(letter);
                    self.receive(letter, usize::MAX);
                }
            }
            Some(1) => {
                if let Some(letter) = self.any_letter() {
                    let Letter { from, to, message } = &self.letters[letter];
                    let copy = Letter { from: *from, to: *to, message: message.clone() };
                    self.receive(copy, usize::MAX);
                }
            }
            Some(2) => {
                if let Some(letter) = self.any_letter() {
                    self.letters.swap_remove(letter);
                }
            }
            Some(3) => {
                let node = self.any_node();
                self.time_out(node, usize::MAX);
            }
            Some(4) => {
                let node = self.any_node();
                self.requests += 1;
                let (request, command) = (RequestId(self.requests), self.requests.to_be_bytes().to_vec());
                self.take(node, Input::Propose { request, command }, usize::MAX);
            }
            Some(_) | None => self.crash(),
        }
    }

    fn receive(&mut self, letter: Letter<Msg<P>>, outputs_max: usize) {
        let Letter { from, to, message } = letter;
        // A moment passes at the receiver; how long, nobody may rely on.
        let passed = self.draws.below(3_000_000);
        self.nodes[to].now = self.nodes[to].now + Duration::from_nanos(passed);
        self.take(to, Input::Receive { from, message }, outputs_max);
    }

    fn time_out(&mut self, node: usize, outputs_max: usize) {
        let walker = &mut self.nodes[node];
        walker.now = walker.now.max(walker.protocol.deadline());
        self.take(node, Input::Tick, outputs_max);
    }

    /// The node's next step is its last: it ends after some of what comes out of it, and starts again with what is on its disk.
    fn crash(&mut self) {
        let node = self.any_node();
        let outputs_max = usize::try_from(self.draws.below(4)).expect("below four");
        let for_it = self.letters.iter().position(|letter| letter.to == node);
        match for_it {
            Some(letter) => {
                let letter = self.letters.swap_remove(letter);
                self.receive(letter, outputs_max);
            }
            None => self.time_out(node, outputs_max),
        }
        let seed = self.draws.next();
        let count = self.nodes.len();
        let walker = &mut self.nodes[node];
        walker.starts += 1;
        walker.protocol = start(self.program, count, node, &walker.disk, walker.now, seed);
    }

    /// One input of a node, and at most so many of its outputs.
    fn take(&mut self, node: usize, input: Input<Msg<P>>, outputs_max: usize) {
        let mut outputs = Vec::new();
        let walker = &mut self.nodes[node];
        walker.protocol.step(walker.now, input, &mut outputs);
        let term = walker.protocol.status(walker.now).term;
        self.hash.take(term.0 << 16 ^ (node as u64) << 8 ^ outputs.len() as u64);
        let own = members(node + 1).pop().expect("as many as were asked for");
        for output in outputs.into_iter().take(outputs_max) {
            match output {
                Output::Persist(persist) => {
                    if let Some(hard) = persist.hard {
                        self.checks.term(node, hard.term);
                    }
                    let walker = &mut self.nodes[node];
                    self.checks.appended(&walker.disk, &persist, node);
                    disk::write(&mut walker.disk, persist);
                }
                Output::Send { to, message } => {
                    let to = to.number().checked_sub(1).and_then(|to| usize::try_from(to).ok());
                    if let Some(to) = to.filter(|to| *to < self.nodes.len() && *to != node) {
                        self.letters.push(Letter { from: own, to, message });
                    }
                }
                Output::Apply(entries) => entries.iter().for_each(|entry| self.checks.applied(node, term, entry)),
                Output::Event(event) => self.checks.event(node, &event, &self.nodes[node].disk),
                Output::Reply { .. } | Output::TakeSnapshot { .. } | Output::RestoreSnapshot(_) => {}
            }
        }
        while self.letters.len() > self.options.messages_max {
            self.letters.remove(0);
        }
    }
}

fn start<P: Program>(program: &P, count: usize, node: usize, disk: &Recovered, now: Nanos, seed: u64) -> P::Node {
    let id = members(node + 1).pop().expect("as many as were asked for");
    program.start(Start { id, members: members(count), seed, recovered: disk.clone(), now })
}

fn digest(payload: &EntryPayload) -> u64 {
    let mut hash = Rolling::default();
    match payload {
        EntryPayload::Noop => hash.take(1),
        EntryPayload::Command(bytes) => bytes.iter().for_each(|byte| hash.take(u64::from(*byte) + 2)),
        EntryPayload::Membership(members) => members.iter().for_each(|id| hash.take(id.0 + 300)),
    }
    hash.value()
}

fn name(node: usize) -> NodeId {
    NodeId::from_index(node)
}

impl Checks {
    fn violates(&mut self, property: WalkProperty, why: impl FnOnce() -> String) {
        self.violated.get_or_insert_with(|| (property, why()));
    }

    fn term(&mut self, node: usize, term: Term) {
        let newest = self.terms.entry(node).or_default();
        let before = std::mem::replace(newest, term);
        if term < before {
            self.violates(WalkProperty::TermMonotonic, || format!("{} goes from term {before} to {term}", name(node)));
        }
    }

    /// Entries that are about to be written: each with the term that will stand before it.
    fn appended(&mut self, disk: &Recovered, persist: &Persist, node: usize) {
        let Some(first) = persist.append.first() else { return };
        let before = first.index.prev();
        let mut term_before = term_at(disk, persist, before);
        for entry in &persist.append {
            let is = (digest(&entry.payload), term_before.unwrap_or_default());
            let first = *self.entries.entry((entry.index, entry.term)).or_insert(is);
            if first != is && term_before.is_some() {
                let (index, term) = (entry.index, entry.term);
                self.violates(WalkProperty::LogMatching, || {
                    format!(
                        "{} has another entry of term {term} at {index} than was written before, or before it",
                        name(node)
                    )
                });
            }
            term_before = Some(entry.term);
        }
    }

    fn applied(&mut self, node: usize, current: Term, entry: &Entry) {
        let (term, what) = (entry.term, digest(&entry.payload));
        let first = *self.applied.entry(entry.index).or_insert((term, what, current));
        if (first.0, first.1) != (term, what) {
            let index = entry.index;
            self.violates(WalkProperty::StateMachineSafety, || {
                format!(
                    "{} applies an entry of term {term} at {index}, where one of term {} was applied",
                    name(node),
                    first.0
                )
            });
        }
    }

    fn event(&mut self, node: usize, event: &Event, disk: &Recovered) {
        match *event {
            Event::Granted { term, to } => {
                let first = *self.votes.entry((node, term)).or_insert(to);
                if first != to {
                    self.violates(WalkProperty::SingleVote, || {
                        format!("{} votes for {first} and for {to} in term {term}", name(node))
                    });
                }
            }
            Event::BecameLeader { term } => {
                let first = *self.leaders.entry(term).or_insert(node);
                if first != node {
                    self.violates(WalkProperty::ElectionSafety, || {
                        format!("{} and {} lead term {term}", name(first), name(node))
                    });
                }
                self.elected(node, term, disk);
            }
            Event::BecameFollower { .. }
            | Event::BecamePreCandidate { .. }
            | Event::BecameCandidate { .. }
            | Event::LeaderChanged { .. }
            | Event::Committed { .. }
            | Event::MembersChanged { .. } => {}
            Event::CommittedOverwritten { index } => {
                self.violates(WalkProperty::StateMachineSafety, || {
                    format!("{} overwrites what it had committed at {index}", name(node))
                });
            }
        }
    }

    fn elected(&mut self, node: usize, term: Term, disk: &Recovered) {
        let committed = self.applied.iter().filter(|(_, (_, _, committed_in))| *committed_in < term);
        let mut lost = committed.filter(|(index, (of, _, _))| {
            let covered = disk.snapshot.as_ref().is_some_and(|snapshot| snapshot.meta.last_index >= **index);
            !covered && term_at(disk, &Persist::default(), **index) != Some(*of)
        });
        if let Some(index) = lost.next().map(|(index, _)| *index) {
            self.violates(WalkProperty::LeaderCompleteness, || {
                format!("{} leads term {term} without the committed entry {index}", name(node))
            });
        }
    }
}

/// The term of the entry there once `persist` is written; `None` if nothing is known of it.
fn term_at(disk: &Recovered, persist: &Persist, index: LogIndex) -> Option<Term> {
    if index == LogIndex(0) {
        return Some(Term(0));
    }
    let snapshot = persist.snapshot.as_ref().or(disk.snapshot.as_ref());
    if let Some(snapshot) = snapshot.filter(|snapshot| snapshot.meta.last_index == index) {
        return Some(snapshot.meta.last_term);
    }
    let first = disk.entries.first()?.index;
    let place = usize::try_from(index.0.checked_sub(first.0)?).ok()?;
    disk.entries.get(place).map(|entry| entry.term)
}
