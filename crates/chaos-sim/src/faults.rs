//! How each fault is made, and when its effect counts as confirmed.
//!
//! | change | what happens at the call | confirmed |
//! |---|---|---|
//! | kill | the process ends; its connections close; what it wrote stays | when its end is seen |
//! | restart | a process starts, which listens in a moment | at once |
//! | pause, resume | nothing leaves the process or is taken in; then all at once | when the threads are seen to have stopped |
//! | cut | links lose, hold or reject; conditions change | when the filter is read back |
//! | freeze, thaw | a pause and a cut of all links and of the way to clients | both |
//! | lose power | a kill, and what was not synced is gone | when its end is seen |
//! | transfer | the leader is asked | when another node claims a newer term |
//! | hinder | slow: stopped and let go in turn; starve: everything takes longer; clock, disk: from then on | after a moment |
//! | relax | the same backwards; who has ended by it is started again | after a moment |

use chaos_engine::{Event, FaultChange, FaultCommand};
use chaos_history::{
    self as history, Belief, ElectionRole, FaultEvent, FaultId, FaultKind, NodeId, RunNanos, Seed, Stamps, Term,
};
use chaos_plan::{ClockFault, DiskFault, Hindrance, KillSignal};
use election::raft::{Input, Outcome, Output};

use crate::happening::{Confirm, Happening};
use crate::node::{Delivery, Origin};
use crate::program::Program;
use crate::random::{Draws, Purpose, nanos};
use crate::record::Sink;
use crate::world::{Msg, SimWorld, number};

/// For how long a transfer is waited for without an answer, nanoseconds.
const TRANSFERRED_WITHIN: u64 = 20_000_000_000;
/// How long after an answer another leader may take to be seen.
const SEEN_WITHIN: u64 = 5_000_000_000;
/// How long an answer may take once another leader was seen.
const TOLD_WITHIN: u64 = 1_000_000_000;
/// How long a stopped process that is told to end in order is left alone.
const ORDERLY_END_WITHIN: u64 = 5_000_000_000;

/// A node in the grip of a fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hindered {
    fault: FaultId,
    node: usize,
    how: Hindrance,
    incarnation: u32,
}

/// A transfer that has been asked for.
#[derive(Debug)]
pub(crate) struct Transfer {
    command: FaultCommand,
    stamps: Stamps,
    answer: Option<Result<(), String>>,
    refused: bool,
    until: u64,
}

/// Numbers of the signals that plans can name, on Linux for x86-64 and ARM.
fn signal_number(signal: KillSignal) -> i32 {
    let numbers = [
        ("HUP", 1),
        ("INT", 2),
        ("QUIT", 3),
        ("ILL", 4),
        ("TRAP", 5),
        ("ABRT", 6),
        ("BUS", 7),
        ("FPE", 8),
        ("USR1", 10),
        ("SEGV", 11),
        ("USR2", 12),
        ("PIPE", 13),
        ("ALRM", 14),
        ("TERM", 15),
        ("XCPU", 24),
        ("XFSZ", 25),
        ("VTALRM", 26),
        ("PROF", 27),
        ("IO", 29),
        ("PWR", 30),
        ("SYS", 31),
    ];
    numbers.into_iter().find(|(name, _)| *name == signal.name()).map_or(9, |(_, number)| number)
}

/// How the reference node ends by a signal: in order by two of them, and at once by all others.
fn end_by(signal: KillSignal) -> (Option<i32>, Option<i32>) {
    match signal.name() {
        "TERM" | "INT" => (Some(0), None),
        _ => (None, Some(signal_number(signal))),
    }
}

