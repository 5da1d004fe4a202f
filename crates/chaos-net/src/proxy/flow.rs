//! One direction of a connection: what is under way in it, when it is due, and whether the link lets it pass.
//!
//! *After a heal* TCP doesn't know that the link carries packets again. It finds out when it sends again what was not acknowledged,
//! 200 ms after it was sent first and then at intervals that double (RFC 6298 §5.5, `TCP_RTO_MIN` of Linux). The bytes that a cut
//! has kept here are let go at that moment, so that a natural heal takes as long as over packets that were lost.

use std::collections::VecDeque;

use crate::{Conditions, CutMode, Link};

/// The first retransmission timeout of Linux on a fast link, `TCP_RTO_MIN`.
const FIRST_TIMEOUT_NS: u64 = 200_000_000;
/// The longest, `TCP_RTO_MAX`.
const LONGEST_TIMEOUT_NS: u64 = 120_000_000_000;
/// A link with a rate takes in what it passes in this time, and leaves the rest to the sender's socket.
const RATE_AHEAD_NS: u64 = 20_000_000;
/// What waits in a direction without conditions, for a receiver that is slow, and in one with a delay.
const QUEUE_BYTES: usize = 64 << 10;
const QUEUE_BYTES_DELAYED: usize = 4 << 20;

/// What a directed link does at present, to all connections that cross it.
#[derive(Debug, Default)]
pub(super) struct Wire {
    pub(super) cut: Option<CutMode>,
    pub(super) conditions: Option<Conditions>,
    /// When what was taken in has passed, at the rate.
    passed_ns: u64,
}

impl Wire {
    /// When bytes that are taken in now arrive.
    fn due_ns(&mut self, now_ns: u64, length: usize) -> u64 {
        let Some(conditions) = &self.conditions else { return now_ns };
        let mut sent_ns = now_ns;
        if let Some(rate) = conditions.rate {
            let nanos = length as u128 * 1_000_000_000 / u128::from(rate.bytes_per_second.max(1));
            self.passed_ns = self.passed_ns.max(now_ns).saturating_add(u64::try_from(nanos).unwrap_or(u64::MAX));
            sent_ns = self.passed_ns;
        }
        sent_ns.saturating_add(u64::try_from(conditions.delay.as_nanos()).unwrap_or(u64::MAX))
    }

    /// From when on it takes in more.
    pub(super) fn takes_from_ns(&self) -> u64 {
        let limited = self.conditions.is_some_and(|conditions| conditions.rate.is_some());
        if limited { self.passed_ns.saturating_sub(RATE_AHEAD_NS) } else { 0 }
    }

    /// How much is read at once: a slow link is to carry the bytes of several connections in turn.
    pub(super) fn bite(&self, most: usize) -> usize {
        let rate = self.conditions.and_then(|conditions| conditions.rate);
        rate.map_or(most, |rate| usize::try_from(rate.bytes_per_second / 200).unwrap_or(most).clamp(512, most))
    }
}

/// What is under way.
#[derive(Debug)]
pub(super) enum What {
    /// Bytes, of which so many have arrived.
    Bytes(Vec<u8>, usize),
    /// The sender sends no more.
    End,
    /// The sender's end is gone.
    Reset,
}

#[derive(Debug)]
struct Piece {
    due_ns: u64,
    what: What,
}

/// Whether the link lets anything pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    /// It is cut; when the first bytes came to stand before it.
    Shut {
        since_ns: Option<u64>,
    },
    /// It is healed, and TCP hasn't noticed.
    Opens {
        at_ns: u64,
    },
}

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) link: Link,
    queue: VecDeque<Piece>,
    queued_bytes: usize,
    gate: Gate,
    last_due_ns: u64,
    /// Its end is in the queue, or has arrived: nothing more is read.
    pub(super) ended: bool,
    /// Its end has arrived.
    pub(super) finished: bool,
}

impl Flow {
    pub(super) fn new(link: Link, is_cut: bool) -> Self {
        let gate = if is_cut { Gate::Shut { since_ns: None } } else { Gate::Open };
        let queue = VecDeque::new();
        Self { link, queue, queued_bytes: 0, gate, last_due_ns: 0, ended: false, finished: false }
    }

    /// Whether bytes may be read into it.
    pub(super) fn takes(&self, wire: &Wire) -> bool {
        let room = if wire.conditions.is_some() { QUEUE_BYTES_DELAYED } else { QUEUE_BYTES };
        self.gate == Gate::Open && !self.ended && self.queued_bytes < room
    }

    /// Takes in what was read.
    pub(super) fn push(&mut self, what: What, wire: &mut Wire, now_ns: u64) {
        let length = if let What::Bytes(bytes, _) = &what { bytes.len() } else { 0 };
        self.last_due_ns = self.last_due_ns.max(wire.due_ns(now_ns, length));
        self.queued_bytes += length;
        self.ended |= length == 0;
        self.queue.push_back(Piece { due_ns: self.last_due_ns, what });
    }

