//! Markdown for `$GITHUB_STEP_SUMMARY` and for comments under a change.
//!
//! ```text
//! ## ✘ FAIL partition · raft, 5 nodes · seed 7 · 62.4 s
//! n3 and n5 both led term 8
//! | | property | |
//! | --- | --- | --- |
//! | ✘ violated | ElectionSafety | n3 and n5 both led term 8 |
//! ```
//!
//! GitHub drops a step's whole summary if it is larger than 1 MiB, so this never is: parts come in order of their weight
//! (verdicts, violations, figures, warnings), and those that don't fit any more are left out, which the last line says.
//!
//! Source: GitHub Flavored Markdown spec 0.29 (§2.4 backslash escapes, §4.10 tables). Every character of foreign words that
//! could be Markdown or HTML is escaped, and a line break is written as `\u{a}`: a cell can't leave its row.

use std::fmt::Write;
use std::time::Duration;

use chaos_failover::Distribution;

use super::finding::{Finding, findings};
use super::pool::{failovers, pooled, worst};
use crate::words::{Lines, count, duration, visible};
use crate::{Report, Verdict};

/// The most that GitHub takes of one step.
pub const BYTES_MAX: usize = 1 << 20;
/// Longer foreign words are cut.
const WORDS_CHARS_MAX: usize = 1_000;
/// An argument of more steps is cut.
const STEPS_MAX: usize = 30;

pub(super) fn render(reports: &[Report], bytes_max: usize) -> String {
    let mut page = Page { text: String::new(), bytes_max, left_out: 0 };
    match reports {
        [] => {}
        [report] => {
            page.part(&format!("## {}\n\n{}\n", head(report), escaped(&report.sentence)));
            page.findings(report);
        }
        [_, _, ..] => page.runs(reports),
    }
    page.figures(reports);
    for report in reports {
        page.warnings(report);
    }
    if let [report] = reports {
        page.part(&format!("\nAgain:\n\n{}\n", code_block(report.run.given.as_ref().unwrap_or(&report.run.command))));
    }
    page.finish()
}

struct Page {
    text: String,
    bytes_max: usize,
    left_out: usize,
}

/// The room that is kept for the last line.
const NOTICE_BYTES: usize = 160;

impl Page {
    /// Adds a part that is whole or not there; after the first that doesn't fit, none is.
    fn part(&mut self, part: &str) {
        if self.left_out > 0 || self.text.len() + part.len() + NOTICE_BYTES > self.bytes_max {
            self.left_out += 1;
        } else {
            self.text.push_str(part);
        }
    }

    fn finish(mut self) -> String {
        if self.left_out > 0 {
            let left_out = count(self.left_out as u64, "part");
            let notice = format!(
                "\n\n**Cut here: {left_out} left out, since a summary has its limit.** The report has everything.\n"
            );
            if self.text.len() + notice.len() <= self.bytes_max {
                self.text.push_str(&notice);
            }
        }
        self.text
    }

    fn findings(&mut self, report: &Report) {
        self.part("\n| | what | |\n| --- | --- | --- |\n");
        let findings = findings(report);
        for finding in &findings {
            let (mark, word, name) = (finding.found.mark(), finding.found.word(), escaped(finding.name));
            self.part(&format!("| {mark} {word} | {name} | {} |\n", escaped(&finding.sentence)));
        }
        for finding in findings.iter().filter(|finding| finding.found.is_violation()) {
            self.part(&argument(finding));
        }
    }

    fn runs(&mut self, reports: &[Report]) {
        let verdict = worst(reports);
        let (n, failovers) = (count(reports.len() as u64, "run"), count(failovers(reports).count() as u64, "failover"));
        self.part(&format!("## {} {} {n}, {failovers}\n", mark(verdict), verdict.word()));
        self.part("\n| | run | failovers | |\n| --- | --- | ---: | --- |\n");
        for report in reports {
            let (run, n) = (&report.run, report.measured.failovers.len());
            let (word, name) = (report.verdict.word(), escaped(&format!("{} · seed {}", run.workload, run.seed)));
            let sentence = escaped(&report.sentence);
            self.part(&format!("| {} {word} | {name} | {n} | {sentence} |\n", mark(report.verdict)));
        }
        for report in reports {
            let violated = findings(report).into_iter().filter(|finding| finding.found.is_violation());
            for finding in violated {
                self.part(&format!("\n### {}\n", head(report)));
                self.part(&argument(&finding));
            }
        }
    }

