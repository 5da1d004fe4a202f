//! The workloads, fault plans and system definitions that every chaos binary carries: the very files under `workloads/`,
//! `faults/` and `workloads/systems/`.

use std::path::Path;

use crate::source::Source;
use crate::yaml;

/// A built-in file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltIn {
    /// Its short name, `partition`.
    pub name: &'static str,
    /// Its name as a file, `workloads/partition.yaml`.
    pub file: &'static str,
    /// Its text.
    pub text: &'static str,
}

impl BuiltIn {
    /// The file as a source.
    #[must_use]
    pub fn source(&self) -> Source {
        Source { name: self.file.to_owned(), text: self.text.to_owned() }
    }

    /// What it says of itself.
    #[must_use]
    pub fn about(&self) -> String {
        yaml::entry(self.text, "about").unwrap_or_default()
    }
}

macro_rules! built_in {
    ($($file:literal = $name:literal),* $(,)?) => {
        [$(BuiltIn { name: $name, file: $file, text: include_str!(concat!("../../../", $file)) }),*]
    };
}

static WORKLOADS: [BuiltIn; 11] = built_in![
    "workloads/partition.yaml" = "partition",
    "workloads/kill.yaml" = "kill",
    "workloads/pause.yaml" = "pause",
    "workloads/partial-partition.yaml" = "partial-partition",
    "workloads/rolling-restart.yaml" = "rolling-restart",
    "workloads/split.yaml" = "split",
    "workloads/contested.yaml" = "contested",
    "workloads/random.yaml" = "random",
    "workloads/figure16.yaml" = "figure16",
    "workloads/hasty-node.yaml" = "hasty-node",
    "workloads/mixed-versions.yaml" = "mixed-versions",
];

static FAULTS: [BuiltIn; 44] = built_in![
    "faults/isolate-leader.yaml" = "isolate-leader",
    "faults/kill-leader.yaml" = "kill-leader",
    "faults/pause-leader.yaml" = "pause-leader",
    "faults/split-halves.yaml" = "split-halves",
    "faults/one-way.yaml" = "one-way",
    "faults/bridge.yaml" = "bridge",
    "faults/rolling-restart.yaml" = "rolling-restart",
    "faults/random.yaml" = "random",
    "faults/crash-leader.yaml" = "crash-leader",
    "faults/fresh-leader.yaml" = "fresh-leader",
    "faults/bit-rot.yaml" = "bit-rot",
    "faults/blackout.yaml" = "blackout",
    "faults/clock-drift.yaml" = "clock-drift",
    "faults/clock-jump.yaml" = "clock-jump",
    "faults/clock-strobe.yaml" = "clock-strobe",
    "faults/cloudflare-2020.yaml" = "cloudflare-2020",
    "faults/crash-loop.yaml" = "crash-loop",
    "faults/failing-disk.yaml" = "failing-disk",
    "faults/figure-8.yaml" = "figure-8",
    "faults/flapping-leader.yaml" = "flapping-leader",
    "faults/flapping-link.yaml" = "flapping-link",
    "faults/full-disk.yaml" = "full-disk",
    "faults/heavy-tail.yaml" = "heavy-tail",
    "faults/lease-nearly-over.yaml" = "lease-nearly-over",
    "faults/live-migration.yaml" = "live-migration",
    "faults/lossy-network.yaml" = "lossy-network",
    "faults/majorities-ring.yaml" = "majorities-ring",
    "faults/mangled-packets.yaml" = "mangled-packets",
    "faults/membership.yaml" = "membership",
    "faults/omnipaxos-chained.yaml" = "omnipaxos-chained",
    "faults/omnipaxos-constrained.yaml" = "omnipaxos-constrained",
    "faults/omnipaxos-quorum-loss.yaml" = "omnipaxos-quorum-loss",
    "faults/out-of-descriptors.yaml" = "out-of-descriptors",
    "faults/pause-past-the-lease.yaml" = "pause-past-the-lease",
    "faults/pauses.yaml" = "pauses",
    "faults/power-loss.yaml" = "power-loss",
    "faults/slow-disk.yaml" = "slow-disk",
    "faults/slow-network.yaml" = "slow-network",
    "faults/starved-leader.yaml" = "starved-leader",
    "faults/stolen-time.yaml" = "stolen-time",
    "faults/swarm.yaml" = "swarm",
    "faults/thin-pipe.yaml" = "thin-pipe",
    "faults/transfer-leadership.yaml" = "transfer-leadership",
    "faults/voter-dies.yaml" = "voter-dies",
];

