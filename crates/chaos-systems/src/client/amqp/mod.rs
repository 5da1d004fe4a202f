//! RabbitMQ over AMQP 0-9-1: a set is a quorum queue, its elements the messages in it.
//!
//! Options: `user`, `password` (`guest` unless given; the node's configuration must let them in from elsewhere: `loopback_users =
//! none`), `vhost` (`/`), `queues` (names of sets, with commas, whose queues [`Client::prepare`] makes once *every* node can be
//! reached: a queue gets its replicas when it is made, from the nodes that are there; other queues are made when first added to).
//!
//! An addition is a persistent message with a publisher's confirm. Registers and locks it has no words for.
//!
//! **Reading a set** fetches messages until the queue says that it is empty, acknowledges none, and gives them back by closing the
//! channels; they count as redelivered from then on (a queue with a delivery limit would drop them some day; none is set). Each message is
//! fetched by a question of its own, which the replicas agree upon, over [`READERS`] channels at once where there are many. (A consumer
//! would get them faster, and prove nothing: messages that were assigned to it arrive when the replica beside it has come so far, while
//! the leader already says that none is left.) While this goes on, and for as long afterwards as the queue takes to see that the channels are
//! closed, nobody else finds the messages, and the queue doesn't tell how many they are. So this client reads one set at a time, finishes a
//! read for which nobody waits any longer, and waits until the queue has as many again. Once a read was cut off, or its
//! messages were not seen to come back ([`GIVING_BACK_MAX`]), a set that lacks acknowledged elements is no answer any more: the
//! operation is `info` until a read has found all of them. At most [`MESSAGES_MAX`] messages are read; a longer queue is not, and the operation
//! `info`. What is fetched twice, because the queue's leader changed meanwhile, is one element.
//!
//! **What is definite.** What goes wrong before the message is sent; a message that comes back because there is no such queue (312); a
//! channel that is closed because the request was not allowed (403, 404, 406: of which the node has nothing enqueued). **Not**
//! definite: a negative confirm, with which a node says that it could not take care of a message, not that no replica has it; every
//! other end of a channel or a connection, a node's shutdown (320) included.

mod session;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chaos_history::{Action, NodeId, OpResult, Value};
use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};

use self::session::{AmqpSession, Broken, Login, Method, Said, text_entry};
use super::options::Options;
use super::wire::{Pool, Trouble, answered, at_any, escaped};
use super::{ClientError, ClientSetup, shortened, written_as_bytes};
use crate::driver::{Answer, Client, ProbeError};

/// How many messages of a queue are read.
const MESSAGES_MAX: usize = 200_000;
/// How many messages are asked for before the first of them is read.
const ASKED_AT_ONCE: usize = 64;
/// How many messages one channel fetches before others help it.
const ALONE_MAX: usize = 256;
/// How many channels fetch then: each waits for its replicas at every message, so that only many keep them busy.
const READERS: usize = 32;
/// How long a read may take, whether or not somebody still waits for it.
const READ_MAX: Duration = Duration::from_secs(20);
/// How long a reader waits until its messages are in the queue again.
const GIVING_BACK_MAX: Duration = Duration::from_secs(5);
/// How long between two looks at the queue.
const GIVING_BACK_PAUSE: Duration = Duration::from_millis(10);
/// The code with which a message comes back that fits no queue.
const NO_ROUTE: u16 = 312;
/// The code with which a channel is closed if there is no such queue.
const NOT_FOUND: u16 = 404;

/// Opens the driver.
pub(super) fn open(setup: &ClientSetup) -> Result<Arc<dyn Client>, ClientError> {
    let options = Options::of(setup, &["user", "password", "vhost", "queues"])?;
    let text = |option: &str, default: &str| {
        let text = options.text(option).unwrap_or(default);
        let is_good = text.len() < 128 && !text.contains('\0');
        if is_good { Ok(text.to_owned()) } else { Err(options.bad(option, "a text of at most 127 bytes")) }
    };
    let login =
        Login { user: text("user", "guest")?, password: text("password", "guest")?, vhost: text("vhost", "/")? };
    let queues = options.text("queues").unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
    Ok(Arc::new(Amqp(Arc::new(Shared {
        pool: Pool::new(setup.endpoints.clone(), login, setup.connect_timeout),
        queues: queues.map(queue).collect(),
        reading: tokio::sync::Mutex::default(),
        known: Mutex::default(),
    }))))
}

