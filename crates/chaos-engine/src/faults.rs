//! The books on the faults under way: what was begun, what the world confirmed, what has been taken back.
//!
//! Three promises are kept here, whatever the plan does and whenever it is interrupted. Every begin that was commanded is
//! followed by exactly one end of the same number. The set of links that is cut is at every moment the union over the
//! partitions under way, so overlapping partitions may end in any order. An end is commanded only once the world has
//! answered the begin, so a restart never overtakes its kill (only [`FaultsUnderWay::force`] breaks this, when time is up).
//!
//! A fault over several nodes ends when all of them are back. If a plan brings back some of them, those are *relieved*
//! without an edge, and the fault's one end brings back the rest. A reader of the history thus never takes a node for
//! healthy that isn't.
//!
//! A begin that failed counts as no fault for the plan, yet it is ended at once: it may have taken hold of some of its nodes.
//! An end that failed is said in a remark and not tried again: what a second try meant would be anybody's guess.

use std::collections::{BTreeMap, BTreeSet};

use chaos_history::{FaultEdge, FaultEvent, FaultId, FaultKind, Link, NodeId, RunNanos, SourcePlace, Term};

use chaos_plan::ProcessTarget;

use crate::world::{Command, FaultChange, FaultCommand};

/// A fault that is aimed but not begun.
#[derive(Clone, Debug)]
pub(crate) struct Aimed {
    pub(crate) kind: FaultKind,
    pub(crate) label: String,
    pub(crate) nodes: Vec<NodeId>,
    /// The one process that is hit; `None`: all of the nodes.
    pub(crate) process: Option<ProcessTarget>,
    pub(crate) links: Vec<Link>,
    /// The effect of a kill or a pause; `None` for a partition, whose effect depends on the others under way.
    pub(crate) change: Option<FaultChange>,
    pub(crate) leader: Option<(NodeId, Term)>,
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
    /// In effect since then.
    Active { since: RunNanos },
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
    /// The process that it hits, if it is one of several.
    fn process(&self) -> Option<&str> {
        self.aimed.process.as_ref().map(|process| process.name.as_str())
    }
}

/// All faults under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultsUnderWay {
    begun: u32,
    faults: BTreeMap<FaultId, UnderWay>,
}

impl FaultsUnderWay {
    /// Commands the begin of a fault.
    pub(crate) fn begin(&mut self, aimed: Aimed, out: &mut Vec<Command>) -> FaultId {
        self.begun += 1;
        let id = FaultId(self.begun);
        let hit = aimed.nodes.iter().copied().collect();
        let command = aimed.clone();
        self.faults.insert(id, UnderWay { aimed, hit, stage: Stage::Beginning { wanted: None } });
        out.push(Command::Fault(FaultCommand {
            id,
            edge: FaultEdge::Begin,
            change: command.change.unwrap_or_else(|| FaultChange::Cut(self.cut())),
            kind: command.kind,
            label: command.label,
            nodes: command.nodes,
            process: command.process,
            links: command.links,
            leader: command.leader,
            scheduled: command.scheduled,
            source: command.source,
        }));
        id
    }

