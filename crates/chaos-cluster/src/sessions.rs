//! Sessions of processes that hold something.
//!
//! What a client acquires belongs to its session with the system, so each process that locks or campaigns gets one of its own, when it
//! first asks. It ends with the process: at the latest with the run, and at once when the process meets an outcome that nobody
//! knows, since such a process never asks again, and what it may hold must not be held for ever.

use std::collections::BTreeMap;
use std::sync::Arc;

use chaos_history::{Action, NodeId, OpPhase, ProcessId};
use chaos_systems::{Answer, Client, Driver};
use futures::FutureExt;
use futures::future::BoxFuture;

/// The sessions of a run.
#[derive(Default)]
pub(crate) struct Sessions {
    open: BTreeMap<ProcessId, Arc<dyn Client>>,
}

impl Sessions {
    /// Sends an operation by the process's own session.
    pub(crate) fn invoke(
        &mut self,
        driver: &dyn Driver,
        process: ProcessId,
        node: NodeId,
        action: &Action,
    ) -> BoxFuture<'static, Answer> {
        if let Some(session) = self.open.get(&process) {
            return session.invoke(node, action);
        }
        match driver.session(process) {
            Some(Ok(session)) => {
                let operation = session.invoke(node, action);
                self.open.insert(process, session);
                operation
            }
            Some(Err(why)) => refused(format!("open a session: {why}")),
            None => refused("the clients of this system hold nothing".to_owned()),
        }
    }

    /// The process is over.
    pub(crate) fn end(&mut self, process: ProcessId) {
        self.open.remove(&process);
    }
}

/// Nothing was sent.
fn refused(error: String) -> BoxFuture<'static, Answer> {
    std::future::ready(Answer { phase: OpPhase::Fail { error }, leader_hint: None }).boxed()
}
