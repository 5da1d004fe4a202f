//! One link to one peer: dial, greet, send what is queued, and dial again when anything fails.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use election::NodeId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::queue::Queue;
use super::{Timing, socket};
use crate::metrics::Metrics;

/// Everything that one link needs.
pub(super) struct Link {
    pub(super) to: NodeId,
    /// `host:port` to dial.
    pub(super) address: String,
    pub(super) bind: IpAddr,
    pub(super) greeting: Vec<u8>,
    pub(super) queue: Arc<Queue>,
    pub(super) timing: Timing,
    pub(super) metrics: Arc<Metrics>,
}

impl Link {
    /// Keeps the link up until the runtime ends.
    pub(super) async fn run(self) {
        let mut was_connected = true;
        loop {
            match self.connect().await {
                Ok(stream) => {
                    was_connected = true;
                    self.metrics.connections_opened.fetch_add(1, Relaxed);
                    tracing::debug!(peer = %self.to, "connected");
                    let Err(error) = self.carry(stream).await;
                    tracing::debug!(peer = %self.to, %error, "connection lost");
                }
                Err(error) if was_connected => {
                    was_connected = false;
                    tracing::debug!(peer = %self.to, address = %self.address, %error, "not connected; trying on");
                }
                Err(_) => {}
            }
            tokio::time::sleep(self.redial_delay()).await;
        }
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let dial = async {
            let mut stream = socket::dial(&self.address, self.bind, self.timing.user_timeout).await?;
            stream.write_all(&self.greeting).await?;
            Ok(stream)
        };
        match tokio::time::timeout(self.timing.connect_timeout, dial).await {
            Ok(result) => result,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer to the dial")),
        }
    }

    /// Sends what is queued until the connection fails.
    async fn carry(&self, mut stream: TcpStream) -> Result<std::convert::Infallible, io::Error> {
        let mut batch = Vec::new();
        let mut unexpected = [0; 1];
        let (mut reader, mut writer) = stream.split();
        loop {
            batch.clear();
            let dropped = self.queue.take(&mut batch, Instant::now(), self.timing.message_age_max);
            self.metrics.messages_dropped_out.fetch_add(dropped, Relaxed);
            if !batch.is_empty() {
                writer.write_all(&batch).await?;
            }
            tokio::select! {
                () = self.queue.filled() => {}
                // The other side never speaks on this connection: whatever comes is its end.
                read = reader.read(&mut unexpected) => return Err(match read {
                    Ok(0) => io::Error::new(io::ErrorKind::ConnectionAborted, "the peer closed it"),
                    Ok(_) => io::Error::new(io::ErrorKind::InvalidData, "the peer spoke on it"),
                    Err(error) => error,
                }),
            }
        }
    }

    /// The constant delay, plus up to as much again so that nodes do not dial in step. This randomness decides nothing in
    /// the protocol, so it needs no seed.
    fn redial_delay(&self) -> Duration {
        let base = self.timing.redial_delay;
        let span = u64::try_from(base.as_nanos()).unwrap_or(u64::MAX).max(1);
        base + Duration::from_nanos(RandomState::new().build_hasher().finish() % span)
    }
}
