//! How the world's threads and tasks reach its owner: one queue, and not an endless one.
//!
//! When the owner is busy and the queue is full, whoever has something to say waits; a node that floods its listener is then
//! held back by TCP instead of filling the harness's memory. Stamps are taken before the waiting.

use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use chaos_engine::Completed;
use chaos_history::{FaultId, NodeId, Observation, ReplicaEvent, RunNanos, Stall};
use chaos_systems::Unchanged;

use crate::oddities::Oddity;
use crate::resource::Asked;

/// Several seconds of what nodes and clients say at the usual rates; a few megabytes.
const MESSAGES_MAX: usize = 1 << 14;

/// How long a task waits before it tries a full queue again.
const RETRY_AFTER: Duration = Duration::from_millis(1);

/// What the world's threads and tasks tell its owner.
pub(crate) enum Message {
    /// A node was asked, or told.
    Observed(Observation),
    /// The same by a further observer: its place among the driver's, from 1.
    Viewed { observer: usize, observation: Observation },
    /// An observer's answer means nothing: the observer's place among the driver's.
    Odd { observer: usize, node: NodeId, oddity: Oddity },
    /// An operation ended.
    Completed { at: RunNanos, completed: Completed },
    /// A process of a node ended. It is a zombie until the owner takes its status.
    Ended { node: NodeId, which: Ended, at: RunNanos },
    /// A node was asked what it holds.
    Compared(ReplicaEvent),
    /// The cluster was told something, or would not hear it.
    Changed { fault: FaultId, node: NodeId, outcome: Result<(), Unchanged>, at: RunNanos },
    /// The host stalled.
    Stalled(Stall),
    /// Somebody asks for an end: who or what, for people.
    Interrupt { why: String },
    /// What the run accompanies is over: what that was, for people.
    Conclude { why: String },
    /// A program in a node asks to use what a lock protects.
    Asked(Asked),
    /// Somebody has something for the history to say to people.
    Remark { text: String },
}

/// Which process of a node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The main one of the node's start with this number.
    Main { incarnation: u64 },
    /// The further one with this number.
    Further { serial: u64 },
}

/// How a process ended, if anybody can tell.
pub(crate) type Ending = std::io::Result<ExitStatus>;

/// A way into the inbox.
#[derive(Clone)]
pub(crate) struct Outbox(SyncSender<Message>);

/// The queue's two ends.
pub(crate) fn inbox() -> (Outbox, Receiver<Message>) {
    let (sender, inbox) = sync_channel(MESSAGES_MAX);
    (Outbox(sender), inbox)
}

impl Outbox {
    /// Sends from a thread; whether anybody still listens.
    pub(crate) fn send(&self, message: Message) -> bool {
        self.0.send(message).is_ok()
    }

    /// Sends from a task; whether anybody still listens.
    pub(crate) async fn send_from_task(&self, mut message: Message) -> bool {
        loop {
            message = match self.0.try_send(message) {
                Ok(()) => return true,
                Err(TrySendError::Disconnected(_)) => return false,
                Err(TrySendError::Full(message)) => message,
            };
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interrupt() -> Message {
        Message::Interrupt { why: String::new() }
    }

    #[test]
    fn a_full_queue_holds_senders_back_and_a_closed_one_lets_them_go() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let (outbox, inbox) = inbox();
        for _ in 0..MESSAGES_MAX {
            assert!(outbox.send(interrupt()));
        }
        runtime.block_on(async {
            let held = tokio::time::timeout(Duration::from_millis(20), outbox.send_from_task(interrupt())).await;
            assert!(held.is_err(), "one more than fits");
            assert!(matches!(inbox.recv(), Ok(Message::Interrupt { .. })));
            assert!(outbox.send_from_task(interrupt()).await);
            drop(inbox);
            assert!(!outbox.send_from_task(interrupt()).await);
        });
        assert!(!outbox.send(interrupt()));
    }
}
