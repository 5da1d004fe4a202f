//! What was broken when: which nodes were down, paused or cut off, according to the faults' own stamps and to the processes'.

use std::collections::BTreeMap;

use chaos_history::{
    Event, FaultEdge, FaultEvent, FaultId, History, Impact, Link, Mark, NodeId, NodeLife, ObservationOutcome, RunNanos,
    Stamps,
};

use crate::interval::Interval;
use crate::timeline::FaultBand;

/// A fault from its begin to its end.
#[derive(Clone, Debug)]
pub(crate) struct FaultSpan {
    /// The begin, as recorded.
    pub(crate) begin: FaultEvent,
    /// When it truly began.
    pub(crate) begun: Interval,
    /// When it truly ended; `None` if it never did.
    pub(crate) ended: Option<Interval>,
}

/// The cluster's condition over time.
#[derive(Debug)]
pub(crate) struct Conditions {
    nodes: usize,
    end: RunNanos,
    load: Interval,
    faults: Vec<FaultSpan>,
    down: BTreeMap<NodeId, Vec<Interval>>,
    paused: BTreeMap<NodeId, Vec<Interval>>,
    /// When faults held one process of the node or hindered all of it: it may have been up, and was not healthy for certain.
    disturbed: BTreeMap<NodeId, Vec<Interval>>,
    /// From the earliest moment at which a pause can have begun to the latest at which it can have ended.
    maybe_stopped: BTreeMap<NodeId, Vec<Interval>>,
    /// From the latest moment at which a process can have stopped (or ended) to the earliest at which it can have run again.
    surely_stopped: BTreeMap<NodeId, Vec<Interval>>,
    cuts: Vec<(Link, Interval)>,
}

/// The true moment of a fault's edge: between the first system call and the confirmed effect (the last call's return, where
/// nobody could confirm).
fn moment(stamps: &Stamps) -> Interval {
    Interval::new(stamps.call_begin, stamps.effect.unwrap_or(stamps.call_end))
}

/// The true moment of a fault's begin. The effect of a transfer is another leader, which is what is to be measured: it begins when it is
/// asked for.
fn begun(fault: &FaultEvent) -> Interval {
    let stamps = &fault.stamps;
    if fault.kind.takes_leadership() { Interval::new(stamps.call_begin, stamps.call_begin) } else { moment(stamps) }
}

impl Conditions {
    /// Reads them out of a history. Faults whose mechanism failed are left out: nothing was broken.
    pub(crate) fn read(history: &History) -> Self {
        // What comes after that mark is the harness ending its nodes.
        let end = history.landmark(Mark::RunEnd).unwrap_or_else(|| history.end());
        let nodes = history.header.nodes;
        let faults = fault_spans(history);
        let mut down = process_gaps(history, end);
        let (starts, answers) = signs_of_life(history);
        let mut paused: BTreeMap<NodeId, Vec<Interval>> = BTreeMap::new();
        let (mut maybe_stopped, mut surely_stopped) = (BTreeMap::new(), BTreeMap::new());
        let mut disturbed = BTreeMap::new();
        let mut cuts = Vec::new();
        for fault in &faults {
            let span = Interval::new(fault.begun.hi, fault.ended.map_or(end, |ended| ended.hi));
            // Some of a fault's nodes may come back before the fault ends; only their own signs of life tell.
            let hit = |signs: &SignsOfLife, node: NodeId| {
                let back = signs.get(&node).and_then(|signs| signs.iter().find(|sign| sign.lo > span.lo));
                (node, Interval::new(span.lo, back.map_or(span.hi, |back| span.hi.min(back.hi))))
            };
            let nodes = fault.begin.nodes.iter().copied();
            let whole = nodes.clone().map(|node| (node, Interval { lo: fault.begun.lo, ..span }));
            cuts.extend(fault.begin.links.iter().map(|link| (*link, span)));
            match fault.begin.kind.impact() {
                Impact::Ends | Impact::Stops if fault.begin.process.is_some() => add(&mut disturbed, whole),
                Impact::Hinders => add(&mut disturbed, whole),
                Impact::Ends => add(&mut down, nodes.map(|node| hit(&starts, node))),
                Impact::Stops => {
                    let earliest = |node: NodeId| {
                        let back = answers.get(&node).and_then(|signs| signs.iter().find(|sign| sign.lo > span.lo));
                        let until = fault.ended.map_or(end, |ended| ended.lo);
                        (node, Interval::new(span.lo, back.map_or(until, |back| until.min(back.lo))))
                    };
                    let longest = |(node, span): (NodeId, Interval)| (node, Interval { lo: fault.begun.lo, ..span });
                    add(&mut paused, nodes.clone().map(|node| hit(&answers, node)));
                    add(&mut maybe_stopped, nodes.clone().map(|node| longest(hit(&answers, node))));
                    add(&mut surely_stopped, nodes.map(earliest));
                }
                Impact::Spares => {}
            }
        }
        add(&mut surely_stopped, down.iter().flat_map(|(node, spans)| spans.iter().map(|span| (*node, *span))));
        let all = [&mut down, &mut paused, &mut maybe_stopped, &mut surely_stopped];
        all.into_iter().flat_map(BTreeMap::values_mut).for_each(merge);
        let load = load(history, end);
        Self { nodes, end, load, faults, down, paused, disturbed, maybe_stopped, surely_stopped, cuts }
    }

