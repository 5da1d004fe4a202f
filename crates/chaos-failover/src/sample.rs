//! Histories made by hand, for tests. All times are milliseconds.

use std::time::Duration;

use chaos_history::{
    Action, Belief, ClientRole, ElectionRole, Event, FaultEdge, FaultEvent, FaultId, FaultKind, Header, History, Link,
    Mark, NodeEvent, NodeId, NodeLife, NoteEvent, Observation, ObservationOutcome, ObservationSource, OpEvent, OpId,
    OpPhase, OpResult, ProcessId, Recorded, RunNanos, Seed, Stall, Stamps, Term, TermsFrom, Testimony, TestimonyOf,
    Value, View,
};

use crate::interval::Interval;

pub(crate) fn node(number: u16) -> NodeId {
    NodeId::new(number)
}

pub(crate) fn at(ms: u64) -> RunNanos {
    RunNanos(ms * 1_000_000)
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn interval(lo: u64, hi: u64) -> Interval {
    Interval::new(at(lo), at(hi))
}

/// A history under construction.
pub(crate) struct Sample {
    nodes: usize,
    testimony: Testimony,
    events: Vec<Recorded>,
    operations: u64,
}

impl Sample {
    pub(crate) fn new(nodes: usize) -> Self {
        Self { nodes, testimony: Testimony::default(), events: Vec::new(), operations: 0 }
    }

    /// Nodes speak only of themselves, and their terms are numbers of reigns.
    pub(crate) fn of_claims(nodes: usize) -> Self {
        let testimony = Testimony { terms: TermsFrom::Reigns, names_leader: false, ..Testimony::default() };
        Self { testimony, ..Self::new(nodes) }
    }

    pub(crate) fn event(&mut self, ms: u64, event: Event) -> &mut Self {
        self.events.push(Recorded { line: self.events.len() + 2, at: at(ms), event });
        self
    }

    fn observe(&mut self, source: ObservationSource, who: u16, sent: u64, received: u64, belief: Belief) -> &mut Self {
        let (sent, received_at) = (at(sent), at(received));
        let outcome = ObservationOutcome::Answered(belief);
        let observation = Observation { node: node(who), incarnation: 1, source, sent, received: received_at, outcome };
        self.event(received, Event::Observation(observation))
    }

    /// Asked at `sent`, node `who` answers by `received` that `leader` leads `term` (0: it knows of no leader).
    pub(crate) fn follows(&mut self, who: u16, sent: u64, received: u64, term: u64, leader: u16) -> &mut Self {
        self.observe(ObservationSource::Poll, who, sent, received, belief(who, term, leader))
    }

    /// The observer `sentinel` is told at `who`, asked at `sent`, that `leader` leads (0: nobody), 2 ms later.
    pub(crate) fn viewed(&mut self, who: u16, sent: u64, leader: u16) -> &mut Self {
        let (node, received) = (node(who), at(sent + 2));
        let belief = Belief { role: ElectionRole::Follower, ..belief(who, 9, leader) };
        let (source, outcome) = (ObservationSource::Poll, ObservationOutcome::Answered(belief));
        let observation = Observation { node, incarnation: 1, source, sent: at(sent), received, outcome };
        let (observer, of) = ("sentinel".to_owned(), TestimonyOf::Coordinator);
        self.event(sent + 2, Event::View(View { observer, of, terms: TermsFrom::System, observation }))
    }

    /// All of `who` answer alike, asked at `sent`, 2 ms later.
    pub(crate) fn all_follow(&mut self, who: &[u16], sent: u64, term: u64, leader: u16) -> &mut Self {
        for who in who {
            self.follows(*who, sent, sent + 2, term, leader);
        }
        self
    }

    /// Says so unasked, at `sent`; the harness hears of it at `received`.
    pub(crate) fn pushes(&mut self, who: u16, sent: u64, received: u64, term: u64, leader: u16) -> &mut Self {
        self.observe(ObservationSource::Push, who, sent, received, belief(who, term, leader))
    }

    /// A fault that begins within `[ms, ms + 1]`, aimed while n1 led term 1.
    pub(crate) fn fault(
        &mut self,
        id: u32,
        kind: FaultKind,
        ms: u64,
        nodes: &[u16],
        links: &[(u16, u16)],
    ) -> &mut Self {
        self.fault_of(id, kind, ms, nodes, links, (1, 1))
    }

    pub(crate) fn fault_of(
        &mut self,
        id: u32,
        kind: FaultKind,
        ms: u64,
        nodes: &[u16],
        links: &[(u16, u16)],
        leader: (u16, u64),
    ) -> &mut Self {
        let leader = Some((node(leader.0), Term(leader.1)));
        self.edge(id, kind, FaultEdge::Begin, ms, nodes, links, leader)
    }

    /// Its end, within `[ms, ms + 1]`.
    pub(crate) fn heal(&mut self, id: u32, kind: FaultKind, ms: u64, nodes: &[u16]) -> &mut Self {
        self.edge(id, kind, FaultEdge::End, ms, nodes, &[], None)
    }

    #[expect(clippy::too_many_arguments, reason = "a fault event has as many facts")]
    fn edge(
        &mut self,
        id: u32,
        kind: FaultKind,
        edge: FaultEdge,
        ms: u64,
        nodes: &[u16],
        links: &[(u16, u16)],
        leader: Option<(NodeId, Term)>,
    ) -> &mut Self {
        let both = |(from, to): &(u16, u16)| Link { from: node(*from), to: node(*to) };
        let fault = FaultEvent {
            process: None,
            id: FaultId(id),
            edge,
            kind,
            label: format!("{} it", kind.name()),
            nodes: nodes.iter().map(|number| node(*number)).collect(),
            links: links.iter().map(both).collect(),
            leader,
            stamps: Stamps { scheduled: at(ms), call_begin: at(ms), call_end: at(ms), effect: Some(at(ms + 1)) },
            source: None,
            error: None,
        };
        self.event(ms + 1, Event::Fault(fault))
    }

    /// An operation of a roaming client on `who`, sent when due; `completed` is `None` if it ends in nothing known.
    pub(crate) fn operation(&mut self, who: u16, action: Action, invoked: u64, completed: Option<u64>) -> &mut Self {
        let id = OpId(self.operations);
        self.operations += 1;
        let result = match action {
            Action::Read { .. } => OpResult::Read { value: None, revision: None },
            Action::Write { .. } => OpResult::Written { revision: None },
            Action::Cas { .. } => OpResult::Cas { swapped: true, observed: None, revision: None },
            Action::Add { .. } => OpResult::Written { revision: None },
            Action::Elements { .. } => OpResult::Elements { values: Vec::new(), revision: None },
            Action::Acquire { .. } | Action::Release { .. } | Action::Access { .. } => {
                unreachable!("samples are of registers and sets")
            }
        };
        let event = |phase| Event::Op(OpEvent { id, process: ProcessId(id.0), node: node(who), phase });
        let due = at(invoked);
        self.event(invoked, event(OpPhase::Invoke { role: ClientRole::Roaming, due, action }));
        if let Some(completed) = completed {
            self.event(completed, event(OpPhase::Ok(result)));
        }
        self
    }

    pub(crate) fn write(&mut self, who: u16, invoked: u64, completed: Option<u64>) -> &mut Self {
        let value = Value(self.operations);
        self.operation(who, Action::Write { key: "k".to_owned(), value }, invoked, completed)
    }

    pub(crate) fn read(&mut self, who: u16, invoked: u64, completed: Option<u64>) -> &mut Self {
        self.operation(who, Action::Read { key: "k".to_owned() }, invoked, completed)
    }

    pub(crate) fn mark(&mut self, ms: u64, mark: Mark) -> &mut Self {
        self.event(ms, Event::Note(NoteEvent { mark: Some(mark), text: String::new() }))
    }

    pub(crate) fn stall(&mut self, from: u64, to: u64) -> &mut Self {
        self.event(to, Event::Stall(Stall { from: at(from), to: at(to) }))
    }

    pub(crate) fn life(&mut self, who: u16, ms: u64, life: NodeLife) -> &mut Self {
        self.event(ms, Event::Node(NodeEvent { node: node(who), incarnation: 1, life }))
    }

    pub(crate) fn history(&self) -> History {
        let header = Header {
            chaos_history: 1,
            simulated: None,
            workload: "sample".to_owned(),
            system: "raft".to_owned(),
            nodes: self.nodes,
            seed: Seed(7),
            started: "2026-11-21T02:48:11Z".to_owned(),
            chaos: "0.1.0".to_owned(),
            testimony: self.testimony,
        };
        History { header, events: self.events.clone(), torn: false }
    }
}

fn belief(who: u16, term: u64, leader: u16) -> Belief {
    let role = if leader == who { ElectionRole::Leader } else { ElectionRole::Follower };
    let leader = (leader > 0).then(|| node(leader));
    Belief { term: Term(term), role, leader, voted_for: None, commit: None, lease_remaining_ns: None }
}
