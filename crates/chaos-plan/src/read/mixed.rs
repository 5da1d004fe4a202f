//! `nodes:` below `system`: single nodes that run another version, or with other settings, than the others.

use std::collections::BTreeMap;

use chaos_history::NodeId;

use super::{Field, Reader};
use crate::definition::{DefinedSystem, NodeChoice};
use crate::model::RaftOptions;
use crate::words;
use crate::yaml::NodeKind;

impl Reader {
    /// Reference nodes, each with all of its options: its own words and, for the rest, those of `all`.
    pub(super) fn nodes_of_raft(&mut self, field: Field<'_>, all: RaftOptions) -> BTreeMap<NodeId, RaftOptions> {
        let mut nodes = BTreeMap::new();
        for (node, field) in self.single_nodes(field) {
            if let Some(options) = self.raft(field, &words::NODE_OF_RAFT, all.clone()) {
                nodes.insert(node, options);
            }
        }
        nodes
    }

    /// Nodes of a system that is described by data.
    pub(super) fn nodes_of_defined(&mut self, field: Field<'_>, all: &DefinedSystem) -> BTreeMap<NodeId, NodeChoice> {
        let mut nodes = BTreeMap::new();
        for (node, field) in self.single_nodes(field) {
            let Some(fields) = self.open(field, &[&words::NODE_OF_DEFINED]) else { continue };
            let definition = &all.definition;
            let mut choice = NodeChoice {
                version: fields.get("version").and_then(|field| self.chosen_version(field, definition)),
                profile: fields.get("profile").and_then(|field| self.chosen_profile(field, definition)),
                tune: BTreeMap::new(),
                programs: fields
                    .get("programs")
                    .map(|field| self.chosen_programs(field, definition))
                    .unwrap_or_default(),
            };
            let with = |choice: &NodeChoice| {
                let nodes = BTreeMap::from([(node, choice.clone())]);
                DefinedSystem { nodes, ..all.clone() }.of_node(node)
            };
            if let Some(field) = fields.get("tune") {
                choice.tune = self.chosen_values(field, &with(&choice));
                self.timing_results(field, &with(&choice));
            }
            nodes.insert(node, choice);
        }
        nodes
    }

    /// The nodes under test that a mapping names, with what it says of each. Service nodes are not among them.
    fn single_nodes<'n>(&mut self, field: Field<'n>) -> Vec<(NodeId, Field<'n>)> {
        let NodeKind::Map(entries) = &field.node.kind else {
            self.wrong_type(field, "a mapping from nodes to what is different with them, for example `n3: { … }`");
            return Vec::new();
        };
        let named = entries.iter().filter_map(|(key, node)| {
            Some((self.node_named(key.place, &key.value)?, Field { name: &key.value, key: key.place, node }))
        });
        named.collect()
    }
}
