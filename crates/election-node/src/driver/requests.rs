//! Requests that wait for the protocol's verdict, and the effects of entries that were just applied.

use std::collections::BTreeMap;

use election::raft::{Entry, Outcome};
use election::{LogIndex, RequestId};
use tokio::sync::oneshot;

use crate::inbox::{Answer, Denial, Success};
use crate::machine::{Effect, Versioned};

/// A client that waits.
#[derive(Debug)]
struct Waiting {
    /// The key of a read.
    key: Option<String>,
    answer: oneshot::Sender<Answer>,
}

/// Who waits for what. The protocol bounds how many there are (`max_pending`) and resolves each one exactly once.
#[derive(Debug, Default)]
pub(super) struct Requests {
    last: u64,
    waiting: BTreeMap<RequestId, Waiting>,
    /// Effects of the entries of the present batch. The protocol replies in the batch in which it applies, after it.
    effects: BTreeMap<LogIndex, Effect>,
}

impl Requests {
    /// Gives a request its number.
    pub(super) fn admit(&mut self, key: Option<String>, answer: oneshot::Sender<Answer>) -> RequestId {
        self.last += 1;
        let request = RequestId(self.last);
        self.waiting.insert(request, Waiting { key, answer });
        request
    }

    /// Keeps what an entry did, for the reply that may follow; pointless if nobody waits.
    pub(super) fn applied(&mut self, entry: &Entry, effect: Effect) {
        if !self.waiting.is_empty() {
            self.effects.insert(entry.index, effect);
        }
    }

    /// Answers a request; `read` looks a key up in the state machine.
    pub(super) fn resolve(
        &mut self,
        request: RequestId,
        outcome: Outcome,
        read: impl FnOnce(&str) -> Option<Versioned>,
    ) {
        let Some(Waiting { key, answer }) = self.waiting.remove(&request) else { return };
        let verdict = match outcome {
            // An effect or key that is missing would be a core that breaks its contract; the client must not be told a
            // result that nobody saw.
            Outcome::Committed { index, term } => {
                let effect = self.effects.remove(&index);
                effect.map(|effect| Success::Applied { index, term, effect }).ok_or(Denial::Superseded)
            }
            Outcome::ReadAt { .. } => key.map(|key| Success::Value(read(&key))).ok_or(Denial::Superseded),
            Outcome::Transferred => Ok(Success::Transferred),
            Outcome::MembershipChanged { index } => Ok(Success::MembershipChanged { index }),
            Outcome::NotLeader { leader } => Err(Denial::NotLeader { leader }),
            Outcome::Busy => Err(Denial::Busy),
            Outcome::Invalid => Err(Denial::Invalid),
            Outcome::Superseded => Err(Denial::Superseded),
        };
        // A client that went away has been told `timeout`, or nothing.
        let _ = answer.send(verdict);
    }

    /// Forgets the effects nobody asked for.
    pub(super) fn end_batch(&mut self) {
        self.effects.clear();
    }
}
