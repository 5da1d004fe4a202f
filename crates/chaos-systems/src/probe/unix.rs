//! JSON-RPC 1.0 over a unix socket, as OVSDB's `unixctl` speaks it (RFC 7047 §4.1 describes the framing: JSON values one after the
//! other, without any delimiter). No partition can cut such a question, so a node that is cut off still tells what it believes.

use std::path::Path;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::{ANSWER_BYTES_MAX, Reply, silent, too_long};
use crate::driver::ProbeError;

/// Calls a method and returns its result; a text is the reply's text as it is.
pub(super) async fn ask(path: &Path, method: &str, params: &[String]) -> Result<Reply, ProbeError> {
    let mut stream = UnixStream::connect(path).await.map_err(|error| silent("connect", &error))?;
    let call = json!({ "method": method, "params": params, "id": 0 }).to_string();
    stream.write_all(call.as_bytes()).await.map_err(|error| silent("send", &error))?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let mut values = serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>();
        match values.next() {
            Some(Ok(answer)) => return meaning(answer),
            Some(Err(error)) if !error.is_eof() => {
                return Err(ProbeError::Garbage(format!("not a JSON-RPC answer: {error}")));
            }
            Some(Err(_)) | None => {}
        }
        match stream.read(&mut chunk).await.map_err(|error| silent("receive", &error))? {
            0 => return Err(ProbeError::Silent("the connection ended before the answer did".to_owned())),
            read if bytes.len() + read > ANSWER_BYTES_MAX => return Err(too_long()),
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}

fn meaning(mut answer: Value) -> Result<Reply, ProbeError> {
    match (answer["error"].take(), answer["result"].take()) {
        (Value::Null, Value::String(text)) => Ok(Reply { text, data: None, status: None }),
        (Value::Null, result) => Ok(Reply::of_json(result)),
        (error, _) => Err(ProbeError::Garbage(format!("refused: {error}"))),
    }
}
