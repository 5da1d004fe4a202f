//! Templates, expressions and patterns of a definition: compiled when they are read, pure, equal if their texts are.
//!
//! Templates and expressions are Jinja's (the `minijinja` crate); what isn't defined is an error, never an empty text. Beside
//! Jinja's own filters there are
//!
//! * `nodes | each("{id}=http://{ip}:2380")`, or `each(TEXT, SEPARATOR)`: the text once per node, joined by a comma;
//! * `at(answer, "/a/b")`: a JSON pointer (RFC 6901); undefined where there is nothing;
//! * `text | hex`: the number that a text of hex digits stands for, with or without `0x`;
//! * `text | b64decode`: the UTF-8 text that a base64 text stands for (RFC 4648 §4).
//!
//! Patterns are regular expressions (the `regex` crate: linear time, no backtracking).
//!
//! A loop in a loop in a loop, or `each` around `each`, is a line whose text fills a disk. So one rendering or evaluation has
//! [`STEPS_MAX`] steps and its text [`BYTES_MAX`] bytes, and what is beyond is an error like any other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::{fmt, io};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value, ValueKind, merge_maps};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use serde::Serialize;

use super::Tuned;

/// How many steps (instructions of the template language) one rendering may take: a loop over pairs of a hundred nodes takes a
/// tenth of them.
const STEPS_MAX: u64 = 1_000_000;

/// How many bytes a template may render to.
const BYTES_MAX: usize = 4 << 20;

/// Why a text is no template, expression or pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct TemplateError {
    /// What is wrong, a fragment.
    pub what: String,
}

/// Why a template or an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}`: {what}")]
pub struct EvaluateError {
    /// The template or expression.
    pub text: String,
    /// What is wrong, a fragment.
    pub what: String,
}

/// A text with `{{ … }}` and `{% … %}` in it.
#[derive(Clone)]
pub struct Template {
    text: String,
    compiled: Arc<Environment<'static>>,
}

/// The name under which each template's own environment knows it.
const ONLY: &str = "template";

impl Template {
    /// Compiles a template.
    ///
    /// # Errors
    /// If it is none.
    pub fn new(text: &str) -> Result<Self, TemplateError> {
        let mut environment = environment();
        environment.add_template_owned(ONLY, text.to_owned()).map_err(|error| refused(&error))?;
        Ok(Self { text: text.to_owned(), compiled: Arc::new(environment) })
    }

    /// The template's own text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it speaks of and doesn't define itself, with attributes as far as they are written out: `tune.heartbeat`.
    pub(crate) fn free_names(&self) -> BTreeSet<String> {
        let template = self.compiled.get_template(ONLY);
        template.map(|template| template.undeclared_variables(true).into_iter().collect()).unwrap_or_default()
    }

    /// The text that it stands for.
    ///
    /// # Errors
    /// If something in it is undefined or can't be done, or if it is too much.
    pub fn render(&self, context: &Value) -> Result<String, EvaluateError> {
        Ok(self.render_counted(context)?.0)
    }

    /// The text that it stands for, and what it took: steps and bytes together.
    pub(crate) fn render_counted(&self, context: &Value) -> Result<(String, u64), EvaluateError> {
        let failed = |error: &Error| failed(&self.text, error);
        let template = self.compiled.get_template(ONLY).map_err(|error| failed(&error))?;
        let mut text = Bounded(Vec::new());
        let rendered = template.render_captured_to(context, &mut text).map_err(|error| failed(&error))?;
        let steps = rendered.state().fuel_levels().map_or(0, |(used, _)| used);
        let bytes = u64::try_from(text.0.len()).unwrap_or(u64::MAX);
        let text = String::from_utf8(text.0).expect("the template language writes text");
        Ok((text, steps.saturating_add(bytes)))
    }
}

/// A text that grows to [`BYTES_MAX`] bytes and no further.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if self.0.len() + more.len() > BYTES_MAX {
            return Err(io::Error::other(TOO_LONG));
        }
        self.0.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is said of a text beyond [`BYTES_MAX`].
const TOO_LONG: &str = "it renders to more than 4 MiB";

/// One expression, without the braces.
#[derive(Clone)]
pub struct Expression {
    text: String,
    compiled: Arc<minijinja::Expression<'static, 'static>>,
}

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// If it is none.
    pub fn new(text: &str) -> Result<Self, TemplateError> {
        static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
        let environment = ENVIRONMENT.get_or_init(environment);
        let compiled = environment.compile_expression_owned(text.to_owned()).map_err(|error| refused(&error))?;
        Ok(Self { text: text.to_owned(), compiled: Arc::new(compiled) })
    }

    /// The expression's own text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it speaks of, as of a template.
    pub(crate) fn free_names(&self) -> BTreeSet<String> {
        self.compiled.undeclared_variables(true).into_iter().collect()
    }

    /// Its value; undefined where it names a part of the answer that isn't there.
    ///
    /// # Errors
    /// If it can't be evaluated.
    pub fn value(&self, context: &Value) -> Result<Value, EvaluateError> {
        self.compiled.eval(context).map_err(|error| failed(&self.text, &error))
    }
}

