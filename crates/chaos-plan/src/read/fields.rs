//! Reading one value at a time out of the tree, noting what is wrong and going on.
//!
//! Every method returns `None` exactly if it has noted a mistake, so a caller may put any default in its place: with a
//! mistake noted, the result is never used.

use std::ops::RangeInclusive;
use std::time::Duration;

use chaos_history::FaultKind;

use crate::error::{Mistake, nearest, one_of};
use crate::model::DurationRange;
use crate::read::Reader;
use crate::scalar;
use crate::source::Place;
use crate::words::{self, Table};
use crate::yaml::{Node, NodeKind, Spanned};

/// No duration of a plan is longer than a day.
pub(super) const DURATION_MAX: Duration = Duration::from_secs(24 * 3600);

/// A value with the name under which messages speak of it.
#[derive(Clone, Copy)]
pub(crate) struct Field<'n> {
    /// For example `heartbeat`.
    pub(crate) name: &'n str,
    /// Where the name is written.
    pub(crate) key: Place,
    /// The value.
    pub(crate) node: &'n Node,
}

impl<'n> Field<'n> {
    /// A value that stands without a key, in a list: the name is what messages call it.
    pub(crate) fn unnamed(name: &'n str, node: &'n Node) -> Self {
        Self { name, key: node.place, node }
    }
}

/// A mapping whose keys have been checked.
pub(crate) struct Fields<'n> {
    /// Where the mapping is.
    pub(crate) place: Place,
    entries: &'n [(Spanned<String>, Node)],
    /// Whether every key is known.
    pub(crate) all_known: bool,
}

impl<'n> Fields<'n> {
    /// The value of a key, if it is there.
    pub(crate) fn get(&self, name: &str) -> Option<Field<'n>> {
        self.iter().find(|field| field.name == name)
    }

    /// All fields, unknown ones included.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Field<'n>> + use<'n> {
        self.entries.iter().map(|(key, node)| Field { name: &key.value, key: key.place, node })
    }

    /// Those that a table knows.
    pub(crate) fn known<'f>(&'f self, table: &'static Table) -> impl Iterator<Item = Field<'n>> + 'f {
        self.iter().filter(|field| table.has(field.name))
    }
}

impl Reader {
    /// Notes a mistake.
    pub(crate) fn note(&mut self, mistake: Mistake) {
        self.mistakes.note(mistake);
    }

    /// Opens a mapping and checks its keys against the words of the tables.
    pub(crate) fn open<'n>(&mut self, field: Field<'n>, tables: &[&'static Table]) -> Option<Fields<'n>> {
        let owner = tables[0].owner;
        let NodeKind::Map(entries) = &field.node.kind else {
            let help = format!("{owner} knows {}", list(tables.iter().flat_map(|table| table.names())));
            self.note(wrong_type(field, "a mapping").help(help));
            return None;
        };
        let mut fields = Fields { place: field.node.place, entries, all_known: true };
        for entry in fields.iter() {
            if !tables.iter().any(|table| table.has(entry.name)) {
                fields.all_known = false;
                self.unknown_field(entry, &fields, tables);
            }
        }
        Some(fields)
    }

    fn unknown_field(&mut self, field: Field<'_>, all: &Fields<'_>, tables: &[&'static Table]) {
        let names = || tables.iter().flat_map(|table| table.names());
        let near = nearest(field.name, names());
        let verb_wanted = std::ptr::eq(tables[0], &raw const words::VERBS) && all.known(&words::VERBS).next().is_none();
        let noun = match near {
            Some(word) if verb_wanted && FaultKind::named(word).is_some() => "fault",
            Some(word) if verb_wanted && words::VERBS.has(word) => "step",
            None if verb_wanted => "step",
            Some(_) | None => "field",
        };
        let mistake = Mistake::at(field.key, format!("unknown {noun} `{}`", field.name));
        let help = || format!("{} knows {}", tables[0].owner, list(names()));
        let mistake = match (near, words::home_of(field.name)) {
            (Some(near), _) => mistake.label(format!("did you mean `{near}`?")),
            (None, Some(home)) => mistake.label(format!("this belongs to {}", home.owner)).help(help()),
            (None, None) => mistake.label("not a word of the plan language").help(help()),
        };
        self.note(mistake);
    }

    /// Notes that a value is of the wrong type.
    pub(crate) fn wrong_type(&mut self, field: Field<'_>, wanted: &str) {
        self.note(wrong_type(field, wanted));
    }

    /// The text of a scalar; `wanted` says what the text should be.
    pub(crate) fn text<'n>(&mut self, field: Field<'n>, wanted: &str) -> Option<&'n str> {
        match &field.node.kind {
            NodeKind::Scalar(text) => Some(text),
            NodeKind::Null | NodeKind::List(_) | NodeKind::Map(_) => {
                self.wrong_type(field, wanted);
                None
            }
        }
    }

