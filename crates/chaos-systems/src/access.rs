//! How a driver reaches into a node without knowing what a namespace is.
//!
//! Whoever made the nodes' namespaces hands these out; a driver only calls them.

use std::io;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Arc;

use chaos_history::NodeId;

/// Has a command run among a node's processes when it is spawned: in its network, and so ended, paused and counted with it.
pub type Enter = Arc<dyn Fn(NodeId, &mut Command) -> io::Result<()> + Send + Sync>;

/// The address of every node as every node is told it, `views[viewer][peer]`; a node's own is its own. Where there are none, each node has
/// one address for all.
pub type Views = Vec<Vec<Ipv4Addr>>;

/// The IPv4 addresses that a node's interfaces have at the moment, loopback included.
pub type Addresses = Arc<dyn Fn(NodeId) -> io::Result<Vec<Ipv4Addr>> + Send + Sync>;
