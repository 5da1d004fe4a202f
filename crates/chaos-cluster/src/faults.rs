//! How each fault is carried out, and how its effect is confirmed.
//!
//! | change | mechanism | confirmed when |
//! |---|---|---|
//! | kill | SIGKILL or SIGTERM to every process of the node | the main process has ended and no other is left |
//! | restart | fork, enter the namespace, exec | the process exists (it being *ready* is another event) |
//! | pause | SIGSTOP to every thread | every thread is stopped, or in the kernel with the signal ahead of it |
//! | resume | SIGCONT to every process | the call has returned |
//! | cut | one transaction of the packet filter | probes on cut links are lost, on all others delivered |
//!
//! Faults of one process of a node are in [`crate::single`].
//!
//! A fault that hits several nodes counts as done when it hit at least one; nodes that it missed (they ended by themselves
//! a moment before) are told in a remark.

use std::collections::BTreeSet;
use std::time::Duration;

use chaos_engine::{Event, FaultChange, FaultCommand};
use chaos_history::{self as history, FaultEvent, FaultId, Link, NodeId, RunNanos, Stamps};
use chaos_net::chain;
use chaos_plan::{KillSignal, ProcessTarget};
use nix::sys::signal::Signal;

use crate::process::ProcessError;
use crate::world::{RealWorld, WorldError};

/// How long a node may take over an orderly end before it is ended by force.
pub(crate) const ORDERLY_END_WITHIN: Duration = Duration::from_secs(5);

/// How long the probes of a cut may take to agree.
const CUT_CONFIRMED_WITHIN: Duration = Duration::from_millis(100);

/// How often is looked for processes that a killed main process has left behind.
pub(crate) const LOOK_FOR_LEFTOVERS_EVERY: Duration = Duration::from_millis(1);

/// A kill whose effect is not confirmed yet.
#[derive(Debug)]
pub(crate) struct PendingKill {
    command: FaultCommand,
    stamps: Stamps,
    signal: Signal,
    waiting: BTreeSet<NodeId>,
    forced_at: RunNanos,
}

impl RealWorld {
    /// Carries out a fault command. The event follows at once or, for a kill, when the processes have ended.
    pub(crate) fn fault(&mut self, command: FaultCommand) -> Result<(), WorldError> {
        let call_begin = self.clock.now();
        let mut stamps = Stamps { scheduled: command.scheduled, call_begin, call_end: call_begin, effect: None };
        let process = command.process.clone();
        let error = match (&command.change, &process) {
            (FaultChange::Kill(signal), None) => return self.kill(*signal, command, stamps),
            (FaultChange::Kill(signal), Some(process)) => return self.kill_one(*signal, process, command, stamps),
            (FaultChange::Pause, None) => self.pause(&command, &mut stamps)?,
            (FaultChange::Pause, Some(process)) => self.pause_one(process, &command, &mut stamps)?,
            (FaultChange::Restart | FaultChange::Resume, process) => {
                let error = self.bring_back(command.id, &command.change, &command.nodes, process.as_ref())?;
                stamps.call_end = self.clock.now();
                stamps.effect = error.is_none().then_some(stamps.call_end);
                error
            }
            (FaultChange::Cut(links), _) => self.cut(links, &mut stamps)?,
        };
        self.fault_done(command, stamps, error)
    }

    fn kill(&mut self, signal: KillSignal, command: FaultCommand, mut stamps: Stamps) -> Result<(), WorldError> {
        let signal = signal_of(signal);
        let mut waiting = BTreeSet::new();
        let error = self.each_node(&command, |world, node| {
            world.nodes[node.index()].end(signal)?;
            waiting.insert(node);
            Ok(())
        })?;
        stamps.call_end = self.clock.now();
        if waiting.is_empty() {
            return self.fault_done(command, stamps, error);
        }
        let forced_at = stamps.call_end + ORDERLY_END_WITHIN;
        self.pending_kills.push(PendingKill { command, stamps, signal, waiting, forced_at });
        Ok(())
    }

