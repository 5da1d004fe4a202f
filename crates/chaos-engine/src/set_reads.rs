//! The final reads of sets: every set at every node, again and again while something is missing.
//!
//! A read at one node may come from a replica that lags behind, so one answer without an element proves no loss. Each node is
//! therefore asked until it shows every element whose addition was acknowledged and every element that any other node has
//! shown in a final read, or until time is up: what no node shows even then is lost, what some show has diverged, and which of
//! the two it is, the checkers say.
//!
//! ```text
//!   n1: [s0: 1 2 3]
//!   n2: [s0: 1 2]  ── a second ──▶ [s0: 1 2 3]
//!   n3: [refused]  [refused]  …    given up, if another node has answered
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chaos_history::{Action, ClientRole, NodeId, OpId, OpPhase, OpResult, RunNanos, Seed, Value};

use crate::client::{self, Client, Numbers};
use crate::load::Counts;
use crate::random;
use crate::world::{Command, Completed};

/// How long a node gets to catch up before it is asked again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// For how long a node that refuses is asked again, once another node has answered: many systems let one node answer only.
const REFUSED_FOR: Duration = Duration::from_secs(3);
/// How long a node that refused or did not answer is left alone.
const REST: Duration = Duration::from_millis(250);

/// A set as it should be found.
#[derive(Clone, Debug)]
struct Set {
    key: String,
    /// What is acknowledged, and what any final read has shown.
    known: BTreeSet<Value>,
    /// Whether any node has answered.
    answered: bool,
}

/// One set at one node.
#[derive(Clone, Debug)]
struct Copy {
    set: usize,
    /// How many elements of those known the last answer had; `None` without an answer.
    held: Option<usize>,
    /// When it may be asked again.
    from: RunNanos,
    /// Since when it has only refused.
    refused_since: Option<RunNanos>,
    given_up: bool,
}

impl Copy {
    fn is_settled(&self, sets: &[Set]) -> bool {
        self.given_up || self.held == Some(sets[self.set].known.len())
    }
}

/// A node with its client and the sets that are to be read there.
#[derive(Clone, Debug)]
struct Reader {
    client: Client,
    copies: Vec<Copy>,
}

/// The final reads of sets.
#[derive(Clone, Debug)]
pub(crate) struct SetReads {
    sets: Vec<Set>,
    readers: Vec<Reader>,
    /// Reader and place among its copies.
    under_way: BTreeMap<OpId, (usize, usize)>,
    timeout: Duration,
    until: RunNanos,
    counts: Counts,
}

impl SetReads {
    /// Reads of these sets, each with the elements that it must have, until `until` at the latest.
    pub(crate) fn new(
        sets: Vec<(String, BTreeSet<Value>)>,
        nodes: usize,
        timeout: Duration,
        until: RunNanos,
        seed: Seed,
        numbers: &mut Numbers,
    ) -> Self {
        let copy = |set| Copy { set, held: None, from: RunNanos(0), refused_since: None, given_up: false };
        let copies: Vec<Copy> = (0..sets.len()).map(copy).collect();
        let readers = NodeId::all(if sets.is_empty() { 0 } else { nodes }).map(|node| {
            let stream = random::stream(seed, &format!("final set client {node}"));
            let rest = client::rest(Duration::from_secs(1));
            let client = Client::new(ClientRole::Final, node, nodes, rest, stream, numbers).staying();
            Reader { client, copies: copies.clone() }
        });
        let readers = readers.collect();
        let sets = sets.into_iter().map(|(key, known)| Set { key, known, answered: false }).collect();
        Self { sets, readers, under_way: BTreeMap::new(), timeout, until, counts: Counts::default() }
    }

    /// How the reads ended so far.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// How many reads are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// How many sets are not read, or not yet read whole, over all nodes.
    pub(crate) fn unread(&self) -> usize {
        let copies = self.readers.iter().flat_map(|reader| &reader.copies);
        copies.filter(|copy| !copy.is_settled(&self.sets)).count()
    }

