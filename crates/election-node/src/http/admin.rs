//! Who leads, what happens, how often, and the two things that an operator can change.

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

use super::error::{Refusal, Refused};
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
    #[serde(default)]
    add: Option<String>,
    #[serde(default)]
    remove: Option<String>,
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

/// `POST /leadership/transfer`.
pub(super) async fn transfer(State(api): State<Arc<Api>>, body: Body) -> Result<impl IntoResponse, Refused> {
    let empty = body.as_ref().is_ok_and(|bytes| bytes.is_empty());
    let TransferBody { to } = if empty { TransferBody { to: None } } else { parse_body(body)? };
    let to = to.as_deref().map(|name| api.known_node(name)).transpose()?;
    let done = api.submit(Action::Transfer { to }, OnTimeout::MayHaveHappened).await?;
    let Success::Transferred { leader, term } = done else { return Err(unexpected()) };
    Ok(Json(json!({"leader": leader.map(NodeId::name), "term": term.0})))
}

/// `POST /members`.
pub(super) async fn members(State(api): State<Arc<Api>>, body: Body) -> Result<impl IntoResponse, Refused> {
    let done = match parse_body(body)? {
        MembersBody { add: Some(name), remove: None } => {
            let added = Action::AddMember(api.known_node(&name)?);
            match api.submit(added.clone(), OnTimeout::MayHaveHappened).await {
                // A node that has just been started may not have been met when the leader first called it, under an older life.
                Err(Refusal::GivenUp) => api.submit(added, OnTimeout::MayHaveHappened).await?,
                other => other?,
            }
        }
        MembersBody { add: None, remove: Some(name) } => {
            api.submit(Action::RemoveMember(api.known_node(&name)?), OnTimeout::MayHaveHappened).await?
        }
        MembersBody { .. } => {
            let message = r#"write {"add":"n4"} or {"remove":"n4"}: one change at a time"#;
            return Err(Refusal::BadRequest(message.to_owned()).into());
        }
    };
    let Success::MembershipChanged { index, members } = done else { return Err(unexpected()) };
    let members: Vec<String> = members.into_iter().map(NodeId::name).collect();
    Ok(Json(json!({"members": members, "index": index.0})))
}

/// A result of another kind than was asked for: a mistake of this crate, and all that is certain is that something was done.
fn unexpected() -> Refused {
    Refused(Refusal::Superseded { definite: false })
}

/// Everything else.
pub(super) async fn nothing_here() -> Refusal {
    Refusal::NotFound
}
