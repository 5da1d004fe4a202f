//! The last line of a process's output that a pattern matches: for programs that say who leads and nothing else.
//!
//! A node's word lasts until its next one, or until the node is started anew or goes on after it was stopped: what an earlier process
//! wrote last says nothing about the one that runs now, and who has slept can't know yet what has become of its lead. The tail then
//! begins where the log ends, and until there is a new line, nothing is said. (So a program should repeat itself.)

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use chaos_history::NodeId;
use chaos_plan::definition::Pattern;

use super::{Reply, silent};
use crate::driver::ProbeError;

/// How much of a log is read at once; a program that writes more between two polls is caught up with later.
const READ_MAX: u64 = 1 << 20;

/// How far a reader may lag behind the log's end, in bytes. Beyond that it goes on with the newest lines: of a log this long the harness
/// keeps the beginning and the end only.
const LAG_MAX: u64 = 16 << 20;

/// One observer's places in the logs of all nodes.
pub(crate) struct LogTail {
    /// The log's name in a node's directory.
    name: String,
    directories: Vec<PathBuf>,
    // A question and a restart of its node may meet; the lock is held for a read of new lines only.
    places: Vec<Mutex<Place>>,
}

#[derive(Clone, Debug, Default)]
struct Place {
    /// Up to where lines have been read, in bytes.
    read: u64,
    /// The last line that matched.
    last: Option<String>,
}

impl LogTail {
    /// Tails of the log of this name in each directory, from their present ends.
    pub(crate) fn new(name: String, directories: &[PathBuf]) -> Self {
        let places = directories.iter().map(|_| Mutex::default()).collect();
        Self { name, directories: directories.to_vec(), places }
    }

    /// The node is about to be started, or to go on: forget what it said.
    pub(crate) fn forget(&self, node: NodeId) {
        let end = std::fs::metadata(self.path(node)).map_or(0, |facts| facts.len());
        *self.place(node) = Place { read: end, last: None };
    }

    /// The node's last word.
    pub(crate) fn read(&self, node: NodeId, pattern: Option<&Pattern>) -> Result<Reply, ProbeError> {
        let mut place = self.place(node);
        let lines = new_lines(&self.path(node), &mut place.read).map_err(|error| silent("read the log", &error))?;
        let matches = |line: &&str| pattern.is_none_or(|pattern| pattern.groups(line).is_some());
        if let Some(line) = String::from_utf8_lossy(&lines).lines().rev().find(matches) {
            place.last = Some(line.to_owned());
        }
        match &place.last {
            Some(line) => Ok(Reply::of_bytes(line.as_bytes())),
            None => Err(ProbeError::Silent(format!("nothing in {} matches yet", self.name))),
        }
    }

    fn path(&self, node: NodeId) -> PathBuf {
        self.directories[node.index()].join(&self.name)
    }

    fn place(&self, node: NodeId) -> std::sync::MutexGuard<'_, Place> {
        // Nothing in here panics half-way through a change.
        self.places[node.index()].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The whole lines that have come since `read`, which moves behind them.
fn new_lines(path: &Path, read: &mut u64) -> std::io::Result<Vec<u8>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let length = file.metadata()?.len();
    if length > *read + LAG_MAX {
        *read = length - READ_MAX;
        // Half a line is no word.
        *read += line_rest(&mut file, *read)?;
    }
    file.seek(SeekFrom::Start(*read))?;
    let mut bytes = Vec::new();
    file.take(READ_MAX).read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    // A line longer than all that is read at once would never end.
    let taken = if whole == 0 && bytes.len() as u64 == READ_MAX { bytes.len() } else { whole };
    bytes.truncate(taken);
    *read += taken as u64;
    Ok(bytes)
}

/// How long the rest of the line is that is under way here, in bytes; nothing if it is too long to be looked for.
fn line_rest(file: &mut File, place: u64) -> std::io::Result<u64> {
    file.seek(SeekFrom::Start(place))?;
    let mut bytes = Vec::new();
    file.take(READ_MAX / 2).read_to_end(&mut bytes)?;
    Ok(bytes.iter().position(|&byte| byte == b'\n').map_or(0, |end| end as u64 + 1))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_node_keeps_its_word_until_its_next_one_or_until_it_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let node = NodeId::new(1);
        let mut log = File::create(directory.path().join("stdout.log")).unwrap();
        let tail = LogTail::new("stdout.log".to_owned(), &[directory.path().to_owned()]);
        let pattern = Pattern::new("^(leader|follower)$").unwrap();
        let read = || tail.read(node, Some(&pattern)).map(|reply| reply.text);
        assert!(read().is_err(), "nothing is said yet");
        log.write_all(b"starting\nfollower\nsome noise\nleade").unwrap();
        assert_eq!(read().unwrap(), "follower", "a line that isn't finished is no word");
        log.write_all(b"r\nnoise\n").unwrap();
        assert_eq!(read().unwrap(), "leader");
        assert_eq!(read().unwrap(), "leader", "it still says so");
        tail.forget(node);
        assert!(read().is_err(), "another process has said nothing yet");
        log.write_all(b"follower\n").unwrap();
        assert_eq!(read().unwrap(), "follower");
    }
    #[test]
    fn who_lags_far_behind_goes_on_with_the_newest_lines() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = File::create(directory.path().join("stdout.log")).unwrap();
        let tail = LogTail::new("stdout.log".to_owned(), &[directory.path().to_owned()]);
        let pattern = Pattern::new("^(leader|follower)$").unwrap();
        // What is in a hole of a file reads as zeros, and costs no disk.
        log.set_len(64 << 20).unwrap();
        log.seek(SeekFrom::End(0)).unwrap();
        log.write_all(b"\nfollower\nnoise\n").unwrap();
        assert_eq!(tail.read(NodeId::new(1), Some(&pattern)).unwrap().text, "follower");
        log.write_all(b"leader\n").unwrap();
        assert_eq!(tail.read(NodeId::new(1), Some(&pattern)).unwrap().text, "leader");
    }
}
