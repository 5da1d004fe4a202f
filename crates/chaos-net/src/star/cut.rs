//! The star's cuts: which links carry nothing, what becomes of their packets, and how a heal goes.
//!
//! The idea: a cut is the whole map of cut links, replaced at once. What is lost or rejected is so in the kernel; packets that
//! wait for the heal, and last packets that are to be sent again, are held by the fabric behind a gate of each link.
//!
//! Refuses to confirm a cut by its own bookkeeping: probes must be lost where it cuts and delivered where it does not.
//! Sources: `nft(8)` for `reject`; RFC 6298 for why a healed connection is silent for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use super::{Filter, Star, Wanted, address_of, link_between};
use crate::{Link, NetError, connections, monotonic_ns};

/// How a link is cut and healed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CutMode {
    /// What becomes of its packets.
    pub drop: DropMode,
    /// How it is healed.
    pub heal: HealMode,
}

/// What becomes of a cut link's packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DropMode {
    /// They vanish, and nobody is told.
    #[default]
    Lose,
    /// They wait, and arrive in their order when the link is healed.
    Hold,
    /// They vanish, and their sender is told: a reset for TCP, "port unreachable" for everything else. The receiver learns
    /// nothing, unless the link back is cut in the same way.
    Reject,
}

/// How a link is healed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HealMode {
    /// It carries packets again. TCP finds out when it sends again, which takes about two thirds of the cut's length.
    #[default]
    Natural,
    /// The last packet of each flow that was lost ([`DropMode::Lose`]) is delivered, so that TCP goes on at once. It can't be
    /// told from a packet that was very late.
    Kick,
    /// TCP connections between the two nodes are destroyed on both sides, just before the link is healed.
    Reset,
}

/// When a cut was made. All stamps are nanoseconds of `CLOCK_MONOTONIC` ([`monotonic_ns`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutReceipt {
    /// Before the kernel was asked: until here the old cut was in force.
    pub call_begin_ns: u64,
    /// After the kernel had acknowledged: from here on the new cut is in force for packets that reach the switch.
    pub call_end_ns: u64,
    /// Packets that the old cut held, and that went on because their links are healed.
    pub released: u64,
    /// Ends of connections that were destroyed because of [`HealMode::Reset`]. Over a one-way cut the reset of the first end
    /// may end the second before we do.
    pub destroyed: u64,
    /// What probes have shown, once [`Star::confirm_cut`] has run; [`Star::set_cut`] leaves it empty.
    pub effect: Option<CutEffect>,
}

/// What probes have shown of a cut: probed cut links lose, probed other links deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutEffect {
    /// Before the first probe that behaved as expected, with all later ones: the latest that the cut came into force.
    pub in_force_ns: u64,
    /// When that was known.
    pub confirmed_ns: u64,
    /// Directed links that were probed: all of them in a star of up to 22 nodes, otherwise an even choice.
    pub links_probed: usize,
    /// Rounds of probes until two in a row agreed.
    pub rounds: u32,
}

impl Star {
    /// The links that are cut.
    #[must_use]
    pub fn cut(&self) -> BTreeSet<Link> {
        self.wanted.cuts.keys().copied().collect()
    }

    /// The cut that was set last, each link with its mode.
    #[must_use]
    pub fn cuts(&self) -> &BTreeMap<Link, CutMode> {
        &self.wanted.cuts
    }

    /// [`Star::set_cuts`] with the default mode: packets are lost silently, and healed links left to themselves.
    ///
    /// # Errors
    /// As [`Star::set_cuts`].
    pub fn set_cut(&mut self, cut: &BTreeSet<Link>) -> Result<CutReceipt, NetError> {
        self.set_cuts(&cut.iter().map(|link| (*link, CutMode::default())).collect())
    }