struct Amqp(Arc<Shared>);

struct Shared {
    pool: Pool<AmqpSession>,
    queues: Vec<String>,
    /// Held by who reads a set: two readers at once would each find a part.
    reading: tokio::sync::Mutex<()>,
    known: Mutex<BTreeMap<String, Known>>,
}

/// What is known of a queue.
#[derive(Debug, Default)]
struct Known {
    /// What it must have.
    acknowledged: BTreeSet<Value>,
    /// Whether a reader may still have messages of it that nobody else finds.
    is_lent: bool,
}

impl Client for Amqp {
    fn invoke(&self, node: NodeId, action: &Action) -> BoxFuture<'static, Answer> {
        let (shared, action) = (Arc::clone(&self.0), action.clone());
        async move { answered(shared.carry_out(node, action).await) }.boxed()
    }

    fn prepare(&self) -> BoxFuture<'_, Result<(), ProbeError>> {
        // The first node speaks for all, since all must be there.
        at_any(self.0.pool.nodes().take(1), |_| self.0.make_queues()).boxed()
    }
}

impl Shared {
    async fn carry_out(self: Arc<Self>, node: NodeId, action: Action) -> Result<OpResult, Trouble> {
        match action {
            Action::Add { key, value } => {
                let queue = queue(&key);
                let work = async |session: &mut AmqpSession| {
                    session.is_busy = true;
                    let result = add(session, &queue, value).await;
                    // After a closed channel or a broken connection, nothing more can be said on it.
                    session.is_busy = matches!(&result, Err(Ended::Broken(_)));
                    result.map_err(Trouble::from)
                };
                let added = self.pool.on(node, work).await?;
                self.known(&queue, |known| known.acknowledged.insert(value));
                Ok(added)
            }
            Action::Elements { key } => {
                let (told, answer) = tokio::sync::oneshot::channel();
                // A task of its own: a read that is dropped half-way would leave its messages with nobody.
                tokio::spawn(self.elements(node, queue(&key), told));
                answer.await.unwrap_or_else(|_| Err(Trouble::Unknown("the reader has ended".to_owned())))
            }
            Action::Read { .. }
            | Action::Write { .. }
            | Action::Cas { .. }
            | Action::Acquire { .. }
            | Action::Release { .. }
            | Action::Access { .. } => {
                Err(Trouble::Definite("a queue has no words for registers and locks".to_owned()))
            }
        }
    }

