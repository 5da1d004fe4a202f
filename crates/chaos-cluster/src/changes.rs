//! Faults that are the system's own operations: leadership that is handed over, members that go and come back.
//!
//! ```text
//!  transfer        ask the leader ──────────────────→ another node claims a newer term: confirmed
//!  remove-member   ask, until it is done ─→ its processes end          (node after node)
//!     its end      ask, until it is done ─→ its disk is emptied ─→ it is started, joining
//!                  (or the other way round, where the leader has it catch up before it is a member)
//! ```
//!
//! One change of the members is asked for at a time, whatever the plan does at the same time: that is what systems can do. A refusal is
//! tried again for a while, at other nodes too, since who leads may be changing and some systems want all connections to be
//! some seconds old; a transfer is asked for once. Whether a removal that got no answer came about, nobody knows: such a node runs on,
//! is removed for certain at the fault's end, and only then emptied. A member that is there must never lose its disk, or the
//! harness itself would lose what the cluster has acknowledged.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use chaos_engine::{FaultChange, FaultCommand};
use chaos_history::{ElectionRole, FaultId, NodeId, Observation, ObservationOutcome, RunNanos, Stamps, Term};
use chaos_net::chain;
use chaos_systems::{Change, ChangeOf, Driver, Unchanged};
use futures::FutureExt;
use nix::sys::signal::Signal;

use crate::clock::RunClock;
use crate::faults::{ORDERLY_END_WITHIN, PendingKill};
use crate::inbox::Message;
use crate::process::ProcessError;
use crate::world::{RealWorld, WorldError};

/// For how long all members of a fault together are asked for; less than the engine waits for an answer.
const CHANGED_WITHIN: Duration = Duration::from_secs(20);
/// For how long refusals are tried again: etcd refuses until the connections among its members are 5 s old.
const REFUSED_FOR: Duration = Duration::from_secs(8);
/// How long one question may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// The same of a transfer, which some systems answer only when it is over.
const TRANSFERRED_WITHIN: Duration = Duration::from_secs(15);
/// How long after an answer another leader may take to be seen.
const SEEN_WITHIN: Duration = Duration::from_secs(5);
/// How long an answer may take once another leader was seen.
const TOLD_WITHIN: Duration = Duration::from_secs(1);
/// How long a refusal is left alone.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What the cluster is being told, and who is no member of it.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    transfers: Vec<Transfer>,
    /// The one change of members that is being asked for.
    asking: Option<Asking>,
    /// Those that wait for their turn.
    later: VecDeque<(FaultCommand, Stamps)>,
    gone: BTreeMap<NodeId, Gone>,
    /// Who has joined again: whenever it is started, it is to join, should its disk be empty once more.
    joined: BTreeSet<NodeId>,
    /// Who claimed the newest term.
    leader: Option<(Term, NodeId)>,
}

/// How certain it is that a node is no member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gone {
    Surely,
    /// The question got no answer.
    Perhaps,
}

/// A transfer that has been asked for.
#[derive(Debug)]
struct Transfer {
    command: FaultCommand,
    stamps: Stamps,
    answer: Option<Result<(), Unchanged>>,
    /// When it is over, whatever is known of it.
    until: RunNanos,
}

/// A change of members, node after node.
#[derive(Debug)]
struct Asking {
    command: FaultCommand,
    stamps: Stamps,
    /// The first of these is being asked for.
    left: VecDeque<NodeId>,
    /// Whether that is a removal.
    removes: bool,
    changed: BTreeSet<NodeId>,
    errors: Vec<String>,
    until: RunNanos,
}

impl RealWorld {
    /// Whether the node is no member of the cluster for certain.
    pub(crate) fn is_gone(&self, node: NodeId) -> bool {
        self.changes.gone.get(&node) == Some(&Gone::Surely)
    }

