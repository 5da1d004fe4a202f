//! JSON-RPC 1.0 over TCP, as OVSDB speaks it: JSON values one after the other, with nothing between them.
//!
//! Both sides may ask; what a server asks of its clients is whether they are alive (`echo`), every few seconds.
//!
//! Source: RFC 7047, section 4.

use serde_json::{Value as Json, json};

use crate::client::shortened;
use crate::client::wire::{Session, Wire};

/// Finds the end of a JSON value that is an object, byte by byte, without reading anything twice.
#[derive(Debug, Default)]
struct Scan {
    at: usize,
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl Scan {
    /// How long the object at the beginning is, once it is whole; `Err` if there is none.
    fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, String> {
        while let Some(&byte) = bytes.get(self.at) {
            self.at += 1;
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_text => self.escaped = true,
                b'"' => self.in_text = !self.in_text,
                _ if self.in_text => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.checked_sub(1).ok_or("an answer that is no JSON")?;
                    if self.depth == 0 {
                        return Ok(Some(self.at));
                    }
                }
                _ if self.depth == 0 && !byte.is_ascii_whitespace() => {
                    return Err(format!("not an OVSDB server: `{}`", shortened(&String::from_utf8_lossy(bytes))));
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

/// A connection to one node.
#[derive(Debug)]
pub(crate) struct OvsdbSession {
    wire: Wire,
    id: u64,
    /// Whether an answer is awaited; one that never came leaves it set.
    is_asking: bool,
}

impl Session for OvsdbSession {
    type Greeting = ();

    async fn open(wire: Wire, (): ()) -> Result<Self, String> {
        Ok(Self { wire, id: 0, is_asking: false })
    }

    fn is_usable(&mut self) -> bool {
        // A question of the server may wait there; it is answered with the next request.
        !self.is_asking && self.wire.is_open()
    }
}

impl OvsdbSession {
    /// Carries out a transaction; what each operation answered. `Err`: the connection is of no more use, and the outcome unknown.
    pub(super) async fn transact(
        &mut self,
        database: &str,
        operations: &[Json],
    ) -> Result<Result<Vec<Json>, String>, String> {
        self.id += 1;
        self.is_asking = true;
        let mut params = vec![json!(database)];
        params.extend_from_slice(operations);
        let request = json!({ "method": "transact", "params": params, "id": self.id });
        self.wire.send(request.to_string().as_bytes()).await?;
        loop {
            let mut message = self.message().await?;
            if message.get("method").is_some_and(Json::is_string) {
                self.reply_to(&message).await?;
                continue;
            }
            if message["id"] != self.id {
                return Err(format!("an answer that was not asked for: {}", shortened(&message.to_string())));
            }
            self.is_asking = false;
            return match (message["error"].take(), message["result"].take()) {
                (Json::Null, Json::Array(results)) => Ok(Ok(results)),
                (Json::Null, other) => Err(format!("an answer that is no list: {}", shortened(&other.to_string()))),
                (error, _) => Ok(Err(shortened(&error.to_string()))),
            };
        }
    }

    async fn message(&mut self) -> Result<Json, String> {
        let mut scan = Scan::default();
        let length = loop {
            if let Some(length) = scan.end(self.wire.pending())? {
                break length;
            }
            self.wire.fill().await?;
        };
        let bytes = self.wire.take(length).await?;
        serde_json::from_slice(&bytes).map_err(|error| format!("an answer that is no JSON: {error}"))
    }

    /// Tells the server that the client is alive, if it asks that.
    async fn reply_to(&mut self, question: &Json) -> Result<(), String> {
        if question["method"] == "echo" && !question["id"].is_null() {
            let answer = json!({ "result": question["params"], "error": null, "id": question["id"] });
            self.wire.send(answer.to_string().as_bytes()).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_apart_without_anything_between_them() {
        let first = r#" {"a":"}\"{","b":[{}]}"#;
        let text = format!(r#"{first}{{"c":1}}"#);
        let bytes = text.as_bytes();
        for cut in 0..bytes.len() {
            let mut scan = Scan::default();
            let early = scan.end(&bytes[..cut]).unwrap();
            let end = if early.is_some() { early } else { scan.end(bytes).unwrap() };
            assert_eq!(end, Some(first.len()), "cut at {cut}");
        }
        assert!(Scan::default().end(b"HTTP/1.1 400").is_err());
        assert!(Scan::default().end(b"}").is_err());
    }
}
