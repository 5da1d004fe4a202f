//! Connections with a state of their own (a session, a subscription, a greeting), and what is known when one breaks.
//!
//! (Protocols that need no greeting use the plain connections of `pool`.)
//!
//! A connection is taken out of the pool for one operation and put back only after a whole answer; whoever drops an operation
//! half-way drops its connection with it, so that nobody reads the answer to somebody else's question. An idle connection that the
//! node has closed meanwhile is noticed before anything is sent on it: otherwise every restart of a node would cost one operation
//! of unknown outcome for each connection.
//!
//! Refuses to decide what an answer means; it knows only whether the operation's first byte can have left ([`Trouble`]).

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chaos_history::{NodeId, OpPhase, OpResult};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::driver::{Answer, ProbeError};

/// More than any answer takes, all elements of a large set included; what is longer is not read to its end.
const BUFFER_BYTES_MAX: usize = 32 << 20;
/// How many idle connections are kept for a node; there are never more than operations under way at once.
const IDLE_MAX: usize = 64;

/// Why an operation is no success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing that could change anything has been sent, or the system says that it did not happen and never will.
    Definite(String),
    /// It may have happened.
    Unknown(String),
}

impl Trouble {
    /// The same trouble, in an operation that has sent nothing so far that changes anything: then it did not happen.
    pub(super) fn before_any_change(self) -> Self {
        match self {
            Self::Definite(error) | Self::Unknown(error) => Self::Definite(error),
        }
    }
}

/// The end of an operation as the history words it.
pub(super) fn answered(result: Result<OpResult, Trouble>) -> Answer {
    let phase = match result {
        Ok(result) => OpPhase::Ok(result),
        Err(Trouble::Definite(error)) => OpPhase::Fail { error },
        Err(Trouble::Unknown(error)) => OpPhase::Info { error },
    };
    Answer { phase, leader_hint: None }
}

/// A TCP connection with what has come and was not read yet.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    got: Vec<u8>,
}

impl Wire {
    async fn connect(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| format!("not connected: {error}"))?;
        stream.set_nodelay(true).map_err(|error| format!("not connected: {error}"))?;
        Ok(Self { stream, got: Vec::new() })
    }

    /// Sends all of it.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).await.map_err(|error| format!("sending failed: {error}"))
    }

    /// Waits for more bytes.
    pub(super) async fn fill(&mut self) -> Result<(), String> {
        if self.got.len() > BUFFER_BYTES_MAX {
            return Err(format!("an answer of more than {BUFFER_BYTES_MAX} bytes"));
        }
        match self.stream.read_buf(&mut self.got).await {
            Ok(0) => Err("the node closed the connection".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(format!("the connection broke: {error}")),
        }
    }

    /// What has come and was not taken yet.
    pub(super) fn pending(&self) -> &[u8] {
        &self.got
    }

    /// Takes so many bytes, waiting for them.
    pub(super) async fn take(&mut self, count: usize) -> Result<Vec<u8>, String> {
        if count > BUFFER_BYTES_MAX {
            return Err(format!("an answer of {count} bytes"));
        }
        while self.got.len() < count {
            self.fill().await?;
        }
        let rest = self.got.split_off(count);
        Ok(std::mem::replace(&mut self.got, rest))
    }

    /// Takes a line, without its end.
    pub(super) async fn line(&mut self) -> Result<String, String> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.got[searched..].iter().position(|&byte| byte == b'\n') {
                let line = self.take(searched + at + 1).await?;
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            searched = self.got.len();
            self.fill().await?;
        }
    }

    /// Reads what is there without waiting; false if the node has closed the connection.
    pub(super) fn is_open(&mut self) -> bool {
        let mut bytes = [0; 4096];
        loop {
            match self.stream.try_read(&mut bytes) {
                Ok(0) => return false,
                Ok(count) => self.got.extend_from_slice(&bytes[..count]),
                Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
            }
            if self.got.len() > BUFFER_BYTES_MAX {
                return false;
            }
        }
    }
}

