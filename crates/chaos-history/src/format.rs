//! `history.jsonl`, version 1: a header line, then one event a line in the order in which the harness learned of them.
//!
//! ```text
//! {"chaos_history":1,"workload":"partition","system":"raft","nodes":5,"seed":7,"started":"2026-11-21T02:48:11Z","chaos":"0.1.0"}
//! {"at":1204332911,"op":{"id":17,"process":3,"node":"n2","phase":{"invoke":{"role":"pinned","due":1204300000,"action":{"write":{"key":"k0","value":41}}}}}}
//! {"at":1206119004,"op":{"id":17,"process":3,"node":"n2","phase":{"ok":{"written":{"revision":92}}}}}
//! {"at":1206230118,"observation":{"node":"n2","incarnation":1,"source":"poll","sent":1205990511,"received":1206230118,"outcome":{"answered":{"term":2,"role":"leader","leader":"n2","lease_remaining_ns":281004210}}}}
//! {"at":1206390502,"view":{"observer":"sentinel","of":"coordinator","observation":{"node":"n1","incarnation":1,"source":"poll","sent":1206100220,"received":1206390502,"outcome":{"answered":{"term":3,"role":"follower","leader":"n2"}}}}}
//! {"at":1207000210,"op":{"id":18,"process":4,"node":"n1","phase":{"ok":{"cas":{"swapped":false,"observed":null,"revision":92}}}}}
//! {"at":3000120450,"fault":{"id":1,"edge":"begin","kind":"partition","label":"isolate leader","nodes":["n2"],"links":[{"from":"n2","to":"n1"}],"leader":["n2",2],"stamps":{"scheduled":3000000000,"call_begin":3000061200,"call_end":3000102377,"effect":3000120450},"source":{"file":"faults/isolate-leader.yaml","line":8,"column":9}}}
//! {"at":90211334,"node":{"node":"n1","incarnation":1,"life":{"started":{"pid":7}}}}
//! {"at":4122900117,"stall":{"from":4110000000,"to":4122900117}}
//! {"at":60001200999,"note":{"mark":"load_end"}}
//! {"at":60010400120,"replica":{"node":"n1","sent":60009100230,"received":60010400120,"outcome":{"told":{"value":"5f3a","revision":812}}}}
//! ```
//!
//! The header of a system that shows no term, or whose nodes don't name the leader that they follow, says so:
//! `"testimony":{"terms":"reigns","names_leader":false}` ([`Testimony`]); one without it is of a system that does both, like Raft.
//!
//! That of a simulated run says by what: `"simulated":"chaos-sim/1 splitmix64"`. Its times are virtual, its `started` is no time of day.
//!
//! Lines are ordered by when they were written, which for concurrent events is not always the order of their stamps: sort
//! by `at` where order matters. Readers ignore keys that they don't know; a change of meaning raises the version.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::event::{Event, FaultEvent, NodeEvent, NoteEvent, Observation, Recorded, ReplicaEvent, Stall};
use crate::{OpEvent, RunNanos, Seed, Testimony, View};

/// The version of the format that this crate writes.
pub const VERSION: u32 = 1;

/// The first line of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The format's version, [`VERSION`].
    pub chaos_history: u32,
    /// The workload's name.
    pub workload: String,
    /// The system under test.
    pub system: String,
    /// How many nodes the cluster has.
    pub nodes: usize,
    /// The run's seed.
    pub seed: Seed,
    /// Wall time of the start, RFC 3339, UTC.
    pub started: String,
    /// The version of chaos that wrote it.
    pub chaos: String,
    /// What the observations are.
    #[serde(default, skip_serializing_if = "Testimony::is_full")]
    pub testimony: Testimony,
    /// By which simulator and which version of its seeds' meaning, if there were no processes: `chaos-sim/1 splitmix64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated: Option<String>,
}

/// One line as it stands in the file: exactly one of the options is there. (An enum with serde's tagging would buffer
/// every line; this reads straight through and ignores what a newer version added.)
#[derive(Default, Serialize, Deserialize)]
struct Line {
    at: RunNanos,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    op: Option<OpEvent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    observation: Option<Observation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    view: Option<View>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fault: Option<FaultEvent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<NodeEvent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stall: Option<Stall>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<NoteEvent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replica: Option<ReplicaEvent>,
}

impl Line {
    fn new(at: RunNanos, event: Event) -> Self {
        let mut line = Self { at, ..Self::default() };
        match event {
            Event::Op(event) => line.op = Some(event),
            Event::Observation(event) => line.observation = Some(event),
            Event::View(event) => line.view = Some(event),
            Event::Fault(event) => line.fault = Some(event),
            Event::Node(event) => line.node = Some(event),
            Event::Stall(event) => line.stall = Some(event),
            Event::Note(event) => line.note = Some(event),
            Event::Replica(event) => line.replica = Some(event),
        }
        line
    }

    /// The event, or `None` if the line holds only what a newer version knows.
    fn event(self) -> Option<Event> {
        let Self { at: _, op, observation, view, fault, node, stall, note, replica } = self;
        op.map(Event::Op)
            .or(observation.map(Event::Observation))
            .or(view.map(Event::View))
            .or(fault.map(Event::Fault))
            .or(node.map(Event::Node))
            .or(stall.map(Event::Stall))
            .or(note.map(Event::Note))
            .or(replica.map(Event::Replica))
    }
}