    fn figures(&mut self, reports: &[Report]) {
        let Some(first) = reports.first() else { return };
        let distributions = pooled(reports);
        if distributions.is_empty() {
            self.part("\nNo failover was measured.\n");
            return;
        }
        self.part("\n| failovers by | phase | n | p50 | p90 | p99 | max | floor |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n");
        for row in &distributions {
            let floor = first.measured.floor.as_ref().and_then(|floor| floor.of_failovers(row.kind, row.phase));
            self.part(&figures_row(row, floor.map(|floor| floor.min)));
        }
    }

    fn warnings(&mut self, report: &Report) {
        for warning in &report.warnings {
            self.part(&format!("\n> **Warning** {}\n", escaped(warning)));
        }
    }
}

fn figures_row(row: &Distribution, floor: Option<Duration>) -> String {
    let optional = |value: Option<Duration>| value.map_or("–".to_owned(), duration);
    let Distribution { kind, phase, failovers, figures, .. } = row;
    let n = if figures.n < *failovers { format!("{} of {failovers}", figures.n) } else { figures.n.to_string() };
    format!(
        "| {} | {} | {n} | {} | {} | {} | {} | {} |\n",
        kind.name(),
        phase.name(),
        optional(figures.p50),
        optional(figures.p90),
        optional(figures.p99),
        duration(figures.max),
        optional(floor)
    )
}

/// A violation's argument, with the plan's line.
fn argument(finding: &Finding<'_>) -> String {
    let mut text = format!("\n**{}**: {}\n\n", escaped(finding.name), escaped(&finding.sentence));
    for (index, step) in finding.steps.iter().take(STEPS_MAX).enumerate() {
        let _ = writeln!(text, "{}. {}", index + 1, escaped(step));
    }
    if finding.steps.len() > STEPS_MAX {
        let _ = writeln!(text, "\nand {} more", count((finding.steps.len() - STEPS_MAX) as u64, "step"));
    }
    if let Some(place) = finding.place {
        let _ = writeln!(text, "\nThe fault under way: {} line {}", escaped(&place.file), place.line);
    }
    text
}

fn head(report: &Report) -> String {
    let run = &report.run;
    let lasted = duration(Duration::from_nanos(run.duration_ns));
    let facts = format!("{} · {} · seed {} · {lasted}", run.workload, run.system_in_words(), run.seed);
    format!("{} {} {}", mark(report.verdict), report.verdict.word(), escaped(&facts))
}

fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✔",
        Verdict::Fail | Verdict::Missed | Verdict::AsExpected => "✘",
        Verdict::Unknown => "?",
    }
}

fn cut(text: &str) -> String {
    let chars = text.chars().count();
    if chars <= WORDS_CHARS_MAX {
        return text.to_owned();
    }
    let kept: String = text.chars().take(WORDS_CHARS_MAX).collect();
    format!("{kept}… ({} characters more)", chars - WORDS_CHARS_MAX)
}

/// Foreign words as words, wherever in a line they stand.
fn escaped(text: &str) -> String {
    let text = cut(&visible(text.trim_start(), Lines::One));
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    let mut begins = true;
    while let Some(character) = rest.next() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // An address or a name would become a link.
            '@' => out.push_str("&#64;"),
            ':' if rest.as_str().starts_with("//") => out.push_str("\\:"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(character);
            }
            // At the beginning of a line these make headings, lists and underlines.
            '#' | '+' | '-' | '=' | '.' | ')' if begins => {
                out.push('\\');
                out.push(character);
            }
            other => out.push(other),
        }
        begins = begins && character.is_ascii_digit();
    }
    out
}

/// A text that people copy, between fences that are longer than any of its own.
fn code_block(text: &str) -> String {
    let text = cut(&visible(text, Lines::One));
    let longest = text.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}sh\n{text}\n{fence}")
}