    /// Whose cluster the node is to join when it is started; `None`: it is one of those that the cluster began with.
    pub(crate) fn members_to_join(&self, node: NodeId) -> Option<Vec<NodeId>> {
        self.changes.joined.contains(&node).then(|| {
            let members = self.nodes_under_test().into_iter();
            members.filter(|other| *other == node || !self.is_gone(*other)).collect()
        })
    }

    /// Takes in who says that it leads.
    pub(crate) fn claimed(&mut self, observation: &Observation) {
        let ObservationOutcome::Answered(belief) = &observation.outcome else { return };
        if belief.role != ElectionRole::Leader {
            return;
        }
        let claim = (belief.term, observation.node);
        if self.changes.leader.is_none_or(|(term, _)| term <= claim.0) {
            self.changes.leader = Some(claim);
        }
        for transfer in &mut self.changes.transfers {
            let newer = transfer.command.leader.is_none_or(|(_, term)| term < claim.0);
            let later = observation.received > transfer.stamps.call_begin;
            if later && newer && !transfer.command.nodes.contains(&observation.node) {
                let seen = *transfer.stamps.effect.get_or_insert(observation.received);
                transfer.until = transfer.until.min(seen + TOLD_WITHIN);
            }
        }
    }

    /// Asks the leader to hand over. The fault is done when another node claims to lead, or doesn't for too long.
    pub(crate) fn transfer(
        &mut self,
        to: Option<NodeId>,
        command: FaultCommand,
        stamps: Stamps,
    ) -> Result<(), WorldError> {
        let target = *command.nodes.first().expect("a transfer has a leader");
        let change = self.change_of(ChangeOf::Transfer { to }, target, command.leader.map(|(leader, _)| leader));
        let until = stamps.call_begin + TRANSFERRED_WITHIN;
        self.ask(command.id, change, (TRANSFERRED_WITHIN, until, true));
        let until = until + SEEN_WITHIN;
        self.changes.transfers.push(Transfer { command, stamps, answer: None, until });
        Ok(())
    }

    /// Ends the transfers of which nothing more is to be expected.
    pub(crate) fn tend_transfers(&mut self, now: RunNanos) -> Result<(), WorldError> {
        let over = |transfer: &mut Transfer| {
            let refused = matches!(transfer.answer, Some(Err(Unchanged::Refused(_))));
            let both = transfer.answer.is_some() && transfer.stamps.effect.is_some();
            refused || both || now >= transfer.until
        };
        let over: Vec<Transfer> = self.changes.transfers.extract_if(.., over).collect();
        for Transfer { command, mut stamps, answer, .. } in over {
            let seen = stamps.effect.is_some();
            if answer.is_none() {
                stamps.call_end = stamps.effect.unwrap_or(now);
            }
            let id = command.id.0;
            let error = match answer {
                // What another leader proves, no answer can disprove.
                Some(Err(error)) if seen => {
                    self.note(format!("fault {id}: another node leads, though the answer was: {error}"))?;
                    None
                }
                Some(Err(error)) => Some(error.to_string()),
                None if !seen => Some("the leader did not answer, and no other was seen".to_owned()),
                Some(Ok(())) if !seen => {
                    self.remark(format!(
                        "fault {id}: the leader said that it had handed over, and no other was seen within {SEEN_WITHIN:?}"
                    ))?;
                    None
                }
                Some(Ok(())) | None => None,
            };
            self.fault_done(command, stamps, error)?;
        }
        Ok(())
    }

    /// Removes or adds the fault's members.
    pub(crate) fn change_members(&mut self, command: FaultCommand, stamps: Stamps) -> Result<(), WorldError> {
        self.changes.later.push_back((command, stamps));
        self.begin_next_change()
    }

