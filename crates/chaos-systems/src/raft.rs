//! The reference node, `chaos node`: HTTP and JSON.
//!
//! What is definite: the node's own word (`"definite": true`), and a connection that did not come about, so that no byte of
//! the request was sent. Everything else that is not a success is `info`: a broken connection, an unreadable answer, a
//! success that does not say what was asked. The HTTP client keeps connections; a request that it meant for one which the
//! node had closed goes out on a new one only if not a byte of it was handed to the old one (hyper's "canceled"), so neither
//! a write nor a `fail` can be doubled by it.
//!
//! Refuses to believe: values that are not exactly what a client writes (they become values without a writer, for the
//! checker), nodes that the cluster doesn't have, and answers of more than a megabyte.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chaos_history::{Action, Belief, ElectionRole, NodeId, OpPhase, OpResult, Revision, Seed, Term};
use chaos_plan::{RaftOptions, ReadConsistency};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use reqwest::{Client, RequestBuilder, Response, Url};
use serde::Deserialize;
use serde_json::json;

use crate::access::Views;
use crate::client::web::{self, Unread, describe};
use crate::client::{failed, member, shortened, unknown, written_as};
use crate::driver::{
    Answer, AskedOf, Change, ChangeOf, CommandLine, Driver, Launch, LaunchProcess, ProbeError, Pushed, Unchanged, Watch,
};

/// The port on which reference nodes talk to each other.
const PEER_PORT: u16 = 7001;
/// The port on which a reference node answers clients and observers.
const HTTP_PORT: u16 = 7002;
/// More than any answer takes, a status with a hundred members included; what is longer is not read to its end.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// More than any view or announcement of a node takes; a longer line is not one.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Drives a cluster of reference nodes.
#[derive(Debug)]
pub struct RaftDriver {
    options: RaftOptions,
    /// The program of nodes that name none, and its first arguments.
    own_node: (PathBuf, Vec<OsString>),
    addresses: Vec<Ipv4Addr>,
    views: Option<Views>,
    seed: Seed,
    /// Observers have connections of their own, so that a slow operation never delays a question.
    observer: Client,
    clients: Client,
}

impl RaftDriver {
    /// The port on which every node answers clients and observers.
    pub const CLIENT_PORT: u16 = HTTP_PORT;
    /// The ports on which nodes listen.
    pub const PORTS: [u16; 2] = [PEER_PORT, HTTP_PORT];

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
        let client = || web::client(connect_timeout).map_err(silent);
        Ok(Self { observer: client()?, clients: client()?, options, own_node, addresses, views: None, seed })
    }

    /// Nodes are told these addresses of each other, instead of their own ones.
    #[must_use]
    pub fn with_views(self, views: Option<Views>) -> Self {
        Self { views, ..self }
    }

    /// The address of what these segments name; each is escaped, so that no key can name something else.
    fn url<'a>(&self, node: NodeId, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let base = format!("http://{}:{HTTP_PORT}/", self.addresses[node.index()]);
        let mut url = Url::parse(&base).expect("an IPv4 address and a port make a URL");
        url.path_segments_mut().expect("an http URL has a path").pop_if_empty().extend(segments);
        url
    }

    fn node_count(&self) -> usize {
        self.addresses.len()
    }

    /// `None` for what the node has no words for.
    fn request(&self, node: NodeId, action: &Action) -> Option<RequestBuilder> {
        let key = action.key();
        // URLs have no way to write these as a part of a path, and no workload has such keys.
        assert!(!matches!(key, "" | "." | ".."), "`{key}` can't be a key over HTTP");
        Some(match action {
            Action::Read { .. } => {
                let read = match self.options.read {
                    ReadConsistency::Linearizable => "linearizable",
                    ReadConsistency::Lease => "lease",
                    ReadConsistency::Local => "local",
                };
                self.clients.get(self.url(node, ["kv", key])).query(&[("read", read)])
            }
            Action::Write { value, .. } => {
                self.clients.put(self.url(node, ["kv", key])).json(&serde_json::json!({ "value": value.to_string() }))
            }
            Action::Cas { expect, value, .. } => {
                let expect = expect.map(|value| value.to_string());
                self.clients
                    .post(self.url(node, ["kv", key, "cas"]))
                    .json(&serde_json::json!({ "expect": expect, "value": value.to_string() }))
            }
            Action::Add { .. }
            | Action::Elements { .. }
            | Action::Acquire { .. }
            | Action::Release { .. }
            | Action::Access { .. } => return None,
        })
    }
}

