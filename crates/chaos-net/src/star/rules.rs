//! From what is wanted of the links to what the kernel and the fabric do.
//!
//! ```text
//!   a link that is cut to      lose   → set `cut`        and, if the fabric has it, a closed gate
//!                              reject → set `rejected`   and, if the fabric has it, a closed gate
//!                              hold, or lose and kick    → set `conditioned`, a gate that holds or keeps the last
//!   a link with conditions, not cut                      → set `conditioned`, an open gate
//! ```
//!
//! The order of a change is what keeps times apart. First the fabric learns the new treatments, and lets go what it holds
//! on links whose treatment changes; then one transaction changes all sets; then the fabric handles what was queued before
//! that. So after the call no packet of the old rules is left anywhere. A packet sent during the last two steps over a healed
//! link can overtake one that was sent some microseconds before it.

use std::collections::{BTreeMap, BTreeSet};

use super::{CutMode, DropMode, Filter, HealMode, Star, address_of};
use crate::fabric::{Fabric, Gate, Treatment};
use crate::nftables::{CONDITIONED, CUT, Nftables, Pair, REJECTED};
use crate::{Conditions, Link, NetError};

/// What the caller wants of the links.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub(super) cuts: BTreeMap<Link, CutMode>,
    pub(super) conditions: BTreeMap<Link, Conditions>,
    pub(super) seed: u64,
}

/// What the kernel and the fabric do about it.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    cut: BTreeSet<Link>,
    rejected: BTreeSet<Link>,
    treatments: BTreeMap<Link, Treatment>,
    /// Whether the rules are there that reject.
    can_reject: bool,
}

impl Rules {
    /// `old` tells which links the fabric has now: those that are cut must not let go what they hold.
    fn new(wanted: &Wanted, old: &Self) -> Self {
        let mut rules = Self { can_reject: old.can_reject, ..Self::default() };
        let mut treat = |link: &Link, gate: Gate| {
            let (conditions, seed) =
                wanted.conditions.get(link).map_or_else(Default::default, |conditions| (*conditions, wanted.seed));
            rules.treatments.insert(*link, Treatment { conditions, seed, gate });
        };
        wanted.conditions.keys().for_each(|link| treat(link, Gate::Open));
        for (link, mode) in &wanted.cuts {
            let gate = gate_of(*mode);
            if gate != Gate::Closed || wanted.conditions.contains_key(link) || old.treatments.contains_key(link) {
                treat(link, gate);
            }
        }
        let cut_by = |drop: DropMode| {
            let is_so = move |(_, mode): &(&Link, &CutMode)| mode.drop == drop && gate_of(**mode) == Gate::Closed;
            wanted.cuts.iter().filter(is_so).map(|(link, _)| *link).collect()
        };
        (rules.cut, rules.rejected) = (cut_by(DropMode::Lose), cut_by(DropMode::Reject));
        rules
    }
}

/// What the fabric does with the packets of a cut link; `Closed` where the kernel alone suffices.
fn gate_of(mode: CutMode) -> Gate {
    match (mode.drop, mode.heal) {
        (DropMode::Hold, HealMode::Natural | HealMode::Kick | HealMode::Reset) => Gate::Hold,
        (DropMode::Lose, HealMode::Kick) => Gate::KeepLast,
        (DropMode::Lose, HealMode::Natural | HealMode::Reset) => Gate::Closed,
        (DropMode::Reject, HealMode::Natural | HealMode::Kick | HealMode::Reset) => Gate::Closed,
    }
}

fn pairs<'a>(links: impl IntoIterator<Item = &'a Link>) -> Vec<Pair> {
    links.into_iter().map(|link| (address_of(link.from), address_of(link.to))).collect()
}

impl Star {
    /// Makes the kernel and the fabric do what is wanted; returns how many packets were let go because of it. After an error
    /// the old rules are in force.
    pub(super) fn apply(&mut self, wanted: Wanted) -> Result<u64, NetError> {
        let mut rules = Rules::new(&wanted, &self.rules);
        let released = match &mut self.filter {
            Filter::Iptables(_) if !(rules.rejected.is_empty() && rules.treatments.is_empty()) => {
                return Err(NetError::FilterOnlyCuts);
            }
            Filter::Iptables(iptables) => iptables.replace(&pairs(&rules.cut)).map(|()| 0)?,
            Filter::Nftables(nftables) => {
                if !rules.rejected.is_empty() && !rules.can_reject {
                    nftables.install_rejection()?;
                    // Noted at once, since what comes next can fail.
                    (self.rules.can_reject, rules.can_reject) = (true, true);
                }
                if !rules.treatments.is_empty() && self.fabric.is_none() {
                    let fabric = Fabric::start()?;
                    nftables.install_conditions()?;
                    self.fabric = Some(fabric);
                }
                change(nftables, self.fabric.as_ref(), &self.rules, &rules)?
            }
        };
        (self.wanted, self.rules) = (wanted, rules);
        Ok(released)
    }
}

/// The three steps of a change; see the file's head.
fn change(nftables: &mut Nftables, fabric: Option<&Fabric>, old: &Rules, new: &Rules) -> Result<u64, NetError> {
    let fabric = fabric.filter(|_| old.treatments != new.treatments);
    let released = fabric.map_or(Ok(0), |fabric| fabric.replace(new.treatments.clone()))?;
    let mut contents = Vec::new();
    if old.cut != new.cut {
        contents.push((CUT, pairs(&new.cut)));
    }
    if old.rejected != new.rejected {
        contents.push((REJECTED, pairs(&new.rejected)));
    }
    if !old.treatments.keys().eq(new.treatments.keys()) {
        contents.push((CONDITIONED, pairs(new.treatments.keys())));
    }
    if !contents.is_empty() {
        nftables.replace(&contents).inspect_err(|_| {
            // The kernel has kept the old sets; the error to tell is its own.
            let _ = fabric.map(|fabric| fabric.replace(old.treatments.clone()));
        })?;
    }
    fabric.map_or(Ok(()), Fabric::catch_up)?;
    Ok(released)
}