    /// The faults, in order of injection.
    pub(crate) fn faults(&self) -> &[FaultSpan] {
        &self.faults
    }

    /// From the begin to the end of the load.
    pub(crate) fn load(&self) -> Interval {
        self.load
    }

    /// The last stamp of the history.
    pub(crate) fn end(&self) -> RunNanos {
        self.end
    }

    /// When the node had no process.
    pub(crate) fn down(&self, node: NodeId) -> &[Interval] {
        self.down.get(&node).map_or(&[], Vec::as_slice)
    }

    /// When the node's threads were stopped.
    pub(crate) fn paused(&self, node: NodeId) -> &[Interval] {
        self.paused.get(&node).map_or(&[], Vec::as_slice)
    }

    /// When the node may have been stopped, in order: pauses with the width of their stamps.
    pub(crate) fn maybe_stopped(&self, node: NodeId) -> &[Interval] {
        self.maybe_stopped.get(&node).map_or(&[], Vec::as_slice)
    }

    /// The first moment from `at` on at which the node can have done anything.
    pub(crate) fn awake_from(&self, node: NodeId, at: RunNanos) -> RunNanos {
        let stopped = self.surely_stopped.get(&node).map_or(&[][..], Vec::as_slice);
        stopped.iter().find(|span| span.lo <= at && at < span.hi).map_or(at, |span| span.hi)
    }

    /// When the process that answered at `at` ended, or the history did.
    pub(crate) fn ends_after(&self, node: NodeId, at: RunNanos) -> RunNanos {
        self.down(node).iter().map(|span| span.lo).find(|lo| *lo >= at).unwrap_or(self.end)
    }

    /// How many nodes the cluster has.
    pub(crate) fn nodes(&self) -> usize {
        self.nodes
    }

    /// How many nodes are a majority of all.
    pub(crate) fn majority(&self) -> usize {
        self.nodes / 2 + 1
    }

    /// Whether the node had a process that ran.
    pub(crate) fn lives(&self, node: NodeId, at: RunNanos) -> bool {
        let within = |span: &Interval| span.lo <= at && at < span.hi;
        !self.down(node).iter().any(within) && !self.paused(node).iter().any(within)
    }

    /// Whether packets passed both ways.
    pub(crate) fn connected(&self, one: NodeId, other: NodeId, at: RunNanos) -> bool {
        let cut = |(link, span): &(Link, Interval)| {
            span.lo <= at
                && at < span.hi
                && ((link.from == one && link.to == other) || (link.from == other && link.to == one))
        };
        one == other || !self.cuts.iter().any(cut)
    }

    /// How many live nodes `node` could exchange packets with both ways, itself included.
    pub(crate) fn reach(&self, node: NodeId, at: RunNanos) -> usize {
        NodeId::all(self.nodes).filter(|other| self.lives(*other, at) && self.connected(node, *other, at)).count()
    }

    /// Whether the node ran all the while, and could exchange packets with a majority of live nodes.
    pub(crate) fn healthy(&self, node: NodeId, all_the_while: Interval) -> bool {
        let spans = self.down.values().chain(self.maybe_stopped.values()).flatten();
        let edges = spans.chain(self.cuts.iter().map(|(_, span)| span)).flat_map(|span| [span.lo, span.hi]);
        let within = edges.filter(|edge| all_the_while.lo <= *edge && *edge <= all_the_while.hi);
        let disturbed = self.disturbed.get(&node).map_or(&[][..], Vec::as_slice);
        if disturbed.iter().any(|span| span.lo <= all_the_while.hi && all_the_while.lo <= span.hi) {
            return false;
        }
        let mut moments = within.chain([all_the_while.lo, all_the_while.hi]);
        moments.all(|at| self.lives(node, at) && self.reach(node, at) >= self.majority())
    }

