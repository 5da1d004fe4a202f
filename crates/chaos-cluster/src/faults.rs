//! How each fault is carried out, and how its effect is confirmed.
//!
//! | change | mechanism | confirmed when |
//! |---|---|---|
//! | kill | SIGKILL or SIGTERM to every process of the node | the main process has ended and no other is left |
//! | power loss | SIGKILL to every process of all its nodes, then the past of their disks in the place of the present ([`crate::damage`]) | both |
//! | corrupt | writes into the files behind the programs' backs | the call has returned |
//! | restart | fork, enter the namespace, exec | the process exists (it being *ready* is another event) |
//! | pause | SIGSTOP to every thread | every thread is stopped, or in the kernel with the signal ahead of it |
//! | resume | SIGCONT to every process | the call has returned |
//! | cut | one transaction of the packet filter ([`crate::wires`]) | probes on cut links are lost, on all others delivered |
//! | freeze | the cut, then the stop | both |
//! | transfer | the system's own operation ([`crate::changes`]) | another node claims to lead |
//! | remove a member | the system's own operation, then SIGKILL | the system's answer |
//! | add a member | the system's own operation, then a start with an empty disk | the process exists |
//! | thaw | the smaller cut, then SIGCONT | both |
//!
//! Faults of one process of a node are in [`crate::single`], faults of nodes that run on in [`crate::hinder`]. A crash loop is the
//! engine's: kills and restarts within one fault.
//!
//! A fault that hits several nodes counts as done when it hit at least one; nodes that it missed (they ended by themselves
//! a moment before) are told in a remark.

use std::collections::BTreeSet;
use std::time::Duration;

use chaos_engine::{Cut, Event, FaultChange, FaultCommand};
use chaos_history::{self as history, FaultEvent, FaultId, NodeId, RunNanos, Stamps};
use chaos_net::chain;
use chaos_plan::{KillSignal, ProcessTarget};
use nix::sys::signal::Signal;

use crate::process::ProcessError;
use crate::world::{RealWorld, WorldError};

/// How long a node may take over an orderly end before it is ended by force.
pub(crate) const ORDERLY_END_WITHIN: Duration = Duration::from_secs(5);

/// How often is looked for processes that a killed main process has left behind.
pub(crate) const LOOK_FOR_LEFTOVERS_EVERY: Duration = Duration::from_millis(1);

/// A kill whose effect is not confirmed yet.
#[derive(Debug)]
pub(crate) struct PendingKill {
    pub(crate) command: FaultCommand,
    pub(crate) stamps: Stamps,
    pub(crate) signal: Signal,
    pub(crate) waiting: BTreeSet<NodeId>,
    pub(crate) forced_at: RunNanos,
}

