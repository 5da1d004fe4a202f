//! The replicated log in memory: entries after a base, the newest snapshot, the members at every point, and what of all this
//! has not been handed to the disk yet.
//!
//! Entries stand in a `VecDeque` whose first element has the index `base + 1`; compaction pops from the front and conflicts cut
//! the back, so that no step copies the log. It refuses gaps, and it decides nothing: that is the rules' business.
//!
//! Source: paper §5.3 and §7, thesis §4.1 (members are those of the last membership entry, committed or not).

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::io::{Entry, EntryPayload, Persist, Recovered, Snapshot};
use crate::types::{LogIndex, NodeId, Term};

#[derive(Debug, Clone)]
pub(super) struct Log {
    /// The last index that is not in `entries` any more.
    base: LogIndex,
    base_term: Term,
    entries: VecDeque<Entry>,
    /// Ends at or after `base`.
    snapshot: Option<Box<Snapshot>>,
    /// Members by the entry that defines them, oldest first, never empty. The first holds at `base`.
    members: VecDeque<(LogIndex, Arc<BTreeSet<NodeId>>)>,
    unsaved: Unsaved,
}

/// What the disk does not know yet.
#[derive(Debug, Clone, Default)]
struct Unsaved {
    snapshot: bool,
    truncate_from: Option<LogIndex>,
    /// The first entry that was not handed over; `None` if all were.
    append_from: Option<LogIndex>,
}

impl Log {
    /// # Panics
    /// If the recovered entries have a gap.
    pub(super) fn recover(members: &BTreeSet<NodeId>, recovered: Recovered) -> Self {
        let (base, base_term, members) = match &recovered.snapshot {
            Some(s) => (s.meta.last_index, s.meta.last_term, s.meta.members.clone()),
            None => (LogIndex(0), Term(0), members.clone()),
        };
        let mut log = Self {
            base,
            base_term,
            entries: VecDeque::new(),
            snapshot: recovered.snapshot.map(Box::new),
            members: VecDeque::from([(base, Arc::new(members))]),
            unsaved: Unsaved::default(),
        };
        // A disk may keep entries that its snapshot already covers.
        for entry in recovered.entries.into_iter().filter(|e| e.index > base) {
            log.append(entry);
        }
        log.unsaved = Unsaved::default();
        log
    }

    pub(super) fn base(&self) -> (LogIndex, Term) {
        (self.base, self.base_term)
    }