    /// Notes that nothing of a node is alive, which may complete a kill.
    pub(crate) fn kill_confirmed(&mut self, node: NodeId, at: RunNanos) -> Result<(), WorldError> {
        for pending in &mut self.pending_kills {
            if pending.waiting.remove(&node) {
                pending.stamps.effect = pending.stamps.effect.max(Some(at.max(pending.stamps.call_begin)));
            }
        }
        while let Some(done) = self.pending_kills.iter().position(|pending| pending.waiting.is_empty()) {
            let PendingKill { command, stamps, .. } = self.pending_kills.remove(done);
            self.fault_done(command, stamps, None)?;
        }
        Ok(())
    }

    /// Nodes that are being killed, whose main process has ended, and of which other processes may be left.
    fn lingering(&self) -> BTreeSet<NodeId> {
        let waiting = self.pending_kills.iter().flat_map(|pending| pending.waiting.iter().copied());
        waiting.filter(|node| !self.nodes[node.index()].is_running()).collect()
    }

    /// Looks after the kills that are not confirmed, and says how soon that is to be done again.
    pub(crate) fn tend_kills(&mut self, now: RunNanos) -> Result<Option<Duration>, WorldError> {
        for node in self.lingering() {
            if self.nodes[node.index()].processes().is_empty() {
                self.kill_confirmed(node, self.clock.now())?;
            } else if self
                .pending_kills
                .iter()
                .any(|kill| kill.signal == Signal::SIGKILL && kill.waiting.contains(&node))
            {
                // Forked while its siblings were being killed; or dying, which this doesn't disturb.
                let _ = self.nodes[node.index()].end(Signal::SIGKILL);
            }
        }
        self.end_overdue(now)?;
        let single = self.tend_ends(now)?;
        Ok((single || !self.lingering().is_empty()).then_some(LOOK_FOR_LEFTOVERS_EVERY))
    }

    /// Ends by force what did not end when it was asked to.
    fn end_overdue(&mut self, now: RunNanos) -> Result<(), WorldError> {
        let mut overdue = Vec::new();
        for pending in self.pending_kills.iter_mut().filter(|pending| now >= pending.forced_at) {
            pending.forced_at = now + ORDERLY_END_WITHIN;
            overdue.extend(pending.waiting.iter().map(|&node| (node, pending.signal)));
            pending.signal = Signal::SIGKILL;
        }
        for (node, signal) in overdue {
            self.remark(format!("{node} did not end within {ORDERLY_END_WITHIN:?} of {signal}; it gets SIGKILL"))?;
            // That it has ended meanwhile is what we want.
            let _ = self.nodes[node.index()].end(Signal::SIGKILL);
        }
        Ok(())
    }

    /// Starts or resumes nodes, leaving alone those that need neither.
    pub(crate) fn bring_back(
        &mut self,
        fault: FaultId,
        change: &FaultChange,
        nodes: &[NodeId],
        process: Option<&ProcessTarget>,
    ) -> Result<Option<String>, WorldError> {
        let mut missed = Vec::new();
        for &node in nodes {
            if matches!(change, FaultChange::Resume) {
                self.driver.resuming(node);
            }
            if let Some(process) = process {
                missed.extend(self.bring_one_back(change, process, node)?.err());
                continue;
            }
            let outcome = match change {
                FaultChange::Restart => self.restart(node)?,
                // Nobody there to go on is what a resume leaves alone.
                FaultChange::Resume => match self.nodes[node.index()].signal(Signal::SIGCONT) {
                    Err(ProcessError::NotRunning(_)) => Ok(()),
                    outcome => outcome,
                },
                FaultChange::Kill(_) | FaultChange::Pause | FaultChange::Cut(_) => {
                    unreachable!("a fault is taken back by a restart or a resume")
                }
            };
            missed.extend(outcome.err());
        }
        self.verdict_on(fault, nodes.len(), &missed)
    }

