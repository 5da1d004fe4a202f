//! The journal: hard state and log in one sequence of checksummed frames, so that one sync makes both durable together.
//!
//! Each frame holds the operations of one batch, in order: *hard state* (term and vote as one record, never one without
//! the other), *truncate*, *append*, *forget*. Nothing is ever rewritten in place; a truncation is an operation like any other. The
//! files are `journal/00000001`, `journal/00000002`, …; each begins with a header and a frame that repeats the hard state,
//! so that a file all of whose entries are in the snapshot can be removed.
//!
//! ```text
//! header  "election-journal" | version u32 = 1 | crc32 u32 of the preceding bytes and the file's number
//! body    postcard of Vec<Operation>, for example [01 00 05 01 02] = one operation, hard state, term 5, vote for n2
//! ```
//!
//! It refuses to guess: a hole, a damaged frame that had been durable, or an index out of sequence ends the start with the
//! file and the offset. Only a torn last frame, which nobody was told of, is cut.
//!
//! Source: Ongaro's dissertation §3.8 (what must be persistent); etcd's WAL for hard state and entries in one file.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use election::raft::{Entry, HardState};
use election::{LogIndex, NodeId, Term};
use serde::{Deserialize, Serialize};

use super::files::{remove_unfinished, replace_file, sync_directory};
use super::frame::{Found, Place, durable_evidence_after, encode_frame, encode_seal, read_at};
use crate::error::NodeError;

const HEADER_MAGIC: &[u8; 16] = b"election-journal";
const VERSION: u32 = 1;
const HEADER_BYTES: u64 = 24;

/// One change of the durable state, in the order in which the protocol asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Operation {
    /// Term and vote, one record.
    Hard { term: u64, voted_for: Option<u64> },
    /// Drop every entry from this index on.
    Truncate { from: u64 },
    /// Add one entry at the end.
    Append(Entry),
    /// Drop every entry up to this index: a durable snapshot stands for them.
    Forget { through: u64 },
}

/// What the journal held at start.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Replayed {
    pub(super) hard: HardState,
    /// Consecutive by index; may begin at or before the snapshot's end.
    pub(super) entries: Vec<Entry>,
    /// There must be a snapshot at least up to here.
    pub(super) forgotten: LogIndex,
}

/// One file of the journal.
#[derive(Debug)]
struct Segment {
    number: u64,
    /// The highest index that was ever appended in this file.
    highest: LogIndex,
}

/// The open journal. After any error it must not be used again.
#[derive(Debug)]
pub(super) struct Journal {
    directory: PathBuf,
    /// Oldest first; the last one is being written.
    segments: VecDeque<Segment>,
    file: File,
    /// Where the next frame goes.
    offset: u64,
    hard: HardState,
    segment_bytes_max: u64,
    sync: bool,
}

impl Journal {
    /// Opens or creates the journal, cuts a torn tail, and returns what it holds.
    pub(super) fn open(directory: &Path, segment_bytes_max: u64, sync: bool) -> Result<(Self, Replayed), NodeError> {
        fs::create_dir_all(directory).map_err(NodeError::io("create", directory))?;
        remove_unfinished(directory)?;
        let mut numbers = segment_numbers(directory)?;
        if numbers.is_empty() {
            create_segment(directory, 1, &HardState::default())?;
            numbers.push(1);
        }
        let mut replayed = Replayed::default();
        let mut segments = VecDeque::new();
        let mut offset = HEADER_BYTES;
        for (position, &number) in numbers.iter().enumerate() {
            let expected = numbers[0] + position as u64;
            if number != expected {
                let missing = segment_path(directory, expected);
                return Err(NodeError::corrupt(&missing, 0, "the file is missing, but later ones are there"));
            }
            let is_last = position + 1 == numbers.len();
            let highest;
            (highest, offset) = replay_segment(directory, number, is_last, &mut replayed)?;
            segments.push_back(Segment { number, highest });
        }
        let number = *numbers.last().expect("at least one segment exists");
        let file = tidy_end(&segment_path(directory, number), Place { segment: number, offset })?;
        let hard = replayed.hard;
        let directory = directory.to_path_buf();
        Ok((Self { directory, segments, file, offset, hard, segment_bytes_max, sync }, replayed))
    }

