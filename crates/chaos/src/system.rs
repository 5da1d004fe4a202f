//! From a workload's system to the driver that starts it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use chaos_cluster::NodeAccess;
use chaos_history::{NodeId, RunDir, Seed};
use chaos_net::{Star, isolation};
use chaos_plan::definition::DefinedSystem;
use chaos_plan::{System, Workload};
use chaos_systems::{DefinedDriver, DefinedSetup, Driver, RaftDriver};

use crate::failure::Failure;

/// How long a connection may take to come about. Everything is on one host: what takes longer is cut off or gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Where sockets and pid files of nodes go: paths that are short enough for a socket's address, on a tmpfs that ends with the run.
const RUN: &str = "/run";

/// A driver, and what it says of the programs that it starts.
pub(crate) struct Opened {
    pub(crate) driver: Arc<dyn Driver>,
    /// The same driver, if it is that of a defined system.
    pub(crate) defined: Option<Arc<DefinedDriver>>,
    /// Versions of programs by name, as they tell them.
    pub(crate) programs: Vec<(String, String)>,
}

/// How many nodes of a workload stand beside those under test.
pub(crate) fn service_nodes(workload: &Workload) -> usize {
    match &workload.system {
        System::Raft(_) => 0,
        System::Defined(defined) => defined.service_nodes(),
    }
}

/// Opens the driver of the workload's system for the nodes of this network.
pub(crate) fn open(workload: &Workload, seed: Seed, star: &Star, directory: &RunDir) -> Result<Opened, Failure> {
    let all = workload.nodes + service_nodes(workload);
    let addresses = NodeId::all(all).map(|node| star.address(node.index())).collect();
    match &workload.system {
        System::Raft(options) => {
            let own = std::env::current_exe().context("find this program's own file")?;
            let own_node = (own, vec!["node".into()]);
            let driver = RaftDriver::new(options.clone(), own_node, addresses, seed, CONNECT_TIMEOUT);
            let driver = Arc::new(driver.map_err(anyhow::Error::from)?);
            Ok(Opened { driver, defined: None, programs: Vec::new() })
        }
        System::Defined(system) => {
            let access = NodeAccess::of(star).context("reach into the nodes")?;
            let driver = DefinedDriver::new(DefinedSetup {
                nodes: workload.nodes,
                directories: NodeId::all(all).map(|node| directory.node(node)).collect(),
                run: run_directories(all)?,
                cache: chaos_systems::cache(),
                seed,
                resource: (star.switch_address(), chaos_cluster::RESOURCE_PORT).into(),
                connect_timeout: CONNECT_TIMEOUT,
                enter: access.enter(false),
                addresses_of: access.addresses(),
                addresses,
                system: DefinedSystem::clone(system),
            });
            let driver = driver.map_err(Failure::refused)?;
            let programs = driver.versions().iter().map(|(name, version)| (name.clone(), version.clone())).collect();
            let driver = Arc::new(driver);
            Ok(Opened { driver: Arc::<DefinedDriver>::clone(&driver), defined: Some(driver), programs })
        }
    }
}

/// Makes the short directories of all nodes.
fn run_directories(nodes: usize) -> Result<PathBuf, Failure> {
    let run = PathBuf::from(RUN);
    isolation::mount_tmpfs(&run, Some(64 << 20)).map_err(Failure::refused)?;
    for node in NodeId::all(nodes) {
        let path = run.join(node.to_string());
        std::fs::create_dir(&path).with_context(|| format!("make {}", path.display()))?;
    }
    Ok(run)
}
