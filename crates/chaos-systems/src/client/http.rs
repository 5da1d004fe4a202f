//! The driver `http`: requests and the meaning of their answers are written in the definition; no code.
//!
//! Templates see what all templates about a node see, and `key`, `value`, `expect` (nothing, if a `cas` expects the key to be
//! absent). In a path the key is percent-encoded, so that no key can name another place. Expressions see all of that and
//! `status` and `answer`: the decoded JSON, or the text if it is none.
//!
//! | part | must be | otherwise |
//! |---|---|---|
//! | `ok`, `fail`, `swapped` | true or false; what isn't there counts as false (not for `swapped`) | `info` |
//! | `value` | a text or a number as a client writes it; null: the key is absent; a list for `elements` | a value without a writer |
//! | `revision` | a whole number, as a number or a text; nothing: none is told | `info` |
//! | `leader` | a node's id, address, address and port, or URL; anything else names nobody | |
//!
//! What is definite: the definition's own `fail`, and a connection that did not come about. An answer that is both `ok` and
//! `fail`, or neither, is `info`; so is one whose `value` is not there at all: that nothing is said does not mean that the key is
//! absent (write `answer.value | default(none)` if it does). A `cas` without `swapped` has swapped if it is `ok`.
//!
//! It has no options, keeps registers and sets, and has no words for locks.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use chaos_history::{Action, NodeId, OpResult, Revision, Value};
use chaos_plan::definition::{
    EvaluateError, Expression, HttpExchange, HttpOperation, Scope, Template, TemplateValue, value_of,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Url};

use super::options::Options;
use super::{ClientError, ClientSetup, done, failed, named, no_words, shortened, unknown, web, written_as};
use crate::driver::{Answer, Client};

/// More than any answer takes, a set of a hundred thousand elements included.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// Opens the driver.
///
/// # Errors
/// If the definition says nothing of any operation, or something that can't be a request.
pub(super) fn open(setup: &ClientSetup) -> Result<Arc<dyn Client>, ClientError> {
    Options::of(setup, &[])?;
    let unusable = |what: String| ClientError::Unusable { driver: setup.driver.clone(), what };
    if setup.http.is_empty() {
        return Err(unusable("is told of no operation (`read`, `write`, `cas`, `add`, `elements`)".to_owned()));
    }
    let http = web::client(setup.connect_timeout)
        .map_err(|error| unusable(format!("can't set up HTTP: {}", web::describe(&error))))?;
    let shared = Shared {
        http,
        endpoints: setup.endpoints.clone(),
        nodes: setup.nodes,
        exchanges: setup.http.clone(),
        scope: setup.scope.clone(),
    };
    // Every request is made up once, so that a mistake in it is found before anything runs.
    let key = "k".to_owned();
    let sample = |operation: HttpOperation| match operation {
        HttpOperation::Read => Action::Read { key: key.clone() },
        HttpOperation::Write => Action::Write { key: key.clone(), value: Value(1) },
        HttpOperation::Cas => Action::Cas { key: key.clone(), expect: Some(Value(1)), value: Value(2) },
        HttpOperation::Add => Action::Add { key: key.clone(), value: Value(1) },
        HttpOperation::Elements => Action::Elements { key: key.clone() },
    };
    for (operation, exchange) in setup.http.iter().filter(|_| !setup.endpoints.is_empty()) {
        let told = |what: String| unusable(format!("can't send `{}`: {what}", word(*operation)));
        let request = shared.request(NodeId::new(1), exchange, &sample(*operation)).map_err(told)?;
        request.build().map_err(|error| unusable(format!("can't send `{}`: {error}", word(*operation))))?;
    }
    Ok(Arc::new(Http(Arc::new(shared))))
}

struct Http(Arc<Shared>);

struct Shared {
    http: reqwest::Client,
    endpoints: Vec<SocketAddr>,
    nodes: usize,
    exchanges: BTreeMap<HttpOperation, HttpExchange>,
    scope: Scope,
}

impl Client for Http {
    fn invoke(&self, node: NodeId, action: &Action) -> BoxFuture<'static, Answer> {
        let (shared, action) = (Arc::clone(&self.0), action.clone());
        async move { shared.invoke(node, &action).await.unwrap_or_else(|answer| answer) }.boxed()
    }
}