/// A regular expression.
#[derive(Clone)]
pub struct Pattern(regex::Regex);

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// If it is none, or too large.
    pub fn new(text: &str) -> Result<Self, TemplateError> {
        let compiled = regex::RegexBuilder::new(text).multi_line(true).size_limit(1 << 20).build();
        compiled.map(Self).map_err(|error| TemplateError { what: error.to_string() })
    }

    /// The pattern's own text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.as_str()
    }

    /// The names of its groups, and how many groups it has beside the whole match.
    pub(crate) fn group_names(&self) -> (BTreeSet<&str>, usize) {
        (self.0.capture_names().flatten().collect(), self.0.captures_len() - 1)
    }

    /// The named groups of the first match, and the numbered ones by their number (`0` is the whole match); `None` if nothing
    /// matches. In a multi-line text, `^` and `$` match at line ends.
    #[must_use]
    pub fn groups(&self, text: &str) -> Option<BTreeMap<String, String>> {
        let captures = self.0.captures(text)?;
        let mut groups = BTreeMap::new();
        for (number, name) in self.0.capture_names().enumerate() {
            let Some(found) = captures.get(number) else { continue };
            groups.insert(number.to_string(), found.as_str().to_owned());
            groups.extend(name.map(|name| (name.to_owned(), found.as_str().to_owned())));
        }
        Some(groups)
    }
}

macro_rules! equal_by_text {
    ($($type:ident),*) => {$(
        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.text() == other.text()
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($type)).field(&self.text()).finish()
            }
        }
    )*};
}

equal_by_text!(Template, Expression, Pattern);

/// A node as templates see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlaceOfNode {
    /// `n1`.
    pub id: String,
    /// From 1.
    pub number: usize,
    /// Its IPv4 address.
    pub ip: String,
    /// Its directory, absolute.
    pub dir: String,
    /// Its data directory, absolute.
    pub data: String,
    /// A directory of its own with a short path, for sockets and pid files; it ends with the run.
    pub run: String,
}

/// What templates see: the node's own words (`id`, `number`, `ip`, `dir`, `data`, `run`) at the top, and beside them `nodes` (those under
/// test), `others` (without the node itself), `first`, `service`, `tune`, `port`, `program`, `install`, `version`, `seed`, `resource`;
/// and `members` and `joining`, which tell a node that joins a running cluster from one of a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scope {
    /// The nodes under test.
    pub nodes: Vec<PlaceOfNode>,
    /// The service nodes.
    pub service: Vec<PlaceOfNode>,
    /// What is tuned.
    pub tune: BTreeMap<String, Tuned>,
    /// Ports by name.
    pub port: BTreeMap<String, u16>,
    /// Absolute paths of programs by name.
    pub program: BTreeMap<String, String>,
    /// Where the installed version lies; empty if nothing is installed.
    pub install: String,
    /// The version; empty if there is none.
    pub version: String,
    /// The run's seed.
    pub seed: u64,
    /// Where what locks protect answers: `host:port`.
    pub resource: String,
}

impl Scope {
    /// What templates about one node see. `own` is its position (from 0) among the nodes under test, followed by the service nodes;
    /// `None`: templates that are about no node.
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    pub fn at(&self, own: Option<usize>) -> Value {
        let own =
            own.map(|own| self.nodes.iter().chain(&self.service).nth(own).expect("the node is one of the cluster's"));
        self.seen(own, (&self.nodes.iter().collect::<Vec<_>>(), false))
    }

    /// What templates about one node under test see when it joins a cluster of these (positions from 0, its own among them).
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    pub fn joining(&self, own: usize, members: &[usize]) -> Value {
        let members: Vec<&PlaceOfNode> = members.iter().map(|member| &self.nodes[*member]).collect();
        self.seen(Some(&self.nodes[own]), (&members, true))
    }

