//! A way into the nodes for probes: commands that run among a node's processes, and a look at its interfaces.
//!
//! Made from the network alone, before there is a world, since a driver wants it and a world wants the driver. It keeps the
//! namespaces alive, so a command can be started in a node whose processes are all gone; who starts one ends it.

use std::io;
use std::process::Command;
use std::sync::Arc;

use chaos_history::NodeId;
use chaos_net::{Network, Place};
use chaos_systems::{Addresses, Enter};

/// The places of all nodes, service nodes included. Copies of it share them.
#[derive(Clone, Debug)]
pub struct NodeAccess {
    places: Arc<[Place]>,
}

impl NodeAccess {
    /// Access to the nodes of this network.
    ///
    /// # Errors
    /// If descriptors are not to be had.
    pub fn of(network: &Network) -> io::Result<Self> {
        let places = (0..network.nodes()).map(|index| network.place(index));
        Ok(Self { places: places.collect::<io::Result<_>>()? })
    }

    /// Has commands run in a node. With `nonroot`, they also see themselves as a user that isn't root, as programs want it that
    /// refuse to be root.
    #[must_use]
    pub fn enter(&self, nonroot: bool) -> Enter {
        let access = self.clone();
        Arc::new(move |node: NodeId, command: &mut Command| {
            access.place(node)?.start(command)?;
            if nonroot { chaos_net::start_as_nonroot(command) } else { Ok(()) }
        })
    }

    /// Lists the addresses of a node's interfaces.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        let access = self.clone();
        Arc::new(move |node| access.place(node)?.addresses())
    }

    fn place(&self, node: NodeId) -> io::Result<&Place> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("there is no node {node}"));
        self.places.get(node.index()).ok_or_else(missing)
    }
}
