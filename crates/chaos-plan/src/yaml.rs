//! YAML text in, a tree of values with their places out. The only module that knows the YAML crate.
//!
//! The tree is built from the events of the parser that `serde-saphyr` re-exports, not by its serde front end: serde stops
//! at the first unknown field or wrong type, and a plan's mistakes are to be reported together. Scalars keep their text as
//! written, because `200/s`, `150ms..300ms`, `1.50` or `no` mean what the place they stand in says, not what YAML guesses.
//!
//! Refused: tags, merge keys, keys that aren't text, a second document, nesting beyond [`DEPTH_MAX`]. Anchors and aliases
//! work, up to [`VALUES_MAX`] values in all, so that a file of a few lines can't become gigabytes. Nothing here recurses
//! deeper than [`DEPTH_MAX`].

use std::collections::BTreeMap;

use serde_json::Value;
use serde_saphyr::granit_parser::{self, ErrorKind, Event, Parser, ScalarStyle, Span};

use crate::error::{Mistake, Mistakes};
use crate::source::Place;

/// How deep values may be nested. The deepest plan that is read needs 50, whoever wrote it.
pub(crate) const DEPTH_MAX: usize = 64;

/// How many values a plan may have once its aliases are expanded. A thousand steps, written out, have half of that.
pub(crate) const VALUES_MAX: usize = 40_000;

/// How many keys one mapping may have.
pub(crate) const KEYS_MAX: usize = 1_000;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spanned<T> {
    /// The value.
    pub(crate) value: T,
    /// Its place.
    pub(crate) place: Place,
}

/// A YAML value and where it stands: a collection's place is its first line only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// Where it stands.
    pub(crate) place: Place,
    /// What it is.
    pub(crate) kind: NodeKind,
}

/// The kinds of YAML value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NodeKind {
    /// Nothing, `~` or `null`.
    Null,
    /// Text, as written (without quotes).
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file, without duplicates.
    Map(Vec<(Spanned<String>, Node)>),
}

impl Node {
    /// What it is, for messages.
    pub(crate) fn described(&self) -> &'static str {
        match self.kind {
            NodeKind::Null => "nothing is written here",
            NodeKind::Scalar(_) => "this is a single value",
            NodeKind::List(_) => "this is a list",
            NodeKind::Map(_) => "this is a mapping",
        }
    }

    /// How many values it consists of, and how deep it is nested.
    fn measure(&self) -> (usize, usize) {
        let children = |nodes: &mut dyn Iterator<Item = &Self>| {
            nodes.map(Self::measure).fold((1, 1), |(count, depth), child| (count + child.0, depth.max(child.1 + 1)))
        };
        match &self.kind {
            NodeKind::Null | NodeKind::Scalar(_) => (1, 1),
            NodeKind::List(items) => children(&mut items.iter()),
            NodeKind::Map(entries) => children(&mut entries.iter().map(|(_, value)| value)),
        }
    }
}

/// Reads one document. `None` if the text is no YAML or is empty; every reason is noted.
pub(crate) fn parse(source_index: usize, text: &str, mistakes: &mut Mistakes) -> Option<Node> {
    let options = granit_parser::options! {
        emit_comments: false,
        emit_anchor_events: true,
        // The tree's own limit is the one that is reported; these only bound the parser.
        flow_nesting_limit: 2 * DEPTH_MAX,
        block_nesting_limit: 2 * DEPTH_MAX,
    };
    let mut builder = Builder { source_index, text, ..Builder::new(mistakes) };
    for next in Parser::new_from_str_with_options(text, options) {
        let going = match next {
            Ok((event, span)) => builder.event(event, span),
            Err(error) => {
                builder.syntax(&error);
                Going::Stop
            }
        };
        if going == Going::Stop {
            return None;
        }
    }
    match builder.root {
        Some(Node { kind: NodeKind::Null, .. }) | None => {
            let place = Place { source_index, start: 0, end: 0 };
            mistakes.note(Mistake::at(place, "the file is empty").label("nothing but comments or white space here"));
            None
        }
        Some(root) => Some(root),
    }
}

/// The text at a key of the outermost mapping.
pub(crate) fn entry(text: &str, wanted: &str) -> Option<String> {
    let NodeKind::Map(entries) = parse(0, text, &mut Mistakes::default())?.kind else { return None };
    entries.into_iter().find(|(key, _)| key.value == wanted).and_then(|(_, value)| match value.kind {
        NodeKind::Scalar(text) => Some(text),
        NodeKind::Null | NodeKind::List(_) | NodeKind::Map(_) => None,
    })
}

