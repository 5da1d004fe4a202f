//! Cuts and conditions of links: from the plan's words to the switch, and how their effect is confirmed.
//!
//! A command carries the whole state of the network, so that faults that overlap end in any order. Only what differs is changed:
//! conditions first, so that a link which is healed at the same time has them when its packets come.

use std::collections::BTreeMap;
use std::time::Duration;

use chaos_engine::Cut;
use chaos_history::{RunNanos, Stamps};
use chaos_net::{Capture, CaptureSummary, Link, NetError, SWITCH, chain, monotonic_ns};
use chaos_plan::{CutMode, Distribution, DropMode, HealMode, LinkConditions};

use crate::world::{RealWorld, WorldError};

/// How long the probes of a cut may take to agree.
const CUT_CONFIRMED_WITHIN: Duration = Duration::from_millis(100);
/// The longest delay that probes are sent through: they take as long, and nothing else is done meanwhile.
const PROBED_DELAY_MAX: Duration = Duration::from_millis(20);

/// When the switch was told, on the host's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) begin_ns: u64,
    pub(crate) end_ns: u64,
    /// Whether probes are to look at conditions.
    conditions: bool,
}

impl RealWorld {
    /// Has the switch treat packets like this, and confirms it.
    pub(crate) fn cut(&mut self, cut: &Cut, stamps: &mut Stamps) -> Result<Option<String>, WorldError> {
        let told = match self.filter(cut) {
            Ok(told) => told,
            Err(error) => {
                stamps.call_end = self.clock.now();
                return Ok(Some(chain(&error)));
            }
        };
        stamps.call_begin = self.clock.from_monotonic(told.begin_ns);
        stamps.call_end = self.clock.from_monotonic(told.end_ns);
        stamps.effect = self.confirm_cut(told)?;
        Ok(None)
    }

    /// Ends the capture, if there is one, and notes what it has.
    pub(crate) fn end_capture(&mut self) -> Result<(), WorldError> {
        match self.capture.take().map(Capture::stop) {
            None => Ok(()),
            Some(Ok(CaptureSummary { packets, missing: 0 })) => {
                self.note(format!("the capture has {packets} packets, each at both ends of its link"))
            }
            Some(Ok(CaptureSummary { packets, missing })) => {
                self.remark(format!("the capture has {packets} packets, and {missing} came too fast for it"))
            }
            Some(Err(error)) => self.remark(format!("the capture is not whole: {}", chain(&error))),
        }
    }

    /// Has the switch treat packets like this.
    pub(crate) fn filter(&mut self, cut: &Cut) -> Result<Told, NetError> {
        let cuts = cuts_of(cut);
        let conditions: BTreeMap<Link, chaos_net::Conditions> =
            cut.conditions.iter().map(|(link, wanted)| (link_of(*link), conditions_of(wanted))).collect();
        let now_ns = monotonic_ns();
        let mut told = Told { begin_ns: now_ns, end_ns: now_ns, conditions: false };
        if conditions != *self.network.conditions() {
            let receipt = self.network.set_conditions(&conditions, self.seed.0)?;
            told = Told { begin_ns: receipt.call_begin_ns, end_ns: receipt.call_end_ns, conditions: true };
        }
        if cuts != *self.network.cuts() {
            let receipt = self.network.set_cuts(&cuts)?;
            let begin_ns = if told.conditions { told.begin_ns } else { receipt.call_begin_ns };
            told = Told { begin_ns, end_ns: receipt.call_end_ns, ..told };
        }
        Ok(told)
    }

    /// When it has been in force at the latest, if probes can tell.
    pub(crate) fn confirm_cut(&mut self, told: Told) -> Result<Option<RunNanos>, WorldError> {
        let longest = self.network.conditions().values().map(longest).max().unwrap_or_default();
        let conditions = match (told.conditions, longest > PROBED_DELAY_MAX) {
            (false, _) => Ok(None),
            // From the kernel's answer on, the fabric has every packet.
            (true, true) => Ok(Some(told.end_ns)),
            (true, false) => {
                let effect = self.network.confirm_conditions(longest + CUT_CONFIRMED_WITHIN);
                effect.map(|in_force_ns| in_force_ns.or(Some(told.end_ns)))
            }
        };
        let cut = self.network.confirm_cut(CUT_CONFIRMED_WITHIN).map(|in_force_ns| in_force_ns.unwrap_or(told.end_ns));
        match (conditions, cut) {
            (Ok(conditions), Ok(cut)) => {
                Ok(Some(self.clock.from_monotonic(conditions.unwrap_or(cut).max(told.begin_ns))))
            }
            (Err(error), _) | (_, Err(error)) => {
                self.remark(format!("what becomes of packets could not be confirmed: {}", chain(&error)))?;
                Ok(None)
            }
        }
    }
}