    fn restart(&mut self, node: NodeId) -> Result<Result<(), ProcessError>, WorldError> {
        if self.nodes[node.index()].is_zombie() {
            // It has ended, and the message that says so is still on its way.
            self.ended(node, self.nodes[node.index()].incarnation, self.clock.now())?;
        }
        if self.nodes[node.index()].is_running() { Ok(Ok(())) } else { self.start_node(node) }
    }

    fn pause(&mut self, command: &FaultCommand, stamps: &mut Stamps) -> Result<Option<String>, WorldError> {
        let mut paused = Vec::new();
        let error = self.each_node(command, |world, node| {
            world.nodes[node.index()].pause()?;
            paused.push(node);
            Ok(())
        })?;
        stamps.call_end = self.clock.now();
        let unconfirmed: Vec<ProcessError> =
            paused.iter().filter_map(|node| self.nodes[node.index()].confirm_paused().err()).collect();
        if error.is_none() && unconfirmed.is_empty() {
            stamps.effect = Some(self.clock.now());
        }
        for missed in unconfirmed {
            self.remark(chain(&missed))?;
        }
        Ok(error)
    }

    fn cut(&mut self, links: &BTreeSet<Link>, stamps: &mut Stamps) -> Result<Option<String>, WorldError> {
        let links = links.iter().map(|link| chaos_net::Link { from: link.from.index(), to: link.to.index() }).collect();
        let receipt = match self.star.set_cut(&links) {
            Ok(receipt) => receipt,
            Err(error) => {
                stamps.call_end = self.clock.now();
                return Ok(Some(chain(&error)));
            }
        };
        stamps.call_begin = self.clock.from_monotonic(receipt.call_begin_ns);
        stamps.call_end = self.clock.from_monotonic(receipt.call_end_ns);
        match self.star.confirm_cut(CUT_CONFIRMED_WITHIN) {
            Ok(effect) => stamps.effect = Some(self.clock.from_monotonic(effect.in_force_ns)),
            Err(error) => self.remark(format!("the cut could not be confirmed: {}", chain(&error)))?,
        }
        Ok(None)
    }

    /// Does something to each of the fault's nodes.
    pub(crate) fn each_node(
        &mut self,
        command: &FaultCommand,
        mut act: impl FnMut(&mut Self, NodeId) -> Result<(), ProcessError>,
    ) -> Result<Option<String>, WorldError> {
        let missed: Vec<ProcessError> = command.nodes.iter().filter_map(|&node| act(self, node).err()).collect();
        self.verdict_on(command.id, command.nodes.len(), &missed)
    }

    /// An error if no node was hit, remarks if some were not.
    fn verdict_on(
        &mut self,
        fault: FaultId,
        aimed_at: usize,
        missed: &[ProcessError],
    ) -> Result<Option<String>, WorldError> {
        let texts: Vec<String> = missed.iter().map(|error| chain(error)).collect();
        if missed.len() == aimed_at && !missed.is_empty() {
            return Ok(Some(texts.join("; ")));
        }
        for text in texts {
            self.remark(format!("fault {} missed a node: {text}", fault.0))?;
        }
        Ok(None)
    }

    pub(crate) fn fault_done(
        &mut self,
        command: FaultCommand,
        stamps: Stamps,
        error: Option<String>,
    ) -> Result<(), WorldError> {
        let FaultCommand { id, edge, kind, label, nodes, process, links, leader, source, .. } = command;
        let process = process.map(|process| process.name);
        tracing::info!(fault = id.0, ?edge, label, error, "fault edge");
        let event = FaultEvent { id, edge, kind, label, nodes, process, links, leader, stamps, source, error };
        self.record(stamps.call_begin, history::Event::Fault(event.clone()), Some(Event::FaultDone(event)))
    }
}

/// What a plan means by its signal.
pub(crate) fn signal_of(signal: KillSignal) -> Signal {
    match signal {
        KillSignal::Kill => Signal::SIGKILL,
        KillSignal::Term => Signal::SIGTERM,
    }
}
