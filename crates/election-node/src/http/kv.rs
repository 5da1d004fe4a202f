//! Keys and values over HTTP.
//!
//! A result of another kind than was asked for would be a mistake of this crate; it is answered as `superseded`, because all
//! that is then certain is that something was done.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::IntoResponse;
use election::raft::ReadConsistency;
use serde::Deserialize;
use serde_json::json;

use super::error::Refusal;
use super::{Api, Body, OnTimeout, parse_body};
use crate::inbox::{Action, Success};
use crate::machine::{Command, Effect, Versioned};

/// The longest key, bytes.
const KEY_BYTES_MAX: usize = 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadQuery {
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

/// `GET /kv/{key}`.
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    Path(key): Path<String>,
    query: Result<Query<ReadQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<impl IntoResponse, Refusal> {
    check_key(&key)?;
    let Query(query) = query.map_err(|error| Refusal::BadRequest(error.body_text()))?;
    let consistency = match query.read.as_deref() {
        None | Some("linearizable") => ReadConsistency::Linearizable,
        Some("lease") => ReadConsistency::Lease,
        Some("local") => ReadConsistency::Local,
        Some(other) => {
            return Err(Refusal::BadRequest(format!("read `{other}`: write linearizable, lease or local")));
        }
    };
    let done = api.submit(Action::Read { key, consistency }, OnTimeout::NothingHappened).await?;
    let Success::Value(found) = done else { return Err(Refusal::Superseded { definite: true }) };
    let (value, revision, term) = parts(found.as_ref());
    Ok(Json(json!({"value": value, "revision": revision, "term": term})))
}

/// `PUT /kv/{key}`.
pub(super) async fn put(
    State(api): State<Arc<Api>>,
    Path(key): Path<String>,
    body: Body,
) -> Result<impl IntoResponse, Refusal> {
    check_key(&key)?;
    let PutBody { value } = parse_body(body)?;
    let done = api.submit(Action::Propose(Command::Put { key, value }), OnTimeout::MayHaveHappened).await?;
    let Success::Applied { index, term, effect: Effect::Put } = done else {
        return Err(Refusal::Superseded { definite: false });
    };
    Ok(Json(json!({"revision": index.0, "term": term.0})))
}

/// `POST /kv/{key}/cas`.
pub(super) async fn cas(
    State(api): State<Arc<Api>>,
    Path(key): Path<String>,
    body: Body,
) -> Result<impl IntoResponse, Refusal> {
    check_key(&key)?;
    let CasBody { expect, value } = parse_body(body)?;
    let done = api.submit(Action::Propose(Command::Cas { key, expect, value }), OnTimeout::MayHaveHappened).await?;
    let Success::Applied { index, term, effect: Effect::Cas { swapped, before } } = done else {
        return Err(Refusal::Superseded { definite: false });
    };
    let (value, revision_before, term_before) = parts(before.as_ref());
    let (revision, term) = if swapped { (Some(index.0), Some(term.0)) } else { (revision_before, term_before) };
    Ok(Json(json!({"swapped": swapped, "value": value, "revision": revision, "term": term})))
}

fn parts(found: Option<&Versioned>) -> (Option<&str>, Option<u64>, Option<u64>) {
    match found {
        Some(found) => (Some(&found.value), Some(found.revision.0), Some(found.term.0)),
        None => (None, None, None),
    }
}

fn check_key(key: &str) -> Result<(), Refusal> {
    if key.len() <= KEY_BYTES_MAX {
        return Ok(());
    }
    Err(Refusal::BadRequest(format!("the key has {} bytes, {KEY_BYTES_MAX} are allowed", key.len())))
}