impl PendingKill {
    /// Before this, there was no effect: the power loss of a node that has ended comes after its end.
    fn earliest_effect(&self) -> RunNanos {
        let Stamps { call_begin, call_end, .. } = self.stamps;
        if matches!(self.command.change, FaultChange::LosePower { .. }) { call_end } else { call_begin }
    }
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
            (FaultChange::Cut(cut), _) => self.cut(cut, &mut stamps)?,
            (FaultChange::Freeze(cut), _) => self.freeze(cut, &command, &mut stamps)?,
            (FaultChange::Thaw(cut), _) => self.thaw(cut, &command, &mut stamps)?,
            (FaultChange::LosePower { kept }, _) => return self.lose_power(*kept, command, stamps),
            (FaultChange::Corrupt { file, damage, seed }, _) => {
                self.corrupt(file, *damage, *seed, &command, &mut stamps)?
            }
            (FaultChange::Transfer { to }, _) => return self.transfer(*to, command, stamps),
            (FaultChange::RemoveMember | FaultChange::AddMember, _) => return self.change_members(command, stamps),
            (FaultChange::Hinder(how), _) => self.hinder(*how, &command, &mut stamps)?,
            (FaultChange::Relax, _) => self.relax(&command, &mut stamps)?,
        };
        self.fault_done(command, stamps, error)
    }

    fn kill(&mut self, signal: KillSignal, command: FaultCommand, stamps: Stamps) -> Result<(), WorldError> {
        let signal = signal_of(signal);
        self.end_nodes(signal, command, stamps, |world, node| world.nodes[node.index()].end(signal))
    }

    /// Ends nodes in this way; the answer follows when they have ended.
    pub(crate) fn end_nodes(
        &mut self,
        signal: Signal,
        command: FaultCommand,
        mut stamps: Stamps,
        mut end: impl FnMut(&mut Self, NodeId) -> Result<(), ProcessError>,
    ) -> Result<(), WorldError> {
        let mut waiting = BTreeSet::new();
        let error = self.each_node(&command, |world, node| {
            end(world, node)?;
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
                // That a member is gone, the system has said before.
                if !matches!(pending.command.change, FaultChange::RemoveMember) {
                    let earliest = pending.earliest_effect();
                    pending.stamps.effect = pending.stamps.effect.max(Some(at.max(earliest)));
                }
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
        self.tend_transfers(now)?;
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

    /// Changes what a fault that goes on does to these nodes. What a crash loop kills tells its end by itself.
    pub(crate) fn alter(
        &mut self,
        fault: FaultId,
        change: &FaultChange,
        nodes: &[NodeId],
        process: Option<&ProcessTarget>,
    ) -> Result<(), WorldError> {
        if let FaultChange::Kill(signal) = change {
            for node in nodes {
                // That it has ended meanwhile is what we want.
                let _ = self.nodes[node.index()].end(signal_of(*signal));
            }
            return Ok(());
        }
        match self.bring_back(fault, change, nodes, process)? {
            Some(error) => self.remark(format!("fault {} could not be taken back in part: {error}", fault.0)),
            None => Ok(()),
        }
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
                | FaultChange::Relax => unreachable!("nodes are brought back by a restart or a resume"),
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
        // Who is no member has nothing to run for; it is started when it is added again.
        let stays_down = self.nodes[node.index()].is_running() || self.is_gone(node);
        if stays_down { Ok(Ok(())) } else { self.start_node(node) }
    }

    pub(crate) fn pause(&mut self, command: &FaultCommand, stamps: &mut Stamps) -> Result<Option<String>, WorldError> {
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

    /// Cuts the nodes' legs, then stops the nodes: a host that is frozen says nothing more, and nothing more reaches it.
    fn freeze(&mut self, cut: &Cut, command: &FaultCommand, stamps: &mut Stamps) -> Result<Option<String>, WorldError> {
        let begin = stamps.call_begin;
        let told = match self.filter(cut) {
            Ok(told) => told,
            Err(error) => {
                stamps.call_end = self.clock.now();
                return Ok(Some(chain(&error)));
            }
        };
        let error = self.pause(command, stamps)?;
        stamps.call_begin = begin;
        stamps.effect = self.confirm_cut(told)?.and_then(|cut| stamps.effect.map(|stopped| stopped.max(cut)));
        Ok(error)
    }

    /// Heals the legs, then lets the nodes run again.
    fn thaw(&mut self, cut: &Cut, command: &FaultCommand, stamps: &mut Stamps) -> Result<Option<String>, WorldError> {
        let healed = self.filter(cut);
        let resumed = self.bring_back(command.id, &FaultChange::Resume, &command.nodes, None)?;
        stamps.call_end = self.clock.now();
        match (healed, resumed) {
            (Ok(told), None) => {
                stamps.effect = self.confirm_cut(told)?.map(|cut| cut.max(stamps.call_end));
                Ok(None)
            }
            (Ok(_), Some(error)) => Ok(Some(error)),
            (Err(error), None) => Ok(Some(chain(&error))),
            (Err(error), Some(other)) => Ok(Some(format!("{}; {other}", chain(&error)))),
        }
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
    let name = format!("SIG{}", signal.name());
    name.parse().expect("every signal that a plan can name is one of this system's")
}
