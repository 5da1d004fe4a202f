//! Who was up and whom they could reach, as intervals without any change: the premise of every liveness check.
//!
//! The history tells when faults were called and when their effect was confirmed, and when processes started and ended. From
//! that come [`Epoch`]s, maximal intervals in which nothing is known to change. They err on one side only: a node counts as
//! *usable* and a link as *whole* when they were for certain, so that whoever demands something of a majority clique demands
//! it of one that was there.
//!
//! * A fault holds from its begin's `call_begin` to its end's `effect` (`call_end` if nobody could confirm it). `call_begin`
//!   and `effect` both begin a new epoch, so the time in between is nobody's premise.
//! * A node is up from `ready` (from `started` in a history without any `ready`) to `exited`, or to the `call_begin` of a
//!   kill aimed at it. A node of which the history has no event at all is up throughout.
//! * A node that a fault hinders, of which one holds a process, or which has lost one, is not usable: it may be up, and may be lame. The same
//!   holds of a node that is cut off from a service node, and of all nodes while a service node is down or disturbed.
//! * A fault whose begin reports an error may be half there: it holds until its end. One whose end reports an
//!   error holds to the end of the history. A kill that reports an error says nothing: the process tells.
//!
//! A process that dies by itself is seen when it is reaped, a moment later; that moment is the only slack.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chaos_history::{Event, FaultEdge, FaultEvent, FaultId, History, Impact, Link, Mark, NodeId, NodeLife, RunNanos};

/// An interval in which no process started or ended and no fault began or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Its begin.
    pub from: RunNanos,
    /// Its end, above `from`.
    pub to: RunNanos,
    /// The history line of the change that began it; `None` if it began with the run.
    pub line: Option<usize>,
    /// The nodes that were up, unpaused and unhindered for certain: of them something may be demanded.
    pub usable: BTreeSet<NodeId>,
    /// The nodes that may have been able to do anything: those, and the hindered ones. Nobody else led.
    pub able: BTreeSet<NodeId>,
    /// The directed links that may have been cut.
    pub cut: BTreeSet<Link>,
    /// The directed links that were cut for certain.
    pub severed: BTreeSet<Link>,
    /// How many faults held.
    pub faults: usize,
}

impl Epoch {
    /// How long it lasted.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.to.since(self.from)
    }

    /// Whether both directions between two nodes were whole for certain.
    #[must_use]
    pub fn connects(&self, one: NodeId, other: NodeId) -> bool {
        whole(&self.cut, one, other)
    }

    /// Whether both directions between two nodes may have been whole.
    #[must_use]
    pub fn may_connect(&self, one: NodeId, other: NodeId) -> bool {
        whole(&self.severed, one, other)
    }

    /// Whether all of a cluster of so many nodes were usable and no fault held.
    #[must_use]
    pub fn is_whole(&self, nodes: usize) -> bool {
        self.faults == 0 && self.cut.is_empty() && self.usable.len() == nodes
    }

    /// The largest set of usable nodes that were pairwise connected in both directions, if it is a majority of a cluster of
    /// so many nodes; the first in order of nodes among equals. A clique, and not one node that reaches a majority: with
    /// the latter Raft may legitimately stall (OmniPaxos, EuroSys 2023, §2).
    #[must_use]
    pub fn majority_clique(&self, nodes: usize) -> Option<BTreeSet<NodeId>> {
        let mut best = Vec::new();
        let candidates: Vec<NodeId> = self.usable.iter().copied().collect();
        self.grow(&mut Vec::new(), &candidates, &mut best);
        (best.len() > nodes / 2).then(|| best.into_iter().collect())
    }

    /// Tries every clique that extends `chosen` by nodes of `candidates`, skipping those that can't beat `best`.
    fn grow(&self, chosen: &mut Vec<NodeId>, candidates: &[NodeId], best: &mut Vec<NodeId>) {
        if chosen.len() > best.len() {
            best.clone_from(chosen);
        }
        for (index, &node) in candidates.iter().enumerate() {
            if chosen.len() + candidates.len() - index <= best.len() {
                return;
            }
            let rest: Vec<NodeId> =
                candidates[index + 1..].iter().copied().filter(|&other| self.connects(node, other)).collect();
            chosen.push(node);
            self.grow(chosen, &rest, best);
            chosen.pop();
        }
    }
}

fn whole(cut: &BTreeSet<Link>, one: NodeId, other: NodeId) -> bool {
    let cut = |from, to| cut.contains(&Link { from, to });
    one == other || !(cut(one, other) || cut(other, one))
}

