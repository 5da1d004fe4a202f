//! The books on the faults under way: what was begun, what the world confirmed, what has been taken back.
//!
//! Three promises are kept here, whatever the plan does and whenever it is interrupted. Every begin that was commanded is
//! followed by exactly one end of the same number. The set of links that is cut is at every moment the union over the
//! partitions under way, so overlapping partitions may end in any order. An end is commanded only once the world has
//! answered the begin, and of a crash loop no node is being killed, so a restart never overtakes its kill (only
//! [`FaultsUnderWay::force`] breaks this, when time is up).
//!
//! A fault over several nodes ends when all of them are back. If a plan brings back some of them, those are *relieved*
//! without an edge, and the fault's one end brings back the rest. A reader of the history thus never takes a node for
//! healthy that isn't.
//!
//! A begin that failed counts as no fault for the plan, yet it is ended at once: it may have taken hold of some of its nodes.
//! An end that failed is said in a remark and not tried again: what a second try meant would be anybody's guess.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use chaos_history::{
    FaultEdge, FaultEvent, FaultId, FaultKind, Impact, Link, NodeId, NodeLife, RunNanos, Seed, SourcePlace, Term,
};

use chaos_plan::{Fault, Keep, KillSignal};

use crate::pulse::{Pulse, Stroke};
use crate::world::{Command, Cut, FaultChange, FaultCommand};

/// A fault that is aimed but not begun.
#[derive(Clone, Debug)]
pub(crate) struct Aimed {
    pub(crate) fault: Fault,
    pub(crate) label: String,
    pub(crate) nodes: Vec<NodeId>,
    /// What it cuts between nodes.
    pub(crate) links: Vec<Link>,
    /// What it gives conditions to.
    pub(crate) conditioned: Vec<Link>,
    /// When a crash loop kills and starts its nodes.
    pub(crate) pulse: Option<Pulse>,
    /// For what the world draws.
    pub(crate) seed: Seed,
    pub(crate) leader: Option<(NodeId, Term)>,
    /// To whom leadership is to go.
    pub(crate) to: Option<NodeId>,
    pub(crate) scheduled: RunNanos,
    pub(crate) source: Option<SourcePlace>,
}

/// Who takes faults back, and since when that is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Lift {
    pub(crate) scheduled: RunNanos,
    /// The plan line; `None` for the harness's own clean-up.
    pub(crate) source: Option<SourcePlace>,
}

/// How far a fault is.
#[derive(Clone, Debug)]
enum Stage {
    /// The begin is commanded and not answered; with the wish to end it, if that came first.
    Beginning { wanted: Option<Lift> },
    /// In effect since then; with the wish to end it, while a node of its crash loop is being killed.
    Active { since: RunNanos, wanted: Option<Lift> },
    /// The end is commanded and not answered.
    Ending,
}

/// A fault under way.
#[derive(Clone, Debug)]
struct UnderWay {
    aimed: Aimed,
    /// The nodes that are still hit.
    hit: BTreeSet<NodeId>,
    stage: Stage,
}

impl UnderWay {
    fn kind(&self) -> FaultKind {
        self.aimed.fault.kind()
    }

    /// The process that it hits, if it is one of several.
    fn process(&self) -> Option<&str> {
        self.aimed.fault.process().map(|process| process.name.as_str())
    }

    /// The command that begins or ends it.
    fn command(&self, id: FaultId, edge: FaultEdge, change: FaultChange, lift: &Lift) -> Command {
        let aimed = self.aimed.clone();
        Command::Fault(FaultCommand {
            id,
            edge,
            change,
            kind: self.kind(),
            label: aimed.label,
            nodes: self.hit.iter().copied().collect(),
            process: aimed.fault.process().cloned(),
            links: aimed.links,
            leader: aimed.leader,
            scheduled: lift.scheduled,
            source: lift.source.clone(),
        })
    }
}

