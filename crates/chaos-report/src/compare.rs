//! A comparison of two pools of runs, for people and programs: `chaos.compare/1`.
//!
//! ```text
//! REGRESSION  B is slower in 2 of 10 times.
//!   differs    system.raft.heartbeat    20ms → 80ms
//!   by kill                  A           B       B − A   95 % interval             verdict
//!     elected p50       221 ms      189 ms      −32 ms   [−44 ms, −21 ms]          faster
//! ```
//!
//! Refuses to decide anything: every verdict is [`Comparison`]'s; this file only writes it down. The direction is always what B
//! is, seen from A.

use std::fmt::Write as _;
use std::time::Duration;

use chaos_failover::{Comparison, Outcome, RateRow, Row, Share, Side};
use serde::{Deserialize, Serialize};

use crate::ReportError;
use crate::set::cell;
use crate::words::{Lines, count, duration, visible};

/// The format's name and version.
pub const COMPARE_SCHEMA: &str = "chaos.compare/1";

/// A comparison and what was compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompareReport {
    /// [`COMPARE_SCHEMA`].
    pub schema: String,
    /// The version of chaos that compared.
    pub chaos: String,
    /// What A is, as it was named.
    pub a: String,
    /// What B is, as it was named.
    pub b: String,
    /// 0 no regression, 1 B violates safety, 2 nothing could be told, 3 regression.
    pub exit_code: u8,
    /// The conclusion as one sentence.
    pub sentence: String,
    /// What was found.
    pub comparison: Comparison,
}

impl CompareReport {
    /// Concludes. A violation in B outranks everything; a table in which no row could be tested says nothing.
    #[must_use]
    pub fn new(chaos: &str, a: String, b: String, comparison: Comparison) -> Self {
        let exit_code = match &comparison {
            found if found.violated[1].with > 0 => 1,
            found if found.regressed() => 3,
            found if found.nothing_tested() || found.nobody_judged() => 2,
            _ => 0,
        };
        let sentence = sentence(&comparison, exit_code);
        Self { schema: COMPARE_SCHEMA.to_owned(), chaos: chaos.to_owned(), a, b, exit_code, sentence, comparison }
    }

    /// For programs, indented, with a newline at its end.
    ///
    /// # Errors
    /// If a value can't be written, which none of these types should cause.
    pub fn to_json(&self) -> Result<String, ReportError> {
        let mut json = serde_json::to_string_pretty(self)?;
        json.push('\n');
        Ok(json)
    }

    /// The one word in front.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self.exit_code {
            1 => "FAIL",
            2 => "UNKNOWN",
            3 => "REGRESSION",
            _ => "PASS",
        }
    }

    /// For a terminal: plain text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let found = &self.comparison;
        let shown = |text: &str| visible(text, Lines::One);
        let mut out = format!("{}  {}\n", self.word(), self.sentence);
        let _ = writeln!(out, "  A          {}\n  B          {}", shown(&self.a), shown(&self.b));
        let width = found.differing.iter().map(|[name, _, _]| name.chars().count()).max().unwrap_or(0);
        for (index, [name, a, b]) in found.differing.iter().enumerate() {
            let label = if index == 0 { "differs" } else { "" };
            let _ = writeln!(out, "  {label:<11}{:<width$}  {} → {}", shown(name), shown(a), shown(b));
        }
        let mut kind = None;
        for row in &found.rows {
            if kind != Some(row.kind) {
                kind = Some(row.kind);
                let head = format!("by {}", row.kind.name());
                let _ = writeln!(
                    out,
                    "  {head:<19}{:>19}{:>14}{:>19}   {:<24}verdict",
                    "A (n)", "B (n)", "B − A", "95 % interval"
                );
            }
            let [a, b, effect, interval] = cells(row);
            let name = format!("{} {}", row.phase.name(), row.statistic.name());
            let verdict = verdict(row);
            let _ = writeln!(out, "    {name:<17}{a:>19}{b:>14}{effect:>19}   {interval:<24}{verdict}");
        }
        for row in &found.rates {
            let name = format!("{}, {}", row.what.text(), row.kind.name());
            let (a, b) = (share(row.a), share(row.b));
            let _ = writeln!(out, "  {name:<31}{a:>7}{b:>14}{:46}{}", "", rate_verdict(row));
        }
        let [a, b] = found.violated.map(share);
        let _ = writeln!(out, "  {:<31}{a:>7}{b:>14}", "runs that violate safety");
        let _ = writeln!(out, "  how        {}", how(found));
        for warning in &found.warnings {
            let _ = writeln!(out, "  warning    {}", shown(warning));
        }
        out
    }

    /// For a page: GitHub's Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let found = &self.comparison;
        let mut out = format!("### {} · B against A\n\n{}\n\n", self.word(), cell(&self.sentence));
        let _ = writeln!(out, "A: {}  \nB: {}\n", cell(&self.a), cell(&self.b));
        if !found.differing.is_empty() {
            out.push_str("| differs | A | B |\n|---|---|---|\n");
            for [name, a, b] in &found.differing {
                let _ = writeln!(out, "| {} | {} | {} |", cell(name), cell(a), cell(b));
            }
            out.push('\n');
        }
        out.push_str("| failover | A (n) | B (n) | B − A | 95 % interval | verdict |\n|---|--:|--:|--:|---|---|\n");
        for row in &found.rows {
            let [a, b, effect, interval] = cells(row);
            let name = format!("{} {} {}", row.kind.name(), row.phase.name(), row.statistic.name());
            let _ = writeln!(out, "| {name} | {a} | {b} | {effect} | {interval} | {} |", verdict(row));
        }
        for row in &found.rates {
            let (a, b) = (share(row.a), share(row.b));
            let (what, kind) = (row.what.text(), row.kind.name());
            let _ = writeln!(out, "| {what}, {kind} | {a} | {b} | | | {} |", rate_verdict(row));
        }
        let [a, b] = found.violated.map(share);
        let _ = writeln!(out, "| runs that violate safety | {a} | {b} | | | |\n\n{}", how(found));
        for warning in &found.warnings {
            let _ = writeln!(out, "\n> {}", cell(warning));
        }
        out
    }
}

