//! ZooKeeper: a register is an entry's data, a set an entry's children, a lock the oldest of an entry's children.
//!
//! ```text
//! /chaos/r/KEY          data: the value                       revision: mzxid
//! /chaos/s/KEY/VALUE    one child for each element            revision: czxid (of an addition), pzxid (of the list)
//! /chaos/l/KEY/n-0000000007   ephemeral, sequential           token: czxid
//! ```
//!
//! Options: `sync` (`false`: reads may be as old as the node that answers; `true`: each read asks the node to catch up with the
//! leader first, as the Programmer's Guide recommends); `session` (how long a silence ends a session, and with it the hold of a
//! lock; 4 s unless given; the ensemble bounds it).
//!
//! **A compare-and-set is decided by the ensemble, a refused one too.** The value is read where the client is, which may lag;
//! where it fits, it is replaced under the condition that its version still is what was read; where it doesn't, a transaction that
//! only *checks* the version takes its place in the ensemble's order of changes, so that the refusal names a value that was there
//! at that moment, whatever the node that was asked had missed. Where either condition is not met, it all begins again; after
//! three times nothing has happened, which is a `fail`.
//!
//! **What is definite.** An error code that the leader's request processor or the order of changes decides ([`Code::is_definite`]);
//! a connection or a session that does not come about; anything that goes wrong while nothing but questions has been sent. A
//! connection that breaks after a change was sent is `info`: ZooKeeper's own rule for a lost connection.
//!
//! Refuses to take a session from one connection to another: a client whose connection broke begins a new one, and holds no lock.

mod lock;
mod session;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use chaos_history::{Action, NodeId, OpResult, Revision, Value};
use futures::FutureExt;
use futures::future::BoxFuture;

use self::lock::Locks;
use self::session::{Code, CreateMode, Op, Record, Reply, Stat, ZooKeeperSession};
use super::answer::written_as;
use super::options::Options;
use super::wire::{Pool, Trouble, answered, at_any, escaped};
use super::{ClientError, ClientSetup};
use crate::driver::{Answer, Client, ProbeError};

/// How often a compare-and-set begins again before it gives up.
const CAS_TRIES: u32 = 3;

/// Opens the driver.
pub(super) fn open(setup: &ClientSetup) -> Result<Arc<dyn Client>, ClientError> {
    let options = Options::of(setup, &["sync", "session"])?;
    let sync = options.word("sync", &[("false", false), ("true", true)])?;
    let session = options.duration("session", Duration::from_secs(4))?;
    let pool = Pool::new(setup.endpoints.clone(), session, setup.connect_timeout);
    Ok(Arc::new(ZooKeeper(Arc::new(Shared { pool, sync, locks: Locks::default() }))))
}

struct ZooKeeper(Arc<Shared>);

struct Shared {
    pool: Pool<ZooKeeperSession>,
    /// Whether reads catch up first.
    sync: bool,
    locks: Locks,
}

impl Client for ZooKeeper {
    fn invoke(&self, node: NodeId, action: &Action) -> BoxFuture<'static, Answer> {
        let (shared, action) = (Arc::clone(&self.0), action.clone());
        async move { answered(shared.carry_out(node, &action).await) }.boxed()
    }

    fn prepare(&self) -> BoxFuture<'_, Result<(), ProbeError>> {
        at_any(self.0.pool.nodes(), |node| self.0.make_folders(node)).boxed()
    }
}

impl Shared {
    async fn carry_out(&self, node: NodeId, action: &Action) -> Result<OpResult, Trouble> {
        match action {
            Action::Acquire { key } => return self.locks.acquire(&self.pool, node, key).await,
            Action::Release { key } => return self.locks.release(key).await,
            Action::Access { .. } => {
                return Err(Trouble::Definite("the resource that a lock protects isn't in ZooKeeper".to_owned()));
            }
            Action::Read { .. }
            | Action::Write { .. }
            | Action::Cas { .. }
            | Action::Add { .. }
            | Action::Elements { .. } => {}
        }
        self.pool.on(node, async |session| self.ask(session, action).await).await
    }

    async fn ask(&self, session: &mut ZooKeeperSession, action: &Action) -> Result<OpResult, Trouble> {
        match action {
            Action::Read { key } => {
                let path = register(key);
                self.catch_up(session, &path).await?;
                let found = get(session, &path).await?;
                Ok(OpResult::Read {
                    value: found.map(|(value, _)| value),
                    revision: found.and_then(|(_, stat)| revision(stat.mzxid)),
                })
            }
            Action::Write { key, value } => write(session, &register(key), *value).await,
            Action::Cas { key, expect, value } => compare_and_set(session, &register(key), *expect, *value).await,
            Action::Add { key, value } => add(session, &format!("{}/{value}", set(key))).await,
            Action::Elements { key } => {
                let path = set(key);
                self.catch_up(session, &path).await?;
                let (names, stat) = children(session, &path).await?.unwrap_or_default();
                let values = names.iter().map(|name| written_as(name)).collect();
                Ok(OpResult::Elements { values, revision: stat.and_then(|stat| revision(stat.pzxid)) })
            }
            Action::Acquire { .. } | Action::Release { .. } | Action::Access { .. } => {
                unreachable!("locks have sessions of their own")
            }
        }
    }