    /// Begins with the next fault that waits, if its turn has come.
    fn begin_next_change(&mut self) -> Result<(), WorldError> {
        while self.changes.asking.is_none() {
            let Some((command, mut stamps)) = self.changes.later.pop_front() else { return Ok(()) };
            stamps.call_begin = self.clock.now();
            let is_begin = command.change == FaultChange::RemoveMember;
            let gone = &self.changes.gone;
            // Who never went need not come back.
            let left = command.nodes.iter().copied().filter(|node| gone.contains_key(node) != is_begin).collect();
            let until = stamps.call_begin + CHANGED_WITHIN;
            let (changed, errors) = (BTreeSet::new(), Vec::new());
            self.changes.asking = Some(Asking { command, stamps, left, removes: true, changed, errors, until });
            self.go_on()?;
        }
        Ok(())
    }

    /// Asks for the next member, or is done with the fault.
    fn go_on(&mut self) -> Result<(), WorldError> {
        let Some(mut asking) = self.changes.asking.take() else { return Ok(()) };
        let Some(&node) = asking.left.front() else { return self.members_changed(asking) };
        asking.removes = asking.command.change == FaultChange::RemoveMember || !self.is_gone(node);
        let what = if asking.removes { ChangeOf::Remove } else { ChangeOf::Add };
        if !asking.removes && self.driver.joins_first() {
            self.changes.joined.insert(node);
            if let Err(error) = self.join(node)? {
                asking.errors.push(chain(&error));
                asking.left.pop_front();
                self.changes.asking = Some(asking);
                return self.go_on();
            }
        }
        if asking.removes {
            // Some end themselves when they hear of it.
            self.nodes[node.index()].may_end(true);
        }
        let change = self.change_of(what, node, self.changes.leader.map(|(_, leader)| leader));
        self.ask(asking.command.id, change, (ANSWERED_WITHIN, asking.until, false));
        self.changes.asking = Some(asking);
        Ok(())
    }

    fn change_of(&self, what: ChangeOf, target: NodeId, leader: Option<NodeId>) -> Change {
        let members = self.nodes_under_test().into_iter().filter(|node| !self.is_gone(*node)).collect();
        Change { what, target, leader, members, attempt: 0 }
    }

    /// Asks in the background: once, or again and again.
    fn ask(&self, fault: FaultId, change: Change, (patience, until, once): (Duration, RunNanos, bool)) {
        let (driver, clock, messages) = (Arc::clone(&self.driver), self.clock, self.messages.clone());
        let node = change.target;
        self.runtime.spawn(async move {
            let asking = AssertUnwindSafe(asked(driver, clock, change, (patience, until, once))).catch_unwind();
            let outcome = asking.await.unwrap_or_else(|_| Err(Unchanged::Unknown("the driver panicked".to_owned())));
            messages.send_from_task(Message::Changed { fault, node, outcome, at: clock.now() }).await;
        });
    }

    /// Takes in what became of a question.
    pub(crate) fn changed(
        &mut self,
        fault: FaultId,
        node: NodeId,
        outcome: Result<(), Unchanged>,
        at: RunNanos,
    ) -> Result<(), WorldError> {
        if let Some(transfer) = self.changes.transfers.iter_mut().find(|transfer| transfer.command.id == fault) {
            transfer.stamps.call_end = at;
            transfer.until = transfer.until.min(at + SEEN_WITHIN);
            transfer.answer = Some(outcome);
            return self.tend_transfers(at);
        }
        let Some(mut asking) = self.changes.asking.take() else { return Ok(()) };
        asking.stamps.call_end = at;
        let is_begin = asking.command.change == FaultChange::RemoveMember;
        let mut is_done_with = true;
        match outcome {
            Ok(()) if asking.removes => {
                self.changes.gone.insert(node, Gone::Surely);
                // That it has ended by itself is what we want.
                let _ = self.nodes[node.index()].end(Signal::SIGKILL);
                asking.changed.insert(node);
                // At the fault's end, its return comes next.
                is_done_with = is_begin;
            }
            Ok(()) if self.driver.joins_first() => {
                self.changes.gone.remove(&node);
                asking.changed.insert(node);
            }
            Ok(()) => {
                self.changes.gone.remove(&node);
                self.changes.joined.insert(node);
                match self.join(node)? {
                    Ok(()) => asking.changed.insert(node),
                    Err(error) => {
                        asking.errors.push(chain(&error));
                        false
                    }
                };
            }
            Err(error) => {
                self.nodes[node.index()].may_end(false);
                let doing = if asking.removes { "remove" } else { "add" };
                let perhaps = asking.removes && matches!(error, Unchanged::Unknown(_));
                if perhaps && is_begin {
                    self.changes.gone.insert(node, Gone::Perhaps);
                }
                asking.errors.push(format!("{doing} {node}: {error}"));
            }
        }
        if is_done_with {
            asking.left.pop_front();
        }
        self.changes.asking = Some(asking);
        self.go_on()?;
        self.begin_next_change()
    }

