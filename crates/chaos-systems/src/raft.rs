//! The reference node, `chaos node`: HTTP and JSON.
//!
//! What is definite: the node's own word (`"definite": true`), and a connection that was refused before a byte of the
//! request was sent. Everything else that is not a success is `info`, a broken connection and an unreadable answer included.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chaos_history::{Action, Belief, ElectionRole, NodeId, OpPhase, OpResult, Revision, Seed, Term, Value};
use chaos_plan::{RaftOptions, ReadConsistency};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use reqwest::{Client, RequestBuilder, Response};
use serde::Deserialize;

use crate::driver::{Answer, Driver, Launch, ProbeError, Pushed, Watch};

/// The port on which reference nodes talk to each other.
const PEER_PORT: u16 = 7001;
/// The port on which a reference node answers clients and observers.
const HTTP_PORT: u16 = 7002;
/// More than any view or announcement of a node takes; a longer line is not one.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Drives a cluster of reference nodes.
#[derive(Debug)]
pub struct RaftDriver {
    options: RaftOptions,
    program: PathBuf,
    program_prefix: Vec<OsString>,
    addresses: Vec<Ipv4Addr>,
    seed: Seed,
    /// Observers have connections of their own, so that a slow operation never delays a question.
    observer: Client,
    clients: Client,
}

impl RaftDriver {
    /// A driver for nodes at these addresses (the first is `n1`'s), started as `program prefix… --id n1 …` unless the
    /// options name a program of their own. Nodes draw their election timeouts from `seed`.
    ///
    /// # Errors
    /// If the HTTP client can't be built.
    pub fn new(
        options: RaftOptions,
        own_node: (PathBuf, Vec<OsString>),
        addresses: Vec<Ipv4Addr>,
        seed: Seed,
        connect_timeout: Duration,
    ) -> Result<Self, ProbeError> {
        let (program, program_prefix) = match &options.program {
            Some(program) => (program.clone(), Vec::new()),
            None => own_node,
        };
        let client = || {
            Client::builder()
                .no_proxy()
                .retry(reqwest::retry::never())
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(connect_timeout)
                .tcp_nodelay(true)
                .build()
                .map_err(|error| ProbeError::Silent(describe(&error)))
        };
        Ok(Self { observer: client()?, clients: client()?, options, program, program_prefix, addresses, seed })
    }

    fn url(&self, node: NodeId, path: &str) -> String {
        format!("http://{}:{HTTP_PORT}{path}", self.addresses[node.index()])
    }

    fn request(&self, node: NodeId, action: &Action) -> RequestBuilder {
        let key = action.key();
        match action {
            Action::Read { .. } => {
                let read = match self.options.read {
                    ReadConsistency::Linearizable => "linearizable",
                    ReadConsistency::Lease => "lease",
                    ReadConsistency::Local => "local",
                };
                self.clients.get(self.url(node, &format!("/kv/{key}?read={read}")))
            }
            Action::Write { value, .. } => self
                .clients
                .put(self.url(node, &format!("/kv/{key}")))
                .json(&serde_json::json!({ "value": value.to_string() })),
            Action::Cas { expect, value, .. } => {
                let expect = expect.map(|value| value.to_string());
                self.clients
                    .post(self.url(node, &format!("/kv/{key}/cas")))
                    .json(&serde_json::json!({ "expect": expect, "value": value.to_string() }))
            }
        }
    }
}

