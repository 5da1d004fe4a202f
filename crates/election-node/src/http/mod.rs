//! The HTTP interface: JSON in, JSON out, on the node's HTTP port. Version 1.
//!
//! Every answer that is not a success says in `definite` whether it is certain that nothing happened; a client that keeps
//! a history records `fail` for `true` and `info` for `false`. There are no client sessions: a write that is sent twice
//! happens twice. Nothing is forwarded: a node that does not lead says who does.
//!
//! ```text
//! GET  /status                      200 {"id":"n1","incarnation":1,"term":3,"role":"follower","leader":"n3",
//!                                        "voted_for":null,"commit":7,"last":7,"snapshot":0,"members":["n1","n2","n3"],
//!                                        "lease_remaining_ns":null,"quorum_remaining_ns":null,"as_of_ns":81234,"now_ns":81934,
//!                                        "clock_ns":81934,"specimen":null}
//! GET  /events                      200 lines, the first at once, then one per change of term, role, leader, vote, members:
//!                                       {"kind":"became_leader","monotonic_ns":81234,"clock_ns":81234,"id":"n1",
//!                                        "incarnation":1,"term":3,"role":"leader","leader":"n1","voted_for":"n1",
//!                                        "commit":7,"detail":{}}
//! GET  /kv/{key}?read=linearizable  200 {"value":"5","revision":7,"term":3}       also read=lease, read=local
//!                                   200 {"value":null,"revision":null,"term":null}   if there is no such key
//! PUT  /kv/{key}      {"value":"5"} 200 {"revision":7,"term":3}
//! POST /kv/{key}/cas  {"expect":"5","value":"6"}      "expect":null means "if there is no such key"
//!                                   200 {"swapped":true,"value":"5","revision":8,"term":3}     value: what was there before
//!                                   200 {"swapped":false,"value":"9","revision":7,"term":3}    revision: of what is there
//! POST /leadership/transfer {"to":"n2"}   200 {"leader":"n2","term":4}            {}: to the one with the longest log
//!                                         200 {"leader":null,"term":4}  stepped down, and has not heard of the new leader in time
//! POST /members {"add":"n4"}, {"remove":"n4"}         200 {"members":["n1","n2","n3"],"index":9}      once it is committed
//! GET  /metrics                     200 Prometheus' text format
//!
//! any                               421 {"error":"not_leader","definite":true,"leader":"n3","leader_http":"10.77.0.3:7002"}
//!                                   503 {"error":"busy","definite":true}
//!                                   503 {"error":"superseded","definite":false}     leadership was lost half-way
//!                                   504 {"error":"timeout","definite":false}        true for reads, which change nothing
//!                                   400 {"error":"bad_request","definite":true,"message":"…"}
//!                                   409 {"error":"invalid","definite":true}         makes no sense for the present members
//!                                   404 {"error":"not_found","definite":true}       no such path or method
//!
//! kv, transfer, members  501 {"error":"unsupported","definite":true}     of an algorithm without a log, which only elects
//!
//! these two                         409 {"error":"not_leader",…}, {"error":"busy",…}   in the place of 421 and 503: busy means
//!                                       that a transfer or another change is under way, or that the leader is too new
//!                                   409 {"error":"invalid",…}    it is a member already, or none; it is the leader itself
//!                                   504 {"error":"given_up","definite":true}        a node did not catch up; nothing happened
//!                                   504 {"error":"superseded","definite":false}     it may have happened, or happen yet
//! ```
//!
//! A transfer takes the longest election timeout at most, a change of members as a rule no longer than a write. A node that is to
//! be added must be up, to get the log first; if it doesn't answer it is tried twice, four longest election timeouts each, and
//! given up. One that has lost its disk is removed first (wait for the 200), started with `--join`, and added again.
//!
//! Stamps named `monotonic_ns`, `now_ns` and `as_of_ns` are CLOCK_MONOTONIC of the host and comparable between processes;
//! `clock_ns` is the node's own clock (`--clock-rate`). `kind` is one of `state` (the first line), `granted`,
//! `became_follower`, `became_pre_candidate`, `became_candidate`, `became_leader`, `leader_changed`, `members_changed`,
//! `committed_overwritten` (a broken node convicts itself) and `lagged` (this reader was too slow; `detail.missed` lines
//! are gone); the other fields are the node's state right after the event. The status is the one of the last completed step
//! (`as_of_ns`); if the node owes a step, because it was paused for example, the answer waits for it up to 100 ms.

mod admin;
mod error;
mod kv;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::extract::rejection::BytesRejection;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use election::{Algorithm, NodeId};
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, broadcast};

use self::error::Refusal;
use crate::arguments::AddressBook;
use crate::error::NodeError;
use crate::inbox::{Action, Denial, Requests, Success};
use crate::metrics::Metrics;
use crate::state::Published;
use crate::transport::socket;

