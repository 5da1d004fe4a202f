//! What an analysis says: plain values, written as integers of nanoseconds, intervals as `[lo, hi]`.

use std::time::Duration;

use chaos_history::{FaultId, FaultKind, NodeId, RunNanos, SourcePlace, Stall, Term, Testimony, Value};
use chaos_plan::expect::Phase;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::distribution::Distribution;
use crate::floor::Floor;
use crate::incident::Incident;
use crate::interval::{Elapsed, Interval, as_nanos, as_nanos_option};
use crate::timeline::Timeline;

/// Everything that can be measured from one history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Analysis {
    /// How many nodes the cluster has.
    pub nodes: usize,
    /// What the nodes' answers are: with the system's terms or with numbers of reigns, with the leader's name or without.
    #[serde(default)]
    pub testimony: Testimony,
    /// The last stamp of the history.
    pub end: RunNanos,
    /// Every fault that took the leader away, in order of injection.
    pub failovers: Vec<Failover>,
    /// One distribution per kind of fault and phase that has samples. Kinds are never mixed.
    pub distributions: Vec<Distribution>,
    /// What the system's own timeouts allow, where they are known.
    pub floor: Option<Floor>,
    /// Every time without service that clients saw, in order.
    pub outages: Vec<Outage>,
    /// How many leaders a majority came to name, each of a higher term than the one before; the first one counts.
    #[serde(default)]
    pub elections: u64,
    /// Every leader that came without a fault under way and is no failover's, the first one left out.
    #[serde(default)]
    pub unplanned: Vec<Unplanned>,
    /// Every pair of leaderships that did, or may have, overlapped in time.
    pub overlaps: Vec<Overlap>,
    /// For how long there was more than one leader, the run over: certainly (`lo`) and at most (`hi`). No moment counts twice.
    #[serde(default)]
    pub overlap_total: Elapsed,
    /// Acknowledged writes that are surely gone, see [`LostWrite`].
    #[serde(default)]
    pub lost_writes: Vec<LostWrite>,
    /// What clients asked and got.
    pub operations: OperationStats,
    /// What nodes were asked and said.
    pub observed: Observed,
    /// When the host did not let the harness run.
    pub stalls: Vec<Stall>,
    /// What went otherwise than the plan meant it.
    pub incidents: Vec<Incident>,
    /// For drawings; not part of the JSON report, since the history has it.
    #[serde(skip)]
    pub timeline: Timeline,
}

impl Analysis {
    /// The samples of one kind and phase: the upper bounds, in order of injection.
    #[must_use]
    pub fn samples(&self, kind: FaultKind, phase: Phase) -> Vec<Duration> {
        let of_kind = self.failovers.iter().filter(|failover| failover.kind == kind);
        of_kind.filter_map(|failover| failover.phases.get(phase).quoted()).collect()
    }

    /// The longest outage of the run.
    #[must_use]
    pub fn outage_max(&self) -> Option<Duration> {
        self.outages.iter().map(|outage| outage.lasted).max()
    }
}

/// A node that led a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct TermLeader {
    /// The node.
    pub node: NodeId,
    /// Its term.
    pub term: Term,
}

/// A fault that took the leader away, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failover {
    /// The fault.
    pub fault: FaultId,
    /// Its kind.
    pub kind: FaultKind,
    /// The plan's words for it.
    pub label: String,
    /// The plan's line.
    pub source: Option<SourcePlace>,
    /// The leader that was taken away.
    pub old: TermLeader,
    /// The leader that a majority came to name or, if none did, the first that was elected.
    pub new: Option<TermLeader>,
    /// t0: the fault's true beginning lies between the first system call and the confirmed effect.
    pub injected: Interval,
    /// t1: the last acknowledgement by the old leader before the fault ended; may be before t0.
    pub last_acknowledged: Option<Interval>,
    /// t2 … t6.
    pub phases: Phases,
    /// t7: the fault's true end.
    pub healed: Option<Interval>,
    /// What happened after the heal; `None` if there was none.
    pub aftermath: Option<HealAftermath>,
    /// How many terms it took: new term − old term.
    pub terms_consumed: Option<u64>,
    /// How many of those nobody was seen to lead: split votes, or candidates that were never heard.
    pub terms_without_leader: Option<u64>,
    /// The longest of the outages that belong to this fault, see [`Outage::fault`].
    #[serde(with = "as_nanos_option")]
    pub outage: Option<Duration>,
    /// How long the old leader claimed to lead beside a newer one.
    pub overlap: Elapsed,
    /// When the old leader stopped claiming its term. Of a partition from t0 on; of a pause from the moment on at which it ran
    /// again; `None` of a kill (it ends with its process), of a pause that never ended, and in older reports.
    #[serde(default)]
    pub step_down: Option<PhaseOutcome>,
    /// Acknowledged writes that are surely gone and belong to this failover, see [`LostWrite::fault`].
    #[serde(default)]
    pub lost_writes: u64,
    /// How the operations ended that were due between t0 and the last phase that was reached (the end of the watching, if none
    /// was): those of roaming clients, if there are any.
    #[serde(default)]
    pub clients: OperationCounts,
    /// Latencies of the acknowledged ones, from the moment they were due. `None` if there are none.
    #[serde(default)]
    pub latency: Option<Latency>,
    /// Whether the host stalled meanwhile, so that the figures are doubtful.
    pub stalled: bool,
}

