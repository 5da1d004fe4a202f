//! Whether a node has taken an address: VRRP's leader is who has the virtual one.
//!
//! An address outlives the process that took it, which a crash of the whole host would not let it: a node that is started again finds
//! it on its interface. That is the harness's doing, not the new process's, so it is no claim until it has been gone once.
//!
//! ```text
//!   n1:  ─[takes it]══════ killed ─ started ══════[removes it]──────[takes it]══════
//!         a claim                    no claim                        a claim
//! ```

use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use chaos_history::NodeId;

use super::{Reply, silent};
use crate::access::Addresses;
use crate::driver::ProbeError;

/// What is known of an address that a node has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Origin {
    /// The node was never started, so whatever it has it is given later.
    #[default]
    Unstarted,
    /// The process that runs now took it.
    Own,
    /// An earlier process may have left it behind.
    Left,
}

/// Whose doing the addresses of the nodes are.
#[derive(Debug)]
pub(crate) struct Taken(Mutex<Vec<Origin>>);

impl Taken {
    /// Nodes of which none was started yet.
    pub(crate) fn new(nodes: usize) -> Self {
        Self(Mutex::new(vec![Origin::default(); nodes]))
    }

    /// The node is about to be started.
    pub(crate) fn restart(&self, node: NodeId) {
        let mut origins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        origins[node.index()] = match origins[node.index()] {
            Origin::Unstarted => Origin::Own,
            Origin::Own | Origin::Left => Origin::Left,
        };
    }

    /// Whether the node's process took the address that it has or has not.
    fn claims(&self, node: NodeId, has: bool) -> bool {
        let mut origins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = &mut origins[node.index()];
        if !has && *origin == Origin::Left {
            *origin = Origin::Own;
        }
        has && *origin != Origin::Left
    }
}

/// Looks at the node's interfaces.
pub(super) fn ask(addresses_of: &Addresses, taken: &Taken, node: NodeId, address: &str) -> Result<Reply, ProbeError> {
    let wanted: Ipv4Addr =
        address.trim().parse().map_err(|_| ProbeError::Garbage(format!("`{address}` is no IPv4 address")))?;
    let all = addresses_of(node).map_err(|error| silent("read the node's addresses", &error))?;
    Ok(Reply::of_json(taken.claims(node, all.contains(&wanted)).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_an_earlier_process_left_behind_is_no_claim_until_it_has_been_gone() {
        let (node, other) = (NodeId::new(1), NodeId::new(2));
        let taken = Taken::new(2);
        taken.restart(node);
        taken.restart(other);
        assert!(taken.claims(node, true), "the first process can only have taken it");
        assert!(!taken.claims(node, false));
        assert!(taken.claims(node, true));
        taken.restart(node);
        assert!(!taken.claims(node, true), "left behind");
        assert!(taken.claims(other, true), "each node for itself");
        assert!(!taken.claims(node, false));
        assert!(taken.claims(node, true), "taken anew");
    }
}
