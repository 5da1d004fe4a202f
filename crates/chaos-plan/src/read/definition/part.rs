//! What a node gets and runs: files, set-up commands, processes.

use std::time::Duration;

use super::sight::{Sight, Site};
use crate::definition::{FileTemplate, Part, ProcessDefinition, Service, SetupCommand, SetupOn, Template};
use crate::error::Mistake;
use crate::read::{Field, Fields, Reader, name_trouble};
use crate::words;
use crate::yaml::NodeKind;

/// How many service nodes there may be.
const SERVICE_NODES_MAX: u64 = 5;

/// No set-up command is tried for longer.
const RETRY_MAX: Duration = Duration::from_secs(600);

impl Reader {
    /// What the nodes under test get, or the service nodes.
    pub(super) fn part(&mut self, fields: &Fields<'_>, sight: &Sight, site: Site) -> Part {
        let owner = if site == Site::Service { "`service`" } else { "a system definition" };
        let help = "say what a node runs: `processes: { mydb: { run: [mydb, --data, \"{{ data }}\"] } }`";
        let processes = self.required(fields, owner, "processes", help);
        let start = fields.get("start").and_then(|field| self.one_of(field, "start", &["together", "one-by-one"]));
        Part {
            files: fields.get("files").map(|field| self.files(field, sight, site)).unwrap_or_default(),
            setup: fields.get("setup").map(|field| self.setup(field, sight, site)).unwrap_or_default(),
            processes: processes.map(|field| self.processes(field, sight, site)).unwrap_or_default(),
            after_start: fields.get("after-start").map(|field| self.setup(field, sight, site)).unwrap_or_default(),
            clean_on_restart: fields
                .get("clean-on-restart")
                .map(|field| self.paths(field, sight, site))
                .unwrap_or_default(),
            one_by_one: start == Some("one-by-one"),
        }
    }

    /// How many service nodes there are, read before the rest because templates speak of them.
    pub(super) fn service_nodes(&mut self, field: Field<'_>) -> usize {
        let NodeKind::Map(entries) = &field.node.kind else { return 1 };
        let Some((key, node)) = entries.iter().find(|(key, _)| key.value == "nodes") else { return 1 };
        let nodes = self.count(Field { name: &key.value, key: key.place, node }, 1..=SERVICE_NODES_MAX);
        nodes.and_then(|nodes| usize::try_from(nodes).ok()).unwrap_or(1)
    }

    pub(super) fn service(&mut self, field: Field<'_>, nodes: usize, sight: &Sight) -> Option<Service> {
        let fields = self.open(field, &[&words::SERVICE])?;
        Some(Service { nodes, part: self.part(&fields, sight, Site::Service) })
    }

    fn files(&mut self, field: Field<'_>, sight: &Sight, site: Site) -> Vec<FileTemplate> {
        let NodeKind::Map(entries) = &field.node.kind else {
            self.wrong_type(field, "a mapping from paths to texts");
            return Vec::new();
        };
        let mut files = Vec::new();
        for (key, node) in entries {
            let entry = Field { name: &key.value, key: key.place, node };
            let path = self.path_of(&key.value, key.place, sight, site);
            let (text, mode) = match &node.kind {
                NodeKind::Scalar(_) => (self.template(Field { name: "text", ..entry }, sight, site), None),
                // An empty file.
                NodeKind::Null => (Template::new("").ok(), None),
                NodeKind::Map(_) => {
                    let Some(fields) = self.open(entry, &[&words::FILE]) else { continue };
                    let text = self.required(&fields, "a file", "text", "say what it contains; `\"\"` for nothing");
                    let mode = fields.get("mode").and_then(|field| self.parsed(field, "octal, as in `\"0600\"`", mode));
                    (text.and_then(|field| self.template(field, sight, site)), mode)
                }
                NodeKind::List(_) => {
                    self.wrong_type(entry, "a text, or `{ text: …, mode: \"0600\" }`");
                    continue;
                }
            };
            files.extend(path.zip(text).map(|(path, text)| FileTemplate { path, text, mode }));
        }
        files
    }

    fn paths(&mut self, field: Field<'_>, sight: &Sight, site: Site) -> Vec<Template> {
        let items = self.list(field, "a list of paths in the node's directory").unwrap_or_default();
        let mut paths = Vec::new();
        for item in items {
            let path = self.text(Field::unnamed("a path", item), "a text");
            paths.extend(path.and_then(|path| self.path_of(path, item.place, sight, site)));
        }
        paths
    }

