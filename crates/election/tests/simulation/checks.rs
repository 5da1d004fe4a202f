//! The properties, checked while the cluster runs: Raft's own (paper Fig. 3), and what its clients were promised.
//!
//! Every check is white-box and exact: it sees each event, each applied entry and each reply at the moment it happens. It never
//! stops the run; it collects the names of the properties that failed, so that a specimen shows all its symptoms.

use std::collections::BTreeMap;

use election::raft::{Entry, EntryPayload, Persist, Recovered};
use election::{LogIndex, NodeId, Term};

/// A property by the name that the paper, or the reports, give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Property {
    ElectionSafety,
    SingleVote,
    MonotonicTerm,
    LogMatching,
    LeaderCompleteness,
    StateMachineSafety,
    CommittedKept,
    LinearizableReads,
    AcknowledgedWritesKept,
    LeaseExclusivity,
    LeaderOverlap,
    Progress,
    NoStaleLeaderAfterHeal,
    OrderingLaw,
}

#[derive(Debug, Default)]
pub(crate) struct Checks {
    leaders: BTreeMap<Term, NodeId>,
    votes: BTreeMap<(NodeId, Term), NodeId>,
    terms: BTreeMap<NodeId, Term>,
    /// What was applied anywhere.
    pub(crate) applied: BTreeMap<LogIndex, (Term, EntryPayload)>,
    /// In which term the first node that applied an entry was then: it was committed in that term at the latest.
    committed_in: BTreeMap<LogIndex, Term>,
    /// Since when, on the run's clock, a node claims a term although a newer one has a leader.
    outdated: BTreeMap<NodeId, u64>,
    /// The largest revision that any client knows of.
    pub(crate) revision_known: LogIndex,
    pub(crate) violations: BTreeMap<Property, String>,
}

impl Checks {
    pub(crate) fn violated(&mut self, property: Property, why: impl FnOnce() -> String) {
        self.violations.entry(property).or_insert_with(why);
    }

    /// A claim or a belief: both are facts about the term.
    pub(crate) fn leads(&mut self, term: Term, leader: NodeId) {
        let first = *self.leaders.entry(term).or_insert(leader);
        if first != leader {
            self.violated(Property::ElectionSafety, || format!("{first} and {leader} lead term {term}"));
        }
    }

    /// An old leader and a new one may overlap, but with CheckQuorum not for longer than `bound`.
    pub(crate) fn claim(&mut self, node: NodeId, claims: Option<Term>, now: u64, bound: u64) {
        let newest = self.leaders.keys().next_back().copied().unwrap_or_default();
        if claims.is_none_or(|term| term >= newest) {
            self.outdated.remove(&node);
            return;
        }
        let since = *self.outdated.entry(node).or_insert(now);
        if now - since > bound {
            self.violated(Property::LeaderOverlap, || {
                format!("{node} claims a term before {newest} for over {bound} ns")
            });
        }
    }

    pub(crate) fn granted(&mut self, voter: NodeId, term: Term, to: NodeId) {
        let first = *self.votes.entry((voter, term)).or_insert(to);
        if first != to {
            self.violated(Property::SingleVote, || format!("{voter} votes for {first} and {to} in term {term}"));
        }
    }

    pub(crate) fn term(&mut self, node: NodeId, term: Term) {
        let newest = self.terms.entry(node).or_default();
        let before = std::mem::replace(newest, term);
        if term < before {
            self.violated(Property::MonotonicTerm, || format!("{node} goes from term {before} to {term}"));
        }
    }

    pub(crate) fn apply(&mut self, node: NodeId, current: Term, entry: &Entry) {
        self.committed_in.entry(entry.index).or_insert(current);
        let what = (entry.term, entry.payload.clone());
        let first = self.applied.entry(entry.index).or_insert_with(|| what.clone());
        if *first != what {
            let index = entry.index;
            self.violated(Property::StateMachineSafety, || format!("{node} applies another entry at {index}"));
        }
    }

    /// Whoever wins a term holds everything committed in earlier ones. It may hold less than what a later term committed, for an
    /// election can end after it has lost all meaning.
    pub(crate) fn elected(&mut self, node: NodeId, term: Term, disk: &Disk) {
        let committed = self.committed_in.iter().filter(|(_, committed_in)| **committed_in < term);
        let lost = committed.map(|(index, _)| index).find(|index| !disk.holds(**index, self.applied[*index].0));
        if let Some(index) = lost {
            let index = *index;
            self.violated(Property::LeaderCompleteness, || format!("{node} leads term {term} without {index}"));
        }
    }

    pub(crate) fn logs(&mut self, disks: &[&Disk]) {
        for (i, a) in disks.iter().enumerate() {
            for b in &disks[i + 1..] {
                if let Some(index) = a.disagrees_below_agreement(b) {
                    self.violated(Property::LogMatching, || format!("logs agree after {index} but not at it"));
                }
            }
        }
    }

    pub(crate) fn write_acknowledged(&mut self, index: LogIndex, value: u64) {
        let expected = EntryPayload::Command(value.to_be_bytes()[..].into());
        if self.applied.get(&index).is_none_or(|(_, payload)| *payload != expected) {
            self.violated(Property::AcknowledgedWritesKept, || format!("the write {value} is not what {index} holds"));
        }
        self.revision_known = self.revision_known.max(index);
    }

    /// Sound and complete for one register whose reads name their revision: a read must not return less than any client knew of
    /// when it was invoked.
    pub(crate) fn read_returned(&mut self, node: NodeId, known_at_invocation: LogIndex, revision: LogIndex) {
        if revision < known_at_invocation {
            self.violated(Property::LinearizableReads, || {
                format!("{node} serves revision {revision}, {known_at_invocation} was known before")
            });
        }
        self.revision_known = self.revision_known.max(revision);
    }
}

/// What survives a crash.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(pub(crate) Recovered);

impl Disk {
    /// Executes a `Persist` as a shell would: snapshot, cut, append, hard state.
    pub(crate) fn write(&mut self, persist: Persist) {
        let Recovered { hard, snapshot, entries } = &mut self.0;
        if let Some(new) = persist.snapshot {
            entries.retain(|entry| entry.index > new.meta.last_index);
            *snapshot = Some(*new);
        }
        if let Some(from) = persist.truncate_from {
            entries.retain(|entry| entry.index < from);
        }
        let base = snapshot.as_ref().map_or(LogIndex(0), |s| s.meta.last_index);
        for entry in persist.append {
            let last = entries.last().map_or(base, |entry| entry.index);
            assert_eq!(entry.index, last.next(), "the disk is told of consecutive entries");
            entries.push(entry);
        }
        if let Some(new) = persist.hard {
            *hard = new;
        }
    }

    fn entry(&self, index: LogIndex) -> Option<&Entry> {
        let first = self.0.entries.first()?.index;
        let offset = usize::try_from(index.0.checked_sub(first.0)?).unwrap();
        self.0.entries.get(offset)
    }

    fn holds(&self, index: LogIndex, term: Term) -> bool {
        let covered = self.0.snapshot.as_ref().is_some_and(|s| s.meta.last_index >= index);
        covered || self.entry(index).is_some_and(|entry| entry.term == term)
    }

    fn disagrees_below_agreement(&self, other: &Self) -> Option<LogIndex> {
        let mut agreed = false;
        for mine in self.0.entries.iter().rev() {
            let Some(theirs) = other.entry(mine.index) else { continue };
            agreed |= mine.term == theirs.term;
            if agreed && mine != theirs {
                return Some(mine.index);
            }
        }
        None
    }
}