static SYSTEMS: [BuiltIn; 28] = built_in![
    "workloads/systems/bully.yaml" = "bully",
    "workloads/systems/cockroachdb.yaml" = "cockroachdb",
    "workloads/systems/consul.yaml" = "consul",
    "workloads/systems/curator.yaml" = "curator",
    "workloads/systems/etcd.yaml" = "etcd",
    "workloads/systems/etcd-lock.yaml" = "etcd-lock",
    "workloads/systems/hashicorp-raft.yaml" = "hashicorp-raft",
    "workloads/systems/kafka.yaml" = "kafka",
    "workloads/systems/kafka-zookeeper.yaml" = "kafka-zookeeper",
    "workloads/systems/keepalived.yaml" = "keepalived",
    "workloads/systems/kubernetes.yaml" = "kubernetes",
    "workloads/systems/lease.yaml" = "lease",
    "workloads/systems/mongodb.yaml" = "mongodb",
    "workloads/systems/nats.yaml" = "nats",
    "workloads/systems/nats-2-9.yaml" = "nats-2-9",
    "workloads/systems/openraft.yaml" = "openraft",
    "workloads/systems/opensearch.yaml" = "opensearch",
    "workloads/systems/ovsdb.yaml" = "ovsdb",
    "workloads/systems/patroni.yaml" = "patroni",
    "workloads/systems/paxos-lease.yaml" = "paxos-lease",
    "workloads/systems/rabbitmq.yaml" = "rabbitmq",
    "workloads/systems/raft-node.yaml" = "raft-node",
    "workloads/systems/raft-rs.yaml" = "raft-rs",
    "workloads/systems/redis.yaml" = "redis",
    "workloads/systems/ring.yaml" = "ring",
    "workloads/systems/tikv.yaml" = "tikv",
    "workloads/systems/zab.yaml" = "zab",
    "workloads/systems/zookeeper.yaml" = "zookeeper",
];

/// All built-in system definitions.
#[must_use]
pub fn systems() -> &'static [BuiltIn] {
    &SYSTEMS
}

/// The system definition `etcd`, `etcd.yaml` or `workloads/systems/etcd.yaml`.
#[must_use]
pub fn system(name: &str) -> Option<Source> {
    by_name(&SYSTEMS, "workloads/systems", name)
}

/// All built-in workloads.
#[must_use]
pub fn workloads() -> &'static [BuiltIn] {
    &WORKLOADS
}

/// All built-in fault plans.
#[must_use]
pub fn faults() -> &'static [BuiltIn] {
    &FAULTS
}

/// The workload `partition`, `partition.yaml` or `workloads/partition.yaml`.
#[must_use]
pub fn workload(name: &str) -> Option<Source> {
    by_name(&WORKLOADS, "workloads", name)
}

/// The fault plan `isolate-leader`, `isolate-leader.yaml` or `faults/isolate-leader.yaml`.
#[must_use]
pub fn fault(name: &str) -> Option<Source> {
    by_name(&FAULTS, "faults", name)
}

fn by_name(all: &[BuiltIn], directory: &str, name: &str) -> Option<Source> {
    let path = Path::new(name);
    let short = path.strip_prefix(directory).unwrap_or(path).to_str()?;
    let short = short.strip_suffix(".yaml").unwrap_or(short);
    all.iter().find(|built_in| built_in.name == short).map(BuiltIn::source)
}
