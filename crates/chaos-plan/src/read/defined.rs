//! A workload's system that is described by data: which definition, and what the workload chooses of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::definition::PROFILE_DEFAULT;
use super::{Field, Fields, Reader};
use crate::definition::{DefinedSystem, SystemDefinition, Tuned};
use crate::error::Mistake;
use crate::model::System;
use crate::yaml::{self, Node, NodeKind};

/// The definition of the system under test, found but not yet read.
pub(crate) struct GivenDefinition {
    /// Its tree.
    pub(crate) root: Node,
    /// Its text, as a saved plan carries it along.
    pub(crate) text: String,
}

/// The definition that a workload names: `system: etcd`, or `system: { use: etcd }`. `None`: it names none, but has one
/// written in it, or tests the reference node.
pub(crate) fn named_definition(workload: &Node) -> Option<Field<'_>> {
    let system = entry(workload, "system")?;
    match &system.node.kind {
        NodeKind::Scalar(text) if text == "raft" => None,
        NodeKind::Scalar(_) => Some(system),
        NodeKind::Map(_) => entry(system.node, "use").filter(|named| matches!(named.node.kind, NodeKind::Scalar(_))),
        NodeKind::Null | NodeKind::List(_) => None,
    }
}

/// The value of a mapping's key.
fn entry<'n>(node: &'n Node, wanted: &str) -> Option<Field<'n>> {
    let NodeKind::Map(entries) = &node.kind else { return None };
    let (key, node) = entries.iter().find(|(key, _)| key.value == wanted)?;
    Some(Field { name: &key.value, key: key.place, node })
}

impl Reader {
    /// The system of a definition: `kind` is its name, `use:` or `definition:`, and `chosen` what stands beside that.
    pub(super) fn defined(&mut self, kind: Field<'_>, chosen: Option<&Fields<'_>>) -> Option<System> {
        let given = if kind.name == "definition" { self.written_definition(kind) } else { self.definition.take() };
        let Some(GivenDefinition { root, text }) = given else {
            // One that is named and was not found has its mistake already.
            if !matches!(kind.node.kind, NodeKind::Scalar(_)) && kind.name == "use" {
                self.wrong_type(kind, "the name of a built-in system, or a file");
            }
            return None;
        };
        let definition = self.definition(Field::unnamed("a system definition", &root))?;
        let mut system = DefinedSystem {
            definition,
            text,
            version: None,
            profile: PROFILE_DEFAULT.to_owned(),
            tune: BTreeMap::new(),
            programs: BTreeMap::new(),
            client: BTreeMap::new(),
            nodes: BTreeMap::new(),
        };
        let Some(chosen) = chosen else { return Some(System::Defined(Box::new(system))) };
        if let Some(field) = chosen.get("version") {
            system.version = self.chosen_version(field, &system.definition);
        }
        if let Some(profile) = chosen.get("profile").and_then(|field| self.chosen_profile(field, &system.definition)) {
            system.profile = profile;
        }
        if let Some(field) = chosen.get("programs") {
            system.programs = self.chosen_programs(field, &system.definition);
        }
        if let Some(field) = chosen.get("client") {
            system.client = self.chosen_options(field, &system.definition);
        }
        if let Some(field) = chosen.get("tune") {
            system.tune = self.chosen_values(field, &system);
            self.timing_results(field, &system);
        }
        if let Some(field) = chosen.get("nodes") {
            system.nodes = self.nodes_of_defined(field, &system);
        }
        Some(System::Defined(Box::new(system)))
    }

    /// What is tuned must leave timeouts that are durations.
    pub(super) fn timing_results(&mut self, tuned: Field<'_>, system: &DefinedSystem) {
        if system.definition.timing.is_some() && system.timing().is_none() && self.mistakes.is_empty() {
            let mistake = Mistake::at(tuned.node.place, "with this, `timing` comes to nothing")
                .label("no duration results")
                .help("the definition computes its timeouts from these values");
            self.note(mistake);
        }
    }

    /// A definition that stands in the workload: as a mapping, or, in saved plans, as the text of its file.
    fn written_definition(&mut self, field: Field<'_>) -> Option<GivenDefinition> {
        match &field.node.kind {
            NodeKind::Map(_) => Some(GivenDefinition { root: field.node.clone(), text: yaml::write(field.node) }),
            NodeKind::Scalar(text) => {
                let name = format!("{} (definition)", self.sources.get(field.node.place.source_index).name);
                let index = self.sources.add(crate::source::Source { name, text: text.clone() });
                let root = yaml::parse(index, text, &mut self.mistakes)?;
                Some(GivenDefinition { root, text: text.clone() })
            }
            NodeKind::Null | NodeKind::List(_) => {
                self.wrong_type(field, "a whole system definition");
                None
            }
        }
    }