/// What the definition calls an operation.
fn word(operation: HttpOperation) -> &'static str {
    match operation {
        HttpOperation::Read => "read",
        HttpOperation::Write => "write",
        HttpOperation::Cas => "cas",
        HttpOperation::Add => "add",
        HttpOperation::Elements => "elements",
    }
}

impl Shared {
    async fn invoke(&self, node: NodeId, action: &Action) -> Result<Answer, Answer> {
        let operation = match action {
            Action::Read { .. } => HttpOperation::Read,
            Action::Write { .. } => HttpOperation::Write,
            Action::Cas { .. } => HttpOperation::Cas,
            Action::Add { .. } => HttpOperation::Add,
            Action::Elements { .. } => HttpOperation::Elements,
            Action::Acquire { .. } | Action::Release { .. } | Action::Access { .. } => {
                return Err(no_words("http", "locks"));
            }
        };
        let exchange = self.exchanges.get(&operation);
        let exchange = exchange.ok_or_else(|| failed(format!("the definition has no `{}`", word(operation))))?;
        let request = self.request(node, exchange, action).map_err(|what| failed(format!("not sent: {what}")))?;
        let answer = web::send(request).await?;
        let status = answer.status().as_u16();
        let body = web::body(answer, ANSWER_BYTES_MAX).await?;
        let text = String::from_utf8_lossy(&body);
        let decoded = match serde_json::from_slice::<serde_json::Value>(&body) {
            Ok(decoded) => value_of(decoded),
            Err(_) => TemplateValue::from(text.as_ref()),
        };
        let words = [("status", TemplateValue::from(status)), ("answer", decoded)];
        let seen = self.seen(node, action, action.key(), words);
        let said = format!("status {status}, {}", shortened(&text));
        let mut answer = meaning(exchange, action, &seen, &said).unwrap_or_else(|answer| answer);
        answer.leader_hint = match exchange.leader.as_ref().map(|leader| leader.value(&seen)) {
            Some(Ok(leader)) => leader.as_str().and_then(|text| named(text, &self.endpoints, self.nodes)),
            Some(Err(_)) | None => None,
        };
        Ok(answer)
    }

    /// The request, or why it can't be made.
    fn request(&self, node: NodeId, exchange: &HttpExchange, action: &Action) -> Result<RequestBuilder, String> {
        let key = action.key();
        // URLs have no way to write these as a part of a path.
        if matches!(key, "" | "." | "..") {
            return Err(format!("`{key}` can't be a key over HTTP"));
        }
        let render = |template: &Template, seen: &TemplateValue| {
            template.render(seen).map_err(|error: EvaluateError| error.to_string())
        };
        let path = render(&exchange.path, &self.seen(node, action, &percent_encoded(key), []))?;
        if !path.starts_with('/') {
            return Err(format!("the path `{}` does not begin with `/`", shortened(&path)));
        }
        let url = Url::parse(&format!("http://{}{path}", self.endpoints[node.index()]));
        let url = url.map_err(|error| format!("the path `{}`: {error}", shortened(&path)))?;
        let method = Method::from_bytes(exchange.method.as_bytes());
        let method = method.map_err(|_| format!("`{}` is no method", shortened(&exchange.method)))?;
        let seen = self.seen(node, action, key, []);
        let mut request = self.http.request(method, url);
        for (name, template) in &exchange.headers {
            let text = render(template, &seen)?;
            let name = HeaderName::from_bytes(name.as_bytes());
            let name = name.map_err(|_| "a header whose name can't be one".to_owned())?;
            let value = HeaderValue::from_str(&text).map_err(|_| format!("the header `{name}` has no valid value"))?;
            request = request.header(name, value);
        }
        Ok(match &exchange.body {
            Some(body) => request.body(render(body, &seen)?),
            None => request,
        })
    }

