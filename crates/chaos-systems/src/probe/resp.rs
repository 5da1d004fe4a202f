//! A Redis command, a connection per question (RESP 2).
//!
//! The reply becomes JSON: texts, numbers, lists, null. An error reply (`-ERR …`, `-LOADING …`) is no view.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Map, Value};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::{ANSWER_BYTES_MAX, silent, too_long};
use crate::driver::ProbeError;
use crate::resp::{Reply, RespError, encoded, reply};

/// Sends the command and decodes the reply.
pub(super) async fn ask(at: (Ipv4Addr, u16), words: &[String], pairs: bool) -> Result<Value, ProbeError> {
    let stream = TcpStream::connect(SocketAddr::from(at)).await.map_err(|error| silent("connect", &error))?;
    let mut stream = BufReader::new(stream);
    stream.write_all(&encoded(words)).await.map_err(|error| silent("send", &error))?;
    let reply = reply(&mut stream, ANSWER_BYTES_MAX).await.map_err(|error| match error {
        RespError::Broken(error) => silent("receive", &error),
        RespError::Ended => ProbeError::Silent("the connection ended before the answer did".to_owned()),
        RespError::TooLarge { .. } => too_long(),
        RespError::Unreadable { why, line } => {
            let line: String = line.chars().take(80).collect();
            ProbeError::Garbage(format!("no RESP: {why}: `{}`", line.escape_debug()))
        }
    })?;
    let reply = value(reply)?;
    Ok(if pairs { paired(reply) } else { reply })
}

/// A reply as JSON. An error in a list is one, too: whoever reads the list would take it for an answer.
fn value(reply: Reply) -> Result<Value, ProbeError> {
    Ok(match reply {
        Reply::Status(text) => text.into(),
        Reply::Error(error) => {
            return Err(ProbeError::Garbage(format!("refused: {}", error.chars().take(200).collect::<String>())));
        }
        Reply::Number(number) => number.into(),
        Reply::Bulk(bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
        Reply::Nothing => Value::Null,
        Reply::List(items) => items.into_iter().map(value).collect::<Result<Vec<_>, _>>()?.into(),
    })
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::trial::answering;

    async fn told(bytes: &str, pairs: bool) -> Result<Value, ProbeError> {
        let (address, _) = answering(bytes).await;
        ask((Ipv4Addr::LOCALHOST, address.port()), &["ROLE".to_owned()], pairs).await
    }

    #[tokio::test]
    async fn replies_become_json_and_the_command_is_sent_as_a_list() {
        let (address, asked) = answering("*4\r\n$6\r\nmaster\r\n:7\r\n*0\r\n$-1\r\n").await;
        let words = ["INFO", "é"].map(str::to_owned);
        let reply = ask((Ipv4Addr::LOCALHOST, address.port()), &words, false).await.unwrap();
        assert_eq!(reply, json!(["master", 7, [], null]));
        assert_eq!(*asked.lock().unwrap(), ["*2\r\n$4\r\nINFO\r\n$2\r\né\r\n"]);
        let flat = "*4\r\n$4\r\nname\r\n+m\r\n:1\r\n:2\r\n";
        assert_eq!(told(flat, true).await.unwrap(), json!({ "name": "m", "1": 2 }));
    }

    #[tokio::test]
    async fn what_is_no_whole_reply_is_no_view() {
        for (bytes, expect) in [
            ("", "ended before the answer did"),
            ("*2\r\n:1\r\n", "ended before the answer did"),
            ("$5\r\n123", "receive: "),
        ] {
            let error = told(bytes, false).await.unwrap_err();
            assert!(matches!(&error, ProbeError::Silent(text) if text.contains(expect)), "{bytes:?}: {error}");
        }
        for (bytes, expect) in [
            ("-LOADING in memory\r\n", "refused: LOADING in memory"),
            ("*1\r\n-ERR no\r\n", "refused: ERR no"),
            ("HTTP/1.1 400\u{1b}\r\n", "no known kind: `HTTP/1.1 400\\u{1b}`"),
            ("$1048577\r\n", "more than a megabyte"),
        ] {
            let error = told(bytes, false).await.unwrap_err();
            assert!(matches!(&error, ProbeError::Garbage(text) if text.contains(expect)), "{bytes:?}: {error}");
        }
    }
}
