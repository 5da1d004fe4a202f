//! The history of one run: what was asked, what was answered, who claimed to lead, what was broken and when.
//!
//! A run *produces* a history; everything after that only reads it. So an old run can be judged by a newer checker, a
//! stranger can re-check a verdict with a text editor, and a crash of the harness loses no evidence: the file is appended
//! to as things happen, and a torn last line is tolerated.
//!
//! One clock: every stamp is a [`RunNanos`], nanoseconds of `CLOCK_MONOTONIC` since the run began. All processes of a run
//! live on one host, so stamps of different processes compare without clock error. Wall time stands in the header only.
//!
//! The vocabulary (operation, process, invoke/ok/fail/info) is that of Jepsen and of Herlihy and Wing, "Linearizability: A
//! Correctness Condition for Concurrent Objects" (TOPLAS 1990). The file format is documented in [`format`].
//!
//! This crate refuses to check or to measure: it says what happened, never whether that was right.

mod event;
pub mod format;
mod id;
mod kind;
mod landmark;
pub mod mixing;
mod operation;
mod reign;
mod rundir;
mod testimony;

pub use event::{
    Belief, ElectionRole, Event, FaultEdge, FaultEvent, Link, Mark, NodeEvent, NodeLife, NoteEvent, Observation,
    ObservationOutcome, ObservationSource, Recorded, ReplicaEvent, ReplicaOutcome, ReplicaState, SourcePlace, Stall,
    Stamps,
};
pub use format::{Header, History, HistoryError, HistoryWriter};
pub use id::{FaultId, NodeId, OpId, ParseNodeIdError, ProcessId, Revision, RunNanos, Seed, Term, Value};
pub use kind::{FaultKind, Impact};
pub use operation::{
    Action, ClientRole, Completion, ObjectKind, OpEvent, OpPhase, OpResult, Operation, OperationsError, operations,
};
pub use reign::Reigns;
pub use rundir::RunDir;
pub use testimony::{TermsFrom, Testimony, TestimonyOf, View};