    /// Writes one frame and makes it durable (unless the node was started with `--fsync false`).
    pub(super) fn write(&mut self, operations: &[Operation]) -> Result<(), NodeError> {
        let segment = self.segments.back_mut().expect("a segment is always open");
        let number = segment.number;
        for operation in operations {
            match operation {
                Operation::Hard { .. } => self.hard = hard_state_of(operation).unwrap_or_default(),
                Operation::Truncate { .. } | Operation::Forget { .. } => {}
                Operation::Append(entry) => segment.highest = segment.highest.max(entry.index),
            }
        }
        let body = encode(operations);
        let frame = encode_frame(Place { segment: number, offset: self.offset }, &body);
        let path = segment_path(&self.directory, number);
        self.file.write_all_at(&frame, self.offset).map_err(NodeError::io("write", &path))?;
        if self.sync {
            self.file.sync_data().map_err(NodeError::io("sync", &path))?;
        }
        self.offset += frame.len() as u64;
        let seal = encode_seal(Place { segment: number, offset: self.offset });
        self.file.write_all_at(&seal, self.offset).map_err(NodeError::io("write", &path))?;
        if self.offset >= self.segment_bytes_max { self.begin_segment(number + 1) } else { Ok(()) }
    }

    fn begin_segment(&mut self, number: u64) -> Result<(), NodeError> {
        let finished = segment_path(&self.directory, number - 1);
        // A file with a successor is never torn, so its end is durable before the successor exists.
        self.file.sync_all().map_err(NodeError::io("sync", &finished))?;
        self.offset = create_segment(&self.directory, number, &self.hard)?;
        let path = segment_path(&self.directory, number);
        self.file = OpenOptions::new().write(true).open(&path).map_err(NodeError::io("open", &path))?;
        self.segments.push_back(Segment { number, highest: LogIndex(0) });
        Ok(())
    }

    /// Removes the files whose entries are all covered by a durable snapshot through `through`.
    pub(super) fn remove_through(&mut self, through: LogIndex) -> Result<(), NodeError> {
        let mut removed = false;
        while self.segments.len() > 1 && self.segments[0].highest <= through {
            let path = segment_path(&self.directory, self.segments[0].number);
            fs::remove_file(&path).map_err(NodeError::io("remove", &path))?;
            self.segments.pop_front();
            removed = true;
        }
        if removed { sync_directory(&self.directory) } else { Ok(()) }
    }
}

#[cfg(test)]
impl Journal {
    /// Keeps the file open for reading only, so that every write fails.
    pub(super) fn break_disk(&mut self) {
        let number = self.segments.back().expect("a segment is always open").number;
        self.file = File::open(segment_path(&self.directory, number)).expect("the file exists");
    }
}

fn encode(operations: &[Operation]) -> Vec<u8> {
    postcard::to_stdvec(operations).expect("operations are plain data, which postcard always encodes")
}

fn hard_state_of(operation: &Operation) -> Option<HardState> {
    match operation {
        Operation::Hard { term, voted_for } => Some(HardState { term: Term(*term), voted_for: voted_for.map(NodeId) }),
        Operation::Truncate { .. } | Operation::Append(_) | Operation::Forget { .. } => None,
    }
}

/// The operation that records a hard state.
pub(super) fn record_of(hard: &HardState) -> Operation {
    Operation::Hard { term: hard.term.0, voted_for: hard.voted_for.map(|id| id.0) }
}

fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:08}"))
}