/// A form of the plan language as a value of JSON, typed as editors type it; `None` where it is none that could be written
/// (`[await: leader, …]`).
pub(crate) fn example(form: &str) -> Option<Value> {
    if form.is_empty() || form.contains('…') {
        return None;
    }
    parse(0, form, &mut Mistakes::default()).map(|node| typed(&node))
}

fn typed(node: &Node) -> Value {
    match &node.kind {
        NodeKind::Null => Value::Null,
        NodeKind::Scalar(text) => match (text.parse::<u64>(), text.parse::<bool>()) {
            (Ok(number), _) => number.into(),
            (_, Ok(boolean)) => boolean.into(),
            (Err(_), Err(_)) => text.as_str().into(),
        },
        NodeKind::List(items) => items.iter().map(typed).collect(),
        NodeKind::Map(entries) => entries.iter().map(|(key, value)| (key.value.clone(), typed(value))).collect(),
    }
}

/// A tree as text that reads as an equal tree, places apart: one line, every scalar in quotes.
pub(crate) fn write(node: &Node) -> String {
    let mut text = written(node);
    text.push('\n');
    text
}

fn written(node: &Node) -> String {
    match &node.kind {
        NodeKind::Null => "null".to_owned(),
        NodeKind::Scalar(text) => quoted(text),
        NodeKind::List(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
        NodeKind::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{}: {}", quoted(&key.value), written(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A text as a double-quoted scalar, on one line.
pub(crate) fn quoted(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c if c.is_alphanumeric() => out.push(c),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// A text as an editor's YAML server would read it: by the library's own front end, which shares none of our tree.
#[cfg(test)]
pub(crate) fn as_json(text: &str) -> Result<Value, String> {
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}

/// Whether there is sense in reading on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Going {
    On,
    Stop,
}

/// A collection that is still open.
struct Open {
    place: Place,
    anchor: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map { entries: Vec<(Spanned<String>, Node)>, key: Option<Spanned<String>> },
}

struct Builder<'t, 'm> {
    source_index: usize,
    text: &'t str,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    /// Values so far, those that came by alias included.
    values: usize,
    documents: usize,
    root: Option<Node>,
    mistakes: &'m mut Mistakes,
}

impl<'m> Builder<'_, 'm> {
    fn new(mistakes: &'m mut Mistakes) -> Self {
        Self {
            source_index: 0,
            text: "",
            open: Vec::new(),
            anchors: BTreeMap::new(),
            values: 0,
            documents: 0,
            root: None,
            mistakes,
        }
    }

    /// The span's bytes, up to the end of its first line.
    fn place(&self, span: Span) -> Place {
        let start = span.start.byte_offset().unwrap_or(0).min(self.text.len());
        let end = span.end.byte_offset().unwrap_or(start).clamp(start, self.text.len());
        let line = self.text.as_bytes()[start..end].iter().position(|&byte| byte == b'\n' || byte == b'\r');
        Place { source_index: self.source_index, start, end: line.map_or(end, |length| start + length) }
    }

    fn stop(&mut self, mistake: Mistake) -> Going {
        self.mistakes.note(mistake);
        Going::Stop
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Going {
        let place = self.place(span);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return self.stop(
                        Mistake::at(place, "a second document begins").label("everything belongs into one document"),
                    );
                }
                Going::On
            }
            Event::Alias(anchor) => self.alias(anchor, place),
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                let plain = style == ScalarStyle::Plain;
                let kind = if plain && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL") {
                    NodeKind::Null
                } else {
                    NodeKind::Scalar(text.into_owned())
                };
                self.value(Node { place, kind }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                self.begin(Open { place, anchor, kind: OpenKind::List(Vec::new()) })
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                self.begin(Open { place, anchor, kind: OpenKind::Map { entries: Vec::new(), key: None } })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(place),
            // Metadata, and what later versions of the parser may add: no value.
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Anchor(..) | _ => Going::On,
        }
    }

    fn refuse_tag(&mut self, tagged: bool, span: Span) {
        if tagged {
            let place = self.place(span.tag_span().unwrap_or(span));
            self.mistakes.note(Mistake::at(place, "a tag on a value").label("plans know no tags: leave out the `!…`"));
        }
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Going {
        let Some(node) = self.anchors.get(&anchor) else {
            return self.stop(Mistake::at(place, "an alias inside the value that it names").label("this has no end"));
        };
        let (values, depth) = node.measure();
        if self.open.len() + depth > DEPTH_MAX {
            return self.too_deep(place);
        }
        // The last value is counted when it is placed.
        self.values += values - 1;
        let node = node.clone();
        self.value(node, 0)
    }

    fn too_deep(&mut self, place: Place) -> Going {
        self.stop(Mistake::at(place, format!("values nested more than {DEPTH_MAX} deep")))
    }

    fn begin(&mut self, open: Open) -> Going {
        if self.open.len() + 1 >= DEPTH_MAX {
            return self.too_deep(open.place);
        }
        if let Some(Open { kind: OpenKind::Map { key: None, .. }, .. }) = self.open.last() {
            return self
                .stop(Mistake::at(open.place, format!("a {} as a key", open.noun())).label("a key is a plain word"));
        }
        self.open.push(open);
        Going::On
    }

    fn end(&mut self, place: Place) -> Going {
        let Some(open) = self.open.pop() else { return Going::On };
        let end = open.place.end.max(place.end);
        let first = match &open.kind {
            OpenKind::List(items) => items.first().map(|item| item.place),
            OpenKind::Map { entries, .. } => entries.first().map(|(key, _)| key.place),
        };
        let opening = self.text.as_bytes().get(open.place.start);
        let place = if matches!(opening, Some(b'[' | b'{')) {
            // Flow style: from bracket to bracket, as far as the first line goes.
            let line = self.text[open.place.start..end.max(open.place.start)].lines().next().unwrap_or("");
            Place { end: open.place.start + line.len(), ..open.place }
        } else {
            first.unwrap_or(open.place)
        };
        let kind = match open.kind {
            OpenKind::List(items) => NodeKind::List(items),
            OpenKind::Map { entries, .. } => NodeKind::Map(entries),
        };
        self.value(Node { place, kind }, open.anchor)
    }

    /// Puts a finished value where it belongs.
    fn value(&mut self, mut node: Node, anchor: usize) -> Going {
        self.values += 1;
        if self.values > VALUES_MAX {
            return self.stop(
                Mistake::at(node.place, format!("more than {VALUES_MAX} values"))
                    .help("aliases count as often as they are used"),
            );
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(OpenKind::List(items)) => items.push(node),
            Some(OpenKind::Map { entries, key }) => match key.take() {
                None => return self.key(node),
                Some(key) => {
                    if node.kind == NodeKind::Null && node.place.start == node.place.end {
                        // An absent value has no characters of its own to point at.
                        node.place = key.place;
                    }
                    if let Some((first, _)) = entries.iter().find(|(known, _)| known.value == key.value) {
                        let mistake = Mistake::at(key.place, format!("`{}` is there twice", key.value))
                            .label("again here")
                            .also(first.place, "first here");
                        self.mistakes.note(mistake);
                    } else if entries.len() == KEYS_MAX {
                        let message = format!("a mapping of more than {KEYS_MAX} keys");
                        return self.stop(Mistake::at(key.place, message));
                    } else {
                        entries.push((key, node));
                    }
                }
            },
        }
        Going::On
    }

    fn key(&mut self, node: Node) -> Going {
        let place = node.place;
        let text = match node.kind {
            NodeKind::Scalar(text) => text,
            NodeKind::Null => self.text[place.start..place.end].to_owned(),
            NodeKind::List(_) | NodeKind::Map(_) => {
                return self.stop(Mistake::at(place, "a key that is not a word").label("a key is a plain word"));
            }
        };
        if text == "<<" {
            return self.stop(Mistake::at(place, "a merge key").label("plans know no `<<`: write the values out"));
        }
        if let Some(Open { kind: OpenKind::Map { key, .. }, .. }) = self.open.last_mut() {
            *key = Some(Spanned { value: text, place });
        }
        Going::On
    }

    fn syntax(&mut self, error: &granit_parser::ScanError) {
        let start = error.marker().byte_offset().unwrap_or(0).min(self.text.len());
        let place = Place { source_index: self.source_index, start, end: start };
        if *error.kind() == ErrorKind::RecursionLimitExceeded {
            self.too_deep(place);
            return;
        }
        let mut mistake = Mistake::at(place, "this is not YAML").label(error.info().to_string());
        // The commonest cause in plans: `>` begins a folded text in YAML, so `> 90%` is a broken header of one.
        let line_start = self.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[line_start..].lines().next().unwrap_or("");
        if let Some((_, value)) = line.split_once(": >") {
            let bound = value.trim_start_matches(['=', ' ']);
            let words = if value.starts_with('=') { "at least" } else { "above" };
            mistake = mistake
                .help(format!("YAML reads `>` as the beginning of a text: write `{words} {bound}`, or quote it"));
        } else if line.trim_start_matches([' ', '-']).contains('\t') || line.starts_with('\t') {
            mistake = mistake.help("YAML indents with spaces, never with tabs");
        } else if error.info().contains("flow ") {
            mistake = mistake.help("inside brackets, a text that holds a bracket, a brace or a comma stands in quotes");
        }
        self.mistakes.note(mistake);
    }
}

impl Open {
    fn noun(&self) -> &'static str {
        match self.kind {
            OpenKind::List(_) => "list",
            OpenKind::Map { .. } => "mapping",
        }
    }
}
