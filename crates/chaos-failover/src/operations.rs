//! What clients asked and got.
//!
//! Latency counts from the moment an operation was *due* by its open-loop schedule, not from when a stalled client came to
//! send it: otherwise the operations of an outage that were never sent would be missing from its latency (coordinated
//! omission; Tene, "How NOT to Measure Latency").

use std::time::Duration;

use chaos_history::{Action, ClientRole, Completion, OpResult, Operation};

use crate::analysis::{Latency, OperationCounts, OperationPoint, OperationStats, PointOutcome};
use crate::distribution::Sample;
use crate::floor::millionths;
use crate::interval::Interval;

/// Whether the operation is load, as opposed to the final reads, and asks the system: what a lock protects is the harness's own.
pub(crate) fn is_load(operation: &Operation) -> bool {
    match operation.role {
        ClientRole::Roaming | ClientRole::Pinned => !matches!(operation.action, Action::Access { .. }),
        ClientRole::Final => false,
    }
}

/// The operations that stand for what an application sees: the roaming clients' or, without any, all of the load.
pub(crate) fn service(operations: &[Operation]) -> Vec<&Operation> {
    let roaming: Vec<&Operation> =
        operations.iter().filter(|operation| operation.role == ClientRole::Roaming && is_load(operation)).collect();
    if roaming.is_empty() { operations.iter().filter(|operation| is_load(operation)).collect() } else { roaming }
}

/// Whether an operation changed the state and was acknowledged.
pub(crate) fn is_acknowledged_write(operation: &Operation) -> bool {
    match &operation.completion {
        Completion::Ok(OpResult::Written { .. } | OpResult::Cas { swapped: true, .. }) => true,
        Completion::Ok(OpResult::Acquired { .. } | OpResult::Released) => true,
        Completion::Ok(
            OpResult::Read { .. }
            | OpResult::Cas { swapped: false, .. }
            | OpResult::Elements { .. }
            | OpResult::Accessed { .. },
        ) => false,
        Completion::Fail(_) | Completion::Info(_) => false,
    }
}

fn outcome(completion: &Completion) -> PointOutcome {
    match completion {
        Completion::Ok(_) => PointOutcome::Ok,
        Completion::Fail(_) => PointOutcome::Fail,
        Completion::Info(_) => PointOutcome::Info,
    }
}

fn count(counts: &mut OperationCounts, outcome: PointOutcome) {
    match outcome {
        PointOutcome::Ok => counts.ok += 1,
        PointOutcome::Fail => counts.fail += 1,
        PointOutcome::Info => counts.info += 1,
    }
}

/// Counts, latencies and points.
pub(crate) fn statistics(operations: &[Operation], unreadable: Option<String>) -> OperationStats {
    let mut stats = OperationStats { unreadable, ..OperationStats::default() };
    for operation in operations.iter().filter(|operation| is_load(operation)) {
        let outcome = outcome(&operation.completion);
        let counts = match operation.action {
            Action::Read { .. } | Action::Elements { .. } => &mut stats.read,
            Action::Write { .. } | Action::Add { .. } => &mut stats.write,
            Action::Cas { .. } => &mut stats.cas,
            Action::Acquire { .. } | Action::Release { .. } | Action::Access { .. } => &mut stats.lock,
        };
        count(counts, outcome);
        match operation.role {
            ClientRole::Roaming => count(&mut stats.roaming, outcome),
            ClientRole::Pinned => count(&mut stats.pinned, outcome),
            ClientRole::Final => {}
        }
        let latency = operation.completed.map(|completed| completed.since(operation.due));
        if let Some(latency) = latency {
            let pinned = operation.role == ClientRole::Pinned;
            stats.points.push(OperationPoint { due: operation.due, latency, outcome, pinned });
        }
    }
    stats.points.sort_by_key(|point| point.due);
    stats.availability_millionths = availability(&service(operations));
    let acknowledged = stats.points.iter().filter(|point| point.outcome == PointOutcome::Ok);
    stats.latency = latency(acknowledged.map(|point| point.latency));
    stats
}

/// How the operations ended that were due within a stretch of time, and the acknowledged ones' latencies.
pub(crate) fn due_within(operations: &[Operation], window: Interval) -> (OperationCounts, Option<Latency>) {
    let (mut counts, mut latencies) = (OperationCounts::default(), Vec::new());
    for operation in service(operations) {
        if window.lo <= operation.due && operation.due <= window.hi {
            let outcome = outcome(&operation.completion);
            count(&mut counts, outcome);
            let latency = operation.completed.map(|completed| completed.since(operation.due));
            latencies.extend(latency.filter(|_| outcome == PointOutcome::Ok));
        }
    }
    (counts, latency(latencies))
}

fn latency(acknowledged: impl IntoIterator<Item = Duration>) -> Option<Latency> {
    Sample::new(acknowledged).map(|sample| Latency {
        n: sample.n(),
        min: sample.min(),
        p50: sample.quantile(0.5),
        p90: sample.quantile(0.9),
        p99: sample.quantile(0.99),
        p999: sample.quantile(0.999),
        max: sample.max(),
    })
}

fn availability(service: &[&Operation]) -> Option<u32> {
    let acknowledged = service.iter().filter(|operation| outcome(&operation.completion) == PointOutcome::Ok).count();
    (!service.is_empty()).then(|| millionths(acknowledged as f64 / service.len() as f64))
}
