//! What clients ask, and who answers: the system, by one connection for all or by a session of the process's own, or the resource
//! that locks protect.
//!
//! The resource is asked on the thread that records, and its answer is recorded before anything else is: so the order of its
//! decisions is that of the lines.

use std::panic::AssertUnwindSafe;

use chaos_engine::{Completed, Event, Invocation};
use chaos_history::{self as history, Action, OpEvent, OpId, OpPhase, OpResult, RunNanos};
use chaos_systems::Answer;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::inbox::Message;
use crate::world::{RealWorld, WorldError};

/// Who answers.
enum Asked {
    System(BoxFuture<'static, Answer>),
    Resource { lock: String, token: Option<u64> },
}

impl RealWorld {
    /// Begins an operation.
    pub(crate) fn invoke(&mut self, invocation: Invocation) -> Result<(), WorldError> {
        let Invocation { id, process, node, role, due, deadline, action } = invocation;
        let asked = match &action {
            Action::Read { .. }
            | Action::Write { .. }
            | Action::Cas { .. }
            | Action::Add { .. }
            | Action::Elements { .. } => Asked::System(self.driver.invoke(node, &action)),
            Action::Acquire { .. } | Action::Release { .. } => {
                Asked::System(self.sessions.invoke(self.driver.as_ref(), process, node, &action))
            }
            Action::Access { key, token } => Asked::Resource { lock: key.clone(), token: *token },
        };
        let at = self.clock.now();
        let phase = OpPhase::Invoke { role, due, action };
        self.record(at, history::Event::Op(OpEvent { id, process, node, phase }), None)?;
        self.under_way.insert(id, (process, node));
        match asked {
            Asked::System(operation) => {
                self.answer_within(id, deadline, operation);
                Ok(())
            }
            Asked::Resource { lock, token } => {
                let accepted = self.resource.access(&lock, token);
                let phase = OpPhase::Ok(OpResult::Accessed { accepted });
                self.completed(self.clock.now(), Completed { id, phase, leader_hint: None })
            }
        }
    }

    /// Has the answer, or that none came in time, sent to the inbox.
    fn answer_within(&self, id: OpId, deadline: RunNanos, operation: BoxFuture<'static, Answer>) {
        let (messages, clock) = (self.messages.clone(), self.clock);
        self.runtime.spawn(async move {
            let patience = deadline.since(clock.now());
            // A driver that panics must not leave an operation without its end.
            let operation = AssertUnwindSafe(operation).catch_unwind();
            let (phase, leader_hint) = match tokio::time::timeout(patience, operation).await {
                Ok(Ok(answer)) => (answer.phase, answer.leader_hint),
                Ok(Err(_)) => (OpPhase::Info { error: "the driver panicked".to_owned() }, None),
                Err(_) => (OpPhase::Info { error: "no answer in time".to_owned() }, None),
            };
            let completed = Completed { id, phase, leader_hint };
            messages.send_from_task(Message::Completed { at: clock.now(), completed }).await;
        });
    }

    /// Records the end of an operation. Says nothing twice.
    pub(crate) fn completed(&mut self, at: RunNanos, completed: Completed) -> Result<(), WorldError> {
        let Some((process, node)) = self.under_way.remove(&completed.id) else { return Ok(()) };
        match &completed.phase {
            // Such a process never asks again.
            OpPhase::Info { .. } => self.sessions.end(process),
            OpPhase::Ok(_) | OpPhase::Fail { .. } | OpPhase::Invoke { .. } => {}
        }
        let event = OpEvent { id: completed.id, process, node, phase: completed.phase.clone() };
        self.record(at, history::Event::Op(event), Some(Event::Completed(completed)))
    }
}