impl Driver for RaftDriver {
    fn launch_joining(&self, node: NodeId, data: &Path, _members: &[NodeId]) -> Result<Launch, String> {
        let mut launch = self.launch(node, data);
        // Whose members it joins, the leader tells it.
        launch.processes.iter_mut().for_each(|process| process.command.arguments.push("--join".into()));
        Ok(launch)
    }

    fn joins_first(&self) -> bool {
        true
    }

    fn change(&self, change: &Change) -> BoxFuture<'_, Result<(), Unchanged>> {
        let (node, target) = (change.asked(AskedOf::Leader), change.target.to_string());
        let (path, body): (&[&str], _) = match change.what {
            ChangeOf::Transfer { to: Some(to) } => (&["leadership", "transfer"], json!({ "to": to.to_string() })),
            ChangeOf::Transfer { to: None } => (&["leadership", "transfer"], json!({})),
            ChangeOf::Remove => (&["members"], json!({ "remove": target })),
            ChangeOf::Add => (&["members"], json!({ "add": target })),
        };
        let request = self.observer.post(self.url(node, path.iter().copied())).json(&body);
        async move {
            let unknown = |error: reqwest::Error| Unchanged::Unknown(format!("{node}: {}", describe(&error)));
            let answer = request.send().await.map_err(unknown)?;
            let status = answer.status();
            let text = match web::body(answer, ANSWER_BYTES_MAX).await {
                Ok(text) => shortened(&String::from_utf8_lossy(&text)),
                Err(_) => "an unreadable answer".to_owned(),
            };
            match status.as_u16() {
                200 => Ok(()),
                // Not the leader, or nothing that can be done.
                400 | 404 | 405 | 409 => Err(Unchanged::Refused(format!("{node} answered {status}: {text}"))),
                _ => Err(Unchanged::Unknown(format!("{node} answered {status}: {text}"))),
            }
        }
        .boxed()
    }

    fn launch(&self, node: NodeId, data: &Path) -> Launch {
        let options = self.options.of_node(node);
        let (program, prefix) = match &options.program {
            Some(program) => (program.clone(), Vec::new()),
            None => self.own_node.clone(),
        };
        let millis = |duration: Duration| format!("{}us", duration.as_micros());
        let mut arguments = prefix;
        let mut flag = |name: &str, value: String| {
            arguments.push(name.into());
            arguments.push(value.into());
        };
        flag("--id", node.to_string());
        let seen = self.views.as_ref().map_or(&self.addresses, |views| &views[node.index()]);
        for (index, address) in seen.iter().enumerate() {
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
        if options.record {
            // Beside the node's memory, which a plan may wipe or damage.
            flag("--record", data.with_file_name("core.jsonl").display().to_string());
        }
        arguments.extend(options.arguments.iter().map(OsString::from));
        let command = CommandLine { program, arguments, ..CommandLine::default() };
        Launch { processes: vec![LaunchProcess { name: "node".to_owned(), command }], ..Launch::default() }
    }

    fn observe(&self, node: NodeId) -> BoxFuture<'_, Result<Belief, ProbeError>> {
        async move {
            let answer = self.observer.get(self.url(node, ["status"])).send().await.map_err(silent)?;
            let answer = successful(answer)?;
            let text = match web::body(answer, ANSWER_BYTES_MAX).await {
                Ok(text) => text,
                Err(Unread::Broken(error)) => return Err(silent(error)),
                Err(Unread::TooLong) => return Err(ProbeError::Garbage(TOO_LONG.to_owned())),
            };
            let status: Status = serde_json::from_slice(&text).map_err(|error| garbage(&text, &error))?;
            status.belief(node, self.node_count())
        }
        .boxed()
    }

    fn watch(&self, node: NodeId) -> Option<BoxFuture<'_, Result<Watch, ProbeError>>> {
        let open = async move {
            let answer = self.observer.get(self.url(node, ["events"])).send().await.map_err(silent)?;
            let chunks = successful(answer)?.bytes_stream().boxed();
            let nodes = self.node_count();
            Ok(futures::stream::unfold((chunks, Vec::new()), move |(mut chunks, mut buffer)| async move {
                let line = next_line(&mut chunks, &mut buffer).await?;
                Some((line.and_then(|line| pushed(node, nodes, &line)), (chunks, buffer)))
            })
            .boxed())
        };
        Some(open.boxed())
    }

    fn invoke(&self, node: NodeId, action: &Action) -> BoxFuture<'static, Answer> {
        let (request, action, nodes) = (self.request(node, action), action.clone(), self.node_count());
        async move {
            let Some(request) = request else { return failed("the reference node keeps registers only") };
            match web::send(request).await {
                Ok(answer) => read_answer(&action, nodes, answer).await,
                Err(answer) => answer,
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
    /// Of the lease from which it serves reads.
    #[serde(default)]
    lease_remaining_ns: Option<u64>,
    /// Until it steps down if nobody answers any more.
    #[serde(default)]
    quorum_remaining_ns: Option<u64>,
}

impl Status {
    /// The view, if it is one of the node that was asked and names only nodes of a cluster of this size.
    fn belief(&self, asked: NodeId, nodes: usize) -> Result<Belief, ProbeError> {
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
                member(name, nodes).map(Some).ok_or_else(|| ProbeError::Garbage(format!("node `{}`", shortened(name))))
            }
            None => Ok(None),
        };
        Ok(Belief {
            term: Term(self.term),
            role,
            leader: node(&self.leader)?,
            voted_for: node(&self.voted_for)?,
            commit: self.commit,
            // Whichever ends first.
            lease_remaining_ns: [self.lease_remaining_ns, self.quorum_remaining_ns].into_iter().flatten().min(),
        })
    }
}

