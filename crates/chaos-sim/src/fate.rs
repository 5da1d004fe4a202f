//! What the conditions of a link do to the messages of the TCP connection on it, as far as a stream shows it.
//!
//! | condition | what the stream shows |
//! |---|---|
//! | delay, jitter | the message is later; the order stays |
//! | loss, corrupt | the message, and all behind it, waits for a retransmission |
//! | reorder | the message is held back, and all behind it with it: a stream is put together again in its order |
//! | duplicate | nothing: the second copy is thrown away |
//! | rate | a message waits until those before it are through, then takes its length |
//!
//! Each mishap has a stream of draws of its own, so that one condition less leaves the others alone.

use std::time::Duration;

use chaos_history::Seed;
use chaos_plan::{Distribution, Jitter, LinkConditions, Loss};

use crate::random::{Draws, Purpose, nanos};
use crate::tables::{NORMAL_MILLIONTHS, PARETO_MILLIONTHS};

/// What frames and headers add to a message, bytes: our frame, TCP with time stamps, IP, Ethernet.
const OVERHEAD_BYTES: u64 = 8 + 32 + 20 + 14;
/// The payload of one packet, bytes.
const PACKET_BYTES: u64 = 1448;

/// What becomes of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    /// One of its packets must be sent again.
    pub(crate) lost: bool,
    /// By how much it is later than over a good link, nanoseconds.
    pub(crate) delay: u64,
}

/// A link's conditions under way.
#[derive(Debug)]
pub(crate) struct Fates {
    conditions: LinkConditions,
    jitter: Draws,
    loss: Draws,
    reorder: Draws,
    corrupt: Draws,
    /// Whether the last packet was lost: bursts go on.
    in_burst: bool,
    /// When the last byte has passed, of a link with a rate.
    free_at: u64,
}

impl Fates {
    /// The fates of the link of this number under these conditions.
    pub(crate) fn new(conditions: LinkConditions, seed: Seed, link: usize) -> Self {
        let draws = |mishap: usize| Draws::new(seed, Purpose::Fate, link * 8 + mishap);
        Self {
            conditions,
            jitter: draws(0),
            loss: draws(1),
            reorder: draws(2),
            corrupt: draws(3),
            in_burst: false,
            free_at: 0,
        }
    }

    /// What is asked of the link.
    pub(crate) fn conditions(&self) -> &LinkConditions {
        &self.conditions
    }

    /// The same draws under other conditions.
    pub(crate) fn become_like(&mut self, conditions: LinkConditions) {
        self.conditions = conditions;
    }

    /// Whether lengths count.
    pub(crate) fn has_rate(&self) -> bool {
        self.conditions.bits_per_second.is_some()
    }

    /// What becomes of a message of so many bytes that leaves now.
    pub(crate) fn next(&mut self, now: u64, bytes: usize) -> Fate {
        let conditions = self.conditions;
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let packets = bytes.div_ceil(PACKET_BYTES).max(1);
        let mut delay = self.varied();
        if let Some(reorder) = conditions.reorder
            && self.reorder.happens(reorder.share_millionths)
        {
            delay += nanos(reorder.by);
        }
        if let Some(rate) = conditions.bits_per_second {
            let bits = bytes.saturating_add(packets * OVERHEAD_BYTES).saturating_mul(8);
            let took = u128::from(bits) * 1_000_000_000 / u128::from(rate.max(1));
            self.free_at = self.free_at.max(now).saturating_add(u64::try_from(took).unwrap_or(u64::MAX));
            delay = delay.saturating_add(self.free_at - now);
        }
        let mut lost = false;
        for _ in 0..packets.min(64) {
            lost |= self.loses();
            lost |= self.corrupt.happens(conditions.corrupt_millionths);
        }
        Fate { lost, delay }
    }

    /// Whether one packet is lost. In bursts of `n` on average, losses begin so rarely that the share stays what was asked for.
    fn loses(&mut self) -> bool {
        let Some(Loss { share_millionths, burst }) = self.conditions.loss else { return false };
        let share = u64::from(share_millionths.min(999_999));
        let burst = u64::from(burst.max(1));
        let likely = if burst == 1 {
            share
        } else if self.in_burst {
            1_000_000 - 1_000_000 / burst
        } else {
            share * 1_000_000 / (1_000_000 - share) / burst
        };
        self.in_burst = self.loss.below(1_000_000) < likely;
        self.in_burst
    }

