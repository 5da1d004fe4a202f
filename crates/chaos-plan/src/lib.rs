//! Workloads and fault plans: YAML in, typed and validated values out, or every mistake at once with its place.

pub mod expect;
mod model;

pub use model::{
    Awaited, Check, Choice, Clients, DurationRange, Fault, FaultPlan, Filter, Hold, KillSignal, Mix, Observe, Partition,
    RaftOptions, ReadConsistency, Step, StepAction, System, Target, Workload,
};
