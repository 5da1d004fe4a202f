//! Mistakes in plans: collected, never thrown, each with its place, and rendered like a compiler's.
//!
//! ```text
//! error: unknown fault `partitoin`
//!  --> faults/split.yaml:12:7
//!    |
//! 12 |       partitoin: { isolate: leader }
//!    |       ^^^^^^^^^ did you mean `partition`?
//! ```
//!
//! A reader of this crate notes a mistake and goes on with whatever is left, so that a user who made five mistakes is told
//! of five and not of one, five times.

use std::fmt;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use chaos_history::SourcePlace;

use crate::source::{Place, Source, Sources};

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    message: String,
    place: Option<Place>,
    label: String,
    also: Option<(Place, String)>,
    helps: Vec<String>,
}

impl Mistake {
    /// A mistake that stands nowhere in a text, for example a missing file.
    pub(crate) fn anywhere(message: impl Into<String>) -> Self {
        Self { message: message.into(), place: None, label: String::new(), also: None, helps: Vec::new() }
    }

    /// A mistake at a place.
    pub(crate) fn at(place: Place, message: impl Into<String>) -> Self {
        Self { place: Some(place), ..Self::anywhere(message) }
    }

    /// Says, beside the carets, what is wrong or what was meant.
    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Names what was most likely meant: beside the carets where there are any.
    pub(crate) fn meant(self, word: &str) -> Self {
        let text = format!("did you mean `{word}`?");
        if self.place.is_some() { self.label(text) } else { self.help(text) }
    }

    /// Shows a second place that belongs to the mistake.
    pub(crate) fn also(mut self, place: Place, label: impl Into<String>) -> Self {
        self.also = Some((place, label.into()));
        self
    }

    /// Names a remedy. May be called more than once.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.helps.push(help.into());
        self
    }
}

/// Mistakes noted so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mistakes {
    all: Vec<Mistake>,
}

impl Mistakes {
    /// Notes a mistake.
    pub(crate) fn note(&mut self, mistake: Mistake) {
        // The same anchor used twice would show the same mistake twice.
        if !self.all.contains(&mistake) {
            self.all.push(mistake);
        }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

/// More mistakes than this are counted, not shown.
const SHOWN_MAX: usize = 50;

/// Everything that is wrong with a plan. Displayed as plain text; [`PlanErrors::render`] can colour it.
#[derive(Clone, PartialEq, Eq)]
pub struct PlanErrors {
    mistakes: Vec<Mistake>,
    sources: Sources,
}

impl PlanErrors {
    /// The mistakes in reading order.
    ///
    /// # Panics
    /// If there are none: then there is a plan.
    pub(crate) fn new(mistakes: Mistakes, sources: Sources) -> Self {
        let mut mistakes = mistakes.all;
        assert!(!mistakes.is_empty(), "a plan without mistakes is no error");
        mistakes.sort_by_key(|mistake| mistake.place.map(|place| (place.source_index, place.start)));
        Self { mistakes, sources }
    }

    /// How many mistakes there are, at least 1.
    #[must_use]
    pub fn count(&self) -> usize {
        self.mistakes.len()
    }

    /// Every mistake's message with its place, for annotations in other tools.
    pub fn messages(&self) -> impl Iterator<Item = (Option<SourcePlace>, &str)> {
        self.mistakes
            .iter()
            .map(|mistake| (mistake.place.map(|place| self.sources.locate(place)), mistake.message.as_str()))
    }

    /// The mistakes with their lines, carets and remedies; with ANSI colours if `color`.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for mistake in self.mistakes.iter().take(SHOWN_MAX) {
            out.push_str(&renderer.render(&[self.group(mistake)]));
            out.push_str("\n\n");
        }
        if let Some(more) = self.mistakes.len().checked_sub(SHOWN_MAX).filter(|&more| more > 0) {
            out.push_str(&format!("… and {more} more mistakes\n\n"));
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
        out
    }

    fn group<'a>(&'a self, mistake: &'a Mistake) -> Group<'a> {
        let mut group = Group::with_title(Level::ERROR.primary_title(printable(&mistake.message)));
        if let Some(place) = mistake.place {
            let primary = self.annotation(AnnotationKind::Primary, place, &mistake.label);
            let mut snippet = snippet(self.sources.get(place.source_index)).annotation(primary);
            let also = mistake.also.as_ref().filter(|(also, _)| also.source_index == place.source_index);
            if let Some((also, label)) = also {
                snippet = snippet.annotation(self.annotation(AnnotationKind::Context, *also, label));
            }
            group = group.element(snippet);
        }
        if let Some((also, label)) = &mistake.also
            && mistake.place.is_some_and(|place| place.source_index != also.source_index)
        {
            let other = self.annotation(AnnotationKind::Context, *also, label);
            group = group.element(snippet(self.sources.get(also.source_index)).annotation(other));
        }
        for help in &mistake.helps {
            group = group.element(Level::HELP.message(printable(help)));
        }
        group
    }

    fn annotation<'a>(&self, kind: AnnotationKind, place: Place, label: &str) -> Annotation<'a> {
        let annotation = kind.span(self.sources.range(place));
        if label.is_empty() { annotation } else { annotation.label(printable(label)) }
    }
}

fn snippet(source: &Source) -> Snippet<'_, Annotation<'_>> {
    Snippet::source(source.text.as_str()).path(source.name.as_str())
}

/// Plan text may hold anything, escape sequences included; a message shows them instead of sending them to a terminal.
fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

impl fmt::Display for PlanErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl fmt::Debug for PlanErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for PlanErrors {}

/// The known word that was most likely meant, if one is near enough: for a "did you mean" of one's own.
pub fn nearest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let word = word.to_lowercase().replace('_', "-");
    let allowed = ((word.chars().count() + 1) / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|&(distance, candidate)| {
            distance <= allowed || (word.len() >= 4 && (candidate.starts_with(&word) || word.starts_with(candidate)))
        })
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// `a, b or c`, each in backquotes.
pub(crate) fn one_of<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some(_) | None => words.join(", "),
    }
}
