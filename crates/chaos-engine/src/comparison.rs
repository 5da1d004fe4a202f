//! The comparison of replicas: after the load, before anything is read, every node is asked what it holds, again and again until
//! all hold the same or time is up. What follows from the answers, the checkers say.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chaos_history::{NodeId, ReplicaOutcome, ReplicaState, RunNanos};

use crate::world::Command;

/// For how long nodes may differ before nobody asks them again.
pub(crate) const WITHIN: Duration = Duration::from_secs(10);
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The pause between two rounds of questions.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Rounds of questions to all nodes.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    nodes: usize,
    /// What each node told in the round under way or the last one.
    told: BTreeMap<NodeId, ReplicaState>,
    under_way: BTreeSet<NodeId>,
    next_round: RunNanos,
    until: RunNanos,
    /// Whether the system knows no such question.
    is_impossible: bool,
}

impl Comparison {
    /// Rounds that begin now and end at `until`.
    pub(crate) fn new(nodes: usize, now: RunNanos, until: RunNanos) -> Self {
        let (told, under_way) = (BTreeMap::new(), BTreeSet::new());
        Self { nodes, told, under_way, next_round: now, until, is_impossible: false }
    }

    /// Whether the system knows no such question.
    pub(crate) fn is_impossible(&self) -> bool {
        self.is_impossible
    }

    /// Asks all nodes if a round is due.
    pub(crate) fn advance(&mut self, now: RunNanos, out: &mut Vec<Command>) {
        if self.is_over(now) || !self.under_way.is_empty() || now < self.next_round {
            return;
        }
        self.told.clear();
        for node in NodeId::all(self.nodes) {
            self.under_way.insert(node);
            out.push(Command::Compare { node, deadline: (now + TIMEOUT).min(self.until) });
        }
    }

    /// Takes an answer in; `None` if the system knows no such question.
    pub(crate) fn answered(&mut self, node: NodeId, outcome: Option<&ReplicaOutcome>, now: RunNanos) {
        if !self.under_way.remove(&node) {
            return;
        }
        match outcome {
            Some(ReplicaOutcome::Told(state)) => {
                self.told.insert(node, state.clone());
            }
            Some(ReplicaOutcome::Silent(_)) => {}
            None => self.is_impossible = true,
        }
        if self.under_way.is_empty() {
            self.next_round = now + AGAIN_AFTER;
        }
    }

    /// Whether nothing more is to be learned, or time is up.
    pub(crate) fn is_over(&self, now: RunNanos) -> bool {
        self.under_way.is_empty() && (self.is_impossible || self.is_settled() || now >= self.until)
    }

    /// When the next round is due; `None` while one is under way.
    pub(crate) fn deadline(&self) -> Option<RunNanos> {
        self.under_way.is_empty().then(|| self.next_round.min(self.until))
    }

    /// Whether all hold the same, or two hold different things at one revision: asking again changes neither.
    fn is_settled(&self) -> bool {
        let mut states = self.told.values();
        let Some(first) = states.next() else { return false };
        let same = self.told.len() == self.nodes && states.all(|state| state == first);
        let mut at_revision: BTreeMap<u64, &str> = BTreeMap::new();
        let differ = self.told.values().any(|state| {
            let known = state.revision.map(|revision| *at_revision.entry(revision).or_insert(&state.value));
            known.is_some_and(|known| known != state.value)
        });
        same || differ
    }
}
