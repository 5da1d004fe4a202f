//! Answers that are not what the client asked for: a word, and whether it is definite that nothing happened.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use election::NodeId;
use serde_json::json;

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
    /// Definite; it makes no sense for the members as they are.
    Invalid,
    /// No answer in time. Definite for reads only, which change nothing.
    Timeout { definite: bool },
    /// Leadership was lost after the request had been acted upon. Definite for reads only.
    Superseded { definite: bool },
}

impl Refusal {
    /// The refusal of a node that does not lead, with where the leader is.
    pub(super) fn not_leader(leader: Option<NodeId>, book: &AddressBook) -> Self {
        let leader_http = leader.and_then(|leader| book.get(&leader)).map(|address| address.http());
        Self::NotLeader { leader, leader_http }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, body) = match self {
            Self::NotLeader { leader, leader_http } => {
                let leader = leader.map(|leader| leader.to_string());
                let body =
                    json!({"error": "not_leader", "definite": true, "leader": leader, "leader_http": leader_http});
                (StatusCode::MISDIRECTED_REQUEST, body)
            }
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, json!({"error": "busy", "definite": true})),
            Self::BadRequest(message) => {
                (StatusCode::BAD_REQUEST, json!({"error": "bad_request", "definite": true, "message": message}))
            }
            Self::NotFound => (StatusCode::NOT_FOUND, json!({"error": "not_found", "definite": true})),
            Self::Invalid => (StatusCode::CONFLICT, json!({"error": "invalid", "definite": true})),
            Self::Timeout { definite } => {
                (StatusCode::GATEWAY_TIMEOUT, json!({"error": "timeout", "definite": definite}))
            }
            Self::Superseded { definite } => {
                (StatusCode::SERVICE_UNAVAILABLE, json!({"error": "superseded", "definite": definite}))
            }
        };
        (status, Json(body)).into_response()
    }
}