impl Driver for RaftDriver {
    fn launch(&self, node: NodeId, data: &Path) -> Launch {
        let options = &self.options;
        let millis = |duration: Duration| format!("{}us", duration.as_micros());
        let mut arguments = self.program_prefix.clone();
        let mut flag = |name: &str, value: String| {
            arguments.push(name.into());
            arguments.push(value.into());
        };
        flag("--id", node.to_string());
        for (index, address) in self.addresses.iter().enumerate() {
            flag("--node", format!("{}={address}:{PEER_PORT}/{HTTP_PORT}", NodeId::from_index(index)));
        }
        flag("--data", data.display().to_string());
        let timeout = options.election_timeout;
        flag("--election-timeout", format!("{}..{}", millis(timeout.min), millis(timeout.max)));
        flag("--heartbeat", millis(options.heartbeat));
        flag("--pre-vote", options.pre_vote.to_string());
        flag("--check-quorum", options.check_quorum.to_string());
        flag("--stickiness", options.stickiness.to_string());
        flag("--lease-reads", options.lease_reads.to_string());
        flag("--seed", self.seed.to_string());
        flag("--request-timeout", millis(options.request_timeout));
        if let Some(specimen) = &options.specimen {
            flag("--specimen", specimen.clone());
        }
        arguments.extend(options.arguments.iter().map(OsString::from));
        Launch { program: self.program.clone(), arguments }
    }

    fn observe(&self, node: NodeId) -> BoxFuture<'_, Result<Belief, ProbeError>> {
        async move {
            let answer = self.observer.get(self.url(node, "/status")).send().await.map_err(silent)?;
            let text = answer.bytes().await.map_err(silent)?;
            serde_json::from_slice::<Status>(&text).map_err(|error| garbage(&text, &error))?.belief(node)
        }
        .boxed()
    }

    fn watch(&self, node: NodeId) -> Option<BoxFuture<'_, Result<Watch, ProbeError>>> {
        let open = async move {
            let answer = self.observer.get(self.url(node, "/events")).send().await.map_err(silent)?;
            let chunks = answer.bytes_stream().boxed();
            Ok(futures::stream::unfold((chunks, Vec::new()), move |(mut chunks, mut buffer)| async move {
                let line = next_line(&mut chunks, &mut buffer).await?;
                Some((line.and_then(|line| pushed(node, &line)), (chunks, buffer)))
            })
            .boxed())
        };
        Some(open.boxed())
    }

    fn invoke(&self, node: NodeId, action: &Action) -> BoxFuture<'static, Answer> {
        let (request, action) = (self.request(node, action), action.clone());
        async move {
            match request.send().await {
                Ok(answer) => read_answer(&action, answer).await,
                Err(error) if error.is_connect() => failed(format!("not connected: {}", describe(&error))),
                Err(error) => unknown(describe(&error)),
            }
        }
        .boxed()
    }
}

/// The parts of `GET /status` (and of a line of `GET /events`) that the history keeps.
#[derive(Deserialize)]
struct Status {
    id: String,
    term: u64,
    role: String,
    leader: Option<String>,
    #[serde(default)]
    voted_for: Option<String>,
    #[serde(default)]
    commit: Option<u64>,
    #[serde(default)]
    monotonic_ns: Option<u64>,
}

impl Status {
    fn belief(&self, asked: NodeId) -> Result<Belief, ProbeError> {
        if self.id != asked.to_string() {
            return Err(ProbeError::WrongNode { asked, answered: shortened(&self.id) });
        }
        let role = match self.role.as_str() {
            "follower" => ElectionRole::Follower,
            "pre_candidate" => ElectionRole::PreCandidate,
            "candidate" => ElectionRole::Candidate,
            "leader" => ElectionRole::Leader,
            other => return Err(ProbeError::Garbage(format!("role `{}`", shortened(other)))),
        };
        let node = |name: &Option<String>| match name {
            Some(name) => {
                name.parse().map(Some).map_err(|_| ProbeError::Garbage(format!("node `{}`", shortened(name))))
            }
            None => Ok(None),
        };
        Ok(Belief {
            term: Term(self.term),
            role,
            leader: node(&self.leader)?,
            voted_for: node(&self.voted_for)?,
            commit: self.commit,
        })
    }
}

fn pushed(node: NodeId, line: &[u8]) -> Result<Pushed, ProbeError> {
    let status: Status = serde_json::from_slice(line).map_err(|error| garbage(line, &error))?;
    let monotonic_nanos =
        status.monotonic_ns.ok_or_else(|| ProbeError::Garbage("an announcement without `monotonic_ns`".to_owned()))?;
    Ok(Pushed { monotonic_nanos, belief: status.belief(node)? })
}