    /// Gives up what is under way: the sender's end is gone, and nobody will send it again.
    pub(super) fn lose(&mut self) {
        self.queue.clear();
        self.queued_bytes = 0;
    }

    /// Notes that something came to stand before a link that is cut.
    pub(super) fn stands(&mut self, now_ns: u64) {
        if let Gate::Shut { since_ns: since @ None } = &mut self.gate {
            *since = Some(now_ns);
        }
    }

    /// The link is cut.
    pub(super) fn shut(&mut self, now_ns: u64) {
        let waits = self.queue.front().map(|piece| piece.due_ns.max(now_ns));
        // What TCP was about to send again when the next cut came, it sends again later.
        let since_ns = if let Gate::Opens { .. } = self.gate { Some(now_ns) } else { waits };
        self.gate = Gate::Shut { since_ns };
    }

    /// The link is healed.
    pub(super) fn open(&mut self, now_ns: u64) {
        self.gate = match self.gate {
            Gate::Shut { since_ns: Some(since_ns) } => Gate::Opens { at_ns: sent_again_ns(since_ns, now_ns) },
            Gate::Shut { since_ns: None } => Gate::Open,
            gate @ (Gate::Open | Gate::Opens { .. }) => gate,
        };
    }

    /// What has arrived, if anything; a part that the receiver doesn't take comes again.
    pub(super) fn due(&mut self, now_ns: u64) -> Option<&mut What> {
        if let Gate::Opens { at_ns } = self.gate
            && at_ns <= now_ns
        {
            self.gate = Gate::Open;
        }
        let is_open = self.gate == Gate::Open;
        self.queue.front_mut().filter(|piece| is_open && piece.due_ns <= now_ns).map(|piece| &mut piece.what)
    }

    /// The first piece is through.
    pub(super) fn arrived(&mut self) {
        match self.queue.pop_front().map(|piece| piece.what) {
            Some(What::Bytes(bytes, _)) => self.queued_bytes -= bytes.len(),
            Some(What::End | What::Reset) => self.finished = true,
            None => {}
        }
    }

    /// When something is to be done for it, if it is a matter of time.
    pub(super) fn next_ns(&self) -> Option<u64> {
        match self.gate {
            Gate::Open => self.queue.front().map(|piece| piece.due_ns),
            Gate::Opens { at_ns } => Some(at_ns),
            Gate::Shut { .. } => None,
        }
    }
}

/// When TCP sends again for the first time after a heal what it had sent first at `since_ns`.
fn sent_again_ns(since_ns: u64, healed_ns: u64) -> u64 {
    let (mut at_ns, mut timeout_ns) = (since_ns, FIRST_TIMEOUT_NS);
    while at_ns < healed_ns || at_ns == since_ns {
        at_ns += timeout_ns;
        timeout_ns = (2 * timeout_ns).min(LONGEST_TIMEOUT_NS);
    }
    at_ns
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Rate;

    const MS: u64 = 1_000_000;

    #[test]
    fn after_a_heal_bytes_go_on_when_tcp_would_send_them_again() {
        let after = |healed_ms: u64| (sent_again_ns(0, healed_ms * MS)) / MS;
        assert_eq!([1, 200, 201, 1000, 3000, 3001].map(after), [200, 200, 600, 1400, 3000, 6200]);
        let mut flow = Flow::new(Link { from: 0, to: 1 }, false);
        flow.shut(10 * MS);
        flow.open(500 * MS);
        assert_eq!(flow.gate, Gate::Open, "nothing stood before the link");
        flow.shut(500 * MS);
        flow.stands(700 * MS);
        flow.stands(800 * MS);
        flow.open(1000 * MS);
        assert_eq!(flow.gate, Gate::Opens { at_ns: 1300 * MS });
    }

    #[test]
    fn a_rate_is_the_links_and_order_outlives_a_change_of_conditions() {
        let rate = Rate { bytes_per_second: 1_000_000, burst_bytes: 0, queue_bytes: 0 };
        let slow = Conditions { rate: Some(rate), delay: Duration::from_millis(50), ..Conditions::default() };
        let mut wire = Wire { conditions: Some(slow), ..Wire::default() };
        assert_eq!(wire.due_ns(0, 10_000), 60 * MS);
        assert_eq!(wire.due_ns(0, 10_000), 70 * MS, "the second waits for the first");
        assert_eq!(wire.takes_from_ns(), 0);
        wire.due_ns(0, 10_000);
        assert_eq!(wire.takes_from_ns(), 10 * MS);
        let mut flow = Flow::new(Link { from: 0, to: 1 }, false);
        flow.push(What::Bytes(vec![1], 0), &mut wire, 0);
        flow.push(What::Bytes(vec![2], 0), &mut Wire::default(), MS);
        assert!(flow.due(2 * MS).is_none(), "nothing overtakes");
    }
}
