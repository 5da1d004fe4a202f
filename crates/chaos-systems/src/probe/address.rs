//! Whether a node has an address: VRRP's leader is who has the virtual one.

use std::net::Ipv4Addr;

use chaos_history::NodeId;

use super::{Reply, silent};
use crate::access::Addresses;
use crate::driver::ProbeError;

/// Looks at the node's interfaces.
pub(super) fn ask(addresses_of: &Addresses, node: NodeId, address: &str) -> Result<Reply, ProbeError> {
    let wanted: Ipv4Addr =
        address.trim().parse().map_err(|_| ProbeError::Garbage(format!("`{address}` is no IPv4 address")))?;
    let all = addresses_of(node).map_err(|error| silent("read the node's addresses", &error))?;
    Ok(Reply::of_json(all.contains(&wanted).into()))
}
