//! The listening side: who may connect, and what arrives on a connection.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use election::NodeId;
use serde::de::DeserializeOwned;
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use super::frame::{FrameError, Hello, read_hello, read_message};
use super::{Local, socket};
use crate::inbox::Inbox;
use crate::metrics::Metrics;

/// The most connections at a time, strangers included.
const CONNECTIONS_MAX: usize = 256;
/// How long a connection may take to say who it is.
const HELLO_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause after a failed accept (no file descriptors, for example).
const ACCEPT_RETRY: Duration = Duration::from_millis(20);
const READ_BUFFER_BYTES: usize = 64 << 10;

/// What all connections share.
struct Door<M> {
    local: Local,
    peers: BTreeSet<NodeId>,
    inbox: Inbox<M>,
    metrics: Arc<Metrics>,
    /// The connection that each peer speaks on.
    current: Mutex<BTreeMap<NodeId, AbortHandle>>,
}

/// Accepts connections until the runtime ends.
pub(super) async fn accept<M: DeserializeOwned + Send + 'static>(
    listener: TcpListener,
    local: Local,
    peers: BTreeSet<NodeId>,
    inbox: Inbox<M>,
    metrics: Arc<Metrics>,
) {
    let door = Arc::new(Door { local, peers, inbox, metrics, current: Mutex::default() });
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!(%address, limit = CONNECTIONS_MAX, "closed a connection above the limit");
            continue;
        };
        let door = Arc::clone(&door);
        tokio::spawn(async move {
            door.admit(stream, address).await;
            drop(place);
        });
    }
}

impl<M: DeserializeOwned + Send + 'static> Door<M> {
    async fn admit(self: Arc<Self>, stream: TcpStream, address: SocketAddr) {
        if let Err(error) = socket::watch_silence(&stream) {
            tracing::debug!(%address, %error, "a connection ended before it began");
            return;
        }
        let mut stream = BufReader::with_capacity(READ_BUFFER_BYTES, stream);
        let hello = match tokio::time::timeout(HELLO_TIMEOUT, read_hello(&mut stream)).await {
            Ok(Ok(hello)) => hello,
            Ok(Err(error)) => return self.refuse(address, &error.to_string()),
            Err(_) => return self.refuse(address, "no hello in time"),
        };
        if let Err(reason) = self.check(&hello) {
            return self.refuse(address, &reason);
        }
        let from = hello.from;
        self.inbox.met(from);
        let door = Arc::clone(&self);
        let listening = tokio::spawn(async move { door.listen(from, stream, address).await });
        self.replace_older(from, listening.abort_handle());
        // Either it ended by itself or a newer one replaced it.
        let _ = listening.await;
    }

    /// A peer that dials again has given up its older connection, even if this side has not noticed yet.
    fn replace_older(&self, from: NodeId, newer: AbortHandle) {
        let older = self.current.lock().unwrap_or_else(PoisonError::into_inner).insert(from.in_first_life(), newer);
        if let Some(older) = older {
            older.abort();
        }
    }

    fn check(&self, hello: &Hello) -> Result<(), String> {
        if hello.cluster != self.local.cluster {
            return Err(format!("it belongs to the cluster `{}`", hello.cluster.escape_debug()));
        }
        if hello.algorithm != self.local.algorithm.as_str() {
            let (theirs, ours) = (hello.algorithm.escape_debug(), self.local.algorithm);
            return Err(format!("it runs the algorithm `{theirs}`, and this is `{ours}`"));
        }
        if hello.to.in_first_life() != self.local.id.in_first_life() {
            return Err(format!("it looks for {}", hello.to));
        }
        if !self.peers.contains(&hello.from.in_first_life()) {
            return Err(format!("{} is not listed", hello.from));
        }
        Ok(())
    }

    async fn listen(&self, from: NodeId, mut stream: BufReader<TcpStream>, address: SocketAddr) {
        loop {
            match read_message(&mut stream).await {
                Ok((to, message)) if to == self.local.id => self.inbox.message(from, message),
                Ok((to, _)) => tracing::debug!(peer = %from, %to, "dropped a message for a former life"),
                Err(error @ (FrameError::Closed | FrameError::Io(_))) => {
                    tracing::debug!(peer = %from, %error, "a peer's connection ended");
                    return;
                }
                Err(
                    error @ (FrameError::Preamble
                    | FrameError::TooLong { .. }
                    | FrameError::Checksum
                    | FrameError::Body),
                ) => return self.refuse(address, &error.to_string()),
            }
        }
    }

    fn refuse(&self, address: SocketAddr, reason: &str) {
        self.metrics.connections_refused.fetch_add(1, Relaxed);
        tracing::warn!(%address, reason, "closed a connection");
    }
}
