//! What a directed link does to its packets, as data.
//!
//! The idea: conditions describe a wire, one direction of it, in the terms of `tc-netem(8)` and `tc-tbf(8)`. Chance is
//! seeded: for the same seed, link and conditions, the n-th packet since they were set has the same fate, whatever other
//! links do, and taking one condition away leaves the draws for the others as they were.
//!
//! Two things differ from netem on purpose. Jitter keeps the order of a link's packets, because real jitter comes from
//! queues, and queues don't overtake; who wants packets to overtake says [`Conditions::reorder`]. And a corrupted packet
//! keeps its checksums, so that it is the receiver's work to notice, which is the point.
//!
//! Refuses: shares outside of 0 to 1, and delays beyond [`HOLD_MAX`]. Sources: `tc-netem(8)`, `tc-tbf(8)`; E. N. Gilbert,
//! *Capacity of a burst-noise channel* (1960); E. O. Elliott (1963).

use std::time::Duration;

/// The longest delay, jitter or reordering that a link can be given.
pub const HOLD_MAX: Duration = Duration::from_secs(60);

/// What a directed link does to its packets; the default is nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Conditions {
    /// Every packet takes this much longer.
    pub delay: Duration,
    /// How the delay varies from packet to packet. The order stays.
    pub jitter: Option<Jitter>,
    /// Which packets are lost.
    pub loss: Loss,
    /// The share of packets that arrive twice, 0 to 1. The copy comes right behind the packet.
    pub duplicate: f64,
    /// Which packets are overtaken.
    pub reorder: Option<Reorder>,
    /// The share of packets with one bit flipped behind the IP header, 0 to 1. Checksums stay as sent.
    pub corrupt: f64,
    /// How many bytes a second pass.
    pub rate: Option<Rate>,
}

/// How a link's delay varies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jitter {
    /// The measure of the variation; what it measures depends on the distribution.
    pub spread: Duration,
    /// How likely which variation is.
    pub distribution: Distribution,
}

/// How likely which variation of a delay is. No packet arrives before it was sent: what would, has no delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distribution {
    /// Between delay − spread and delay + spread, all alike.
    Uniform,
    /// Around the delay, with the spread as standard deviation.
    Normal,
    /// Above the delay, by the spread on average, mostly by less and seldom by much more (Pareto, shape 3).
    Pareto,
}

/// Which packets a link loses.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Loss {
    /// None.
    #[default]
    None,
    /// Each packet on its own.
    Independent {
        /// The share that is lost, 0 to 1.
        share: f64,
    },
    /// In bursts (the Gilbert-Elliott model): the link is good or bad, and may change before each packet.
    Bursts {
        /// The chance that a good link turns bad before a packet; one in this many packets begins a burst.
        enter: f64,
        /// The chance that a bad link turns good before a packet; a burst lasts `1 / leave` packets on average.
        leave: f64,
        /// The share that is lost while the link is bad.
        share_bad: f64,
        /// The share that is lost while the link is good.
        share_good: f64,
    },
}

/// Which packets of a link are overtaken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reorder {
    /// The share of packets that are held back, 0 to 1.
    pub share: f64,
    /// By how much; packets sent meanwhile overtake.
    pub by: Duration,
}

/// A token bucket with a queue in front of it. Bytes are those of IP packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// What passes in the long run.
    pub bytes_per_second: u64,
    /// What passes at once after a pause.
    pub burst_bytes: u64,
    /// What waits at most; a packet that finds this much before it is dropped.
    pub queue_bytes: u64,
}

impl Rate {
    /// A bucket of 4 ms, but at least two full packets, and a queue of 100 ms, but at least 32 KiB.
    #[must_use]
    pub fn of(bytes_per_second: u64) -> Self {
        let burst_bytes = (bytes_per_second / 250).max(3_000);
        Self { bytes_per_second, burst_bytes, queue_bytes: (bytes_per_second / 10).max(32 * 1024) }
    }
}

impl Conditions {
    /// What is wrong with them, if anything.
    pub(crate) fn mistake(&self) -> Option<String> {
        let mut shares = vec![("duplicate", self.duplicate), ("corrupt", self.corrupt)];
        match self.loss {
            Loss::None => (),
            Loss::Independent { share } => shares.push(("loss", share)),
            Loss::Bursts { enter, leave, share_bad, share_good } => {
                shares.extend([
                    ("enter", enter),
                    ("leave", leave),
                    ("share_bad", share_bad),
                    ("share_good", share_good),
                ]);
            }
        }
        shares.extend(self.reorder.map(|reorder| ("reorder", reorder.share)));
        let outside = shares.into_iter().find(|(_, share)| !(0.0..=1.0).contains(share));
        if let Some((name, share)) = outside {
            return Some(format!("{name} is {share}, and a share is between 0 and 1"));
        }
        let times = [
            ("delay", Some(self.delay)),
            ("jitter", self.jitter.map(|jitter| jitter.spread)),
            ("reorder", self.reorder.map(|reorder| reorder.by)),
        ];
        let too_long = times.into_iter().find(|(_, time)| time.is_some_and(|time| time > HOLD_MAX));
        if let Some((name, _)) = too_long {
            return Some(format!("{name} is longer than {HOLD_MAX:?}"));
        }
        let stands_still = self.rate.is_some_and(|rate| rate.bytes_per_second == 0);
        stands_still.then(|| "a rate of 0 lets nothing pass: cut the link instead".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_that_mean_nothing_are_told() {
        let none = Conditions::default();
        assert_eq!(none.mistake(), None);
        let wrong = [
            (Conditions { duplicate: 1.5, ..none }, "duplicate"),
            (Conditions { corrupt: f64::NAN, ..none }, "corrupt"),
            (Conditions { loss: Loss::Independent { share: -0.1 }, ..none }, "loss"),
            (Conditions { delay: HOLD_MAX * 2, ..none }, "delay"),
            (Conditions { rate: Some(Rate::of(0)), ..none }, "cut the link"),
            (Conditions { reorder: Some(Reorder { share: 2.0, by: Duration::ZERO }), ..none }, "reorder"),
        ];
        for (conditions, expected) in wrong {
            let mistake = conditions.mistake().unwrap_or_default();
            assert!(mistake.contains(expected), "{conditions:?}: {mistake}");
        }
    }
}
