//! Raw bytes over TCP, a connection per question: ZooKeeper's four-letter words, and whatever has no protocol of its own.

use std::net::{Ipv4Addr, SocketAddr};

use chaos_plan::definition::{Pattern, Until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{ANSWER_BYTES_MAX, Reply, silent, too_long};
use crate::driver::ProbeError;

/// Sends the bytes and reads until the answer is whole.
pub(super) async fn ask(
    at: (Ipv4Addr, u16),
    send: &[u8],
    until: &Until,
    pattern: Option<&Pattern>,
) -> Result<Reply, ProbeError> {
    let mut stream = TcpStream::connect(SocketAddr::from(at)).await.map_err(|error| silent("connect", &error))?;
    stream.write_all(send).await.map_err(|error| silent("send", &error))?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let whole = match until {
            Until::End => false,
            Until::Matched => pattern.is_some_and(|pattern| pattern.groups(&Reply::of_bytes(&bytes).text).is_some()),
            Until::Bytes(count) => bytes.len() >= *count,
        };
        if whole {
            return Ok(Reply::of_bytes(&bytes));
        }
        let read = stream.read(&mut chunk).await.map_err(|error| silent("receive", &error))?;
        if read == 0 {
            return match until {
                Until::End => Ok(Reply::of_bytes(&bytes)),
                Until::Matched | Until::Bytes(_) => {
                    let text: String = Reply::of_bytes(&bytes).text.chars().take(200).collect();
                    Err(ProbeError::Garbage(format!("the answer ended too soon: `{}`", text.escape_debug())))
                }
            };
        }
        if bytes.len() + read > ANSWER_BYTES_MAX {
            return Err(too_long());
        }
        bytes.extend_from_slice(&chunk[..read]);
    }
}
