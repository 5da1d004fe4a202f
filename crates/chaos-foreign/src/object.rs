//! What is read of a history: objects, each with the operations that say something about it, and where they stand.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

use chaos_check::linear::models::{Append, BareMutex, Register, Set};
use chaos_check::linear::{Entry, Model};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Jepsen's `history.edn`: maps, one after another or in one vector.
    JepsenEdn,
    /// Lines of Jepsen's or Knossos' log.
    JepsenLog,
    /// The lines `INFO  jepsen.util - …` of the etcd logs that Porcupine is tested with.
    EtcdLog,
    /// Porcupine's key-value logs: maps with `:key`, of `:get`, `:put` and `:append`.
    PorcupineKv,
    /// Our own `history.jsonl`.
    Chaos,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 5] = [Self::JepsenEdn, Self::JepsenLog, Self::EtcdLog, Self::PorcupineKv, Self::Chaos];

    /// The name by which a user forces it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::JepsenEdn => "jepsen-edn",
            Self::JepsenLog => "jepsen-log",
            Self::EtcdLog => "etcd-log",
            Self::PorcupineKv => "porcupine-kv",
            Self::Chaos => "chaos",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a failed cas (`:fail`, without an error beside it) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailedCas {
    /// The register held something else than the cas expected. A promise of the client that wrote the history.
    SawAnother,
    /// It did not happen, for whatever reason: nothing about the register.
    DidNotHappen,
}

impl FailedCas {
    /// The name by which a user forces it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SawAnother => "saw-another",
            Self::DidNotHappen => "did-not-happen",
        }
    }
}

/// Where the keys of a history of many objects stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// There are none: everything happens to one object.
    None,
    /// Values are pairs `[key value]` (`jepsen.independent`).
    Pairs,
    /// Beside the value, as `:key`.
    Field,
}

impl Keys {
    /// The name by which a user forces it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pairs => "pairs",
            Self::Field => "field",
        }
    }
}

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its process: a place in [`Parsed::processes`].
    pub process: u32,
    /// The line of its invocation, from 1.
    pub invoked_line: u32,
    /// The line of its end, from 1; `None` if it has none. An operation may have ended and yet have no answer (`:info`).
    pub ended_line: Option<NonZeroU32>,
}

/// One object and what happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object<M: Model> {
    /// Its key as written; `None` if the history is of one object.
    pub key: Option<String>,
    /// Its specification.
    pub model: M,
    /// The operations that say something about it, in the order of their invocations.
    pub entries: Vec<Entry<M::Op>>,
    /// Where each of `entries` stands.
    pub sources: Vec<Source>,
    /// The original text of each value that the operations name by number.
    pub names: Vec<String>,
    /// What the refused cas among `entries` asked for, by their places: no verdict hangs on it, but people want to know.
    pub refusals: BTreeMap<u32, Refusal>,
}

/// What a refused cas asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What it expected, as written.
    pub expect: String,
    /// What it would have left, as written.
    pub new: String,
}

impl<M: Model> Object<M> {
    /// An object to which nothing has happened yet.
    pub(crate) fn empty(key: Option<String>, model: M) -> Self {
        Self { key, model, entries: Vec::new(), sources: Vec::new(), names: Vec::new(), refusals: BTreeMap::new() }
    }
}

/// Operations in words.
pub trait Words: Model {
    /// `op` in words, distinct for distinct operations. `names` are the object's. Values are as written in the file: whoever
    /// prints them must take care of what could steer a terminal.
    fn say(&self, op: &Self::Op, names: &[String]) -> String;

    /// The form of `op`, itself or a weaker one, that is called `said`; `None` if there is none.
    fn said(&self, op: &Self::Op, said: &str, names: &[String]) -> Option<Self::Op> {
        let itself = std::iter::once(op.clone());
        itself.chain(self.weaker(op)).find(|op| self.say(op, names) == said)
    }
}

/// The objects of a history, all of one kind.
#[derive(Clone, Debug)]
pub enum Objects {
    /// Registers: read, write, cas.
    Register(Vec<Object<Register>>),
    /// Locks without owners, as Knossos' `mutex`: acquire, release.
    Mutex(Vec<Object<BareMutex>>),
    /// Sets that only grow: add, read.
    Set(Vec<Object<Set>>),
    /// Strings: get, put, append.
    Kv(Vec<Object<Append>>),
}

impl Objects {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Register(objects) => objects.len(),
            Self::Mutex(objects) => objects.len(),
            Self::Set(objects) => objects.len(),
            Self::Kv(objects) => objects.len(),
        }
    }

    /// Whether there are none. There is always one in what was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What was understood of a history, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines of the text.
    pub lines: usize,
    /// Operations of clients.
    pub operations: u64,
    /// Of these, those that say something: the entries of the objects.
    pub used: u64,
    /// Of these, those without an answer, which may have happened.
    pub used_unanswered: u64,
    /// Failed operations, which say nothing.
    pub did_not_happen: u64,
    /// Read-only operations without an answer, which say nothing.
    pub unknown_reads: u64,
    /// Events of a nemesis, or of other processes that are no clients.
    pub foreign: u64,
    /// Lines that are no events.
    pub other_lines: u64,
}

/// A history, read.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// How it is written.
    pub format: Format,
    /// What kind of objects it is of, in a word or two: `cas-register`.
    pub kind: &'static str,
    /// The objects, in the order in which the history comes to them.
    pub objects: Objects,
    /// The names of the processes.
    pub processes: Vec<String>,
    /// What each process is called where a counterexample is told: itself, or the node that it asked.
    pub actors: Vec<String>,
    /// Whether the stamps of the entries are nanoseconds; numbers of events otherwise.
    pub nanoseconds: bool,
    /// Where the keys stand.
    pub keys: Keys,
    /// What a failed cas was taken for; `None` if the objects know none.
    pub failed_cas: Option<FailedCas>,
    /// What each object holds at first, as EDN.
    pub initial: String,
    /// What an end other than `:ok` was taken for, one sentence each.
    pub rules: Vec<String>,
    /// What was understood.
    pub counts: Counts,
    /// The line of a last form that was cut off, or may have been, and was left out. What is valid is so up to there.
    pub torn: Option<usize>,
}
