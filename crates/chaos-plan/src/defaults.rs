//! What a workload gets that says nothing: a small load that keeps objects contended, and the sound node.
//!
//! Source of the reference node's timeouts: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm" (2014), §9.3.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Clients, DurationRange, LockWork, Mix, RaftOptions, ReadConsistency, Work};

impl Default for RaftOptions {
    /// The sound node with the timeouts of the Raft paper, §9.3.
    fn default() -> Self {
        Self {
            program: None,
            election_timeout: DurationRange { min: Duration::from_millis(150), max: Duration::from_millis(300) },
            heartbeat: Duration::from_millis(40),
            pre_vote: true,
            check_quorum: true,
            stickiness: true,
            lease_reads: false,
            read: ReadConsistency::Linearizable,
            request_timeout: Duration::from_millis(900),
            specimen: None,
            arguments: Vec::new(),
            record: false,
            nodes: BTreeMap::new(),
        }
    }
}

impl Clients {
    /// A load of additions to one set, without reads before the end.
    #[must_use]
    pub fn of_set() -> Self {
        Self { work: Work::Set { reads_millionths: 0 }, keys: 1, ..Self::default() }
    }

    /// Four clients that want one lock.
    #[must_use]
    pub fn of_lock() -> Self {
        let hold = DurationRange { min: Duration::from_millis(50), max: Duration::from_millis(200) };
        Self { roaming: 4, ..Self::holding(Work::Lock(LockWork { hold, accesses: 5, fencing: true })) }
    }

    /// Three candidates for one leadership.
    #[must_use]
    pub fn of_election() -> Self {
        let hold = DurationRange { min: Duration::from_secs(1), max: Duration::from_secs(3) };
        Self { roaming: 3, timeout: Duration::from_secs(10), ..Self::holding(Work::Election { hold }) }
    }

    fn holding(work: Work) -> Self {
        let timeout = Duration::from_secs(5);
        Self { work, keys: 1, rate_per_second: 0.0, pinned: false, timeout, ..Self::default() }
    }
}

impl Default for Clients {
    /// A small load that keeps every register contended.
    fn default() -> Self {
        Self {
            work: Work::Register(Mix { read: 2, write: 1, cas: 1 }),
            keys: 4,
            rate_per_second: 200.0,
            roaming: 4,
            pinned: true,
            timeout: Duration::from_secs(1),
        }
    }
}
