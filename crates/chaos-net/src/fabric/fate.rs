//! What chance does to the n-th packet of a link.
//!
//! The idea: a counter-based stream. ChaCha's key is the seed, its nonce the link, its position the packet's number times
//! [`WORDS_PER_PACKET`]; so a packet's draws depend on nothing that happened before it. Each kind of mishap has its own
//! place in the packet's draws, and all are drawn always, so that one condition less leaves the others alone. Only the
//! good and bad times of bursty loss are a chain: they follow from all draws before, and so from the seed too.
//!
//! Refuses a generator that is stepped along: a packet more or less would change everything after it.
//! Source: `tc-netem(8)`; J. Salmon et al., *Parallel random numbers: as easy as 1, 2, 3* (2011).

use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Normal, Pareto};

use crate::{Conditions, Distribution, Jitter, Link, Loss};

/// Four blocks of ChaCha, which are computed together; jitter may draw more than once, the others draw twelve words.
const WORDS_PER_PACKET: u128 = 64;
/// Heavy enough that one packet in a thousand is nine times as late as the average, with a mean and a variance.
const PARETO_SHAPE: f64 = 3.0;

/// What happens to one packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fate {
    pub(crate) lost: bool,
    pub(crate) duplicated: bool,
    pub(crate) reordered: bool,
    /// Which bit is flipped: a fraction of the packet's bits behind the IP header.
    pub(crate) corrupted: Option<f64>,
    /// Delay and jitter together.
    pub(crate) delay: Duration,
}

/// The stream of a link's fates.
#[derive(Debug)]
pub(crate) struct Fates {
    conditions: Conditions,
    generator: ChaCha8Rng,
    next_index: u64,
    /// The link is in a bad time of bursty loss.
    bad: bool,
}

impl Fates {
    pub(crate) fn new(conditions: Conditions, seed: u64, link: Link) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let number = |node_index: usize| u64::try_from(node_index).expect("an index has at most 64 bits");
        generator.set_stream((number(link.from) << 32) | number(link.to));
        Self { conditions, generator, next_index: 0, bad: false }
    }

    pub(crate) fn next(&mut self) -> Fate {
        let conditions = self.conditions;
        self.generator.set_word_pos(u128::from(self.next_index) * WORDS_PER_PACKET);
        self.next_index += 1;
        let [turn, loss, duplicate, reorder, corrupt, place]: [f64; 6] = self.generator.random();
        let share_lost = match conditions.loss {
            Loss::None => 0.0,
            Loss::Independent { share } => share,
            Loss::Bursts { enter, leave, share_bad, share_good } => {
                self.bad = if self.bad { turn >= leave } else { turn < enter };
                if self.bad { share_bad } else { share_good }
            }
        };
        Fate {
            lost: loss < share_lost,
            duplicated: duplicate < conditions.duplicate,
            reordered: conditions.reorder.is_some_and(|how| reorder < how.share),
            corrupted: (corrupt < conditions.corrupt).then_some(place),
            delay: conditions
                .jitter
                .map_or(conditions.delay, |jitter| vary(conditions.delay, jitter, &mut self.generator)),
        }
    }
}

