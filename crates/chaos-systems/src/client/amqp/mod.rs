//! RabbitMQ over AMQP 0-9-1: a set is a quorum queue, its elements the messages in it.
//!
//! Options: `user`, `password` (`guest` unless given; the node's configuration must let them in from elsewhere: `loopback_users =
//! none`), `vhost` (`/`), `queues` (names of sets, with commas, whose queues [`Client::prepare`] makes once *every* node can be
//! reached: a queue gets its replicas when it is made, from the nodes that are there; other queues are made when first added to).
//!
//! An addition is a persistent message with a publisher's confirm. Registers and locks it has no words for.
//!
//! **Reading a set** has all its messages delivered, then fetches what may be left until the queue says that it is empty, acknowledges
//! none, and gives them back by closing the channel; they count as redelivered from then on (a queue with a delivery limit would drop
//! them some day; none is set). While this goes on, nobody else
//! finds them: so this client reads one set at a time, and waits until the queue has as many again (at most [`GIVING_BACK_MAX`]).
//! A message that is delivered twice because the queue's leader changed meanwhile is one element: each is told once. At most
//! [`MESSAGES_MAX`] messages are read; a longer queue is not, and the operation `info`.
//!
//! **What is definite.** What goes wrong before the message is sent; a message that comes back because there is no such queue (312); a
//! channel that is closed because the request was not allowed (403, 404, 406: of which the node has nothing enqueued). **Not**
//! definite: a negative confirm, with which a node says that it could not take care of a message, not that no replica has it; every
//! other end of a channel or a connection, a node's shutdown (320) included.

mod session;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chaos_history::{Action, NodeId, OpResult, Value};
use futures::FutureExt;
use futures::future::BoxFuture;

use self::session::{AmqpSession, Broken, Login, Method, Said, text_entry};
use super::options::Options;
use super::wire::{Pool, Trouble, answered, at_any, escaped};
use super::{ClientError, ClientSetup, shortened, written_as_bytes};
use crate::driver::{Answer, Client, ProbeError};

/// How many messages of a queue are read.
const MESSAGES_MAX: usize = 200_000;
/// How many messages are asked for before the first of them is read.
const ASKED_AT_ONCE: usize = 64;
/// How long a queue that delivers no more is taken for empty, before it is asked whether it is.
const QUIET: Duration = Duration::from_millis(250);
/// A reader's name on its channel.
const CONSUMER: &str = "reader";
/// How long a reader waits until its messages are in the queue again.
const GIVING_BACK_MAX: Duration = Duration::from_secs(2);
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
    }))))
}

struct Amqp(Arc<Shared>);

struct Shared {
    pool: Pool<AmqpSession>,
    queues: Vec<String>,
    /// Held by who reads a set: two readers at once would each find a part.
    reading: tokio::sync::Mutex<()>,
}

impl Client for Amqp {
    fn invoke(&self, node: NodeId, action: &Action) -> BoxFuture<'static, Answer> {
        let (shared, action) = (Arc::clone(&self.0), action.clone());
        async move { answered(shared.carry_out(node, &action).await) }.boxed()
    }

    fn prepare(&self) -> BoxFuture<'_, Result<(), ProbeError>> {
        // The first node speaks for all, since all must be there.
        at_any(self.0.pool.nodes().take(1), |_| self.0.make_queues()).boxed()
    }
}

impl Shared {
    async fn carry_out(&self, node: NodeId, action: &Action) -> Result<OpResult, Trouble> {
        match action {
            Action::Add { key, value } => {
                let work = async |session: &mut AmqpSession| {
                    session.is_busy = true;
                    let result = add(session, &queue(key), *value).await;
                    // After a closed channel or a broken connection, nothing more can be said on it.
                    session.is_busy = matches!(&result, Err(Ended::Broken(_)));
                    result.map_err(Trouble::from)
                };
                self.pool.on(node, work).await
            }
            Action::Elements { key } => self.elements(node, &queue(key)).await,
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

    async fn elements(&self, node: NodeId, queue: &str) -> Result<OpResult, Trouble> {
        let _alone = self.reading.lock().await;
        // The messages go back when the channel is closed, so that it is never used again.
        let mut session = self.pool.connect(node).await?;
        let mut messages = Vec::new();
        let read = match delivered(&mut session, queue, &mut messages).await {
            Ok(()) => fetched(&mut session, queue, &mut messages).await,
            Err(broken) => Err(broken),
        };
        match read {
            Ok(()) => {}
            // There is no such queue: nothing was ever added.
            Err(Broken { code: Some(NOT_FOUND), .. }) if messages.is_empty() => {}
            Err(broken) => return Err(Trouble::Unknown(broken.error)),
        }
        drop(session);
        if !messages.is_empty() {
            // What comes back later than that is missed by the next reader, which is no concern of this one.
            let _ = tokio::time::timeout(GIVING_BACK_MAX, self.given_back(node, queue, messages.len())).await;
        }
        let values: BTreeSet<Value> = messages.iter().map(|body| written_as_bytes(body)).collect();
        Ok(OpResult::Elements { values: values.into_iter().collect(), revision: None })
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

/// Has the queue deliver what it has, until it delivers no more for [`QUIET`]: fast, but no proof that this was all.
async fn delivered(session: &mut AmqpSession, queue: &str, messages: &mut Vec<Vec<u8>>) -> Result<(), Broken> {
    session.call(Method::new(60, 10).long(0).short(u16::MAX).octet(0)).await?;
    session.expect(60, 11).await?;
    session.call(Method::new(60, 20).short(0).text(queue).text(CONSUMER).octet(0).long_text(&[])).await?;
    let mut is_told_to_stop = false;
    loop {
        if !is_told_to_stop && !session.says_more_within(QUIET).await? {
            session.call(Method::new(60, 30).text(CONSUMER).octet(0)).await?;
            is_told_to_stop = true;
        }
        match session.said().await? {
            Said::Message(body) => keep(messages, body)?,
            Said::Done(60, 21, _) => {}
            Said::Done(60, 31, _) => return Ok(()),
            other @ (Said::Ack(_) | Said::Nack(_) | Said::Returned(..) | Said::Empty | Said::Done(..)) => {
                return Err(shortened(&format!("not a delivery: {other:?}")).into());
            }
        }
    }
}

/// Fetches messages one after the other, until there is none: slow, since each is agreed upon by the replicas, but complete.
async fn fetched(session: &mut AmqpSession, queue: &str, messages: &mut Vec<Vec<u8>>) -> Result<(), Broken> {
    let (mut asked, mut is_over) = (0, false);
    while !is_over || asked > 0 {
        while !is_over && asked < ASKED_AT_ONCE {
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
    Ok(())
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
