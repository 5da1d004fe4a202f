//! The final reads: once all faults are over and the load has stopped, every key is read until one read succeeded.
//!
//! They are what shows an acknowledged write that was lost. A few clients share the keys; each stays with a key until it has
//! been read, going where refusals point it. What can't be read in time stays unread, and is said in a remark: a checker
//! must then say `Unknown`, not `Valid`.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use chaos_history::{Action, ClientRole, NodeId, OpId, OpPhase, RunNanos, Seed};

use crate::client::{self, Client, Numbers};
use crate::load::Counts;
use crate::random;
use crate::world::{Command, Completed, Invocation};

/// For how long all keys together are tried.
pub(crate) const WITHIN: Duration = Duration::from_secs(10);
/// How many clients share the work.
const CLIENTS_MAX: usize = 8;

/// A client with the key that it is to read.
#[derive(Clone, Debug)]
struct Reader {
    client: Client,
    key: Option<usize>,
}

/// The final reads.
#[derive(Clone, Debug)]
pub(crate) struct FinalReads {
    readers: Vec<Reader>,
    /// Keys that nobody has taken yet.
    open: VecDeque<usize>,
    under_way: BTreeMap<OpId, usize>,
    timeout: Duration,
    until: RunNanos,
    counts: Counts,
}

impl FinalReads {
    /// Reads of `k0 … k<keys>` until `until` at the latest, asking `first` first, each for `timeout` at most.
    pub(crate) fn new(
        keys: usize,
        nodes: usize,
        first: NodeId,
        timeout: Duration,
        until: RunNanos,
        seed: Seed,
        numbers: &mut Numbers,
    ) -> Self {
        let rest = client::rest(Duration::from_secs(1));
        let readers = (0..keys.min(CLIENTS_MAX)).map(|index| {
            let stream = random::stream(seed, &format!("final client {index}"));
            Reader { client: Client::new(ClientRole::Final, first, nodes, rest, stream, numbers), key: None }
        });
        Self {
            readers: readers.collect(),
            open: (0..keys).collect(),
            under_way: BTreeMap::new(),
            timeout,
            until,
            counts: Counts::default(),
        }
    }

    /// How the reads ended so far.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// How many reads are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// The keys that are not read yet.
    pub(crate) fn unread(&self) -> Vec<String> {
        let mut keys: Vec<usize> =
            self.readers.iter().filter_map(|reader| reader.key).chain(self.open.clone()).collect();
        keys.sort_unstable();
        keys.into_iter().map(|key| format!("k{key}")).collect()
    }

    /// Whether every key is read, or time is up and no read is under way.
    pub(crate) fn is_over(&self, now: RunNanos) -> bool {
        self.under_way.is_empty() && (now >= self.until || self.unread().is_empty())
    }

    /// When a reader has rested, or time is up. `None` if only completions can change anything.
    pub(crate) fn deadline(&self, now: RunNanos) -> Option<RunNanos> {
        let with_work = self.readers.iter().filter(|reader| reader.key.is_some() || !self.open.is_empty());
        let rested = with_work.filter_map(|reader| reader.client.free_from()).min();
        (now < self.until).then(|| rested.map_or(self.until, |rested| rested.min(self.until)))
    }

    /// Invokes what can be.
    pub(crate) fn advance(&mut self, now: RunNanos, numbers: &mut Numbers, out: &mut Vec<Command>) {
        if now >= self.until {
            return;
        }
        for (index, reader) in self.readers.iter_mut().enumerate().filter(|(_, reader)| reader.client.is_free(now)) {
            if reader.key.is_none() {
                reader.key = self.open.pop_front();
            }
            let Some(key) = reader.key else { continue };
            let id = numbers.operation();
            reader.client.takes(id);
            self.under_way.insert(id, index);
            out.push(Command::Invoke(Invocation {
                id,
                process: reader.client.process(),
                node: reader.client.node(),
                role: reader.client.role(),
                due: now,
                deadline: (now + self.timeout).min(self.until),
                action: Action::Read { key: format!("k{key}") },
            }));
        }
    }

    /// Takes the end of a read in; `false` if it isn't one of these.
    pub(crate) fn completed(&mut self, completed: &Completed, now: RunNanos, numbers: &mut Numbers) -> bool {
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
