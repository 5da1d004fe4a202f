//! ZooKeeper's recipe for locks: who has the oldest ephemeral, sequential entry holds the lock; everybody else watches the entry
//! before its own.
//!
//! Each hold has a session of its own, kept alive by a task until the lock is released, the connection breaks, or the node has said
//! nothing for a whole session timeout. Then the hold is *lost*: this client does not believe in it any more, and a release says so
//! with a `fail`. (The ensemble forgets the session later, or has forgotten it before: the classic gap in which two clients
//! believe in one lock, and which fencing tokens close.)
//!
//! The token is the entry's czxid: entries get their numbers in the order of their czxids, and the lock in the order of the numbers.
//!
//! Source: "ZooKeeper Recipes and Solutions", Locks.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chaos_history::{NodeId, OpResult};
use tokio::sync::oneshot;

use super::session::{Code, CreateMode, Op, Record, ZooKeeperSession};
use super::{call, children, create, refused};
use crate::client::wire::{Pool, Trouble, escaped};

/// The locks that a client holds, by key.
#[derive(Debug, Default)]
pub(super) struct Locks(Mutex<BTreeMap<String, Hold>>);

/// Where the end of a release is told.
type Ended = oneshot::Sender<Result<(), Trouble>>;

/// A lock that is held as long as its task lives.
#[derive(Debug)]
struct Hold(oneshot::Sender<Ended>);

impl Locks {
    /// Waits for the lock and takes it. Who drops this gives up: the entry disappears with its session.
    pub(super) async fn acquire(
        &self,
        pool: &Pool<ZooKeeperSession>,
        node: NodeId,
        key: &str,
    ) -> Result<OpResult, Trouble> {
        if self.lock().get(key).is_some_and(|hold| !hold.0.is_closed()) {
            return Err(Trouble::Definite("this client holds the lock already".to_owned()));
        }
        let mut session = pool.connect(node).await?;
        let folder = format!("/chaos/l/{}", escaped(key));
        let created = create(&mut session, &format!("{folder}/n-"), "", CreateMode::EphemeralSequential).await?;
        let (path, stat) = created.map_err(refused)?;
        while let Some(before) = predecessor(&mut session, &folder, &path).await? {
            wait_for_change(&mut session, &before).await?;
        }
        let (release, released) = oneshot::channel();
        tokio::spawn(keep(session, path, released));
        self.lock().insert(key.to_owned(), Hold(release));
        Ok(OpResult::Acquired { token: u64::try_from(stat.czxid).ok() })
    }

    pub(super) async fn release(&self, key: &str) -> Result<OpResult, Trouble> {
        let hold = self.lock().remove(key);
        let Hold(hold) = hold.ok_or_else(|| Trouble::Definite("this client doesn't hold the lock".to_owned()))?;
        let (ended, end) = oneshot::channel();
        if hold.send(ended).is_err() {
            return Err(Trouble::Definite("the lock was lost before: its session has ended".to_owned()));
        }
        match end.await {
            Ok(result) => result.map(|()| OpResult::Released),
            Err(_) => Err(Trouble::Unknown("the session ended during the release".to_owned())),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Hold>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry that must disappear before it is this one's turn; `None`: it is.
async fn predecessor(session: &mut ZooKeeperSession, folder: &str, path: &str) -> Result<Option<String>, Trouble> {
    let (mut names, _) = children(session, folder).await?.unwrap_or_default();
    names.sort_unstable();
    let own = path.rsplit('/').next().unwrap_or_default();
    match names.iter().position(|name| name == own) {
        None => Err(Trouble::Definite("the place in the queue is gone".to_owned())),
        Some(0) => Ok(None),
        Some(at) => Ok(Some(format!("{folder}/{}", names[at - 1]))),
    }
}

/// Waits until the entry changes or disappears; the session is kept alive meanwhile.
async fn wait_for_change(session: &mut ZooKeeperSession, path: &str) -> Result<(), Trouble> {
    const WATCH: bool = true;
    session.forget_notifications();
    match call(session, Op::Exists, Record::default().text(path).flag(WATCH)).await? {
        Err(Code::NO_NODE) => return Ok(()),
        Err(code) => return Err(refused(code)),
        Ok(_) => {}
    }
    let mut beat = tokio::time::interval(beat_every(session));
    loop {
        tokio::select! {
            told = session.notification() => return told.map_err(Trouble::Unknown),
            _ = beat.tick() => {}
        }
        session.ping().await.map_err(Trouble::Unknown)?;
    }
}

/// Keeps a hold alive until it is to be released or is lost.
async fn keep(mut session: ZooKeeperSession, path: String, mut released: oneshot::Receiver<Ended>) {
    let mut beat = tokio::time::interval(beat_every(&session));
    session.heard = std::time::Instant::now();
    let ended = loop {
        tokio::select! {
            ended = &mut released => break ended,
            error = session.broken() => {
                tracing::debug!(%path, %error, "a lock is lost");
                return;
            }
            _ = beat.tick() => {}
        }
        if session.heard.elapsed() > session.timeout || session.ping().await.is_err() {
            tracing::debug!(%path, "a lock is lost: the node says nothing");
            return;
        }
    };
    if let Ok(ended) = ended {
        let result = match call(&mut session, Op::Delete, Record::default().text(&path).int(-1)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(Code::NO_NODE)) => Err(Trouble::Definite("the lock was lost before".to_owned())),
            Ok(Err(code)) => Err(refused(code)),
            Err(trouble) => Err(trouble),
        };
        // Nobody listens if the release was broken off.
        let _ = ended.send(result);
    }
    // Otherwise the client is gone, and with the session its entry goes too. Should this fail, both end with the timeout.
    let _ = session.call(Op::CloseSession, Record::default()).await;
}

fn beat_every(session: &ZooKeeperSession) -> Duration {
    (session.timeout / 3).max(Duration::from_millis(1))
}
