//! The queue in front of one connection: bounded, and when it is full the oldest message goes.
//!
//! No protocol here needs a message to arrive, and a newer heartbeat says all that an older one did; what it can't bear is a protocol
//! thread that waits for a socket. So putting a message in never blocks, and a message that waited longer than anybody
//! waits for its answer is not sent at all.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The most messages that wait.
const MESSAGES_MAX: usize = 256;
/// The most bytes that wait, unless a single message is larger.
const BYTES_MAX: usize = 64 << 20;

/// Frames on their way to one peer.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    frames: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
}

impl Waiting {
    fn pop(&mut self) -> Option<(Instant, Vec<u8>)> {
        let (since, frame) = self.frames.pop_front()?;
        self.bytes -= frame.len();
        Some((since, frame))
    }
}

impl Queue {
    /// Puts a frame in; returns how many older ones had to go.
    pub(super) fn push(&self, frame: Vec<u8>, now: Instant) -> u64 {
        let mut waiting = self.lock();
        waiting.bytes += frame.len();
        waiting.frames.push_back((now, frame));
        let mut dropped = 0;
        while waiting.frames.len() > MESSAGES_MAX || (waiting.bytes > BYTES_MAX && waiting.frames.len() > 1) {
            waiting.pop();
            dropped += 1;
        }
        drop(waiting);
        self.filled.notify_one();
        dropped
    }

    /// Moves every waiting frame into `batch`, leaving out those older than `age_max`; returns how many were left out.
    pub(super) fn take(&self, batch: &mut Vec<u8>, now: Instant, age_max: Duration) -> u64 {
        let mut waiting = self.lock();
        let mut dropped = 0;
        while let Some((since, frame)) = waiting.pop() {
            if now.duration_since(since) <= age_max {
                batch.extend_from_slice(&frame);
            } else {
                dropped += 1;
            }
        }
        dropped
    }

    /// Waits until something was put in since the last call.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here panics half-way, so a poisoned queue is still a whole one.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_the_oldest_and_an_old_message_is_not_sent() {
        let queue = Queue::default();
        let begin = Instant::now();
        let dropped: u64 = (0..=255_u8).chain(0..10).map(|byte| queue.push(vec![byte], begin)).sum();
        assert_eq!(dropped, 10);
        let later = begin + Duration::from_secs(1);
        queue.push(vec![77], later);
        let mut batch = Vec::new();
        assert_eq!(queue.take(&mut batch, later, Duration::from_millis(300)), 255);
        assert_eq!(batch, [77]);
    }

    #[test]
    fn a_single_message_above_the_byte_limit_still_passes() {
        let queue = Queue::default();
        let now = Instant::now();
        assert_eq!(queue.push(vec![1; 10], now), 0);
        assert_eq!(queue.push(vec![2; BYTES_MAX + 1], now), 1);
        let mut batch = Vec::new();
        queue.take(&mut batch, now, Duration::ZERO);
        assert_eq!(batch.len(), BYTES_MAX + 1);
    }
}
