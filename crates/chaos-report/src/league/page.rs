//! The league as one HTML file: no script at all, the reports' style sheet, a policy that names it by its digest.
//!
//! ```text
//! 10 ms        100 ms         1 s          10 s         100 s
//!              ├──●────┤   │                                    smallest, median, largest; the expected median
//! ```
//!
//! Times span five powers of ten, from ZooKeeper's connection reset to Redis's thirty seconds, so the axis is logarithmic.

use std::time::Duration;

use minijinja::{Value, context};

use super::table::{self, LEGEND, Span, Table};
use super::{League, Section, claims};
use crate::ReportError;
use crate::html::svg::{Anchor, Svg};
use crate::html::{STYLE, environment, policy};
use crate::words::duration;

const PAGE: &str = include_str!("../../templates/league.html");
/// What the league's tables need beyond the reports' style.
const LEAGUE_STYLE: &str = include_str!("../../templates/league.css");

const WIDTH: f64 = 1_000.0;
const NAMES_WIDTH: f64 = 260.0;
const ROW_HEIGHT: f64 = 22.0;
const HEAD_HEIGHT: f64 = 24.0;
/// The axis in powers of ten of a second: 10 ms to 100 s.
const FIRST_POWER: f64 = -2.0;
const LAST_POWER: f64 = 2.0;

pub(super) fn render(league: &League) -> Result<String, ReportError> {
    let style = format!("{STYLE}{LEAGUE_STYLE}");
    let mut environment = environment();
    environment.add_template("league.html", PAGE)?;
    let sections: Vec<Value> = league.sections.iter().map(section).collect();
    Ok(environment.get_template("league.html")?.render(context! {
        policy => Value::from_safe_string(policy::without_script(&style)),
        style => Value::from_safe_string(style),
        facts => league.facts.clone(),
        legend => LEGEND.to_vec(),
        sections,
        claims => shown(&claims::table(league)),
    })?)
}

fn section(section: &Section) -> Value {
    context! {
        fault => section.fault.clone(),
        about => section.about.clone(),
        figures => shown(&table::figures(section)),
        tested => shown(&table::tested(section)),
        picture => Value::from_safe_string(elections(section)),
    }
}

fn shown(table: &Table) -> Value {
    context! {
        headings => table.headings.clone(),
        rows => table.rows.clone(),
        footnotes => table.footnotes.clone(),
    }
}

/// Where the elections of each row lie; empty if there were none.
fn elections(section: &Section) -> String {
    let spans: Vec<(String, Span)> =
        section.rows.iter().filter_map(|row| Some((row.key.name(), table::span(row)?))).collect();
    if spans.is_empty() {
        return String::new();
    }
    let height = HEAD_HEIGHT + ROW_HEIGHT * spans.len() as f64;
    let mut svg = Svg::default();
    for (seconds, label) in [(0.01, "10 ms"), (0.1, "100 ms"), (1.0, "1 s"), (10.0, "10 s"), (100.0, "100 s")] {
        let x = place(Duration::from_secs_f64(seconds));
        svg.line("grid", (x, HEAD_HEIGHT - 6.0), (x, height));
        svg.text("tick", (x, 12.0), Anchor::Middle, label);
    }
    for (index, (name, span)) in spans.iter().enumerate() {
        let y = HEAD_HEIGHT + ROW_HEIGHT * (index as f64 + 0.5);
        svg.text("bar-label", (0.0, y + 4.0), Anchor::Start, name);
        svg.line("range", (place(span.min), y), (place(span.max), y));
        for end in [span.min, span.max] {
            svg.line("range", (place(end), y - 4.0), (place(end), y + 4.0));
        }
        if let Some(expected) = span.expected {
            svg.line("floor", (place(expected), y - 8.0), (place(expected), y + 8.0));
        }
        if let Some(median) = span.median {
            let title = format!("median {}, {} to {}", duration(median), duration(span.min), duration(span.max));
            svg.circle("step", (place(median), y), 4.0, &title);
        }
    }
    svg.finish("Elections of each system on a logarithmic axis of time", WIDTH, height)
}

/// The abscissa of a time; what lies outside of the axis stands at its end.
fn place(time: Duration) -> f64 {
    let power = time.as_secs_f64().max(1e-9).log10().clamp(FIRST_POWER, LAST_POWER);
    NAMES_WIDTH + (WIDTH - NAMES_WIDTH - 30.0) * (power - FIRST_POWER) / (LAST_POWER - FIRST_POWER)
}