/// Reads up to the next line end; `None` at the end of the stream.
async fn next_line<S, B>(chunks: &mut S, buffer: &mut Vec<u8>) -> Option<Result<Vec<u8>, ProbeError>>
where
    S: futures::Stream<Item = Result<B, reqwest::Error>> + Unpin,
    B: AsRef<[u8]>,
{
    loop {
        if let Some(end) = buffer.iter().position(|&byte| byte == b'\n') {
            let rest = buffer.split_off(end + 1);
            let line = std::mem::replace(buffer, rest);
            return Some(Ok(line));
        }
        if buffer.len() > LINE_BYTES_MAX {
            buffer.clear();
            return Some(Err(ProbeError::Garbage("an announcement that never ends".to_owned())));
        }
        match chunks.next().await? {
            Ok(chunk) => buffer.extend_from_slice(chunk.as_ref()),
            Err(error) => return Some(Err(silent(error))),
        }
    }
}

/// What a node answers to a client, all kinds of answer in one.
#[derive(Deserialize)]
struct KvAnswer {
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    revision: Option<u64>,
    #[serde(default)]
    swapped: Option<bool>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    definite: bool,
    #[serde(default)]
    leader: Option<String>,
}

async fn read_answer(action: &Action, answer: Response) -> Answer {
    let success = answer.status().is_success();
    let text = match answer.bytes().await {
        Ok(text) => text,
        Err(error) => return unknown(describe(&error)),
    };
    let Ok(kv) = serde_json::from_slice::<KvAnswer>(&text) else {
        return unknown(format!("unreadable answer: {}", shortened(&String::from_utf8_lossy(&text))));
    };
    if !success {
        let error = kv.error.map_or_else(|| "refused without a reason".to_owned(), |error| shortened(&error));
        let phase = if kv.definite { OpPhase::Fail { error } } else { OpPhase::Info { error } };
        return Answer { phase, leader_hint: kv.leader.and_then(|leader| leader.parse().ok()) };
    }
    let revision = kv.revision.map(Revision);
    let value = kv.value.map(|text| text.parse().map_or_else(|_| foreign(&text), Value));
    let result = match (action, kv.swapped) {
        (Action::Read { .. }, _) => OpResult::Read { value, revision },
        (Action::Write { .. }, _) => OpResult::Written { revision },
        (Action::Cas { .. }, Some(swapped)) => OpResult::Cas { swapped, observed: value, revision },
        (Action::Cas { .. }, None) => return unknown("an answer without `swapped`".to_owned()),
    };
    Answer { phase: OpPhase::Ok(result), leader_hint: None }
}

/// A number for a text that no client of ours can have written: the top bit is set, which clients never reach. The checker
/// must meet it as a value without a writer; dropped as unreadable, a corrupted register would pass for a valid one.
fn foreign(text: &str) -> Value {
    // FNV-1a, so that one text is one value.
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    Value(hash | 1 << 63)
}

fn failed(error: String) -> Answer {
    Answer { phase: OpPhase::Fail { error }, leader_hint: None }
}

fn unknown(error: String) -> Answer {
    Answer { phase: OpPhase::Info { error }, leader_hint: None }
}

fn silent(error: reqwest::Error) -> ProbeError {
    ProbeError::Silent(describe(&error))
}

fn garbage(text: &[u8], error: &serde_json::Error) -> ProbeError {
    ProbeError::Garbage(format!("{error} in `{}`", shortened(&String::from_utf8_lossy(text))))
}

/// The innermost cause: the outer layers only repeat the address.
fn describe(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// At most 80 characters of what a node said, for an error message.
fn shortened(text: &str) -> String {
    let text = text.trim_end();
    if text.chars().count() <= 80 { text.to_owned() } else { text.chars().take(79).chain(['…']).collect() }
}