/// All faults under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultsUnderWay {
    begun: u32,
    /// Rises whenever what they hold may have changed: who looks after every event need not look again.
    edition: u64,
    faults: BTreeMap<FaultId, UnderWay>,
}

impl FaultsUnderWay {
    /// Commands the begin of a fault.
    pub(crate) fn begin(&mut self, aimed: Aimed, out: &mut Vec<Command>) -> FaultId {
        self.begun += 1;
        self.edition += 1;
        let id = FaultId(self.begun);
        let hit = aimed.nodes.iter().copied().collect();
        let wanted = Lift { scheduled: aimed.scheduled, source: aimed.source.clone() };
        self.faults.insert(id, UnderWay { aimed, hit, stage: Stage::Beginning { wanted: None } });
        let (fault, cut) = (&self.faults[&id], self.cut());
        out.push(fault.command(id, FaultEdge::Begin, doing(&fault.aimed, cut), &wanted));
        id
    }

    /// Takes the world's answer in. Answers to what isn't under way are ignored.
    pub(crate) fn answered(&mut self, event: &FaultEvent, now: RunNanos, out: &mut Vec<Command>) {
        self.edition += 1;
        self.note_killed(event);
        let Some(fault) = self.faults.get_mut(&event.id) else { return };
        match (event.edge, &fault.stage) {
            (FaultEdge::Begin, Stage::Beginning { wanted }) => {
                let wanted = wanted.clone();
                let since = event.stamps.effect.unwrap_or(event.stamps.call_end);
                fault.stage = Stage::Active { since, wanted: None };
                if let Some(error) = &event.error {
                    fault.aimed.pulse = None;
                    out.push(Command::Remark(format!(
                        "fault {} ({}) was not injected: {error}",
                        event.id.0, event.label
                    )));
                    self.lift(event.id, &Lift { scheduled: now, source: None }, out);
                } else if let Some(lift) = wanted {
                    self.lift(event.id, &lift, out);
                }
            }
            (FaultEdge::End, Stage::Ending) => {
                if let Some(error) = &event.error {
                    out.push(Command::Remark(format!(
                        "fault {} ({}) was not taken back: {error}",
                        event.id.0, event.label
                    )));
                }
                self.faults.remove(&event.id);
            }
            // An answer that comes after the end was forced, or twice.
            (FaultEdge::Begin, Stage::Active { .. } | Stage::Ending)
            | (FaultEdge::End, Stage::Beginning { .. } | Stage::Active { .. }) => {}
        }
    }

    /// A process that is killed is no longer stopped, so a pause doesn't hold its node any more (though it still ends as one).
    fn note_killed(&mut self, event: &FaultEvent) {
        if event.edge == FaultEdge::Begin && event.kind.ends_processes() && event.error.is_none() {
            let process = event.process.as_deref();
            let held = |fault: &UnderWay| process.is_none() || process == fault.process();
            let pauses = self.faults.values_mut().filter(|fault| fault.kind() == FaultKind::Pause);
            for fault in pauses.filter(|fault| held(fault)) {
                fault.hit.retain(|node| !event.nodes.contains(node));
            }
        }
    }

    /// Ends a fault: now if it is in effect, as soon as the world answers its begin otherwise.
    pub(crate) fn lift(&mut self, id: FaultId, lift: &Lift, out: &mut Vec<Command>) {
        self.edition += 1;
        let Some(fault) = self.faults.get_mut(&id) else { return };
        match &mut fault.stage {
            Stage::Beginning { wanted } => {
                wanted.get_or_insert_with(|| lift.clone());
            }
            Stage::Active { wanted, .. } => {
                if fault.aimed.pulse.as_ref().is_some_and(Pulse::is_dying) {
                    wanted.get_or_insert_with(|| lift.clone());
                } else {
                    self.command_end(id, lift, out);
                }
            }
            Stage::Ending => {}
        }
    }