    /// Whether anybody but `old` could be elected: a live node that reaches a majority.
    pub(crate) fn electable(&self, old: NodeId, at: RunNanos) -> bool {
        NodeId::all(self.nodes)
            .any(|node| node != old && self.lives(node, at) && self.reach(node, at) >= self.majority())
    }

    /// When the node had no links both ways to a majority (itself included), whether up or not.
    pub(crate) fn cut_off(&self, node: NodeId) -> Vec<Interval> {
        let mut edges: Vec<RunNanos> = self.cuts.iter().flat_map(|(_, span)| [span.lo, span.hi]).collect();
        edges.sort_unstable();
        edges.dedup();
        let is_cut =
            |at| NodeId::all(self.nodes).filter(|other| self.connected(node, *other, at)).count() < self.majority();
        let mut spans: Vec<Interval> =
            edges.windows(2).filter(|pair| is_cut(pair[0])).map(|pair| Interval::new(pair[0], pair[1])).collect();
        merge(&mut spans);
        spans
    }

    /// The faults as bands of a drawing.
    pub(crate) fn bands(&self) -> impl Iterator<Item = FaultBand> {
        self.faults.iter().map(|fault| FaultBand {
            id: fault.begin.id,
            kind: fault.begin.kind,
            label: fault.begin.label.clone(),
            nodes: fault.begin.nodes.clone(),
            source: fault.begin.source.clone(),
            span: Interval::new(fault.begun.hi, fault.ended.map_or(self.end, |ended| ended.hi)),
        })
    }
}

/// Joins each begin with the last end of the same number.
fn fault_spans(history: &History) -> Vec<FaultSpan> {
    let mut spans: Vec<FaultSpan> = Vec::new();
    let mut index: BTreeMap<FaultId, usize> = BTreeMap::new();
    for recorded in &history.events {
        let Event::Fault(fault) = &recorded.event else { continue };
        match fault.edge {
            FaultEdge::Begin if fault.error.is_none() => {
                index.insert(fault.id, spans.len());
                spans.push(FaultSpan { begin: fault.clone(), begun: begun(fault), ended: None });
            }
            FaultEdge::Begin => {}
            FaultEdge::End => {
                if let Some(index) = index.get(&fault.id) {
                    spans[*index].ended = Some(moment(&fault.stamps));
                }
            }
        }
    }
    spans.sort_by_key(|span| span.begun.lo);
    spans
}

/// When each node had no process, from its exit to its next start.
fn process_gaps(history: &History, end: RunNanos) -> BTreeMap<NodeId, Vec<Interval>> {
    let mut gaps: BTreeMap<NodeId, Vec<Interval>> = BTreeMap::new();
    let mut exited: BTreeMap<NodeId, RunNanos> = BTreeMap::new();
    for recorded in &history.events {
        let Event::Node(event) = &recorded.event else { continue };
        match event.life {
            NodeLife::Started { .. } => {
                if let Some(from) = exited.remove(&event.node) {
                    gaps.entry(event.node).or_default().push(Interval::new(from, recorded.at));
                }
            }
            NodeLife::Exited { .. } => {
                exited.entry(event.node).or_insert(recorded.at);
            }
            NodeLife::Ready | NodeLife::ProcessStarted { .. } | NodeLife::ProcessExited { .. } => {}
        }
    }
    for (node, from) in exited {
        gaps.entry(node).or_default().push(Interval::new(from, end));
    }
    gaps
}

fn add(spans: &mut BTreeMap<NodeId, Vec<Interval>>, more: impl Iterator<Item = (NodeId, Interval)>) {
    more.for_each(|(node, span)| spans.entry(node).or_default().push(span));
}

/// Per node the stretches, in order, within which it showed that it runs.
type SignsOfLife = BTreeMap<NodeId, Vec<Interval>>;

/// When each node was started, and when each was asked a question that it answered.
fn signs_of_life(history: &History) -> (SignsOfLife, SignsOfLife) {
    let (mut starts, mut answers) = (SignsOfLife::new(), SignsOfLife::new());
    for recorded in &history.events {
        match &recorded.event {
            Event::Node(event) => match event.life {
                NodeLife::Started { .. } => {
                    starts.entry(event.node).or_default().push(Interval::new(recorded.at, recorded.at))
                }
                NodeLife::Ready
                | NodeLife::Exited { .. }
                | NodeLife::ProcessStarted { .. }
                | NodeLife::ProcessExited { .. } => {}
            },
            Event::Observation(observation) => match observation.outcome {
                ObservationOutcome::Answered(_) if !history.header.testimony.shows_life => {}
                ObservationOutcome::Answered(_) => answers
                    .entry(observation.node)
                    .or_default()
                    .push(Interval::new(observation.sent, observation.received)),
                ObservationOutcome::Silent(_) => {}
            },
            Event::Op(_) | Event::Fault(_) | Event::Stall(_) | Event::Note(_) | Event::Replica(_) | Event::View(_) => {}
        }
    }
    starts.values_mut().chain(answers.values_mut()).for_each(|signs| signs.sort_by_key(|sign| sign.lo));
    (starts, answers)
}