    /// Looks at, or notes, what is known of a queue.
    fn known<T>(&self, queue: &str, work: impl FnOnce(&mut Known) -> T) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        work(known.entry(queue.to_owned()).or_default())
    }

    /// Makes the queues, once every node can be reached.
    async fn make_queues(&self) -> Result<(), Trouble> {
        let mut last = None;
        for node in self.pool.nodes() {
            last = Some((node, self.pool.take(node).await?));
        }
        let (node, mut session) = last.expect("somebody asked at a node");
        for queue in &self.queues {
            declare(&mut session, queue).await.map_err(|broken| Trouble::Unknown(broken.error))?;
        }
        self.pool.put_back(node, session);
        Ok(())
    }

    /// Reads a set, tells what it is, and sees to it that the queue gets its messages back.
    async fn elements(
        self: Arc<Self>,
        node: NodeId,
        queue: String,
        told: tokio::sync::oneshot::Sender<Result<OpResult, Trouble>>,
    ) {
        let _alone = self.reading.lock().await;
        if told.is_closed() {
            return; // it has waited for its turn for too long
        }
        let (result, lent) = match self.read(node, &queue).await {
            Ok((values, lent)) => (Ok(OpResult::Elements { values, revision: None }), Some(lent)),
            Err(trouble) => (Err(trouble), None),
        };
        // Whoever has stopped waiting needs no answer.
        let _ = told.send(result);
        let Some(lent) = lent else { return };
        let is_back = lent == 0 || {
            let back = self.given_back(node, &queue, lent);
            matches!(tokio::time::timeout(GIVING_BACK_MAX, back).await, Ok(Some(())))
        };
        self.known(&queue, |known| known.is_lent = !is_back);
    }

    /// What a set has, and how many messages the queue is to get back.
    async fn read(&self, node: NodeId, queue: &str) -> Result<(Vec<Value>, usize), Trouble> {
        let session = self.pool.connect(node).await?;
        let (must_have, was_lent) =
            self.known(queue, |known| (known.acknowledged.clone(), std::mem::replace(&mut known.is_lent, true)));
        let read = tokio::time::timeout(READ_MAX, self.whole(node, session, queue)).await;
        let read = read.map_err(|_| Trouble::Unknown(format!("not read within {READ_MAX:?}")))?;
        let messages = read.map_err(|broken| Trouble::Unknown(broken.error))?;
        let values: BTreeSet<Value> = messages.iter().map(|body| written_as_bytes(body)).collect();
        let missing = must_have.difference(&values).count();
        if was_lent && missing > 0 {
            let why = format!("{missing} acknowledged elements may be with an earlier reader that was cut off");
            return Err(Trouble::Unknown(why));
        }
        Ok((values.into_iter().collect(), messages.len()))
    }

    /// All messages of a queue; none of one that there is not, since nothing was ever added to it. They go back when their channels are
    /// closed, at the end of this, so that none is ever used again.
    async fn whole(&self, node: NodeId, mut session: AmqpSession, queue: &str) -> Result<Vec<Vec<u8>>, Broken> {
        let mut messages = Vec::new();
        match fetched(&mut session, queue, ALONE_MAX, &mut messages).await {
            Ok(false) => {}
            Ok(true) => return Ok(messages),
            Err(Broken { code: Some(NOT_FOUND), .. }) if messages.is_empty() => return Ok(messages),
            Err(broken) => return Err(broken),
        }
        let others = try_join_all((1..READERS).map(|_| self.pool.connect(node))).await;
        let mut sessions = others.map_err(|trouble| format!("{trouble:?}"))?;
        sessions.push(session);
        let parts = sessions.iter_mut().map(async |session| {
            let mut part = Vec::new();
            fetched(session, queue, usize::MAX, &mut part).await.map(|_| part)
        });
        for part in try_join_all(parts).await? {
            messages.extend(part);
        }
        Ok(messages)
    }

    /// Waits until the queue has so many messages again.
    async fn given_back(&self, node: NodeId, queue: &str, count: usize) -> Option<()> {
        const PASSIVE: u8 = 1;
        let mut session = self.pool.connect(node).await.ok()?;
        loop {
            let look = Method::new(50, 10).short(0).text(queue).octet(PASSIVE).long_text(&[]);
            session.call(look).await.ok()?;
            let told = session.expect(50, 11).await.ok()?;
            // The queue's name, then the number of messages that are ready.
            let ready = told.get(1 + usize::from(*told.first()?)..)?.first_chunk()?;
            if usize::try_from(u32::from_be_bytes(*ready)).is_ok_and(|ready| ready >= count) {
                return Some(());
            }
            tokio::time::sleep(GIVING_BACK_PAUSE).await;
        }
    }
}