    /// Takes the life of a node in: crash loops live by it.
    pub(crate) fn node(&mut self, node: NodeId, life: &NodeLife, now: RunNanos, out: &mut Vec<Command>) {
        let mut over = Vec::new();
        for (id, fault) in &mut self.faults {
            let Some(pulse) = &mut fault.aimed.pulse else { continue };
            pulse.node(node, life, now);
            self.edition += 1;
            match &fault.stage {
                Stage::Active { wanted: Some(lift), .. } if !pulse.is_dying() => over.push((*id, lift.clone())),
                Stage::Active { .. } | Stage::Beginning { .. } | Stage::Ending => {}
            }
        }
        over.into_iter().for_each(|(id, lift)| self.command_end(id, &lift, out));
    }

    /// Has crash loops kill and start what is due.
    pub(crate) fn advance(&mut self, now: RunNanos, out: &mut Vec<Command>) {
        for (id, fault) in &mut self.faults {
            let (Stage::Active { wanted: None, .. }, Some(pulse)) = (&fault.stage, &mut fault.aimed.pulse) else {
                continue;
            };
            for (node, stroke) in pulse.strokes(now) {
                self.edition += 1;
                let change = match stroke {
                    Stroke::Kill => FaultChange::Kill(KillSignal::KILL),
                    Stroke::Start => FaultChange::Restart,
                };
                out.push(Command::Alter { fault: *id, change, nodes: vec![node], process: None });
            }
        }
    }

    /// When [`FaultsUnderWay::advance`] has something to do.
    pub(crate) fn deadline(&self) -> Option<RunNanos> {
        let beating = self.faults.values().filter(|fault| matches!(fault.stage, Stage::Active { wanted: None, .. }));
        beating.filter_map(|fault| fault.aimed.pulse.as_ref()?.deadline()).min()
    }

    /// Ends every fault of this kind, or of all kinds, in the order in which they began. Returns those that are not over yet.
    pub(crate) fn lift_all(
        &mut self,
        kind: Option<FaultKind>,
        lift: &Lift,
        out: &mut Vec<Command>,
    ) -> BTreeSet<FaultId> {
        let chosen: BTreeSet<FaultId> = self
            .faults
            .iter()
            .filter(|(_, fault)| kind.is_none_or(|kind| fault.kind() == kind))
            .map(|(id, _)| *id)
            .collect();
        for id in &chosen {
            self.lift(*id, lift, out);
        }
        chosen
    }

    /// Brings back those of these nodes that faults of this kind hold: a fault that would hold none any more ends, the others
    /// are relieved. Returns the faults whose end is under way.
    pub(crate) fn bring_back(
        &mut self,
        kind: FaultKind,
        nodes: &BTreeSet<NodeId>,
        lift: &Lift,
        out: &mut Vec<Command>,
    ) -> BTreeSet<FaultId> {
        self.edition += 1;
        let mut ending = BTreeSet::new();
        let (ids, cut): (Vec<FaultId>, Cut) = (self.faults.keys().copied().collect(), self.cut());
        for id in ids {
            let Some(fault) = self.faults.get_mut(&id).filter(|fault| fault.kind() == kind) else { continue };
            let back: Vec<NodeId> = fault.hit.intersection(nodes).copied().collect();
            if back.is_empty() {
                continue;
            }
            let whole = back.len() == fault.hit.len();
            match fault.stage {
                Stage::Active { .. } if !whole => {
                    fault.hit.retain(|node| !nodes.contains(node));
                    out.push(Command::Alter {
                        fault: id,
                        change: undoing(kind, cut.clone()),
                        nodes: back,
                        process: fault.aimed.fault.process().cloned(),
                    });
                }
                // What isn't in effect yet can't be relieved in part: all nodes are asked back. Steps wait for the answer to what
                // stands before them, so only a branch beside the fault's own comes here, or a world that doesn't answer.
                Stage::Active { .. } | Stage::Beginning { .. } | Stage::Ending => {
                    self.lift(id, lift, out);
                    ending.insert(id);
                }
            }
        }
        ending
    }

