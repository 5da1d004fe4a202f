//! NATS JetStream: a register is the last message of a subject of a replicated stream, a set all messages of a subject.
//!
//! ```text
//! r.KEY    each write is a message; its sequence number in the stream is the revision
//! s.KEY    each addition is a message, told apart from itself by `Nats-Msg-Id`
//! ```
//!
//! Options: `stream` (its name, `chaos` unless given), `replicas` (as many as nodes, at most 5), `storage` (`file` or `memory`).
//! [`Client::prepare`] creates the stream, without direct reads: those any replica would answer.
//!
//! **How old may a read be?** `STREAM.MSG.GET` is answered by who takes itself for the stream's leader, without asking the others: a
//! deposed leader that has not noticed answers what it knows (nats-server pull request 7146: "usually observed as linearizable,
//! but not strictly guaranteed during restarts or leader elections"). So reads promise no more than a value of the past.
//!
//! **A compare-and-set** reads the last message and publishes under the condition that it still is the last
//! (`Nats-Expected-Last-Subject-Sequence`, 0 for none). A value that doesn't fit is a refusal with the weight of a read. A refused
//! condition (10071) is definite, but names no value, and may stem from a message that is still on its way: so it all begins
//! again, and after three times nothing has happened, which is a `fail`.
//!
//! **What is definite.** "No responders" (503): the message was handed to nobody. The error codes of [`is_definite`], which are decided
//! before anything is stored. What goes wrong before the publication is sent. Everything else, "temporarily unavailable" included,
//! is `info`: the message may have been proposed already.
//!
//! A set is read message by message up to the last that the leader knows, at most [`MESSAGES_MAX`] of the whole stream; a set in a
//! longer stream is not read, and the operation `info`.

mod session;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chaos_history::{Action, NodeId, OpResult, Revision, Value};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::json;

use self::session::{Message, NatsSession};
use super::options::Options;
use super::wire::{Pool, Trouble, answered, at_any, escaped};
use super::{ClientError, ClientSetup, shortened, written_as_bytes};
use crate::driver::{Answer, Client, ProbeError};

/// How often a compare-and-set begins again before it gives up.
const CAS_TRIES: u32 = 3;
/// How many messages of a stream are looked at for a set.
const MESSAGES_MAX: u64 = 200_000;
/// How many messages are asked for before the first of them is read.
const ASKED_AT_ONCE: u64 = 64;
/// The API's word for "no such message".
const NO_MESSAGE: u32 = 10037;
/// The condition on the subject's last message is not met; the second code is the same without its number.
const WRONG_LAST_SEQUENCE: [u32; 2] = [10071, 10164];

/// Whether a publication that is answered by this error code was not stored and never will be.
///
/// Beside the conditions: JetStream is off (10076, 10039), there is no such stream (10059), it is another one (10060), the message
/// is too large (10054), another message ID was the last (10070).
fn is_definite(code: u32) -> bool {
    WRONG_LAST_SEQUENCE.contains(&code) || matches!(code, 10039 | 10054 | 10059 | 10060 | 10070 | 10076)
}

/// Opens the driver.
pub(super) fn open(setup: &ClientSetup) -> Result<Arc<dyn Client>, ClientError> {
    let options = Options::of(setup, &["stream", "replicas", "storage"])?;
    let stream = options.text("stream").unwrap_or("chaos").to_owned();
    if stream.is_empty() || !stream.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
        return Err(options.bad("stream", "a name of letters, digits, `_` and `-`"));
    }
    let nodes = u64::try_from(setup.nodes).unwrap_or(u64::MAX).clamp(1, 5);
    let replicas = options.number("replicas", 1, 5, nodes)?;
    let storage = options.word("storage", &[("file", "file"), ("memory", "memory")])?;
    let pool = Pool::new(setup.endpoints.clone(), (), setup.connect_timeout);
    Ok(Arc::new(Nats(Arc::new(Shared { pool, stream, replicas, storage }))))
}

struct Nats(Arc<Shared>);

struct Shared {
    pool: Pool<NatsSession>,
    stream: String,
    replicas: u64,
    storage: &'static str,
}

/// An error of JetStream's API.
#[derive(Clone, Debug, Deserialize)]
struct ApiError {
    #[serde(default)]
    err_code: u32,
    #[serde(default)]
    description: String,
}

/// The answer to a publication.
#[derive(Debug, Deserialize)]
struct Stored {
    seq: Option<u64>,
    error: Option<ApiError>,
}

/// A message that the stream holds, or why there is none.
#[derive(Debug, Deserialize)]
struct Found {
    message: Option<FoundMessage>,
    error: Option<ApiError>,
}

#[derive(Debug, Deserialize)]
struct FoundMessage {
    subject: String,
    seq: u64,
    #[serde(default)]
    data: String,
}

/// What a stream says of itself.
#[derive(Debug, Deserialize)]
struct Info {
    state: Option<StreamState>,
    error: Option<ApiError>,
}

