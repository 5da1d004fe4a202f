//! What the nodes of a cluster run: programs and what templates see, once for all, and once more for each node that the workload
//! gives another version, profile or setting.

use std::collections::BTreeMap;

use chaos_history::NodeId;
use chaos_plan::definition::Scope;

use super::render;
use super::{DefinedError, DefinedSetup, Programs};

/// What a node runs.
pub(super) struct Outfit {
    pub(super) programs: Programs,
    pub(super) scope: Scope,
    /// What the programs say of their versions.
    pub(super) versions: BTreeMap<String, String>,
}

/// What all nodes run.
pub(super) struct Outfits {
    /// Those that nothing else is said of, and the client.
    pub(super) all: Outfit,
    /// The others.
    pub(super) of_nodes: BTreeMap<NodeId, Outfit>,
}

/// Finds the programs of every node and asks them for their versions.
pub(super) fn outfits(setup: &DefinedSetup) -> Result<Outfits, DefinedError> {
    let outfit = |system: &_| {
        let programs = Programs::find(system, &setup.cache)?;
        let scope = render::scope(setup, system, &programs);
        let versions = programs.versions(system, &scope)?;
        Ok::<_, DefinedError>(Outfit { programs, scope, versions })
    };
    let own = setup.system.nodes.keys().map(|&node| Ok((node, outfit(&setup.system.of_node(node))?)));
    Ok(Outfits { all: outfit(&setup.system)?, of_nodes: own.collect::<Result<_, DefinedError>>()? })
}
