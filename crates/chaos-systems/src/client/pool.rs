//! Kept connections to each node, for drivers whose protocol is a stream of questions and answers.
//!
//! A connection is taken out for one operation and put back only after a complete answer. An operation that is dropped half-way
//! takes its connection down with it, so that no answer is ever read as that of the next question. A kept connection that the
//! node has closed in the meantime, or on which something arrived unasked, is thrown away unused and replaced by a new one
//! before a byte is sent: a write on it would be lost and its outcome needlessly unknown.
//!
//! The border between `fail` and `info` is [`send`]'s: before the system's kernel call has accepted a byte, nothing has been
//! sent and nothing can have happened.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chaos_history::NodeId;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::failed;
use crate::driver::Answer;

/// More idle connections to one node than clients could be busy with; further ones are closed.
const IDLE_MAX: usize = 256;

/// A connection that can be asked whether it is still good for a question.
pub(crate) trait Kept: Send {
    /// The stream below; nothing may be buffered above it when a connection is put back.
    fn stream(&self) -> &TcpStream;
}

impl Kept for TcpStream {
    fn stream(&self) -> &TcpStream {
        self
    }
}

/// Connections to all nodes.
pub(crate) struct Pool<C = TcpStream> {
    endpoints: Vec<SocketAddr>,
    connect_timeout: Duration,
    idle: Mutex<Vec<Vec<C>>>,
}

/// Why there is no connection. Not a byte was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not connected: {0}")]
pub(crate) struct NotConnected(pub(crate) String);

impl From<NotConnected> for Answer {
    fn from(error: NotConnected) -> Self {
        failed(error.to_string())
    }
}

impl<C: Kept> Pool<C> {
    /// A pool without connections.
    pub(crate) fn new(endpoints: Vec<SocketAddr>, connect_timeout: Duration) -> Self {
        let idle = Mutex::new(endpoints.iter().map(|_| Vec::new()).collect());
        Self { endpoints, connect_timeout, idle }
    }

    /// A kept connection that is still good, if there is one.
    pub(crate) fn idle(&self, node: NodeId) -> Option<C> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let of_node = &mut idle[node.index()];
        while let Some(connection) = of_node.pop() {
            if is_quiet(connection.stream()) {
                return Some(connection);
            }
        }
        None
    }

    /// A new stream to the node.
    ///
    /// # Errors
    /// If it does not come about in time.
    pub(crate) async fn connect(&self, node: NodeId) -> Result<TcpStream, NotConnected> {
        let connected = tokio::time::timeout(self.connect_timeout, TcpStream::connect(self.endpoints[node.index()]));
        let stream = match connected.await {
            Ok(stream) => stream.map_err(|error| NotConnected(error.to_string()))?,
            Err(_) => return Err(NotConnected(format!("no answer within {:?}", self.connect_timeout))),
        };
        // Only latency is lost if it can't be set.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    /// Keeps a connection whose last answer was read to its end.
    pub(crate) fn put_back(&self, node: NodeId, connection: C) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let of_node = &mut idle[node.index()];
        if of_node.len() < IDLE_MAX {
            of_node.push(connection);
        }
    }
}

/// Whether nothing has come on a stream on which nothing is awaited, its end included.
fn is_quiet(stream: &TcpStream) -> bool {
    let would_block = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
    stream.try_read(&mut [0]).is_err_and(|error| would_block(&error))
}

/// Why a question was not sent as a whole.
#[derive(Debug)]
pub(crate) enum Unsent {
    /// Not a byte was accepted: it can't have happened.
    Nothing(io::Error),
    /// Some bytes may have arrived.
    Partly(io::Error),
}

impl From<Unsent> for Answer {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::Nothing(error) => failed(format!("not sent: {error}")),
            Unsent::Partly(error) => super::unknown(format!("broken while sending: {error}")),
        }
    }
}

/// Sends a question.
///
/// # Errors
/// If it could not be sent as a whole; the error says whether a byte of it was.
pub(crate) async fn send(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), Unsent> {
    let first = match stream.write(bytes).await {
        Ok(0) => return Err(Unsent::Nothing(io::ErrorKind::WriteZero.into())),
        Ok(first) => first,
        Err(error) => return Err(Unsent::Nothing(error)),
    };
    stream.write_all(&bytes[first..]).await.map_err(Unsent::Partly)?;
    stream.flush().await.map_err(Unsent::Partly)
}

#[cfg(test)]
mod tests;
