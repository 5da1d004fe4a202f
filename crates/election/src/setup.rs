//! What a node of a protocol without a log is told at start: who takes part, and how long anybody waits for anything.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::raft::Config;
use crate::types::NodeId;

/// The settings of one node; all nodes of a cluster should have the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// Who takes part; as a rule with the node itself.
    pub members: BTreeSet<NodeId>,
    /// The interval between two signs of life of a leader, and what a live node needs at most to answer a message.
    pub heartbeat: Duration,
    /// The shortest silence after which a node takes the leader for gone; longer than a heartbeat.
    pub timeout_min: Duration,
    /// The longest such silence (exclusive unless equal to the shortest). Leases last so long.
    pub timeout_max: Duration,
}

impl Setup {
    /// The defaults for these members, which are those of [`Config::new`]: 150–300 ms, heartbeat 40 ms.
    #[must_use]
    pub fn new(members: impl IntoIterator<Item = NodeId>) -> Self {
        Self::from(&Config::new(members))
    }

    /// How many nodes are more than half.
    #[must_use]
    pub fn majority(&self) -> usize {
        self.members.len() / 2 + 1
    }

    /// How long the holder of a lease relies on it, counted from before it asked: four fifths of what the granters count from after
    /// they were asked. So no clock may run 1.25 times as fast as another one.
    #[must_use]
    pub fn lease_relied_on(&self) -> Duration {
        self.timeout_max * 4 / 5
    }
}

impl From<&Config> for Setup {
    fn from(config: &Config) -> Self {
        Self {
            members: config.members.clone(),
            heartbeat: config.heartbeat,
            timeout_min: config.election_timeout_min,
            timeout_max: config.election_timeout_max,
        }
    }
}
