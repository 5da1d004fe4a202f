//! Requests that wait for the protocol's verdict, and the effects of entries that were just applied.

use std::collections::{BTreeMap, BTreeSet};

use election::raft::{Entry, Outcome};
use election::{LogIndex, NodeId, RequestId};
use tokio::sync::oneshot;

use crate::inbox::{Answer, Denial, Success};
use crate::machine::{Effect, Versioned};

/// What the answer needs besides the outcome.
#[derive(Debug)]
pub(super) enum Wanted {
    /// Nothing.
    Outcome,
    /// What this key holds.
    Value(String),
    /// These members.
    Members(BTreeSet<NodeId>),
}

/// A client that waits.
#[derive(Debug)]
struct Waiting {
    wanted: Wanted,
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
    pub(super) fn admit(&mut self, wanted: Wanted, answer: oneshot::Sender<Answer>) -> RequestId {
        self.last += 1;
        let request = RequestId(self.last);
        self.waiting.insert(request, Waiting { wanted, answer });
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
        let Some(Waiting { wanted, answer }) = self.waiting.remove(&request) else { return };
        let verdict = match (outcome, wanted) {
            // An effect, key or set that is missing would be a core that breaks its contract; the client must not be told a
            // result that nobody saw.
            (Outcome::Committed { index, term }, _) => {
                let effect = self.effects.remove(&index);
                effect.map(|effect| Success::Applied { index, term, effect }).ok_or(Denial::Superseded)
            }
            (Outcome::ReadAt { .. }, Wanted::Value(key)) => Ok(Success::Value(read(&key))),
            (Outcome::MembershipChanged { index }, Wanted::Members(members)) => {
                Ok(Success::MembershipChanged { index, members })
            }
            (Outcome::ReadAt { .. } | Outcome::MembershipChanged { .. } | Outcome::Superseded, _) => {
                Err(Denial::Superseded)
            }
            (Outcome::Transferred { leader, term }, _) => Ok(Success::Transferred { leader, term }),
            (Outcome::NotLeader { leader }, _) => Err(Denial::NotLeader { leader }),
            (Outcome::Busy, _) => Err(Denial::Busy),
            (Outcome::Invalid, _) => Err(Denial::Invalid),
            (Outcome::GivenUp, _) => Err(Denial::GivenUp),
        };
        // A client that went away has been told `timeout`, or nothing.
        let _ = answer.send(verdict);
    }

    /// Forgets the effects nobody asked for.
    pub(super) fn end_batch(&mut self) {
        self.effects.clear();
    }
}
