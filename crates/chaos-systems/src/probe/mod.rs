//! Asking a node a question that a definition describes, and getting an answer that expressions can read.
//!
//! One file per way of asking. Each takes the question apart, sends it, and returns what came back as a [`Reply`]: the text and,
//! where it is one, the decoded JSON. What the reply *means* is the definition's business (`defined/belief.rs`).
//!
//! Refuses: answers of more than a megabyte; to ask twice (a node that doesn't answer is a fact, and the next poll comes soon);
//! to limit the time (the caller does, by dropping the question: every way of asking leaves nothing behind when it is dropped).

mod address;
mod exec;
mod http;
mod log;
mod metrics;
mod resp;
mod tcp;
mod unix;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use chaos_history::NodeId;
use chaos_plan::definition::{Ask, Pattern, Template, TemplateValue, beside, value_of};

use crate::access::{Addresses, Enter};
use crate::defined::Programs;
use crate::driver::{Client, ProbeError};

pub(crate) use address::Taken;
pub(crate) use log::LogTail;

/// More than any answer to a question about leadership takes.
pub(crate) const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What came back.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reply {
    /// As a text; bytes that are no UTF-8 are hex digits.
    pub(crate) text: String,
    /// Decoded; JSON's null where it isn't JSON.
    pub(crate) data: Option<serde_json::Value>,
    /// The HTTP status, or a command's exit code.
    pub(crate) status: Option<i64>,
}

impl Reply {
    /// A text that is decoded if it is JSON.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        Self { data: serde_json::from_slice(bytes).ok(), text, status: None }
    }

    /// What expressions see: `answer`, `status`, and the groups of the pattern as `m`; `None` if the pattern doesn't match.
    pub(crate) fn context(&self, scope: &TemplateValue, pattern: Option<&Pattern>) -> Option<TemplateValue> {
        let answer = self.data.as_ref().map_or_else(|| TemplateValue::from(self.text.clone()), value_of);
        let mut words = vec![("answer", answer)];
        words.extend(self.status.map(|status| ("status", TemplateValue::from(status))));
        if let Some(pattern) = pattern {
            words.push(("m", value_of(pattern.groups(&self.text)?)));
        }
        Some(beside(scope, words))
    }
}

/// What questions are asked with.
pub(crate) struct Means {
    /// Every node's address, `n1`'s first, service nodes last.
    pub(crate) addresses: Vec<Ipv4Addr>,
    /// Every node's directory.
    pub(crate) directories: Vec<PathBuf>,
    /// What templates see, per node.
    pub(crate) scopes: Vec<TemplateValue>,
    /// Connections of the questions' own, so that a slow operation never delays one.
    pub(crate) http: reqwest::Client,
    pub(crate) enter: Enter,
    pub(crate) addresses_of: Addresses,
    pub(crate) taken: Taken,
    /// The client driver, for questions in its protocol.
    pub(crate) client: Option<Arc<dyn Client>>,
    pub(crate) ports: BTreeMap<String, u16>,
    /// The programs of every node.
    pub(crate) programs: Vec<Programs>,
}

impl Means {
    /// Asks one node.
    pub(crate) async fn ask(
        &self,
        node: NodeId,
        ask: &Ask,
        pattern: Option<&Pattern>,
        tail: Option<&LogTail>,
    ) -> Result<Reply, ProbeError> {
        self.ask_of(node, &self.scopes[node.index()], ask, pattern, tail).await
    }

    /// The same with other words for the question's templates than the node's own.
    pub(crate) async fn ask_of(
        &self,
        node: NodeId,
        scope: &TemplateValue,
        ask: &Ask,
        pattern: Option<&Pattern>,
        tail: Option<&LogTail>,
    ) -> Result<Reply, ProbeError> {
        match ask {
            Ask::Http { method, port, path, headers, body } => {
                let request = http::Request { method, path, headers, body: body.as_ref() };
                http::ask(self, (self.address(node), self.port(port)), scope, request).await
            }
            Ask::Prometheus { port, path } => {
                metrics::ask(self, (self.address(node), self.port(port)), scope, path).await
            }
            Ask::Tcp { port, send, until } => {
                tcp::ask((self.address(node), self.port(port)), send, until, pattern).await
            }
            Ask::Resp { port, command, pairs } => {
                let words = rendered(scope, command)?;
                resp::ask((self.address(node), self.port(port)), &words, *pairs).await.map(Reply::of_json)
            }
            Ask::UnixJsonRpc { socket, method, params } => {
                let path = self.directories[node.index()].join(text(scope, socket)?);
                unix::ask(&path, method, &rendered(scope, params)?).await
            }
            Ask::Exec { run } => {
                let directory = &self.directories[node.index()];
                let command = self.programs[node.index()].command(&rendered(scope, run)?, directory);
                exec::ask(&self.enter, node, &command, directory).await
            }
            Ask::Log { .. } => tail.expect("a log has its tail").read(node, pattern),
            Ask::Address { address } => address::ask(&self.addresses_of, &self.taken, node, &text(scope, address)?),
            Ask::Client { question } => match &self.client {
                Some(client) => client.ask(node, question).await.map(Reply::of_json),
                None => Err(ProbeError::Garbage("the definition has no client to ask with".to_owned())),
            },
        }
    }

    /// What expressions see of a node's reply.
    pub(crate) fn context(
        &self,
        node: NodeId,
        reply: &Reply,
        pattern: Option<&Pattern>,
    ) -> Result<TemplateValue, ProbeError> {
        reply.context(&self.scopes[node.index()], pattern).ok_or_else(|| {
            let shown: String = reply.text.trim().chars().take(200).collect();
            let pattern = pattern.map(Pattern::text).unwrap_or_default();
            ProbeError::Garbage(format!("`{pattern}` does not match `{}`", shown.escape_debug()))
        })
    }

    fn address(&self, node: NodeId) -> Ipv4Addr {
        self.addresses[node.index()]
    }

    /// Definitions name only ports that they have.
    fn port(&self, name: &str) -> u16 {
        *self.ports.get(name).expect("the definition has been read with all its ports")
    }
}

/// What a template stands for.
pub(crate) fn text(scope: &TemplateValue, template: &Template) -> Result<String, ProbeError> {
    template.render(scope).map_err(|error| ProbeError::Garbage(error.to_string()))
}

fn rendered(scope: &TemplateValue, words: &[Template]) -> Result<Vec<String>, ProbeError> {
    words.iter().map(|word| text(scope, word)).collect()
}

impl Reply {
    /// A decoded answer; its text is the JSON.
    pub(crate) fn of_json(data: serde_json::Value) -> Self {
        Self { text: data.to_string(), data: Some(data), status: None }
    }
}

/// A failure of the transport, told shortly.
pub(crate) fn silent(what: &str, error: &dyn std::error::Error) -> ProbeError {
    let mut text = format!("{what}: {error}");
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    ProbeError::Silent(text)
}

/// An answer without an end.
pub(crate) fn too_long() -> ProbeError {
    ProbeError::Garbage("an answer of more than a megabyte".to_owned())
}