    /// Has the node catch up with the leader before it answers the next question, if that is wanted.
    async fn catch_up(&self, session: &mut ZooKeeperSession, path: &str) -> Result<(), Trouble> {
        if self.sync {
            let reply = call(session, Op::Sync, Record::default().text(path)).await;
            reply.and_then(|reply| reply.map_err(refused)).map_err(Trouble::before_any_change)?;
        }
        Ok(())
    }

    async fn make_folders(&self, node: NodeId) -> Result<(), Trouble> {
        let mut session = self.pool.take(node).await?;
        for path in ["/chaos/r", "/chaos/s", "/chaos/l"] {
            match create(&mut session, path, "", CreateMode::Persistent).await? {
                Ok(_) | Err(Code::NODE_EXISTS) => {}
                Err(code) => return Err(refused(code)),
            }
        }
        self.pool.put_back(node, session);
        Ok(())
    }
}

fn register(key: &str) -> String {
    format!("/chaos/r/{}", escaped(key))
}

fn set(key: &str) -> String {
    format!("/chaos/s/{}", escaped(key))
}

/// A zxid as a revision; there are no negative ones.
fn revision(zxid: i64) -> Option<Revision> {
    u64::try_from(zxid).ok().map(Revision)
}

fn refused(code: Code) -> Trouble {
    let error = format!("refused: {code}");
    if code.is_definite() { Trouble::Definite(error) } else { Trouble::Unknown(error) }
}

/// A request; if the connection breaks, nobody knows.
async fn call(session: &mut ZooKeeperSession, op: Op, record: Record) -> Result<Reply, Trouble> {
    session.call(op, record).await.map_err(Trouble::Unknown)
}

/// An entry's value and stat; `None` if there is no such entry.
async fn get(session: &mut ZooKeeperSession, path: &str) -> Result<Option<(Value, Stat)>, Trouble> {
    const WATCH: bool = false;
    let reply = call(session, Op::GetData, Record::default().text(path).flag(WATCH)).await;
    match reply.map_err(Trouble::before_any_change)? {
        Ok(mut reader) => {
            let text = reader.text().map_err(Trouble::Definite)?.unwrap_or_default();
            Ok(Some((written_as(&text), reader.stat().map_err(Trouble::Definite)?)))
        }
        Err(Code::NO_NODE) => Ok(None),
        Err(code) => Err(refused(code).before_any_change()),
    }
}

/// The names of an entry's children with the entry's stat; `None` if there is no such entry.
async fn children(session: &mut ZooKeeperSession, path: &str) -> Result<Option<(Vec<String>, Option<Stat>)>, Trouble> {
    const WATCH: bool = false;
    match call(session, Op::GetChildren2, Record::default().text(path).flag(WATCH)).await? {
        Ok(mut reader) => {
            let names = reader.texts().map_err(Trouble::Unknown)?;
            Ok(Some((names, Some(reader.stat().map_err(Trouble::Unknown)?))))
        }
        Err(Code::NO_NODE) => Ok(None),
        Err(code) => Err(refused(code)),
    }
}

/// Makes an entry and, where they are missing, those above it. The entry's own path (a sequential one gets a number) and stat.
async fn create(
    session: &mut ZooKeeperSession,
    path: &str,
    data: &str,
    mode: CreateMode,
) -> Result<Result<(String, Stat), Code>, Trouble> {
    let mut reply = call(session, Op::Create2, Record::create(path, data, mode)).await?;
    if matches!(reply, Err(Code::NO_NODE)) {
        for (at, _) in path.match_indices('/').skip(1) {
            let above = Record::create(&path[..at], "", CreateMode::Persistent);
            match call(session, Op::Create2, above).await.map_err(Trouble::before_any_change)? {
                Ok(_) | Err(Code::NODE_EXISTS) => {}
                Err(code) => return Err(refused(code).before_any_change()),
            }
        }
        reply = call(session, Op::Create2, Record::create(path, data, mode)).await?;
    }
    match reply {
        Ok(mut reader) => {
            let path = reader.text().map_err(Trouble::Unknown)?.unwrap_or_default();
            Ok(Ok((path, reader.stat().map_err(Trouble::Unknown)?)))
        }
        Err(code) => Ok(Err(code)),
    }
}

