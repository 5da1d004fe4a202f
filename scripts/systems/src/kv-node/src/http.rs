//! The HTTP interface, the same as this project's reference node has (without `/events`, `/members` and `/transfer`).
//!
//! Every answer that is not a success says in `definite` whether it is certain that nothing happened. Certain are: a request that
//! the library turned away before it was appended to the log, one that makes no sense, and every failed read, which changes
//! nothing. A write that was appended and got no answer is not certain, whatever happened since.
//!
//! ```text
//! GET  /status                      200 {"id":"n1","role":"leader","term":3,"leader":"n1","voted_for":"n1","commit":7,"applied":7}
//! GET  /state                       200 {"applied":7,"digest":"6c62272e07bb0142"}     equal maps have equal digests
//! GET  /kv/{key}?read=linearizable  200 {"value":"5","revision":7,"term":3}           also read=local: this node's map as it is
//!                                   200 {"value":null,"revision":null,"term":null}    if there is no such key
//! PUT  /kv/{key}      {"value":"5"} 200 {"revision":7,"term":3}
//! POST /kv/{key}/cas  {"expect":"5","value":"6"}    "expect":null means "if there is no such key"
//!                                   200 {"swapped":true,"value":"5","revision":8,"term":3}    value: what was there before
//! any                               421 {"error":"not_leader","definite":true,"leader":"n3"}
//!                                   503 {"error":"busy","definite":true}            turned away before the log
//!                                   503 {"error":"superseded","definite":false}     leadership was lost half-way; true for reads
//!                                   504 {"error":"timeout","definite":false}        true for reads
//!                                   400 {"error":"bad_request","definite":true,"message":"…"}
//!                                   404 {"error":"not_found","definite":true}
//! ```

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::map::{Answer, Command, Map, Versioned};

/// What a node says of itself. All of it was true at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The node's name.
    pub id: String,
    /// The library's word for its state, in lower case.
    pub role: &'static str,
    /// Its term.
    pub term: u64,
    /// Whom it follows, or itself.
    pub leader: Option<String>,
    /// For whom it voted in this term.
    pub voted_for: Option<String>,
    /// How far it knows the log to be committed, if the library tells.
    pub commit: Option<u64>,
    /// How far it has applied it.
    pub applied: Option<u64>,
}

/// Why a request has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This node does not lead, and nothing was appended; perhaps this one leads.
    NotLeader(Option<String>),
    /// Turned away, and nothing was appended.
    Busy,
    /// Leadership was lost, or the library gave up, after the request had been acted upon.
    Superseded,
    /// No answer in time.
    Timeout,
    /// The request makes no sense.
    BadRequest(String),
    /// There is no such path, or not with this method.
    NotFound,
}

/// What the libraries do for the interface.
pub trait Node: Send + Sync + 'static {
    /// One consistent view of the node.
    fn status(&self) -> Status;
    /// Returns when this node's map holds everything that was acknowledged before the call, or says why it can't.
    fn read_barrier(&self) -> impl Future<Output = Result<(), Refusal>> + Send;
    /// Takes a command through the log, and gives what applying it did.
    fn propose(&self, command: Command) -> impl Future<Output = Result<Answer, Refusal>> + Send;
}

struct Api<N> {
    node: N,
    map: Arc<RwLock<Map>>,
    timeout: Duration,
}