    fn setup(&mut self, field: Field<'_>, sight: &Sight, site: Site) -> Vec<SetupCommand> {
        let items = self.list(field, "a list of commands, for example `- run: [mytool, create]`").unwrap_or_default();
        let commands = items.iter().filter_map(|item| {
            let fields = self.open(Field::unnamed("a set-up command", item), &[&words::SETUP])?;
            let run = self.required(&fields, "a set-up command", "run", "write for example `run: [mytool, create]`");
            let run = run.and_then(|field| self.command(field, sight, site));
            let on =
                fields.get("on").and_then(|field| self.one_of(field, "choice of nodes", &["first", "others", "all"]));
            let retry = fields.get("retry-for");
            let retry = retry.and_then(|field| self.duration_within(field, Duration::ZERO..=RETRY_MAX));
            let nonroot = fields.get("nonroot").and_then(|field| self.boolean(field));
            Some(SetupCommand {
                run: run?,
                on: match on {
                    Some("first") => SetupOn::First,
                    Some("others") => SetupOn::Others,
                    Some(_) | None => SetupOn::All,
                },
                retry_for: retry.unwrap_or_default(),
                nonroot: nonroot.unwrap_or(false),
            })
        });
        commands.collect()
    }

    fn processes(&mut self, field: Field<'_>, sight: &Sight, site: Site) -> Vec<ProcessDefinition> {
        let entries = self.named(field, "a process", name_trouble);
        if entries.is_empty() && matches!(&field.node.kind, NodeKind::Map(entries) if entries.is_empty()) {
            self.note(
                Mistake::at(field.key, "`processes` without a process").help("the first is the node's main process"),
            );
        }
        entries.into_iter().filter_map(|entry| self.process_definition(entry, sight, site)).collect()
    }

    fn process_definition(&mut self, field: Field<'_>, sight: &Sight, site: Site) -> Option<ProcessDefinition> {
        let fields = self.open(field, &[&words::PROCESS])?;
        let run = self.required(&fields, "a process", "run", "write for example `run: [mydb, --id, \"{{ id }}\"]`");
        let run = run.and_then(|field| self.command(field, sight, site));
        let environment = fields.get("environment");
        let environment = environment.map(|field| self.templates_by_name(field, "a variable", sight, site));
        let nonroot = fields.get("nonroot").and_then(|field| self.boolean(field)).unwrap_or(false);
        let environment = environment.unwrap_or_default();
        // A process whose command is wrong still has its name: nothing else need be called unknown.
        let run = run.unwrap_or_default();
        Some(ProcessDefinition { name: field.name.to_owned(), run, environment, nonroot })
    }

    /// A command: a list of templates whose first is the program.
    pub(super) fn command(&mut self, field: Field<'_>, sight: &Sight, site: Site) -> Option<Vec<Template>> {
        let items = self.list(field, "a list: the program, then its arguments")?;
        let Some(first) = items.first() else {
            self.note(Mistake::at(field.node.place, "a command of nothing").help("the first word is the program"));
            return None;
        };
        if matches!(&first.kind, NodeKind::Scalar(text) if text.trim().is_empty()) {
            self.note(Mistake::at(first.place, "a program without a name"));
            return None;
        }
        self.templates(field, items, sight, site)
    }

    /// Templates of a list.
    pub(super) fn templates(
        &mut self,
        field: Field<'_>,
        items: &[crate::yaml::Node],
        sight: &Sight,
        site: Site,
    ) -> Option<Vec<Template>> {
        let all: Vec<Option<Template>> = items
            .iter()
            .map(|item| self.template(Field { name: field.name, key: item.place, node: item }, sight, site))
            .collect();
        all.into_iter().collect()
    }

    /// Templates of a mapping, in the order of the file.
    pub(super) fn templates_by_name(
        &mut self,
        field: Field<'_>,
        what: &str,
        sight: &Sight,
        site: Site,
    ) -> Vec<(String, Template)> {
        let entries = self.named(field, what, variable_trouble);
        let templates = entries.into_iter().filter_map(|entry| {
            let template = self.template(entry, sight, site)?;
            Some((entry.name.to_owned(), template))
        });
        templates.collect()
    }
}

/// Permission bits in octal.
fn mode(text: &str) -> Result<u32, &'static str> {
    let octal = (3..=5).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let bits = if octal { u32::from_str_radix(text, 8).ok() } else { None };
    bits.filter(|&bits| bits <= 0o7777).ok_or("three or four octal digits are wanted")
}

/// Why a text can't be the name of an environment variable or a header, if it can't.
fn variable_trouble(text: &str) -> Option<&'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let good = !text.is_empty() && text.len() <= 256 && text.chars().all(fits);
    (!good).then_some("letters, digits, `_`, `-` and `.` only")
}
