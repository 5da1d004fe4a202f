//! Workloads and fault plans: YAML in, typed and validated values out, or every mistake at once with its place.
#![doc = include_str!("language.md")]

pub mod builtin;
mod conditions;
mod control;
mod defaults;
pub mod definition;
mod error;
pub mod expect;
mod expect_places;
mod fault;
mod load;
mod model;
mod order;
mod overrides;
mod parts;
mod proxied;
mod read;
mod resolved;
mod scalar;
mod schema;
mod source;
mod wire;
mod words;
mod yaml;

pub use control::{Condition, LeaderChange, LinkSelector, Phase, Stop, TermMark, Ways, all_steps};
pub use error::{PlanErrors, nearest};
pub use expect_places::expectation_places;
pub use fault::{Fault, Hindrance, KillSignal, Limit, Partition, ProcessTarget};
pub use load::{Loaded, load, load_source};
pub use model::{
    Awaited, Changes, Check, Choice, Clients, ClockWay, DurationRange, FaultPlan, Filter, Hold, LockWork, Mix, Network,
    Observe, RaftOptions, ReadConsistency, Step, StepAction, System, Target, Until, Work, Workload,
};
pub use order::shortest;
pub use overrides::{program_override, system_override};
pub use parts::{CallFault, ClockFault, Damage, DiskFailure, DiskFault, FileSystem, Keep};
pub use read::VERSION;
pub use resolved::resolved_yaml;
pub use scalar::{write_duration, write_duration_range};
pub use schema::{SchemaKind, schema};
pub use source::{ReadText, Source};
pub use wire::{CutMode, Distribution, DropMode, HealMode, Jitter, LinkConditions, Loss, Reorder};
pub use words::{Table, Word, checks, reference, system_reference, vocabulary};
