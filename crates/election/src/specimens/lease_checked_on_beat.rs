//! `lease-checked-on-beat`: a leader looks at its lease when it sends a heartbeat, and believes the result until the next one.
//!
//! Broken rule: a lease must hold at the moment of its use; any pause may lie between the look and the use (Gray and Cheriton,
//! 1989, §5).
//!
//! Seen in:
//! - sofa-jraft #25: <https://github.com/sofastack/sofa-jraft/issues/25>
//! - sofa-jraft #34: <https://github.com/sofastack/sofa-jraft/pull/34>
//!
//! Shows with: lease reads.
//!
//! Made visible by: a leader whose protocol is held up for longer than its lease, by a disk that hangs for example: when it
//! goes on, the reads that wait are served before its timer is looked at. (A process that is stopped and resumed looks at its
//! timer first, since the reads are still in its sockets.)
//!
//! Convicts it: Linearizable, by `workloads/museum/lease-checked-on-beat.yaml`.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;
use crate::types::Nanos;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "lease-checked-on-beat",
    about: "a leader looks at its lease when it sends a heartbeat, and believes the result until the next one",
    replaces: "Rules::lease_judged_at",
    instances: &[
        "https://github.com/sofastack/sofa-jraft/issues/25",
        "https://github.com/sofastack/sofa-jraft/pull/34",
    ],
    configuration: "lease reads",
    plan: "5 nodes, clients that read by lease from every node: hang the leader's disk for a second, and its protocol with \
        it, while it is cut off and succeeded. The reads that queue meanwhile are served before its timer is looked at",
    property: "Linearizable",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.with(LeaseCheckedOnBeat),
};

/// A leader looks at its lease when it sends a heartbeat, and believes the result until the next one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct LeaseCheckedOnBeat;

impl Rules for LeaseCheckedOnBeat {
    fn lease_judged_at(&self, _now: Nanos, beat: Nanos) -> Nanos {
        beat
    }
}
