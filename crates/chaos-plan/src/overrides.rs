//! `--set key=value`: changes a workload before it is read, so that an override is checked like the file's own words.
//!
//! ```text
//! nodes=3                              a key
//! system.raft.heartbeat=20ms           a nested key; `system: raft` becomes a mapping on the way
//! clients.register.rate=50/s           into the item of a list that is, or has, the key
//! clients.register.mix={read: 1}       a value in brackets or quotes is YAML, anything else is taken as it stands
//! expect.outage.max=< 3s               below `expect`, the rest is one key
//! faults=faults/kill-leader.yaml
//! system.profile=fast                  `system: etcd` becomes `{ use: etcd }` on the way
//! system.nodes.n3.version=3.5.35       single nodes; `system: raft` becomes `{ raft: }` on the way
//! system.programs.etcd=/opt/etcd       below `system.programs`, the rest is one key
//! ```

use crate::error::{Mistake, Mistakes};
use crate::source::{Place, Source, Sources};
use crate::yaml::{self, Node, NodeKind, Spanned};

/// How messages name the place of an override.
const PSEUDO_FILE: &str = "--set";

/// Keys of a workload whose value is a list.
const LISTS: [&str; 2] = ["clients", "checks"];

/// Applies one override to a workload's tree.
pub(crate) fn apply(root: &mut Node, text: &str, sources: &mut Sources, mistakes: &mut Mistakes) {
    let source_index = sources.add(Source { name: PSEUDO_FILE.to_owned(), text: text.to_owned() });
    let place = |start, end| Place { source_index, start, end };
    let Some(equals) = text.find('=') else {
        let mistake = Mistake::at(place(0, text.len()), "an override without `=`").help("for example `--set nodes=3`");
        return mistakes.note(mistake);
    };
    let path = of_the_reference_node(root, path(&text[..equals], place));
    if let Some(empty) = path.iter().find(|segment| segment.value.is_empty()) {
        let mistake = Mistake::at(empty.place, "an override without its key").help("for example `--set nodes=3`");
        return mistakes.note(mistake);
    }
    if path.len() > yaml::DEPTH_MAX {
        return mistakes.note(Mistake::at(place(0, equals), "a key with too many dots"));
    }
    let Some(value) = value(text, equals + 1, source_index, mistakes) else { return };
    if let NodeKind::Map(entries) = &mut root.kind {
        if let Some((_, system)) = entries.iter_mut().find(|(key, _)| key.value == "system") {
            name_is_used(system, &path);
        }
        set(root, &path, value, mistakes);
    }
}

/// `--bin NAME=PATH` as an override: the system's program of that name is taken from there. `None` if it isn't of that form.
#[must_use]
pub fn program_override(text: &str) -> Option<String> {
    let (name, path) = text.split_once('=').filter(|(name, path)| !name.is_empty() && !path.is_empty())?;
    // That one is no program of the system.
    let place = if name == "libfaketime" { "clocks.libfaketime".to_owned() } else { format!("system.programs.{name}") };
    Some(format!("{place}={}", yaml::quoted(path)))
}

/// `--system etcd` and its companions as overrides: `system`, `system.version`, `system.profile`. What looks like YAML is quoted, so
/// that it is a name whatever it is.
#[must_use]
pub fn system_override(key: &str, name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./".contains(c);
    let is_plain = !name.is_empty() && name.chars().all(plain);
    if is_plain { format!("{key}={name}") } else { format!("{key}={}", yaml::quoted(name)) }
}

/// `system: etcd` and `system.profile=fast`: the name becomes one of several things that are said of the system.
fn name_is_used(system: &mut Node, path: &[Spanned<String>]) {
    let [first, second, ..] = path else { return };
    let NodeKind::Scalar(name) = &system.kind else { return };
    if first.value == "system" && name == "raft" && second.value == "nodes" {
        let key = Spanned { value: name.clone(), place: system.place };
        let value = Node { place: system.place, kind: NodeKind::Null };
        system.kind = NodeKind::Map(vec![(key, value)]);
    } else if first.value == "system" && name != "raft" && second.value != "raft" {
        let key = Spanned { value: "use".to_owned(), place: system.place };
        let value = Node { place: system.place, kind: NodeKind::Scalar(name.clone()) };
        system.kind = NodeKind::Map(vec![(key, value)]);
    }
}

