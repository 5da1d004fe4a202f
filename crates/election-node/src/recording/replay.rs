//! Runs the core through a recording again, and holds everything that it does against what was recorded.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::time::Duration;

use election::raft::{Event, Input, Output};
use election::specimens::{Specimen, Start};
use election::{Algorithm, NodeId, Protocol, Term};
use serde::de::IgnoredAny;

use super::{Check, Header, Line, SCHEMA, Step};
use crate::choice::{Choice, WithProtocol};
use crate::driver::describe;

/// What a replay was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// How often the node had started.
    pub starts: u64,
    /// How many inputs the core took.
    pub steps: u64,
    /// How many outputs it gave, all of them as recorded.
    pub outputs: u64,
    /// How many lines a kill or a full disk had cut off; each was the last of its start, and was passed over.
    pub torn: u64,
}

/// Something that the core did, and where in the recording.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The line of the input that led to it, counted from 1.
    pub line: u64,
    /// Which start of the node, counted from 1.
    pub start: u64,
    /// The node.
    pub id: NodeId,
    /// How long after that start, on the node's own clock.
    pub after: Duration,
    /// The node's term then.
    pub term: Term,
    /// What it did.
    pub event: Event,
}

impl Moment {
    /// The event's name, as in the node's `/events`; `None` for what happens with every write.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        describe(&self.event).map(|(name, _)| name)
    }
}

/// Why a recording can't be replayed, or was not what the core does.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file can't be read.
    #[error("read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A line is not one of this format, or tells of what this program does not know.
    #[error("read {}, line {line}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The core does something else now: another version, or a core that is no function of its inputs.
    #[error("replay {}, line {line}: {recorded} outputs were recorded, and now there are {now}:\n{outputs}", path.display())]
    Differs {
        /// The file.
        path: PathBuf,
        /// The line of the input that led to it, counted from 1.
        line: u64,
        /// How many outputs were recorded.
        recorded: usize,
        /// How many there are now. If as many, they, or the next deadline, are others.
        now: usize,
        /// These.
        outputs: String,
    },
}

/// Runs the core through the recording of a node (`--record FILE`), each start of it; `seen` gets everything that it does.
///
/// # Errors
/// [`ReplayError`]: at the first line that is none, and at the first step that is not as recorded.
pub fn replay(path: &Path, seen: &mut dyn FnMut(Moment)) -> Result<Replayed, ReplayError> {
    let failed = |source| ReplayError::Io { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(failed)?;
    let mut lines = (1..).zip(BufReader::new(file).lines()).peekable();
    let mut replayed = Replayed::default();
    if lines.peek().is_none() {
        return Err(malformed(path, 1, "it is empty"));
    }
    while let Some((number, line)) = lines.next() {
        let line = line.map_err(failed)?;
        let header = match serde_json::from_str(&line) {
            Ok(Line::<Start, IgnoredAny>::Start(header)) => header,
            Ok(Line::Step(_)) => return Err(malformed(path, number, "a step stands before any start")),
            Err(error) => return Err(malformed(path, number, error)),
        };
        replayed.starts += 1;
        let choice = choice(&header).map_err(|reason| malformed(path, number, reason))?;
        choice.with(Life { path, header, lines: &mut lines, replayed: &mut replayed, seen })?;
    }
    Ok(replayed)
}

fn malformed(path: &Path, line: u64, reason: impl ToString) -> ReplayError {
    ReplayError::Malformed { path: path.to_path_buf(), line, reason: reason.to_string() }
}

fn choice(header: &Header<Start>) -> Result<Choice, String> {
    if header.schema != SCHEMA {
        return Err(format!("it is `{}`, and this program reads {SCHEMA}", header.schema));
    }
    header.node.config.validate().map_err(|error| error.to_string())?;
    let algorithm: Algorithm =
        header.algorithm.parse().map_err(|error: election::UnknownAlgorithm| error.to_string())?;
    let specimen = header.specimen.as_deref().map(Specimen::named).transpose().map_err(|error| error.to_string())?;
    Choice::of(algorithm, specimen, header.service).ok_or_else(|| "a lease has no `service`".to_owned())
}

type Lines = Peekable<std::iter::Zip<std::ops::RangeFrom<u64>, io::Lines<BufReader<File>>>>;

/// One start of a node, up to the next one.
struct Life<'a> {
    path: &'a Path,
    header: Header<Start>,
    lines: &'a mut Lines,
    replayed: &'a mut Replayed,
    seen: &'a mut dyn FnMut(Moment),
}

impl WithProtocol for Life<'_> {
    type Outcome = Result<(), ReplayError>;

    fn run<P: Protocol + Send + 'static>(self, begin: impl FnOnce(Start) -> P) -> Self::Outcome {
        let Self { path, header, lines, replayed, seen } = self;
        let (id, start) = (header.node.id, header.node.now);
        let (mut protocol, mut check, mut outputs) = (begin(header.node), Check::default(), Vec::new());
        while let Some((number, line)) = lines.next_if(|(_, line)| !line.as_ref().is_ok_and(|line| is_start(line))) {
            let line = line.map_err(|source| ReplayError::Io { path: path.to_path_buf(), source })?;
            let step: Step<Input<P::Message>> = match serde_json::from_str(&line) {
                Ok(Line::<Start, _>::Step(step)) => step,
                Ok(Line::Start(_)) => return Err(malformed(path, number, "a start that does not look like one")),
                // The last line of a start may be half a line; one in the middle is damage.
                Err(_) if lines.peek().is_none_or(|(_, next)| next.as_ref().is_ok_and(|next| is_start(next))) => {
                    replayed.torn += 1;
                    break;
                }
                Err(error) => return Err(malformed(path, number, error)),
            };
            outputs.clear();
            protocol.step(step.at, step.input, &mut outputs);
            if check.take(&outputs, protocol.deadline()) != step.check || outputs.len() != step.outputs {
                return Err(ReplayError::Differs {
                    path: path.to_path_buf(),
                    line: number,
                    recorded: step.outputs,
                    now: outputs.len(),
                    outputs: outputs.iter().map(|output| format!("  {output:?}\n")).collect(),
                });
            }
            replayed.steps += 1;
            replayed.outputs += outputs.len() as u64;
            let term = protocol.status(step.at).term;
            for output in &outputs {
                let Output::Event(event) = output else { continue };
                let after = step.at.since(start);
                seen(Moment { line: number, start: replayed.starts, id, after, term, event: *event });
            }
        }
        Ok(())
    }
}

/// Lines are written by one program, and this is how it begins one.
fn is_start(line: &str) -> bool {
    line.starts_with(r#"{"start":"#)
}
