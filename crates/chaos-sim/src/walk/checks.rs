//! What a walk demands, and how it is seen: every event, every write and every applied entry, in the step that it happens in.
//!
//! Of logs that match it is enough to know, for each position and term, one entry and the term before it: two logs that share an
//! entry then share, by induction, everything before.

use std::collections::BTreeMap;

use election::raft::{Entry, EntryPayload, Event, Outcome, Persist, Recovered, SnapshotMeta};
use election::{LogIndex, RequestId, Term};

use super::name;
use crate::random::Rolling;

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
    /// A linearizable read comes after everything that was acknowledged before it was asked for.
    LinearizableReads,
}

impl WalkProperty {
    /// Its name, `state-machine-safety`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SingleVote => "single-vote",
            Self::ElectionSafety => "election-safety",
            Self::LogMatching => "log-matching",
            Self::LeaderCompleteness => "leader-completeness",
            Self::StateMachineSafety => "state-machine-safety",
            Self::TermMonotonic => "term-monotonic",
            Self::LinearizableReads => "linearizable-reads",
        }
    }
}

/// What is known of the past.
#[derive(Default)]
pub(super) struct Checks {
    votes: BTreeMap<(usize, Term), election::NodeId>,
    pub(super) leaders: BTreeMap<Term, usize>,
    terms: BTreeMap<usize, Term>,
    /// Of each place and term the entry, by its digest, and the term before it.
    entries: BTreeMap<(LogIndex, Term), (u64, Term)>,
    /// What was applied, and in which term its first applier was then.
    pub(super) applied: BTreeMap<LogIndex, (Term, u64, Term)>,
    /// How far each node's state machine is, in its present life.
    states: BTreeMap<usize, LogIndex>,
    /// The last entry that a client knows to be committed.
    acknowledged: LogIndex,
    /// What was acknowledged when each read was asked for.
    reads: BTreeMap<RequestId, LogIndex>,
    pub(super) violated: Option<(WalkProperty, String)>,
}

impl Checks {
    fn violates(&mut self, property: WalkProperty, why: impl FnOnce() -> String) {
        self.violated.get_or_insert_with(|| (property, why()));
    }

    pub(super) fn term(&mut self, node: usize, term: Term) {
        let newest = self.terms.entry(node).or_default();
        let before = std::mem::replace(newest, term);
        if term < before {
            self.violates(WalkProperty::TermMonotonic, || format!("{} goes from term {before} to {term}", name(node)));
        }
    }

    /// Entries that are about to be written: each with the term that will stand before it.
    pub(super) fn appended(&mut self, disk: &Recovered, persist: &Persist, node: usize) {
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

    /// A node has started again, with what its disk holds.
    pub(super) fn started(&mut self, node: usize, disk: &Recovered) {
        let snapshot = disk.snapshot.as_ref().map_or(LogIndex(0), |snapshot| snapshot.meta.last_index);
        self.states.insert(node, snapshot);
    }

    /// A node's state machine is replaced.
    pub(super) fn restored(&mut self, node: usize, meta: SnapshotMeta) {
        let state = self.states.entry(node).or_default();
        let before = std::mem::replace(state, meta.last_index);
        if meta.last_index < before {
            self.violates(WalkProperty::StateMachineSafety, || {
                format!(
                    "{} goes back from what it had applied up to {before} to a snapshot of {}",
                    name(node),
                    meta.last_index
                )
            });
        }
        let applied = self.applied.get(&meta.last_index).map(|(term, ..)| *term);
        if applied.is_some_and(|term| term != meta.last_term) {
            self.violates(WalkProperty::StateMachineSafety, || {
                format!(
                    "{} takes a snapshot up to {}, where an entry of another term was applied",
                    name(node),
                    meta.last_index
                )
            });
        }
    }

    pub(super) fn asked_to_read(&mut self, request: RequestId) {
        self.reads.insert(request, self.acknowledged);
    }

    pub(super) fn answered(&mut self, node: usize, request: RequestId, outcome: Outcome) {
        match outcome {
            Outcome::Committed { index, .. } | Outcome::MembershipChanged { index } => {
                self.acknowledged = self.acknowledged.max(index);
            }
            Outcome::ReadAt { index } => {
                if let Some(least) = self.reads.remove(&request).filter(|least| index < *least) {
                    self.violates(WalkProperty::LinearizableReads, || {
                        format!("{} answers a read up to {index}, asked for after {least} was acknowledged", name(node))
                    });
                }
            }
            Outcome::Transferred { .. }
            | Outcome::NotLeader { .. }
            | Outcome::Busy
            | Outcome::Invalid
            | Outcome::GivenUp
            | Outcome::Superseded => {}
        }
    }

    pub(super) fn applied(&mut self, node: usize, current: Term, entry: &Entry) {
        self.states.insert(node, entry.index);
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

    pub(super) fn event(&mut self, node: usize, event: &Event, disk: &Recovered) {
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
    let snapshot = persist.snapshot.as_deref().or(disk.snapshot.as_ref());
    if let Some(snapshot) = snapshot.filter(|snapshot| snapshot.meta.last_index == index) {
        return Some(snapshot.meta.last_term);
    }
    let first = disk.entries.first()?.index;
    let place = usize::try_from(index.0.checked_sub(first.0)?).ok()?;
    disk.entries.get(place).map(|entry| entry.term)
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