fn vary(delay: Duration, jitter: Jitter, generator: &mut impl Rng) -> Duration {
    let spread = jitter.spread.as_secs_f64();
    let by = match jitter.distribution {
        Distribution::Uniform => generator.random_range(-spread..=spread),
        Distribution::Normal => Normal::new(0.0, spread).map_or(0.0, |normal| normal.sample(generator)),
        // The mean of what a Pareto variable exceeds its scale by is scale / (shape - 1). No spread is no scale.
        Distribution::Pareto => {
            let scale = spread * (PARETO_SHAPE - 1.0);
            Pareto::new(scale, PARETO_SHAPE).map_or(0.0, |pareto| pareto.sample(generator) - scale)
        }
    };
    Duration::try_from_secs_f64(delay.as_secs_f64() + by).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reorder;

    const LINK: Link = Link { from: 0, to: 1 };
    const SPREAD: Duration = Duration::from_millis(2);

    fn fates(conditions: Conditions, seed: u64, link: Link) -> Vec<Fate> {
        let mut fates = Fates::new(conditions, seed, link);
        (0..20_000).map(|_| fates.next()).collect()
    }

    fn share(fates: &[Fate], happened: impl Fn(&Fate) -> bool) -> f64 {
        let count = fates.iter().filter(|fate| happened(fate)).count();
        count as f64 / fates.len() as f64
    }

    fn everything() -> Conditions {
        Conditions {
            delay: Duration::from_millis(10),
            jitter: Some(Jitter { spread: SPREAD, distribution: Distribution::Normal }),
            loss: Loss::Independent { share: 0.1 },
            duplicate: 0.2,
            reorder: Some(Reorder { share: 0.3, by: SPREAD }),
            corrupt: 0.4,
            rate: None,
        }
    }

    #[test]
    fn same_seed_and_link_have_the_same_fates_and_others_have_others() {
        let all = fates(everything(), 7, LINK);
        assert_eq!(all, fates(everything(), 7, LINK));
        assert_ne!(all, fates(everything(), 8, LINK));
        assert_ne!(all, fates(everything(), 7, Link { from: 1, to: 0 }));
    }

    #[test]
    fn shares_are_those_asked_for() {
        let all = fates(everything(), 1, LINK);
        // Five standard deviations of a share among 20,000 are at most 0.018.
        for (expected, found) in [
            (0.1, share(&all, |fate| fate.lost)),
            (0.2, share(&all, |fate| fate.duplicated)),
            (0.3, share(&all, |fate| fate.reordered)),
            (0.4, share(&all, |fate| fate.corrupted.is_some())),
            (0.4 * 0.2, share(&all, |fate| fate.corrupted.is_some() && fate.duplicated)),
        ] {
            assert!((expected - found).abs() < 0.018, "{expected}: {found}");
        }
    }

    #[test]
    fn one_condition_less_leaves_the_draws_of_the_others() {
        let all = fates(everything(), 3, LINK);
        let without = fates(Conditions { loss: Loss::None, corrupt: 0.0, ..everything() }, 3, LINK);
        let others = |fate: &Fate| (fate.duplicated, fate.reordered, fate.delay);
        assert!(all.iter().map(others).eq(without.iter().map(others)));
    }

    #[test]
    fn bursts_have_the_length_and_the_share_of_the_model() {
        let loss = Loss::Bursts { enter: 0.02, leave: 0.2, share_bad: 1.0, share_good: 0.0 };
        let all = fates(Conditions { loss, ..Conditions::default() }, 5, LINK);
        let lost = share(&all, |fate| fate.lost);
        assert!((lost - 0.02 / 0.22).abs() < 0.03, "{lost}");
        let bursts = all.windows(2).filter(|pair| !pair[0].lost && pair[1].lost).count();
        let length = lost * all.len() as f64 / bursts as f64;
        assert!((4.0..6.5).contains(&length), "five packets on average, not {length}");
    }

    #[test]
    fn delays_have_the_distribution_asked_for() {
        let delays = |distribution| -> Box<dyn Fn(usize) -> f64> {
            let jitter = Some(Jitter { spread: SPREAD, distribution });
            let conditions = Conditions { delay: Duration::from_millis(10), jitter, ..Conditions::default() };
            let mut delays: Vec<f64> =
                fates(conditions, 11, LINK).iter().map(|fate| fate.delay.as_secs_f64() * 1e3).collect();
            delays.sort_by(f64::total_cmp);
            Box::new(move |of_10_000: usize| delays[of_10_000 * 2])
        };
        let near =
            |found: f64, expected: f64, what: &str| assert!((found - expected).abs() < 0.12, "{what}: {found} ms");
        let uniform = delays(Distribution::Uniform);
        near(uniform(0), 8.0, "uniform, least");
        near(uniform(2_500), 9.0, "uniform, quarter");
        near(uniform(9_999), 12.0, "uniform, most");
        let normal = delays(Distribution::Normal);
        near(normal(5_000), 10.0, "normal, half");
        near(normal(8_413), 12.0, "normal, one deviation");
        let pareto = delays(Distribution::Pareto);
        near(pareto(0), 10.0, "Pareto, least");
        near(pareto(5_000), 10.0 + 4.0 * (2.0_f64.cbrt() - 1.0), "Pareto, half");
        assert!(pareto(9_990) > 10.0 + 4.0 * 7.0, "Pareto has a tail: {}", pareto(9_990));
    }

    #[test]
    fn no_packet_arrives_before_it_was_sent() {
        let jitter = Some(Jitter { spread: SPREAD, distribution: Distribution::Normal });
        let all = fates(Conditions { jitter, ..Conditions::default() }, 13, LINK);
        assert!((0.45..0.55).contains(&share(&all, |fate| fate.delay.is_zero())));
    }
}
