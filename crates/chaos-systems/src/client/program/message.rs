//! The lines of `chaos-client/1`, and what a `done` says of an operation.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use chaos_history::{Action, NodeId, OpResult, Revision, Value};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use super::super::{ClientSetup, done, failed, named, shortened, unknown, written_as};
use crate::driver::Answer;

/// What the protocol is called.
pub(crate) const PROTOCOL: &str = "chaos-client/1";
/// No line is longer, its end not counted.
pub(crate) const LINE_BYTES_MAX: usize = 1 << 20;

/// The first line.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename = "hello")]
pub(crate) struct Hello {
    pub(crate) protocol: &'static str,
    pub(crate) node: String,
    pub(crate) endpoint: SocketAddr,
    pub(crate) endpoints: Vec<SocketAddr>,
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) connect_timeout_ms: u64,
    pub(crate) seed: u64,
}

impl Hello {
    pub(crate) fn of(setup: &ClientSetup, node: NodeId) -> Self {
        Self {
            protocol: PROTOCOL,
            node: node.to_string(),
            endpoint: setup.endpoints[node.index()],
            endpoints: setup.endpoints.clone(),
            options: setup.options.clone(),
            connect_timeout_ms: u64::try_from(setup.connect_timeout.as_millis()).unwrap_or(u64::MAX),
            seed: setup.seed.0,
        }
    }

    pub(crate) fn line(&self) -> String {
        serde_json::to_string(self).expect("a record of texts and numbers is JSON")
    }
}

/// What a program can do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Ready {
    pub(crate) protocol: String,
    pub(crate) ops: Vec<String>,
    #[serde(default)]
    pub(crate) questions: Vec<String>,
}

/// How an operation ended.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Done {
    outcome: String,
    #[serde(default, deserialize_with = "told")]
    value: Option<Option<String>>,
    #[serde(default)]
    swapped: Option<bool>,
    #[serde(default, deserialize_with = "told")]
    observed: Option<Option<String>>,
    #[serde(default)]
    values: Option<Vec<String>>,
    #[serde(default)]
    accepted: Option<bool>,
    #[serde(default)]
    revision: Option<u64>,
    #[serde(default)]
    token: Option<u64>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    leader: Option<String>,
}

/// A field that is there, null included.
fn told<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What the protocol calls an action.
pub(crate) fn op(action: &Action) -> &'static str {
    match action {
        Action::Read { .. } => "read",
        Action::Write { .. } => "write",
        Action::Cas { .. } => "cas",
        Action::Add { .. } => "add",
        Action::Elements { .. } => "elements",
        Action::Acquire { .. } => "acquire",
        Action::Release { .. } => "release",
        Action::Access { .. } => "access",
    }
}

pub(crate) fn op_line(id: u64, action: &Action) -> String {
    let mut line = json!({ "type": "op", "id": id, "op": op(action), "key": action.key() });
    if let Some(value) = action.written() {
        line["value"] = value.to_string().into();
    }
    match action {
        Action::Cas { expect, .. } => line["expect"] = expect.map(|value| value.to_string()).into(),
        Action::Access { token, .. } => line["token"] = (*token).into(),
        Action::Read { .. }
        | Action::Write { .. }
        | Action::Add { .. }
        | Action::Elements { .. }
        | Action::Acquire { .. }
        | Action::Release { .. } => {}
    }
    line.to_string()
}

pub(crate) fn observe_line(id: u64, question: &str) -> String {
    json!({ "type": "observe", "id": id, "question": question }).to_string()
}

/// What a `done` says of an action.
pub(crate) fn answer(action: &Action, said: Done, endpoints: &[SocketAddr], nodes: usize) -> Answer {
    let leader_hint = said.leader.as_deref().and_then(|leader| named(leader, endpoints, nodes));
    let error = said.error.as_deref().map_or_else(|| "no reason told".to_owned(), shortened);
    let answer = match said.outcome.as_str() {
        "ok" => match result(action, said) {
            Ok(result) => done(result),
            Err(missing) => unknown(format!("an `ok` without `{missing}`")),
        },
        "fail" => failed(error),
        "info" => unknown(error),
        other => unknown(format!("outcome `{}`", shortened(other))),
    };
    Answer { leader_hint, ..answer }
}

/// The result of an `ok`, or what it should have said.
fn result(action: &Action, said: Done) -> Result<OpResult, &'static str> {
    let revision = said.revision.map(Revision);
    let value = |told: Option<String>| -> Option<Value> { told.as_deref().map(written_as) };
    Ok(match action {
        Action::Read { .. } => OpResult::Read { value: value(said.value.ok_or("value")?), revision },
        Action::Write { .. } | Action::Add { .. } => OpResult::Written { revision },
        Action::Cas { .. } => {
            OpResult::Cas { swapped: said.swapped.ok_or("swapped")?, observed: said.observed.map(value), revision }
        }
        Action::Elements { .. } => {
            let values = said.values.ok_or("values")?;
            OpResult::Elements { values: values.iter().map(|text| written_as(text)).collect(), revision }
        }
        Action::Acquire { .. } => OpResult::Acquired { token: said.token },
        Action::Release { .. } => OpResult::Released,
        Action::Access { .. } => OpResult::Accessed { accepted: said.accepted.ok_or("accepted")? },
    })
}
