//! Answers that are not what the client asked for: a word, and whether it is definite that nothing happened.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use election::{Algorithm, NodeId};
use serde_json::{Value, json};

use crate::arguments::AddressBook;

/// Why a request has no result. *Definite*: it did not happen and will not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Definite; another node may lead.
    NotLeader { leader: Option<NodeId>, leader_http: Option<String> },
    /// Definite; a limit is reached.
    Busy,
    /// Definite; the request makes no sense, for this reason.
    BadRequest(String),
    /// Definite; no such path or method.
    NotFound,
    /// Definite; the algorithm has no word for it.
    Unsupported(Algorithm),
    /// Definite; it makes no sense for the members as they are.
    Invalid,
    /// Definite; another node did not catch up in time.
    GivenUp,
    /// No answer in time. Definite for reads only, which change nothing.
    Timeout { definite: bool },
    /// Leadership was lost after the request had been acted upon. Definite for reads only.
    Superseded { definite: bool },
}

impl Refusal {
    /// The refusal of a node that does not lead, with where the leader is.
    pub(super) fn not_leader(leader: Option<NodeId>, book: &AddressBook) -> Self {
        let leader_http = leader.and_then(|leader| book.get(&leader.in_first_life())).map(|address| address.http());
        Self::NotLeader { leader, leader_http }
    }
}

impl Refusal {
    fn parts(self) -> (StatusCode, Value) {
        match self {
            Self::NotLeader { leader, leader_http } => {
                let leader = leader.map(NodeId::name);
                let body =
                    json!({"error": "not_leader", "definite": true, "leader": leader, "leader_http": leader_http});
                (StatusCode::MISDIRECTED_REQUEST, body)
            }
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, json!({"error": "busy", "definite": true})),
            Self::BadRequest(message) => {
                (StatusCode::BAD_REQUEST, json!({"error": "bad_request", "definite": true, "message": message}))
            }
            Self::NotFound => (StatusCode::NOT_FOUND, json!({"error": "not_found", "definite": true})),
            Self::Unsupported(algorithm) => {
                let message = format!("{algorithm} elects leaders, and keeps no log");
                (StatusCode::NOT_IMPLEMENTED, json!({"error": "unsupported", "definite": true, "message": message}))
            }
            Self::Invalid => (StatusCode::CONFLICT, json!({"error": "invalid", "definite": true})),
            Self::GivenUp => (StatusCode::GATEWAY_TIMEOUT, json!({"error": "given_up", "definite": true})),
            Self::Timeout { definite } => {
                (StatusCode::GATEWAY_TIMEOUT, json!({"error": "timeout", "definite": definite}))
            }
            Self::Superseded { definite } => {
                (StatusCode::SERVICE_UNAVAILABLE, json!({"error": "superseded", "definite": definite}))
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, body) = self.parts();
        (status, Json(body)).into_response()
    }
}

/// A refusal of what an operator asked for. The words are the same; the codes are those that an operator's tools know: 409 for what
/// the state of the cluster forbids, 504 for what was not done in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused(pub(super) Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let code = match &self.0 {
            Refusal::NotLeader { .. } | Refusal::Busy => Some(StatusCode::CONFLICT),
            Refusal::Superseded { .. } => Some(StatusCode::GATEWAY_TIMEOUT),
            Refusal::BadRequest(_)
            | Refusal::NotFound
            | Refusal::Unsupported(_)
            | Refusal::Invalid
            | Refusal::GivenUp
            | Refusal::Timeout { .. } => None,
        };
        let (status, body) = self.0.parts();
        (code.unwrap_or(status), Json(body)).into_response()
    }
}