    pub(super) fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_deref()
    }

    pub(super) fn snapshot_index(&self) -> LogIndex {
        self.snapshot.as_ref().map_or(LogIndex(0), |s| s.meta.last_index)
    }

    pub(super) fn last_index(&self) -> LogIndex {
        self.entries.back().map_or(self.base, |e| e.index)
    }

    pub(super) fn last_term(&self) -> Term {
        self.entries.back().map_or(self.base_term, |e| e.term)
    }

    /// The term of the entry at `index`; `None` if it is compacted away or not there yet.
    pub(super) fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index == self.base { Some(self.base_term) } else { self.entries.get(self.offset(index)?).map(|e| e.term) }
    }

    /// Where `index` stands in `entries`; `None` at or before the base.
    fn offset(&self, index: LogIndex) -> Option<usize> {
        let distance = index.0.checked_sub(self.base.0)?.checked_sub(1)?;
        Some(usize::try_from(distance).expect("a log in memory has fewer entries than there are addresses"))
    }

    /// # Panics
    /// If the entry is not the next one.
    pub(super) fn append(&mut self, entry: Entry) {
        assert_eq!(entry.index, self.last_index().next(), "log entries are consecutive");
        if let EntryPayload::Membership(members) = &entry.payload {
            self.members.push_back((entry.index, Arc::new(members.clone())));
        }
        self.unsaved.append_from.get_or_insert(entry.index);
        self.entries.push_back(entry);
    }

    /// Cuts off the entries from `from` on.
    ///
    /// # Panics
    /// If they are compacted away.
    pub(super) fn truncate(&mut self, from: LogIndex) {
        assert!(from > self.base, "compacted entries are never cut off");
        let keep = self.offset(from).expect("`from` lies after the base");
        self.entries.truncate(keep);
        while self.members.len() > 1 && self.members.back().is_some_and(|(index, _)| *index >= from) {
            self.members.pop_back();
        }
        let saved_until = self.unsaved.append_from;
        if saved_until.is_none_or(|first_unsaved| from < first_unsaved) {
            let earliest = self.unsaved.truncate_from.map_or(from, |earlier| earlier.min(from));
            self.unsaved.truncate_from = Some(earliest);
        }
        if saved_until.is_some_and(|first_unsaved| from <= first_unsaved) {
            self.unsaved.append_from = None;
        }
    }

    /// The entries in `from..=to` that are in memory.
    pub(super) fn range(&self, from: LogIndex, to: LogIndex) -> Vec<Entry> {
        let start = self.offset(from).unwrap_or(0).min(self.entries.len());
        let end = self.offset(to.next()).unwrap_or(0).min(self.entries.len());
        self.entries.range(start..end.max(start)).cloned().collect()
    }

    /// A batch of entries from `from` on within both limits, but at least one if there is any.
    pub(super) fn batch(&self, from: LogIndex, entries_max: usize, bytes_max: usize) -> Vec<Entry> {
        let start = self.offset(from).unwrap_or(0).min(self.entries.len());
        let mut bytes = 0;
        let mut batch = Vec::new();
        for entry in self.entries.range(start..).take(entries_max) {
            bytes += match &entry.payload {
                EntryPayload::Command(command) => command.len(),
                EntryPayload::Noop | EntryPayload::Membership(_) => 0,
            };
            if bytes > bytes_max && !batch.is_empty() {
                break;
            }
            batch.push(entry.clone());
        }
        batch
    }

    /// The last index at or before `before` whose term is at most `term`: a leader with `term` right after `before` can't agree
    /// with anything later, because terms never fall along a log (the back-up by terms of paper §5.3).
    pub(super) fn agreement_hint(&self, before: LogIndex, term: Term) -> LogIndex {
        let mut index = before.min(self.last_index());
        while self.term_at(index).is_some_and(|t| t > term) {
            index = index.prev();
        }
        index
    }

    pub(super) fn members(&self) -> &Arc<BTreeSet<NodeId>> {
        &self.members.back().expect("the members at the base are always known").1
    }

    /// The entry that defines the current members; the base or 0 if it is compacted away.
    pub(super) fn members_index(&self) -> LogIndex {
        self.members.back().expect("the members at the base are always known").0
    }

    pub(super) fn members_at(&self, index: LogIndex) -> &BTreeSet<NodeId> {
        let known = self.members.iter().rev().find(|(defined, _)| *defined <= index);
        &known.unwrap_or(&self.members[0]).1
    }

    /// Takes a snapshot of this log's own prefix and forgets entries, except for `trailing` ones before its end.
    pub(super) fn compact(&mut self, snapshot: Box<Snapshot>, trailing: u64) {
        let base = LogIndex(snapshot.meta.last_index.0.saturating_sub(trailing)).max(self.base);
        self.base_term = self.term_at(base).expect("the new base lies in the log");
        let forgotten = self.offset(base.next()).expect("a successor lies after the base");
        self.entries.drain(..forgotten);
        self.base = base;
        while self.members.get(1).is_some_and(|(index, _)| *index <= base) {
            self.members.pop_front();
        }
        self.unsaved.append_from = self.unsaved.append_from.map(|i| i.max(snapshot.meta.last_index.next()));
        self.snapshot = Some(snapshot);
        self.unsaved.snapshot = true;
    }

    /// Takes a leader's snapshot. What follows it stays if the log agrees with it there; otherwise all goes (paper Fig. 13).
    pub(super) fn install(&mut self, snapshot: Box<Snapshot>) {
        let (last_index, last_term) = (snapshot.meta.last_index, snapshot.meta.last_term);
        if last_index >= self.base && self.term_at(last_index) == Some(last_term) {
            self.compact(snapshot, 0);
            return;
        }
        if self.last_index() > last_index {
            self.unsaved.truncate_from = Some(last_index.next());
        }
        self.unsaved.append_from = None;
        self.unsaved.snapshot = true;
        self.entries.clear();
        (self.base, self.base_term) = (last_index, last_term);
        self.members = VecDeque::from([(last_index, Arc::new(snapshot.meta.members.clone()))]);
        self.snapshot = Some(snapshot);
    }

    /// Whether there is anything that the disk does not know.
    pub(super) fn is_unsaved(&self) -> bool {
        let Unsaved { snapshot, truncate_from, append_from } = &self.unsaved;
        *snapshot || truncate_from.is_some() || append_from.is_some()
    }

    /// What the disk must learn now; after this it counts as told.
    pub(super) fn take_unsaved(&mut self) -> Persist {
        let unsaved = std::mem::take(&mut self.unsaved);
        Persist {
            hard: None,
            snapshot: if unsaved.snapshot { self.snapshot.clone() } else { None },
            truncate_from: unsaved.truncate_from,
            append: unsaved.append_from.map_or_else(Vec::new, |from| self.range(from, self.last_index())),
        }
    }
}
