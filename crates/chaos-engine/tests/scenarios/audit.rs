//! Runs a workload in the toy world, and holds against the run whatever must be true of every run.

use std::collections::{BTreeMap, BTreeSet};

use chaos_engine::{Command, Engine, FaultCommand, Finished, Invocation, Progress, drive};
use chaos_history::{ClientRole, FaultEdge, FaultId, Mark, NodeId, Operation, ProcessId, RunNanos, Seed, operations};
use chaos_plan::Workload;

use crate::fake_world::{FakeWorld, Quirks};

/// A run that is over.
pub(crate) struct Run {
    pub(crate) finished: Finished,
    pub(crate) ended: RunNanos,
    pub(crate) world: FakeWorld,
    pub(crate) progress: Vec<(RunNanos, Progress)>,
}

impl Run {
    pub(crate) fn faults(&self) -> impl Iterator<Item = (RunNanos, &FaultCommand)> {
        self.world.commands.iter().filter_map(|(at, command)| match command {
            Command::Fault(fault) => Some((*at, fault)),
            Command::Invoke(_)
            | Command::Mark(..)
            | Command::Remark(_)
            | Command::Alter { .. }
            | Command::Compare { .. }
            | Command::Finish(_) => None,
        })
    }

    /// The commands of this edge.
    pub(crate) fn edges(&self, edge: FaultEdge) -> Vec<(RunNanos, &FaultCommand)> {
        self.faults().filter(|(_, fault)| fault.edge == edge).collect()
    }

    pub(crate) fn invocations(&self) -> impl Iterator<Item = (RunNanos, &Invocation)> {
        self.world.commands.iter().filter_map(|(at, command)| match command {
            Command::Invoke(invocation) => Some((*at, invocation)),
            Command::Fault(_)
            | Command::Mark(..)
            | Command::Remark(_)
            | Command::Alter { .. }
            | Command::Compare { .. }
            | Command::Finish(_) => None,
        })
    }

    pub(crate) fn operations(&self) -> Vec<Operation> {
        operations(&self.world.history).expect("the engine's operations are a well-formed history")
    }

    pub(crate) fn remarks<'a>(&'a self) -> Vec<&'a str> {
        let remark = |(_, command): &'a (RunNanos, Command)| match command {
            Command::Remark(text) => Some(text.as_str()),
            Command::Fault(_) | Command::Invoke(_) | Command::Mark(..) => None,
            Command::Alter { .. } | Command::Compare { .. } | Command::Finish(_) => None,
        };
        self.world.commands.iter().filter_map(remark).collect()
    }

    /// Whether a remark contains all of these.
    pub(crate) fn remarked(&self, parts: &[&str]) -> bool {
        self.remarks().iter().any(|remark| parts.iter().all(|part| remark.contains(part)))
    }

    pub(crate) fn marks(&self) -> Vec<(RunNanos, Mark)> {
        let mark = |(at, command): &(RunNanos, Command)| match command {
            Command::Mark(mark, _) => Some((*at, *mark)),
            Command::Fault(_) | Command::Invoke(_) | Command::Remark(_) => None,
            Command::Alter { .. } | Command::Compare { .. } | Command::Finish(_) => None,
        };
        self.world.commands.iter().filter_map(mark).collect()
    }

    /// When the landmark was set.
    pub(crate) fn mark(&self, wanted: Mark) -> RunNanos {
        let found = self.marks().into_iter().find(|(_, mark)| *mark == wanted);
        found.unwrap_or_else(|| panic!("no mark {wanted:?} among {:?}", self.marks())).0
    }
}

/// Runs the workload to its end.
pub(crate) fn run(workload: &Workload, seed: u64, quirks: Quirks) -> Run {
    run_with(workload, seed, quirks, |engine| engine)
}