/// A connection on which the protocol's greetings have been exchanged.
pub(super) trait Session: Sized + Send + 'static {
    /// What the greeting needs.
    type Greeting: Clone + Send + Sync + 'static;

    /// Exchanges greetings. Nothing of an operation is sent here.
    fn open(wire: Wire, greeting: Self::Greeting) -> impl Future<Output = Result<Self, String>> + Send;

    /// Whether it can serve one more operation, as far as can be seen without sending anything.
    fn is_usable(&mut self) -> bool;
}

/// The idle connections to each node, and the way to new ones.
#[derive(Debug)]
pub(super) struct Pool<S: Session> {
    endpoints: Vec<SocketAddr>,
    greeting: S::Greeting,
    connect_timeout: Duration,
    /// Locked for a push or a pop only.
    idle: Vec<Mutex<Vec<S>>>,
}

impl<S: Session> Pool<S> {
    /// No connections yet. The first endpoint is `n1`'s; connecting and greeting together may take `connect_timeout`.
    pub(super) fn new(endpoints: Vec<SocketAddr>, greeting: S::Greeting, connect_timeout: Duration) -> Self {
        let idle = endpoints.iter().map(|_| Mutex::default()).collect();
        Self { endpoints, greeting, connect_timeout, idle }
    }

    /// The nodes.
    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeId> + use<S> {
        (0..self.endpoints.len()).map(NodeId::from_index)
    }

    /// A connection that is alive as far as anybody can tell. What goes wrong here goes wrong before an operation is sent.
    pub(super) async fn take(&self, node: NodeId) -> Result<S, Trouble> {
        loop {
            let idle = self.idle[node.index()].lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut session) = idle else { return self.connect(node).await };
            if session.is_usable() {
                return Ok(session);
            }
        }
    }

    /// A new connection, which nobody else will ever use.
    pub(super) async fn connect(&self, node: NodeId) -> Result<S, Trouble> {
        let opened = async {
            let wire = Wire::connect(self.endpoints[node.index()]).await?;
            S::open(wire, self.greeting.clone()).await
        };
        match tokio::time::timeout(self.connect_timeout, opened).await {
            Ok(session) => session.map_err(Trouble::Definite),
            Err(_) => Err(Trouble::Definite(format!("not connected within {:?}", self.connect_timeout))),
        }
    }

    /// Carries one operation out on a connection, and keeps that whatever came of it: a session that was left in the middle of an
    /// answer says itself that it is of no more use ([`Session::is_usable`]).
    pub(super) async fn on<T>(
        &self,
        node: NodeId,
        work: impl AsyncFnOnce(&mut S) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let mut session = self.take(node).await?;
        let result = work(&mut session).await;
        self.put_back(node, session);
        result
    }

    /// Gives a connection back whose last answer has been read to its end.
    pub(super) fn put_back(&self, node: NodeId, session: S) {
        let mut idle = self.idle[node.index()].lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(session);
        }
    }
}

/// How long one node may take to prepare the cluster. Some systems answer nothing at all before they have elected somebody.
const PREPARATION_MAX: Duration = Duration::from_secs(5);

/// Prepares the cluster at the first node that can do it, asking one after the other.
pub(super) async fn at_any<F>(
    nodes: impl Iterator<Item = NodeId>,
    prepare: impl Fn(NodeId) -> F,
) -> Result<(), ProbeError>
where
    F: Future<Output = Result<(), Trouble>>,
{
    let mut last = "there are no nodes".to_owned();
    for node in nodes {
        last = match tokio::time::timeout(PREPARATION_MAX, prepare(node)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(Trouble::Definite(error) | Trouble::Unknown(error))) => format!("{node}: {error}"),
            Err(_) => format!("{node}: no answer within {PREPARATION_MAX:?}"),
        };
    }
    Err(ProbeError::Silent(last))
}

/// A key as a part of a path or a subject: every byte but letters, digits, `-` and `_` is written as `%` and two hex digits, so that
/// no key can name anything else and no two keys the same; the empty one is a bare `%`.
pub(super) fn escaped(key: &str) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(key.len());
    if key.is_empty() {
        return "%".to_owned();
    }
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("writing to a string can't fail");
        }
    }
    text
}
