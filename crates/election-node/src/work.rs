//! What a leader is for: pieces of work on a resource that only one node should use at a time.
//!
//! While this node takes itself for the leader it begins a piece of work, which takes a while, and ends it by using the resource, under the
//! term in which it began. In between it does not ask again whether it still leads, as programs don't: a node that is paused then uses the
//! resource when it wakes, however long ago its leadership ended. With `--fencing true` it shows the term as a fencing token, by which a
//! resource that has seen a newer one refuses it.
//!
//! It refuses to decide anything, and to repeat anything: a piece of work whose use of the resource fails is lost.
//!
//! Source: M. Kleppmann, "How to do distributed locking", 2016.

use std::io;
use std::time::Duration;

use election::raft::Role;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::state::Published;

/// How long a piece of work takes.
const PIECE: Duration = Duration::from_millis(50);
/// How often a node that does not lead looks whether it does now.
const LOOK: Duration = Duration::from_millis(5);
/// How long the resource may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where the work is done.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    /// `HOST:PORT` of the resource, which answers `POST /access/LOCK?hold=TEXT&token=NUMBER`.
    pub(crate) resource: String,
    /// Whether it is shown the term.
    pub(crate) fencing: bool,
}

impl Work {
    /// Works until the runtime ends.
    pub(crate) async fn run(self, published: Published) {
        loop {
            let (state, _) = published.current().await;
            if state.role != Role::Leader {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            let (name, term) = (state.id.name(), state.term.0);
            drop(state);
            tokio::time::sleep(PIECE).await;
            match tokio::time::timeout(PATIENCE, self.access(&name, term)).await {
                Ok(Ok(answer)) => tracing::debug!(term, %answer, "used the resource"),
                Ok(Err(error)) => tracing::debug!(term, %error, "could not use the resource"),
                Err(_) => tracing::debug!(term, "the resource did not answer"),
            }
        }
    }

    /// Uses the resource once; the first line of its answer.
    async fn access(&self, name: &str, term: u64) -> io::Result<String> {
        let token = if self.fencing { format!("&token={term}") } else { String::new() };
        let request = format!(
            "POST /access/leader?hold={name}-{term}{token} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            self.resource
        );
        let mut stream = TcpStream::connect(&self.resource).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(4096).read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned())
    }
}