fn sentence(found: &Comparison, exit_code: u8) -> String {
    match exit_code {
        1 => return format!("{} of B violated safety.", count(found.violated[1].with, "run")),
        2 if found.nobody_judged() => {
            return "No run of one side has a verdict, so that its times say nothing.".to_owned();
        }
        2 => return "There are too few samples to say anything.".to_owned(),
        _ => {}
    }
    let times = |outcome: Outcome| found.rows.iter().filter(|row| row.outcome == outcome).count();
    let of = count(found.rows.iter().filter(|row| row.outcome != Outcome::TooFew).count() as u64, "time");
    let mut parts: Vec<String> = match (times(Outcome::Slower), times(Outcome::Faster)) {
        (0, 0) => Vec::new(),
        (0, faster) => vec![format!("faster in {faster} of {of} and slower in none")],
        (slower, 0) => vec![format!("slower in {slower} of {of}")],
        (slower, faster) => vec![format!("slower in {slower} and faster in {faster} of {of}")],
    };
    for row in &found.rates {
        match row.outcome {
            Outcome::Slower | Outcome::Faster => {
                parts.push(format!("has {} by {} {}", row.what.text(), row.kind.name(), rate_verdict(row)));
            }
            Outcome::NoDifferenceShown | Outcome::TooFew => {}
        }
    }
    if parts.is_empty() {
        return format!("No difference is shown in {}.", count(found.tested as u64, "tested figure"));
    }
    let first_is_time = !parts[0].starts_with("has ");
    format!("B {}{}.", if first_is_time { "is " } else { "" }, parts.join("; it "))
}

fn how(found: &Comparison) -> String {
    let resampled = if found.by_run { "runs, then failovers" } else { "failovers" };
    format!(
        "{} resamples of {resampled}; a verdict needs 95 % over all {} together and {} of A, or the measurement's own error",
        crate::words::grouped(found.resamples as u64),
        count(found.tested as u64, "tested figure"),
        percent(found.min_effect_millionths),
    )
}

/// Parts per million as per cent, without digits that say nothing: `5 %`, `2.5 %`.
fn percent(millionths: u32) -> String {
    format!("{} %", f64::from(millionths) / 1e4)
}

fn share(share: Share) -> String {
    format!("{}/{}", share.with, share.of)
}

/// A, B, B − A and the interval.
fn cells(row: &Row) -> [String; 4] {
    let side = |side: Side| {
        let value = side.value_ns.map_or("–".to_owned(), |value| duration(Duration::from_nanos(value)));
        format!("{value} ({})", side.n)
    };
    let effect = match (row.effect_ns, row.effect_millionths) {
        (Some(effect), Some(relative)) => format!("{} ({})", signed(effect), signed_percent(relative)),
        (Some(effect), None) => signed(effect),
        (None, _) => "–".to_owned(),
    };
    let interval = row.interval_ns.map_or("–".to_owned(), |[lo, hi]| format!("[{}, {}]", signed(lo), signed(hi)));
    [side(row.a), side(row.b), effect, interval]
}

