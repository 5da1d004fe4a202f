//! Where a run lives: in namespaces of its own, or, where its workload says `network: proxy`, on the host under a guard.
//!
//! The one is never put in the place of the other in silence: what a run measures and which faults it can have depends on it. A host that
//! refuses namespaces is told of the other way with its limits, and that is all.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use chaos_history::NodeId;
use chaos_net::guard::{self, Guarded};
use chaos_net::isolation::{self, EnterOptions};
use chaos_net::{FilterKind, NetError, Proxies, Star};
use chaos_plan::{Filter, Network, System, Workload};
use chaos_systems::RaftDriver;

use crate::failure::Failure;
use crate::system;

/// Where sockets and pid files of nodes go in namespaces: paths that are short enough for a socket's address, on a tmpfs that ends with
/// the run.
const RUN: &str = "/run";

/// What a host that refuses namespaces can still do.
const WITHOUT_NAMESPACES: &str = "or run with `--network proxy`, which needs no namespaces: TCP proxies stand between the nodes of \
    raft, raft-rs and openraft. Partitions, delay and rate are then of TCP streams; packets can't be lost, copied, reordered or damaged, \
    and there are no power losses and no frozen hosts";

/// Where a run lives.
#[derive(Debug)]
pub(crate) enum Home {
    /// In namespaces.
    Namespaces,
    /// On the host.
    Guarded(Guarded),
}

impl Home {
    /// Goes where the workload wants to live. To be called before any thread is started; whatever ends the run from here on, nothing
    /// of it is left.
    pub(crate) fn enter(workload: &Workload) -> Result<Self, Failure> {
        let options = EnterOptions { real_time: true, ..EnterOptions::default() };
        match workload.network {
            Network::Namespaces { .. } => {
                // From here on this is pid 2 of namespaces of its own.
                isolation::enter(&options).map(|_| Self::Namespaces).map_err(without_namespaces)
            }
            Network::Proxy => guard::enter(&options).map(Self::Guarded).map_err(Failure::refused),
        }
    }

    /// Whether the run may mount something.
    pub(crate) fn has_mounts(&self) -> bool {
        matches!(self, Self::Namespaces)
    }

    /// The network for all nodes of the workload.
    pub(crate) fn build_network(&self, workload: &Workload) -> Result<chaos_net::Network, Failure> {
        let nodes = workload.nodes + system::service_nodes(workload);
        match (self, workload.network) {
            (Self::Guarded(guarded), _) => {
                let ports = match &workload.system {
                    System::Raft(_) => RaftDriver::PORTS.into(),
                    System::Defined(defined) => defined.definition.ports.values().copied().collect(),
                };
                let proxies = Proxies::build(nodes, &ports).map_err(net_failure)?;
                Ok(chaos_net::Network::Proxies { proxies, marks: guarded.marks })
            }
            (Self::Namespaces, Network::Namespaces { filter }) => {
                let filter = match filter {
                    Filter::Nftables => FilterKind::Nftables,
                    Filter::Iptables => FilterKind::Iptables,
                };
                let star = Star::build(nodes, filter).map_err(net_failure)?;
                Ok(chaos_net::Network::Star(Box::new(star)))
            }
            (Self::Namespaces, Network::Proxy) => {
                Err(Failure::Refused(anyhow!("`network: proxy` is for runs; this is done in namespaces")))
            }
        }
    }

    /// Makes the short directories of so many nodes.
    pub(crate) fn run_directories(&self, nodes: usize) -> Result<PathBuf, Failure> {
        let run = match self {
            Self::Namespaces => {
                let run = PathBuf::from(RUN);
                isolation::mount_tmpfs(&run, Some(64 << 20)).map_err(Failure::refused)?;
                run
            }
            Self::Guarded(guarded) => guarded.scratch.clone(),
        };
        for node in NodeId::all(nodes) {
            let path = run.join(node.to_string());
            std::fs::create_dir(&path).with_context(|| format!("make {}", path.display()))?;
        }
        Ok(run)
    }
}

/// A host that refuses namespaces is told of what needs none.
fn without_namespaces(error: NetError) -> Failure {
    if matches!(error, NetError::Refused { .. }) {
        return Failure::Refused(anyhow!("{}; {WITHOUT_NAMESPACES}", error.chain()));
    }
    Failure::refused(error)
}

/// What the user can mend has a remedy, the rest is ours.
fn net_failure(error: NetError) -> Failure {
    if error.remedy().is_some() { Failure::refused(error) } else { Failure::Broken(error.into()) }
}
