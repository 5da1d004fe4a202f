//! The disk of one node: what it must not forget, in a form that a crash at any instant leaves readable.
//!
//! ```text
//! DIR/identity          whose directory this is, and how many starts it has seen
//! DIR/journal/00000001  hard state and log, frames of operations (the journal module)
//! DIR/snapshot          the state machine in place of a log prefix
//! DIR/lock              locked while a node runs on the directory
//! ```
//!
//! [`Storage::stage`] collects what the protocol wants durable, [`Storage::commit`] makes all of it durable with one sync;
//! the shell lets nothing leave the node in between (group commit). What it refuses: another node's directory, a directory
//! in use, and damage: a node that starts on half of its memory may vote twice. Every error is final: the caller ends the
//! process.
//!
//! Source: Ongaro's dissertation §3.8, §5.1; what a snapshot does to a log that disagrees with it, paper §7.

mod files;
mod frame;
mod identity;
mod journal;
mod snapshot;
#[cfg(test)]
mod tests;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use election::raft::{Persist, Recovered, Snapshot};
use election::{Algorithm, LogIndex, NodeId, Term};

use self::files::{remove_unfinished, sync_directory};
use self::identity::Identity;
use self::journal::{Journal, Operation, Replayed, record_of};
use crate::error::NodeError;

const JOURNAL_DIRECTORY: &str = "journal";
const LOCK_FILE: &str = "lock";

/// How a storage is to be opened.
#[derive(Debug, Clone)]
pub(crate) struct StorageOptions {
    /// The data directory; created if absent.
    pub(crate) directory: PathBuf,
    /// Who opens it, in its first life.
    pub(crate) id: NodeId,
    /// The life that begins in a directory without a past, for a node that joins; `None`: the first.
    pub(crate) new_life: Option<u32>,
    /// The name of the cluster that the directory must belong to; one line.
    pub(crate) cluster: String,
    /// Which protocol's memory it must be.
    pub(crate) algorithm: Algorithm,
    /// Whether to wait for the disk. Without it a power cut (not a killed process) loses acknowledged writes.
    pub(crate) sync: bool,
    /// The size at which a journal file is followed by the next one, bytes.
    pub(crate) segment_bytes_max: u64,
}

/// What a commit did, for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Committed {
    /// Entries appended.
    pub(crate) entries: usize,
    /// How long writing and syncing took.
    pub(crate) elapsed: Duration,
}

/// The open data directory. After any error it must not be used again.
#[derive(Debug)]
pub(crate) struct Storage {
    directory: PathBuf,
    id: NodeId,
    journal: Journal,
    staged: Vec<Operation>,
    /// Holds the lock on the directory.
    _lock: File,
}

impl Storage {
    /// Opens the directory, creating it at the first start; returns what it held and the number of this start.
    ///
    /// # Errors
    /// `Foreign` for another node's directory or one in use, `Corrupt` for damage, `Io` for what the system refuses.
    pub(crate) fn open(options: &StorageOptions) -> Result<(Self, Recovered, u64), NodeError> {
        let directory = options.directory.as_path();
        create_directory(directory)?;
        let lock = lock_directory(directory)?;
        remove_unfinished(directory)?;
        let identity = Identity::read(directory)?;
        let journal_directory = directory.join(JOURNAL_DIRECTORY);
        if let Some(identity) = &identity {
            check_owner(identity, options)?;
            if !journal_directory.is_dir() {
                return Err(NodeError::corrupt(
                    &journal_directory,
                    0,
                    "the journal of a node that ran before is missing",
                ));
            }
        }
        let (journal, replayed) = Journal::open(&journal_directory, options.segment_bytes_max, options.sync)?;
        sync_directory(directory)?;
        let snapshot = snapshot::read(directory)?;
        let recovered = join(replayed, snapshot, directory)?;
        if identity.is_none() && recovered != Recovered::default() {
            let path = directory.join(identity::FILE_NAME);
            return Err(NodeError::corrupt(&path, 0, "the file is missing, but a node ran here before"));
        }
        // A life is as long as the memory of it: it ends with the directory, and never with a process.
        let id = identity.as_ref().map_or_else(|| options.id.in_life(options.new_life.unwrap_or(0)), |found| found.id);
        let incarnation = identity.map_or(0, |identity| identity.incarnation) + 1;
        let (cluster, algorithm) = (options.cluster.clone(), options.algorithm);
        Identity { id, cluster, algorithm, incarnation }.write(directory)?;
        let storage = Self { directory: directory.to_path_buf(), id, journal, staged: Vec::new(), _lock: lock };
        Ok((storage, recovered, incarnation))
    }