    /// What is missing, for people: each set and node that did not answer, and what its last answer did not have.
    pub(crate) fn unread_in_words(&self) -> Vec<String> {
        let copies = || self.readers.iter().flat_map(|reader| reader.copies.iter().map(move |copy| (reader, copy)));
        let silent: Vec<String> = copies()
            .filter(|(_, copy)| copy.held.is_none())
            .map(|(reader, copy)| format!("{} at {}", self.sets[copy.set].key, reader.client.node()))
            .collect();
        let mut words = Vec::new();
        if !silent.is_empty() {
            words.push(format!("no final read succeeded of {}", silent.join(", ")));
        }
        words.extend(copies().filter(|(_, copy)| !copy.is_settled(&self.sets)).filter_map(|(reader, copy)| {
            let (held, set) = (copy.held?, &self.sets[copy.set]);
            let (node, key, lacks) = (reader.client.node(), &set.key, set.known.len() - held);
            Some(format!(
                "to the end, {node} lacks {lacks} elements of {key} that were acknowledged or that another node has"
            ))
        }));
        words
    }

    /// Whether every node shows every set whole or is given up, or time is up and no read is under way.
    pub(crate) fn is_over(&self, now: RunNanos) -> bool {
        self.under_way.is_empty() && (now >= self.until || self.unread() == 0)
    }

    /// When a node is to be asked again, or time is up. `None` if only completions can change anything.
    pub(crate) fn deadline(&self, now: RunNanos) -> Option<RunNanos> {
        let due = |reader: &Reader| {
            let free = reader.client.free_from()?;
            let unsettled = reader.copies.iter().filter(|copy| !copy.is_settled(&self.sets));
            unsettled.map(|copy| copy.from.max(free)).min()
        };
        let next = self.readers.iter().filter_map(due).min();
        (now < self.until).then(|| next.map_or(self.until, |next| next.min(self.until)))
    }

    /// Invokes what can be.
    pub(crate) fn advance(&mut self, now: RunNanos, numbers: &mut Numbers, out: &mut Vec<Command>) {
        if now >= self.until {
            return;
        }
        let Self { sets, readers, under_way, timeout, until, counts: _ } = self;
        for (index, reader) in readers.iter_mut().enumerate().filter(|(_, reader)| reader.client.is_free(now)) {
            let due = |copy: &&Copy| copy.from <= now && !copy.is_settled(sets);
            let Some(place) = reader.copies.iter().position(|copy| due(&copy)) else { continue };
            let action = Action::Elements { key: sets[reader.copies[place].set].key.clone() };
            let invocation = reader.client.invokes(action, now, (now + *timeout).min(*until), numbers);
            under_way.insert(invocation.id, (index, place));
            out.push(Command::Invoke(invocation));
        }
    }

    /// Takes the end of a read in; `false` if it isn't one of these.
    pub(crate) fn completed(&mut self, completed: &Completed, now: RunNanos, numbers: &mut Numbers) -> bool {
        let Some((index, place)) = self.under_way.remove(&completed.id) else { return false };
        self.counts.count(&completed.phase);
        let reader = &mut self.readers[index];
        reader.client.ended(completed, now, numbers);
        let copy = &mut reader.copies[place];
        let set = &mut self.sets[copy.set];
        match &completed.phase {
            OpPhase::Ok(OpResult::Elements { values, .. }) => {
                let held: BTreeSet<Value> = values.iter().copied().collect();
                copy.held = Some(held.len());
                (copy.from, copy.refused_since) = (now + AGAIN_AFTER, None);
                set.known.extend(held);
                set.answered = true;
            }
            OpPhase::Fail { .. } => {
                let since = *copy.refused_since.get_or_insert(now);
                copy.given_up = set.answered && now.since(since) >= REFUSED_FOR;
                copy.from = now + REST;
            }
            OpPhase::Ok(_) | OpPhase::Info { .. } | OpPhase::Invoke { .. } => copy.from = now + REST,
        }
        true
    }
}
