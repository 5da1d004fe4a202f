//! How long was the cluster without a leader, and how sure is that figure?
//!
//! [`analyse`] reads a history and finds every fault that took the leader away. For each it says when the others noticed,
//! when somebody was elected, when a majority agreed, when a write was acknowledged again and when every endpoint served:
//! the phases t0 … t8 of [`Failover`]. Nobody saw those moments happen. They lie between two answers of a node, and each is
//! therefore an [`Interval`]: a lower and an upper bound, with the measurement's own error as its width.
//!
//! ```text
//!  old leader ──ack──ack─╳t0            (killed, paused or cut off from a majority)
//!  n2  follows n1 ········|····candidate·····leader············   t2 detected    first that stops naming n1
//!  n3  follows n1 ········|·····························follows   t3 elected     first claim of a higher term
//!  majority               |                                |      t4 converged   a majority names the new leader
//!  clients      ok  ok  ok|  no answer …                     ok   t5 writable    first write invoked after t0 acknowledged
//! ```
//!
//! **What is quoted is the upper bound.** "Elected after 212 ms" means: not later than that. A lower figure would be a
//! guess that flatters the system; the lower bound stands beside it.
//!
//! **Systems that tell less.** Where no term is shown, the history numbers reigns as they were seen, and the same phases follow from
//! those numbers. Where nodes speak only of themselves, `converged` is the first moment at which exactly one of them claimed to
//! lead, and `detected` is told by further observers or not at all ([`Why::NotTold`]); [`Analysis::testimony`] says which it is.
//!
//! This crate refuses to judge safety (that is `chaos-check`) and to draw anything (`chaos-report`). It has no clock, reads no
//! file and draws no random number: the same history gives the same analysis for ever.
//!
//! Source: Ongaro, "Consensus: Bridging Theory and Practice" (2014): chapter 3 for what a claim or a belief proves of a term,
//! chapter 9 for how long an election takes.

mod analysis;
mod beliefs;
mod claims;
mod compare;
mod conditions;
mod curve;
mod distribution;
mod expect;
mod failover;
mod fit;
mod floor;
mod hlog;
mod incident;
mod interval;
mod lost;
mod operations;
mod outage;
mod overlap;
mod pool;
mod step_down;
mod timeline;
mod unplanned;
mod views;

pub use analysis::{
    Analysis, Failover, HealAftermath, Latency, LostWrite, NotReached, Observed, OperationCounts, OperationPoint,
    OperationStats, Outage, Overlap, PhaseOutcome, Phases, PointOutcome, Reached, TermLeader, Unplanned, Why,
};
pub use compare::{
    CompareOptions, Comparison, Incomparable, Outcome, Rate, RateRow, Row, Share, Side, Statistic, compare,
};
pub use distribution::{Distribution, Figures, distributions, distributions_over, samples_needed};
pub use expect::{Figure, Judgement, evaluate};
pub use failover::analyse;
pub use fit::{Estimate, Fit, SweepPoint, Unfit, fit};
pub use floor::{Floor, FloorTime, Timing};
pub use hlog::{HlogError, hlog, hlog_of, merge_hlogs};
pub use incident::Incident;
pub use interval::{Elapsed, Interval};
pub use pool::{PhaseSample, Pool, PooledFailover, PooledRun, Setting, SystemFacts};
pub use timeline::{Asked, FaultBand, Landmark, Lane, LifeSegment, LifeState, RoleSegment, Timeline};

#[cfg(test)]
mod failover_tests;
#[cfg(test)]
mod less_told_tests;
#[cfg(test)]
mod sample;