    fn seen(&self, own: Option<&PlaceOfNode>, (members, joining): (&[&PlaceOfNode], bool)) -> Value {
        let others: Vec<_> = self.nodes.iter().filter(|node| Some(*node) != own).collect();
        let mut words: BTreeMap<&str, Value> = BTreeMap::new();
        if let Some(PlaceOfNode { id, number, ip, dir, data, run }) = own {
            words.extend([
                ("id", Value::from(id)),
                ("number", Value::from(*number)),
                ("ip", Value::from(ip)),
                ("dir", Value::from(dir)),
                ("data", Value::from(data)),
                ("run", Value::from(run)),
            ]);
        }
        words.extend([
            ("nodes", value_of(&self.nodes)),
            ("others", value_of(others)),
            ("first", value_of(self.nodes.first())),
            ("service", value_of(&self.service)),
            ("tune", value_of(&self.tune)),
            ("port", value_of(&self.port)),
            ("program", value_of(&self.program)),
            ("install", Value::from(&self.install)),
            ("version", Value::from(&self.version)),
            ("seed", Value::from(self.seed)),
            ("resource", Value::from(&self.resource)),
            ("members", value_of(members)),
            ("joining", Value::from(joining)),
        ]);
        Value::from_pairs(words)
    }
}

/// Any data as a value of templates: an answer, a node.
pub fn value_of(data: impl Serialize) -> Value {
    Value::from(minijinja::value::Serde(data))
}

/// What an expression sees of an answer beside the words of `scope`.
#[must_use]
pub fn beside(scope: &Value, words: Vec<(&'static str, Value)>) -> Value {
    merge_maps([Value::from_pairs(words), scope.clone()])
}

impl Serialize for Tuned {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(STEPS_MAX));
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).trim_blocks(true).build();
    environment.set_syntax(syntax.expect("the delimiters are the usual ones"));
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    // Programs are given `true`, not Python's `True`.
    environment.set_formatter(|out, state, value| {
        let flag =
            (value.kind() == ValueKind::Bool).then(|| Value::from(if value.is_true() { "true" } else { "false" }));
        minijinja::escape_formatter(out, state, flag.as_ref().unwrap_or(value))
    });
    environment.add_filter("each", each);
    environment.add_filter("hex", hex);
    environment.add_filter("b64decode", decoded);
    environment.add_function("at", pointed_at);
    environment
}

/// `nodes | each("{id}=http://{ip}:2380", ",")`.
fn each(nodes: Vec<Value>, text: &str, separator: Option<&str>, rest: Kwargs) -> Result<String, Error> {
    rest.assert_all_used()?;
    let mut done = String::new();
    for (index, node) in nodes.iter().enumerate() {
        if index > 0 {
            done.push_str(separator.unwrap_or(","));
        }
        let mut open = text;
        while let Some((before, after)) = open.split_once('{') {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, format!("`{{` without `}}` in `{text}`")))?;
            let value = node.get_attr(name)?;
            if value.is_undefined() {
                return Err(Error::new(ErrorKind::UndefinedError, format!("a node has no `{name}`")));
            }
            done.push_str(before);
            done.push_str(&value.to_string());
            open = after;
        }
        done.push_str(open);
        if done.len() > BYTES_MAX {
            return Err(Error::new(ErrorKind::InvalidOperation, TOO_LONG));
        }
    }
    Ok(done)
}

/// `"0x1f" | hex`.
fn hex(text: &str) -> Result<Value, Error> {
    let digits = text.trim_start_matches("0x");
    let number = u64::from_str_radix(digits, 16);
    number.map(Value::from).map_err(|_| Error::new(ErrorKind::InvalidOperation, format!("`{text}` is no hex number")))
}

/// `"bjE=" | b64decode`.
fn decoded(text: &str) -> Result<String, Error> {
    let bytes = BASE64_STANDARD.decode(text).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "no base64 of a UTF-8 text"))
}

/// `at(answer, "/a/0/b")`, RFC 6901.
fn pointed_at(value: Value, pointer: &str) -> Result<Value, Error> {
    let mut here = value;
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        let by_name = here.get_attr(&step).unwrap_or_default();
        here = match step.parse::<usize>() {
            Ok(index) if by_name.is_undefined() => here.get_item_by_index(index).unwrap_or_default(),
            Ok(_) | Err(_) => by_name,
        };
    }
    Ok(here)
}

fn refused(error: &Error) -> TemplateError {
    TemplateError { what: in_words(error) }
}

fn failed(text: &str, error: &Error) -> EvaluateError {
    EvaluateError { text: text.to_owned(), what: in_words(error) }
}

/// The error without the library's own way of naming places, in one line.
fn in_words(error: &Error) -> String {
    if error.kind() == ErrorKind::OutOfFuel {
        return format!("more than {STEPS_MAX} steps: is there a loop in a loop?");
    }
    if error.kind() == ErrorKind::WriteFailure {
        return TOO_LONG.to_owned();
    }
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}
