//! What raft-rs keeps on the disk: its log and its hard state (term, vote, commit), as the library's `Storage` asks for them.
//!
//! Everything is on the disk before [`Store::persist`] returns, and in memory for reading. The members are those of the command line
//! on every start: all nodes begin with the same, and nothing changes them. There are no snapshots, because the log is never cut at
//! its front.

use kv_node::log::{Change, Log, LogError};
use protobuf::Message as _;
use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{GetEntriesContext, RaftState, Storage, StorageError, util};

/// The name of the hard state in the log's database.
const HARD_STATE: &str = "hard-state";

/// Why the store cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Something in it that this program did not write.
    #[error("a record that cannot be decoded: {0}")]
    Record(#[from] protobuf::ProtobufError),
    /// The log has a hole.
    #[error("entry {found} stands where entry {expected} should")]
    Hole {
        /// The index at this place.
        expected: u64,
        /// The index found.
        found: u64,
    },
}

/// The log and the hard state of one node.
pub struct Store {
    log: Log,
    /// The entry with index `i` is at `i - 1`.
    entries: Vec<Entry>,
    hard_state: HardState,
    members: ConfState,
}

impl Store {
    /// Reads what the database holds.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(log: Log, members: Vec<u64>) -> Result<Self, StoreError> {
        let mut entries = Vec::new();
        for (expected, (found, bytes)) in (1..).zip(log.entries(..)?) {
            if found != expected {
                return Err(StoreError::Hole { expected, found });
            }
            entries.push(Entry::parse_from_bytes(&bytes)?);
        }
        let hard_state = match log.named(HARD_STATE)? {
            Some(bytes) => HardState::parse_from_bytes(&bytes)?,
            None => HardState::default(),
        };
        let mut conf_state = ConfState::default();
        conf_state.set_voters(members);
        Ok(Self { log, entries, hard_state, members: conf_state })
    }

    /// Makes new entries, and the hard state if it has changed, durable. Entries replace those from their first index on.
    ///
    /// # Errors
    /// If the disk refuses; what it holds is then unknown, and the node must end.
    pub fn persist(&mut self, entries: Vec<Entry>, hard_state: Option<&HardState>) -> Result<(), StoreError> {
        let mut change = Change { truncate_from: entries.first().map(|entry| entry.index), ..Change::default() };
        for entry in &entries {
            change.entries.push((entry.index, entry.write_to_bytes()?));
        }
        if let Some(hard_state) = hard_state {
            change.named.push((HARD_STATE, hard_state.write_to_bytes()?));
            self.hard_state = hard_state.clone();
        }
        if change.entries.is_empty() && change.named.is_empty() {
            return Ok(());
        }
        self.log.write(&change)?;
        if let Some(first) = entries.first() {
            let keep =
                usize::try_from(first.index - 1).expect("a log in memory has fewer entries than memory has bytes");
            assert!(keep <= self.entries.len(), "entry {} leaves a hole behind {}", first.index, self.entries.len());
            self.entries.truncate(keep);
        }
        self.entries.extend(entries);
        Ok(())
    }

    fn place(&self, index: u64) -> raft::Result<usize> {
        let place = index.checked_sub(1).and_then(|place| usize::try_from(place).ok());
        place.filter(|place| *place < self.entries.len()).ok_or(raft::Error::Store(StorageError::Unavailable))
    }
}

impl Storage for Store {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState::new(self.hard_state.clone(), self.members.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        bytes_max: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low >= high {
            return Ok(Vec::new());
        }
        let mut found = self.entries[self.place(low)?..=self.place(high - 1)?].to_vec();
        util::limit_size(&mut found, bytes_max.into());
        Ok(found)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index == 0 {
            return Ok(0);
        }
        Ok(self.entries[self.place(index)?].term)
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.entries.last().map_or(0, |entry| entry.index))
    }

    fn snapshot(&self, _: u64, _: u64) -> raft::Result<Snapshot> {
        // The library asks only when an entry is missing at the front, and none ever is.
        Err(raft::Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64, term: u64) -> Entry {
        Entry { index, term, ..Entry::default() }
    }

    #[test]
    fn a_new_leaders_entries_replace_the_old_tail_also_on_disk() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(Log::open(directory.path()).unwrap(), vec![1, 2, 3]).unwrap();
        store.persist(vec![entry(1, 1), entry(2, 1), entry(3, 1)], None).unwrap();
        let hard_state = HardState { term: 2, vote: 3, commit: 1, ..HardState::default() };
        store.persist(vec![entry(2, 2)], Some(&hard_state)).unwrap();
        drop(store);
        let store = Store::open(Log::open(directory.path()).unwrap(), vec![1, 2, 3]).unwrap();
        assert_eq!((store.last_index().unwrap(), store.term(2).unwrap(), store.term(0).unwrap()), (2, 2, 0));
        assert!(store.term(3).is_err());
        let state = store.initial_state().unwrap();
        assert_eq!((state.hard_state, state.conf_state.voters), (hard_state, vec![1, 2, 3]));
        assert_eq!(store.entries(1, 3, None, GetEntriesContext::empty(false)).unwrap(), [entry(1, 1), entry(2, 2)]);
    }

    #[test]
    fn a_log_with_a_hole_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::open(directory.path()).unwrap();
        let bytes = entry(2, 1).write_to_bytes().unwrap();
        log.write(&Change { entries: vec![(2, bytes)], ..Change::default() }).unwrap();
        assert!(matches!(Store::open(log, vec![1]), Err(StoreError::Hole { expected: 1, found: 2 })));
    }
}