    /// Starts a node that is a member again, with nothing on its disk.
    fn join(&mut self, node: NodeId) -> Result<Result<(), ProcessError>, WorldError> {
        let index = node.index();
        self.nodes[index].end_leftovers();
        if self.nodes[index].is_zombie() {
            self.ended(node, self.nodes[index].incarnation, self.clock.now())?;
        }
        let data = self.nodes[index].data();
        let members = self.members_to_join(node).unwrap_or_default();
        let prepared = self.driver.launch_joining(node, &data, &members);
        let prepared = prepared.map_err(|why| ProcessError::Join { node, why }).and_then(|launch| {
            self.nodes[index].wipe()?;
            self.nodes[index].write_files(&launch.files)?;
            self.nodes[index].settle_disk()
        });
        match prepared {
            Ok(()) => self.start_node(node),
            Err(error) => Ok(Err(error)),
        }
    }

    /// All members of a fault have been asked for.
    fn members_changed(&mut self, asking: Asking) -> Result<(), WorldError> {
        let Asking { command, mut stamps, changed, errors, .. } = asking;
        if command.change == FaultChange::AddMember {
            stamps.call_end = self.clock.now();
            stamps.effect = errors.is_empty().then_some(stamps.call_end);
            return self.fault_done(command, stamps, (!errors.is_empty()).then(|| errors.join("; ")));
        }
        if changed.is_empty() {
            return self.fault_done(command, stamps, Some(errors.join("; ")));
        }
        for text in errors {
            self.remark(format!("fault {} missed a node: {text}", command.id.0))?;
        }
        stamps.effect = Some(stamps.call_end);
        let forced_at = self.clock.now() + ORDERLY_END_WITHIN;
        let running = |node: &NodeId| {
            let process = &self.nodes[node.index()];
            process.is_running() || !process.processes().is_empty()
        };
        let waiting: BTreeSet<NodeId> = changed.into_iter().filter(running).collect();
        if waiting.is_empty() {
            return self.fault_done(command, stamps, None);
        }
        self.pending_kills.push(PendingKill { command, stamps, signal: Signal::SIGKILL, waiting, forced_at });
        Ok(())
    }
}

/// What became of a change that was asked for once, or until it was done or nothing more was to be hoped for.
async fn asked(
    driver: Arc<dyn Driver>,
    clock: RunClock,
    mut change: Change,
    (patience, until, once): (Duration, RunNanos, bool),
) -> Result<(), Unchanged> {
    let began = clock.now();
    let mut all_refused = true;
    loop {
        let patience = patience.min(until.since(clock.now()));
        let late = || Err(Unchanged::Unknown(format!("no answer within {patience:?}")));
        let outcome = tokio::time::timeout(patience, driver.change(&change)).await.unwrap_or_else(|_| late());
        let error = match outcome {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        all_refused &= matches!(error, Unchanged::Refused(_));
        let now = clock.now();
        let hopeless = all_refused && now.since(began) >= REFUSED_FOR;
        if once || hopeless || now + ASK_AGAIN_AFTER >= until {
            // One question without an answer may have done it, whatever the others were told.
            return Err(if all_refused || once { error } else { Unchanged::Unknown(error.to_string()) });
        }
        change.attempt += 1;
        tokio::time::sleep(ASK_AGAIN_AFTER).await;
    }
}
