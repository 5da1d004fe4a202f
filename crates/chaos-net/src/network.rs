//! The network between nodes: a star of namespaces, or proxies on the host's loopback.
//!
//! What both can do has one name here. Which faults proxies can't make is known before a run begins ([`crate::cut_of_streams`],
//! [`crate::conditions_of_streams`]); one that gets here all the same is refused with an error.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::{Conditions, ConditionsReceipt, CutMode, CutReceipt, Link, NetError, Place, Proxies, RunMark, Star};

/// What a run's nodes talk over.
#[derive(Debug)]
pub enum Network {
    /// Namespaces around a switch.
    Star(Box<Star>),
    /// Proxies between addresses of the loopback network.
    Proxies {
        /// The proxies.
        proxies: Proxies,
        /// What the run's processes are told by.
        marks: RunMark,
    },
}

/// What faults act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treated {
    /// All packets between nodes.
    Packets,
    /// The bytes of TCP connections between nodes.
    Streams,
}

impl Network {
    /// What faults act on here.
    #[must_use]
    pub fn treated(&self) -> Treated {
        match self {
            Self::Star(_) => Treated::Packets,
            Self::Proxies { .. } => Treated::Streams,
        }
    }

    /// How many nodes there are.
    #[must_use]
    pub fn nodes(&self) -> usize {
        match self {
            Self::Star(star) => star.nodes(),
            Self::Proxies { proxies, .. } => proxies.nodes(),
        }
    }

    /// The node's address, at which the harness reaches it.
    ///
    /// # Panics
    /// When there is no such node.
    #[must_use]
    pub fn address(&self, node_index: usize) -> Ipv4Addr {
        match self {
            Self::Star(star) => star.address(node_index),
            Self::Proxies { proxies, .. } => proxies.address(node_index),
        }
    }

    /// The address under which `viewer` reaches `peer`, by index; its own is its own.
    ///
    /// # Panics
    /// When there is no such node.
    #[must_use]
    pub fn address_seen(&self, viewer: usize, peer: usize) -> Ipv4Addr {
        match self {
            Self::Star(star) => star.address(peer),
            Self::Proxies { proxies, .. } => proxies.address_seen(viewer, peer),
        }
    }

    /// The address of the harness's own services.
    #[must_use]
    pub fn harness_address(&self) -> Ipv4Addr {
        match self {
            Self::Star(star) => star.switch_address(),
            Self::Proxies { proxies, .. } => proxies.harness_address(),
        }
    }

    /// Where the node lives.
    ///
    /// # Errors
    /// When descriptors are not to be had.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn place(&self, node_index: usize) -> io::Result<Place> {
        Ok(match self {
            Self::Star(star) => Place::Namespace(star.namespace(node_index).try_clone_to_owned()?),
            Self::Proxies { proxies, marks } => {
                Place::Host { mark: marks.node(node_index), address: proxies.address(node_index) }
            }
        })
    }

    /// The cut that was set last.
    #[must_use]
    pub fn cuts(&self) -> &BTreeMap<Link, CutMode> {
        match self {
            Self::Star(star) => star.cuts(),
            Self::Proxies { proxies, .. } => proxies.cuts(),
        }
    }

    /// The conditions that were set last.
    #[must_use]
    pub fn conditions(&self) -> &BTreeMap<Link, Conditions> {
        match self {
            Self::Star(star) => star.conditions(),
            Self::Proxies { proxies, .. } => proxies.conditions(),
        }
    }

    /// Replaces the whole map of cut links at once.
    ///
    /// # Errors
    /// As [`Star::set_cuts`] and [`Proxies::set_cuts`].
    pub fn set_cuts(&mut self, cuts: &BTreeMap<Link, CutMode>) -> Result<CutReceipt, NetError> {
        match self {
            Self::Star(star) => star.set_cuts(cuts),
            Self::Proxies { proxies, .. } => proxies.set_cuts(cuts),
        }
    }

    /// Replaces all links' conditions at once. Proxies draw nothing from the seed.
    ///
    /// # Errors
    /// As [`Star::set_conditions`] and [`Proxies::set_conditions`].
    pub fn set_conditions(
        &mut self,
        conditions: &BTreeMap<Link, Conditions>,
        seed: u64,
    ) -> Result<ConditionsReceipt, NetError> {
        match self {
            Self::Star(star) => star.set_conditions(conditions, seed),
            Self::Proxies { proxies, .. } => proxies.set_conditions(conditions),
        }
    }

    /// By when the conditions set last have been in force, shown by probes; `None`: the receipt's word, since nobody but
    /// the proxies' one thread moves bytes.
    ///
    /// # Errors
    /// As [`Star::confirm_conditions`].
    pub fn confirm_conditions(&mut self, within: Duration) -> Result<Option<u64>, NetError> {
        match self {
            Self::Star(star) => star.confirm_conditions(within).map(|effect| Some(effect.in_force_ns)),
            Self::Proxies { .. } => Ok(None),
        }
    }

    /// By when the cut set last has been in force, shown by probes; `None` as of [`Network::confirm_conditions`].
    ///
    /// # Errors
    /// As [`Star::confirm_cut`].
    pub fn confirm_cut(&mut self, within: Duration) -> Result<Option<u64>, NetError> {
        match self {
            Self::Star(star) => star.confirm_cut(within).map(|effect| Some(effect.in_force_ns)),
            Self::Proxies { .. } => Ok(None),
        }
    }
}
