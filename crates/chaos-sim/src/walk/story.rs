//! What a walk's moves lead to, in words.

use election::raft::{Event, Outcome, Persist};

use super::moves::Move;
use super::name;

/// A move and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What happened.
    pub what: String,
    /// What its node then did, in order; sending is left out.
    pub effects: Vec<String>,
}

/// Takes down what happens, or doesn't.
pub(super) enum Story {
    Untold,
    Told(Vec<Told>),
}

impl Default for Story {
    fn default() -> Self {
        Self::Told(Vec::new())
    }
}

impl Story {
    pub(super) fn told(self) -> Vec<Told> {
        match self {
            Self::Untold => Vec::new(),
            Self::Told(told) => told,
        }
    }

    /// A move, with the kind of the message that it is about.
    pub(super) fn begin(&mut self, this: &Move, kind: Option<&str>) {
        let Self::Told(told) = self else { return };
        let what = match (this, kind) {
            (Move::Crash { .. }, Some(kind)) => format!("{this}; it was about to take {}", kind.replace('_', " ")),
            (_, Some(kind)) => this.to_string().replacen("message", &kind.replace('_', " "), 1),
            (_, None) => this.to_string(),
        };
        told.push(Told { what, effects: Vec::new() });
    }

    fn add(&mut self, effect: impl FnOnce() -> String) {
        if let Self::Told(told) = self
            && let Some(last) = told.last_mut()
        {
            last.effects.push(effect());
        }
    }

    pub(super) fn written(&mut self, node: usize, persist: &Persist) {
        let Some((first, last)) = persist.append.first().zip(persist.append.last()) else { return };
        let node = name(node);
        self.add(|| {
            let terms = if first.term == last.term {
                format!("of term {}", first.term)
            } else {
                format!("of terms {} to {}", first.term, last.term)
            };
            if first.index == last.index {
                format!("{node} writes entry {} {terms}", first.index)
            } else {
                format!("{node} writes entries {} to {} {terms}", first.index, last.index)
            }
        });
    }

    /// A client or an operator gets an answer that says more than no.
    pub(super) fn answered(&mut self, node: usize, outcome: Outcome) {
        let node = name(node);
        let words = match outcome {
            Outcome::Committed { index, .. } => format!("{node} acknowledges the command at {index}"),
            Outcome::ReadAt { index } => format!("{node} answers a read from what it holds up to {index}"),
            Outcome::MembershipChanged { index } => format!("{node} acknowledges the change of members at {index}"),
            Outcome::Transferred { .. }
            | Outcome::NotLeader { .. }
            | Outcome::Busy
            | Outcome::Invalid
            | Outcome::GivenUp
            | Outcome::Superseded => return,
        };
        self.add(|| words);
    }

    pub(super) fn happened(&mut self, node: usize, event: &Event) {
        let node = name(node);
        let words = match *event {
            Event::Granted { term, to } => format!("{node} votes for {to} in term {term}"),
            Event::BecameFollower { term, leader: Some(leader) } => format!("{node} follows {leader} in term {term}"),
            Event::BecameFollower { term, leader: None } => format!("{node} follows nobody yet in term {term}"),
            Event::BecamePreCandidate { term } => format!("{node} asks who would vote for it, in term {term}"),
            Event::BecameCandidate { term } => format!("{node} campaigns for term {term}"),
            Event::BecameLeader { term } => format!("{node} leads term {term}"),
            Event::Committed { index, term } => format!("{node} takes {index} for committed, an entry of term {term}"),
            Event::MembersChanged { index, members } => format!("{node} goes by {members} members, by entry {index}"),
            Event::CommittedOverwritten { index } => format!("{node} overwrites {index}, which it took for committed"),
            Event::LeaderChanged { .. } => return,
        };
        self.add(|| words);
    }
}