/// A refusal is no view, whatever its body says.
fn successful(answer: Response) -> Result<Response, ProbeError> {
    let status = answer.status();
    if status.is_success() { Ok(answer) } else { Err(ProbeError::Garbage(format!("HTTP status {status}"))) }
}

const TOO_LONG: &str = "an answer of more than a megabyte";

fn pushed(node: NodeId, nodes: usize, line: &[u8]) -> Result<Pushed, ProbeError> {
    let status: Status = serde_json::from_slice(line).map_err(|error| garbage(line, &error))?;
    let monotonic_nanos =
        status.monotonic_ns.ok_or_else(|| ProbeError::Garbage("an announcement without `monotonic_ns`".to_owned()))?;
    Ok(Pushed { monotonic_nanos, belief: status.belief(node, nodes)? })
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
    /// `Some(None)` is a null, the word for "no such key"; that nothing is said is `None` and means nothing.
    #[serde(default, deserialize_with = "said")]
    value: Option<Option<String>>,
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

fn said<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

async fn read_answer(action: &Action, nodes: usize, answer: Response) -> Answer {
    let success = answer.status().is_success();
    let text = match web::body(answer, ANSWER_BYTES_MAX).await {
        Ok(text) => text,
        Err(Unread::Broken(error)) => return unknown(describe(&error)),
        Err(Unread::TooLong) => return unknown(TOO_LONG),
    };
    // The decoder would take a list for a record, too, and an empty one for a record of defaults.
    let kv =
        if text.trim_ascii_start().starts_with(b"{") { serde_json::from_slice::<KvAnswer>(&text).ok() } else { None };
    let Some(kv) = kv else {
        return unknown(format!("unreadable answer: {}", shortened(&String::from_utf8_lossy(&text))));
    };
    if !success {
        let error = kv.error.map_or_else(|| "refused without a reason".to_owned(), |error| shortened(&error));
        let phase = if kv.definite { OpPhase::Fail { error } } else { OpPhase::Info { error } };
        return Answer { phase, leader_hint: kv.leader.and_then(|leader| member(&leader, nodes)) };
    }
    if let Some(error) = kv.error {
        return unknown(format!("a success with an error: {}", shortened(&error)));
    }
    let revision = kv.revision.map(Revision);
    let value = kv.value.map(|value| value.map(|text| written_as(&text)));
    let result = match action {
        Action::Read { .. } => value.map(|value| OpResult::Read { value, revision }).ok_or("value"),
        Action::Write { .. } => revision.map(|_| OpResult::Written { revision }).ok_or("revision"),
        Action::Cas { .. } => match kv.swapped {
            Some(swapped) => Ok(OpResult::Cas { swapped, observed: value, revision }),
            None => Err("swapped"),
        },
        Action::Add { .. }
        | Action::Elements { .. }
        | Action::Acquire { .. }
        | Action::Release { .. }
        | Action::Access { .. } => unreachable!("these are refused before they are sent"),
    };
    match result {
        Ok(result) => Answer { phase: OpPhase::Ok(result), leader_hint: None },
        Err(missing) => unknown(format!("an answer without `{missing}`")),
    }
}

fn silent(error: reqwest::Error) -> ProbeError {
    ProbeError::Silent(describe(&error))
}

fn garbage(text: &[u8], error: &serde_json::Error) -> ProbeError {
    ProbeError::Garbage(format!("{error} in `{}`", shortened(&String::from_utf8_lossy(text))))
}
