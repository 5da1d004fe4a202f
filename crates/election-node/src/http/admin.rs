//! Who leads, what happens, how often, and the two things that an operator can change.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use election::NodeId;
use election::raft::Role;
use futures::stream;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use super::error::Refusal;
use super::{Api, Body, OnTimeout, parse_body};
use crate::inbox::{Action, Success};
use crate::metrics::Gauges;
use crate::state::Detail;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TransferBody {
    #[serde(default)]
    to: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MembersBody {
    members: Vec<String>,
}

/// `GET /status`.
pub(super) async fn status(State(api): State<Arc<Api>>) -> impl IntoResponse {
    let (state, now) = api.published.current().await;
    let mut body = state.status_json(now);
    body.push('\n');
    ([(CONTENT_TYPE, "application/json")], body)
}

/// `GET /events`: the current state, then a line per change, until the reader goes.
pub(super) async fn events(State(api): State<Arc<Api>>) -> impl IntoResponse {
    // Subscribing comes first: a change in between is then told twice, never not at all.
    let changes = api.events.subscribe();
    let (state, now) = api.published.current().await;
    let first = state.event_line("state", now, Detail::default());
    let lines = stream::unfold((Some(first), changes, api), |(first, mut changes, api)| async move {
        let line = match first {
            Some(line) => Arc::from(line),
            None => match changes.recv().await {
                Ok(line) => line,
                Err(RecvError::Lagged(missed)) => {
                    let (state, now) = api.published.current().await;
                    let detail = Detail { missed: Some(missed), ..Detail::default() };
                    Arc::from(state.event_line("lagged", now, detail))
                }
                Err(RecvError::Closed) => return None,
            },
        };
        let line: Arc<str> = line;
        Some((Ok::<_, Infallible>(line.to_string()), (None, changes, api)))
    });
    ([(CONTENT_TYPE, "application/x-ndjson")], axum::body::Body::from_stream(lines))
}

/// `GET /metrics`.
pub(super) async fn metrics(State(api): State<Arc<Api>>) -> impl IntoResponse {
    let state = api.published.latest();
    let role = match state.role {
        Role::Follower => 0,
        Role::PreCandidate => 1,
        Role::Candidate => 2,
        Role::Leader => 3,
    };
    let gauges =
        Gauges { term: state.term.0, role, commit: state.commit.0, last: state.last.0, incarnation: state.incarnation };
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], api.metrics.render(gauges))
}

/// `POST /transfer`.
pub(super) async fn transfer(State(api): State<Arc<Api>>, body: Body) -> Result<impl IntoResponse, Refusal> {
    let empty = body.as_ref().is_ok_and(|bytes| bytes.is_empty());
    let TransferBody { to } = if empty { TransferBody { to: None } } else { parse_body(body)? };
    let to = to.as_deref().map(|name| api.known_node(name)).transpose()?;
    let done = api.submit(Action::Transfer { to }, OnTimeout::MayHaveHappened).await?;
    let Success::Transferred = done else { return Err(Refusal::Superseded { definite: false }) };
    let leader = api.published.latest().leader.map(|leader| leader.to_string());
    Ok(Json(json!({"transferred": true, "leader": leader})))
}

/// `POST /members`.
pub(super) async fn members(State(api): State<Arc<Api>>, body: Body) -> Result<impl IntoResponse, Refusal> {
    let MembersBody { members } = parse_body(body)?;
    let members: BTreeSet<NodeId> = members.iter().map(|name| api.known_node(name)).collect::<Result<_, _>>()?;
    let names: Vec<String> = members.iter().map(NodeId::to_string).collect();
    let done = api.submit(Action::ChangeMembership { members }, OnTimeout::MayHaveHappened).await?;
    let Success::MembershipChanged { index } = done else { return Err(Refusal::Superseded { definite: false }) };
    Ok(Json(json!({"members": names, "revision": index.0})))
}

/// Everything else.
pub(super) async fn nothing_here() -> Refusal {
    Refusal::NotFound
}