#[derive(Debug, Deserialize)]
struct StreamState {
    first_seq: u64,
    last_seq: u64,
    /// How many there are between these.
    messages: Option<u64>,
}

impl Client for Nats {
    fn invoke(&self, node: NodeId, action: &Action) -> BoxFuture<'static, Answer> {
        let (shared, action) = (Arc::clone(&self.0), action.clone());
        async move { answered(shared.pool.on(node, async |session| shared.carry_out(session, &action).await).await) }
            .boxed()
    }

    fn prepare(&self) -> BoxFuture<'_, Result<(), ProbeError>> {
        at_any(self.0.pool.nodes(), |node| self.0.create_stream(node)).boxed()
    }
}

impl Shared {
    async fn carry_out(&self, session: &mut NatsSession, action: &Action) -> Result<OpResult, Trouble> {
        match action {
            Action::Read { key } => {
                let found = self.last(session, &register(key)).await?;
                let (value, revision) = found.map_or((None, None), |(value, seq)| (Some(value), Some(Revision(seq))));
                Ok(OpResult::Read { value, revision })
            }
            Action::Write { key, value } => {
                let seq = self.publish(session, &register(key), *value, &[]).await?;
                Ok(OpResult::Written { revision: Some(Revision(seq)) })
            }
            Action::Cas { key, expect, value } => self.compare_and_set(session, &register(key), *expect, *value).await,
            Action::Add { key, value } => {
                // Told twice, an addition is stored once.
                let id = format!("{}-{value}", escaped(key));
                let seq = self.publish(session, &set(key), *value, &[("Nats-Msg-Id", &id)]).await?;
                Ok(OpResult::Written { revision: Some(Revision(seq)) })
            }
            Action::Elements { key } => self.elements(session, &set(key)).await,
            Action::Acquire { .. } | Action::Release { .. } | Action::Access { .. } => {
                Err(Trouble::Definite("JetStream has no locks".to_owned()))
            }
        }
    }

    /// Publishes a value; its sequence number.
    async fn publish(
        &self,
        session: &mut NatsSession,
        subject: &str,
        value: Value,
        headers: &[(&str, &str)],
    ) -> Result<u64, Trouble> {
        match self.try_publish(session, subject, value, headers).await? {
            Ok(seq) => Ok(seq),
            Err(error) => Err(refused(&error)),
        }
    }

    async fn try_publish(
        &self,
        session: &mut NatsSession,
        subject: &str,
        value: Value,
        headers: &[(&str, &str)],
    ) -> Result<Result<u64, ApiError>, Trouble> {
        let mut headers = headers.to_vec();
        headers.push(("Nats-Expected-Stream", &self.stream));
        let message = session.request(subject, &headers, &value.to_string()).await.map_err(Trouble::Unknown)?;
        let stored: Stored = read(&message)?;
        match stored {
            Stored { error: Some(error), .. } => Ok(Err(error)),
            Stored { seq: Some(seq), error: None } if seq > 0 => Ok(Ok(seq)),
            Stored { error: None, .. } => Err(Trouble::Unknown("an acknowledgement without `seq`".to_owned())),
        }
    }

    /// The subject's last message; `None` if there is none.
    async fn last(&self, session: &mut NatsSession, subject: &str) -> Result<Option<(Value, u64)>, Trouble> {
        let question = json!({ "last_by_subj": subject }).to_string();
        let message = session.request(&self.api("MSG.GET"), &[], &question).await.map_err(Trouble::Unknown)?;
        Ok(found(&message)?.map(|message| (written(&message), message.seq)))
    }

    async fn compare_and_set(
        &self,
        session: &mut NatsSession,
        subject: &str,
        expect: Option<Value>,
        value: Value,
    ) -> Result<OpResult, Trouble> {
        for _ in 0..CAS_TRIES {
            let last = self.last(session, subject).await.map_err(Trouble::before_any_change)?;
            let (seen, seq) = last.map_or((None, 0), |(value, seq)| (Some(value), seq));
            if seen != expect {
                let revision = last.map(|(_, seq)| Revision(seq));
                return Ok(OpResult::Cas { swapped: false, observed: Some(seen), revision });
            }
            let condition = [("Nats-Expected-Last-Subject-Sequence", &*seq.to_string())];
            match self.try_publish(session, subject, value, &condition).await? {
                Ok(seq) => {
                    let revision = Some(Revision(seq));
                    return Ok(OpResult::Cas { swapped: true, observed: Some(expect), revision });
                }
                Err(error) if WRONG_LAST_SEQUENCE.contains(&error.err_code) => {}
                Err(error) => return Err(refused(&error)),
            }
        }
        Err(Trouble::Definite(format!("the key was changed by others during each of {CAS_TRIES} tries")))
    }