    /// Delay and jitter together.
    fn varied(&mut self) -> u64 {
        let delay = nanos(self.conditions.delay);
        let Some(Jitter { by, like }) = self.conditions.jitter else { return delay };
        let by = i128::from(nanos(by));
        let millionths = match like {
            Distribution::Uniform => {
                i64::try_from(self.jitter.below(2_000_001)).expect("below two million") - 1_000_000
            }
            Distribution::Normal => self.jitter.pick(&NORMAL_MILLIONTHS),
            Distribution::Pareto => self.jitter.pick(&PARETO_MILLIONTHS),
        };
        let varied = i128::from(delay) + by * i128::from(millionths) / 1_000_000;
        u64::try_from(varied.max(0)).unwrap_or(u64::MAX)
    }
}

/// How long a stream may take to and fro without variation.
pub(crate) fn there_and_back(there: Option<&Fates>, back: Option<&Fates>) -> u64 {
    let delay = |fates: Option<&Fates>| fates.map_or(Duration::ZERO, |fates| fates.conditions().delay);
    nanos(delay(there) + delay(back))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chaos_plan::Reorder;

    const MS: u64 = 1_000_000;

    fn fates(conditions: LinkConditions) -> Vec<Fate> {
        let mut fates = Fates::new(conditions, Seed(5), 3);
        (0..20_000).map(|index| fates.next(index * MS, 40)).collect()
    }

    fn share(fates: &[Fate], which: impl Fn(&Fate) -> bool) -> f64 {
        fates.iter().filter(|fate| which(fate)).count() as f64 / fates.len() as f64
    }

    #[test]
    fn shares_are_what_was_asked_for_in_bursts_too() {
        for burst in [1, 5] {
            let loss = Some(Loss { share_millionths: 100_000, burst });
            let drawn = fates(LinkConditions { loss, ..LinkConditions::default() });
            assert!((share(&drawn, |fate| fate.lost) - 0.1).abs() < 0.012, "burst {burst}");
            let pairs = drawn.windows(2).filter(|pair| pair[0].lost);
            let goes_on = pairs.clone().filter(|pair| pair[1].lost).count() as f64 / pairs.count() as f64;
            let expected = if burst == 1 { 0.1 } else { 0.8 };
            assert!((goes_on - expected).abs() < 0.04, "burst {burst}: {goes_on}");
        }
    }

    #[test]
    fn delays_vary_as_their_distribution_does() {
        let delay = Duration::from_millis(20);
        for (like, below_mean) in
            [(Distribution::Uniform, 0.5), (Distribution::Normal, 0.5), (Distribution::Pareto, 0.70)]
        {
            let jitter = Some(Jitter { by: Duration::from_millis(2), like });
            let drawn = fates(LinkConditions { delay, jitter, ..LinkConditions::default() });
            let mean = drawn.iter().map(|fate| fate.delay).sum::<u64>() / 20_000;
            let expected = if like == Distribution::Pareto { 22 * MS } else { 20 * MS };
            assert!(mean.abs_diff(expected) < MS / 10, "{like:?}: {mean}");
            let below = share(&drawn, |fate| fate.delay < mean);
            assert!((below - below_mean).abs() < 0.03, "{like:?}: {below}");
        }
    }

    #[test]
    fn one_condition_less_leaves_the_others_alone() {
        let loss = Some(Loss { share_millionths: 300_000, burst: 1 });
        let reorder = Some(Reorder { share_millionths: 300_000, by: Duration::from_millis(9) });
        let both = fates(LinkConditions { loss, reorder, ..LinkConditions::default() });
        let one = fates(LinkConditions { loss, ..LinkConditions::default() });
        assert!(both.iter().zip(&one).all(|(both, one)| both.lost == one.lost));
        assert!((share(&both, |fate| fate.delay == 9 * MS) - 0.3).abs() < 0.02);
    }

    #[test]
    fn a_thin_link_lets_messages_through_one_after_the_other() {
        let conditions = LinkConditions { bits_per_second: Some(1_000_000), ..LinkConditions::default() };
        let mut fates = Fates::new(conditions, Seed(1), 0);
        let one = fates.next(0, 51).delay;
        assert_eq!(one, 1_000_000, "125 bytes at a megabit");
        assert_eq!(fates.next(0, 51).delay, 2 * one);
        assert_eq!(fates.next(10 * one, 51).delay, one);
    }
}
