//! A node's durable memory: its log and a few named values (the vote) in one embedded database, redb.
//!
//! [`Log::write`] returns when everything is on the disk (redb's default durability: an fsync per transaction), or fails; after a
//! failure the node must end, since it is unknown what the disk holds. A kill at any moment leaves the state before or after a
//! write, never between. The log is never shortened at its front: there are no snapshots, and a node that comes back with an empty
//! disk is sent everything.

use std::ops::RangeBounds;
use std::path::Path;

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("entries");
const NAMED: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("named");

/// The database could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the log's database: {0}")]
pub struct LogError(#[from] redb::Error);

/// Everything that one write changes, at once or not at all.
#[derive(Debug, Default)]
pub struct Change {
    /// Drop the entries from this index on, first.
    pub truncate_from: Option<u64>,
    /// Then put these.
    pub entries: Vec<(u64, Vec<u8>)>,
    /// And set these named values.
    pub named: Vec<(&'static str, Vec<u8>)>,
}

/// The database of one node.
#[derive(Debug)]
pub struct Log {
    database: Database,
}

impl Log {
    /// Opens the log in the directory, or makes an empty one.
    ///
    /// # Errors
    /// If another process has it open, or the file is damaged or cannot be made.
    pub fn open(directory: &Path) -> Result<Self, LogError> {
        let log = Self { database: Database::create(directory.join("log.redb")).map_err(redb::Error::from)? };
        // Tables come into being when they are first written to; a reader finds none before.
        log.write(&Change::default())?;
        Ok(log)
    }

    /// Makes the change durable.
    ///
    /// # Errors
    /// If the disk refuses; what it holds is then unknown.
    pub fn write(&self, change: &Change) -> Result<(), LogError> {
        self.try_write(change).map_err(LogError)
    }

    fn try_write(&self, change: &Change) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut entries = transaction.open_table(ENTRIES)?;
            if let Some(from) = change.truncate_from {
                entries.retain_in(from.., |_, _| false)?;
            }
            for (index, entry) in &change.entries {
                entries.insert(index, entry.as_slice())?;
            }
            let mut named = transaction.open_table(NAMED)?;
            for (name, value) in &change.named {
                named.insert(name, value.as_slice())?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// The entries of the range, in order.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn entries(&self, range: impl RangeBounds<u64>) -> Result<Vec<(u64, Vec<u8>)>, LogError> {
        let read = || -> Result<_, redb::Error> {
            let table = self.database.begin_read()?.open_table(ENTRIES)?;
            let range = (range.start_bound().cloned(), range.end_bound().cloned());
            table
                .range::<u64>(range)?
                .map(|row| row.map(|(index, entry)| (index.value(), entry.value().to_vec())))
                .collect::<Result<_, _>>()
                .map_err(Into::into)
        };
        read().map_err(LogError)
    }

    /// The last entry.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn last(&self) -> Result<Option<Vec<u8>>, LogError> {
        let read = || -> Result<_, redb::Error> {
            let table = self.database.begin_read()?.open_table(ENTRIES)?;
            Ok(table.last()?.map(|(_, entry)| entry.value().to_vec()))
        };
        read().map_err(LogError)
    }

    /// A named value.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn named(&self, name: &str) -> Result<Option<Vec<u8>>, LogError> {
        let read = || -> Result<_, redb::Error> {
            let table = self.database.begin_read()?.open_table(NAMED)?;
            Ok(table.get(name)?.map(|value| value.value().to_vec()))
        };
        read().map_err(LogError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64, text: &str) -> (u64, Vec<u8>) {
        (index, text.as_bytes().to_vec())
    }

    #[test]
    fn what_was_written_is_there_after_reopening() {
        let directory = tempfile::tempdir().unwrap();
        {
            let log = Log::open(directory.path()).unwrap();
            assert_eq!((log.last().unwrap(), log.named("vote").unwrap()), (None, None));
            let entries = vec![entry(1, "a"), entry(2, "b"), entry(3, "c")];
            log.write(&Change { entries, named: vec![("vote", b"n1".to_vec())], truncate_from: None }).unwrap();
            let entries = vec![entry(2, "B")];
            log.write(&Change { entries, truncate_from: Some(2), ..Change::default() }).unwrap();
        }
        let log = Log::open(directory.path()).unwrap();
        assert_eq!(log.entries(..).unwrap(), [entry(1, "a"), entry(2, "B")]);
        assert_eq!(log.entries(2..9).unwrap(), [entry(2, "B")]);
        assert_eq!(log.last().unwrap(), Some(b"B".to_vec()));
        assert_eq!(log.named("vote").unwrap(), Some(b"n1".to_vec()));
    }

    #[test]
    fn a_second_process_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let _first = Log::open(directory.path()).unwrap();
        assert!(Log::open(directory.path()).unwrap_err().to_string().contains("open"));
    }
}