    async fn elements(&self, session: &mut NatsSession, subject: &str) -> Result<OpResult, Trouble> {
        let message = session.request(&self.api_of("STREAM.INFO"), &[], "").await.map_err(Trouble::Unknown)?;
        let info: Info = read(&message)?;
        let state = match info {
            Info { error: Some(error), .. } => return Err(unanswered(&error)),
            Info { state: Some(state), error: None } => state,
            Info { state: None, error: None } => {
                return Err(Trouble::Unknown("a stream without a state".to_owned()));
            }
        };
        let count = (state.last_seq + 1).saturating_sub(state.first_seq);
        if count > MESSAGES_MAX {
            return Err(Trouble::Unknown(format!("a stream of {count} messages; at most {MESSAGES_MAX} are read")));
        }
        let mut values = Vec::new();
        let mut revision = None;
        let (mut asked, mut read, mut there) = (0, 0, 0);
        while read < count {
            while asked < count && asked - read < ASKED_AT_ONCE {
                let question = json!({ "seq": state.first_seq + asked }).to_string();
                session.ask(&self.api("MSG.GET"), &[], &question).await.map_err(Trouble::Unknown)?;
                asked += 1;
            }
            let (_, message) = session.answer().await.map_err(Trouble::Unknown)?;
            read += 1;
            let found = found(&message)?;
            there += u64::from(found.is_some());
            if let Some(message) = found.filter(|message| message.subject == subject) {
                values.push(written(&message));
                revision = revision.max(Some(Revision(message.seq)));
            }
        }
        // A deposed leader may not have what its successor counts.
        match state.messages {
            Some(messages) if there < messages => {
                Err(Trouble::Unknown(format!("{there} of the stream's {messages} messages were found")))
            }
            Some(_) | None => Ok(OpResult::Elements { values, revision }),
        }
    }

    async fn create_stream(&self, node: NodeId) -> Result<(), Trouble> {
        let mut session = self.pool.take(node).await?;
        let config = json!({
            "name": self.stream,
            "subjects": ["r.*", "s.*"],
            "num_replicas": self.replicas,
            "storage": self.storage,
            "retention": "limits",
            "discard": "new",
            "allow_direct": false,
        });
        let create = self.api_of("STREAM.CREATE");
        let message = session.request(&create, &[], &config.to_string()).await.map_err(Trouble::Unknown)?;
        let created: serde_json::Value = read(&message)?;
        if let Some(error) = created.get("error").filter(|error| !error.is_null()) {
            return Err(Trouble::Unknown(shortened(&error.to_string())));
        }
        self.pool.put_back(node, session);
        Ok(())
    }

    fn api(&self, what: &str) -> String {
        self.api_of(&format!("STREAM.{what}"))
    }

    fn api_of(&self, what: &str) -> String {
        format!("$JS.API.{what}.{}", self.stream)
    }
}

fn register(key: &str) -> String {
    format!("r.{}", escaped(key))
}

fn set(key: &str) -> String {
    format!("s.{}", escaped(key))
}

/// Reads an answer in JSON. That nobody listened is definite.
fn read<T: serde::de::DeserializeOwned>(message: &Message) -> Result<T, Trouble> {
    const NO_RESPONDERS: u16 = 503;
    match message.status {
        Some(NO_RESPONDERS) => {
            Err(Trouble::Definite("no responders: nobody takes messages of this subject".to_owned()))
        }
        Some(status) => Err(Trouble::Unknown(format!("status {status}"))),
        None => serde_json::from_slice(&message.payload).map_err(|_| {
            let text = String::from_utf8_lossy(&message.payload);
            Trouble::Unknown(format!("unreadable answer: {}", shortened(&text)))
        }),
    }
}

/// The message that an answer contains; `None` if the answer says that there is none.
fn found(message: &Message) -> Result<Option<FoundMessage>, Trouble> {
    match read(message)? {
        Found { error: Some(error), .. } if error.err_code == NO_MESSAGE => Ok(None),
        Found { error: Some(error), .. } => Err(unanswered(&error)),
        Found { message: Some(message), error: None } => Ok(Some(message)),
        Found { message: None, error: None } => Err(Trouble::Unknown("an answer without a message".to_owned())),
    }
}

/// The value that a message holds; what isn't even base64 is a value that nobody wrote.
fn written(message: &FoundMessage) -> Value {
    match STANDARD.decode(&message.data) {
        Ok(bytes) => written_as_bytes(&bytes),
        Err(_) => super::foreign(message.data.as_bytes()),
    }
}

fn describe(error: &ApiError) -> String {
    shortened(&format!("refused: {} ({})", error.description, error.err_code))
}

/// A publication that is answered by an error.
fn refused(error: &ApiError) -> Trouble {
    if is_definite(error.err_code) { Trouble::Definite(describe(error)) } else { Trouble::Unknown(describe(error)) }
}

/// A question that is answered by an error.
fn unanswered(error: &ApiError) -> Trouble {
    Trouble::Unknown(describe(error))
}
