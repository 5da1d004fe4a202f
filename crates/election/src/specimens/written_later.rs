//! `written-later`: what must be durable before it is acknowledged is written a second later.
//!
//! Broken rule: a server must "update on stable storage before responding to RPCs" (paper Fig. 2).
//!
//! Seen in:
//! - Jepsen: NATS 2.12.1, a sync every two minutes: <https://jepsen.io/analyses/nats-2.12.1>
//!
//! Shows with: default options.
//!
//! Made visible by: all nodes that have acknowledged a write end within the second. Killing them is enough here, because the
//! bytes are still with the process and not with the kernel.
//!
//! Convicts it: Linearizable, by `workloads/museum/written-later.yaml`.

use std::time::Duration;

use super::specimen::{ClockKind, Shown, Specimen};
use super::start::Wrapper;
use crate::raft::Output;
use crate::types::Nanos;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "written-later",
    about: "what must be durable before it is acknowledged is written a second later",
    replaces: "Wrapper::does (when it is persisted)",
    instances: &["https://jepsen.io/analyses/nats-2.12.1"],
    configuration: "default options",
    plan: "3 nodes: kill all of them at once while clients write, and start them again",
    property: "Linearizable",
    shown: Shown::ByProcesses,
    clock: ClockKind::Monotonic,
    start: |start| start.behind(WrittenLater::default()),
};

/// How long what is to be persisted stays in memory.
const DELAY: Duration = Duration::from_secs(1);

/// What must be durable is written a second later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct WrittenLater {
    /// In its order.
    held: Vec<Output>,
    /// When it is written; `None` while there is nothing.
    due: Option<Nanos>,
}

impl Wrapper for WrittenLater {
    fn does(&mut self, now: Nanos, outputs: Vec<Output>) -> Vec<Output> {
        let (persists, mut others): (Vec<Output>, Vec<Output>) =
            outputs.into_iter().partition(|output| matches!(output, Output::Persist(_)));
        if !persists.is_empty() {
            self.due.get_or_insert(now + DELAY);
            self.held.extend(persists);
        }
        if self.due.take_if(|due| now >= *due).is_some() {
            others.splice(..0, self.held.drain(..));
        }
        others
    }

    fn deadline(&self) -> Nanos {
        self.due.unwrap_or(Nanos::MAX)
    }
}
