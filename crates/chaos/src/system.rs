//! From a workload's system to the driver that starts it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use chaos_cluster::NodeAccess;
use chaos_history::{NodeId, RunDir, Seed};
use chaos_net::{Network, Treated};
use chaos_plan::definition::DefinedSystem;
use chaos_plan::{System, Workload};
use chaos_systems::{DefinedDriver, DefinedSetup, Driver, RaftDriver, Views};

use crate::failure::Failure;
use crate::home::Home;
use crate::tested;

/// How long a connection may take to come about. Everything is on one host: what takes longer is cut off or gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

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
pub(crate) fn open(
    workload: &Workload,
    seed: Seed,
    home: &Home,
    network: &Network,
    directory: &RunDir,
) -> Result<Opened, Failure> {
    let all = workload.nodes + service_nodes(workload);
    let addresses = NodeId::all(all).map(|node| network.address(node.index())).collect();
    let views = match network.treated() {
        Treated::Packets => None,
        Treated::Streams => Some(views(network, all)),
    };
    match &workload.system {
        System::Raft(options) => {
            let own = std::env::current_exe().context("find this program's own file")?;
            let own_node = (own, vec!["node".into()]);
            let driver = RaftDriver::new(options.clone(), own_node, addresses, seed, CONNECT_TIMEOUT);
            let driver = Arc::new(driver.map_err(anyhow::Error::from)?.with_views(views));
            Ok(Opened { driver, defined: None, programs: Vec::new() })
        }
        System::Defined(system) => {
            let access = NodeAccess::of(network).context("reach into the nodes")?;
            let driver = DefinedDriver::new(DefinedSetup {
                nodes: workload.nodes,
                directories: NodeId::all(all).map(|node| directory.node(node)).collect(),
                run: home.run_directories(all)?,
                cache: chaos_systems::cache(),
                seed,
                resource: (network.harness_address(), chaos_cluster::RESOURCE_PORT).into(),
                connect_timeout: CONNECT_TIMEOUT,
                enter: access.enter(false),
                addresses_of: access.addresses(),
                addresses,
                views,
                system: DefinedSystem::clone(system),
            });
            let driver = driver.map_err(Failure::refused)?;
            let told = |(name, version): (&String, &String)| (name.clone(), version.clone());
            let mut programs: Vec<(String, String)> = driver.versions().iter().map(told).collect();
            for (node, versions) in driver.versions_of_nodes() {
                programs.extend(versions.iter().map(|(name, version)| (tested::of_node(name, *node), version.clone())));
            }
            let driver = Arc::new(driver);
            Ok(Opened { driver: Arc::<DefinedDriver>::clone(&driver), defined: Some(driver), programs })
        }
    }
}

/// What every node is told of the others' addresses.
fn views(network: &Network, nodes: usize) -> Views {
    let seen_by = |viewer| (0..nodes).map(|peer| network.address_seen(viewer, peer)).collect();
    (0..nodes).map(seen_by).collect()
}
