//! From a history to an [`Outcome`]: what is violated, which faults were under way then, and where the cluster has been.
//!
//! *States.* After every answer, fault and end of a process, the cluster's abstract state is the sorted list of what each node
//! seems to be:
//! its role, how far its term is behind the newest (0, 1, or more), whether it names a leader, whether it runs, sleeps or is
//! cut off. Sorted,
//! since nodes are alike: n1 leading and n2 leading are one state. It is the observer's knowledge, so that it is had of any
//! system, real or
//! simulated, without touching it. Trials that reach states which no other reached are worth changing a little (Mallory, CCS 2023, does
//! the same with more).
//!
//! *Marks.* Things that a search should have come by. One that never happened in ten thousand seeds says that the search is
//! shallow there.

use std::collections::{BTreeMap, BTreeSet};

use chaos_check::{Budget, Property, Verdict, check};
use chaos_history::mixing::{GOLDEN, mix};
use chaos_history::{
    Belief, ElectionRole, Event, FaultEdge, FaultEvent, FaultKind, History, Impact, NodeId, NodeLife,
    ObservationOutcome, OpPhase, Recorded, RunNanos, Term,
};
use chaos_plan::Check;

use crate::tree::step_at;
use crate::trials::{Coverage, FaultSeen, Outcome, Violation};

/// Every mark, with what it says.
pub const MARKS: [(&str, &str); 14] = [
    ("another-leader", "a node claimed to lead a term after another one had led an earlier one"),
    ("candidate", "a node was seen campaigning"),
    ("pre-candidate", "a node was seen asking whether it would win"),
    ("split-vote", "a term passed in which somebody campaigned and nobody was seen to lead"),
    ("term-leap", "a node was seen two terms or more behind another"),
    ("two-leaders", "two nodes claimed to lead at once, in different terms"),
    ("vote-seen", "a node was seen to have voted for another"),
    ("leader-killed", "a node that claimed to lead was killed"),
    ("leader-stopped", "a node that claimed to lead was paused or frozen"),
    ("overlapping-faults", "a fault began while another was under way"),
    ("node-ended", "a node ended by itself"),
    ("silent", "a node did not answer who leads"),
    ("op-info", "the outcome of an operation stayed unknown"),
    ("op-fail", "an operation was refused"),
];

/// Judges a history by these checks, each with the properties that it stands for.
#[must_use]
pub fn judge(history: &History, demands: &[(Check, Vec<Property>)], budget: &Budget<'_>) -> Outcome {
    let mut outcome = Outcome::default();
    for (demand, properties) in demands {
        for property in properties {
            match check(history, *property, budget).verdict {
                Verdict::Valid => {}
                Verdict::Unknown(_) => {
                    outcome.undecided.insert(demand.name());
                }
                Verdict::Invalid(witness) => {
                    let active = active_at(history, witness.at);
                    let violation = Violation { check: *demand, sentence: witness.sentence, at: witness.at, active };
                    outcome.violations.push(violation);
                }
            }
        }
    }
    outcome.faults = faults(history).filter(|fault| fault.edge == FaultEdge::Begin).filter_map(seen).collect();
    outcome.coverage = Observer::new(history.header.nodes).through(&history.events);
    outcome
}

fn faults(history: &History) -> impl Iterator<Item = &FaultEvent> {
    history.events.iter().filter_map(|recorded| match &recorded.event {
        Event::Fault(fault) => Some(fault),
        Event::Op(_) | Event::Observation(_) | Event::View(_) | Event::Node(_) => None,
        Event::Stall(_) | Event::Note(_) | Event::Replica(_) => None,
    })
}

fn seen(fault: &FaultEvent) -> Option<FaultSeen> {
    Some(FaultSeen { step: step_at(fault.source.as_ref()?)?, at: fault.stamps.call_begin })
}