fn signed(ns: i64) -> String {
    let sign = if ns < 0 { "−" } else { "+" };
    format!("{sign}{}", duration(Duration::from_nanos(ns.unsigned_abs())))
}

fn signed_percent(millionths: i64) -> String {
    let sign = if millionths < 0 { "−" } else { "+" };
    format!("{sign}{:.0} %", millionths.unsigned_abs() as f64 / 1e4)
}

fn verdict(row: &Row) -> String {
    let never = row.a.never + row.b.never;
    let mut text = row.outcome.text().to_owned();
    if row.outcome == Outcome::TooFew {
        let enough = row.a.n.min(row.b.n) >= row.statistic.samples();
        text = match enough {
            // Half of a side (for a median) never came, so that its figure is no time.
            true => "no figure on a side".to_owned(),
            false => format!("{text} (needs {} a side)", row.statistic.samples()),
        };
    }
    if never > 0 {
        text.push_str(&format!(", {never} never"));
    }
    text
}

fn rate_verdict(row: &RateRow) -> &'static str {
    match row.outcome {
        Outcome::Slower => "more often",
        Outcome::Faster => "less often",
        Outcome::NoDifferenceShown | Outcome::TooFew => row.outcome.text(),
    }
}

#[cfg(test)]
mod tests {
    use chaos_failover::Statistic;
    use chaos_history::FaultKind;
    use chaos_plan::expect::Phase;

    use super::*;

    fn row(outcome: Outcome) -> Row {
        let side = |value_ns| Side { n: 40, never: 0, value_ns: Some(value_ns) };
        Row {
            kind: FaultKind::Kill,
            phase: Phase::Elected,
            statistic: Statistic::P50,
            a: side(212_000_000),
            b: side(268_000_000),
            effect_ns: Some(56_000_000),
            effect_millionths: Some(264_150),
            interval_ns: Some([41_000_000, 71_000_000]),
            adjusted_p_millionths: Some(1_000),
            minimum: Duration::from_millis(11),
            outcome,
        }
    }

    fn report(outcome: Outcome, violated: u64) -> CompareReport {
        let comparison = Comparison {
            min_effect_millionths: 50_000,
            resamples: 10_000,
            tested: 1,
            by_run: false,
            rows: vec![row(outcome)],
            rates: Vec::new(),
            violated: [Share { with: 0, of: 3 }, Share { with: violated, of: 3 }],
            judged: [3, 3],
            differing: vec![["heart|beat".to_owned(), "20ms".to_owned(), "<b>\u{1b}[31m".to_owned()]],
            warnings: Vec::new(),
        };
        CompareReport::new("0", "runs/a".to_owned(), "runs/b".to_owned(), comparison)
    }

    #[test]
    fn the_exit_code_is_the_worst_that_b_does() {
        let codes = [
            (Outcome::Slower, 0, 3),
            (Outcome::Faster, 0, 0),
            (Outcome::NoDifferenceShown, 0, 0),
            (Outcome::TooFew, 0, 2),
            (Outcome::Slower, 1, 1),
            (Outcome::Faster, 2, 1),
        ];
        for (outcome, violated, expected) in codes {
            assert_eq!(report(outcome, violated).exit_code, expected, "{outcome:?} {violated}");
        }
    }

    #[test]
    fn a_row_reads_as_a_sentence() {
        let text = report(Outcome::Slower, 0).to_text();
        assert!(text.starts_with("REGRESSION  B is slower in 1 of 1 time.\n"), "{text}");
        let line = text.lines().find(|line| line.contains("elected p50")).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words.join(" "), "elected p50 212 ms (40) 268 ms (40) +56 ms (+26 %) [+41 ms, +71 ms] slower");
    }

    #[test]
    fn a_figure_that_never_came_is_told_from_too_few_samples() {
        let mut none = row(Outcome::TooFew);
        none.b = Side { n: 40, never: 30, value_ns: None };
        assert_eq!(verdict(&none), "no figure on a side, 30 never");
        none.b.n = 9;
        assert_eq!(verdict(&none), "too few samples (needs 10 a side), 30 never");
    }

    #[test]
    fn what_plans_say_acts_on_neither_a_terminal_nor_a_page() {
        let report = report(Outcome::Faster, 0);
        assert!(!report.to_text().contains('\u{1b}'));
        let markdown = report.to_markdown();
        assert!(markdown.contains(r"heart\|beat") && markdown.contains("&lt;b&gt;"), "{markdown}");
    }

    #[test]
    fn a_comparison_is_read_back_as_it_was_written() {
        let report = report(Outcome::Slower, 0);
        assert_eq!(serde_json::from_str::<CompareReport>(&report.to_json().unwrap()).unwrap(), report);
    }
}