/// The same with an engine that was made another one.
pub(crate) fn run_with(workload: &Workload, seed: u64, quirks: Quirks, made: impl FnOnce(Engine) -> Engine) -> Run {
    let mut world = FakeWorld::new(workload.nodes, quirks);
    let mut engine = made(Engine::new(workload, Seed(seed), RunNanos(0)));
    let mut progress: Vec<(RunNanos, Progress)> = Vec::new();
    let mut ended = RunNanos(0);
    let Ok(finished) = drive(&mut engine, &mut world, &mut |now, _, engine| {
        ended = now;
        let shown = progress.last().map(|(at, _)| *at);
        let current = engine.progress();
        if shown.is_none_or(|shown| now.since(shown) >= crate::plans::ms(50)) || current.fraction >= 1.0 {
            progress.push((now, current));
        }
    });
    assert_eq!(engine.deadline(), RunNanos(u64::MAX), "a run that is over has no deadline");
    Run { finished, ended, world, progress }
}

/// Runs the workload in a world that does its part, and audits it.
pub(crate) fn audited(workload: &Workload, seed: u64, quirks: Quirks) -> Run {
    let run = run(workload, seed, quirks);
    audit(&run);
    run
}

/// What is true of every run in a world that does its part, interrupted or not.
pub(crate) fn audit(run: &Run) {
    assert_eq!(run.world.finished.as_ref(), Some(&run.finished));
    every_fault_ends_once(run);
    assert_eq!(run.world.cut, BTreeSet::new(), "links stay cut");
    assert_eq!(run.world.paused, BTreeSet::new(), "nodes stay paused");
    assert_eq!(run.world.killed, BTreeSet::new(), "nodes stay down");
    assert_eq!(run.world.hit_twice, [], "a fault hit what was hit already");
    clients_keep_their_rules(run);
    let marks: Vec<Mark> = run.marks().into_iter().map(|(_, mark)| mark).collect();
    let distinct: BTreeSet<String> = marks.iter().map(|mark| format!("{mark:?}")).collect();
    assert_eq!(distinct.len(), marks.len(), "a landmark stands twice: {marks:?}");
    let fractions: Vec<f64> = run.progress.iter().map(|(_, progress)| progress.fraction).collect();
    assert!(fractions.is_sorted() && fractions.iter().all(|fraction| (0.0..=1.0).contains(fraction)), "{fractions:?}");
    assert_eq!(fractions.last(), Some(&1.0));
}

fn every_fault_ends_once(run: &Run) {
    let mut open: BTreeMap<FaultId, &FaultCommand> = BTreeMap::new();
    let mut over = BTreeSet::new();
    for (at, fault) in run.faults() {
        assert!(fault.scheduled <= at, "{fault:?} comes before it is wanted");
        match fault.edge {
            FaultEdge::Begin => {
                assert!(open.insert(fault.id, fault).is_none() && !over.contains(&fault.id), "{fault:?} begins twice");
                assert!(!fault.nodes.is_empty(), "{fault:?} hits nobody");
            }
            FaultEdge::End => {
                let begin = open.remove(&fault.id).unwrap_or_else(|| panic!("{fault:?} ends without a begin"));
                assert_eq!((begin.kind, &begin.label, &begin.links), (fault.kind, &fault.label, &fault.links));
                over.insert(fault.id);
            }
        }
    }
    assert!(open.is_empty(), "never ended: {open:?}");
}

fn clients_keep_their_rules(run: &Run) {
    // This alone refuses operations that are invoked twice and processes that are busy or ended.
    let operations = run.operations();
    let mut pinned: BTreeMap<ProcessId, NodeId> = BTreeMap::new();
    let mut values = BTreeSet::new();
    for operation in &operations {
        assert!(operation.due <= operation.invoked, "{operation:?}");
        assert!(run.finished == Finished::Interrupted || operation.completed.is_some(), "never ended: {operation:?}");
        if operation.role == ClientRole::Pinned {
            let node = *pinned.entry(operation.process).or_insert(operation.node);
            assert_eq!(node, operation.node, "a pinned client left its node: {operation:?}");
        }
        if let Some(value) = operation.action.written() {
            assert!(values.insert(value), "{value} is written twice");
        }
    }
}
