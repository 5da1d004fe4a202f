//! The driver `redis`: registers as strings, sets as sets, in RESP2.
//!
//! | option | meaning | default |
//! |---|---|---|
//! | `wait` | a write counts as done only if so many replicas have it (`WAIT`); otherwise it is `info` | 0: not asked |
//! | `wait-timeout` | how long replicas are waited for | `1s` |
//! | `password` | sent with `AUTH` on every new connection | none |
//!
//! What is definite: an error by which a server refuses a command before it carries it out, known by its first word. Redis
//! checks these in `processCommand` (src/server.c) or, for commands of a script, before each of them; and nothing follows
//! upon the only write of our script. `-READONLY` (a replica), `-LOADING`, `-MASTERDOWN`, `-MISCONF`, `-NOREPLICAS`, `-OOM`,
//! `-NOAUTH`, `-NOPERM`, `-WRONGTYPE`, `-BUSY`, `-CLUSTERDOWN`, `-MOVED`, `-ASK`, `-TRYAGAIN`, `-CROSSSLOT`. Any other error is
//! `info`: `-ERR` is said of many things, `-UNBLOCKED` of a write that was done by a primary that then stopped being one.
//!
//! An acknowledgement proves that one server has the write and nothing more: replication is asynchronous. That is the system's
//! promise, not the driver's fault. Redis tells no revisions and names no leader.

use std::sync::Arc;
use std::time::Duration;

use chaos_history::{Action, NodeId, OpResult};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::BufReader;
use tokio::net::TcpStream;

use super::options::Options;
use super::pool::{Kept, Pool, send};
use super::{ClientError, ClientSetup, done, failed, no_words, shortened, unknown, written_as_bytes};
use crate::driver::{Answer, Client};
use crate::resp::{self, Reply, RespError, encoded};

/// Sets the key if it holds what is expected, and returns whether it did and what was there. ARGV: whether the key must be
/// there, what it must hold, what it gets.
const CAS: &str = "local old = redis.call('GET', KEYS[1]) \
    local same = (ARGV[1] == '1' and old == ARGV[2]) or (ARGV[1] == '0' and not old) \
    if same then redis.call('SET', KEYS[1], ARGV[3]) end \
    return { same and 1 or 0, old }";

/// Errors by which a server refuses a command before carrying it out.
const DEFINITE: &[&str] = &[
    "ASK",
    "BUSY",
    "CLUSTERDOWN",
    "CROSSSLOT",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "MOVED",
    "NOAUTH",
    "NOPERM",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
    "WRONGTYPE",
];

/// More than any reply takes: a set of a few million elements.
const REPLY_BYTES_MAX: usize = 64 << 20;

/// Opens the driver.
///
/// # Errors
/// If an option is unknown or makes no sense.
pub(super) fn open(setup: &ClientSetup) -> Result<Arc<dyn Client>, ClientError> {
    let options = Options::of(setup, &["password", "wait", "wait-timeout"])?;
    let wait = options.number("wait", 0, 1000, 0)?;
    let wait_timeout = options.duration("wait-timeout", Duration::from_secs(1))?;
    Ok(Arc::new(Redis {
        shared: Arc::new(Shared {
            pool: Pool::new(setup.endpoints.clone(), setup.connect_timeout),
            wait: (wait > 0).then_some((wait, wait_timeout)),
            password: options.text("password").map(str::to_owned),
        }),
    }))
}

struct Redis {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Pool<Connection>,
    wait: Option<(u64, Duration)>,
    password: Option<String>,
}

struct Connection(BufReader<TcpStream>);

impl Kept for Connection {
    fn stream(&self) -> &TcpStream {
        self.0.get_ref()
    }
}

impl Client for Redis {
    fn invoke(&self, node: NodeId, action: &Action) -> BoxFuture<'static, Answer> {
        let (shared, action) = (Arc::clone(&self.shared), action.clone());
        async move { shared.invoke(node, &action).await.unwrap_or_else(|answer| answer) }.boxed()
    }
}

impl Shared {
    async fn invoke(&self, node: NodeId, action: &Action) -> Result<Answer, Answer> {
        let Some(words) = command(action) else { return Err(no_words("redis", "locks")) };
        let mut question = encoded(&words);
        let wait = self.wait.filter(|_| action.written().is_some());
        if let Some((replicas, timeout)) = wait {
            question.extend(encoded(&["WAIT".into(), replicas.to_string(), timeout.as_millis().to_string()]));
        }
        let mut connection = self.connection(node).await?;
        send(connection.0.get_mut(), &question).await?;
        let reply = connection.reply().await?;
        let replicas = match wait {
            Some((wanted, _)) => Some((wanted, connection.reply().await?)),
            None => None,
        };
        // Something beyond the reply would be taken for the next one's beginning.
        if connection.0.buffer().is_empty() {
            self.pool.put_back(node, connection);
        }
        let answer = meaning(action, reply);
        Ok(match replicas {
            Some((wanted, replicas)) if counts_on_replicas(&answer) => replicated(answer, wanted, &replicas),
            Some(_) | None => answer,
        })
    }

