//! The driver `etcd`: its JSON gateway (`/v3/…`), registers as keys, sets as keys under a prefix, locks by its lock service.
//!
//! | option | meaning | default |
//! |---|---|---|
//! | `read` | `linearizable`, or `serializable`: the asked member's own state, which may be stale | `linearizable` |
//! | `ttl` | how long a lock outlives its holder's last sign of life, in whole seconds | `2s` |
//!
//! An element `7` of the set `s` is the key `set/s/7`, put only if it is absent. Revisions are the key's `mod_revision`: the
//! header's revision of a put or of a transaction that put (etcd gives each its own), and the key's of what was read, a failed
//! comparison included. The header's revision of a read is the store's, not the key's, and is not told.
//!
//! What is definite (etcd's `api/v3rpc/rpctypes/error.go`): the codes InvalidArgument, PermissionDenied, Unimplemented,
//! Unauthenticated, since such a request changes nothing wherever it is found out; and `too many requests`, said before anything
//! is proposed. Not definite: every timeout, `leader changed`, `server stopped`, `not leader`, and also `database space
//! exceeded`, which one member may say of a put that it has carried out. etcd names no leader to clients.
//!
//! A lock is held by a lease: granted, kept alive in the background (every third of its time, by the nodes in turn), revoked at
//! release. The fencing token is the lock key's creation revision. A lease that ran out in the meantime ends the hold, and the
//! history says so when the holder releases: the release is a `fail`, since there was nothing to give back any more. One client
//! holds a lock once; an acquisition that is dropped gives its place in the queue back.

mod lock;
mod wire;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chaos_history::{Action, NodeId, OpResult, Revision, Value};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::json;

use self::wire::{Header, KeyValue, Range, Refusal, Transaction, encoded, revision};
use super::options::Options;
use super::{ClientError, ClientSetup, done, failed, no_words, shortened, unknown, web, written_as_bytes};
use crate::driver::{Answer, Client};

/// More than the names of a set's elements take: a few hundred thousand of them.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Opens the driver.
///
/// # Errors
/// If an option is unknown or makes no sense.
pub(super) fn open(setup: &ClientSetup) -> Result<Arc<dyn Client>, ClientError> {
    let options = Options::of(setup, &["read", "ttl"])?;
    let ttl = options.duration("ttl", Duration::from_secs(2))?;
    if ttl.subsec_nanos() != 0 {
        return Err(options.bad("ttl", "a number of whole seconds such as `2s`"));
    }
    let http = web::client(setup.connect_timeout).map_err(|error| ClientError::Unusable {
        driver: setup.driver.clone(),
        what: format!("can't set up HTTP: {}", web::describe(&error)),
    })?;
    Ok(Arc::new(Etcd(Arc::new(Shared {
        http,
        endpoints: setup.endpoints.clone(),
        serializable: options.word("read", &[("linearizable", false), ("serializable", true)])?,
        ttl,
        holds: Mutex::new(BTreeMap::new()),
    }))))
}

struct Etcd(Arc<Shared>);

struct Shared {
    http: reqwest::Client,
    endpoints: Vec<SocketAddr>,
    serializable: bool,
    ttl: Duration,
    /// The locks that this client holds.
    holds: Mutex<BTreeMap<String, lock::Lease>>,
}

impl Client for Etcd {
    fn invoke(&self, node: NodeId, action: &Action) -> BoxFuture<'static, Answer> {
        let (shared, action) = (Arc::clone(&self.0), action.clone());
        async move { shared.invoke(node, &action).await.unwrap_or_else(|answer| answer) }.boxed()
    }
}

impl Shared {
    /// The answer; an error is one, too.
    async fn invoke(self: &Arc<Self>, node: NodeId, action: &Action) -> Result<Answer, Answer> {
        match action {
            Action::Read { key } => self.read(node, key).await,
            Action::Write { key, value } => {
                let body = json!({ "key": encoded(key), "value": encoded(&value.to_string()) });
                let put: Header = self.call(node, "kv/put", &body).await?;
                Ok(done(OpResult::Written { revision: Some(put.revision()?) }))
            }
            Action::Cas { key, expect, value } => self.cas(node, key, *expect, *value).await,
            Action::Add { key, value } => {
                let transaction = self.transaction(node, &element(key, *value), None, *value).await?;
                // It is there already only if this very operation put it: elements are added once.
                let revision = transaction.succeeded.then(|| transaction.header.revision()).transpose()?;
                Ok(done(OpResult::Written { revision }))
            }
            Action::Elements { key } => self.elements(node, key).await,
            Action::Acquire { key } => self.acquire(node, key).await,
            Action::Release { key } => self.release(node, key).await,
            Action::Access { .. } => Err(no_words("etcd", "the resource that a lock protects")),
        }
    }

