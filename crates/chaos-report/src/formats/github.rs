//! Workflow commands that GitHub Actions shows beside the plan's lines.
//!
//! ```text
//! ::error file=faults/isolate-leader.yaml,line=8,col=9,title=partition%3A ElectionSafety::n3 and n5 both led term 8
//! ```
//!
//! A violation stands at the line of the fault that was under way, a missed expectation at its own line. GitHub shows ten
//! annotations of a kind per step, so ten is all that is written, the gravest first, and the last says how many there are more.
//!
//! Source: "Workflow commands for GitHub Actions"; the escapes are those of its toolkit's `command.ts`: `%`, CR and LF
//! everywhere, `:` and `,` in properties too. A line can't begin another command, since no line break is left in it.

use std::fmt::Write;

use super::finding::{Finding, Found, findings};
use crate::Report;
use crate::words::{Lines, visible};

/// How many annotations GitHub shows of one step.
pub const ANNOTATIONS_MAX: usize = 10;

/// A longer message is cut: the report has it whole.
const MESSAGE_CHARS_MAX: usize = 4_000;

pub(super) fn render(reports: &[Report]) -> String {
    let mut all: Vec<(&Report, Finding<'_>)> = Vec::new();
    for report in reports {
        let worth_it = findings(report).into_iter().filter(|finding| finding.found != Found::Good);
        all.extend(worth_it.map(|finding| (report, finding)));
    }
    all.sort_by_key(|(_, finding)| match finding.found {
        Found::Violated => 0,
        Found::Missed => 1,
        Found::Unknown => 2,
        Found::ViolatedAsExpected | Found::Good => 3,
    });
    let shown = if all.len() > ANNOTATIONS_MAX { ANNOTATIONS_MAX - 1 } else { all.len() };
    let mut out = String::new();
    for (report, finding) in &all[..shown] {
        command(&mut out, report, finding);
    }
    if all.len() > shown {
        let _ = writeln!(out, "::notice title=chaos::and {} findings more: see the report", all.len() - shown);
    }
    out
}

fn command(out: &mut String, report: &Report, finding: &Finding<'_>) {
    let level = match finding.found {
        Found::Violated | Found::Missed => "error",
        Found::Unknown => "warning",
        Found::ViolatedAsExpected | Found::Good => "notice",
    };
    let mut properties = String::new();
    if let Some(place) = finding.place {
        let _ = write!(properties, "file={},line={},col={},", property(&place.file), place.line, place.column);
    }
    let title = property(&cut(&format!("{}: {}", report.run.workload, finding.name), 200));
    let message = format!("{} ({}, seed {})", finding.sentence, finding.found.word(), report.run.seed);
    let _ = writeln!(out, "::{level} {properties}title={title}::{}", data(&cut(&message, MESSAGE_CHARS_MAX)));
}

fn cut(text: &str, chars_max: usize) -> String {
    let mut chars = text.chars();
    let mut kept: String = chars.by_ref().take(chars_max).collect();
    if chars.next().is_some() {
        kept.push('…');
    }
    kept
}

/// What stands behind the second `::`.
fn data(text: &str) -> String {
    visible(text, Lines::Several).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// What stands between `=` and `,`.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
