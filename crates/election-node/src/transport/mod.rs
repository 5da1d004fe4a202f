//! Messages between nodes over TCP: one connection per direction, dialled by the sender.
//!
//! The point of every choice here is that *the protocol's* recovery is what a harness measures, not TCP's: no Nagle delay;
//! data that is not acknowledged for twice the election timeout ends the connection (TCP_USER_TIMEOUT) instead of waiting
//! out the kernel's doubling retransmission timer; a dial is given up after about one heartbeat and tried again at a
//! constant pace, because a SYN would back off just the same. Queues are bounded and drop their oldest message.
//!
//! A message is for one life of a node ([`NodeId`]): what was meant for a former one is dropped by who receives it.
//!
//! It refuses to authenticate: a connection that names a listed node of the same cluster is believed. This is a node for
//! tests on one host or in namespaces, not for an open network.

mod frame;
mod inbound;
mod outbound;
mod queue;
pub(crate) mod socket;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use election::{Algorithm, NodeId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::frame::{Hello, encode_greeting, encode_message};
use self::queue::Queue;
use crate::arguments::AddressBook;
use crate::error::NodeError;
use crate::inbox::Inbox;
use crate::metrics::Metrics;

/// How long the transport waits for what; on the host's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// How long a dial may take.
    pub(crate) connect_timeout: Duration,
    /// The pause between two dials, plus up to as much again at random.
    pub(crate) redial_delay: Duration,
    /// How long sent data may stay unacknowledged before the connection is given up.
    pub(crate) user_timeout: Duration,
    /// A message that waited longer than this is not sent.
    pub(crate) message_age_max: Duration,
}

impl Timing {
    /// What suits a protocol with this heartbeat and this longest election timeout.
    pub(crate) fn suited_to(heartbeat: Duration, election_timeout_max: Duration) -> Self {
        Self {
            connect_timeout: heartbeat.max(Duration::from_millis(50)),
            redial_delay: (heartbeat / 2).clamp(Duration::from_millis(5), Duration::from_millis(500)),
            user_timeout: election_timeout_max * 2,
            message_age_max: election_timeout_max,
        }
    }
}

/// Who this node is to its peers.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    pub(crate) id: NodeId,
    pub(crate) cluster: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) bind: IpAddr,
}

/// Puts messages on their way; used by the protocol thread.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// By peer, whatever its life.
    queues: BTreeMap<NodeId, Arc<Queue>>,
    metrics: Arc<Metrics>,
}

impl Outbox {
    /// Queues a message; never waits. A message to an unknown node is lost, with a warning.
    pub(crate) fn send<M: Serialize>(&self, to: NodeId, message: &M) {
        let Some(queue) = self.queues.get(&to.in_first_life()) else {
            tracing::warn!(peer = %to, "lost a message to a node that is not listed");
            return;
        };
        let Some(frame) = encode_message(to, message) else {
            tracing::error!(peer = %to, limit = frame::BODY_BYTES_MAX, "lost a message above the size limit");
            return;
        };
        self.metrics.messages_sent.fetch_add(1, Relaxed);
        let dropped = queue.push(frame, Instant::now());
        self.metrics.messages_dropped_out.fetch_add(dropped, Relaxed);
    }
}

#[cfg(test)]
impl Outbox {
    /// An outbox that nobody empties.
    pub(crate) fn unconnected(peers: impl IntoIterator<Item = NodeId>, metrics: Arc<Metrics>) -> Self {
        Self { queues: peers.into_iter().map(|peer| (peer, Arc::default())).collect(), metrics }
    }

    /// How many bytes wait for a peer.
    pub(crate) fn waiting_bytes(&self, to: NodeId) -> usize {
        let mut batch = Vec::new();
        self.queues[&to.in_first_life()].take(&mut batch, Instant::now(), Duration::MAX);
        batch.len()
    }
}

/// Listens for peers and dials them; must be called inside a runtime, whose end stops all of it.
///
/// # Errors
/// `Listen` if the peer port can't be bound.
pub(crate) fn start<M: DeserializeOwned + Send + 'static>(
    local: &Local,
    book: &AddressBook,
    timing: Timing,
    inbox: Inbox<M>,
    metrics: &Arc<Metrics>,
) -> Result<Outbox, NodeError> {
    let listen_on = SocketAddr::new(local.bind, book[&local.id.in_first_life()].peer_port);
    let listener = socket::listen(listen_on).map_err(|source| NodeError::Listen {
        what: "peers",
        address: listen_on.to_string(),
        source,
    })?;
    let own = local.id.in_first_life();
    let peers = book.keys().copied().filter(|id| *id != own).collect();
    tokio::spawn(inbound::accept(listener, local.clone(), peers, inbox, Arc::clone(metrics)));
    let mut queues = BTreeMap::new();
    for (&to, address) in book.iter().filter(|(id, _)| **id != own) {
        let queue = Arc::new(Queue::default());
        let (cluster, algorithm) = (local.cluster.clone(), local.algorithm.as_str().to_owned());
        let hello = Hello { cluster, algorithm, from: local.id, to };
        let link = outbound::Link {
            to,
            address: address.peer(),
            bind: local.bind,
            greeting: encode_greeting(&hello),
            queue: Arc::clone(&queue),
            timing,
            metrics: Arc::clone(metrics),
        };
        tokio::spawn(link.run());
        queues.insert(to, queue);
    }
    Ok(Outbox { queues, metrics: Arc::clone(metrics) })
}