impl<P: Program, S: Sink> SimWorld<'_, P, S> {
    /// Carries out a fault command. The answer follows when the effect is confirmed.
    pub(crate) fn fault(&mut self, command: FaultCommand) {
        let now = RunNanos(self.now);
        let stamps = Stamps { scheduled: command.scheduled, call_begin: now, call_end: now, effect: None };
        let nodes: Vec<usize> = command.nodes.iter().map(|node| node.index()).collect();
        let change = command.change.clone();
        match change {
            FaultChange::Kill(signal) => self.kill(signal, &nodes, command, stamps),
            FaultChange::LosePower { kept } => self.lose_power(kept, &nodes, command, stamps),
            FaultChange::Pause => self.pause(&nodes, command, stamps),
            FaultChange::Restart => {
                self.restart_all(&nodes);
                self.confirm_after(command, stamps, 0);
            }
            FaultChange::Resume => {
                nodes.iter().for_each(|node| self.go_on(*node));
                self.confirm_after(command, stamps, 0);
            }
            FaultChange::Cut(cut) => {
                self.cut(&cut);
                self.confirm_change(command, stamps);
            }
            FaultChange::Freeze(cut) => {
                self.cut(&cut);
                self.pause(&nodes, command, stamps);
            }
            FaultChange::Thaw(cut) => {
                self.cut(&cut);
                nodes.iter().for_each(|node| self.go_on(*node));
                self.confirm_change(command, stamps);
            }
            FaultChange::Transfer { to } => self.transfer(to, command, stamps),
            FaultChange::Hinder(how) => self.hinder(how, &nodes, command, stamps),
            FaultChange::Relax => self.relax(&nodes, command, stamps),
            FaultChange::Corrupt { .. } | FaultChange::RemoveMember | FaultChange::AddMember => {
                let error = "the simulator can't do that".to_owned();
                self.done(Confirm { command, stamps, error: Some(error) });
            }
        }
    }

    fn restart_all(&mut self, nodes: &[usize]) {
        for node in nodes {
            if !self.nodes[*node].is_up() {
                self.start_node(*node);
            }
        }
    }

    fn kill(&mut self, signal: KillSignal, nodes: &[usize], command: FaultCommand, stamps: Stamps) {
        let up: Vec<usize> = nodes.iter().copied().filter(|node| self.nodes[*node].is_up()).collect();
        if up.is_empty() {
            let names: Vec<String> = nodes.iter().map(|node| NodeId::from_index(*node).to_string()).collect();
            let error = Some(format!("{} is not running", names.join(", ")));
            return self.done(Confirm { command, stamps, error });
        }
        let (code, number) = end_by(signal);
        let mut delay = 0;
        for node in up {
            if code.is_some() && self.nodes[node].stopped_since.is_some() {
                // Nobody is there to end in order: it is ended by force later.
                self.remark(format!("{} is stopped and can't end in order; it gets SIGKILL", NodeId::from_index(node)));
                delay = delay.max(ORDERLY_END_WITHIN);
                self.exits(node, None, Some(9));
            } else {
                self.exits(node, code, number);
            }
            delay = delay.max(self.timings.exit.draw(&mut self.nodes[node].leg));
        }
        self.confirm_after(command, stamps, delay);
    }

    fn lose_power(&mut self, kept: Option<Seed>, nodes: &[usize], command: FaultCommand, stamps: Stamps) {
        let mut delay = 0;
        for node in nodes {
            let mut draws = kept.map(|seed| Draws::new(seed, Purpose::Disk, *node));
            let now = self.now;
            self.nodes[*node].disk.lose_power(now, draws.as_mut());
            self.exits(*node, None, Some(9));
            delay = delay.max(self.timings.exit.draw(&mut self.nodes[*node].leg));
        }
        self.confirm_after(command, stamps, delay);
    }

    fn pause(&mut self, nodes: &[usize], command: FaultCommand, stamps: Stamps) {
        let up: Vec<usize> = nodes.iter().copied().filter(|node| self.nodes[*node].is_up()).collect();
        if up.is_empty() {
            let error = Some("none of its nodes is running".to_owned());
            return self.done(Confirm { command, stamps, error });
        }
        let mut delay = 0;
        for node in up {
            self.stop(node);
            delay = delay.max(self.timings.stop.draw(&mut self.nodes[node].leg));
        }
        self.confirm_after(command, stamps, delay);
    }

    /// Changes what a fault that goes on does to some nodes.
    pub(crate) fn alter(&mut self, _fault: FaultId, change: &FaultChange, nodes: &[NodeId]) {
        let nodes: Vec<usize> = nodes.iter().map(|node| node.index()).collect();
        match change {
            FaultChange::Kill(signal) => {
                let (code, number) = end_by(*signal);
                for node in nodes {
                    if self.nodes[node].is_up() {
                        self.exits(node, code, number);
                        let at = self.now + self.timings.exit.draw(&mut self.nodes[node].leg);
                        self.plan_end(node, at);
                    }
                }
            }
            FaultChange::Restart => self.restart_all(&nodes),
            FaultChange::Resume => nodes.into_iter().for_each(|node| self.go_on(node)),
            FaultChange::Cut(cut) => self.cut(cut),
            FaultChange::Thaw(cut) => {
                self.cut(cut);
                nodes.into_iter().for_each(|node| self.go_on(node));
            }
            FaultChange::Relax => {
                for node in nodes {
                    self.let_go(node, |_| true);
                }
            }
            FaultChange::Pause
            | FaultChange::Freeze(_)
            | FaultChange::LosePower { .. }
            | FaultChange::Corrupt { .. }
            | FaultChange::Transfer { .. }
            | FaultChange::RemoveMember
            | FaultChange::AddMember
            | FaultChange::Hinder(_) => unreachable!("nothing is begun by altering"),
        }
    }

    fn plan_end(&mut self, node: usize, at: u64) {
        let incarnation = self.nodes[node].incarnation;
        self.plan(at, Happening::Ended { node: number(node), incarnation });
    }

    fn confirm_change(&mut self, command: FaultCommand, stamps: Stamps) {
        let delay = self.timings.change.0[0].into();
        self.confirm_after(command, stamps, delay);
    }

    /// The effect is there already, and is seen so much later.
    fn confirm_after(&mut self, command: FaultCommand, mut stamps: Stamps, delay: u64) {
        let seen = RunNanos(self.now + delay);
        stamps.effect = Some(seen);
        let confirm = Confirm { command, stamps, error: None };
        if delay == 0 { self.done(confirm) } else { self.plan(seen.0, Happening::Confirm(Box::new(confirm))) }
    }

    /// A fault's effect is confirmed; what it did stands in the history before.
    pub(crate) fn confirm(&mut self, confirm: Confirm) {
        for node in confirm.command.nodes.clone() {
            self.tell_end(node.index());
        }
        self.done(confirm);
    }

    fn done(&mut self, confirm: Confirm) {
        let Confirm { command, stamps, error } = confirm;
        let FaultCommand { id, edge, kind, label, nodes, process, links, leader, source, .. } = command;
        let process = process.map(|process| process.name);
        let event = FaultEvent { id, edge, kind, label, nodes, process, links, leader, stamps, source, error };
        self.record(stamps.call_begin, history::Event::Fault(event.clone()), Some(Event::FaultDone(event)));
    }

    // ---- hindrances ----

    fn hinder(&mut self, how: Hindrance, nodes: &[usize], command: FaultCommand, stamps: Stamps) {
        let mut delay = u64::from(self.timings.change.0[0]);
        let is_the_nodes = matches!(how, Hindrance::Clock(_) | Hindrance::Disk(_));
        let hit: Vec<usize> = nodes.iter().copied().filter(|node| is_the_nodes || self.nodes[*node].is_up()).collect();
        if hit.is_empty() {
            let error = Some("none of its nodes is running".to_owned());
            return self.done(Confirm { command, stamps, error });
        }
        for node in hit {
            let incarnation = self.nodes[node].incarnation;
            self.hindered.push(Hindered { fault: command.id, node, how, incarnation });
            match how {
                Hindrance::Slow { run, every } => {
                    self.stop(node);
                    delay = delay.max(self.timings.stop.draw(&mut self.nodes[node].leg));
                    let (at, fault) = (self.now + nanos(every.saturating_sub(run)), command.id);
                    self.plan(at, Happening::Beat { node: number(node), fault, incarnation, stops: false });
                }
                Hindrance::Starve { share_millionths } => {
                    self.nodes[node].slowness_millionths = 1_000_000_000_000 / u64::from(share_millionths.max(1));
                }
                Hindrance::Clock(clock) => self.move_clock(node, Some(clock)),
                Hindrance::Disk(disk) => self.nodes[node].disk.spoil(disk),
                // Refused before the run.
                Hindrance::Limit(_) => {}
            }
        }
        self.confirm_after(command, stamps, delay);
    }

    /// Only a clock that goes wrongly and is the one that the node reads makes a difference to it.
    fn move_clock(&mut self, node: usize, clock: Option<ClockFault>) {
        let true_rate = self.program.clock_rate_millionths(NodeId::from_index(node));
        let rate = match clock {
            Some(ClockFault::Rate { millionths, monotonic: true }) => {
                u64::from(true_rate) * u64::from(millionths) / 1_000_000
            }
            Some(ClockFault::Rate { monotonic: false, .. } | ClockFault::Jump { .. } | ClockFault::Strobe { .. })
            | None => true_rate.into(),
        };
        let now = self.now;
        let state = &mut self.nodes[node];
        state.clock.goes_at(now, u32::try_from(rate).unwrap_or(u32::MAX));
        // What the timer was set for comes at another time now.
        state.timer_at = u64::MAX;
        if let Some(deadline) = self.nodes[node].deadline() {
            self.arm(node, deadline);
        }
    }

    /// A slowed node is stopped, or goes on.
    pub(crate) fn beat(&mut self, node: usize, fault: FaultId, incarnation: u32, stops: bool) {
        let grip = self.hindered.iter().find(|hindered| hindered.fault == fault && hindered.node == node).copied();
        let Some(Hindered { how: Hindrance::Slow { run, every }, .. }) = grip else { return };
        if self.nodes[node].incarnation != incarnation || !self.nodes[node].is_up() {
            return;
        }
        let lasts = if stops {
            self.stop(node);
            every.saturating_sub(run)
        } else {
            self.go_on(node);
            run
        };
        let at = self.now + nanos(lasts).max(1);
        self.plan(at, Happening::Beat { node: number(node), fault, incarnation, stops: !stops });
    }

    fn relax(&mut self, nodes: &[usize], command: FaultCommand, stamps: Stamps) {
        let fault = command.id;
        let mut held: Vec<usize> =
            self.hindered.iter().filter(|hindered| hindered.fault == fault).map(|hindered| hindered.node).collect();
        if command.kind == FaultKind::Slow {
            held.extend(nodes);
        }
        held.sort_unstable();
        held.dedup();
        for node in held {
            self.let_go(node, |hindered| hindered.fault == fault);
        }
        self.confirm_change(command, stamps);
    }

    /// Undoes what these grips do to a node, and starts it again if it has ended by them.
    fn let_go(&mut self, node: usize, of: impl Fn(&Hindered) -> bool) {
        let gone: Vec<Hindered> =
            self.hindered.extract_if(.., |hindered| hindered.node == node && of(hindered)).collect();
        for Hindered { how, incarnation, .. } in &gone {
            let same = self.nodes[node].incarnation == *incarnation;
            match how {
                Hindrance::Slow { .. } => {
                    if same {
                        self.go_on(node);
                    }
                }
                Hindrance::Starve { .. } => self.nodes[node].slowness_millionths = 1_000_000,
                Hindrance::Clock(_) => self.move_clock(node, None),
                Hindrance::Disk(_) => self.nodes[node].disk.spoil(DiskFault::default()),
                Hindrance::Limit(_) => {}
            }
        }
        if !gone.is_empty() && self.nodes[node].has_fallen && !self.nodes[node].is_up() {
            let name = NodeId::from_index(node);
            self.remark(format!("{name} had ended under its spoilt disk; it is started again"));
            self.start_node(node);
        }
    }

    // ---- what the system does itself ----

    fn transfer(&mut self, to: Option<NodeId>, command: FaultCommand, stamps: Stamps) {
        let Some(asked) = command.nodes.first().map(|node| node.index()) else { return };
        let fault = command.id;
        let until = self.now + TRANSFERRED_WITHIN;
        self.transfers.push(Transfer { command, stamps, answer: None, refused: false, until });
        self.plan(until, Happening::Transfer { fault });
        let state = &self.nodes[asked];
        if !state.listens() {
            return self.transfer_is_answered(fault, Err("it is not running".to_owned()), true);
        }
        if !state.leg_cut {
            self.arrives(asked, Delivery::Operator { fault, to });
        }
    }

    pub(crate) fn operator_asks(
        &mut self,
        node: usize,
        fault: FaultId,
        to: Option<NodeId>,
        held: &mut Vec<Output<Msg<P>>>,
    ) {
        let to = to.map(|to| self.nodes[to.index()].own);
        let state = &mut self.nodes[node];
        let request = state.admit(Origin::Fault(fault));
        state.step(self.now, Input::Transfer { request, to }, held);
    }

    /// The protocol has answered an operator.
    pub(crate) fn operator_is_answered(&mut self, fault: FaultId, outcome: Outcome) {
        let (answer, refused) = match outcome {
            Outcome::Transferred { .. } => (Ok(()), false),
            Outcome::NotLeader { .. } => (Err("not_leader"), true),
            Outcome::Busy => (Err("busy"), true),
            Outcome::Invalid => (Err("invalid"), true),
            Outcome::GivenUp => (Err("given_up"), true),
            Outcome::Superseded
            | Outcome::Committed { .. }
            | Outcome::ReadAt { .. }
            | Outcome::MembershipChanged { .. } => (Err("superseded"), false),
        };
        self.transfer_is_answered(fault, answer.map_err(str::to_owned), refused);
    }

    fn transfer_is_answered(&mut self, fault: FaultId, answer: Result<(), String>, refused: bool) {
        let now = self.now;
        if let Some(transfer) = self.transfers.iter_mut().find(|transfer| transfer.command.id == fault) {
            transfer.answer = Some(answer);
            transfer.refused = refused;
            transfer.stamps.call_end = RunNanos(now);
            transfer.until = transfer.until.min(now + SEEN_WITHIN);
        }
        self.tend_transfer(fault);
        self.plan(now + SEEN_WITHIN, Happening::Transfer { fault });
    }

    /// Takes in who says that it leads.
    pub(crate) fn claimed(&mut self, node: usize, belief: &Belief) {
        if self.transfers.is_empty() || belief.role != ElectionRole::Leader {
            return;
        }
        let now = self.now;
        let mut seen = Vec::new();
        for transfer in &mut self.transfers {
            let newer = transfer.command.leader.is_none_or(|(_, term): (NodeId, Term)| term < belief.term);
            let other = !transfer.command.nodes.iter().any(|old| old.index() == node);
            if newer && other && now > transfer.stamps.call_begin.0 {
                transfer.stamps.effect.get_or_insert(RunNanos(now));
                transfer.until = transfer.until.min(now + TOLD_WITHIN);
                seen.push((transfer.command.id, transfer.until));
            }
        }
        for (fault, until) in seen {
            self.tend_transfer(fault);
            self.plan(until, Happening::Transfer { fault });
        }
    }

    /// Ends a transfer of which nothing more is to be expected.
    pub(crate) fn tend_transfer(&mut self, fault: FaultId) {
        let now = self.now;
        let over = |transfer: &mut Transfer| {
            let both = transfer.answer.is_some() && transfer.stamps.effect.is_some();
            transfer.command.id == fault && (transfer.refused || both || now >= transfer.until)
        };
        let over: Vec<Transfer> = self.transfers.extract_if(.., over).collect();
        for Transfer { command, mut stamps, answer, .. } in over {
            let seen = stamps.effect.is_some();
            if answer.is_none() {
                stamps.call_end = stamps.effect.unwrap_or(RunNanos(now));
            }
            let error = match answer {
                Some(Err(error)) if !seen => Some(error),
                None if !seen => Some("the leader did not answer, and no other was seen".to_owned()),
                Some(Ok(()) | Err(_)) | None => None,
            };
            self.done(Confirm { command, stamps, error });
        }
    }
}
