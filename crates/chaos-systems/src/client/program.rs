//! The driver `program`: a client in any language, one process per node, that speaks `chaos-client/1`.
//!
//! What is definite: the program's own `fail`; and whatever was never handed to it, because it can't be started, isn't ready,
//! doesn't know the operation, or ended before it was given the line. What it was given and hasn't answered when it ends is
//! `info`, and so is an `ok` that does not say what was asked. Options are the program's own: all are passed on.
//!
//! Refuses to wait for a program that does not read (after 4,096 lines), to read a line of more than a megabyte, to start a
//! program that ends at once more than five times a second, and to know what an answer says that nobody is waiting for: such
//! lines are remarked in the log.
//!
//! The protocol:
//!
#![doc = include_str!("chaos-client-1.md")]

pub(crate) mod conformance;
mod message;
mod session;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chaos_history::{Action, NodeId};
use futures::FutureExt;
use futures::future::BoxFuture;

use self::message::{Done, Hello, Ready, answer};
use self::session::{Ended, Phase, Session};
use super::{ClientError, ClientSetup, failed, shortened, unknown};
use crate::driver::{Answer, Client, ProbeError};

/// The protocol `chaos-client/1`, for people.
pub const PROTOCOL_TEXT: &str = include_str!("chaos-client-1.md");
/// A program that ends at once is not started again before this has passed.
const BETWEEN_STARTS: Duration = Duration::from_millis(200);

/// Opens the driver; a program is started when its node is first asked.
///
/// # Errors
/// If no command is given.
pub(super) fn open(setup: &ClientSetup) -> Result<Arc<dyn Client>, ClientError> {
    if setup.program.is_empty() {
        let what = "needs a command that speaks chaos-client/1".to_owned();
        return Err(ClientError::Unusable { driver: setup.driver.clone(), what });
    }
    let slots = NodeId::all(setup.endpoints.len()).map(|_| Mutex::new(None)).collect();
    Ok(Arc::new(Program(Arc::new(Shared { setup: setup.clone(), slots }))))
}

struct Program(Arc<Shared>);

struct Shared {
    setup: ClientSetup,
    /// Each node's program, once it was needed.
    slots: Vec<Mutex<Option<Started>>>,
}

/// A node's program, and when it was started.
type Started = (Instant, Arc<Session>);

impl Client for Program {
    fn invoke(&self, node: NodeId, action: &Action) -> BoxFuture<'static, Answer> {
        let (shared, action) = (Arc::clone(&self.0), action.clone());
        async move { shared.invoke(node, &action).await.unwrap_or_else(|answer| answer) }.boxed()
    }

    fn ask(&self, node: NodeId, question: &str) -> BoxFuture<'_, Result<serde_json::Value, ProbeError>> {
        let question = question.to_owned();
        async move { self.0.ask(node, &question).await }.boxed()
    }
}

impl Shared {
    async fn invoke(&self, node: NodeId, action: &Action) -> Result<Answer, Answer> {
        let (session, ready) = self.ready(node).await.map_err(failed)?;
        let op = message::op(action);
        if !ready.ops.iter().any(|known| known == op) {
            return Err(failed(format!("the client program has no words for `{op}`")));
        }
        let reply = session.send(|id| message::op_line(id, action)).await.map_err(|ended| match ended {
            Ended::Unsent(why) => failed(why),
            Ended::Unanswered(why) => unknown(why),
        })?;
        let done: Done = serde_json::from_value(reply)
            .map_err(|error| unknown(format!("the client program's answer: {}", shortened(&error.to_string()))))?;
        Ok(answer(action, done, &self.setup.endpoints, self.setup.nodes))
    }

    async fn ask(&self, node: NodeId, question: &str) -> Result<serde_json::Value, ProbeError> {
        let (session, ready) = self.ready(node).await.map_err(ProbeError::Silent)?;
        if !ready.questions.iter().any(|known| known == question) {
            return Err(ProbeError::Garbage(format!("the client program knows no question `{question}`")));
        }
        let reply = session.send(|id| message::observe_line(id, question)).await;
        let reply = reply.map_err(|(Ended::Unsent(why) | Ended::Unanswered(why))| ProbeError::Silent(why))?;
        match reply.get("error").and_then(serde_json::Value::as_str) {
            Some(error) => Err(ProbeError::Silent(shortened(error))),
            None => Ok(reply),
        }
    }

    /// The node's program, started if need be, and what it can do; or why nothing can be given to it.
    async fn ready(&self, node: NodeId) -> Result<(Arc<Session>, Ready), String> {
        let session = self.session(node)?;
        match session.started().await {
            Phase::Ready(ready) => Ok((session, ready)),
            Phase::Ended(why) => Err(why),
            Phase::Starting => unreachable!("`started` waits until this is over"),
        }
    }

    fn session(&self, node: NodeId) -> Result<Arc<Session>, String> {
        let mut slot = self.slots[node.index()].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((started, session)) = &*slot {
            match session.phase() {
                Phase::Ended(why) if started.elapsed() < BETWEEN_STARTS => return Err(why),
                Phase::Ended(_) => {}
                Phase::Starting | Phase::Ready(_) => return Ok(Arc::clone(session)),
            }
        }
        let session = Arc::new(Session::start(node, &self.setup.program, &Hello::of(&self.setup, node)));
        *slot = Some((Instant::now(), Arc::clone(&session)));
        Ok(session)
    }
}

#[cfg(test)]
mod tests;
