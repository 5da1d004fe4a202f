//! `read-before-no-op`: a new leader answers reads before an entry of its own term is committed.
//!
//! Broken rule: "if the leader has not yet marked an entry from its current term committed, it waits until it has done so"
//! (thesis §6.4).
//!
//! Seen in:
//! - etcd #7331: <https://github.com/etcd-io/etcd/issues/7331>
//! - redisraft #22: <https://github.com/RedisLabs/redisraft/pull/22>
//! - tikv #6340: <https://github.com/tikv/tikv/pull/6340>
//! - adjoint-io/raft #54: <https://github.com/adjoint-io/raft/pull/54>
//!
//! Shows with: default options.
//!
//! Made visible by: A leader dies right after a write was acknowledged; its successor has the write and does not know that it
//! is committed. Reads that a quorum confirms before the no-op is committed miss it: the quorum must answer the first round
//! without having the no-op, because it lags.
//!
//! Convicts it: Linearizable, by `workloads/museum/read-before-no-op.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;
use crate::types::LogIndex;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "read-before-no-op",
    about: "a new leader answers reads before an entry of its own term is committed",
    replaces: "Rules::read_index",
    instances: &[
        "https://github.com/etcd-io/etcd/issues/7331",
        "https://github.com/RedisLabs/redisraft/pull/22",
        "https://github.com/tikv/tikv/pull/6340",
        "https://github.com/adjoint-io/raft/pull/54",
    ],
    configuration: "default options",
    plan: "3 nodes: one follower lags by many batches; links get some delay, and the leader is cut off with acknowledged writes of which \
        the other follower does not know that they are. It is elected by the laggard, whose rounds it counts long before the no-op is there",
    property: "Linearizable",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(ReadBeforeNoOp),
};

/// A new leader answers reads before an entry of its own term is committed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct ReadBeforeNoOp;

impl Rules for ReadBeforeNoOp {
    fn read_index(&self, commit: LogIndex, _noop: LogIndex) -> LogIndex {
        commit
    }
}