    async fn read(&self, node: NodeId, key: &str) -> Result<Answer, Answer> {
        let body = json!({ "key": encoded(key), "serializable": self.serializable });
        let range: Range = self.call(node, "kv/range", &body).await?;
        range.header.revision()?;
        let found = register(&range.kvs, key)?;
        let (value, revision) = found.unzip();
        Ok(done(OpResult::Read { value, revision }))
    }

    async fn cas(&self, node: NodeId, key: &str, expect: Option<Value>, value: Value) -> Result<Answer, Answer> {
        let transaction = self.transaction(node, key, expect, value).await?;
        let header = transaction.header.revision()?;
        if transaction.succeeded {
            let revision = Some(header);
            return Ok(done(OpResult::Cas { swapped: true, observed: Some(expect), revision }));
        }
        let found = transaction.responses.into_iter().next().and_then(|response| response.range);
        let found = found.ok_or_else(|| unknown("a failed comparison that doesn't say what it found"))?;
        let (observed, revision) = register(&found.kvs, key)?.unzip();
        Ok(done(OpResult::Cas { swapped: false, observed: Some(observed), revision }))
    }

    /// Puts the key if it holds what is expected, and otherwise reads it.
    async fn transaction(
        &self,
        node: NodeId,
        key: &str,
        expect: Option<Value>,
        value: Value,
    ) -> Result<Transaction, Answer> {
        let key = encoded(key);
        let compare = match expect {
            Some(expect) => {
                json!({ "key": key, "target": "VALUE", "result": "EQUAL", "value": encoded(&expect.to_string()) })
            }
            None => json!({ "key": key, "target": "VERSION", "result": "EQUAL", "version": "0" }),
        };
        let put = json!({ "request_put": { "key": key, "value": encoded(&value.to_string()) } });
        let range = json!({ "request_range": { "key": key } });
        self.call(node, "kv/txn", &json!({ "compare": [compare], "success": [put], "failure": [range] })).await
    }

    async fn elements(&self, node: NodeId, key: &str) -> Result<Answer, Answer> {
        let prefix = format!("set/{key}/");
        // `0` is the character after `/`.
        let end = format!("set/{key}0");
        let body = json!({ "key": encoded(&prefix), "range_end": encoded(&end), "keys_only": true,
            "serializable": self.serializable });
        let range: Range = self.call(node, "kv/range", &body).await?;
        range.header.revision()?;
        let mut values = Vec::with_capacity(range.kvs.len());
        let mut last = None;
        for found in &range.kvs {
            let name = found.key()?;
            let name = name.strip_prefix(prefix.as_bytes());
            values.push(written_as_bytes(name.ok_or_else(|| unknown("an answer about another set"))?));
            last = last.max(Some(revision(&found.mod_revision)?));
        }
        Ok(done(OpResult::Elements { values, revision: last }))
    }

    /// One call of the gateway: the message that it returns, or the answer of an operation of which nothing more is known.
    async fn call<T: DeserializeOwned>(
        &self,
        node: NodeId,
        method: &str,
        body: &serde_json::Value,
    ) -> Result<T, Answer> {
        self.try_call(node, method, body).await?.map_err(|refusal| refusal.answer())
    }

    /// One call of the gateway, with its refusal told apart.
    async fn try_call<T: DeserializeOwned>(
        &self,
        node: NodeId,
        method: &str,
        body: &serde_json::Value,
    ) -> Result<Result<T, Refusal>, Answer> {
        let url = format!("http://{}/v3/{method}", self.endpoints[node.index()]);
        let answer = web::send(self.http.post(url).json(body)).await?;
        let success = answer.status().is_success();
        let text = web::body(answer, ANSWER_BYTES_MAX).await?;
        let unreadable = || unknown(format!("unreadable answer: {}", shortened(&String::from_utf8_lossy(&text))));
        // The decoder would take a list for a record, too.
        if !text.trim_ascii_start().starts_with(b"{") {
            return Err(unreadable());
        }
        if success {
            serde_json::from_slice(&text).map(Ok).map_err(|_| unreadable())
        } else {
            serde_json::from_slice(&text).map(Err).map_err(|_| unreadable())
        }
    }
}

/// The key of a set's element.
fn element(set: &str, value: Value) -> String {
    format!("set/{set}/{value}")
}

/// What a range of one key says of it: its value and when it was last changed, or that it is absent.
fn register(kvs: &[KeyValue], key: &str) -> Result<Option<(Value, Revision)>, Answer> {
    match kvs {
        [] => Ok(None),
        [found] if found.key()? == key.as_bytes() => {
            Ok(Some((written_as_bytes(&found.value()?), revision(&found.mod_revision)?)))
        }
        [..] => Err(unknown("an answer about another key")),
    }
}

#[cfg(test)]
mod tests;
