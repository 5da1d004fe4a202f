//! The observations of a history as evidence: who was asked when, and what it said.
//!
//! An answer was true at *some* instant in `[sent, received]` and no more than that is known. So one observation is before
//! another only if its answer had arrived when the other's question left; anything else is concurrent.

use std::collections::{BTreeMap, BTreeSet};

use chaos_history::{
    Belief, ElectionRole, Event, FaultEdge, FaultId, History, NodeEvent, NodeId, NodeLife, Observation,
    ObservationOutcome, ObservationSource, RunNanos, Term, TermsFrom, View,
};

use crate::verdict::Verdict;

/// One answered observation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    /// Its line in the history.
    pub(crate) line: usize,
    /// Who answered.
    pub(crate) node: NodeId,
    /// Which start of the node's process answered.
    pub(crate) incarnation: u64,
    /// How often the node had joined the cluster anew by then, with an empty disk: what it said before binds it no more. `None` from
    /// the moment at which it is taken out: nothing binds who is no member (etcd, on its way to its end, shows term 0).
    pub(crate) membership: Option<usize>,
    /// Whether the node was asked.
    pub(crate) source: ObservationSource,
    /// The answer is true not before this moment.
    pub(crate) sent: RunNanos,
    /// The answer is true not after this moment.
    pub(crate) received: RunNanos,
    /// What was answered.
    pub(crate) belief: &'a Belief,
    /// Where its term comes from.
    pub(crate) terms: TermsFrom,
}

impl Answer<'_> {
    /// Whether the node claimed to lead its term.
    pub(crate) fn claims(&self) -> bool {
        self.belief.role == ElectionRole::Leader
    }

    /// The term and leader that the answer stands for: a claim stands for the node itself, whatever `leader` says.
    pub(crate) fn named(&self) -> Option<(Term, NodeId)> {
        let leader = if self.claims() { Some(self.node) } else { self.belief.leader };
        leader.map(|leader| (self.belief.term, leader))
    }

    /// The answer in words, for the steps of a witness.
    pub(crate) fn words(&self) -> String {
        let (word, term) = (self.terms.word(), self.belief.term);
        match (self.claims(), self.belief.leader) {
            (true, _) => format!("{} claimed to lead {word} {term}", self.node),
            (false, Some(leader)) => format!("{} named {leader} as leader of {word} {term}", self.node),
            (false, None) => format!("{} was in {word} {term} and named no leader", self.node),
        }
    }

    /// The answer as a step: its line, its words, its interval.
    pub(crate) fn step(&self) -> String {
        format!("line {}: {}, at some moment from {} to {}", self.line, self.words(), self.sent, self.received)
    }
}

/// What the observations of a history say.
#[derive(Debug)]
pub(crate) struct Answers<'a> {
    /// All answered observations, in the order of the file.
    pub(crate) told: Vec<Answer<'a>>,
    /// Why some were left out: they can't be what they say (answered before they were asked, or by or about a node outside
    /// the cluster).
    pub(crate) malformed: Option<String>,
}

impl Answers<'_> {
    /// The verdict on what is well-formed, with the rest in mind: what two answers refute stays refuted, but nothing is valid
    /// while some can't be read.
    pub(crate) fn conclude(&self, verdict: Verdict) -> Verdict {
        match (verdict, &self.malformed) {
            (Verdict::Valid | Verdict::Unknown(_), Some(reason)) => Verdict::Unknown(reason.clone()),
            (verdict, _) => verdict,
        }
    }
}

/// All answered observations of the main observer.
pub(crate) fn answers(history: &History) -> Answers<'_> {
    read(history, history.header.testimony.terms, |event| match event {
        Event::Observation(observation) => Some(observation),
        Event::Op(_)
        | Event::View(_)
        | Event::Replica(_)
        | Event::Fault(_)
        | Event::Node(_)
        | Event::Stall(_)
        | Event::Note(_) => None,
    })
}

/// All answered views of each further observer whose terms are the system's.
pub(crate) fn views_with_terms(history: &History) -> BTreeMap<&str, Answers<'_>> {
    let views: Vec<&View> = history.events.iter().filter_map(|recorded| view_with_terms(&recorded.event)).collect();
    let observers: BTreeSet<&str> = views.into_iter().map(|view| view.observer.as_str()).collect();
    let of = |observer| {
        read(history, TermsFrom::System, move |event| {
            view_with_terms(event).filter(|view| view.observer == observer).map(|view| &view.observation)
        })
    };
    observers.into_iter().map(|observer| (observer, of(observer))).collect()
}