fn link_of(link: chaos_history::Link) -> Link {
    Link { from: link.from.index(), to: link.to.index() }
}

fn cuts_of(cut: &Cut) -> BTreeMap<Link, chaos_net::CutMode> {
    let between = cut.links.iter().map(|(link, mode)| (link_of(*link), mode_of(*mode)));
    let legs = cut.legs.iter().flat_map(|node| [(SWITCH, node.index()), (node.index(), SWITCH)]);
    between.chain(legs.map(|(from, to)| (Link { from, to }, chaos_net::CutMode::default()))).collect()
}

fn mode_of(mode: CutMode) -> chaos_net::CutMode {
    let drop = match mode.drop {
        DropMode::Lose => chaos_net::DropMode::Lose,
        DropMode::Hold => chaos_net::DropMode::Hold,
        DropMode::Reject => chaos_net::DropMode::Reject,
    };
    let heal = match mode.heal {
        HealMode::Natural => chaos_net::HealMode::Natural,
        HealMode::Kick => chaos_net::HealMode::Kick,
        HealMode::Reset => chaos_net::HealMode::Reset,
    };
    chaos_net::CutMode { drop, heal }
}

fn share(millionths: u32) -> f64 {
    f64::from(millionths) / 1e6
}

fn conditions_of(wanted: &LinkConditions) -> chaos_net::Conditions {
    chaos_net::Conditions {
        delay: wanted.delay,
        jitter: wanted.jitter.map(|jitter| chaos_net::Jitter {
            spread: jitter.by,
            distribution: match jitter.like {
                Distribution::Normal => chaos_net::Distribution::Normal,
                Distribution::Uniform => chaos_net::Distribution::Uniform,
                Distribution::Pareto => chaos_net::Distribution::Pareto,
            },
        }),
        loss: wanted.loss.map_or(chaos_net::Loss::None, |loss| loss_of(share(loss.share_millionths), loss.burst)),
        duplicate: share(wanted.duplicate_millionths),
        reorder: wanted
            .reorder
            .map(|reorder| chaos_net::Reorder { share: share(reorder.share_millionths), by: reorder.by }),
        corrupt: share(wanted.corrupt_millionths),
        rate: wanted.bits_per_second.map(|bits| chaos_net::Rate::of(bits / 8)),
    }
}

/// Gilbert's model: a bad link loses everything and stays bad for `burst` packets on average, and the link is bad for `share` of the
/// packets. Of a share that leaves no room between such bursts, the link turns bad as often as it can.
fn loss_of(share: f64, burst: u32) -> chaos_net::Loss {
    if burst <= 1 {
        return chaos_net::Loss::Independent { share };
    }
    let leave = 1.0 / f64::from(burst);
    let enter = (share * leave / (1.0 - share)).min(1.0);
    chaos_net::Loss::Bursts { enter, leave, share_bad: 1.0, share_good: 0.0 }
}

/// About the longest that a link holds a packet.
fn longest(conditions: &chaos_net::Conditions) -> Duration {
    let jitter = conditions.jitter.map_or(Duration::ZERO, |jitter| 4 * jitter.spread);
    let reorder = conditions.reorder.map_or(Duration::ZERO, |reorder| reorder.by);
    conditions.delay + jitter + reorder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_lose_the_share_that_was_asked_for() {
        let chaos_net::Loss::Bursts { enter, leave, .. } = loss_of(0.2, 4) else { panic!("a burst") };
        // The stationary share of the bad state.
        assert!((enter / (enter + leave) - 0.2).abs() < 1e-9);
        assert_eq!(loss_of(0.2, 1), chaos_net::Loss::Independent { share: 0.2 });
    }
}