fn segment_numbers(directory: &Path) -> Result<Vec<u64>, NodeError> {
    let mut numbers = Vec::new();
    for item in fs::read_dir(directory).map_err(NodeError::io("list", directory))? {
        let path = item.map_err(NodeError::io("list", directory))?.path();
        let number = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        numbers.push(number.ok_or_else(|| NodeError::corrupt(&path, 0, "not a file of a journal"))?);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Creates a file with its header and the current hard state, whole or not at all; returns where its next frame goes.
fn create_segment(directory: &Path, number: u64, hard: &HardState) -> Result<u64, NodeError> {
    let frame = encode_frame(Place { segment: number, offset: HEADER_BYTES }, &encode(&[record_of(hard)]));
    let offset = HEADER_BYTES + frame.len() as u64;
    let seal = encode_seal(Place { segment: number, offset });
    replace_file(directory, &format!("{number:08}"), &[&header(number), &frame, &seal])?;
    Ok(offset)
}

fn header(number: u64) -> Vec<u8> {
    let mut bytes = HEADER_MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes);
    hasher.update(&number.to_le_bytes());
    bytes.extend_from_slice(&hasher.finalize().to_le_bytes());
    bytes
}

/// Replays one file; returns the highest index appended in it and where its next frame goes.
fn replay_segment(
    directory: &Path,
    number: u64,
    is_last: bool,
    replayed: &mut Replayed,
) -> Result<(LogIndex, u64), NodeError> {
    let path = segment_path(directory, number);
    let content = fs::read(&path).map_err(NodeError::io("read", &path))?;
    if !content.starts_with(&header(number)) {
        return Err(NodeError::corrupt(&path, 0, "not a journal file of version 1 with this number, or damaged"));
    }
    let mut offset = HEADER_BYTES;
    let mut highest = LogIndex(0);
    loop {
        let place = Place { segment: number, offset };
        match read_at(&content, place) {
            Found::Frame { body, next } => {
                let operations: Vec<Operation> = postcard::from_bytes(body)
                    .map_err(|error| NodeError::corrupt(&path, offset, format!("a frame of unknown shape: {error}")))?;
                for operation in operations {
                    let appended =
                        apply(operation, replayed).map_err(|what| NodeError::corrupt(&path, offset, what))?;
                    highest = highest.max(appended);
                }
                offset = next;
            }
            Found::Seal | Found::End | Found::Bad if offset == HEADER_BYTES => {
                return Err(NodeError::corrupt(&path, offset, "the frame that every file begins with is damaged"));
            }
            Found::Seal => break,
            Found::End | Found::Bad => {
                check_torn(&path, &content, place, is_last)?;
                break;
            }
        }
    }
    Ok((highest, offset))
}

/// Lets a torn last write pass; anything else that ends a file without a seal is damage.
fn check_torn(path: &Path, content: &[u8], place: Place, is_last: bool) -> Result<(), NodeError> {
    if !is_last {
        return Err(NodeError::corrupt(path, place.offset, "the end of the file is damaged, and later files exist"));
    }
    if let Some(evidence) = durable_evidence_after(content, place) {
        let what = format!("a damaged frame, although what follows at offset {evidence} is intact");
        return Err(NodeError::corrupt(path, place.offset, what));
    }
    let torn = content.len() as u64 - place.offset;
    if torn > 0 {
        tracing::warn!(path = %path.display(), offset = place.offset, bytes = torn, "cut a torn last write");
    }
    Ok(())
}

/// Cuts what stands behind the last whole frame, and makes that frame durable: the process that wrote it may have died
/// before its sync, and from now on this node acts on it.
fn tidy_end(path: &Path, end: Place) -> Result<File, NodeError> {
    let file = OpenOptions::new().write(true).open(path).map_err(NodeError::io("open", path))?;
    file.set_len(end.offset).map_err(NodeError::io("cut", path))?;
    file.sync_all().map_err(NodeError::io("sync", path))?;
    file.write_all_at(&encode_seal(end), end.offset).map_err(NodeError::io("write", path))?;
    Ok(file)
}

/// Applies one operation to what was read so far; returns the index it appended, or 0.
fn apply(operation: Operation, replayed: &mut Replayed) -> Result<LogIndex, String> {
    match operation {
        Operation::Hard { .. } => {
            let hard = hard_state_of(&operation).unwrap_or_default();
            if hard.term < replayed.hard.term {
                return Err(format!("the term goes back from {} to {}", replayed.hard.term.0, hard.term.0));
            }
            replayed.hard = hard;
            Ok(LogIndex(0))
        }
        Operation::Truncate { from } => {
            let kept = replayed.entries.partition_point(|entry| entry.index.0 < from);
            replayed.entries.truncate(kept);
            Ok(LogIndex(0))
        }
        Operation::Forget { through } => {
            replayed.entries.retain(|entry| entry.index.0 > through);
            replayed.forgotten = replayed.forgotten.max(LogIndex(through));
            Ok(LogIndex(0))
        }
        Operation::Append(entry) => {
            if let Some(last) = replayed.entries.last()
                && entry.index.0 != last.index.0 + 1
            {
                return Err(format!("entry {} follows entry {}", entry.index.0, last.index.0));
            }
            let index = entry.index;
            replayed.entries.push(entry);
            Ok(index)
        }
    }
}
