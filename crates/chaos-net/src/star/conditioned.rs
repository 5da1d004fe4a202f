//! The star's links with conditions: handing them to the fabric, steering their packets to it, showing that both happened.
//!
//! Refuses to confirm conditions by its own bookkeeping: probes must take the delay, and the fabric must have seen them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{SWITCH, Star, Wanted};
use crate::fabric::Fabric;
use crate::{Conditions, FabricCounters, Link, NetError, monotonic_ns};

/// When conditions were set. All stamps are nanoseconds of `CLOCK_MONOTONIC` ([`monotonic_ns`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConditionsReceipt {
    /// Until here the old conditions were in force.
    pub call_begin_ns: u64,
    /// From here on the new conditions are in force, for packets that reach the switch, and no packet is held by the old.
    pub call_end_ns: u64,
    /// Packets that were held by conditions that ended, and were released at once, in the order in which they were due.
    pub released: u64,
}

/// What probes have shown of conditions: links with conditions are queued and delay, others are not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConditionsEffect {
    /// Before the first of the probes that showed it: the latest that the conditions came into force.
    pub in_force_ns: u64,
    /// When that was known.
    pub confirmed_ns: u64,
    /// Directed links that were probed.
    pub links_probed: usize,
}

impl Star {
    /// The conditions that were set last.
    #[must_use]
    pub fn conditions(&self) -> &BTreeMap<Link, Conditions> {
        &self.wanted.conditions
    }

    /// Replaces all links' conditions at once; the empty map heals everything.
    ///
    /// A link whose conditions and seed stay the same goes on undisturbed, its stream of fates included. What the others
    /// hold is released at once, in the order in which it was due; then their streams begin anew. A cut link
    /// carries nothing whatever its conditions are, and when it is healed its stream goes on where it was.
    /// Traffic between the switch and a node has no conditions. To be called in the switch's network namespace.
    ///
    /// # Errors
    /// Before anything is changed: [`NetError::NoSuchLink`], [`NetError::Conditions`], [`NetError::FilterOnlyCuts`].
    /// Otherwise what the kernel refuses, and then the old conditions are set anew; or [`NetError::FabricEnded`].
    pub fn set_conditions(
        &mut self,
        conditions: &BTreeMap<Link, Conditions>,
        seed: u64,
    ) -> Result<ConditionsReceipt, NetError> {
        self.require_links(conditions.keys(), false)?;
        for (link, wanted) in conditions {
            if let Some(mistake) = wanted.mistake() {
                return Err(NetError::Conditions { from: link.from, to: link.to, mistake });
            }
        }
        let call_begin_ns = monotonic_ns();
        let wanted = Wanted { cuts: self.wanted.cuts.clone(), conditions: conditions.clone(), seed };
        let released = self.apply(wanted)?;
        let call_end_ns = monotonic_ns();
        tracing::debug!(
            links = conditions.len(),
            released,
            call_ns = call_end_ns - call_begin_ns,
            "conditions replaced"
        );
        Ok(ConditionsReceipt { call_begin_ns, call_end_ns, released })
    }

    /// Shows by probes that the conditions set last are in force.
    ///
    /// The fabric must have seen a probe over each probed link with conditions, and it must have taken the link's delay; over
    /// other links probes arrive without the fabric. Cut links are not probed. Probes take no part in chance and don't move
    /// it. Takes as long as the longest delay.
    ///
    /// # Errors
    /// [`NetError::ConditionsNotConfirmed`] with what differs, when the time is over; [`NetError::FabricEnded`].
    pub fn confirm_conditions(&mut self, within: Duration) -> Result<ConditionsEffect, NetError> {
        let deadline = Instant::now() + within;
        let conditioned: BTreeSet<Link> = self.wanted.conditions.keys().copied().collect();
        let mut links = self.prober.choose_links(&conditioned);
        links.retain(|link| !self.wanted.cuts.contains_key(link) && link.from != SWITCH && link.to != SWITCH);
        let mut told = None;
        loop {
            let in_force_ns = monotonic_ns();
            let before = self.fabric_counters()?;
            let times = self.prober.time_links(&links, deadline)?;
            let after = self.fabric_counters()?;
            let probes = |counters: &FabricCounters, link| counters.links.get(link).map_or(0, |link| link.probes);
            let disagreement = links.iter().find_map(|link| {
                let is_queued = probes(&after, link) > probes(&before, link);
                disagreement(*link, self.wanted.conditions.get(link), is_queued, times.get(link).copied())
            });
            let Some(detail) = disagreement else {
                return Ok(ConditionsEffect { in_force_ns, confirmed_ns: monotonic_ns(), links_probed: links.len() });
            };
            // The deadline may have cut the last round short.
            let earlier = told.replace(detail.clone());
            if Instant::now() >= deadline {
                return Err(NetError::ConditionsNotConfirmed { within, detail: earlier.unwrap_or(detail) });
            }
        }
    }

    /// What conditions have done so far.
    ///
    /// # Errors
    /// [`NetError::FabricEnded`]; when the kernel does not show its counters.
    pub fn fabric_counters(&self) -> Result<FabricCounters, NetError> {
        self.fabric.as_ref().map_or_else(|| Ok(FabricCounters::default()), Fabric::counters)
    }
}

/// How a probe differs from what is expected of its link.
fn disagreement(
    link: Link,
    conditions: Option<&Conditions>,
    is_queued: bool,
    time: Option<Duration>,
) -> Option<String> {
    let Link { from, to } = link;
    match (conditions, time) {
        (_, None) => Some(format!("no probe has come from node {from} to node {to}")),
        (Some(_), Some(_)) if !is_queued => Some(format!("link {from} -> {to} has conditions and is not queued")),
        (None, Some(_)) if is_queued => Some(format!("link {from} -> {to} has no conditions and is queued")),
        (Some(conditions), Some(time)) if time < conditions.delay => {
            Some(format!("a probe took {time:?} over link {from} -> {to}, whose delay is {:?}", conditions.delay))
        }
        (Some(_) | None, Some(_)) => None,
    }
}
