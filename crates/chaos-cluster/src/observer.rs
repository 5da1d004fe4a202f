//! Asks every node who leads, all the time, and listens to those that say it unasked.
//!
//! One task per node, observer and manner of asking, so that a node that is stopped or cut off delays no other's answer. What the
//! driver's first observer is told are observations, what the others are told are views: they may differ, and who compares
//! them must know whose word is whose.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chaos_history::{NodeId, Observation, ObservationOutcome, ObservationSource, RunNanos};
use chaos_systems::{Driver, ProbeError, Pushed, Told};
use futures::StreamExt;
use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::clock::RunClock;
use crate::inbox::{Message, Outbox};
use crate::oddities::Oddity;

/// How long to wait before listening again to a node that hung up.
const RELISTEN_AFTER: Duration = Duration::from_millis(20);

/// What every observer task needs.
#[derive(Clone)]
pub(crate) struct Observers {
    /// The clock.
    pub(crate) clock: RunClock,
    /// The system's protocol.
    pub(crate) driver: Arc<dyn Driver>,
    /// Where observations go.
    pub(crate) messages: Outbox,
    /// How many nodes are asked: those under test, which are the first.
    pub(crate) nodes: usize,
    /// How many times each node has been started.
    pub(crate) incarnations: Arc<[AtomicU64]>,
    /// The poll interval of observers that have none of their own.
    pub(crate) every: Duration,
    /// When a question counts as unanswered.
    pub(crate) timeout: Duration,
}

impl Observers {
    /// Starts the tasks of all nodes; they end with the runtime.
    pub(crate) fn start(&self, runtime: &Handle) {
        let observers: Vec<Duration> =
            self.driver.observers().into_iter().map(|facts| facts.every.unwrap_or(self.every)).collect();
        for node in NodeId::all(self.nodes) {
            for (observer, every) in observers.iter().enumerate() {
                runtime.spawn(self.clone().poll(observer, *every, node));
            }
            runtime.spawn(self.clone().listen(node));
        }
    }

    async fn poll(self, observer: usize, every: Duration, node: NodeId) {
        let mut ticks = interval(every);
        // After an unanswered question the rhythm starts anew; questions are never asked in a burst.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let incarnation = self.incarnation(node);
            let sent = self.clock.now();
            let answer = match timeout(self.timeout, self.driver.observe_as(observer, node)).await {
                Ok(answer) => answer,
                Err(_) => Err(ProbeError::Silent(format!("none within {:?}", self.timeout))),
            };
            let received = self.clock.now();
            let oddity = oddity(&answer);
            let outcome = match answer {
                // Which of two incarnations gave an answer that spans a restart, nobody can tell.
                Ok(_) if incarnation != self.incarnation(node) => {
                    ObservationOutcome::Silent("restarted while it was asked".to_owned())
                }
                Ok(told) => ObservationOutcome::Answered(told.belief),
                Err(error) => ObservationOutcome::Silent(error.to_string()),
            };
            let source = ObservationSource::Poll;
            let observation = Observation { node, incarnation, source, sent, received, outcome };
            let message = match observer {
                0 => Message::Observed(observation),
                further => Message::Viewed { observer: further, observation },
            };
            if !self.report(message).await {
                return;
            }
            if let Some(oddity) = oddity
                && !self.report(Message::Odd { observer, node, oddity }).await
            {
                return;
            }
        }
    }

    async fn listen(self, node: NodeId) {
        loop {
            let incarnation = self.incarnation(node);
            let Some(opening) = self.driver.watch(node) else { return };
            if let Ok(Ok(mut watch)) = timeout(self.timeout, opening).await {
                while let Some(Ok(pushed)) = watch.next().await {
                    // A listener that spans a restart belongs to neither incarnation.
                    if incarnation != self.incarnation(node) {
                        break;
                    }
                    if !self.report(Message::Observed(self.pushed(node, incarnation, pushed))).await {
                        return;
                    }
                }
            }
            sleep(RELISTEN_AFTER).await;
        }
    }

    /// A node's own stamp is believed only where it can be true: not before the run, not after the arrival.
    fn pushed(&self, node: NodeId, incarnation: u64, pushed: Pushed) -> Observation {
        let received: RunNanos = self.clock.now();
        let sent = self.clock.from_monotonic(pushed.monotonic_nanos).min(received);
        let outcome = ObservationOutcome::Answered(pushed.belief);
        Observation { node, incarnation, source: ObservationSource::Push, sent, received, outcome }
    }

    fn incarnation(&self, node: NodeId) -> u64 {
        self.incarnations[node.index()].load(Ordering::Acquire)
    }

    /// Whether anybody still listens.
    async fn report(&self, message: Message) -> bool {
        self.messages.send_from_task(message).await
    }
}

/// What is odd about an answer, if it was one.
fn oddity(answer: &Result<Told, ProbeError>) -> Option<Oddity> {
    match answer {
        Ok(Told { stranger, .. }) => stranger.clone().map(Oddity::Stranger),
        Err(ProbeError::Silent(_)) => None,
        Err(error @ (ProbeError::Garbage(_) | ProbeError::WrongNode { .. })) => {
            Some(Oddity::Nonsense(error.to_string()))
        }
    }
}