/// An acknowledged write that is surely gone: every final read of its key shows a value that was acknowledged before it began, or
/// none at all; of a set, no node's last answer has the element. A lower bound: of concurrent writes and of unknown outcomes nothing is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LostWrite {
    /// The key.
    pub key: String,
    /// What was written.
    pub value: Value,
    /// Who acknowledged it.
    pub node: NodeId,
    /// When it was asked.
    pub invoked: RunNanos,
    /// When the client learned that it was done.
    pub acknowledged: RunNanos,
    /// The failover whose old leader acknowledged it during its own fault; otherwise the first that began after it was asked.
    pub fault: Option<FaultId>,
}

/// The moments from t2 to t6.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Phases {
    /// t2: the first node other than the old leader stops naming it: names nobody, another, or a higher term. Where nodes speak only
    /// of themselves: the first further observer at another node does.
    pub detected: PhaseOutcome,
    /// t3: the first claim to lead a higher term, by the claimant's own word or by a follower's belief.
    pub elected: PhaseOutcome,
    /// t4: a majority of all nodes names one leader of a higher term. Where nodes speak only of themselves: exactly one claims to
    /// lead, which says nothing of what the others believe.
    pub converged: PhaseOutcome,
    /// t5: the first write (or compare-and-set that took effect) invoked after t0 is acknowledged by a node other than the
    /// old leader, or by the old leader after the fault's end.
    pub writable: PhaseOutcome,
    /// t6: the cluster is writable and every endpoint serves. Endpoints are the nodes that are up, unpaused and connected both
    /// ways with the new leader at t4; one serves from its first acknowledged operation invoked after t0 or, unless it is the
    /// leader itself, from its first answer that names a leader of a higher term (it then sends clients the right way).
    pub available: PhaseOutcome,
}

impl Phases {
    /// One of them.
    #[must_use]
    pub fn get(&self, phase: Phase) -> &PhaseOutcome {
        match phase {
            Phase::Detected => &self.detected,
            Phase::Elected => &self.elected,
            Phase::Converged => &self.converged,
            Phase::Writable => &self.writable,
            Phase::Available => &self.available,
        }
    }
}

/// Whether a phase was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhaseOutcome {
    /// It was.
    Reached(Reached),
    /// It was not, which is a result and no error.
    NotReached(NotReached),
}

impl PhaseOutcome {
    /// The moment, if it was reached.
    #[must_use]
    pub fn reached(&self) -> Option<Reached> {
        match self {
            Self::Reached(reached) => Some(*reached),
            Self::NotReached(_) => None,
        }
    }

    /// The figure that reports quote: the upper bound of the time from t0.
    #[must_use]
    pub fn quoted(&self) -> Option<Duration> {
        self.reached().map(|reached| reached.after.hi)
    }
}

/// A phase that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reached {
    /// When.
    pub at: Interval,
    /// How long after t0.
    pub after: Elapsed,
}

/// A phase that was not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotReached {
    /// Why the watching ended.
    pub why: Why,
    /// How long it was watched for: had it come, it would have taken longer than this.
    #[serde(with = "as_nanos")]
    pub watched: Duration,
}

/// Why a phase was not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The fault ended first, and the old leader went on or somebody was elected later.
    FaultEnded,
    /// The next fault took the next leader away first.
    NextFault,
    /// The run ended first.
    RunEnded,
    /// The fault left no node that could reach a majority, so nobody could be elected.
    NoMajority,
    /// An earlier phase was not reached.
    NotElected,
    /// No client asked anything that could tell.
    NoClients,
    /// Nodes speak only of themselves, and nobody else told.
    NotTold,
}

impl Why {
    /// For people.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::FaultEnded => "never failed over before the fault ended",
            Self::NextFault => "the next fault came first",
            Self::RunEnded => "the run ended first",
            Self::NoMajority => "no node could reach a majority",
            Self::NotElected => "nobody was elected",
            Self::NoClients => "no client could tell",
            Self::NotTold => "nodes speak only of themselves",
        }
    }
}

/// What happened between the heal and the next fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HealAftermath {
    /// t8: the last change of the highest term or of the majority's leader; `None` if nothing changed any more.
    pub last_disturbance: Option<Interval>,
    /// Leaders elected after the heal although a majority had one already: needless elections.
    pub elections: u64,
    /// The longest time without service that began after the heal and was over before the next fault.
    #[serde(with = "as_nanos_option")]
    pub outage: Option<Duration>,
}

