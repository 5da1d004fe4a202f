//! What a node's protocol was told, one input a line, so that the same core can be run through it again.
//!
//! A protocol is a function of its start and its inputs (`election`), so these are the whole of a node's behaviour: what went wrong in
//! a run of real processes can be looked at as often as one likes, in a debugger too, without the processes. Each line carries a
//! *check* of everything that was done up to there, so that a replay knows the first step that is not the recorded one.
//!
//! ```text
//! {"start":{"schema":"chaos.core/1","algorithm":"raft","specimen":null,"service":null,"node":{"id":1,"config":{…},"seed":7,
//!           "recovered":{…},"now":81234}}}
//! {"step":{"at":81300,"input":"Tick","outputs":0,"check":1873546}}
//! {"step":{"at":81355,"input":{"Receive":{"from":2,"message":{…}}},"outputs":2,"check":9273645}}
//! ```
//!
//! `at` and `now` are the node's own clock, nanoseconds. `check` is the CRC-32 of all outputs and deadlines since the start, in
//! postcard. A node that starts again appends another `start`. Lines are handed to the system before anything that rests on them leaves
//! the node, and never synced: a kill loses nothing that anybody else has seen, a power loss may. Like a file of counts it is a
//! measurement, not a memory: a node that can't write it says so once and goes on.

mod replay;

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use election::raft::{Input, Output};
use election::specimens::Start;
use election::{Nanos, NodeId};
use serde::{Deserialize, Serialize};

use crate::choice::Choice;
use crate::error::NodeError;

pub use self::replay::{Moment, ReplayError, Replayed, replay};

/// The format's name and version.
const SCHEMA: &str = "chaos.core/1";

/// One line; `S` is a start and `I` an input, owned or not.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line<S, I> {
    Start(Header<S>),
    Step(Step<I>),
}

/// Who began, and as what.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<S> {
    schema: String,
    algorithm: String,
    specimen: Option<String>,
    service: Option<NodeId>,
    node: S,
}

/// What the core was told, and what stands for all that it has done since its start.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step<I> {
    at: Nanos,
    input: I,
    outputs: usize,
    check: u32,
}

/// Stands for everything that a core has done since its start.
#[derive(Debug, Default)]
struct Check(u32);

impl Check {
    /// Takes in what one step led to.
    fn take<M: Serialize>(&mut self, outputs: &[Output<M>], deadline: Nanos) -> u32 {
        let bytes = postcard::to_stdvec(&(outputs, deadline)).expect("plain data always encodes");
        let mut hasher = crc32fast::Hasher::new_with_initial(self.0);
        hasher.update(&bytes);
        self.0 = hasher.finalize();
        self.0
    }
}

/// The open file.
#[derive(Debug)]
pub(crate) struct Recorder {
    path: PathBuf,
    /// None after a failure.
    file: Option<BufWriter<File>>,
    check: Check,
}

impl Recorder {
    /// Opens the file, to append to what former starts have written, and writes how this one begins.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn open(path: &Path, choice: Choice, start: &Start) -> Result<Self, NodeError> {
        let file = append(path).map_err(NodeError::io("open", path))?;
        let mut own = Self { path: path.to_path_buf(), file: Some(BufWriter::new(file)), check: Check::default() };
        own.write(&Line::<_, ()>::Start(Header {
            schema: SCHEMA.to_owned(),
            algorithm: choice.algorithm().to_string(),
            specimen: choice.specimen().map(|specimen| specimen.name.to_owned()),
            service: choice.service(),
            node: start,
        }));
        own.flush();
        Ok(own)
    }

    /// Notes one step: its input, what it led to, and when the core wants to be woken after it.
    pub(crate) fn note<M: Serialize>(&mut self, at: Nanos, input: &Input<M>, outputs: &[Output<M>], deadline: Nanos) {
        let check = self.check.take(outputs, deadline);
        self.write(&Line::<(), _>::Step(Step { at, input, outputs: outputs.len(), check }));
    }

    /// Hands what was noted to the system.
    pub(crate) fn flush(&mut self) {
        let flushed = self.file.as_mut().map(BufWriter::flush);
        self.give_up_on(flushed);
    }

    fn write<S: Serialize, I: Serialize>(&mut self, line: &Line<S, I>) {
        let written = self.file.as_mut().map(|file| {
            serde_json::to_writer(&mut *file, line)?;
            file.write_all(b"\n")
        });
        self.give_up_on(written);
    }

    fn give_up_on(&mut self, result: Option<io::Result<()>>) {
        if let Some(Err(error)) = result {
            tracing::warn!(path = %self.path.display(), %error, "inputs are recorded no more");
            // Without what is still buffered: a gap would be worse than an end.
            self.file.take().map(BufWriter::into_parts);
        }
    }
}

/// Opens a file to append whole lines: what a former start left unfinished ends here.
fn append(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    if last != [b'\n'] {
        file.write_all(b"\n")?;
    }
    Ok(file)
}
