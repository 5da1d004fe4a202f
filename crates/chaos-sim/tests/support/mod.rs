//! Workloads in a few words, and what a history shows.
#![allow(dead_code, reason = "each test program uses a part")]

use chaos_check::{Budget, Property, Verdict, check};
use chaos_history::{Event, FaultEdge, FaultEvent, History, Seed};
use chaos_plan::{Source, Workload, load_source};
use chaos_sim::{SimOptions, Simulated, simulate};

/// A workload of the reference node with these lines more, and this fault plan (its steps, in YAML's flow style or as lines).
pub(crate) fn workload(more: &str, steps: &str) -> Workload {
    let text = format!(
        "name: test\nabout: Of a test.\nsystem: raft\nnodes: 5\nobserve: {{ every: 10ms }}\n\
         clients:\n  - register: {{ keys: 3, rate: 150/s, mix: {{ read: 2, write: 1, cas: 1 }} }}\n\
         checks: [election-safety, linearizable]\nsettle: 1s\n{more}\nfaults:\n  name: steps\n  about: Of a test.\n  steps:\n{steps}\n"
    );
    let source = Source { name: "test.yaml".to_owned(), text };
    let loaded = load_source(source, &[], &|_| Err(std::io::ErrorKind::NotFound.into()));
    loaded.unwrap_or_else(|errors| panic!("{errors}")).workload
}

/// Simulates it whole.
pub(crate) fn run(workload: &Workload, seed: u64) -> Simulated {
    simulate(workload, Seed(seed), &SimOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// Whether a property is refuted.
pub(crate) fn violates(history: &History, property: Property) -> bool {
    matches!(check(history, property, &Budget::default()).verdict, Verdict::Invalid(_))
}

/// The begins and ends of faults, in order.
pub(crate) fn faults(history: &History, edge: FaultEdge) -> Vec<&FaultEvent> {
    let faults = history.events.iter().filter_map(|recorded| match &recorded.event {
        Event::Fault(fault) => Some(fault),
        Event::Op(_)
        | Event::Observation(_)
        | Event::View(_)
        | Event::Node(_)
        | Event::Stall(_)
        | Event::Note(_)
        | Event::Replica(_) => None,
    });
    faults.filter(|fault| fault.edge == edge).collect()
}
