//! Expectations: what a user hopes for, in one line each, for example `failover.writable.p99: < 1500ms`.
//!
//! An expectation never makes a run invalid. It is `met`, `missed`, or can't be told for lack of samples.

use std::time::Duration;

use chaos_history::FaultKind;

/// One expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// As the user wrote it, `failover.writable.p99 < 1500ms`.
    pub text: String,
    /// What is measured.
    pub metric: Metric,
    /// Which figure of it.
    pub statistic: Statistic,
    /// How it is compared.
    pub comparison: Comparison,
    /// The bound: nanoseconds for times, a plain number for counts.
    pub bound: Bound,
}

/// What can be expected of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// A phase of the failovers, of one kind of fault or (`None`) of each kind for itself.
    Failover {
        /// The phase.
        phase: Phase,
        /// `failover.kill.writable…` names the kind.
        kind: Option<FaultKind>,
    },
    /// The number of failovers.
    Failovers,
    /// How many leaders a majority came to name, each of a higher term than the one before; the first one counts.
    Elections,
    /// How many of them took over from a healthy leader, without a fault under way.
    NeedlessElections,
    /// The times without service that open-loop clients saw.
    Outage,
    /// The share of operations that were acknowledged, 0 to 1.
    Availability,
    /// For how long two nodes led at once, in whatever terms.
    Overlap,
    /// For how long an old leader still claimed to lead beside a newer one, after a fault.
    StaleLeader,
    /// For how long an old leader went on claiming to lead: from the cut on, or from the moment on at which a paused one ran again.
    StepDown,
    /// How many acknowledged writes are surely gone: a lower bound.
    LostWrites,
}

/// The phases of a failover, each measured from the fault's injection (DESIGN: t0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The first node stops naming the old leader.
    Detected,
    /// The first claim of a higher term.
    Elected,
    /// A majority names the new leader.
    Converged,
    /// The first write invoked after the fault is acknowledged.
    Writable,
    /// Every probed endpoint that can serve does.
    Available,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [Self::Detected, Self::Elected, Self::Converged, Self::Writable, Self::Available];

    /// The phase's word in plans and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Detected => "detected",
            Self::Elected => "elected",
            Self::Converged => "converged",
            Self::Writable => "writable",
            Self::Available => "available",
        }
    }
}

/// A figure of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// The smallest.
    Min,
    /// The percentile, for example 99.0.
    Percentile(u8),
    /// The largest.
    Max,
    /// The sum.
    Total,
    /// How many; the only one for what is counted, as [`Metric::Failovers`].
    Count,
    /// The value itself; the only one for [`Metric::Availability`].
    Value,
}

/// `<`, `<=`, `>` or `>=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Below.
    Less,
    /// At most.
    AtMost,
    /// Above.
    Greater,
    /// At least.
    AtLeast,
}

/// What a figure is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// A time.
    Time(Duration),
    /// A count.
    Count(u64),
    /// A share in parts per million.
    ShareMillionths(u32),
}
