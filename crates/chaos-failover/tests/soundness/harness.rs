//! What a harness would have recorded of a timeline: polls with random delays and lost answers, pushes, faults with their stamps,
//! open-loop clients. Written as a history; with it the truth about each operation.

use chaos_history::{
    Action, Belief, ClientRole, ElectionRole, Event, FaultEdge, FaultEvent, FaultId, FaultKind, Header, History, Link,
    Mark, NodeEvent, NodeId, NodeLife, NoteEvent, Observation, ObservationOutcome, ObservationSource, OpEvent, OpId,
    OpPhase, OpResult, ProcessId, Recorded, RunNanos, Seed, Stamps, Term, Value,
};

use crate::simulator::{Draw, Fault, Kind, Role, State, Truth};

pub(crate) fn at(us: u64) -> RunNanos {
    RunNanos(us * 1_000)
}

/// A write as it truly went: `acked` is the moment at which the cluster had it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Write {
    pub(crate) roaming: bool,
    pub(crate) node: usize,
    pub(crate) invoked: u64,
    pub(crate) acked: u64,
    pub(crate) completed: u64,
}

/// An answer as it truly came about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) node: usize,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) state: State,
}

#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) history: History,
    pub(crate) writes: Vec<Write>,
    pub(crate) seen: Vec<Seen>,
    /// When the roaming clients' operations were due.
    pub(crate) roaming_dues: Vec<u64>,
}

struct Harness<'a> {
    truth: &'a Truth,
    draw: Draw,
    events: Vec<(u64, Event)>,
    writes: Vec<Write>,
    seen: Vec<Seen>,
    roaming_dues: Vec<u64>,
}

pub(crate) fn record(truth: &Truth, draw: Draw) -> Record {
    let mut harness =
        Harness { truth, draw, events: Vec::new(), writes: Vec::new(), seen: Vec::new(), roaming_dues: Vec::new() };
    let (every, lost, slow) =
        (harness.draw.within(5_000, 40_000), harness.draw.within(0, 25), harness.draw.within(0, 8_000));
    let pushes = harness.draw.chance(30);
    for node in 0..truth.nodes {
        harness.polls(node, every, lost, slow);
        if pushes {
            harness.pushes(node, lost, slow);
        }
    }
    let edges: Vec<(usize, &Fault)> = truth.faults.iter().enumerate().collect();
    for (index, fault) in edges {
        harness.edges(index, fault);
    }
    harness.writers(slow);
    harness.mark(300_000, Mark::LoadBegin);
    harness.mark(truth.end, Mark::LoadEnd);
    harness.finish()
}

