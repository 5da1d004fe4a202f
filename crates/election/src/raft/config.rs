//! What a Raft node is told at start: the first members, the timeouts, which of the protocol's options are on, and limits.
//!
//! Every queue of the core has its limit here. A wrong configuration is refused at construction, never repaired.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::types::NodeId;

/// The settings of one node. The nodes of a cluster should agree on everything; leases are only safe if they agree on
/// `election_timeout_min`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The members at the birth of the cluster, the same on all nodes, those that join later included. A snapshot or a membership entry in the log replaces it.
    pub members: BTreeSet<NodeId>,
    /// The shortest time without a leader after which a follower campaigns; also how long a voter keeps its promise.
    pub election_timeout_min: Duration,
    /// The longest such time (exclusive unless equal to the minimum); also how long a leader without a quorum stays one.
    pub election_timeout_max: Duration,
    /// The interval between a leader's rounds of `Append`. Shorter than `election_timeout_min`.
    pub heartbeat: Duration,
    /// Ask whether an election could be won before raising the term (thesis §9.6).
    pub pre_vote: bool,
    /// A leader that has not heard a quorum for `election_timeout_max` steps down (thesis §6.2).
    pub check_quorum: bool,
    /// A voter that heard a leader within `election_timeout_min` refuses votes (thesis §4.2.3). Needed for leases.
    pub stickiness: bool,
    /// Serve [`ReadConsistency::Lease`](crate::raft::ReadConsistency::Lease) from the lease (thesis §6.4.1); otherwise such
    /// reads are confirmed by a round like linearizable ones. Needs `stickiness`.
    pub lease_reads: bool,
    /// The lease in percent of `election_timeout_min`, 1 to 100. 80 tolerates clocks whose rates differ by a factor 1.25.
    pub lease_ratio_percent: u32,
    /// Ask for a snapshot once this many entries were applied since the last one. At least 1.
    pub snapshot_threshold: u64,
    /// How many entries before the snapshot stay in memory for followers that lag a little.
    pub trailing_entries: u64,
    /// The most entries in one `Append`. At least 1.
    pub max_batch_entries: usize,
    /// The most command bytes in one `Append`; a single larger entry still travels alone.
    pub max_batch_bytes: usize,
    /// The most unacknowledged `Append`s with entries per follower. At least 1.
    pub max_inflight: usize,
    /// The most uncommitted entries, and the most waiting reads, before new ones are answered `Busy`. At least 1.
    pub max_pending: usize,
}

impl Config {
    /// The defaults for these members: timeouts 150–300 ms (paper §9.3), heartbeat 40 ms, every option on.
    #[must_use]
    pub fn new(members: impl IntoIterator<Item = NodeId>) -> Self {
        Self {
            members: members.into_iter().collect(),
            election_timeout_min: Duration::from_millis(150),
            election_timeout_max: Duration::from_millis(300),
            heartbeat: Duration::from_millis(40),
            pre_vote: true,
            check_quorum: true,
            stickiness: true,
            lease_reads: true,
            lease_ratio_percent: 80,
            snapshot_threshold: 10_000,
            trailing_entries: 1_000,
            max_batch_entries: 256,
            max_batch_bytes: 256 * 1024,
            max_inflight: 16,
            max_pending: 16_384,
        }
    }

    /// Checks the relations between the fields.
    ///
    /// # Errors
    /// The first relation that does not hold.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.heartbeat.is_zero() || self.heartbeat >= self.election_timeout_min {
            return Err(ConfigError::Heartbeat { heartbeat: self.heartbeat, min: self.election_timeout_min });
        }
        if self.election_timeout_min > self.election_timeout_max {
            return Err(ConfigError::Timeouts { min: self.election_timeout_min, max: self.election_timeout_max });
        }
        if self.lease_reads && !self.stickiness {
            return Err(ConfigError::LeaseWithoutPromise);
        }
        if !(1..=100).contains(&self.lease_ratio_percent) {
            return Err(ConfigError::LeaseRatio(self.lease_ratio_percent));
        }
        let limits = [self.max_batch_entries, self.max_inflight, self.max_pending];
        if limits.contains(&0) || self.snapshot_threshold == 0 {
            return Err(ConfigError::ZeroLimit);
        }
        Ok(())
    }
}

/// Why a [`Config`] is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The heartbeat must be positive and shorter than the shortest election timeout.
    #[error("use heartbeat {heartbeat:?}: it must be above zero and below the shortest election timeout {min:?}")]
    Heartbeat {
        /// The heartbeat asked for.
        heartbeat: Duration,
        /// The shortest election timeout.
        min: Duration,
    },
    /// The range of election timeouts is empty.
    #[error("use election timeouts {min:?} to {max:?}: the shortest is longer than the longest")]
    Timeouts {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// A lease is nothing without the voters' promise.
    #[error("use lease reads without stickiness: no voter would honour the lease")]
    LeaseWithoutPromise,
    /// The lease would be empty or outlive the promise.
    #[error("use a lease of {0} percent of the shortest election timeout: it must be 1 to 100")]
    LeaseRatio(u32),
    /// A limit of zero lets nothing pass.
    #[error("use a limit of zero: every limit must be at least 1")]
    ZeroLimit,
}
