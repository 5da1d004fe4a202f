//! The observations of a history as evidence: who was asked when, and what it said.
//!
//! An answer was true at *some* instant in `[sent, received]` and no more than that is known. So one observation is before
//! another only if its answer had arrived when the other's question left; anything else is concurrent.

use chaos_history::{Belief, ElectionRole, Event, History, NodeId, ObservationOutcome, RunNanos, Term};

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
    /// The answer is true not before this moment.
    pub(crate) sent: RunNanos,
    /// The answer is true not after this moment.
    pub(crate) received: RunNanos,
    /// What was answered.
    pub(crate) belief: &'a Belief,
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
        let term = self.belief.term;
        match (self.claims(), self.belief.leader) {
            (true, _) => format!("{} claimed to lead term {term}", self.node),
            (false, Some(leader)) => format!("{} named {leader} as leader of term {term}", self.node),
            (false, None) => format!("{} was in term {term} and named no leader", self.node),
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

/// All answered observations.
pub(crate) fn answers(history: &History) -> Answers<'_> {
    let nodes = history.header.nodes;
    let (mut told, mut malformed) = (Vec::new(), None);
    for recorded in &history.events {
        let Event::Observation(observation) = &recorded.event else { continue };
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
            sent: observation.sent,
            received: observation.received,
            belief,
        });
    }
    Answers { told, malformed }
}