    /// Takes the world's answer in. Answers to what isn't under way are ignored.
    pub(crate) fn answered(&mut self, event: &FaultEvent, now: RunNanos, out: &mut Vec<Command>) {
        self.note_killed(event);
        let Some(fault) = self.faults.get_mut(&event.id) else { return };
        match (event.edge, &fault.stage) {
            (FaultEdge::Begin, Stage::Beginning { wanted }) => {
                let wanted = wanted.clone();
                fault.stage = Stage::Active { since: event.stamps.effect.unwrap_or(event.stamps.call_end) };
                if let Some(error) = &event.error {
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
        if (event.edge, event.kind, event.error.is_none()) == (FaultEdge::Begin, FaultKind::Kill, true) {
            let process = event.process.as_deref();
            let held = |fault: &UnderWay| process.is_none() || process == fault.process();
            let pauses = self.faults.values_mut().filter(|fault| fault.aimed.kind == FaultKind::Pause);
            for fault in pauses.filter(|fault| held(fault)) {
                fault.hit.retain(|node| !event.nodes.contains(node));
            }
        }
    }

    /// Ends a fault: now if it is in effect, as soon as the world answers its begin otherwise.
    pub(crate) fn lift(&mut self, id: FaultId, lift: &Lift, out: &mut Vec<Command>) {
        let Some(fault) = self.faults.get_mut(&id) else { return };
        match &mut fault.stage {
            Stage::Beginning { wanted } => {
                wanted.get_or_insert_with(|| lift.clone());
            }
            Stage::Active { .. } => self.command_end(id, lift, out),
            Stage::Ending => {}
        }
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
            .filter(|(_, fault)| kind.is_none_or(|kind| fault.aimed.kind == kind))
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
        let mut ending = BTreeSet::new();
        let ids: Vec<FaultId> = self.faults.keys().copied().collect();
        for id in ids {
            let Some(fault) = self.faults.get_mut(&id).filter(|fault| fault.aimed.kind == kind) else { continue };
            let back: Vec<NodeId> = fault.hit.intersection(nodes).copied().collect();
            if back.is_empty() {
                continue;
            }
            let whole = back.len() == fault.hit.len();
            match fault.stage {
                Stage::Active { .. } if !whole => {
                    fault.hit.retain(|node| !nodes.contains(node));
                    out.push(Command::Relieve {
                        fault: id,
                        change: undoing(kind),
                        nodes: back,
                        process: fault.aimed.process.clone(),
                    });
                }
                // What isn't in effect yet can't be relieved in part: the plan's other steps wait for the answer, so only a
                // world that doesn't answer comes here, and for that one all nodes are asked back.
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
        let fault = self.faults.get_mut(&id).expect("whoever commands an end has just seen the fault");
        fault.stage = Stage::Ending;
        let aimed = fault.aimed.clone();
        let (nodes, change) = match aimed.kind {
            FaultKind::Kill | FaultKind::Pause => (fault.hit.iter().copied().collect(), undoing(aimed.kind)),
            FaultKind::Partition => (aimed.nodes, FaultChange::Cut(self.cut())),
        };
        out.push(Command::Fault(FaultCommand {
            id,
            edge: FaultEdge::End,
            change,
            kind: aimed.kind,
            label: aimed.label,
            nodes,
            process: aimed.process,
            links: aimed.links,
            leader: aimed.leader,
            scheduled: lift.scheduled,
            source: lift.source.clone(),
        }));
    }

    /// The links that are to be cut now: the union over all partitions that are not being healed.
    pub(crate) fn cut(&self) -> BTreeSet<Link> {
        let under_way = self.faults.values().filter(|fault| match fault.stage {
            Stage::Beginning { .. } | Stage::Active { .. } => true,
            Stage::Ending => false,
        });
        under_way.flat_map(|fault| fault.aimed.links.iter().copied()).collect()
    }

    /// The nodes that faults of this kind hold, from the command to the answer of its end.
    pub(crate) fn hit(&self, kind: FaultKind) -> BTreeSet<NodeId> {
        let of_kind = self.faults.values().filter(|fault| fault.aimed.kind == kind);
        of_kind.flat_map(|fault| fault.hit.iter().copied()).collect()
    }

    /// The nodes all of which faults of this kind hold, not only one process.
    pub(crate) fn whole(&self, kind: FaultKind) -> BTreeSet<NodeId> {
        let of_kind = self.faults.values().filter(|fault| fault.aimed.kind == kind && fault.aimed.process.is_none());
        of_kind.flat_map(|fault| fault.hit.iter().copied()).collect()
    }

    /// The single processes that faults hold.
    pub(crate) fn processes(&self) -> BTreeSet<(FaultKind, NodeId, String)> {
        let single = |fault: &UnderWay| fault.process().map(str::to_owned);
        let held = self.faults.values().filter_map(|fault| Some((fault, single(fault)?)));
        held.flat_map(|(fault, name)| fault.hit.iter().map(move |node| (fault.aimed.kind, *node, name.clone())))
            .collect()
    }

    /// Whom a majority named when the fault was aimed.
    pub(crate) fn leader_before(&self, id: FaultId) -> Option<(NodeId, Term)> {
        self.faults.get(&id).and_then(|fault| fault.aimed.leader)
    }

    /// Since when the fault is in effect, if it is.
    pub(crate) fn active_since(&self, id: FaultId) -> Option<RunNanos> {
        self.faults.get(&id).and_then(|fault| match fault.stage {
            Stage::Active { since } => Some(since),
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

    /// What is broken, in the plan's words, oldest first.
    pub(crate) fn labels(&self) -> Vec<String> {
        self.faults.values().map(|fault| fault.aimed.label.clone()).collect()
    }
}

/// What takes a fault of this kind back on its nodes.
///
/// # Panics
/// For a partition: that is taken back by a smaller cut.
fn undoing(kind: FaultKind) -> FaultChange {
    match kind {
        FaultKind::Kill => FaultChange::Restart,
        FaultKind::Pause => FaultChange::Resume,
        FaultKind::Partition => unreachable!("a partition holds links, not nodes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chaos_history::Stamps;

    fn link(from: u16, to: u16) -> Link {
        Link { from: NodeId::new(from), to: NodeId::new(to) }
    }

    fn aimed(kind: FaultKind, nodes: &[u16], links: &[Link]) -> Aimed {
        let change = match kind {
            FaultKind::Kill => Some(FaultChange::Kill(chaos_plan::KillSignal::Kill)),
            FaultKind::Pause => Some(FaultChange::Pause),
            FaultKind::Partition => None,
        };
        Aimed {
            kind,
            label: kind.name().to_owned(),
            nodes: nodes.iter().copied().map(NodeId::new).collect(),
            process: None,
            links: links.to_vec(),
            change,
            leader: None,
            scheduled: RunNanos(5),
            source: None,
        }
    }

    fn answer(books: &mut FaultsUnderWay, id: FaultId, edge: FaultEdge, error: Option<&str>) -> Vec<Command> {
        let stamps = Stamps { scheduled: RunNanos(5), call_begin: RunNanos(6), call_end: RunNanos(7), effect: None };
        let event = FaultEvent {
            id,
            edge,
            kind: FaultKind::Pause,
            label: "label".to_owned(),
            nodes: Vec::new(),
            process: None,
            links: Vec::new(),
            leader: None,
            stamps,
            source: None,
            error: error.map(str::to_owned),
        };
        let mut out = Vec::new();
        books.answered(&event, RunNanos(8), &mut out);
        out
    }

    fn edges(out: &[Command]) -> Vec<(u32, FaultEdge, FaultChange)> {
        let edge = |command: &Command| match command {
            Command::Fault(fault) => Some((fault.id.0, fault.edge, fault.change.clone())),
            Command::Invoke(_)
            | Command::Mark(..)
            | Command::Remark(_)
            | Command::Compare { .. }
            | Command::Relieve { .. }
            | Command::Finish(_) => None,
        };
        out.iter().filter_map(edge).collect()
    }

    const LIFT: Lift = Lift { scheduled: RunNanos(9), source: None };

    #[test]
    fn overlapping_partitions_heal_in_any_order_and_keep_what_the_other_cuts() {
        let (mut books, mut out) = (FaultsUnderWay::default(), Vec::new());
        let first = books.begin(aimed(FaultKind::Partition, &[1], &[link(1, 2), link(2, 1)]), &mut out);
        let second = books.begin(aimed(FaultKind::Partition, &[1], &[link(1, 2), link(1, 3)]), &mut out);
        answer(&mut books, first, FaultEdge::Begin, None);
        answer(&mut books, second, FaultEdge::Begin, None);
        out.clear();
        books.lift_all(Some(FaultKind::Partition), &LIFT, &mut out);
        let expect = [
            (1, FaultEdge::End, FaultChange::Cut(BTreeSet::from([link(1, 2), link(1, 3)]))),
            (2, FaultEdge::End, FaultChange::Cut(BTreeSet::new())),
        ];
        assert_eq!(edges(&out), expect);
    }

    #[test]
    fn an_end_waits_for_the_answer_to_its_begin() {
        let (mut books, mut out) = (FaultsUnderWay::default(), Vec::new());
        let id = books.begin(aimed(FaultKind::Kill, &[1, 2], &[]), &mut out);
        out.clear();
        books.lift(id, &LIFT, &mut out);
        assert_eq!(out, []);
        let out = answer(&mut books, id, FaultEdge::Begin, None);
        assert_eq!(edges(&out), [(1, FaultEdge::End, FaultChange::Restart)]);
    }

    #[test]
    fn a_begin_that_failed_is_undone_once_and_is_over_when_that_is_answered() {
        let (mut books, mut out) = (FaultsUnderWay::default(), Vec::new());
        let id = books.begin(aimed(FaultKind::Pause, &[1], &[]), &mut out);
        let out = answer(&mut books, id, FaultEdge::Begin, Some("no such thread"));
        assert_eq!(edges(&out), [(1, FaultEdge::End, FaultChange::Resume)]);
        assert!(books.active_since(id).is_none() && !books.is_empty());
        answer(&mut books, id, FaultEdge::End, Some("still none"));
        assert!(books.is_empty());
    }

    #[test]
    fn a_fault_ends_when_all_its_nodes_are_back() {
        let (mut books, mut out) = (FaultsUnderWay::default(), Vec::new());
        let id = books.begin(aimed(FaultKind::Kill, &[1, 2], &[]), &mut out);
        answer(&mut books, id, FaultEdge::Begin, None);
        out.clear();
        let ending = books.bring_back(FaultKind::Kill, &BTreeSet::from([NodeId::new(1)]), &LIFT, &mut out);
        let (change, nodes) = (FaultChange::Restart, vec![NodeId::new(1)]);
        let relief = Command::Relieve { fault: id, change, nodes, process: None };
        assert_eq!((ending.len(), &out[..]), (0, &[relief][..]));
        out.clear();
        let ending = books.bring_back(FaultKind::Kill, &BTreeSet::from([NodeId::new(2)]), &LIFT, &mut out);
        assert_eq!(ending, BTreeSet::from([id]));
        assert_eq!(edges(&out), [(1, FaultEdge::End, FaultChange::Restart)]);
    }

    #[test]
    fn force_ends_what_was_never_answered_and_nothing_twice() {
        let (mut books, mut out) = (FaultsUnderWay::default(), Vec::new());
        books.begin(aimed(FaultKind::Kill, &[1], &[]), &mut out);
        out.clear();
        books.force(&LIFT, &mut out);
        books.force(&LIFT, &mut out);
        assert_eq!(edges(&out), [(1, FaultEdge::End, FaultChange::Restart)]);
    }
}