/// Why a history can't be written or read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file can't be created, written or read.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried, for example `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A line other than the last is not an event.
    #[error("{}:{line}: not an event of a history", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// There is no header, so this is no history, or an empty one.
    #[error("{}: no header line: not a history of chaos, or one that was cut before it began", path.display())]
    NoHeader {
        /// The file.
        path: PathBuf,
    },
    /// The header tells of a cluster that can't be.
    #[error("{}: a cluster of {found} nodes: not a history of chaos, or one that was edited", path.display())]
    Nodes {
        /// The file.
        path: PathBuf,
        /// The number found.
        found: usize,
    },
    /// The history is of a version that this program doesn't know.
    #[error("{}: history version {found}, this program reads version {VERSION}: use a newer chaos", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: u32,
    },
}

/// Appends events to a history file.
///
/// Lines are buffered; [`HistoryWriter::flush`] hands them to the kernel, after which `kill -9` of the harness can't lose
/// them. The harness flushes at every fault edge and otherwise many times a second.
#[derive(Debug)]
pub struct HistoryWriter {
    file: BufWriter<File>,
    path: PathBuf,
    lines: usize,
}

impl HistoryWriter {
    /// Creates the file and writes the header.
    ///
    /// # Errors
    /// If the file exists or can't be written.
    pub fn create(path: &Path, header: &Header) -> Result<Self, HistoryError> {
        let file = File::create_new(path).map_err(|source| HistoryError::Io {
            action: "create",
            path: path.to_owned(),
            source,
        })?;
        let mut writer = Self { file: BufWriter::with_capacity(1 << 16, file), path: path.to_owned(), lines: 0 };
        writer.write_line(header)?;
        writer.flush()?;
        Ok(writer)
    }

    /// Appends one event and returns its line number.
    ///
    /// # Errors
    /// If the disk is full or the file can't be written.
    pub fn append(&mut self, at: RunNanos, event: Event) -> Result<usize, HistoryError> {
        self.write_line(&Line::new(at, event))?;
        Ok(self.lines)
    }

    /// Hands everything appended so far to the kernel.
    ///
    /// # Errors
    /// If the disk is full or the file can't be written.
    pub fn flush(&mut self) -> Result<(), HistoryError> {
        self.file.flush().map_err(|source| self.failed(source))
    }

    fn write_line(&mut self, line: &impl Serialize) -> Result<(), HistoryError> {
        serde_json::to_writer(&mut self.file, line).map_err(|error| self.failed(error.into()))?;
        self.file.write_all(b"\n").map_err(|source| self.failed(source))?;
        self.lines += 1;
        Ok(())
    }

    fn failed(&self, source: io::Error) -> HistoryError {
        HistoryError::Io { action: "write", path: self.path.clone(), source }
    }
}

/// A history, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The first line.
    pub header: Header,
    /// All events, in the order of the file.
    pub events: Vec<Recorded>,
    /// Whether the last line was cut off in the middle (and left out).
    pub torn: bool,
}

impl History {
    /// Reads a history file. A last line that is cut off or unreadable is left out and reported in [`History::torn`].
    ///
    /// # Errors
    /// If the file can't be read, has no header or an impossible one, is of another version, or has a malformed line before its last.
    pub fn read(path: &Path) -> Result<Self, HistoryError> {
        let failed = |source| HistoryError::Io { action: "read", path: path.to_owned(), source };
        let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(failed)?);
        let mut header: Option<Header> = None;
        let mut events = Vec::new();
        let mut pending: Option<(usize, serde_json::Error)> = None;
        let (mut line, mut text) = (0, Vec::new());
        loop {
            text.clear();
            if reader.read_until(b'\n', &mut text).map_err(failed)? == 0 {
                break;
            }
            line += 1;
            if let Some((line, source)) = pending.take() {
                return Err(HistoryError::Malformed { path: path.to_owned(), line, source });
            }
            if header.is_none() {
                header = Some(read_header(path, &text)?);
                continue;
            }
            match serde_json::from_slice::<Line>(&text) {
                Ok(read) => {
                    let at = read.at;
                    events.extend(read.event().map(|event| Recorded { line, at, event }));
                }
                Err(error) => pending = Some((line, error)),
            }
        }
        let header = header.ok_or_else(|| HistoryError::NoHeader { path: path.to_owned() })?;
        Ok(Self { header, events, torn: pending.is_some() })
    }

    /// The last stamp of the history; zero if it has no events.
    #[must_use]
    pub fn end(&self) -> RunNanos {
        self.events.iter().map(|recorded| recorded.at).max().unwrap_or_default()
    }
}

fn read_header(path: &Path, text: &[u8]) -> Result<Header, HistoryError> {
    #[derive(Deserialize)]
    struct VersionOnly {
        chaos_history: u32,
    }
    let no_header = || HistoryError::NoHeader { path: path.to_owned() };
    let version: VersionOnly = serde_json::from_slice(text).map_err(|_| no_header())?;
    if version.chaos_history != VERSION {
        return Err(HistoryError::Version { path: path.to_owned(), found: version.chaos_history });
    }
    let header: Header = serde_json::from_slice(text).map_err(|_| no_header())?;
    // Whoever reads the header makes a table of the nodes.
    if header.nodes == 0 || header.nodes >= usize::from(u16::MAX) {
        return Err(HistoryError::Nodes { path: path.to_owned(), found: header.nodes });
    }
    Ok(header)
}
