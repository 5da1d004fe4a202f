//! What openraft keeps: its log and vote on the disk, and the replicated map in memory.
//!
//! A write returns to the library when it is on the disk. The map is built anew from the log after a start, as entries turn out to be
//! committed. There are no snapshots and the log is never cut at its front: the library is configured never to ask for it, and gets
//! an error if it does.

use std::fmt::Debug;
use std::io::{self, Cursor};
use std::ops::RangeBounds;
use std::sync::{Arc, RwLock};

use kv_node::log::{Change, Log};
use kv_node::map::{Answer, Command, Map};
use openraft::storage::{LogFlushed, LogState, RaftLogStorage, RaftStateMachine};
use openraft::{
    BasicNode, Entry, EntryPayload, LogId, RaftLogReader, RaftSnapshotBuilder, Snapshot, SnapshotMeta, StorageError,
    StorageIOError, StoredMembership, Vote,
};

openraft::declare_raft_types!(
    /// How this node fills in the library's types.
    pub Types:
        D = Command,
        R = Option<Answer>,
        NodeId = u64,
        Node = BasicNode,
        Entry = Entry<Types>,
        SnapshotData = Cursor<Vec<u8>>,
        AsyncRuntime = openraft::TokioRuntime,
);

/// The name of the vote in the log's database.
const VOTE: &str = "vote";

type Failure = StorageError<u64>;

/// The log and the vote.
#[derive(Clone)]
pub struct LogStore(pub Arc<Log>);

impl LogStore {
    /// Writes on this thread; the runtime moves its other tasks away meanwhile.
    fn write(&self, change: &Change) -> Result<(), kv_node::log::LogError> {
        tokio::task::block_in_place(|| self.0.write(change))
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry<Types>>, Failure> {
        let rows = self.0.entries(range).map_err(|error| StorageIOError::read_logs(&error))?;
        let decode = |(_, bytes): (u64, Vec<u8>)| serde_json::from_slice(&bytes);
        Ok(rows.into_iter().map(decode).collect::<Result<_, _>>().map_err(|error| StorageIOError::read_logs(&error))?)
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, Failure> {
        let last = self.0.last().map_err(|error| StorageIOError::read_logs(&error))?;
        let last: Option<Entry<Types>> = last
            .map(|bytes| serde_json::from_slice(&bytes))
            .transpose()
            .map_err(|error| StorageIOError::read_logs(&error))?;
        Ok(LogState { last_purged_log_id: None, last_log_id: last.map(|entry| entry.log_id) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), Failure> {
        let bytes = serde_json::to_vec(vote).map_err(|error| StorageIOError::write_vote(&error))?;
        let change = Change { named: vec![(VOTE, bytes)], ..Change::default() };
        Ok(self.write(&change).map_err(|error| StorageIOError::write_vote(&error))?)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, Failure> {
        let bytes = self.0.named(VOTE).map_err(|error| StorageIOError::read_vote(&error))?;
        let vote = bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose();
        Ok(vote.map_err(|error| StorageIOError::read_vote(&error))?)
    }

    async fn append<I>(&mut self, entries: I, flushed: LogFlushed<Types>) -> Result<(), Failure>
    where
        I: IntoIterator<Item = Entry<Types>> + Send,
        I::IntoIter: Send,
    {
        let encode = |entry: Entry<Types>| serde_json::to_vec(&entry).map(|bytes| (entry.log_id.index, bytes));
        let entries = entries.into_iter().map(encode).collect::<Result<_, _>>();
        let entries = entries.map_err(|error| StorageIOError::write_logs(&error))?;
        self.write(&Change { entries, ..Change::default() }).map_err(|error| StorageIOError::write_logs(&error))?;
        flushed.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, from: LogId<u64>) -> Result<(), Failure> {
        let change = Change { truncate_from: Some(from.index), ..Change::default() };
        Ok(self.write(&change).map_err(|error| StorageIOError::write_logs(&error))?)
    }

    async fn purge(&mut self, _: LogId<u64>) -> Result<(), Failure> {
        Err(StorageIOError::write_logs(&never()).into())
    }
}

/// The map, and what the library wants to know about it.
#[derive(Clone, Default)]
pub struct Machine {
    /// Shared with the interface for clients.
    pub map: Arc<RwLock<Map>>,
    applied: Option<LogId<u64>>,
    members: StoredMembership<u64, BasicNode>,
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId<u64>>, StoredMembership<u64, BasicNode>), Failure> {
        Ok((self.applied, self.members.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Option<Answer>>, Failure>
    where
        I: IntoIterator<Item = Entry<Types>> + Send,
        I::IntoIter: Send,
    {
        let mut map = self.map.write().expect("nobody panics with the map in hand");
        let mut answers = Vec::new();
        for entry in entries {
            self.applied = Some(entry.log_id);
            let command = match entry.payload {
                EntryPayload::Blank => None,
                EntryPayload::Normal(command) => Some(command),
                EntryPayload::Membership(members) => {
                    self.members = StoredMembership::new(Some(entry.log_id), members);
                    None
                }
            };
            answers.push(map.apply(entry.log_id.index, entry.log_id.leader_id.term, command));
        }
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, Failure> {
        Err(StorageIOError::write_snapshot(None, &never()).into())
    }

    async fn install_snapshot(
        &mut self,
        _: &SnapshotMeta<u64, BasicNode>,
        _: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), Failure> {
        Err(StorageIOError::write_snapshot(None, &never()).into())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, Failure> {
        Ok(None)
    }
}

impl RaftSnapshotBuilder<Types> for Machine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, Failure> {
        Err(StorageIOError::read_snapshot(None, &never()).into())
    }
}

fn never() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "this node keeps its whole log and has no snapshots")
}

#[cfg(test)]
mod tests {
    use super::*;
    use openraft::testing::log_id;

    fn put(index: u64) -> Entry<Types> {
        let command = Command::Put { key: "a".into(), value: index.to_string() };
        Entry { log_id: log_id(1, 1, index), payload: EntryPayload::Normal(command) }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn log_and_vote_outlive_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let written = async |entries: Vec<Entry<Types>>, store: &LogStore| {
            let encode = |entry: &Entry<Types>| (entry.log_id.index, serde_json::to_vec(entry).unwrap());
            store.write(&Change { entries: entries.iter().map(encode).collect(), ..Change::default() }).unwrap();
        };
        {
            let mut store = LogStore(Arc::new(Log::open(directory.path()).unwrap()));
            assert_eq!(store.read_vote().await.unwrap(), None);
            store.save_vote(&Vote::new(3, 2)).await.unwrap();
            written(vec![put(0), put(1), put(2)], &store).await;
            store.truncate(log_id(1, 1, 2)).await.unwrap();
        }
        let mut store = LogStore(Arc::new(Log::open(directory.path()).unwrap()));
        assert_eq!(store.read_vote().await.unwrap(), Some(Vote::new(3, 2)));
        assert_eq!(store.get_log_state().await.unwrap().last_log_id, Some(log_id(1, 1, 1)));
        assert_eq!(store.try_get_log_entries(0..9).await.unwrap(), [put(0), put(1)]);
        assert!(store.purge(log_id(1, 1, 0)).await.is_err(), "a log without its front has nothing to replay");
    }
}