impl Harness<'_> {
    fn polls(&mut self, node: usize, every: u64, lost: u64, slow: u64) {
        let mut sent = self.draw.within(0, every);
        while sent < self.truth.end {
            let asked = self.draw.within(100, 300 + slow);
            let moment = self.truth.states[node].iter().map(|(from, _)| *from).filter(|from| *from > sent + asked);
            let now = self.truth.at(node, sent + asked);
            // A stopped process answers when it runs again.
            let answered = if now.paused { moment.min().unwrap_or(u64::MAX) } else { sent + asked };
            let timeout = sent + 50_000;
            let state = (answered < timeout && answered < self.truth.end).then(|| self.truth.at(node, answered));
            let received = answered.saturating_add(self.draw.within(100, 300 + slow)).min(timeout);
            let alive =
                state.filter(|state| state.up && !state.paused && received < timeout && !self.draw.chance(lost));
            // A process that dies between is no answer.
            let alive = alive.filter(|state| {
                state.incarnation == self.truth.at(node, sent).incarnation && self.truth.at(node, sent).up
            });
            self.observe(ObservationSource::Poll, node, sent, received, alive);
            sent = received.max(sent + every) + self.draw.within(0, 500);
        }
    }

    fn pushes(&mut self, node: usize, lost: u64, slow: u64) {
        for (moment, state) in self.truth.states[node].clone() {
            if state.up && !state.paused && moment > 0 && !self.draw.chance(lost) {
                let received = moment + self.draw.within(100, 300 + slow);
                self.observe(ObservationSource::Push, node, moment, received, Some(state));
            }
        }
    }

    fn observe(&mut self, source: ObservationSource, node: usize, sent: u64, received: u64, state: Option<State>) {
        let role = |role| match role {
            Role::Follower => ElectionRole::Follower,
            Role::Candidate => ElectionRole::Candidate,
            Role::Leader => ElectionRole::Leader,
        };
        let outcome = state.map_or(ObservationOutcome::Silent("none".to_owned()), |state| {
            let to = if source == ObservationSource::Poll { received } else { sent };
            self.seen.push(Seen { node, sent, received: to, state });
            ObservationOutcome::Answered(Belief {
                term: Term(state.term),
                role: role(state.role),
                leader: state.leader.map(NodeId::from_index),
                voted_for: None,
                commit: None,
                lease_remaining_ns: None,
            })
        });
        let incarnation = state.map_or(1, |state| state.incarnation);
        let (node, sent, at_) = (NodeId::from_index(node), at(sent), at(received));
        let observation = Observation { node, incarnation, source, sent, received: at_, outcome };
        self.events.push((received, Event::Observation(observation)));
    }

    fn edges(&mut self, index: usize, fault: &Fault) {
        let link = |(from, to): &(usize, usize)| Link { from: NodeId::from_index(*from), to: NodeId::from_index(*to) };
        let kind = match fault.kind {
            Kind::Kill => FaultKind::Kill,
            Kind::Pause => FaultKind::Pause,
            Kind::Partition => FaultKind::Partition,
        };
        for (edge, moment) in [(FaultEdge::Begin, fault.from), (FaultEdge::End, fault.to)] {
            let (early, late) = (self.draw.within(0, 800), self.draw.within(1, 900));
            let call_end = moment + self.draw.within(0, late);
            let stamps = Stamps {
                scheduled: at(moment - early),
                call_begin: at(moment - early),
                call_end: at(call_end),
                effect: Some(at(moment + late)),
            };
            let begin = edge == FaultEdge::Begin;
            let leader = fault.leader.filter(|_| begin);
            let event = FaultEvent {
                process: None,
                id: FaultId(u32::try_from(index).unwrap_or(0) + 1),
                edge,
                kind,
                label: "it".to_owned(),
                nodes: fault.nodes.iter().map(|node| NodeId::from_index(*node)).collect(),
                links: if begin { fault.links.iter().map(link).collect() } else { Vec::new() },
                leader: leader.map(|(node, term)| (NodeId::from_index(node), Term(term))),
                stamps,
                source: None,
                error: None,
            };
            self.events.push((moment + late, Event::Fault(event)));
            for node in fault.nodes.iter().filter(|_| fault.kind == Kind::Kill) {
                let life = match edge {
                    FaultEdge::Begin => NodeLife::Exited { code: None, signal: Some(9), expected: true },
                    FaultEdge::End => NodeLife::Started { pid: 7 },
                };
                let event = NodeEvent { node: NodeId::from_index(*node), incarnation: 1, life };
                // The start is noted before the new process can say anything, the exit after the old one is gone.
                let noted = if begin { moment + late } else { moment - early };
                self.events.push((noted, Event::Node(event)));
            }
        }
    }

    /// Whether the node can get a write to a majority at that moment.
    fn serves(&self, node: usize, moment: u64) -> bool {
        let state = self.truth.at(node, moment);
        let follows = |other: &usize| {
            let its = self.truth.at(*other, moment);
            its.up
                && !its.paused
                && its.names() == Some((node, state.term))
                && self.truth.connected(node, *other, moment)
        };
        state.role == Role::Leader && (0..self.truth.nodes).filter(follows).count() > self.truth.nodes / 2
    }

    fn writers(&mut self, slow: u64) {
        let mut due = 300_000 + self.draw.within(0, 9_000);
        let mut id = 0;
        while due < self.truth.end {
            let pinned = self.draw.chance(40);
            let invoked = due + self.draw.within(0, 500);
            let any = usize::try_from(self.draw.within(0, self.truth.nodes as u64 - 1)).unwrap_or(0);
            let leader = (0..self.truth.nodes).find(|node| self.serves(*node, invoked)).filter(|_| !pinned);
            let node = leader.unwrap_or(any);
            self.roaming_dues.extend((!pinned).then_some(due));
            let role = if pinned { ClientRole::Pinned } else { ClientRole::Roaming };
            let arrived = invoked + self.draw.within(100, 400 + slow);
            let acked = arrived + self.draw.within(100, 400 + slow);
            let ended = acked + self.draw.within(100, 400 + 3 * slow);
            let state = self.truth.at(node, arrived);
            let phase = if self.serves(node, arrived) && self.serves(node, acked) && !self.draw.chance(3) {
                self.writes.push(Write { roaming: !pinned, node, invoked, acked, completed: ended });
                OpPhase::Ok(OpResult::Written { revision: None })
            } else if !state.up || (!state.paused && state.role != Role::Leader) {
                OpPhase::Fail { error: "refused".to_owned() }
            } else {
                OpPhase::Info { error: "no answer".to_owned() }
            };
            let ended = if matches!(phase, OpPhase::Info { .. }) { invoked + 80_000 } else { ended };
            let action = Action::Write { key: "k".to_owned(), value: Value(id) };
            let invoke = OpPhase::Invoke { role, due: at(due), action };
            for (moment, phase) in [(invoked, invoke), (ended, phase)] {
                let op = OpEvent { id: OpId(id), process: ProcessId(id), node: NodeId::from_index(node), phase };
                self.events.push((moment, Event::Op(op)));
            }
            id += 1;
            due += self.draw.within(2_000, 12_000);
        }
    }

    fn mark(&mut self, moment: u64, mark: Mark) {
        self.events.push((moment, Event::Note(NoteEvent { mark: Some(mark), text: String::new() })));
    }

    fn finish(mut self) -> Record {
        self.events.sort_by_key(|(moment, _)| *moment);
        let header = Header {
            chaos_history: 1,
            simulated: None,
            workload: "simulated".to_owned(),
            system: "simulated".to_owned(),
            nodes: self.truth.nodes,
            seed: Seed(1),
            started: "2026-11-21T00:00:00Z".to_owned(),
            chaos: "0.1.0".to_owned(),
            testimony: chaos_history::Testimony::default(),
        };
        let recorded =
            |(index, (moment, event)): (usize, (u64, Event))| Recorded { line: index + 2, at: at(moment), event };
        let events = self.events.into_iter().enumerate().map(recorded).collect();
        Record {
            history: History { header, events, torn: false },
            writes: self.writes,
            seen: self.seen,
            roaming_dues: self.roaming_dues,
        }
    }
}
