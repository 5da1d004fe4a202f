//! A system definition: from the tree to [`SystemDefinition`], with every mistake noted.
//!
//! Names come first (ports, programs, tuning), because everything else is tried against them: [`sight`] renders each template
//! for a made-up cluster, so that a definition that can be read can also be carried out, as far as that depends on its text.

mod ask;
mod client;
mod observers;
mod operations;
mod part;
mod sight;

use std::collections::BTreeMap;

use super::{Field, Fields, Reader, name_trouble};
use crate::definition::{
    AcknowledgedWrites, Install, OneLeader, Program, Promises, Reads, Scope, SystemDefinition, TimingTemplates, Tuned,
    VersionQuestion, part_of,
};
use crate::error::{Mistake, one_of};
use crate::scalar;
use crate::source::Place;
use crate::words;
use crate::yaml::NodeKind;
use sight::{Sight, Site};

/// How many versions, ports, programs, profiles, processes or observers a definition may have of each.
const ENTRIES_MAX: usize = 64;

/// The profile that a workload gets unless it says another.
pub(super) const PROFILE_DEFAULT: &str = "default";

impl Reader {
    /// Reads a definition's mapping.
    pub(super) fn definition(&mut self, root: Field<'_>) -> Option<SystemDefinition> {
        if super::workload::has(root.node, "faults") && super::workload::has(root.node, "nodes") {
            let mistake = Mistake::at(root.node.place, "this is a workload, not a system definition").help(
                "a definition says how a system is started and asked who leads: see `workloads/systems/etcd.yaml`",
            );
            self.note(mistake);
            return None;
        }
        let fields = self.open(root, &[&words::DEFINITION])?;
        self.version(&fields);
        let name = self.required(&fields, "a system definition", "system", "add its name: `system: mydb`");
        let install = fields.get("install").and_then(|field| self.install(field));
        let ports = fields.get("ports").map(|field| self.ports(field)).unwrap_or_default();
        let tune = fields.get("tune").map(|field| self.profiles(field)).unwrap_or_default();
        let program_names = fields.get("programs").map(|field| self.program_names(field)).unwrap_or_default();
        let service_nodes = fields.get("service").map_or(0, |field| self.service_nodes(field));
        let version =
            install.as_ref().and_then(|install: &Install| install.versions.first()).cloned().unwrap_or_default();
        let scope = Scope {
            port: ports.clone(),
            program: program_names.iter().map(|name| (name.clone(), format!("/installed/bin/{name}"))).collect(),
            install: install.as_ref().map(|_| "/installed".to_owned()).unwrap_or_default(),
            version,
            ..Scope::default()
        };
        let sight = Sight::new(&scope, &tune, service_nodes, fields.get("operations").is_some());
        let nodes = self.part(&fields, &sight, Site::Node);
        let client = fields.get("client").and_then(|field| self.client_definition(field, &ports, &sight));
        let place = observers::Surroundings {
            ports: &ports,
            processes: nodes.processes.iter().map(|process| process.name.clone()).collect(),
            client: client.is_some() || fields.get("client").is_some(),
            sight: &sight,
            site: Site::Node,
        };
        let observers = self.observers(&fields, &place);
        self.can_be_set_up_again(&fields);
        Some(SystemDefinition {
            name: name.and_then(|field| self.name(field)).unwrap_or_default(),
            about: self.about(&fields),
            untested: fields.get("untested").and_then(|field| self.text(field, "the reason").map(str::to_owned)),
            install,
            programs: fields.get("programs").map(|field| self.programs(field, &sight)).unwrap_or_default(),
            timing: fields.get("timing").and_then(|field| self.timing(field, &sight)),
            promises: self.promises(fields.get("promises")),
            service: fields.get("service").and_then(|field| self.service(field, service_nodes, &sight)),
            ready: fields.get("ready").map(|field| self.ready(field, &observers, &place)).unwrap_or_default(),
            compare: fields.get("compare").and_then(|field| self.compare(field, &place)),
            operations: fields.get("operations").map(|field| self.operations(field, &place)).unwrap_or_default(),
            proxied: fields.get("network").is_some_and(|field| self.proxied(field)),
            ports,
            tune,
            nodes,
            observers,
            client,
        })
    }

