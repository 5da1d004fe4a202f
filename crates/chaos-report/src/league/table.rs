//! What a section shows, as text: one heading and one cell per column, for both renderings.

use std::time::Duration;

use super::Section;
use super::cell::{Cell, Untold};
use super::row::Row;
use crate::words::{count, duration, grouped};

const NOTHING: &str = "–";

/// A section's table.
#[derive(Debug)]
pub(crate) struct Table {
    /// The columns' headings.
    pub(crate) headings: Vec<&'static str>,
    /// The cells, as many a row as there are headings.
    pub(crate) rows: Vec<Vec<String>>,
    /// Footnotes that cells refer to, with their marks.
    pub(crate) footnotes: Vec<(&'static str, &'static str)>,
}

type Column = (&'static str, fn(&Row) -> String);

/// The figures that may be empty for a whole section: a killed leader never steps down.
const COLUMNS: [Column; 13] = [
    ("n", n),
    ("doubtful", |row| if row.stalled == 0 { NOTHING.to_owned() } else { grouped(row.stalled) }),
    ("detected", |row| row.detected.text()),
    ("elected", |row| row.elected.text()),
    ("writable", |row| row.writable.text()),
    ("old steps down", |row| row.step_down.text()),
    ("overlap", |row| row.overlap.text()),
    ("outage", |row| row.outage.text()),
    ("outage on heal", |row| row.heal_outage.text()),
    ("lost writes", |row| row.lost.map_or(NOTHING.to_owned(), grouped)),
    ("terms", terms),
    ("floor", floor),
    ("÷ floor", over_floor),
];

pub(crate) fn figures(section: &Section) -> Table {
    let is_shown = |column: &&Column| section.rows.iter().any(|row| !(column.1)(row).starts_with(NOTHING));
    let columns: Vec<&Column> = COLUMNS.iter().filter(is_shown).collect();
    let mut headings = vec!["system"];
    headings.extend(columns.iter().map(|column| column.0));
    headings.push("checks");
    let cells = |row: &Row| {
        let mut cells = vec![row.key.name()];
        cells.extend(columns.iter().map(|column| (column.1)(row)));
        cells.push(checks(row));
        cells
    };
    let shown = |row: &Row| -> Vec<Untold> {
        let figures = [&row.detected, &row.elected, &row.writable, &row.outage, &row.heal_outage, &row.step_down];
        figures.into_iter().filter_map(Cell::footnote).collect()
    };
    let used: Vec<Untold> = section.rows.iter().flat_map(shown).collect();
    let footnotes = Untold::ALL.into_iter().filter(|untold| used.contains(untold));
    Table {
        headings,
        rows: section.rows.iter().map(cells).collect(),
        footnotes: footnotes.map(|untold| (untold.mark(), untold.in_words())).collect(),
    }
}

/// What exactly was tested.
pub(crate) fn tested(section: &Section) -> Table {
    let row = |row: &Row| {
        let or_nothing = |text: String| if text.is_empty() { NOTHING.to_owned() } else { text };
        let nodes = if row.key.nodes == 0 { NOTHING.to_owned() } else { row.key.nodes.to_string() };
        let programs: Vec<&str> = row.programs.iter().map(String::as_str).collect();
        let mut failed = row.failed.clone();
        failed.dedup();
        vec![
            row.key.name(),
            nodes,
            or_nothing(row.key.settings.clone()),
            or_nothing(programs.join(", ")),
            row.runs.to_string(),
            or_nothing(failed.join("; ")),
        ]
    };
    Table {
        headings: vec!["system", "nodes", "settings", "programs", "runs", "runs that came to nothing"],
        rows: section.rows.iter().map(row).collect(),
        footnotes: Vec::new(),
    }
}

/// How many of the faults took the leader away.
fn n(row: &Row) -> String {
    match (row.failovers, row.faults) {
        (0, 0) => NOTHING.to_owned(),
        (failovers, faults) if failovers == faults => grouped(failovers),
        (failovers, faults) => format!("{} of {}", grouped(failovers), grouped(faults)),
    }
}

/// Terms begun per fault: 1 is one election each.
fn terms(row: &Row) -> String {
    if row.faults == 0 || row.terms == 0 {
        return NOTHING.to_owned();
    }
    format!("{:.1}", row.terms as f64 / row.faults as f64)
}

fn floor(row: &Row) -> String {
    if row.failovers == 0 {
        return NOTHING.to_owned();
    }
    match row.floor_of_elected() {
        Some((least, Some(median))) => format!("≥ {}, median {}", duration(least), duration(median)),
        Some((least, None)) => format!("≥ {}", duration(least)),
        None => NOTHING.to_owned(),
    }
}

fn over_floor(row: &Row) -> String {
    row.over_floor_millionths().map_or(NOTHING.to_owned(), |ratio| format!("{:.2}", ratio as f64 / 1e6))
}

/// The runs' verdicts, with what was violated; or why there was none.
fn checks(row: &Row) -> String {
    if row.runs == 0 {
        return format!("did not run: {}", row.failed.first().map_or("nobody says why", String::as_str));
    }
    let verdicts: Vec<String> = row.verdicts.iter().map(|(word, runs)| format!("{word} × {runs}")).collect();
    let violated: Vec<&str> = row.violated.iter().map(String::as_str).collect();
    let mut text = verdicts.join(", ");
    if !violated.is_empty() {
        text.push_str(&format!(" ({} violated)", violated.join(", ")));
    }
    if !row.failed.is_empty() {
        text.push_str(&format!(", {} came to nothing", count(row.failed.len() as u64, "run")));
    }
    text
}

/// The range that a page's drawing of elections spans: smallest, median, largest, and the floor's median.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) min: Duration,
    pub(crate) median: Option<Duration>,
    pub(crate) max: Duration,
    pub(crate) expected: Option<Duration>,
}

/// Where a row's elections lie; `None` if there were none.
pub(crate) fn span(row: &Row) -> Option<Span> {
    let figures = row.elected.figures()?;
    let expected = row.floor_of_elected().and_then(|(_, median)| median);
    Some(Span { min: figures.min, median: figures.p50, max: figures.max, expected })
}

/// What the columns mean, for both renderings.
pub(crate) const LEGEND: &[(&str, &str)] = &[
    ("n", "faults that took the leader away (of all that were injected, if not all did)"),
    ("doubtful", "those during which the host did not let the harness run for a while: their times may be the host's"),
    (
        "detected, elected, writable",
        "from the fault until the first node no longer names the old leader, until the first claim to lead a later term, until the first later write is acknowledged: p50 / p90 / max; the upper bound of what the observations allow",
    ),
    ("never", "how often it did not come while somebody watched; not part of the figures beside it"),
    (
        "old steps down",
        "until the old leader stops claiming to lead: from the cut on, or from the moment on at which a stopped one runs again",
    ),
    (
        "overlap",
        "for how long the old leader certainly led beside a newer one, in whatever terms; legal where a system promises one leader per term",
    ),
    (
        "outage, outage on heal",
        "the longest time without an acknowledgement that belongs to the fault, and the longest that began after it was taken back; 0 is none",
    ),
    ("lost writes", "acknowledged writes that are surely gone: a lower bound"),
    ("terms", "terms begun per fault, the first election left out"),
    (
        "floor, ÷ floor",
        "the least time until somebody is elected and the median that a sound system with the declared timeouts is expected to have after a leader's crash, and the measured median over that one",
    ),
    ("percentiles", "a median takes 5 samples and a 90th percentile 29; fewer than 5 stand there as they are"),
];
