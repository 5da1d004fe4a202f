//! A definition with what a workload chooses of it: the version, the profile, values of its own, and the same for single nodes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chaos_history::{NodeId, Testimony};

use super::{DefinedTiming, Observer, Program, Scope, SystemDefinition, Template, Tuned};
use crate::read::name_trouble;
use crate::scalar;

/// A system of a workload: a definition with everything that the workload chooses.
#[derive(Clone, Debug, PartialEq)]
pub struct DefinedSystem {
    /// The definition.
    pub definition: SystemDefinition,
    /// The definition's text, which the resolved plan carries along.
    pub text: String,
    /// The version, if it isn't the definition's default.
    pub version: Option<String>,
    /// The tuning profile, `default` unless the workload says another.
    pub profile: String,
    /// What is tuned beyond the profile.
    pub tune: BTreeMap<String, Tuned>,
    /// Programs that are taken from elsewhere.
    pub programs: BTreeMap<String, PathBuf>,
    /// Options of the client driver that the workload changes.
    pub client: BTreeMap<String, String>,
    /// What single nodes run otherwise.
    pub nodes: BTreeMap<NodeId, NodeChoice>,
}

/// What one node has in place of what all have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeChoice {
    /// Its version.
    pub version: Option<String>,
    /// Its tuning profile.
    pub profile: Option<String>,
    /// What is tuned of it, beyond what is tuned of all.
    pub tune: BTreeMap<String, Tuned>,
    /// Its programs that are taken from elsewhere, beside those of all.
    pub programs: BTreeMap<String, PathBuf>,
}

impl DefinedSystem {
    /// The profile's values with what the workload changes of them.
    #[must_use]
    pub fn tuned(&self) -> BTreeMap<String, Tuned> {
        let mut tuned = self.definition.tune.get(&self.profile).cloned().unwrap_or_default();
        tuned.extend(self.tune.iter().map(|(name, value)| (name.clone(), value.clone())));
        tuned
    }

    /// The version that is run, if the definition is of an installed system.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        let default = self.definition.install.as_ref().and_then(|install| install.versions.first());
        self.version.as_deref().or(default.map(String::as_str))
    }

    /// Which installed system a program is a part of, if not of the definition's own: a recipe's name and a version.
    #[must_use]
    pub fn part_of(&self, program: &Program) -> Option<(String, String)> {
        let scope = Scope { tune: self.tuned(), ..Scope::default() }.at(None);
        part_of(program.of.as_ref()?.render(&scope).ok()?.trim()).ok()
    }

    /// The timeouts with the workload's tuning; `None` if the definition tells none. (That each renders to a duration is checked
    /// when the plan is read.)
    #[must_use]
    pub fn timing(&self) -> Option<DefinedTiming> {
        let templates = self.definition.timing.as_ref()?;
        let scope = Scope { tune: self.tuned(), ..Scope::default() }.at(None);
        let text = |template: &Template| template.render(&scope).ok();
        Some(DefinedTiming {
            election_timeout: scalar::duration_range(text(&templates.election_timeout)?.trim()).ok()?,
            heartbeat: scalar::duration(text(&templates.heartbeat)?.trim()).ok()?,
            pre_vote: match &templates.pre_vote {
                Some(template) => scalar::boolean(text(template)?.trim()).ok()?,
                None => false,
            },
        })
    }

    /// What this node runs: the system as if all nodes did.
    #[must_use]
    pub fn of_node(&self, node: NodeId) -> Self {
        let mut system = Self { nodes: BTreeMap::new(), ..self.clone() };
        if let Some(NodeChoice { version, profile, tune, programs }) = self.nodes.get(&node) {
            system.version = version.clone().or(system.version);
            system.profile = profile.clone().unwrap_or(system.profile);
            system.tune.extend(tune.clone());
            // A version that is chosen for the node is of the installed programs.
            if version.is_some() {
                system.programs.clear();
            }
            system.programs.extend(programs.clone());
        }
        system
    }

    /// The timeouts of every node under test, in their order; `None` if the definition tells none.
    #[must_use]
    pub fn timings(&self, nodes: usize) -> Option<Vec<DefinedTiming>> {
        if self.nodes.is_empty() {
            return Some(vec![self.timing()?; nodes]);
        }
        NodeId::all(nodes).map(|node| self.of_node(node).timing()).collect()
    }

    /// What the answers of the first observer are.
    #[must_use]
    pub fn testimony(&self) -> Testimony {
        self.definition.observers.first().map_or_else(Testimony::default, Observer::testimony)
    }

    /// How many nodes stand beside those under test.
    #[must_use]
    pub fn service_nodes(&self) -> usize {
        self.definition.service.as_ref().map_or(0, |service| service.nodes)
    }
}

/// `etcd@3.4.23`.
pub(crate) fn part_of(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('@') {
        Some((name, version)) if name_trouble(name).is_none() && name_trouble(version).is_none() => {
            Ok((name.to_owned(), version.to_owned()))
        }
        Some(_) | None => Err("its name and its version are wanted, for example `etcd@3.4.23`"),
    }
}