/// A refusal as an answer; failed reads changed nothing, so all of them are definite.
fn refused(refusal: Refusal, reads: bool) -> Response {
    let (status, body) = match refusal {
        Refusal::NotLeader(leader) => {
            (StatusCode::MISDIRECTED_REQUEST, json!({"error": "not_leader", "definite": true, "leader": leader}))
        }
        Refusal::Busy => (StatusCode::SERVICE_UNAVAILABLE, json!({"error": "busy", "definite": true})),
        Refusal::Superseded => (StatusCode::SERVICE_UNAVAILABLE, json!({"error": "superseded", "definite": reads})),
        Refusal::Timeout => (StatusCode::GATEWAY_TIMEOUT, json!({"error": "timeout", "definite": reads})),
        Refusal::BadRequest(message) => {
            (StatusCode::BAD_REQUEST, json!({"error": "bad_request", "definite": true, "message": message}))
        }
        Refusal::NotFound => (StatusCode::NOT_FOUND, json!({"error": "not_found", "definite": true})),
    };
    (status, Json(body)).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadQuery {
    read: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutBody {
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CasBody {
    /// Must be there, even if it is null: a forgotten `expect` is not "expect nothing".
    #[serde(deserialize_with = "Option::deserialize")]
    expect: Option<String>,
    value: String,
}

fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::BadRequest(error.to_string()))
}

impl<N: Node> Api<N> {
    async fn read(&self, key: &str, query: ReadQuery) -> Result<Value, Refusal> {
        match query.read.as_deref() {
            None | Some("linearizable") => {
                tokio::time::timeout(self.timeout, self.node.read_barrier()).await.unwrap_or(Err(Refusal::Timeout))?;
            }
            Some("local") => {}
            Some(other) => return Err(Refusal::BadRequest(format!("read `{other}`: write linearizable or local"))),
        }
        let map = self.map.read().expect("nobody panics with the map in hand");
        Ok(match map.get(key) {
            Some(Versioned { value, revision, term }) => json!({"value": value, "revision": revision, "term": term}),
            None => json!({"value": null, "revision": null, "term": null}),
        })
    }

    async fn write(&self, command: Command) -> Result<Value, Refusal> {
        let proposed = self.node.propose(command);
        Ok(match tokio::time::timeout(self.timeout, proposed).await.unwrap_or(Err(Refusal::Timeout))? {
            Answer::Put { revision, term } => json!({"revision": revision, "term": term}),
            Answer::Cas { swapped, before, revision, term } => {
                let before = before.map(|before| before.value);
                json!({"swapped": swapped, "value": before, "revision": revision, "term": term})
            }
        })
    }
}

async fn status<N: Node>(State(api): State<Arc<Api<N>>>) -> Json<Status> {
    Json(api.node.status())
}

async fn state<N: Node>(State(api): State<Arc<Api<N>>>) -> Json<Value> {
    let map = api.map.read().expect("nobody panics with the map in hand");
    Json(json!({"applied": map.applied(), "digest": format!("{:016x}", map.digest())}))
}

async fn read<N: Node>(State(api): State<Arc<Api<N>>>, Path(key): Path<String>, query: Query<ReadQuery>) -> Response {
    api.read(&key, query.0).await.map_or_else(|refusal| refused(refusal, true), |body| Json(body).into_response())
}

async fn put<N: Node>(State(api): State<Arc<Api<N>>>, Path(key): Path<String>, body: Bytes) -> Response {
    let done = async { api.write(parse::<PutBody>(&body).map(|PutBody { value }| Command::Put { key, value })?).await };
    done.await.map_or_else(|refusal| refused(refusal, false), |body| Json(body).into_response())
}

async fn cas<N: Node>(State(api): State<Arc<Api<N>>>, Path(key): Path<String>, body: Bytes) -> Response {
    let done = async {
        let CasBody { expect, value } = parse(&body)?;
        api.write(Command::Cas { key, expect, value }).await
    };
    done.await.map_or_else(|refusal| refused(refusal, false), |body| Json(body).into_response())
}

async fn nothing_here() -> Response {
    refused(Refusal::NotFound, true)
}

fn router<N: Node>(node: N, map: Arc<RwLock<Map>>, timeout: Duration) -> Router {
    Router::new()
        .route("/status", get(status::<N>))
        .route("/state", get(state::<N>))
        .route("/kv/{key}", get(read::<N>).put(put::<N>))
        .route("/kv/{key}/cas", post(cas::<N>))
        .fallback(nothing_here)
        .method_not_allowed_fallback(nothing_here)
        .with_state(Arc::new(Api { node, map, timeout }))
}

/// Serves until the runtime ends.
///
/// # Errors
/// If the address cannot be had.
pub async fn serve<N: Node>(at: SocketAddr, node: N, map: Arc<RwLock<Map>>, timeout: Duration) -> std::io::Result<()> {
    let listener = crate::wire::listen(at)?.tap_io(|stream| {
        // Without it an answer may wait 40 ms for an acknowledgement; a failure only means that.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router(node, map, timeout)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn definite(refusal: Refusal, reads: bool) -> (u16, bool) {
        let response = refused(refusal, reads);
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        (status, body["definite"].as_bool().unwrap())
    }

    #[tokio::test]
    async fn only_what_never_reached_the_log_is_definite() {
        for (refusal, expect) in [
            (Refusal::NotLeader(None), (421, true)),
            (Refusal::Busy, (503, true)),
            (Refusal::Superseded, (503, false)),
            (Refusal::Timeout, (504, false)),
            (Refusal::BadRequest(String::new()), (400, true)),
            (Refusal::NotFound, (404, true)),
        ] {
            assert_eq!(definite(refusal.clone(), false).await, expect, "{refusal:?}");
            assert_eq!(definite(refusal.clone(), true).await, (expect.0, true), "a read: {refusal:?}");
        }
    }

    #[test]
    fn a_forgotten_expectation_is_no_expectation_of_nothing() {
        let body = |text: &'static str| parse::<CasBody>(&Bytes::from_static(text.as_bytes()));
        assert!(matches!(body(r#"{"value":"1"}"#), Err(Refusal::BadRequest(message)) if message.contains("expect")));
        assert_eq!(body(r#"{"expect":null,"value":"1"}"#).map(|body| body.expect), Ok(None));
    }
}