    /// Replaces the whole map of cut links at once; the empty map heals everything.
    ///
    /// Nothing passes a cut link, whatever connection it belongs to; what its conditions hold is dropped, or waits for the heal
    /// with [`DropMode::Hold`]. Traffic between a node and the switch is cut where the map says so, by [`crate::SWITCH`], and only in the
    /// default mode. Packets that had passed the switch before still arrive. A link is healed as the mode says with which it was cut last.
    ///
    /// # Errors
    /// [`NetError::NoSuchLink`], [`NetError::FilterOnlyCuts`], before anything is changed; otherwise what the kernel refuses,
    /// and then the old cut stays.
    pub fn set_cuts(&mut self, cuts: &BTreeMap<Link, CutMode>) -> Result<CutReceipt, NetError> {
        let legs_are_lost = cuts.iter().filter(|(_, mode)| **mode != CutMode::default()).map(|(link, _)| link);
        self.require_links(cuts.keys(), true)?;
        self.require_links(legs_are_lost, false)?;
        let call_begin_ns = monotonic_ns();
        let healed = self.wanted.cuts.iter().filter(|(link, _)| !cuts.contains_key(link));
        let to_reset: Vec<Link> =
            healed.filter(|(_, mode)| mode.heal == HealMode::Reset).map(|(link, _)| *link).collect();
        let destroyed = self.destroy_connections(&to_reset)?;
        let released = self.apply(Wanted { cuts: cuts.clone(), ..self.wanted.clone() })?;
        let call_end_ns = monotonic_ns();
        tracing::debug!(links = cuts.len(), released, destroyed, call_ns = call_end_ns - call_begin_ns, "cut replaced");
        Ok(CutReceipt { call_begin_ns, call_end_ns, released, destroyed, effect: None })
    }

    /// Shows by probes that the cut set last is in force: datagrams over cut links are lost, over the others delivered.
    ///
    /// The probes are ours (UDP port 9 in each namespace); what the node programs send is not touched. A lost probe
    /// counts only when a later datagram from the switch has reached the same receiver, and two rounds must agree.
    /// Takes about 15 µs per probed link. Links with conditions that are not cut are not probed: see
    /// [`Star::confirm_conditions`].
    ///
    /// # Errors
    /// [`NetError::NotConfirmed`] with what differs, when the time is over.
    pub fn confirm_cut(&mut self, within: Duration) -> Result<CutEffect, NetError> {
        let conditions = &self.wanted.conditions;
        let cut = self.wanted.cuts.keys().copied().collect();
        let agreement = self.prober.confirm(&cut, |link| conditions.contains_key(link), within)?;
        Ok(CutEffect {
            in_force_ns: agreement.in_force_ns,
            confirmed_ns: agreement.confirmed_ns,
            links_probed: agreement.links_probed,
            rounds: agreement.rounds,
        })
    }

    /// The links that the kernel loses packets of, or `None` with [`crate::FilterKind::Iptables`], which offers no way to ask.
    ///
    /// # Errors
    /// When the kernel refuses the listing.
    pub fn installed_cut(&mut self) -> Result<Option<BTreeSet<Link>>, NetError> {
        let Filter::Nftables(nftables) = &mut self.filter else { return Ok(None) };
        Ok(Some(nftables.read_back()?.into_iter().filter_map(link_between).collect()))
    }

    /// Packets that cuts have dropped or rejected in the kernel so far, probes included, or `None` with
    /// [`crate::FilterKind::Iptables`].
    ///
    /// # Errors
    /// When the kernel refuses the reading.
    pub fn packets_dropped(&mut self) -> Result<Option<u64>, NetError> {
        match &mut self.filter {
            Filter::Nftables(nftables) => nftables.packets_dropped().map(Some),
            Filter::Iptables(_) => Ok(None),
        }
    }

    /// Destroys the TCP connections over these links, at both ends; returns how many ends that were.
    fn destroy_connections(&self, links: &[Link]) -> Result<u64, NetError> {
        let mut peers: BTreeMap<usize, BTreeSet<Ipv4Addr>> = BTreeMap::new();
        for Link { from, to } in links {
            peers.entry(*from).or_default().insert(address_of(*to));
            peers.entry(*to).or_default().insert(address_of(*from));
        }
        let destroy = |(node, peers): (&usize, &BTreeSet<Ipv4Addr>)| connections::destroy(self.namespace(*node), peers);
        peers.iter().map(destroy).sum()
    }
}