/// The most requests under way; far below what the inbox holds, so that clients never crowd out peers.
const REQUESTS_MAX: usize = 4096;
/// The largest body, bytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// A body, or why there is none.
type Body = Result<Bytes, BytesRejection>;

/// What the handlers need.
#[derive(Debug)]
pub(crate) struct Api {
    requests: Box<dyn Requests>,
    published: Published,
    events: broadcast::Sender<Arc<str>>,
    book: AddressBook,
    metrics: Arc<Metrics>,
    algorithm: Algorithm,
    patience: Patience,
    places: Semaphore,
}

/// How long a request may take before it is answered `timeout`, on the host's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Reads and writes.
    pub(crate) clients: Duration,
    /// Transfers and changes of members, for which the protocol has longer deadlines of its own.
    pub(crate) operators: Duration,
}

/// What it means for a client that no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnTimeout {
    NothingHappened,
    MayHaveHappened,
}

impl OnTimeout {
    fn is_definite(self) -> bool {
        match self {
            Self::NothingHappened => true,
            Self::MayHaveHappened => false,
        }
    }
}

impl Api {
    /// Collects what the handlers need.
    pub(crate) fn new(
        requests: Box<dyn Requests>,
        published: Published,
        events: broadcast::Sender<Arc<str>>,
        book: AddressBook,
        metrics: Arc<Metrics>,
        algorithm: Algorithm,
        patience: Patience,
    ) -> Self {
        Self { requests, published, events, book, metrics, algorithm, patience, places: Semaphore::new(REQUESTS_MAX) }
    }

    /// Hands a request to the protocol thread and waits for its answer.
    async fn submit(&self, action: Action, on_timeout: OnTimeout) -> Result<Success, Refusal> {
        self.metrics.requests.fetch_add(1, Relaxed);
        if !self.algorithm.replicates() {
            return Err(Refusal::Unsupported(self.algorithm));
        }
        let patience = match action {
            Action::Propose(_) | Action::Read { .. } => self.patience.clients,
            Action::Transfer { .. } | Action::AddMember(_) | Action::RemoveMember(_) => self.patience.operators,
        };
        let Ok(_place) = self.places.try_acquire() else { return Err(Refusal::Busy) };
        let Some(answer) = self.requests.request(action) else { return Err(Refusal::Busy) };
        match tokio::time::timeout(patience, answer).await {
            Ok(Ok(answer)) => answer.map_err(|denial| self.refusal(denial, on_timeout)),
            // The protocol thread is gone; the process follows it in a moment.
            Ok(Err(_)) => Err(Refusal::Timeout { definite: on_timeout.is_definite() }),
            Err(_) => {
                self.metrics.requests_timed_out.fetch_add(1, Relaxed);
                Err(Refusal::Timeout { definite: on_timeout.is_definite() })
            }
        }
    }

    fn refusal(&self, denial: Denial, on_timeout: OnTimeout) -> Refusal {
        match denial {
            Denial::NotLeader { leader } => Refusal::not_leader(leader, &self.book),
            Denial::Busy => Refusal::Busy,
            Denial::Invalid => Refusal::Invalid,
            Denial::GivenUp => Refusal::GivenUp,
            Denial::Superseded => Refusal::Superseded { definite: on_timeout.is_definite() },
        }
    }

    fn known_node(&self, name: &str) -> Result<NodeId, Refusal> {
        let known = self.book.keys().find(|id| id.to_string() == name);
        known.copied().ok_or_else(|| Refusal::BadRequest(format!("`{name}` is not a node that this one was told of")))
    }
}

fn parse_body<T: DeserializeOwned>(body: Body) -> Result<T, Refusal> {
    let bytes = body.map_err(|error| Refusal::BadRequest(error.body_text()))?;
    serde_json::from_slice(&bytes).map_err(|error| Refusal::BadRequest(error.to_string()))
}

/// Binds the HTTP port.
///
/// # Errors
/// `Listen`.
pub(crate) fn listen(bind: IpAddr, port: u16) -> Result<TcpListener, NodeError> {
    let address = SocketAddr::new(bind, port);
    socket::listen(address).map_err(|source| NodeError::Listen { what: "http", address: address.to_string(), source })
}

/// Serves until the runtime ends.
pub(crate) async fn serve(listener: TcpListener, api: Arc<Api>) -> std::io::Result<()> {
    let router = Router::new()
        .route("/status", get(admin::status))
        .route("/events", get(admin::events))
        .route("/metrics", get(admin::metrics))
        .route("/leadership/transfer", post(admin::transfer))
        .route("/members", post(admin::members))
        .route("/kv/{key}", get(kv::get).put(kv::put))
        .route("/kv/{key}/cas", post(kv::cas))
        .fallback(admin::nothing_here)
        .method_not_allowed_fallback(admin::nothing_here)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(api);
    let listener = listener.tap_io(|stream| {
        // Without it an answer may wait 40 ms for an acknowledgement; a failure only means that.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await
}
