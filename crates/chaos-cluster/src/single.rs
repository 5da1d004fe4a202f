//! Faults that hit one process of a node and leave the others running.
//!
//! | change | mechanism | confirmed when |
//! |---|---|---|
//! | kill | SIGKILL or SIGTERM to the process (and its descendants, if asked for) | all of them have ended |
//! | restart | fork, enter the namespace, exec, of this process alone | the process exists |
//! | pause | SIGSTOP to every thread of them | every thread is stopped, or in the kernel with the signal ahead of it |
//! | resume | SIGCONT to them | the call has returned |

use std::collections::BTreeMap;

use chaos_engine::{FaultChange, FaultCommand};
use chaos_history::{NodeId, NodeLife, RunNanos, Stamps};
use chaos_net::chain;
use chaos_plan::{KillSignal, ProcessTarget};
use nix::sys::signal::{Signal, kill};

use crate::faults::{ORDERLY_END_WITHIN, signal_of};
use crate::inspect::{self, Task};
use crate::process::{ProcessError, StartedOne};
use crate::world::{RealWorld, WorldError};

/// A kill of single processes whose effect is not confirmed yet.
#[derive(Debug)]
pub(crate) struct PendingEnd {
    command: FaultCommand,
    stamps: Stamps,
    signal: Signal,
    waiting: BTreeMap<NodeId, Vec<Task>>,
    forced_at: RunNanos,
}

impl RealWorld {
    /// Ends one process of each node. The answer follows when they have ended.
    pub(crate) fn kill_one(
        &mut self,
        signal: KillSignal,
        target: &ProcessTarget,
        command: FaultCommand,
        mut stamps: Stamps,
    ) -> Result<(), WorldError> {
        let signal = signal_of(signal);
        let mut waiting = BTreeMap::new();
        let error = self.each_node(&command, |world, node| {
            waiting.insert(node, world.nodes[node.index()].end_one(target, signal)?);
            Ok(())
        })?;
        stamps.call_end = self.clock.now();
        if waiting.is_empty() {
            return self.fault_done(command, stamps, error);
        }
        let forced_at = stamps.call_end + ORDERLY_END_WITHIN;
        self.pending_ends.push(PendingEnd { command, stamps, signal, waiting, forced_at });
        Ok(())
    }

    /// Stops one process of each node.
    pub(crate) fn pause_one(
        &mut self,
        target: &ProcessTarget,
        command: &FaultCommand,
        stamps: &mut Stamps,
    ) -> Result<Option<String>, WorldError> {
        let mut paused = Vec::new();
        let error = self.each_node(command, |world, node| {
            world.nodes[node.index()].pause_one(target)?;
            paused.push(node);
            Ok(())
        })?;
        stamps.call_end = self.clock.now();
        let unconfirmed: Vec<ProcessError> =
            paused.iter().filter_map(|node| self.nodes[node.index()].confirm_one_paused(target).err()).collect();
        if error.is_none() && unconfirmed.is_empty() {
            stamps.effect = Some(self.clock.now());
        }
        for missed in unconfirmed {
            self.remark(chain(&missed))?;
        }
        Ok(error)
    }

    /// Starts or resumes one process of a node, or leaves it alone if it needs neither.
    pub(crate) fn bring_one_back(
        &mut self,
        change: &FaultChange,
        target: &ProcessTarget,
        node: NodeId,
    ) -> Result<Result<(), ProcessError>, WorldError> {
        match change {
            FaultChange::Restart => self.restart_one(target, node),
            FaultChange::Resume => Ok(self.nodes[node.index()].resume_one(target)),
            FaultChange::Kill(_)
            | FaultChange::Pause
            | FaultChange::Cut(_)
            | FaultChange::Freeze(_)
            | FaultChange::Thaw(_)
            | FaultChange::LosePower { .. }
            | FaultChange::Corrupt { .. }
            | FaultChange::Transfer { .. }
            | FaultChange::RemoveMember
            | FaultChange::AddMember
            | FaultChange::Hinder(_)
            | FaultChange::Relax => unreachable!("processes are brought back by a restart or a resume"),
        }
    }

    fn restart_one(&mut self, target: &ProcessTarget, node: NodeId) -> Result<Result<(), ProcessError>, WorldError> {
        self.take_endings(node)?;
        let launch = self.driver.launch(node, &self.nodes[node.index()].data());
        let ended = self.end_message(node);
        let is_main = launch.processes.first().is_some_and(|main| main.name == target.name);
        if is_main && !self.nodes[node.index()].is_running() {
            self.expect_incarnation(node, 1);
        }
        let started = self.nodes[node.index()].start_one(target, &launch, ended);
        // Unless it was the main process that was started, the incarnation is the same.
        self.expect_incarnation(node, 0);
        let now = self.clock.now();
        match started {
            Err(error) => return Ok(Err(error)),
            Ok(StartedOne::Nothing) => {}
            Ok(StartedOne::Main(pid)) => {
                self.answered.remove(&node);
                self.node_event(now, node, NodeLife::Started { pid })?;
            }
            Ok(StartedOne::Further(pid)) => {
                self.node_event(now, node, NodeLife::ProcessStarted { process: target.name.clone(), pid })?;
            }
        }
        Ok(Ok(()))
    }

    /// Looks after the kills of single processes that are not confirmed; whether there are any.
    pub(crate) fn tend_ends(&mut self, now: RunNanos) -> Result<bool, WorldError> {
        for pending in &mut self.pending_ends {
            let mut over = Vec::new();
            for (node, tasks) in &mut pending.waiting {
                tasks.retain(|task| !inspect::is_gone(task));
                over.extend(tasks.is_empty().then_some(*node));
            }
            for node in over {
                pending.waiting.remove(&node);
            }
        }
        while let Some(done) = self.pending_ends.iter().position(|pending| pending.waiting.is_empty()) {
            let PendingEnd { command, mut stamps, .. } = self.pending_ends.remove(done);
            stamps.effect = Some(self.clock.now());
            // What the fault did stands in the history before it is said to be done.
            for &node in &command.nodes {
                self.take_endings(node)?;
            }
            self.fault_done(command, stamps, None)?;
        }
        let mut overdue = Vec::new();
        for pending in self.pending_ends.iter_mut().filter(|pending| now >= pending.forced_at) {
            pending.forced_at = now + ORDERLY_END_WITHIN;
            overdue.push((pending.command.label.clone(), pending.signal));
            pending.signal = Signal::SIGKILL;
            for task in pending.waiting.values().flatten() {
                // That it has ended meanwhile is what we want.
                let _ = kill(task.pid, Signal::SIGKILL);
            }
        }
        for (label, signal) in overdue {
            self.remark(format!(
                "`{label}`: not all ended within {ORDERLY_END_WITHIN:?} of {signal}; the rest gets SIGKILL"
            ))?;
        }
        Ok(!self.pending_ends.is_empty())
    }

    /// Records the ends of a node's processes of which no message has come yet.
    fn take_endings(&mut self, node: NodeId) -> Result<(), WorldError> {
        self.take_further_endings(node)?;
        if self.nodes[node.index()].is_zombie() {
            self.ended(node, self.nodes[node.index()].incarnation, self.clock.now())?;
        }
        Ok(())
    }
}