/// A time without service: no acknowledgement between `from` and `to`, while clients were asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outage {
    /// The last acknowledgement before.
    pub from: RunNanos,
    /// The first acknowledgement after, or the end of the load.
    pub to: RunNanos,
    /// `to − from`.
    #[serde(with = "as_nanos")]
    pub lasted: Duration,
    /// Whether service came back before the load ended.
    pub ended: bool,
    /// The fault that it belongs to: the first (of those that took a leader away, if there are any) whose injection falls into
    /// it, otherwise the last that was injected before it. `None` before any fault.
    #[serde(default)]
    pub fault: Option<FaultId>,
}

/// A leader that a majority came to name though no fault was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unplanned {
    /// The new leader.
    pub leader: TermLeader,
    /// When a majority named it.
    pub at: Interval,
    /// The last fault that had ended before, which may have left a mark.
    pub after: Option<FaultId>,
    /// Whether the host stalled in the half second before, which is a fault that nobody planned.
    pub stalled: bool,
    /// The leader before it.
    #[serde(default)]
    pub previous: Option<TermLeader>,
    /// Whether it was needless: the leader before it was up, unpaused and connected with a majority of live nodes in the half
    /// second before and until the new one was named, and the host did not stall.
    #[serde(default)]
    pub needless: bool,
}

/// Two leaderships of different nodes in one stretch of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Overlap {
    /// The leader of the earlier term.
    pub older: TermLeader,
    /// The leader of the later term (of the same one if election safety is violated).
    pub newer: TermLeader,
    /// For how long both led for certain (`lo`) and may have led at most (`hi`).
    pub lasted: Elapsed,
    /// Where that was: the stretch that is certain or, without one, the possible one.
    pub span: Interval,
}

/// What clients asked and got, final reads left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OperationStats {
    /// Reads.
    pub read: OperationCounts,
    /// Writes.
    pub write: OperationCounts,
    /// Compare-and-sets; one that was decided against is `ok` too.
    pub cas: OperationCounts,
    /// Locks taken, given back, and uses of what they protect.
    #[serde(default)]
    pub lock: OperationCounts,
    /// Those of roaming clients, all kinds together.
    #[serde(default)]
    pub roaming: OperationCounts,
    /// Those of clients that stay with one node, all kinds together.
    #[serde(default)]
    pub pinned: OperationCounts,
    /// The share of operations that were acknowledged, in parts per million: of the roaming clients' if there are any (a
    /// client that stays with a follower is refused by design), of all otherwise. `None` without operations.
    pub availability_millionths: Option<u32>,
    /// Latencies of acknowledged operations from the moment they were *due*, so that a stalled client doesn't hide what the
    /// operations that it never sent would have suffered (coordinated omission). `None` without acknowledged operations.
    pub latency: Option<Latency>,
    /// Why there are no figures, if the history's operations don't fit together.
    pub unreadable: Option<String>,
    /// Every operation, for drawings only.
    #[serde(skip)]
    pub points: Vec<OperationPoint>,
}

impl OperationCounts {
    /// All of them.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.ok + self.fail + self.info
    }
}

impl OperationStats {
    /// All kinds together.
    #[must_use]
    pub fn total(&self) -> OperationCounts {
        let kinds = [&self.read, &self.write, &self.cas, &self.lock];
        let sum = |pick: fn(&OperationCounts) -> u64| kinds.map(pick).iter().sum();
        OperationCounts { ok: sum(|c| c.ok), fail: sum(|c| c.fail), info: sum(|c| c.info) }
    }
}

/// How operations ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OperationCounts {
    /// Happened.
    pub ok: u64,
    /// Did not happen.
    pub fail: u64,
    /// Nobody knows.
    pub info: u64,
}

/// Figures of a latency distribution, in nanoseconds from due to acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// How many acknowledged operations.
    pub n: u64,
    /// The smallest.
    #[serde(with = "as_nanos")]
    pub min: Duration,
    /// The median.
    #[serde(with = "as_nanos")]
    pub p50: Duration,
    /// 90 %.
    #[serde(with = "as_nanos")]
    pub p90: Duration,
    /// 99 %.
    #[serde(with = "as_nanos")]
    pub p99: Duration,
    /// 99.9 %.
    #[serde(with = "as_nanos")]
    pub p999: Duration,
    /// The largest.
    #[serde(with = "as_nanos")]
    pub max: Duration,
}

/// One operation as a point of a drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationPoint {
    /// When it was due.
    pub due: RunNanos,
    /// From due to the client's learning of the end.
    pub latency: Duration,
    /// How it ended.
    pub outcome: PointOutcome,
    /// Whether it stems from a client that stays with one node.
    pub pinned: bool,
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PointOutcome {
    /// Happened.
    Ok,
    /// Did not happen.
    Fail,
    /// Nobody knows.
    Info,
}

/// What nodes were asked and said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Observed {
    /// Answers of nodes.
    pub answers: u64,
    /// Questions without an answer.
    pub silences: u64,
    /// Answers that claimed to lead.
    pub claims: u64,
    /// The lowest and the highest term seen; term 0, before the first election, is none.
    pub terms: Option<(Term, Term)>,
    /// Questions to further observers, answered or not.
    #[serde(default)]
    pub views: u64,
}