fn view_with_terms(event: &Event) -> Option<&View> {
    match event {
        Event::View(view) => Some(view).filter(|view| view.terms == TermsFrom::System),
        Event::Op(_)
        | Event::Observation(_)
        | Event::Replica(_)
        | Event::Fault(_)
        | Event::Node(_)
        | Event::Stall(_)
        | Event::Note(_) => None,
    }
}

/// When nodes were no members, and with which of their starts they joined anew.
#[derive(Debug, Default)]
struct Memberships {
    /// From the call of a removal to the end of the fault, or of everything.
    removals: Vec<(FaultId, BTreeSet<NodeId>, RunNanos, RunNanos)>,
    /// Starts within those.
    starts: BTreeMap<NodeId, Vec<(u64, RunNanos)>>,
}

impl Memberships {
    fn read(history: &History) -> Self {
        let mut read = Self::default();
        for recorded in &history.events {
            let Event::Fault(fault) = &recorded.event else { continue };
            match fault.edge {
                FaultEdge::Begin if fault.kind.renews_nodes() => {
                    let nodes = fault.nodes.iter().copied().collect();
                    read.removals.push((fault.id, nodes, fault.stamps.call_begin, RunNanos(u64::MAX)));
                }
                FaultEdge::End => {
                    let over = fault.stamps.effect.unwrap_or(fault.stamps.call_end);
                    let of_fault = read.removals.iter_mut().filter(|removal| removal.0 == fault.id);
                    of_fault.for_each(|removal| removal.3 = over);
                }
                FaultEdge::Begin => {}
            }
        }
        for recorded in &history.events {
            if let Event::Node(NodeEvent { node, incarnation, life: NodeLife::Started { .. } }) = &recorded.event
                && read.removals_of(*node).any(|(from, until)| from <= recorded.at && recorded.at <= until)
            {
                read.starts.entry(*node).or_default().push((*incarnation, recorded.at));
            }
        }
        read
    }

    fn removals_of(&self, node: NodeId) -> impl Iterator<Item = (RunNanos, RunNanos)> {
        let of_node = self.removals.iter().filter(move |(_, nodes, ..)| nodes.contains(&node));
        of_node.map(|(_, _, from, until)| (*from, *until))
    }

    /// Which membership of the node an answer is of, from 0; `None` if it was being taken out, or was no member any more.
    fn of(&self, observation: &Observation) -> Option<usize> {
        let starts = self.starts.get(&observation.node).map_or(&[][..], Vec::as_slice);
        let joined = || starts.iter().filter(|(incarnation, _)| *incarnation <= observation.incarnation);
        let leaves = self.removals_of(observation.node).any(|(from, until)| {
            let meets = observation.received >= from && observation.sent <= until;
            meets && !joined().any(|(_, at)| from <= *at && *at <= until)
        });
        (!leaves).then(|| joined().count())
    }
}

fn read<'a>(
    history: &'a History,
    terms: TermsFrom,
    pick: impl Fn(&'a Event) -> Option<&'a Observation>,
) -> Answers<'a> {
    let nodes = history.header.nodes;
    let memberships = Memberships::read(history);
    let (mut told, mut malformed) = (Vec::new(), None);
    for recorded in &history.events {
        let Some(observation) = pick(&recorded.event) else { continue };
        let line = recorded.line;
        if observation.received < observation.sent {
            malformed.get_or_insert_with(|| format!("line {line}: an observation was answered before it was asked"));
            continue;
        }
        let ObservationOutcome::Answered(belief) = &observation.outcome else { continue };
        let known = |node: NodeId| node.index() < nodes;
        if !known(observation.node) || !belief.leader.is_none_or(known) {
            malformed.get_or_insert_with(|| {
                format!("line {line}: an observation by or about a node outside the {nodes} of the cluster")
            });
            continue;
        }
        told.push(Answer {
            line,
            node: observation.node,
            incarnation: observation.incarnation,
            membership: memberships.of(observation),
            source: observation.source,
            sent: observation.sent,
            received: observation.received,
            belief,
            terms,
        });
    }
    Answers { told, malformed }
}
