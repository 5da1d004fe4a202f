//! A Redis command, a connection per question (RESP 2).
//!
//! The reply becomes JSON: texts, numbers, lists, null. An error reply (`-ERR …`, `-LOADING …`) is no view.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::{ANSWER_BYTES_MAX, silent, too_long};
use crate::driver::ProbeError;

/// How deep lists may stand in lists; Redis's own replies stay below five.
const DEPTH_MAX: usize = 8;

/// Sends the command and decodes the reply.
pub(super) async fn ask(at: (Ipv4Addr, u16), words: &[String], pairs: bool) -> Result<Value, ProbeError> {
    let stream = TcpStream::connect(SocketAddr::from(at)).await.map_err(|error| silent("connect", &error))?;
    let mut stream = BufReader::new(stream);
    let mut command = format!("*{}\r\n", words.len());
    for word in words {
        command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(command.as_bytes()).await.map_err(|error| silent("send", &error))?;
    let mut left = ANSWER_BYTES_MAX;
    let reply = reply(&mut stream, DEPTH_MAX, &mut left).await?;
    Ok(if pairs { paired(reply) } else { reply })
}

async fn reply(stream: &mut BufReader<TcpStream>, depth: usize, left: &mut usize) -> Result<Value, ProbeError> {
    let garbage = |what: &str| ProbeError::Garbage(format!("no RESP: {what}"));
    let mut line = Vec::new();
    let mut limited = (&mut *stream).take(u64::try_from(*left).unwrap_or(u64::MAX));
    limited.read_until(b'\n', &mut line).await.map_err(|error| silent("receive", &error))?;
    *left = left.checked_sub(line.len()).ok_or_else(too_long)?;
    let text = line.strip_suffix(b"\r\n").ok_or_else(|| match line.is_empty() {
        true => ProbeError::Silent("the connection ended before the answer did".to_owned()),
        false => garbage("a line without its end"),
    })?;
    let (kind, text) = text.split_first().ok_or_else(|| garbage("an empty line"))?;
    let text = String::from_utf8_lossy(text).into_owned();
    let count = || text.parse::<i64>().map_err(|_| garbage("a length that is no number"));
    match kind {
        b'+' => Ok(text.into()),
        b'-' => Err(ProbeError::Garbage(format!("refused: {}", text.chars().take(200).collect::<String>()))),
        b':' => Ok(count()?.into()),
        b'$' => {
            let Ok(length) = usize::try_from(count()?) else { return Ok(Value::Null) };
            *left = left.checked_sub(length.saturating_add(2)).ok_or_else(too_long)?;
            let mut bytes = vec![0; length + 2];
            stream.read_exact(&mut bytes).await.map_err(|error| silent("receive", &error))?;
            bytes.truncate(length);
            Ok(String::from_utf8_lossy(&bytes).into_owned().into())
        }
        b'*' => {
            let Ok(length) = usize::try_from(count()?) else { return Ok(Value::Null) };
            if depth == 0 || length > *left {
                return Err(garbage("lists in lists without end"));
            }
            let mut items = Vec::new();
            for _ in 0..length {
                items.push(Box::pin(reply(stream, depth - 1, left)).await?);
            }
            Ok(items.into())
        }
        other => Err(garbage(&format!("a reply of kind {}", other.escape_ascii()))),
    }
}

/// `["a", 1, "b", 2]` as `{"a": 1, "b": 2}`.
fn paired(reply: Value) -> Value {
    let Value::Array(items) = reply else { return reply };
    let mut map = Map::new();
    let mut items = items.into_iter();
    while let (Some(name), Some(value)) = (items.next(), items.next()) {
        let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
        map.insert(name, value);
    }
    map.into()
}