/// Changes an entry's data, whatever its version (-1) or only if it is this one.
async fn set_data(
    session: &mut ZooKeeperSession,
    path: &str,
    value: Value,
    version: i32,
) -> Result<Result<Stat, Code>, Trouble> {
    let record = Record::default().text(path).text(&value.to_string()).int(version);
    match call(session, Op::SetData, record).await? {
        Ok(mut reader) => Ok(Ok(reader.stat().map_err(Trouble::Unknown)?)),
        Err(code) => Ok(Err(code)),
    }
}

async fn write(session: &mut ZooKeeperSession, path: &str, value: Value) -> Result<OpResult, Trouble> {
    const ANY_VERSION: i32 = -1;
    let mut result = set_data(session, path, value, ANY_VERSION).await?;
    if result == Err(Code::NO_NODE) {
        match create(session, path, &value.to_string(), CreateMode::Persistent).await? {
            Ok((_, stat)) => result = Ok(stat),
            // Somebody else was first; entries are never deleted, so that it is there now.
            Err(Code::NODE_EXISTS) => result = set_data(session, path, value, ANY_VERSION).await?,
            Err(code) => result = Err(code),
        }
    }
    let stat = result.map_err(refused)?;
    Ok(OpResult::Written { revision: revision(stat.mzxid) })
}

async fn compare_and_set(
    session: &mut ZooKeeperSession,
    path: &str,
    expect: Option<Value>,
    value: Value,
) -> Result<OpResult, Trouble> {
    for _ in 0..CAS_TRIES {
        let found = get(session, path).await?;
        if let Some(result) = decide(session, path, found, expect, value).await? {
            return Ok(result);
        }
    }
    Err(Trouble::Definite(format!("the key was changed by others during each of {CAS_TRIES} tries")))
}

/// One try; `None` if the entry is not what was found any more, so that nothing has happened.
async fn decide(
    session: &mut ZooKeeperSession,
    path: &str,
    found: Option<(Value, Stat)>,
    expect: Option<Value>,
    value: Value,
) -> Result<Option<OpResult>, Trouble> {
    let swapped =
        |stat: Stat| Some(OpResult::Cas { swapped: true, observed: Some(expect), revision: revision(stat.mzxid) });
    let seen = found.map(|(value, _)| value);
    let not = |zxid: Option<i64>| {
        Some(OpResult::Cas { swapped: false, observed: Some(seen), revision: zxid.and_then(revision) })
    };
    match found {
        None if expect.is_none() => match create(session, path, &value.to_string(), CreateMode::Persistent).await? {
            Ok((_, stat)) => Ok(swapped(stat)),
            Err(Code::NODE_EXISTS) => Ok(None),
            Err(code) => Err(refused(code)),
        },
        Some((_, stat)) if seen == expect => match set_data(session, path, value, stat.version).await? {
            Ok(stat) => Ok(swapped(stat)),
            Err(Code::BAD_VERSION | Code::NO_NODE) => Ok(None),
            Err(code) => Err(refused(code)),
        },
        Some((_, stat)) => Ok(match check(session, path, stat.version).await? {
            Ok(()) => not(Some(stat.mzxid)),
            Err(_) => None,
        }),
        None => Ok(match check(session, path, 0).await? {
            Err(Code::NO_NODE) => not(None),
            Ok(()) | Err(_) => None,
        }),
    }
}

/// Whether the entry has this version, as decided in the ensemble's order of changes. It changes nothing.
async fn check(session: &mut ZooKeeperSession, path: &str, version: i32) -> Result<Result<(), Code>, Trouble> {
    const ERROR_RESULT: i32 = -1;
    let reply = call(session, Op::Multi, Record::check(path, version)).await.map_err(Trouble::before_any_change)?;
    let unreadable = |error: String| Trouble::Definite(error);
    let code = match reply {
        Err(code) => code,
        Ok(mut reader) => {
            let op = reader.int().map_err(unreadable)?;
            let _done = reader.flag().map_err(unreadable)?;
            let in_header = reader.int().map_err(unreadable)?;
            match op {
                ERROR_RESULT => Code(reader.int().map_err(unreadable)?),
                _ => Code(in_header),
            }
        }
    };
    match code {
        Code(0) => Ok(Ok(())),
        Code::NO_NODE | Code::BAD_VERSION => Ok(Err(code)),
        code => Err(refused(code).before_any_change()),
    }
}

async fn add(session: &mut ZooKeeperSession, path: &str) -> Result<OpResult, Trouble> {
    match create(session, path, "", CreateMode::Persistent).await? {
        Ok((_, stat)) => Ok(OpResult::Written { revision: revision(stat.czxid) }),
        // The element is there, and elements are never taken out.
        Err(Code::NODE_EXISTS) => Ok(OpResult::Written { revision: None }),
        Err(code) => Err(refused(code)),
    }
}
