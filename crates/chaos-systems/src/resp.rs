//! RESP 2, in which Redis is spoken to: commands out, replies in (redis.io, "Redis serialization protocol specification").
//!
//! ```text
//! *2␍␊ $3␍␊GET␍␊ $1␍␊k␍␊        a command: a list of texts
//! +OK  -ERR no  :7  $1␍␊7  *2   a status, an error, a number, a text of so many bytes, a list of so many replies; $-1 and *-1: nothing
//! ```
//!
//! Whoever listens at the port decides what comes, so that everything has its limit, checked before anything is kept: a line of a
//! few kilobytes, lists in lists a few levels deep, and a whole reply of as many bytes as the asker allows. What is almost RESP is
//! no reply: a length that is negative but not -1, a text without its end.
//!
//! Refuses to say what a reply means, or whether its absence proves anything: an observer and a client take that differently.

use std::io;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// Lists in lists; Redis's own replies to what we ask stay below five levels.
const DEPTH_MAX: usize = 4;
/// A line is a number, a status or an error text.
const LINE_BYTES_MAX: u64 = 4 << 10;
/// What an element of a list counts at the least, so that a list of next to nothing has an end.
const ELEMENT_BYTES_MIN: usize = 4;

/// What a server replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Status(String),
    Error(String),
    Number(i64),
    Bulk(Vec<u8>),
    Nothing,
    List(Vec<Reply>),
}

/// Why there is no whole reply. What follows on the connection can't be told apart any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RespError {
    /// The connection broke in the middle.
    #[error("receive a reply")]
    Broken(#[source] io::Error),
    /// The connection ended where a line should begin.
    #[error("the connection ended before the reply did")]
    Ended,
    /// It is longer than the asker allows.
    #[error("a reply of more than {bytes_max} bytes")]
    TooLarge {
        /// What is allowed.
        bytes_max: usize,
    },
    /// It isn't RESP, or nested deeper than any reply.
    #[error("{why}")]
    Unreadable {
        /// What is wrong.
        why: &'static str,
        /// The line in question, a few kilobytes at most.
        line: String,
    },
}

/// A command as a list of texts.
pub(crate) fn encoded(words: &[String]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    bytes
}

/// The next reply, of at most `bytes_max` bytes.
///
/// # Errors
/// If it doesn't come whole, is no RESP, or exceeds a limit.
pub(crate) async fn reply<S>(stream: &mut S, bytes_max: usize) -> Result<Reply, RespError>
where
    S: AsyncBufRead + Unpin + Send,
{
    Reader { stream, left: bytes_max, bytes_max }.part(DEPTH_MAX).await
}

/// A reply on its way.
struct Reader<'a, S> {
    stream: &'a mut S,
    /// How many more bytes it may have.
    left: usize,
    bytes_max: usize,
}

impl<S: AsyncBufRead + Unpin + Send> Reader<'_, S> {
    fn part(&mut self, depth: usize) -> BoxFuture<'_, Result<Reply, RespError>> {
        async move {
            let line = self.line().await?;
            let unreadable = |why| RespError::Unreadable { why, line: line.clone() };
            let (kind, rest) = line.split_at_checked(1).ok_or_else(|| unreadable("a line of no known kind"))?;
            Ok(match kind {
                "+" => Reply::Status(rest.to_owned()),
                "-" => Reply::Error(rest.to_owned()),
                ":" => Reply::Number(rest.parse().map_err(|_| unreadable("a number that is none"))?),
                "$" => match length(rest).ok_or_else(|| unreadable("a length that is none"))? {
                    None => Reply::Nothing,
                    Some(length) => Reply::Bulk(self.bulk(length).await?),
                },
                "*" => match length(rest).ok_or_else(|| unreadable("a length that is none"))? {
                    None => Reply::Nothing,
                    Some(_) if depth == 0 => return Err(unreadable("lists in lists without end")),
                    Some(length) if length > self.left / ELEMENT_BYTES_MIN => return Err(self.too_large()),
                    Some(length) => {
                        let mut list = Vec::new();
                        for _ in 0..length {
                            list.push(self.part(depth - 1).await?);
                        }
                        Reply::List(list)
                    }
                },
                _ => return Err(unreadable("a line of no known kind")),
            })
        }
        .boxed()
    }

    /// The next line, without its end.
    async fn line(&mut self) -> Result<String, RespError> {
        let mut line = Vec::new();
        let read = (&mut *self.stream).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await;
        read.map_err(RespError::Broken)?;
        if line.is_empty() {
            return Err(RespError::Ended);
        }
        self.spend(line.len().max(ELEMENT_BYTES_MIN))?;
        let unreadable = |why| RespError::Unreadable { why, line: String::from_utf8_lossy(&line).into_owned() };
        let text = line.strip_suffix(b"\r\n").ok_or_else(|| unreadable("a line without its end"))?;
        std::str::from_utf8(text).map(str::to_owned).map_err(|_| unreadable("a line that is no text"))
    }

    async fn bulk(&mut self, length: usize) -> Result<Vec<u8>, RespError> {
        self.spend(length.saturating_add(2))?;
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes).await.map_err(RespError::Broken)?;
        match &*bytes.split_off(length) {
            b"\r\n" => Ok(bytes),
            end => {
                let line = String::from_utf8_lossy(end).into_owned();
                Err(RespError::Unreadable { why: "a text without its end", line })
            }
        }
    }

    fn spend(&mut self, bytes: usize) -> Result<(), RespError> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| self.too_large())?;
        Ok(())
    }

    fn too_large(&self) -> RespError {
        RespError::TooLarge { bytes_max: self.bytes_max }
    }
}

/// A length, of which -1 stands for nothing at all; `None` if it is neither.
fn length(text: &str) -> Option<Option<usize>> {
    if text == "-1" { Some(None) } else { text.parse().ok().map(Some) }
}

#[cfg(test)]
mod tests;