/// Fetches messages one after the other, until there is none (true) or there are so many.
async fn fetched(
    session: &mut AmqpSession,
    queue: &str,
    messages_max: usize,
    messages: &mut Vec<Vec<u8>>,
) -> Result<bool, Broken> {
    let (mut asked, mut is_over) = (0, false);
    let asks_on = |is_over: bool, messages: &[Vec<u8>]| !is_over && messages.len() < messages_max;
    while asks_on(is_over, messages) || asked > 0 {
        while asks_on(is_over, messages) && asked < ASKED_AT_ONCE {
            const TO_BE_ACKNOWLEDGED: u8 = 0;
            session.call(Method::new(60, 70).short(0).text(queue).octet(TO_BE_ACKNOWLEDGED)).await?;
            asked += 1;
        }
        match session.said().await? {
            Said::Message(body) => keep(messages, body)?,
            Said::Empty => is_over = true,
            other @ (Said::Ack(_) | Said::Nack(_) | Said::Returned(..) | Said::Done(..)) => {
                return Err(shortened(&format!("not a message: {other:?}")).into());
            }
        }
        asked -= 1;
    }
    Ok(is_over)
}

fn keep(messages: &mut Vec<Vec<u8>>, body: Vec<u8>) -> Result<(), Broken> {
    messages.push(body);
    if messages.len() > MESSAGES_MAX { Err(format!("more than {MESSAGES_MAX} messages").into()) } else { Ok(()) }
}

/// A set's queue.
fn queue(key: &str) -> String {
    format!("s-{}", escaped(key))
}

/// Why an addition is no success.
enum Ended {
    /// The channel goes on.
    Whole(Trouble),
    /// The channel is of no more use.
    Broken(Trouble),
}

impl From<Ended> for Trouble {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Whole(trouble) | Ended::Broken(trouble) => trouble,
        }
    }
}

async fn add(session: &mut AmqpSession, queue: &str, value: Value) -> Result<OpResult, Ended> {
    if queue.len() > 255 {
        return Err(Ended::Whole(Trouble::Definite("a name that is too long for a queue".to_owned())));
    }
    match publish(session, queue, value).await {
        Err(Ended::Whole(Trouble::Definite(_))) => {}
        other => return other,
    }
    // It came back, since there is no such queue; so there will be one.
    let declared = declare(session, queue).await;
    declared.map_err(|broken| Ended::Broken(Trouble::Definite(format!("no queue: {}", broken.error))))?;
    publish(session, queue, value).await
}

async fn publish(session: &mut AmqpSession, queue: &str, value: Value) -> Result<OpResult, Ended> {
    let broken = |broken: Broken| {
        Ended::Broken(match broken.code {
            Some(403 | NOT_FOUND | 406) => Trouble::Definite(broken.error),
            Some(_) | None => Trouble::Unknown(broken.error),
        })
    };
    session.publish(queue, &value.to_string()).await.map_err(broken)?;
    let mut returned = None;
    loop {
        match session.said().await.map_err(broken)? {
            Said::Returned(code, text) => returned = Some((code, text)),
            Said::Ack(tag) if tag == session.published => {
                return match returned {
                    None => Ok(OpResult::Written { revision: None }),
                    Some((NO_ROUTE, text)) => Err(Ended::Whole(Trouble::Definite(format!("returned: {text}")))),
                    Some((code, text)) => Err(Ended::Whole(Trouble::Unknown(format!("returned: {code} {text}")))),
                };
            }
            Said::Nack(tag) if tag == session.published => {
                return Err(Ended::Whole(Trouble::Unknown("a negative confirm".to_owned())));
            }
            other @ (Said::Ack(_) | Said::Nack(_) | Said::Message(_) | Said::Empty | Said::Done(..)) => {
                let error = shortened(&format!("not a confirm: {other:?}"));
                return Err(Ended::Broken(Trouble::Unknown(error)));
            }
        }
    }
}

/// Makes a quorum queue, unless it is there.
async fn declare(session: &mut AmqpSession, queue: &str) -> Result<(), Broken> {
    const DURABLE: u8 = 1 << 1;
    let arguments = text_entry("x-queue-type", "quorum");
    session.call(Method::new(50, 10).short(0).text(queue).octet(DURABLE).long_text(&arguments)).await?;
    session.expect(50, 11).await.map(|_| ())
}
