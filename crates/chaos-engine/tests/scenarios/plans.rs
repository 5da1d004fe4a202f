//! Workloads and plans written as values, so that a test shows all that it depends on.

use std::time::Duration;

use chaos_history::{NodeId, SourcePlace};
use chaos_plan::{
    Awaited, Clients, Condition, DurationRange, Fault, FaultPlan, Hindrance, Hold, KillSignal, Mix, Network, Observe,
    Partition, Phase, RaftOptions, ReadConsistency, Step, StepAction, Stop, System, Target, Work, Workload,
};

pub(crate) const HEARTBEAT: Duration = Duration::from_millis(40);

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn range(min_ms: u64, max_ms: u64) -> DurationRange {
    DurationRange { min: ms(min_ms), max: ms(max_ms) }
}

/// A workload of so many nodes with these steps, numbered in reading order.
pub(crate) fn workload(nodes: usize, steps: Vec<StepAction>) -> Workload {
    let raft = RaftOptions {
        program: None,
        election_timeout: range(150, 300),
        heartbeat: HEARTBEAT,
        pre_vote: true,
        check_quorum: true,
        stickiness: true,
        lease_reads: false,
        read: ReadConsistency::Linearizable,
        request_timeout: ms(1_000),
        specimen: None,
        arguments: Vec::new(),
        record: false,
        nodes: std::collections::BTreeMap::new(),
    };
    let mut steps: Vec<Step> = steps.into_iter().map(step).collect();
    number(&mut steps, &mut 0);
    Workload {
        name: "test".to_owned(),
        about: String::new(),
        system: System::Raft(raft),
        nodes,
        seed: None,
        network: Network::default(),
        capture: false,
        clocks: chaos_plan::ClockWay::Vdso,
        observe: Observe { every: ms(5), timeout: ms(100) },
        clients: vec![Clients {
            work: Work::Register(Mix { read: 2, write: 1, cas: 1 }),
            keys: 3,
            rate_per_second: 200.0,
            roaming: 3,
            pinned: true,
            timeout: ms(300),
        }],
        faults: FaultPlan { name: "test plan".to_owned(), about: String::new(), steps },
        checks: Vec::new(),
        expect: Vec::new(),
        expect_violations: Vec::new(),
        start_within: ms(5_000),
        settle: ms(500),
        limit: ms(300_000),
    }
}

/// A step whose number is given by [`number`].
pub(crate) fn step(action: StepAction) -> Step {
    Step { number: 0, place: SourcePlace { file: "test.yaml".to_owned(), line: 1, column: 1 }, action }
}

/// Numbers the steps in reading order, and lets each stand on a line of its own.
pub(crate) fn number(steps: &mut [Step], next: &mut usize) {
    for step in steps {
        step.number = *next;
        step.place.line = *next + 1;
        *next += 1;
        step.action.nested_mut().into_iter().for_each(|steps| number(steps, next));
    }
}

pub(crate) fn nodes(numbers: &[u16]) -> Target {
    Target::Nodes(numbers.iter().copied().map(NodeId::new).collect())
}

pub(crate) fn kill(target: Target) -> Fault {
    Fault::Kill { target, process: None, signal: KillSignal::KILL }
}

pub(crate) fn pause(target: Target) -> Fault {
    Fault::Pause { target, process: None }
}

pub(crate) fn isolate(target: Target) -> Fault {
    Fault::partition(Partition::Isolate(target))
}

/// Up for 100 to 300 ms, down for 50.
pub(crate) fn crash_loop(target: Target) -> Fault {
    Fault::CrashLoop { target, up: range(100, 300), down: range(50, 50) }
}

pub(crate) fn slow(target: Target) -> Fault {
    Fault::Hinder { target, how: Hindrance::Slow { run: ms(1), every: ms(10) } }
}

/// A fault that ends after a time from the range, in milliseconds.
pub(crate) fn lasting(fault: Fault, min_ms: u64, max_ms: u64) -> StepAction {
    fault_step(fault, Hold::For(range(min_ms, max_ms)))
}

/// A fault that stays.
pub(crate) fn open(fault: Fault) -> StepAction {
    fault_step(fault, Hold::Open)
}

pub(crate) fn fault_step(fault: Fault, hold: Hold) -> StepAction {
    StepAction::Fault { fault, hold, phase: Phase::Drawn, name: None }
}

/// The same fault with another phase.
pub(crate) fn phased(mut action: StepAction, wanted: Phase) -> StepAction {
    if let StepAction::Fault { phase, .. } = &mut action {
        *phase = wanted;
    }
    action
}

/// The same fault with a name.
pub(crate) fn named(mut action: StepAction, wanted: &str) -> StepAction {
    if let StepAction::Fault { name, .. } = &mut action {
        *name = Some(wanted.to_owned());
    }
    action
}

/// Steps that something sets off at once.
pub(crate) fn on(condition: Condition, within_ms: u64, steps: Vec<StepAction>) -> StepAction {
    let steps = steps.into_iter().map(step).collect();
    StepAction::On { condition, after: range(0, 0), within: ms(within_ms), steps }
}

/// Branches that begin at once.
pub(crate) fn together(branches: Vec<Vec<StepAction>>) -> StepAction {
    let branches = branches.into_iter().map(|steps| steps.into_iter().map(step).collect()).collect();
    StepAction::Together { phase: Phase::AtOnce, branches }
}

pub(crate) fn repeat_until(
    times: u32,
    condition: Condition,
    within_ms: Option<u64>,
    steps: Vec<StepAction>,
) -> StepAction {
    let until = Some(Stop { condition, within: within_ms.map(ms) });
    StepAction::Repeat { times, until, steps: steps.into_iter().map(step).collect() }
}

pub(crate) fn await_leader(within_ms: u64) -> StepAction {
    StepAction::Await { what: Awaited::Leader, within: ms(within_ms) }
}

pub(crate) fn await_stable(for_ms: u64, within_ms: u64) -> StepAction {
    StepAction::Await { what: Awaited::Stable(ms(for_ms)), within: ms(within_ms) }
}

pub(crate) fn wait(min_ms: u64, max_ms: u64) -> StepAction {
    StepAction::Wait(range(min_ms, max_ms))
}

pub(crate) fn repeat(times: u32, steps: Vec<StepAction>) -> StepAction {
    StepAction::Repeat { times, until: None, steps: steps.into_iter().map(step).collect() }
}
