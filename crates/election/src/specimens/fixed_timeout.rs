//! `fixed-timeout`: all election timeouts are equal.
//!
//! Broken rule: election timeouts are "chosen randomly from a fixed interval", lest votes are split again and again (paper
//! §5.2).
//!
//! Seen in:
//! - paper §9.3, Fig. 16: 150–150 ms takes more than 10 s: <https://raft.github.io/raft.pdf>
//! - nats-server #3943: <https://github.com/nats-io/nats-server/issues/3943>
//! - sofa-jraft #552: <https://github.com/sofastack/sofa-jraft/issues/552>
//!
//! Shows with: default options.
//!
//! Made visible by: a leader that is gone, and candidates whose own votes take longer to reach the disk than their timers
//! differ: all campaign at once, time after time.
//!
//! Convicts it: BoundedReelection, by `workloads/museum/fixed-timeout.yaml`.

use std::time::Duration;

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "fixed-timeout",
    about: "all election timeouts are equal",
    replaces: "Rules::election_timeout",
    instances: &[
        "https://raft.github.io/raft.pdf",
        "https://github.com/nats-io/nats-server/issues/3943",
        "https://github.com/sofastack/sofa-jraft/issues/552",
    ],
    configuration: "default options",
    plan: "9 nodes: kill the leader and wait for another one. All followers campaign at once, and each has its own vote on \
        the disk before it hears of another candidate",
    property: "BoundedReelection",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(FixedTimeout),
};

/// All election timeouts are equal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct FixedTimeout;

impl Rules for FixedTimeout {
    fn election_timeout(&self, min: Duration, _max: Duration, _draw: u64) -> Duration {
        min
    }
}
