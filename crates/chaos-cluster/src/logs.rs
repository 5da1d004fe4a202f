//! Keeps what nodes print from filling the disk: of each log its beginning and its newest part stay.
//!
//! A node writes into its log itself, with nobody between who could hold it back. So the log is looked at, and once it is too long its
//! middle is given back to the file system while the node goes on writing (`fallocate`, `FALLOC_FL_PUNCH_HOLE`, fallocate(2)). The
//! file's length and all places in it stay what they were, so that whoever reads on at the end (`log` observers) notices nothing. When
//! the nodes are gone, the hole becomes a line that says how much it was. A file system that knows no holes keeps its logs whole, and
//! the history says so.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use chaos_history::NodeId;
use nix::fcntl::{FallocateFlags, fallocate};

/// How many bytes of a log's beginning are kept: how the program came up.
const HEAD: u64 = 16 << 20;
/// How many bytes of its end are kept, at least; more than `log` observers may lag behind.
const TAIL: u64 = 48 << 20;
/// By how much a log exceeds that before its middle goes: holes are made now and then, not all the time.
const SLACK: u64 = 16 << 20;
/// How often logs are looked at.
const PERIOD: Duration = Duration::from_millis(100);
/// How the names of the logs end that the harness opens for nodes.
const NAMES: [&str; 3] = ["stdout.log", "stderr.log", "setup.log"];

/// Looks after the logs of some nodes until dropped, and then closes their holes.
#[derive(Debug)]
pub(crate) struct LogKeeper {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl LogKeeper {
    /// Begins to look after the logs in these directories; `remark` gets what people should know.
    pub(crate) fn start(directories: Vec<(NodeId, PathBuf)>, remark: impl Fn(String) + Send + 'static) -> Self {
        let (stop, stopped) = channel();
        let thread = thread::spawn(move || {
            let mut holes = BTreeMap::new();
            while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                for (node, directory) in &directories {
                    for log in logs_in(directory) {
                        shorten(*node, &log, &mut holes, &remark);
                    }
                }
            }
            for (log, hole_end) in holes {
                // What can't be rewritten stays a file with a hole.
                let _ = hole_end.map(|hole_end| close(&log, hole_end));
            }
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for LogKeeper {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn logs_in(directory: &Path) -> Vec<PathBuf> {
    // A directory that isn't there yet has no logs.
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let is_log = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        NAMES.iter().any(|end| name.ends_with(end)) && path.is_file()
    };
    entries.map(|entry| entry.path()).filter(is_log).collect()
}

/// Takes the middle out of a log that is too long. `holes` has where each log's hole ends, `None` if it can't have one.
fn shorten(node: NodeId, log: &Path, holes: &mut BTreeMap<PathBuf, Option<u64>>, remark: &impl Fn(String)) {
    let hole_end = match holes.get(log) {
        Some(None) => return,
        Some(Some(end)) => *end,
        None => HEAD,
    };
    let Ok(length) = fs::metadata(log).map(|facts| facts.len()) else { return };
    if length <= hole_end + TAIL + SLACK {
        return;
    }
    let name = log.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let kept = format!("its first {} MiB and its newest {} MiB are kept", HEAD >> 20, TAIL >> 20);
    let end = length - TAIL;
    match punch(log, HEAD, end) {
        Ok(()) => {
            if holes.insert(log.to_owned(), Some(end)).is_none() {
                remark(format!("{node} prints so much into {name} that only {kept}"));
            }
        }
        Err(error) => {
            holes.insert(log.to_owned(), None);
            remark(format!("{node} prints so much into {name} that only {kept}; but here it stays whole: {error}"));
        }
    }
}

fn punch(log: &Path, from: u64, to: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(log)?;
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    let signed = |place: u64| i64::try_from(place).map_err(io::Error::other);
    fallocate(&file, flags, signed(from)?, signed(to - from)?)?;
    Ok(())
}

/// Writes the log anew, with a line in the place of the hole.
fn close(log: &Path, hole_end: u64) -> io::Result<()> {
    let mut file = File::open(log)?;
    let (before, after) = (whole_lines_end(&file, HEAD)?, next_line_begin(&file, hole_end)?);
    let part = log.with_extension("log.part");
    let mut short = File::create(&part)?;
    io::copy(&mut (&mut file).take(before), &mut short)?;
    writeln!(short, "[chaos: {} bytes are left out here]", after - before)?;
    file.seek(SeekFrom::Start(after))?;
    io::copy(&mut file, &mut short)?;
    fs::rename(&part, log)
}

/// Where the last line ends that is whole before this place; the place itself if lines are very long.
fn whole_lines_end(file: &File, place: u64) -> io::Result<u64> {
    let mut line = [0; LINE];
    let begin = place - LINE as u64;
    file.read_exact_at(&mut line, begin)?;
    let end = line.iter().rposition(|&byte| byte == b'\n').map_or(LINE, |end| end + 1);
    Ok(begin + end as u64)
}

/// Where the first line begins behind this place; the place itself if lines are very long.
fn next_line_begin(file: &File, place: u64) -> io::Result<u64> {
    let mut line = [0; LINE];
    file.read_exact_at(&mut line, place)?;
    let begin = line.iter().position(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    Ok(place + begin as u64)
}

/// How long a line may be that isn't cut, in bytes.
const LINE: usize = 4096;
