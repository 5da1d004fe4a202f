//! The specimens' names, and what a user is told about them: the rule broken, where it happened, and what convicts it.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A specimen by name, for a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpecimenName {
    /// [`DoubleVote`](super::DoubleVote).
    DoubleVote,
    /// [`HalfIsMajority`](super::HalfIsMajority).
    HalfIsMajority,
    /// [`NoStepDown`](super::NoStepDown).
    NoStepDown,
    /// [`ReadUnconfirmed`](super::ReadUnconfirmed).
    ReadUnconfirmed,
}

impl SpecimenName {
    /// Every specimen, in the order of their names.
    pub const ALL: [Self; 4] = [Self::DoubleVote, Self::HalfIsMajority, Self::NoStepDown, Self::ReadUnconfirmed];

    /// The name on a command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DoubleVote => "double-vote",
            Self::HalfIsMajority => "half-is-majority",
            Self::NoStepDown => "no-step-down",
            Self::ReadUnconfirmed => "read-unconfirmed",
        }
    }

    /// The broken rule in one sentence.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::DoubleVote => "a voter gives its vote of a term to everyone who asks",
            Self::HalfIsMajority => "half of the members, rounded down, count as a majority (at least one)",
            Self::NoStepDown => "a leader stays one, whatever newer terms it hears of and however few followers answer",
            Self::ReadUnconfirmed => "a leader answers linearizable reads without asking whether it still leads",
        }
    }

    /// Real systems that had it, each with its issue.
    #[must_use]
    pub fn instances(self) -> &'static [&'static str] {
        match self {
            Self::DoubleVote => &[
                "https://github.com/djjonno/kerala/issues/18",
                "https://github.com/redpanda-data/redpanda/pull/14",
                "https://github.com/hazelcast/hazelcast/pull/16643",
                "https://github.com/camunda/camunda/issues/5356",
                "https://github.com/nats-io/nats-server/pull/5314",
                "https://github.com/microsoft/CCF/pull/8094",
            ],
            Self::HalfIsMajority => &[
                "https://github.com/elastic/elasticsearch/issues/2488",
                "https://github.com/elastic/elasticsearch/issues/10935",
            ],
            Self::NoStepDown => &[
                "https://github.com/apache/ratis/pull/149",
                "https://github.com/etcd-io/etcd/pull/4779",
                "https://github.com/neo4j/neo4j/pull/8266",
                "https://github.com/databendlabs/openraft/issues/2080",
            ],
            Self::ReadUnconfirmed => &[
                "https://github.com/xnnyygn/xraft/issues/40",
                "https://github.com/atomix/atomix/issues/1013",
                "https://aphyr.com/posts/316",
            ],
        }
    }

    /// Faults against real processes that make it visible, and the property that then fails.
    #[must_use]
    pub fn plan(self) -> &'static str {
        match self {
            Self::DoubleVote => {
                "5 nodes, default options: kill or pause the leader, pause all followers before their timers run out (within \
                 150 ms), resume them together after 400 ms. All campaign for the same term at once and several win it: \
                 ElectionSafety. Equal shortest and longest election timeouts make every failover such a contest"
            }
            Self::HalfIsMajority => {
                "4 or 5 nodes, default options, clients pinned to every node: partition into halves (2|2 or 2|3) for 2 s. Both \
                 sides elect, or keep, a leader and commit: lost acknowledged writes and stale reads (Linearizable), \
                 LeaderOverlap; with 3 nodes any node that is cut off elects itself"
            }
            Self::NoStepDown => {
                "3 or 5 nodes, default options: isolate or pause the leader for 1 s, then heal. It still claims its old term \
                 beside its successor: NoStaleLeaderAfterHeal, and LeaderOverlap without bound"
            }
            Self::ReadUnconfirmed => {
                "3 or 5 nodes, default options, readers pinned to every node at 100/s or more and a writer elsewhere: isolate \
                 the leader for 1 s, or pause it for 150 to 1350 ms with reads in its sockets, again and again. It serves its \
                 old state from the successor's first commit (from about 150 ms) to its own step-down (at 300 to 340 ms): \
                 Linearizable (stale read). Without check_quorum the window lasts as long as the partition"
            }
        }
    }
}

impl fmt::Display for SpecimenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SpecimenName {
    type Err = UnknownSpecimen;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|s| s.as_str() == name).ok_or_else(|| UnknownSpecimen(name.to_owned()))
    }
}

/// A name that no specimen has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("find the specimen `{0}`: known are double-vote, half-is-majority, no-step-down, read-unconfirmed")]
pub struct UnknownSpecimen(pub String);