/// The epochs of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// How many nodes the cluster has.
    pub nodes: usize,
    /// The epochs in order, without gaps.
    pub epochs: Vec<Epoch>,
}

/// What changes at an instant.
enum Change<'a> {
    Up(NodeId, u64),
    Exited(NodeId, u64),
    Killed(&'a FaultEvent),
    Holds(&'a FaultEvent),
    /// A node goes on without one of its processes.
    Lost(NodeId, &'a str),
    Regained(NodeId, &'a str),
    Over(FaultId),
    /// A fault may have ended, or not.
    Doubted(FaultId),
    /// Something is changing, or has just been confirmed to have changed.
    Uncertain,
}

impl Topology {
    /// The topology of a run, from its begin to its end (or to where it was interrupted).
    #[must_use]
    pub fn of(history: &History) -> Self {
        let nodes = history.header.nodes;
        let mut changes = changes(history);
        changes.sort_by_key(|&(at, line, _)| (at, line));
        let end = end(history);
        let mut now = Now::new(history);
        let mut epochs = Vec::new();
        let mut open = now.epoch(RunNanos(0), None);
        for (at, line, change) in changes {
            if at >= end {
                break;
            }
            now.apply(change);
            let next = now.epoch(at, Some(line));
            let before = std::mem::replace(&mut open, next);
            if before.from < at {
                epochs.push(Epoch { to: at, ..before });
            }
        }
        if open.from < end {
            epochs.push(Epoch { to: end, ..open });
        }
        Self { nodes, epochs }
    }
}

/// The moment after which nothing is judged.
fn end(history: &History) -> RunNanos {
    let ends = |mark: Mark| matches!(mark, Mark::RunEnd | Mark::Interrupted);
    let marked = history.landmarks().filter(|(_, mark)| ends(*mark)).map(|(at, _)| at).min();
    marked.unwrap_or_else(|| history.end())
}

fn changes(history: &History) -> Vec<(RunNanos, usize, Change<'_>)> {
    let is_ready = |event: &Event| matches!(event, Event::Node(node) if node.life == NodeLife::Ready);
    let tells_ready = history.events.iter().any(|recorded| is_ready(&recorded.event));
    let mut changes = Vec::new();
    for recorded in &history.events {
        let (at, line) = (recorded.at, recorded.line);
        match &recorded.event {
            Event::Node(event) => {
                let is_asked = event.node.index() < history.header.nodes;
                let change = match &event.life {
                    NodeLife::Started { .. } if tells_ready && is_asked => Change::Uncertain,
                    NodeLife::Started { .. } | NodeLife::Ready => Change::Up(event.node, event.incarnation),
                    NodeLife::Exited { .. } => Change::Exited(event.node, event.incarnation),
                    NodeLife::ProcessStarted { process, .. } => Change::Regained(event.node, process),
                    NodeLife::ProcessExited { process, .. } => Change::Lost(event.node, process),
                };
                changes.push((at, line, change));
            }
            Event::Fault(fault) => {
                let (begin, confirmed) =
                    (fault.stamps.call_begin, fault.stamps.effect.unwrap_or(fault.stamps.call_end));
                let (first, second) = match (fault.edge, fault.kind.impact(), fault.error.is_some()) {
                    // One process of a node: the node may be up without, and is nobody's premise until it is whole again.
                    (FaultEdge::Begin, Impact::Ends, _) if fault.process.is_some() => {
                        (Change::Holds(fault), Change::Uncertain)
                    }
                    (FaultEdge::Begin, Impact::Ends, true) => (Change::Uncertain, Change::Uncertain),
                    (FaultEdge::End, _, true) => (Change::Doubted(fault.id), Change::Uncertain),
                    (FaultEdge::Begin, Impact::Ends, false) => (Change::Killed(fault), Change::Uncertain),
                    (FaultEdge::Begin, Impact::Stops | Impact::Hinders | Impact::Spares, _) => {
                        (Change::Holds(fault), Change::Uncertain)
                    }
                    (FaultEdge::End, _, false) => (Change::Uncertain, Change::Over(fault.id)),
                };
                changes.push((begin, line, first));
                changes.push((confirmed, line, second));
            }
            Event::Op(_)
            | Event::Observation(_)
            | Event::Stall(_)
            | Event::Note(_)
            | Event::Replica(_)
            | Event::View(_) => {}
        }
    }
    changes
}

/// The topology at one instant.
struct Now<'a> {
    /// How many nodes are under test.
    nodes: usize,
    /// The nodes that those depend on.
    service: BTreeSet<NodeId>,
    /// The processes, beside the main one, that nodes have lost.
    lost: BTreeSet<(NodeId, &'a str)>,
    /// The incarnation of each node that is up.
    up: BTreeMap<NodeId, u64>,
    faults: BTreeMap<FaultId, &'a FaultEvent>,
    /// Those of them that may be there in part only.
    doubted: BTreeSet<FaultId>,
}

impl<'a> Now<'a> {
    fn new(history: &History) -> Self {
        let lives = |node: NodeId| {
            history.events.iter().any(|recorded| matches!(&recorded.event, Event::Node(event) if event.node == node))
        };
        let up = NodeId::all(history.header.nodes).filter(|&node| !lives(node)).map(|node| (node, 0)).collect();
        let nodes = history.header.nodes;
        let service = history.events.iter().filter_map(|recorded| match &recorded.event {
            Event::Node(event) => Some(event.node).filter(|node| node.index() >= nodes),
            Event::Op(_)
            | Event::Observation(_)
            | Event::Fault(_)
            | Event::Stall(_)
            | Event::Note(_)
            | Event::Replica(_)
            | Event::View(_) => None,
        });
        Self {
            nodes,
            service: service.collect(),
            lost: BTreeSet::new(),
            up,
            faults: BTreeMap::new(),
            doubted: BTreeSet::new(),
        }
    }

    fn apply(&mut self, change: Change<'a>) {
        match change {
            Change::Up(node, incarnation) => {
                self.up.insert(node, incarnation);
            }
            Change::Exited(node, incarnation) => {
                if self.up.get(&node).is_some_and(|&up| up <= incarnation) {
                    self.up.remove(&node);
                }
            }
            Change::Killed(fault) => {
                fault.nodes.iter().for_each(|node| {
                    self.up.remove(node);
                });
                self.faults.insert(fault.id, fault);
            }
            Change::Holds(fault) => {
                self.faults.insert(fault.id, fault);
                if fault.error.is_some() {
                    self.doubted.insert(fault.id);
                }
            }
            Change::Doubted(id) => {
                self.doubted.insert(id);
            }
            Change::Lost(node, process) => {
                self.lost.insert((node, process));
            }
            Change::Regained(node, process) => {
                self.lost.remove(&(node, process));
            }
            Change::Over(id) => {
                self.faults.remove(&id);
            }
            Change::Uncertain => {}
        }
    }

    /// The epoch that begins now; its end is not known yet.
    fn epoch(&self, from: RunNanos, line: Option<usize>) -> Epoch {
        let holds = |fault: &&FaultEvent| match fault.kind.impact() {
            Impact::Stops | Impact::Hinders => true,
            // Whether a killed node is up is told by its processes' life.
            Impact::Ends | Impact::Spares => fault.process.is_some(),
        };
        let held = self.faults.values().copied().filter(holds).flat_map(|fault| fault.nodes.iter().copied());
        let lost = self.lost.iter().map(|(node, _)| *node);
        let disturbed: BTreeSet<NodeId> = held.chain(lost).collect();
        let certain = |fault: &&FaultEvent| !self.doubted.contains(&fault.id);
        let cut: BTreeSet<Link> = self.faults.values().flat_map(|fault| fault.links.iter().copied()).collect();
        let severed = self.faults.values().copied().filter(certain).flat_map(|fault| fault.links.iter().copied());
        // Whether nodes can elect anybody without some of those they depend on, only they know.
        let served = self.service.iter().all(|node| self.up.contains_key(node) && !disturbed.contains(node));
        let reaches_service = |node: NodeId| self.service.iter().all(|&service| whole(&cut, node, service));
        let stops =
            |fault: &&FaultEvent| fault.kind.impact() == Impact::Stops && fault.process.is_none() && certain(fault);
        let stopped: BTreeSet<NodeId> =
            self.faults.values().copied().filter(stops).flat_map(|fault| fault.nodes.iter().copied()).collect();
        let under_test = |node: &NodeId| node.index() < self.nodes;
        let able: BTreeSet<NodeId> =
            self.up.keys().copied().filter(|node| under_test(node) && !stopped.contains(node)).collect();
        let mut usable = able.clone();
        usable.retain(|&node| served && !disturbed.contains(&node) && reaches_service(node));
        Epoch { from, to: from, line, usable, able, severed: severed.collect(), cut, faults: self.faults.len() }
    }
}

/// How much of an interval the host did not let the harness run.
pub(crate) fn stalled(history: &History, from: RunNanos, to: RunNanos) -> Duration {
    history.stalls().map(|stall| stall.to.min(to).since(stall.from.max(from))).sum()
}