    pub(super) fn chosen_version(&mut self, field: Field<'_>, definition: &SystemDefinition) -> Option<String> {
        let text = self.text(field, "a version")?;
        let Some(install) = &definition.install else {
            let mistake = Mistake::at(field.key, format!("a version of `{}`", definition.name))
                .label("its definition names none: the programs are your own")
                .help("take other programs by `programs: { … }`, or add `install:` to the definition");
            self.note(mistake);
            return None;
        };
        if install.versions.iter().any(|known| known == text) {
            return Some(text.to_owned());
        }
        let known = install.versions.iter().map(String::as_str);
        self.no_such(field.node.place, &format!("version of `{}`", definition.name), text, known, NOT_IN_DEFINITION);
        None
    }

    pub(super) fn chosen_profile(&mut self, field: Field<'_>, definition: &SystemDefinition) -> Option<String> {
        let text = self.text(field, "the name of a tuning profile")?;
        if definition.tune.contains_key(text) || (definition.tune.is_empty() && text == PROFILE_DEFAULT) {
            return Some(text.to_owned());
        }
        let known = definition.tune.keys().map(String::as_str);
        self.no_such(field.node.place, "profile", text, known, NOT_IN_DEFINITION);
        None
    }

    /// The values that the workload tunes: each is one of the profile's, and of its kind.
    pub(super) fn chosen_values(&mut self, field: Field<'_>, system: &DefinedSystem) -> BTreeMap<String, Tuned> {
        let values = self.tuned_values(field);
        let profile = system.definition.tune.get(&system.profile).cloned().unwrap_or_default();
        let NodeKind::Map(entries) = &field.node.kind else { return values };
        for (key, node) in entries {
            let Some(value) = values.get(&key.value) else { continue };
            let Some(usual) = profile.get(&key.value) else {
                let known = profile.keys().map(String::as_str);
                self.no_such(key.place, "tuned value", &key.value, known, NOT_IN_DEFINITION);
                continue;
            };
            let wanted = match (usual, value) {
                (Tuned::Number(_), Tuned::Flag(_) | Tuned::Text(_)) => "a whole number",
                (Tuned::Flag(_), Tuned::Number(_) | Tuned::Text(_)) => "`true` or `false`",
                (Tuned::Number(_), Tuned::Number(_)) | (Tuned::Flag(_), Tuned::Flag(_)) | (Tuned::Text(_), _) => {
                    continue;
                }
            };
            let mistake = Mistake::at(node.place, format!("`{}` must be {wanted}", key.value));
            self.note(mistake.label(format!("as in the profile `{}`", system.profile)));
        }
        values
    }

    pub(super) fn chosen_programs(
        &mut self,
        field: Field<'_>,
        definition: &SystemDefinition,
    ) -> BTreeMap<String, PathBuf> {
        let mut programs = BTreeMap::new();
        let NodeKind::Map(entries) = &field.node.kind else {
            self.wrong_type(field, "a mapping from programs to paths");
            return programs;
        };
        for (key, node) in entries {
            if !definition.programs.contains_key(&key.value) {
                let known = definition.programs.keys().map(String::as_str);
                self.no_such(key.place, "program", &key.value, known, NOT_IN_DEFINITION);
                continue;
            }
            let path = self.argument(Field { name: "program", key: key.place, node });
            programs.extend(path.map(|path| (key.value.clone(), PathBuf::from(path))));
        }
        programs
    }

    fn chosen_options(&mut self, field: Field<'_>, definition: &SystemDefinition) -> BTreeMap<String, String> {
        let mut options = BTreeMap::new();
        let NodeKind::Map(entries) = &field.node.kind else {
            self.wrong_type(field, "a mapping from options of the client driver to values");
            return options;
        };
        if definition.client.is_none() {
            let mistake = Mistake::at(field.key, "options of a client, but the system has none");
            self.note(mistake.help("add `client: { driver: … }` to its definition"));
        }
        // Which options there are is known to the driver alone; here a name only has to look like one.
        for (key, node) in entries {
            if let Some(why) = super::name_trouble(&key.value) {
                self.note(Mistake::at(key.place, format!("`{}` can't be an option", key.value)).label(why));
                continue;
            }
            let value = self.argument(Field { name: &key.value, key: key.place, node });
            options.extend(value.map(|value| (key.value.clone(), value)));
        }
        options
    }
}

const NOT_IN_DEFINITION: &str = "add it to the system's definition";