/// The faults that had begun by then and had not ended, in the plan's words.
fn active_at(history: &History, at: RunNanos) -> Vec<String> {
    let mut active = BTreeMap::new();
    for fault in faults(history).filter(|fault| fault.stamps.call_begin <= at) {
        match fault.edge {
            FaultEdge::Begin => active.insert(fault.id, fault.label.clone()),
            FaultEdge::End => active.remove(&fault.id),
        };
    }
    active.into_values().collect()
}

/// What is known of a node.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    belief: Option<(Term, ElectionRole, bool)>,
    down: bool,
    /// By how many faults it is stopped, cut off, or hindered.
    stopped: u8,
    cut: u8,
    hindered: u8,
}

/// Goes through a history and notes where the cluster has been.
struct Observer {
    nodes: Vec<Known>,
    newest: Term,
    /// Per term who campaigned and who led, as far as it was seen.
    terms: BTreeMap<Term, (bool, BTreeSet<NodeId>)>,
    under_way: usize,
    coverage: Coverage,
}

impl Observer {
    fn new(nodes: usize) -> Self {
        Self {
            nodes: vec![Known::default(); nodes],
            newest: Term(0),
            terms: BTreeMap::new(),
            under_way: 0,
            coverage: Coverage::default(),
        }
    }

    fn through(mut self, events: &[Recorded]) -> Coverage {
        for recorded in events {
            let changed = match &recorded.event {
                Event::Observation(observation) => match &observation.outcome {
                    ObservationOutcome::Answered(belief) => self.told(observation.node, belief),
                    ObservationOutcome::Silent(_) => {
                        self.mark("silent");
                        false
                    }
                },
                Event::Fault(fault) => self.fault(fault),
                Event::Node(event) => self.life(event.node, &event.life),
                Event::Op(op) => {
                    match op.phase {
                        OpPhase::Info { .. } => self.mark("op-info"),
                        OpPhase::Fail { .. } => self.mark("op-fail"),
                        OpPhase::Invoke { .. } | OpPhase::Ok(_) => {}
                    }
                    false
                }
                Event::View(_) | Event::Stall(_) | Event::Note(_) | Event::Replica(_) => false,
            };
            if changed {
                let state = self.state();
                self.coverage.states.insert(state);
            }
        }
        let split = self.terms.values().filter(|(campaigned, leaders)| *campaigned && leaders.is_empty()).count();
        for _ in 0..split {
            self.mark("split-vote");
        }
        self.coverage
    }

    fn mark(&mut self, name: &'static str) {
        debug_assert!(MARKS.iter().any(|(known, _)| *known == name), "`{name}` is no mark");
        *self.coverage.marks.entry(name).or_insert(0) += 1;
    }

    /// Whether a node said something new.
    fn told(&mut self, node: NodeId, belief: &Belief) -> bool {
        let Some(known) = self.nodes.get_mut(node.index()) else { return false };
        let told = Some((belief.term, belief.role, belief.leader.is_some()));
        let before = std::mem::replace(&mut known.belief, told);
        if before == told {
            return false;
        }
        let leads = |known: &Known| matches!(known.belief, Some((_, ElectionRole::Leader, _)));
        let leaders = self.nodes.iter().filter(|known| leads(known)).count();
        self.newest = self.newest.max(belief.term);
        let of_term = self.terms.entry(belief.term).or_default();
        match belief.role {
            ElectionRole::Candidate => {
                of_term.0 = true;
                self.mark("candidate");
            }
            ElectionRole::PreCandidate => self.mark("pre-candidate"),
            ElectionRole::Leader => {
                of_term.1.insert(node);
                let earlier = self.terms.range(..belief.term).next_back();
                if earlier.is_some_and(|(_, (_, leaders))| !leaders.is_empty() && !leaders.contains(&node)) {
                    self.mark("another-leader");
                }
                if leaders > 1 {
                    self.mark("two-leaders");
                }
            }
            ElectionRole::Follower => {}
        }
        if belief.voted_for.is_some_and(|candidate| candidate != node) && before.is_none_or(|was| was.0 < belief.term) {
            self.mark("vote-seen");
        }
        if self.newest.0 >= belief.term.0 + 2 {
            self.mark("term-leap");
        }
        true
    }

