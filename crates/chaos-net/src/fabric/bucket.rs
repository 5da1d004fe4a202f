//! A token bucket with a bounded queue in front of it, as one number.
//!
//! The idea: instead of counting tokens, the bucket knows the moment at which it will be full again. A packet moves that
//! moment on by the time that its bytes take at the rate, and leaves when the moment is at most a whole burst away, that is,
//! when the bucket isn't emptier than empty. What waits before it follows from the same number.
//!
//! Refuses a queue of packets: who waits, and in which order, is the schedule's affair. Source: `tc-tbf(8)`; the virtual
//! scheduling form of the generic cell rate algorithm (ITU-T I.371).

use crate::Rate;

/// The bucket of a link; new, it is full.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    full_ns: u64,
}

impl Bucket {
    /// Takes a packet of `length` bytes through; returns when it leaves, or `None` if it finds a full queue.
    pub(super) fn pass(&mut self, rate: Rate, now_ns: u64, length: usize) -> Option<u64> {
        let time_of = |bytes: u64| {
            let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.bytes_per_second.max(1));
            u64::try_from(nanos).unwrap_or(u64::MAX)
        };
        let burst_ns = time_of(rate.burst_bytes);
        let queue_ns = self.full_ns.saturating_sub(burst_ns).saturating_sub(now_ns);
        if queue_ns > time_of(rate.queue_bytes) {
            return None;
        }
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        self.full_ns = self.full_ns.max(now_ns).saturating_add(time_of(length));
        Some(self.full_ns.saturating_sub(burst_ns).max(now_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { bytes_per_second: 1_000_000, burst_bytes: 5_000, queue_bytes: 10_000 };
    const MS: u64 = 1_000_000;

    #[test]
    fn a_burst_passes_at_once_then_the_rate_and_the_tail_is_dropped() {
        let mut bucket = Bucket::default();
        let leaves: Vec<u64> = (0..100).map_while(|_| bucket.pass(RATE, 0, 1000)).collect();
        assert_eq!(leaves[..5], [0; 5], "the burst");
        assert_eq!(
            leaves[5..],
            (1..=11).map(|number| number * MS).collect::<Vec<_>>(),
            "10,000 bytes wait before the last"
        );
        assert!(bucket.pass(RATE, MS, 1000).is_some(), "a millisecond later there is room for one");
        assert!(bucket.pass(RATE, MS, 1000).is_none());
    }

    #[test]
    fn a_load_below_the_rate_waits_for_nothing() {
        let mut bucket = Bucket::default();
        assert!((0..1000).all(|number| bucket.pass(RATE, number * 2 * MS, 1000) == Some(number * 2 * MS)));
    }

    #[test]
    fn a_pause_saves_a_burst_and_no_more() {
        let mut bucket = Bucket::default();
        assert_eq!((0..100).filter_map(|_| bucket.pass(RATE, 0, 1000)).count(), 16);
        let at_once = (0..100).filter(|_| bucket.pass(RATE, 1000 * MS, 1000) == Some(1000 * MS)).count();
        assert_eq!(at_once, 5);
    }
}