    /// Commands the end of everything that has none yet, answered or not: time is up.
    pub(crate) fn force(&mut self, lift: &Lift, out: &mut Vec<Command>) {
        let ids: Vec<FaultId> = self.faults.keys().copied().collect();
        for id in ids {
            match self.faults.get(&id).map(|fault| &fault.stage) {
                Some(Stage::Beginning { .. } | Stage::Active { .. }) => self.command_end(id, lift, out),
                Some(Stage::Ending) | None => {}
            }
        }
    }

    fn command_end(&mut self, id: FaultId, lift: &Lift, out: &mut Vec<Command>) {
        self.edition += 1;
        let fault = self.faults.get_mut(&id).expect("whoever commands an end has just seen the fault");
        fault.stage = Stage::Ending;
        let (fault, cut) = (&self.faults[&id], self.cut());
        out.push(fault.command(id, FaultEdge::End, undoing(fault.kind(), cut), lift));
    }

    /// What is to become of packets now: the union over all faults that are not being taken back, a later one's word for the
    /// links that several have.
    pub(crate) fn cut(&self) -> Cut {
        let mut cut = Cut::default();
        for fault in self.faults.values() {
            match fault.stage {
                Stage::Beginning { .. } | Stage::Active { .. } => {}
                Stage::Ending => continue,
            }
            let mode = fault.aimed.fault.cut_mode();
            cut.links.extend(fault.aimed.links.iter().map(|link| (*link, mode)));
            if let Fault::Link { conditions, .. } = &fault.aimed.fault {
                cut.conditions.extend(fault.aimed.conditioned.iter().map(|link| (*link, *conditions)));
            }
            if fault.kind() == FaultKind::FreezeHost {
                cut.legs.extend(&fault.hit);
            }
        }
        cut
    }

    /// The nodes that faults of this kind hold, from the command to the answer of its end.
    pub(crate) fn hit(&self, kind: FaultKind) -> BTreeSet<NodeId> {
        let of_kind = self.faults.values().filter(|fault| fault.kind() == kind);
        of_kind.flat_map(|fault| fault.hit.iter().copied()).collect()
    }

    /// The nodes that the cluster's configuration is without, as the world has confirmed.
    pub(crate) fn removed(&self) -> BTreeSet<NodeId> {
        let gone =
            |fault: &&UnderWay| fault.kind() == FaultKind::RemoveMember && matches!(fault.stage, Stage::Active { .. });
        self.faults.values().filter(gone).flat_map(|fault| fault.hit.iter().copied()).collect()
    }

    /// The nodes all of which faults with this impact hold, not only one process.
    pub(crate) fn whole(&self, impact: Impact) -> BTreeSet<NodeId> {
        let held = |fault: &&UnderWay| fault.kind().impact() == impact && fault.process().is_none();
        self.faults.values().filter(held).flat_map(|fault| fault.hit.iter().copied()).collect()
    }

    /// The nodes that are being killed by their crash loop: up, by what the world has told, but not for long.
    pub(crate) fn dying(&self) -> BTreeSet<NodeId> {
        let under_way = self.faults.values().filter(|fault| !matches!(fault.stage, Stage::Ending));
        under_way.filter_map(|fault| fault.aimed.pulse.as_ref()).flat_map(Pulse::dying).collect()
    }

    /// The nodes that faults hinder, by the faults' kinds.
    pub(crate) fn hindered(&self) -> BTreeSet<(FaultKind, NodeId)> {
        let hinders = |fault: &&UnderWay| fault.kind().impact() == Impact::Hinders;
        let pairs = |fault: &UnderWay| fault.hit.iter().map(|node| (fault.kind(), *node)).collect::<Vec<_>>();
        self.faults.values().filter(hinders).flat_map(pairs).collect()
    }

