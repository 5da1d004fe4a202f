//! Workloads and fault plans: YAML in, typed and validated values out, or every mistake at once with its place.
#![doc = include_str!("language.md")]

pub mod builtin;
pub mod definition;
mod error;
pub mod expect;
mod expect_places;
mod load;
mod model;
mod order;
mod overrides;
mod read;
mod resolved;
mod scalar;
mod schema;
mod source;
mod words;
mod yaml;

pub use error::{PlanErrors, nearest};
pub use expect_places::expectation_places;
pub use load::{Loaded, load, load_source};
pub use model::{
    Awaited, Check, Choice, Clients, DurationRange, Fault, FaultPlan, Filter, Hold, KillSignal, LockWork, Mix, Observe,
    Partition, ProcessTarget, RaftOptions, ReadConsistency, Step, StepAction, System, Target, Until, Work, Workload,
};
pub use overrides::{program_override, system_override};
pub use read::VERSION;
pub use resolved::resolved_yaml;
pub use schema::{SchemaKind, schema};
pub use source::{ReadText, Source};
pub use words::{Table, Word, checks, reference, system_reference, vocabulary};