    /// What templates and expressions about an operation see.
    fn seen<const N: usize>(
        &self,
        node: NodeId,
        action: &Action,
        key: &str,
        more: [(&str, TemplateValue); N],
    ) -> TemplateValue {
        let base = self.scope.at(Some(node.index()));
        let number = |value: Option<Value>| value.map_or_else(|| TemplateValue::from(()), |Value(n)| n.into());
        let expect = match action {
            Action::Cas { expect, .. } => *expect,
            Action::Read { .. }
            | Action::Write { .. }
            | Action::Add { .. }
            | Action::Elements { .. }
            | Action::Acquire { .. }
            | Action::Release { .. }
            | Action::Access { .. } => None,
        };
        let mut words: BTreeMap<String, TemplateValue> = BTreeMap::new();
        for name in base.try_iter().into_iter().flatten() {
            let name = name.to_string();
            let value = base.get_attr(&name).unwrap_or_default();
            words.insert(name, value);
        }
        words.insert("key".to_owned(), key.into());
        words.insert("value".to_owned(), number(action.written()));
        words.insert("expect".to_owned(), number(expect));
        words.extend(more.map(|(name, value)| (name.to_owned(), value)));
        TemplateValue::from_pairs(words)
    }
}

/// Everything but letters, digits, `-`, `_`, `~` and `.` as `%XX` (RFC 3986, section 2.3).
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' | b'.' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// What the definition makes of an answer; `said` is the answer for people.
fn meaning(exchange: &HttpExchange, action: &Action, seen: &TemplateValue, said: &str) -> Result<Answer, Answer> {
    let ok = truth("ok", &exchange.ok, seen, said)?.unwrap_or(false);
    let fail = match &exchange.fail {
        Some(fail) => truth("fail", fail, seen, said)?.unwrap_or(false),
        None => false,
    };
    match (ok, fail) {
        (true, false) => {}
        (false, true) => return Err(failed(said)),
        (true, true) => return Err(unknown(format!("both `ok` and `fail`: {said}"))),
        (false, false) => return Err(unknown(said)),
    }
    let revision = match &exchange.revision {
        Some(revision) => whole_number(&evaluated("revision", revision, seen)?, said)?,
        None => None,
    };
    let value = match &exchange.value {
        Some(value) => Some(evaluated("value", value, seen)?).filter(|value| !value.is_undefined()),
        None => None,
    };
    let needed = || unknown(format!("an answer without a `value`: {said}"));
    Ok(done(match action {
        Action::Read { .. } => OpResult::Read { value: told(&value.ok_or_else(needed)?), revision },
        Action::Cas { .. } => {
            let swapped = match &exchange.swapped {
                Some(swapped) => truth("swapped", swapped, seen, said)?
                    .ok_or_else(|| unknown(format!("an answer without `swapped`: {said}")))?,
                None => true,
            };
            OpResult::Cas { swapped, observed: value.as_ref().map(told), revision }
        }
        Action::Elements { .. } => {
            let list = value.ok_or_else(needed)?;
            // A text can be gone through too, letter by letter.
            let items = if list.as_str().is_some() { None } else { list.try_iter().ok() };
            let items = items.ok_or_else(|| unknown(format!("a `value` that is no list: {said}")))?;
            let values: Option<Vec<_>> = items.map(|item| told(&item)).collect();
            OpResult::Elements { values: values.ok_or_else(needed)?, revision }
        }
        Action::Write { .. }
        | Action::Add { .. }
        | Action::Acquire { .. }
        | Action::Release { .. }
        | Action::Access { .. } => OpResult::Written { revision },
    }))
}

fn evaluated(part: &str, expression: &Expression, seen: &TemplateValue) -> Result<TemplateValue, Answer> {
    expression.value(seen).map_err(|error| unknown(format!("`{part}` of the definition has no value: {error}")))
}

/// True or false; `None` if nothing is said.
fn truth(part: &str, expression: &Expression, seen: &TemplateValue, said: &str) -> Result<Option<bool>, Answer> {
    let value = evaluated(part, expression, seen)?;
    if value.is_undefined() || value.is_none() {
        return Ok(None);
    }
    bool::try_from(value).map(Some).map_err(|_| unknown(format!("`{part}` is neither true nor false: {said}")))
}

fn whole_number(value: &TemplateValue, said: &str) -> Result<Option<Revision>, Answer> {
    if value.is_undefined() || value.is_none() {
        return Ok(None);
    }
    let number = value.to_string().parse().map(Revision);
    number.map(Some).map_err(|_| unknown(format!("a `revision` that is no whole number: {said}")))
}

/// The value that a text or a number stands for; `None`: null.
fn told(value: &TemplateValue) -> Option<Value> {
    if value.is_none() { None } else { Some(written_as(&value.to_string())) }
}

#[cfg(test)]
mod tests;