    /// The items of a list.
    pub(crate) fn list<'n>(&mut self, field: Field<'n>, wanted: &str) -> Option<&'n [Node]> {
        match &field.node.kind {
            NodeKind::List(items) => Some(items),
            NodeKind::Null | NodeKind::Scalar(_) | NodeKind::Map(_) => {
                self.wrong_type(field, wanted);
                None
            }
        }
    }

    /// A scalar that `parse` understands; `wanted` is a noun with its article and an example, for messages.
    pub(crate) fn parsed<T>(
        &mut self,
        field: Field<'_>,
        wanted: &str,
        parse: fn(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        let text = self.text(field, wanted)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(why) => {
                self.note(Mistake::at(field.node.place, format!("`{}` must be {wanted}", field.name)).label(why));
                None
            }
        }
    }

    /// A duration above zero.
    pub(crate) fn duration(&mut self, field: Field<'_>) -> Option<Duration> {
        let value = self.parsed(field, "a duration, for example `500ms`", scalar::duration)?;
        self.duration_in(field, value, Duration::from_nanos(1)..=DURATION_MAX).then_some(value)
    }

    /// A duration within limits.
    pub(crate) fn duration_within(&mut self, field: Field<'_>, limits: RangeInclusive<Duration>) -> Option<Duration> {
        let value = self.parsed(field, "a duration, for example `500ms`", scalar::duration)?;
        self.duration_in(field, value, limits).then_some(value)
    }

    /// A range of durations, all above zero.
    pub(crate) fn duration_range(&mut self, field: Field<'_>) -> Option<DurationRange> {
        self.range_within(field, Duration::from_nanos(1)..=DURATION_MAX)
    }

    /// A range of durations within limits.
    pub(crate) fn range_within(&mut self, field: Field<'_>, limits: RangeInclusive<Duration>) -> Option<DurationRange> {
        let value = self.parsed(field, "a duration or a range, for example `1s..2s`", scalar::duration_range)?;
        (self.duration_in(field, value.min, limits.clone()) && self.duration_in(field, value.max, limits))
            .then_some(value)
    }

    fn duration_in(&mut self, field: Field<'_>, value: Duration, limits: RangeInclusive<Duration>) -> bool {
        if limits.contains(&value) {
            return true;
        }
        let (min, max) = (scalar::write_duration(*limits.start()), scalar::write_duration(*limits.end()));
        let message = if value.is_zero() {
            format!("`{}` must be longer than nothing", field.name)
        } else if value > DURATION_MAX {
            format!("`{}` must be 24h at most", field.name)
        } else {
            format!("`{}` must be {min} to {max}", field.name)
        };
        self.note(Mistake::at(field.node.place, message));
        false
    }

    /// A whole number within limits.
    pub(crate) fn count(&mut self, field: Field<'_>, limits: RangeInclusive<u64>) -> Option<u64> {
        let wanted = format!("a whole number, {} to {}", limits.start(), limits.end());
        let value = self.parsed(field, &wanted, scalar::whole)?;
        if limits.contains(&value) {
            return Some(value);
        }
        self.note(
            Mistake::at(field.node.place, format!("`{}` must be {} to {}", field.name, limits.start(), limits.end()))
                .label(format!("this is {}", if value < *limits.start() { "too small" } else { "too large" })),
        );
        None
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, field: Field<'_>) -> Option<bool> {
        self.parsed(field, "`true` or `false`", scalar::boolean)
    }

    /// One of a few words; `what` names the kind of thing.
    pub(crate) fn one_of(&mut self, field: Field<'_>, what: &str, known: &[&'static str]) -> Option<&'static str> {
        let text = self.text(field, &one_of(known.iter().copied()))?;
        if let Some(found) = known.iter().find(|&&word| word == text) {
            return Some(found);
        }
        self.unknown(field.node.place, what, text, known);
        None
    }

    /// Notes a word that isn't one of the known.
    pub(crate) fn unknown(&mut self, place: Place, what: &str, text: &str, known: &[&'static str]) {
        let mistake = Mistake::at(place, format!("unknown {what} `{text}`"));
        self.note(match nearest(text, known.iter().copied()) {
            Some(near) => mistake.label(format!("did you mean `{near}`?")),
            None => mistake.label(format!("no such {what}")).help(format!("known: {}", list(known.iter().copied()))),
        });
    }
}

fn wrong_type(field: Field<'_>, wanted: &str) -> Mistake {
    // A word of the language stands in backquotes; what has none is called `a step` or the like.
    let name = if field.name.contains(' ') { field.name.to_owned() } else { format!("`{}`", field.name) };
    Mistake::at(field.node.place, format!("{name} must be {wanted}")).label(field.node.described())
}

/// `a, b, c`
fn list<'w>(words: impl Iterator<Item = &'w str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}