    fn fault(&mut self, fault: &FaultEvent) -> bool {
        let begins = fault.edge == FaultEdge::Begin;
        if begins {
            if self.under_way > 0 {
                self.mark("overlapping-faults");
            }
            self.under_way += 1;
        } else {
            self.under_way = self.under_way.saturating_sub(1);
        }
        let count = |count: &mut u8| *count = if begins { count.saturating_add(1) } else { count.saturating_sub(1) };
        let mut hit_leader = None;
        for node in &fault.nodes {
            let Some(known) = self.nodes.get_mut(node.index()) else { continue };
            let led = matches!(known.belief, Some((_, ElectionRole::Leader, _)));
            match fault.kind.impact() {
                Impact::Ends if begins && led => hit_leader = Some("leader-killed"),
                Impact::Stops => {
                    count(&mut known.stopped);
                    if begins && led {
                        hit_leader = Some("leader-stopped");
                    }
                }
                Impact::Hinders => count(&mut known.hindered),
                Impact::Ends | Impact::Spares => {}
            }
        }
        if fault.kind == FaultKind::Partition || fault.kind == FaultKind::FreezeHost {
            let ends: BTreeSet<NodeId> = fault.links.iter().flat_map(|link| [link.from, link.to]).collect();
            for node in ends {
                // Whoever has lost most of its links is cut off; the others merely miss somebody.
                let lost = fault.links.iter().filter(|link| link.from == node || link.to == node).count();
                if lost >= self.nodes.len() - 1
                    && let Some(known) = self.nodes.get_mut(node.index())
                {
                    count(&mut known.cut);
                }
            }
        }
        if let Some(mark) = hit_leader {
            self.mark(mark);
        }
        true
    }

    fn life(&mut self, node: NodeId, life: &NodeLife) -> bool {
        let Some(known) = self.nodes.get_mut(node.index()) else { return false };
        match life {
            NodeLife::Started { .. } | NodeLife::Ready => known.down = false,
            NodeLife::Exited { expected, .. } => {
                known.down = true;
                known.belief = None;
                if !expected {
                    self.mark("node-ended");
                }
            }
            NodeLife::ProcessStarted { .. } | NodeLife::ProcessExited { .. } => return false,
        }
        true
    }

    /// The cluster's abstract state: nodes are alike, so their order says nothing.
    fn state(&self) -> u64 {
        let mut parts: Vec<u64> = self
            .nodes
            .iter()
            .map(|known| {
                let belief = known.belief.map_or(0, |(term, role, names_leader)| {
                    let role = match role {
                        ElectionRole::Follower => 1,
                        ElectionRole::PreCandidate => 2,
                        ElectionRole::Candidate => 3,
                        ElectionRole::Leader => 4,
                    };
                    role + 8 * (self.newest.0 - term.0).min(2) + 32 * u64::from(names_leader)
                });
                let flags = [known.down, known.stopped > 0, known.cut > 0, known.hindered > 0];
                flags.into_iter().fold(belief, |state, flag| 2 * state + u64::from(flag))
            })
            .collect();
        parts.sort_unstable();
        parts.into_iter().fold(GOLDEN, |hash, part| mix(hash ^ part))
    }
}

#[cfg(test)]
mod tests {
    use chaos_history::{
        FaultId, Header, NodeEvent, Observation, ObservationSource, Seed, SourcePlace, Stamps, Testimony,
    };

    use super::*;

    fn history(nodes: usize, events: Vec<Event>) -> History {
        let header = Header {
            chaos_history: 1,
            workload: "x".to_owned(),
            system: "raft".to_owned(),
            nodes,
            seed: Seed(1),
            started: "2026-11-21T02:48:11Z".to_owned(),
            chaos: "0.1.0".to_owned(),
            testimony: Testimony::default(),
            simulated: None,
        };
        let at = |index: usize| RunNanos(u64::try_from(index).unwrap() * 1_000_000);
        let recorded = |(index, event)| Recorded { line: index + 2, at: at(index), event };
        History { header, events: events.into_iter().enumerate().map(recorded).collect(), torn: false }
    }

