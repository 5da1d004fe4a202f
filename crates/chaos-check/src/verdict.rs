//! Properties, verdicts and witnesses: what goes into a check and what comes out.
//!
//! Properties keep the names of the papers that define them. A verdict is never a bare yes or no: `Invalid` names lines of
//! the history, `Unknown` names what was missing.

use std::fmt;
use std::time::Duration;

use chaos_history::{NodeId, RunNanos};

use crate::linear::picture::Picture;

/// Something that must hold of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    /// At most one leader per term, over the whole run (Raft, figure 3).
    ElectionSafety,
    /// A node votes for at most one candidate per term, restarts included (Raft, figure 2).
    SingleVote,
    /// A node's term never goes back, restarts included.
    TermMonotonic,
    /// Every key behaves as one atomic register that is absent at first (Herlihy and Wing).
    Linearizable,
    /// The final reads show no value older than an acknowledged write.
    NoAcknowledgedWriteLost,
    /// No two clients hold one lock at one moment, as far as both can be proved (Dijkstra).
    MutualExclusion,
    /// Fencing tokens rise from holder to holder, and the resource accepts no smaller one after a larger (Kleppmann).
    FencingMonotonic,
    /// What a lock protects is used by one holder after the other, never by one that was deposed.
    ExclusiveAccess,
    /// Whenever a majority clique is up, connected and unpaused for `within`, a majority names one leader meanwhile.
    BoundedReelection {
        /// The bound, above zero.
        within: Duration,
    },
    /// Once everything has been healed for `within`, at most one node claims to lead, and none for a superseded term.
    NoStaleLeaderAfterHeal {
        /// The bound; may be zero.
        within: Duration,
    },
    /// Once everything has been healed for `within`, clients' changes are acknowledged again.
    Recovers {
        /// The bound, above zero.
        within: Duration,
    },
    /// In the end all nodes hold the same state.
    ReplicasAgree,
    /// At no instant do two nodes both lead, whatever their terms; or for no longer than this at a stretch.
    OneLeaderAtATime {
        /// For how long two may lead; usually zero.
        allowed: Duration,
    },
}

impl Property {
    /// The property's name, without its bound.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ElectionSafety => "ElectionSafety",
            Self::SingleVote => "SingleVote",
            Self::TermMonotonic => "TermMonotonic",
            Self::Linearizable => "Linearizable",
            Self::NoAcknowledgedWriteLost => "NoAcknowledgedWriteLost",
            Self::MutualExclusion => "MutualExclusion",
            Self::FencingMonotonic => "FencingMonotonic",
            Self::ExclusiveAccess => "ExclusiveAccess",
            Self::BoundedReelection { .. } => "BoundedReelection",
            Self::NoStaleLeaderAfterHeal { .. } => "NoStaleLeaderAfterHeal",
            Self::Recovers { .. } => "Recovers",
            Self::ReplicasAgree => "ReplicasAgree",
            Self::OneLeaderAtATime { .. } => "OneLeaderAtATime",
        }
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BoundedReelection { within }
            | Self::NoStaleLeaderAfterHeal { within }
            | Self::Recovers { within } => {
                write!(f, "{} within {within:?}", self.name())
            }
            Self::OneLeaderAtATime { allowed } if !allowed.is_zero() => {
                write!(f, "{} but for {allowed:?}", self.name())
            }
            Self::OneLeaderAtATime { .. }
            | Self::ElectionSafety
            | Self::SingleVote
            | Self::TermMonotonic
            | Self::Linearizable
            | Self::NoAcknowledgedWriteLost
            | Self::MutualExclusion
            | Self::FencingMonotonic
            | Self::ExclusiveAccess
            | Self::ReplicasAgree => f.write_str(self.name()),
        }
    }
}

/// What a checker concludes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The property holds for everything that the history shows.
    Valid,
    /// The property does not hold, and here is why.
    Invalid(Witness),
    /// Nothing can be said; the text says why.
    Unknown(String),
}

/// Why a property does not hold, in a form that a stranger can re-check with a text editor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// One English sentence.
    pub sentence: String,
    /// The lines of the history that refute the property by themselves, ascending, each once.
    pub lines: Vec<usize>,
    /// The argument, one line each; each names its place in the history as `line N`.
    pub steps: Vec<String>,
    /// The moment at which the violation was complete.
    pub at: RunNanos,
    /// The nodes concerned, ascending, each once.
    pub nodes: Vec<NodeId>,
    /// The operations concerned, drawn; `None` where the argument is not about operations.
    pub picture: Option<Picture>,
}

impl Witness {
    /// A witness with its lines and nodes in order and without repetition.
    pub(crate) fn new(
        sentence: String,
        mut lines: Vec<usize>,
        steps: Vec<String>,
        at: RunNanos,
        mut nodes: Vec<NodeId>,
    ) -> Self {
        lines.sort_unstable();
        lines.dedup();
        nodes.sort_unstable();
        nodes.dedup();
        Self { sentence, lines, steps, at, nodes, picture: None }
    }
}

/// A property, what was concluded, and from how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was checked.
    pub property: Property,
    /// What was concluded.
    pub verdict: Verdict,
    /// What the conclusion rests on, for people: `terms 1–23, 61,204 observations`.
    pub basis: String,
}

/// The conclusion over several properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Overall {
    /// All valid.
    Valid,
    /// None invalid, at least one unknown; also when nothing was checked.
    Unknown,
    /// At least one invalid.
    Invalid,
}

/// Sums outcomes up: a definite violation outranks what is unknown, which outranks what is valid. No outcome at all is
/// unknown.
#[must_use]
pub fn overall(outcomes: &[Outcome]) -> Overall {
    let rank = |outcome: &Outcome| match outcome.verdict {
        Verdict::Valid => Overall::Valid,
        Verdict::Invalid(_) => Overall::Invalid,
        Verdict::Unknown(_) => Overall::Unknown,
    };
    outcomes.iter().map(rank).max().unwrap_or(Overall::Unknown)
}