    /// Who joins again starts from an empty disk, with the files that are rendered for it and without a set-up.
    fn can_be_set_up_again(&mut self, fields: &Fields<'_>) {
        let changes = |node: &crate::yaml::Node| super::workload::has(node, "add-member");
        let (Some(operations), Some(setup)) = (fields.get("operations"), fields.get("setup")) else { return };
        if changes(operations.node) {
            let mistake = Mistake::at(setup.key, "`setup` in a system with `add-member`")
                .label("who joins again is not set up again")
                .also(operations.key, "it is added with an empty disk");
            self.note(mistake);
        }
    }

    fn proxied(&mut self, field: Field<'_>) -> bool {
        let Some(fields) = self.open(field, &[&words::SYSTEM_NETWORK]) else { return false };
        fields.get("proxy").and_then(|field| self.boolean(field)).unwrap_or(false)
    }

    /// A field that has to be there.
    fn required<'n>(&mut self, fields: &Fields<'n>, owner: &str, name: &str, help: &str) -> Option<Field<'n>> {
        let field = fields.get(name);
        // A key that is written wrong has its own mistake already.
        if field.is_none() && fields.all_known {
            self.missing(fields.place, owner, name, help);
        }
        field
    }

    /// The entries of a mapping whose keys are the user's own names.
    fn named<'n>(&mut self, field: Field<'n>, what: &str, name: fn(&str) -> Option<&'static str>) -> Vec<Field<'n>> {
        let NodeKind::Map(entries) = &field.node.kind else {
            self.wrong_type(field, "a mapping");
            return Vec::new();
        };
        if entries.len() > ENTRIES_MAX {
            self.note(Mistake::at(field.key, format!("more than {ENTRIES_MAX} entries in `{}`", field.name)));
        }
        let mut named = Vec::new();
        for (key, node) in entries {
            if let Some(why) = name(&key.value) {
                self.note(Mistake::at(key.place, format!("`{}` can't be the name of {what}", key.value)).label(why));
                continue;
            }
            named.push(Field { name: &key.value, key: key.place, node });
        }
        named
    }

    fn install(&mut self, field: Field<'_>) -> Option<Install> {
        let fields = self.open(field, &[&words::INSTALL])?;
        let help = "write for example `install: { name: etcd, versions: [3.5.1] }`";
        let name = self.required(&fields, "`install`", "name", help);
        let versions = self.required(&fields, "`install`", "versions", help);
        let name = name.and_then(|field| self.name(field));
        let items = versions.and_then(|field| self.list(field, "a list of versions, the default first"))?;
        if items.is_empty() {
            self.note(Mistake::at(versions?.node.place, "no version at all").help("name the default one"));
        }
        let versions = items.iter().filter_map(|item| self.name(Field::unnamed("a version", item))).collect();
        Some(Install { name: name?, versions })
    }

    fn ports(&mut self, field: Field<'_>) -> BTreeMap<String, u16> {
        let mut ports: BTreeMap<String, u16> = BTreeMap::new();
        for entry in self.named(field, "a port", word_trouble) {
            let port = self.count(entry, 1..=u64::from(u16::MAX)).and_then(|port| u16::try_from(port).ok());
            if let Some((other, _)) = ports.iter().find(|(_, known)| Some(**known) == port) {
                let mistake = Mistake::at(entry.node.place, "two ports with one number");
                self.note(mistake.label(format!("`{other}` has it already")));
            }
            // Whatever it is, templates may speak of it.
            ports.insert(entry.name.to_owned(), port.unwrap_or(1));
        }
        ports
    }

    fn profiles(&mut self, field: Field<'_>) -> BTreeMap<String, BTreeMap<String, Tuned>> {
        let mut profiles: BTreeMap<String, BTreeMap<String, Tuned>> = BTreeMap::new();
        let entries = self.named(field, "a tuning profile", name_trouble);
        let first = entries.iter().find(|entry| entry.name == PROFILE_DEFAULT).copied();
        if first.is_none() {
            let mistake = Mistake::at(field.key, format!("`tune` without the profile `{PROFILE_DEFAULT}`"));
            self.note(mistake.help("it is what a workload gets that names no profile: `tune: { default: { … } }`"));
        }
        let mut known: Option<BTreeMap<String, Tuned>> = None;
        for entry in first.into_iter().chain(entries.iter().copied().filter(|entry| entry.name != PROFILE_DEFAULT)) {
            let values = self.tuned_values(entry);
            if let Some(default) = &known {
                self.same_keys(entry, default, &values);
            } else {
                known = Some(values.clone());
            }
            profiles.insert(entry.name.to_owned(), values);
        }
        profiles
    }

    /// The values of a profile, or of a workload's `tune`.
    pub(super) fn tuned_values(&mut self, field: Field<'_>) -> BTreeMap<String, Tuned> {
        let mut values = BTreeMap::new();
        for entry in self.named(field, "a tuned value", word_trouble) {
            if let Some(text) = self.text(entry, "a single value") {
                values.insert(entry.name.to_owned(), tuned(text));
            }
        }
        values
    }

    fn same_keys(&mut self, profile: Field<'_>, default: &BTreeMap<String, Tuned>, values: &BTreeMap<String, Tuned>) {
        let lacking: Vec<&str> = default.keys().filter(|key| !values.contains_key(*key)).map(String::as_str).collect();
        if !lacking.is_empty() {
            let mistake = Mistake::at(profile.key, format!("the profile `{}` lacks {}", profile.name, one_of(lacking)));
            self.note(mistake.help("all profiles tune the same values, so that templates can rely on them"));
        }
        let more: Vec<&str> = values.keys().filter(|key| !default.contains_key(*key)).map(String::as_str).collect();
        if !more.is_empty() {
            let mistake = Mistake::at(profile.key, format!("the profile `{}` tunes {}", profile.name, one_of(more)))
                .label(format!("the profile `{PROFILE_DEFAULT}` has no such value"))
                .help("all profiles tune the same values, so that templates can rely on them");
            self.note(mistake);
        }
    }

    fn program_names(&mut self, field: Field<'_>) -> Vec<String> {
        let entries = self.named(field, "a program", name_trouble);
        entries.iter().map(|entry| entry.name.to_owned()).collect()
    }

    fn programs(&mut self, field: Field<'_>, sight: &Sight) -> BTreeMap<String, Program> {
        let mut programs = BTreeMap::new();
        let NodeKind::Map(entries) = &field.node.kind else { return programs };
        for (key, node) in entries {
            let entry = Field { name: &key.value, key: key.place, node };
            let mut program = Program { of: None, version: None };
            if node.kind != NodeKind::Null
                && let Some(fields) = self.open(entry, &[&words::PROGRAM])
            {
                let wanted = "an installed system with its version";
                let of = fields.get("of");
                program.of = of.and_then(|field| self.renders_to(field, sight, Site::Cluster, wanted, part_of));
                program.version = fields.get("version").and_then(|field| self.version_question(field, sight));
            }
            programs.insert(key.value.clone(), program);
        }
        programs
    }

    fn version_question(&mut self, field: Field<'_>, sight: &Sight) -> Option<VersionQuestion> {
        let fields = self.open(field, &[&words::VERSION])?;
        let help = "write for example `version: { run: [etcd, --version], pattern: 'etcd Version: (\\S+)' }`";
        let run = self.required(&fields, "the version of a program", "run", help);
        let pattern = self.required(&fields, "the version of a program", "pattern", help);
        let run = run.and_then(|field| self.command(field, sight, Site::Cluster));
        let pattern_field = pattern?;
        let pattern = self.pattern(pattern_field)?;
        if pattern.group_names().1 == 0 {
            let mistake = Mistake::at(pattern_field.node.place, "a pattern without a group");
            self.note(mistake.help("the first group is the version: `Version: (\\S+)`"));
        }
        Some(VersionQuestion { run: run?, pattern })
    }

    fn timing(&mut self, field: Field<'_>, sight: &Sight) -> Option<TimingTemplates> {
        let fields = self.open(field, &[&words::TIMING])?;
        let help = "the theoretical floor needs both; without `timing` there is none";
        let election = self.required(&fields, "`timing`", "election-timeout", help);
        let heartbeat = self.required(&fields, "`timing`", "heartbeat", help);
        let range = "a duration or a range, for example `1s..2s`";
        let election =
            election.and_then(|field| self.renders_to(field, sight, Site::Cluster, range, scalar::duration_range));
        let single = "a duration, for example `100ms`";
        let heartbeat =
            heartbeat.and_then(|field| self.renders_to(field, sight, Site::Cluster, single, scalar::duration));
        let pre_vote = fields
            .get("pre-vote")
            .and_then(|field| self.renders_to(field, sight, Site::Cluster, "`true` or `false`", scalar::boolean));
        Some(TimingTemplates { election_timeout: election?, heartbeat: heartbeat?, pre_vote })
    }

    fn promises(&mut self, field: Option<Field<'_>>) -> Promises {
        let mut promises = Promises {
            one_leader: OneLeader::Nothing,
            acknowledged_writes: AcknowledgedWrites::MayBeLost,
            reads: Reads::Stale,
        };
        let Some(fields) = field.and_then(|field| self.open(field, &[&words::PROMISES])) else { return promises };
        if let Some(field) = fields.get("one-leader") {
            promises.one_leader = match self.one_of(field, "promise", &["per-term", "any-time", "nothing"]) {
                Some("per-term") => OneLeader::PerTerm,
                Some("any-time") => OneLeader::AnyTime,
                Some(_) | None => OneLeader::Nothing,
            };
        }
        if let Some(field) = fields.get("acknowledged-writes") {
            promises.acknowledged_writes = match self.one_of(field, "promise", &["kept", "may-be-lost"]) {
                Some("kept") => AcknowledgedWrites::Kept,
                Some(_) | None => AcknowledgedWrites::MayBeLost,
            };
        }
        if let Some(field) = fields.get("reads") {
            promises.reads = match self.one_of(field, "promise", &["linearizable", "sequential", "stale"]) {
                Some("linearizable") => Reads::Linearizable,
                Some("sequential") => Reads::Sequential,
                Some(_) | None => Reads::Stale,
            };
        }
        promises
    }

    /// The name of a port that there is.
    fn port(&mut self, field: Field<'_>, ports: &BTreeMap<String, u16>) -> Option<String> {
        let text = self.text(field, "the name of one of `ports`")?;
        if ports.contains_key(text) {
            return Some(text.to_owned());
        }
        self.no_such(field.node.place, "port", text, ports.keys().map(String::as_str), "name it under `ports`");
        None
    }

    /// Notes a name that the definition itself doesn't have.
    pub(super) fn no_such<'w>(
        &mut self,
        place: Place,
        what: &str,
        text: &str,
        known: impl Iterator<Item = &'w str>,
        remedy: &str,
    ) {
        let known: Vec<&str> = known.collect();
        let mistake = Mistake::at(place, format!("no {what} `{text}`"));
        self.note(match crate::error::nearest(text, known.iter().copied()) {
            Some(near) => mistake.meant(near),
            None if known.is_empty() => mistake.label("there is none").help(remedy),
            None => mistake.help(format!("there is {}; or {remedy}", one_of(known))),
        });
    }
}

/// A value as it stands in the file: what reads as a whole number in the usual way of writing, is one.
fn tuned(text: &str) -> Tuned {
    match (text.parse::<i64>(), text) {
        (Ok(number), _) if number.to_string() == text => Tuned::Number(number),
        (_, "true") => Tuned::Flag(true),
        (_, "false") => Tuned::Flag(false),
        (Ok(_) | Err(_), _) => Tuned::Text(text.to_owned()),
    }
}

/// Why a text can't be a word of templates, if it can't.
fn word_trouble(text: &str) -> Option<&'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if text.is_empty() || text.len() > 64 {
        Some("1 to 64 characters")
    } else if !text.starts_with(|c: char| c.is_ascii_alphabetic()) || !text.chars().all(fits) {
        Some("a letter, then letters, digits, `_` and `-`: templates speak of it")
    } else {
        None
    }
}