/// `system.programs.raft=PATH` says of the reference node what `system.raft.program=PATH` says.
fn of_the_reference_node(root: &Node, mut path: Vec<Spanned<String>>) -> Vec<Spanned<String>> {
    let NodeKind::Map(entries) = &root.kind else { return path };
    let Some((_, system)) = entries.iter().find(|(key, _)| key.value == "system") else { return path };
    let is_raft = match &system.kind {
        NodeKind::Scalar(name) => name == "raft",
        NodeKind::Map(entries) => entries.iter().any(|(key, _)| key.value == "raft"),
        NodeKind::Null | NodeKind::List(_) => false,
    };
    if let [system, programs, program] = path.as_mut_slice()
        && is_raft
        && (system.value.as_str(), programs.value.as_str(), program.value.as_str()) == ("system", "programs", "raft")
    {
        "raft".clone_into(&mut programs.value);
        "program".clone_into(&mut program.value);
    }
    path
}

fn path(key: &str, place: impl Fn(usize, usize) -> Place) -> Vec<Spanned<String>> {
    let mut path = Vec::new();
    let mut start = 0;
    let pieces: Vec<&str> = match key.split_once('.') {
        Some(("expect", rest)) => vec!["expect", rest],
        Some(("system", rest)) if rest.starts_with("programs.") => {
            let (programs, program) = rest.split_once('.').expect("it begins with a word and a dot");
            vec!["system", programs, program]
        }
        Some(_) | None => key.split('.').collect(),
    };
    for piece in pieces {
        path.push(Spanned { value: piece.to_owned(), place: place(start, start + piece.len()) });
        start += piece.len() + 1;
    }
    path
}

fn value(text: &str, start: usize, source_index: usize, mistakes: &mut Mistakes) -> Option<Node> {
    let written = &text[start..];
    if written.trim_start().starts_with(['[', '{', '"', '\'']) {
        // Blanks in place of the key keep every offset right.
        let padded = format!("{}{written}", " ".repeat(start));
        return yaml::parse(source_index, &padded, mistakes);
    }
    let kind = if written.trim().is_empty() { NodeKind::Null } else { NodeKind::Scalar(written.trim().to_owned()) };
    Some(Node { place: Place { source_index, start, end: text.len() }, kind })
}

fn set(node: &mut Node, path: &[Spanned<String>], value: Node, mistakes: &mut Mistakes) {
    let Some((key, rest)) = path.split_first() else {
        *node = value;
        return;
    };
    let pair = || (key.clone(), Node { place: key.place, kind: NodeKind::Null });
    match &mut node.kind {
        NodeKind::Map(entries) => {
            let position = entries.iter().position(|(known, _)| known.value == key.value).unwrap_or_else(|| {
                let mut new = pair();
                if LISTS.contains(&key.value.as_str()) && !rest.is_empty() {
                    new.1.kind = NodeKind::List(Vec::new());
                }
                entries.push(new);
                entries.len() - 1
            });
            entries[position].0.place = key.place;
            set(&mut entries[position].1, rest, value, mistakes);
        }
        NodeKind::List(items) => {
            let has = |item: &Node| match &item.kind {
                NodeKind::Map(entries) => entries.iter().any(|(known, _)| known.value == key.value),
                NodeKind::Scalar(text) => *text == key.value,
                NodeKind::Null | NodeKind::List(_) => false,
            };
            let position = items.iter().position(has).unwrap_or_else(|| {
                items.push(Node { place: key.place, kind: NodeKind::Map(Vec::new()) });
                items.len() - 1
            });
            set(&mut items[position], path, value, mistakes);
        }
        // `system: raft` and `system.raft.heartbeat=20ms`: the word becomes a mapping.
        NodeKind::Scalar(text) if *text == key.value => {
            node.kind = NodeKind::Map(vec![pair()]);
            set(node, path, value, mistakes);
        }
        NodeKind::Null => {
            node.kind = NodeKind::Map(Vec::new());
            set(node, path, value, mistakes);
        }
        NodeKind::Scalar(text) => {
            let mistake = Mistake::at(key.place, format!("nothing to set at `{}`", key.value))
                .label(format!("the value above it is `{text}`"))
                .also(node.place, "here");
            mistakes.note(mistake);
        }
    }
}