    /// The single processes that faults hold.
    pub(crate) fn processes(&self) -> BTreeSet<(FaultKind, NodeId, String)> {
        let single = |fault: &UnderWay| fault.process().map(str::to_owned);
        let held = self.faults.values().filter_map(|fault| Some((fault, single(fault)?)));
        held.flat_map(|(fault, name)| fault.hit.iter().map(move |node| (fault.kind(), *node, name.clone()))).collect()
    }

    /// Whom a majority named when the fault was aimed.
    pub(crate) fn leader_before(&self, id: FaultId) -> Option<(NodeId, Term)> {
        self.faults.get(&id).and_then(|fault| fault.aimed.leader)
    }

    /// Since when the fault is in effect, if it is.
    pub(crate) fn active_since(&self, id: FaultId) -> Option<RunNanos> {
        self.faults.get(&id).and_then(|fault| match fault.stage {
            Stage::Active { since, .. } => Some(since),
            Stage::Beginning { .. } | Stage::Ending => None,
        })
    }

    /// Whether the fault waits for the answer to its begin.
    pub(crate) fn is_beginning(&self, id: FaultId) -> bool {
        self.faults.get(&id).is_some_and(|fault| matches!(fault.stage, Stage::Beginning { .. }))
    }

    /// Whether the fault has been begun and its end is not answered yet.
    pub(crate) fn is_under_way(&self, id: FaultId) -> bool {
        self.faults.contains_key(&id)
    }

    /// Whether nothing is broken, as far as the world has answered.
    pub(crate) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// Rises whenever what the faults hold may have changed.
    pub(crate) fn edition(&self) -> u64 {
        self.edition
    }

    /// What is broken, in the plan's words, oldest first.
    pub(crate) fn labels(&self) -> Vec<String> {
        self.faults.values().map(|fault| fault.aimed.label.clone()).collect()
    }
}

/// What makes a fault, `cut` being what all faults cut from then on.
fn doing(aimed: &Aimed, cut: Cut) -> FaultChange {
    match &aimed.fault {
        Fault::Kill { signal, .. } => FaultChange::Kill(*signal),
        Fault::Pause { .. } => FaultChange::Pause,
        Fault::Partition(..) | Fault::Link { .. } => FaultChange::Cut(cut),
        Fault::FreezeHost { .. } => FaultChange::Freeze(cut),
        Fault::CrashLoop { .. } => FaultChange::Kill(KillSignal::KILL),
        Fault::PowerLoss { keep: Keep::Synced, .. } => FaultChange::LosePower { kept: None },
        Fault::PowerLoss { keep: Keep::Random, .. } => FaultChange::LosePower { kept: Some(aimed.seed) },
        Fault::CorruptFile { file, damage, .. } => {
            FaultChange::Corrupt { file: file.clone(), damage: *damage, seed: aimed.seed }
        }
        Fault::Transfer { .. } => FaultChange::Transfer { to: aimed.to },
        Fault::RemoveMember { .. } => FaultChange::RemoveMember,
        Fault::Hinder { how, .. } => FaultChange::Hinder(*how),
    }
}

/// What takes a fault of this kind back on its nodes, `cut` being what the other faults cut.
fn undoing(kind: FaultKind, cut: Cut) -> FaultChange {
    match kind {
        FaultKind::Kill | FaultKind::CrashLoop | FaultKind::PowerLoss => FaultChange::Restart,
        FaultKind::Pause => FaultChange::Resume,
        FaultKind::Partition | FaultKind::Link => FaultChange::Cut(cut),
        FaultKind::FreezeHost => FaultChange::Thaw(cut),
        FaultKind::RemoveMember => FaultChange::AddMember,
        FaultKind::Slow
        | FaultKind::Starve
        | FaultKind::Limit
        | FaultKind::Clock
        | FaultKind::Disk
        | FaultKind::CorruptFile
        | FaultKind::Transfer => FaultChange::Relax,
    }
}
