//! What wires do to packets: conditions of links, and what becomes of the packets of a cut.
//!
//! The words are those of `tc-netem(8)`. Shares are parts per million, so that what is written is read back exactly.

use std::fmt;
use std::time::Duration;

use crate::scalar::{write_bit_rate, write_duration, write_share};

/// How a partition treats packets, and how it is healed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CutMode {
    /// What becomes of the packets.
    pub drop: DropMode,
    /// How the links are healed.
    pub heal: HealMode,
}

/// What becomes of the packets of a cut link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DropMode {
    /// They vanish.
    #[default]
    Lose,
    /// They wait, and arrive when the link is healed.
    Hold,
    /// They vanish, and their sender is told: a reset for TCP.
    Reject,
}

/// How a cut link is healed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HealMode {
    /// It carries packets again; TCP finds out when it tries again.
    #[default]
    Natural,
    /// The last lost packet of each flow is delivered, so that TCP goes on at once.
    Kick,
    /// TCP connections over it are destroyed at both ends.
    Reset,
}

impl DropMode {
    /// All, with their words.
    pub const ALL: [(Self, &'static str); 3] = [(Self::Lose, "lose"), (Self::Hold, "hold"), (Self::Reject, "reject")];
}

impl HealMode {
    /// All, with their words.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Natural, "natural"), (Self::Kick, "kick"), (Self::Reset, "reset")];
}

impl fmt::Display for CutMode {
    /// What differs from the default, as in a plan: `drop: hold, heal: kick`, or nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word =
            |name, default: bool, word: Option<&str>| (!default).then(|| format!("{name}: {}", word.unwrap_or("?")));
        let drop = DropMode::ALL.into_iter().find(|(mode, _)| *mode == self.drop).map(|(_, word)| word);
        let heal = HealMode::ALL.into_iter().find(|(mode, _)| *mode == self.heal).map(|(_, word)| word);
        let words = [
            word("drop", self.drop == DropMode::default(), drop),
            word("heal", self.heal == HealMode::default(), heal),
        ];
        f.write_str(&words.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// What a directed link does to its packets; the default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkConditions {
    /// Every packet takes this much longer.
    pub delay: Duration,
    /// How the delay varies.
    pub jitter: Option<Jitter>,
    /// Which packets are lost.
    pub loss: Option<Loss>,
    /// The share that arrives twice.
    pub duplicate_millionths: u32,
    /// Which packets are overtaken.
    pub reorder: Option<Reorder>,
    /// The share with one bit flipped.
    pub corrupt_millionths: u32,
    /// How much passes.
    pub bits_per_second: Option<u64>,
}

/// How a delay varies from packet to packet; their order stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jitter {
    /// By how much.
    pub by: Duration,
    /// How likely which variation is.
    pub like: Distribution,
}

/// How likely which variation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Distribution {
    /// `by` is the standard deviation.
    #[default]
    Normal,
    /// Between `by` less and `by` more.
    Uniform,
    /// Always more, by `by` on average, and seldom by much more.
    Pareto,
}

impl Distribution {
    /// All, with their words.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Normal, "normal"), (Self::Uniform, "uniform"), (Self::Pareto, "pareto")];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Uniform => "uniform",
            Self::Pareto => "pareto",
        }
    }
}

/// Which packets are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The share, below one.
    pub share_millionths: u32,
    /// How many packets a burst of losses takes on average; 1: each packet is lost or not on its own.
    pub burst: u32,
}

/// Which packets are overtaken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reorder {
    /// The share that is held back.
    pub share_millionths: u32,
    /// For how long.
    pub by: Duration,
}

impl fmt::Display for LinkConditions {
    /// As in a plan: `delay: 50ms, jitter: { by: 10ms, like: normal }`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        if !self.delay.is_zero() {
            words.push(format!("delay: {}", write_duration(self.delay)));
        }
        if let Some(Jitter { by, like }) = self.jitter {
            words.push(format!("jitter: {{ by: {}, like: {} }}", write_duration(by), like.word()));
        }
        if let Some(Loss { share_millionths, burst }) = self.loss {
            words.push(format!("loss: {{ share: {}, burst: {burst} }}", write_share(share_millionths)));
        }
        if self.duplicate_millionths > 0 {
            words.push(format!("duplicate: {}", write_share(self.duplicate_millionths)));
        }
        if let Some(Reorder { share_millionths, by }) = self.reorder {
            words.push(format!("reorder: {{ share: {}, by: {} }}", write_share(share_millionths), write_duration(by)));
        }
        if self.corrupt_millionths > 0 {
            words.push(format!("corrupt: {}", write_share(self.corrupt_millionths)));
        }
        if let Some(rate) = self.bits_per_second {
            words.push(format!("rate: {}", write_bit_rate(rate)));
        }
        f.write_str(&words.join(", "))
    }
}