    /// Whose memory this is: the node that opened it, in the life that began with it.
    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    /// Collects what has to be durable; nothing that follows it may leave the node before [`Storage::commit`].
    ///
    /// # Errors
    /// Only for a snapshot, which is written at once, after everything that was staged before it.
    pub(crate) fn stage(&mut self, persist: Persist) -> Result<(), NodeError> {
        let Persist { snapshot, truncate_from, append, hard } = persist;
        self.staged.extend(hard.iter().map(record_of));
        if let Some(snapshot) = snapshot {
            // The term goes first: a crash in between must not leave a snapshot of a term that the node has not entered.
            self.commit()?;
            snapshot::write(&self.directory, &snapshot)?;
            let through = snapshot.meta.last_index;
            self.journal.remove_through(through)?;
            self.staged.push(Operation::Forget { through: through.0 });
        }
        self.staged.extend(truncate_from.map(|from| Operation::Truncate { from: from.0 }));
        self.staged.extend(append.into_iter().map(Operation::Append));
        Ok(())
    }

    /// Makes everything staged durable, with one sync; `None` if there was nothing.
    ///
    /// # Errors
    /// Any I/O error; the process must end without answering anybody.
    pub(crate) fn commit(&mut self) -> Result<Option<Committed>, NodeError> {
        if self.staged.is_empty() {
            return Ok(None);
        }
        let begin = Instant::now();
        self.journal.write(&self.staged)?;
        let entries = self.staged.iter().filter(|operation| matches!(operation, Operation::Append(_))).count();
        self.staged.clear();
        Ok(Some(Committed { entries, elapsed: begin.elapsed() }))
    }
}

fn create_directory(directory: &Path) -> Result<(), NodeError> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(directory).map_err(NodeError::io("create", directory))?;
    match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_directory(parent),
        Some(_) | None => Ok(()),
    }
}

fn lock_directory(directory: &Path) -> Result<File, NodeError> {
    let path = directory.join(LOCK_FILE);
    let file = File::create(&path).map_err(NodeError::io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(NodeError::Foreign {
            path: directory.to_path_buf(),
            reason: "another process is running on it".to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(NodeError::Io { action: "lock", path, source }),
    }
}

fn check_owner(identity: &Identity, options: &StorageOptions) -> Result<(), NodeError> {
    let foreign = |reason| NodeError::Foreign { path: options.directory.clone(), reason };
    if identity.id.number() != options.id.number() {
        return Err(foreign(format!("it belongs to {}, and this is {}", identity.id, options.id)));
    }
    if identity.cluster != options.cluster {
        let (theirs, ours) = (&identity.cluster, &options.cluster);
        return Err(foreign(format!("it belongs to the cluster `{theirs}`, and this is `{ours}`")));
    }
    if identity.algorithm != options.algorithm {
        let (theirs, ours) = (identity.algorithm, options.algorithm);
        return Err(foreign(format!("it is the memory of the algorithm `{theirs}`, and this is `{ours}`")));
    }
    Ok(())
}

/// Joins snapshot and log, which a crash may have left out of step: the snapshot is written first.
fn join(replayed: Replayed, snapshot: Option<Snapshot>, directory: &Path) -> Result<Recovered, NodeError> {
    let Replayed { hard, mut entries, forgotten } = replayed;
    let journal = directory.join(JOURNAL_DIRECTORY);
    let (last_index, last_term) = snapshot
        .as_ref()
        .map_or((LogIndex(0), Term(0)), |snapshot| (snapshot.meta.last_index, snapshot.meta.last_term));
    if last_index < forgotten {
        let what = format!("it ends at entry {last_index}, but the log has forgotten the entries up to {forgotten}");
        return Err(NodeError::corrupt(&directory.join(snapshot::FILE_NAME), 0, what));
    }
    // Paper §7, rule 7: a log that disagrees with the snapshot at its last entry is forgotten whole.
    if entries.iter().any(|entry| entry.index == last_index && entry.term != last_term) {
        entries.clear();
    }
    entries.retain(|entry| entry.index > last_index);
    if let Some(first) = entries.first()
        && first.index != last_index.next()
    {
        let what = format!("the log begins at entry {}, but the snapshot ends at {last_index}", first.index);
        return Err(NodeError::corrupt(&journal, 0, what));
    }
    let newest = entries.last().map_or(last_term, |entry| entry.term);
    if newest > hard.term {
        let what = format!("the term is {}, but an entry or the snapshot has {newest}", hard.term);
        return Err(NodeError::corrupt(&journal, 0, what));
    }
    Ok(Recovered { hard, snapshot, entries })
}

#[cfg(test)]
impl Storage {
    /// From now on every write fails.
    pub(crate) fn break_disk(&mut self) {
        self.journal.break_disk();
    }
}