    fn says(at: u64, node: u16, term: u64, role: ElectionRole) -> Event {
        let node = NodeId::new(node);
        let leader = (role == ElectionRole::Leader).then_some(node);
        let belief = Belief { term: Term(term), role, leader, voted_for: None, commit: None, lease_remaining_ns: None };
        let (sent, received) = (RunNanos(at * 1_000_000), RunNanos(at * 1_000_000 + 1_000));
        let outcome = ObservationOutcome::Answered(belief);
        Event::Observation(Observation {
            node,
            incarnation: 1,
            source: ObservationSource::Poll,
            sent,
            received,
            outcome,
        })
    }

    fn fault(at: u64, edge: FaultEdge, node: u16) -> Event {
        let at = RunNanos(at * 1_000_000);
        let source = Some(SourcePlace { file: "explore".to_owned(), line: 4, column: 1 });
        Event::Fault(FaultEvent {
            id: FaultId(1),
            edge,
            kind: FaultKind::Pause,
            label: "pause leader".to_owned(),
            nodes: vec![NodeId::new(node)],
            process: None,
            links: Vec::new(),
            leader: None,
            stamps: Stamps { scheduled: at, call_begin: at, call_end: at, effect: Some(at) },
            source,
            error: None,
        })
    }

    fn demands() -> Vec<(Check, Vec<Property>)> {
        vec![(Check::ElectionSafety, vec![Property::ElectionSafety])]
    }

    #[test]
    fn a_violation_names_what_was_broken_at_its_instant() {
        let events = vec![
            says(0, 1, 1, ElectionRole::Leader),
            fault(1, FaultEdge::Begin, 1),
            says(2, 2, 1, ElectionRole::Leader),
            fault(3, FaultEdge::End, 1),
        ];
        let outcome = judge(&history(3, events), &demands(), &Budget::default());
        let violation = outcome.violation_of(Check::ElectionSafety).expect("two leaders in term 1");
        assert_eq!(violation.active, ["pause leader"]);
        assert_eq!(outcome.faults, [FaultSeen { step: 3, at: RunNanos(1_000_000) }]);
        assert_eq!(outcome.coverage.marks.get("leader-stopped"), Some(&1));
        assert_eq!(outcome.coverage.marks.get("two-leaders"), Some(&1));
    }

    #[test]
    fn one_leader_per_term_is_no_violation() {
        let events = vec![says(0, 1, 1, ElectionRole::Leader), says(2, 2, 2, ElectionRole::Leader)];
        let outcome = judge(&history(3, events), &demands(), &Budget::default());
        assert_eq!((outcome.violations.len(), outcome.undecided.len()), (0, 0));
        assert_eq!(outcome.coverage.marks.get("another-leader"), Some(&1));
        let nothing = judge(&history(3, Vec::new()), &demands(), &Budget::default());
        assert!(nothing.undecided.contains("election-safety"), "nothing seen is nothing known");
    }

    #[test]
    fn nodes_are_alike_and_states_are_told_once() {
        let states = |events| judge(&history(2, events), &[], &Budget::default()).coverage.states;
        let first = states(vec![says(0, 1, 1, ElectionRole::Leader), says(1, 1, 1, ElectionRole::Leader)]);
        let second = states(vec![says(0, 2, 1, ElectionRole::Leader)]);
        assert_eq!((first.len(), &first), (1, &second));
        let stopped = states(vec![says(0, 1, 1, ElectionRole::Leader), fault(1, FaultEdge::Begin, 1)]);
        assert_eq!(stopped.len(), 2);
        let gone = Event::Node(NodeEvent {
            node: NodeId::new(1),
            incarnation: 1,
            life: NodeLife::Exited { code: Some(1), signal: None, expected: false },
        });
        let outcome = judge(&history(2, vec![gone]), &[], &Budget::default());
        assert_eq!(outcome.coverage.marks.get("node-ended"), Some(&1));
    }
}
