//! The final reads: once all faults are over and the load has stopped, every register is read until one read succeeded, and
//! every set at every node ([`SetReads`]).
//!
//! They are what shows an acknowledged write that was lost. A few clients share the registers; each stays with one until it has
//! been read, going where refusals point it. What can't be read in time stays unread, and is said in a remark: a checker
//! must then say `Unknown`, not `Valid`.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use chaos_history::{Action, ClientRole, NodeId, OpId, OpPhase, RunNanos, Seed};

use crate::client::{self, Client, Numbers};
use crate::load::{Counts, Object};
use crate::random;
use crate::set_reads::SetReads;
use crate::world::{Command, Completed};

/// For how long all objects together are tried, if they are registers only.
const REGISTERS_WITHIN: Duration = Duration::from_secs(10);
/// For how long if there are sets, and how long one read of one may take at least: they are as long as the load has made them.
const SETS_WITHIN: Duration = Duration::from_secs(40);
const SET_READ_MIN: Duration = Duration::from_secs(15);
/// How many clients share the work.
const CLIENTS_MAX: usize = 8;

/// What is to be read, and how.
pub(crate) struct ToRead {
    /// All objects of the run.
    pub(crate) objects: Vec<Object>,
    /// How many nodes there are.
    pub(crate) nodes: usize,
    /// Whom to ask first for registers.
    pub(crate) first: NodeId,
    /// How long each read may take.
    pub(crate) timeout: Duration,
    /// When reading ends at the latest.
    pub(crate) until: RunNanos,
    /// The run's seed.
    pub(crate) seed: Seed,
}

/// A client with the register that it is to read.
#[derive(Clone, Debug)]
struct Reader {
    client: Client,
    key: Option<String>,
}

/// The final reads.
#[derive(Clone, Debug)]
pub(crate) struct FinalReads {
    readers: Vec<Reader>,
    /// Registers that nobody has taken yet.
    open: VecDeque<String>,
    under_way: BTreeMap<OpId, usize>,
    timeout: Duration,
    until: RunNanos,
    counts: Counts,
    sets: SetReads,
}

/// For how long these are tried.
pub(crate) fn within(objects: &[Object]) -> Duration {
    if objects.iter().any(|object| object.must_hold.is_some()) { SETS_WITHIN } else { REGISTERS_WITHIN }
}

impl FinalReads {
    /// Reads that begin now.
    pub(crate) fn new(to_read: ToRead, numbers: &mut Numbers) -> Self {
        let ToRead { objects, nodes, first, timeout, until, seed } = to_read;
        let (mut open, mut sets) = (VecDeque::new(), Vec::new());
        for Object { key, must_hold } in objects {
            match must_hold {
                None => open.push_back(key),
                Some(elements) => sets.push((key, elements)),
            }
        }
        let rest = client::rest(Duration::from_secs(1));
        let readers = (0..open.len().min(CLIENTS_MAX)).map(|index| {
            let stream = random::stream(seed, &format!("final client {index}"));
            Reader { client: Client::new(ClientRole::Final, first, nodes, rest, stream, numbers), key: None }
        });
        Self {
            readers: readers.collect(),
            open,
            under_way: BTreeMap::new(),
            timeout,
            until,
            counts: Counts::default(),
            sets: SetReads::new(sets, nodes, timeout.max(SET_READ_MIN), until, seed, numbers),
        }
    }

    /// How the reads ended so far.
    pub(crate) fn counts(&self) -> Counts {
        self.counts.plus(self.sets.counts())
    }

    /// How many reads are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.len() + self.sets.under_way()
    }

    /// How many reads have not succeeded yet.
    pub(crate) fn unread(&self) -> usize {
        self.unread_registers().len() + self.sets.unread()
    }

    /// What is not read, for people.
    pub(crate) fn unread_in_words(&self) -> impl Iterator<Item = String> {
        let registers = self.unread_registers();
        let words = (!registers.is_empty()).then(|| format!("no final read succeeded of {}", registers.join(", ")));
        words.into_iter().chain(self.sets.unread_in_words())
    }

    fn unread_registers(&self) -> Vec<&str> {
        let mut keys: Vec<&str> = self
            .readers
            .iter()
            .filter_map(|reader| reader.key.as_ref())
            .chain(&self.open)
            .map(String::as_str)
            .collect();
        // Numbers count, not letters: k2 stands before k10.
        keys.sort_unstable_by_key(|key| (key.len(), *key));
        keys
    }

    /// Whether everything is read, or time is up and no read is under way.
    pub(crate) fn is_over(&self, now: RunNanos) -> bool {
        let registers = self.under_way.is_empty() && (now >= self.until || self.unread_registers().is_empty());
        registers && self.sets.is_over(now)
    }

    /// When a reader has rested, or time is up. `None` if only completions can change anything.
    pub(crate) fn deadline(&self, now: RunNanos) -> Option<RunNanos> {
        let with_work = self.readers.iter().filter(|reader| reader.key.is_some() || !self.open.is_empty());
        let rested = with_work.filter_map(|reader| reader.client.free_from()).min();
        let registers = (now < self.until).then(|| rested.map_or(self.until, |rested| rested.min(self.until)));
        registers.into_iter().chain(self.sets.deadline(now)).min()
    }

    /// Invokes what can be.
    pub(crate) fn advance(&mut self, now: RunNanos, numbers: &mut Numbers, out: &mut Vec<Command>) {
        self.sets.advance(now, numbers, out);
        if now >= self.until {
            return;
        }
        for (index, reader) in self.readers.iter_mut().enumerate().filter(|(_, reader)| reader.client.is_free(now)) {
            if reader.key.is_none() {
                reader.key = self.open.pop_front();
            }
            let Some(key) = reader.key.clone() else { continue };
            let deadline = (now + self.timeout).min(self.until);
            let invocation = reader.client.invokes(Action::Read { key }, now, deadline, numbers);
            self.under_way.insert(invocation.id, index);
            out.push(Command::Invoke(invocation));
        }
    }

    /// Takes the end of a read in; `false` if it isn't one of these.
    pub(crate) fn completed(&mut self, completed: &Completed, now: RunNanos, numbers: &mut Numbers) -> bool {
        if self.sets.completed(completed, now, numbers) {
            return true;
        }
        let Some(index) = self.under_way.remove(&completed.id) else { return false };
        self.counts.count(&completed.phase);
        let reader = &mut self.readers[index];
        reader.client.ended(completed, now, numbers);
        match completed.phase {
            OpPhase::Ok(_) => reader.key = None,
            OpPhase::Fail { .. } | OpPhase::Info { .. } | OpPhase::Invoke { .. } => {}
        }
        true
    }
}