/// The stretch under load: between the landmarks or, where one is missing, to the history's own ends.
fn load(history: &History, end: RunNanos) -> Interval {
    let begin = history.landmark(Mark::LoadBegin).unwrap_or_default();
    let close = history.landmark(Mark::LoadEnd).or_else(|| history.landmark(Mark::Interrupted)).unwrap_or(end);
    Interval::new(begin, close)
}

/// Sorts stretches and joins those that touch.
pub(crate) fn merge(spans: &mut Vec<Interval>) {
    spans.sort_by_key(|span| (span.lo, span.hi));
    let mut merged: Vec<Interval> = Vec::with_capacity(spans.len());
    for span in spans.drain(..) {
        match merged.last_mut() {
            Some(last) if span.lo <= last.hi => last.hi = last.hi.max(span.hi),
            Some(_) | None => merged.push(span),
        }
    }
    *spans = merged;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Sample, at, node};
    use chaos_history::FaultKind;

    #[test]
    fn a_node_that_is_hindered_lives_on_is_not_called_healthy_and_its_claims_count() {
        for kind in FaultKind::ALL.into_iter().filter(|kind| kind.impact() == Impact::Hinders) {
            let mut sample = Sample::new(3);
            sample.all_follow(&[1, 2, 3], 100, 1, 1).fault(1, kind, 1000, &[1], &[]).heal(1, kind, 2000, &[1]);
            let conditions = Conditions::read(&sample.all_follow(&[1, 2, 3], 3000, 1, 1).history());
            let during = Interval::new(at(1500), at(1600));
            assert!(conditions.lives(node(1), at(1500)) && conditions.maybe_stopped(node(1)).is_empty(), "{kind:?}");
            assert!(!conditions.healthy(node(1), during) && conditions.healthy(node(2), during), "{kind:?}");
        }
    }

    #[test]
    fn a_frozen_host_neither_lives_nor_is_connected() {
        let kind = FaultKind::FreezeHost;
        let mut sample = Sample::new(3);
        let legs = [(1, 2), (2, 1), (1, 3), (3, 1)];
        sample.all_follow(&[1, 2, 3], 100, 1, 1).fault(1, kind, 1000, &[1], &legs).heal(1, kind, 2000, &[1]);
        let conditions = Conditions::read(&sample.all_follow(&[1, 2, 3], 3000, 1, 1).history());
        assert!(!conditions.lives(node(1), at(1500)) && !conditions.connected(node(1), node(2), at(1500)));
        assert!(conditions.electable(node(1), at(1500)) && conditions.lives(node(1), at(2500)));
    }

    #[test]
    fn a_node_of_which_one_process_is_held_lives_on_and_is_not_called_healthy() {
        for kind in [FaultKind::Kill, FaultKind::Pause] {
            for process in [None, Some("agent".to_owned())] {
                let mut sample = Sample::new(3);
                sample.all_follow(&[1, 2, 3], 100, 1, 1).fault(1, kind, 1000, &[1], &[]).heal(1, kind, 2000, &[1]);
                let mut history = sample.all_follow(&[1, 2, 3], 3000, 1, 1).history();
                for recorded in &mut history.events {
                    if let Event::Fault(fault) = &mut recorded.event {
                        fault.process.clone_from(&process);
                    }
                }
                let conditions = Conditions::read(&history);
                let alone = process.is_some();
                let (before, during) = (Interval::new(at(200), at(900)), Interval::new(at(1500), at(1600)));
                assert_eq!(conditions.lives(node(1), at(1500)), alone, "{kind:?} {process:?}");
                // What it claims meanwhile counts: two primaries may be two because only an agent sleeps.
                assert!(!alone || conditions.maybe_stopped(node(1)).is_empty(), "{kind:?}");
                assert!(conditions.healthy(node(1), before) && !conditions.healthy(node(1), during), "{kind:?}");
                assert!(conditions.healthy(node(2), during), "{kind:?} {process:?}");
            }
        }
    }
}