    async fn connection(&self, node: NodeId) -> Result<Connection, Answer> {
        if let Some(kept) = self.pool.idle(node) {
            return Ok(kept);
        }
        let mut connection = Connection(BufReader::new(self.pool.connect(node).await?));
        if let Some(password) = &self.password {
            // Nothing of the operation has been sent yet, whatever becomes of this.
            let refused = |what: String| failed(format!("not authenticated: {what}"));
            let question = encoded(&["AUTH".into(), password.clone()]);
            send(connection.0.get_mut(), &question).await.map_err(|_| refused("connection broken".to_owned()))?;
            match connection.reply().await.map_err(|_| refused("no answer".to_owned()))? {
                Reply::Status(_) => {}
                Reply::Error(error) => return Err(refused(shortened(&error))),
                Reply::Number(_) | Reply::Bulk(_) | Reply::Nothing | Reply::List(_) => {
                    return Err(refused("an answer that makes no sense".to_owned()));
                }
            }
        }
        Ok(connection)
    }
}

/// The words of an action; `None` for what Redis is not used for.
fn command(action: &Action) -> Option<Vec<String>> {
    let words = |words: &[&str]| Some(words.iter().map(|&word| word.to_owned()).collect());
    match action {
        Action::Read { key } => words(&["GET", key]),
        Action::Write { key, value } => words(&["SET", key, &value.to_string()]),
        Action::Cas { key, expect, value } => {
            let expected = expect.map(|value| value.to_string());
            let flag = if expected.is_some() { "1" } else { "0" };
            words(&["EVAL", CAS, "1", key, flag, &expected.unwrap_or_default(), &value.to_string()])
        }
        Action::Add { key, value } => words(&["SADD", key, &value.to_string()]),
        Action::Elements { key } => words(&["SMEMBERS", key]),
        Action::Acquire { .. } | Action::Release { .. } | Action::Access { .. } => None,
    }
}

impl Connection {
    /// The next reply; the operation is of unknown outcome if it doesn't come whole.
    async fn reply(&mut self) -> Result<Reply, Answer> {
        resp::reply(&mut self.0, REPLY_BYTES_MAX).await.map_err(|error| match error {
            RespError::Broken(error) => unknown(format!("no whole answer: {error}")),
            RespError::Ended => unknown("the connection ended without an answer"),
            RespError::TooLarge { .. } => unknown("an answer of more than 64 megabytes"),
            RespError::Unreadable { line, .. } => unknown(format!("unreadable answer: {}", shortened(&line))),
        })
    }
}

/// What a reply says of an action.
fn meaning(action: &Action, reply: Reply) -> Answer {
    if let Reply::Error(error) = &reply {
        return refusal(error);
    }
    let bulk = |reply: &Reply| match reply {
        Reply::Bulk(bytes) => Some(Some(written_as_bytes(bytes))),
        Reply::Nothing => Some(None),
        Reply::Status(_) | Reply::Error(_) | Reply::Number(_) | Reply::List(_) => None,
    };
    let result = match (action, &reply) {
        (Action::Read { .. }, reply) => bulk(reply).map(|value| OpResult::Read { value, revision: None }),
        (Action::Write { .. }, Reply::Status(status)) if status == "OK" => Some(OpResult::Written { revision: None }),
        // 0: it was there already, and only this operation writes this element.
        (Action::Add { .. }, Reply::Number(0 | 1)) => Some(OpResult::Written { revision: None }),
        (Action::Cas { .. }, Reply::List(parts)) => match parts.as_slice() {
            [Reply::Number(swapped @ (0 | 1)), old] => {
                bulk(old).map(|old| OpResult::Cas { swapped: *swapped == 1, observed: Some(old), revision: None })
            }
            _ => None,
        },
        (Action::Elements { .. }, Reply::List(parts)) => {
            let values: Option<Vec<_>> = parts.iter().map(|part| bulk(part).flatten()).collect();
            values.map(|values| OpResult::Elements { values, revision: None })
        }
        _ => None,
    };
    result.map_or_else(|| unknown(format!("unreadable answer: {}", shortened(&format!("{reply:?}")))), done)
}

/// An error is definite by its first word, or by the word that a script's error carries inside (Redis before 7).
fn refusal(error: &str) -> Answer {
    let code = error.split_whitespace().next().unwrap_or_default();
    let definite = |word: &str| DEFINITE.contains(&word);
    let inner = error
        .strip_prefix("ERR Error running script")
        .and_then(|rest| rest.split_whitespace().find_map(|word| word.strip_prefix('-').filter(|word| definite(word))));
    if definite(code) || inner.is_some() { failed(shortened(error)) } else { unknown(shortened(error)) }
}

/// Whether the answer says that something was written, so that replicas matter.
fn counts_on_replicas(answer: &Answer) -> bool {
    match &answer.phase {
        chaos_history::OpPhase::Ok(OpResult::Cas { swapped, .. }) => *swapped,
        chaos_history::OpPhase::Ok(_) => true,
        chaos_history::OpPhase::Invoke { .. }
        | chaos_history::OpPhase::Fail { .. }
        | chaos_history::OpPhase::Info { .. } => false,
    }
}

fn replicated(answer: Answer, wanted: u64, replicas: &Reply) -> Answer {
    match replicas {
        Reply::Number(count) if u64::try_from(*count).is_ok_and(|count| count >= wanted) => answer,
        Reply::Number(count) => unknown(format!("written, but on {count} of {wanted} replicas only")),
        Reply::Error(error) => unknown(format!("written, but replicas were not waited for: {}", shortened(error))),
        Reply::Status(_) | Reply::Bulk(_) | Reply::Nothing | Reply::List(_) => {
            unknown("written, but the answer to WAIT is unreadable")
        }
    }
}

#[cfg(test)]
mod tests;
