//! The last lines of a run in a terminal.
//!
//! ```text
//! PASS  partition · raft, 5 nodes · seed 7 · 62.4 s
//!   Every check holds over 10 failovers.
//!   safety     ✔ ElectionSafety        terms 1–23, 61,204 observations
//!   failover   by partition, n=10      p50      p90      max    floor
//!                detected           204 ms        –   262 ms   111 ms
//! ```
//!
//! Refuses to move the cursor or to ask the terminal anything: it is text, and without colour it is plain text.

use std::fmt::Write;
use std::time::Duration;

use chaos_failover::{Distribution, Floor, Judgement, samples_needed};
use chaos_history::FaultKind;

use crate::model::{Check, CheckGroup, CheckVerdict, Report, RunFacts, Verdict};
use crate::words::{Lines, count, duration, figure, visible};

/// Whether escapes for colour are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// No escapes at all.
    Plain,
    /// SGR colours.
    Color,
}

#[derive(Clone, Copy)]
enum Ink {
    Good,
    Bad,
    Doubtful,
    Faint,
    Strong,
}

impl Style {
    fn paint(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Good => "32",
            Ink::Bad => "1;31",
            Ink::Doubtful => "33",
            Ink::Faint => "2",
            Ink::Strong => "1",
        };
        match self {
            Self::Plain => text.to_owned(),
            Self::Color => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
}

/// The column at which everything but labels begins.
const INDENT: usize = 13;
/// The narrowest terminal that is respected; below it, lines are as long as they must be.
const WIDTH_MIN: usize = 50;

/// The summary, wrapped at `width` columns, with a newline at its end.
#[must_use]
pub fn to_terminal(report: &Report, style: Style, width: usize) -> String {
    let mut out = Terminal { style, width: width.max(WIDTH_MIN), text: String::new() };
    out.head(report);
    out.checks(report, CheckGroup::Safety, "safety");
    out.checks(report, CheckGroup::Liveness, "liveness");
    out.failovers(report);
    out.service(report);
    out.expectations(report);
    for warning in &report.warnings {
        out.labelled("warning", Ink::Doubtful, &visible(warning, Lines::One));
    }
    for (index, note) in report.notes.iter().enumerate() {
        out.labelled(if index == 0 { "note" } else { "" }, Ink::Strong, &visible(note, Lines::One));
    }
    let directory = report.run.directory.trim_end_matches('/');
    out.whole("report", &format!("{directory}/report.html"));
    out.whole("", &format!("{directory}/report.json"));
    out.again(&report.run);
    out.text
}

struct Terminal {
    style: Style,
    width: usize,
    text: String,
}

impl Terminal {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// A label at the left, text at the indent, wrapped between words.
    fn labelled(&mut self, label: &str, ink: Ink, text: &str) {
        let mut lead = format!("  {}", self.style.paint(ink, label));
        lead.push_str(&" ".repeat(INDENT.saturating_sub(label.chars().count() + 2)));
        for line in wrap(text, self.width.saturating_sub(INDENT)) {
            self.line(&format!("{lead}{line}"));
            lead = " ".repeat(INDENT);
        }
    }

    /// A label and a text that is never broken, since people copy it.
    fn whole(&mut self, label: &str, text: &str) {
        let pad = " ".repeat(INDENT.saturating_sub(label.chars().count() + 2));
        let lead =
            format!("  {}{pad}", if label.is_empty() { String::new() } else { self.style.paint(Ink::Strong, label) });
        self.line(&format!("{lead}{}", visible(text, Lines::One)));
    }

    fn head(&mut self, report: &Report) {
        let ink = match report.verdict {
            Verdict::Pass => Ink::Good,
            Verdict::Fail => Ink::Bad,
            Verdict::Unknown | Verdict::Missed | Verdict::AsExpected => Ink::Doubtful,
        };
        let run = &report.run;
        let facts = format!(
            "{} · {} · seed {} · {}",
            run.workload,
            run.system_in_words(),
            run.seed,
            duration(Duration::from_nanos(run.duration_ns))
        );
        let word = self.style.paint(ink, report.verdict.word());
        self.line(&format!("{word}  {}", visible(&facts, Lines::One)));
        for line in wrap(&visible(&report.sentence, Lines::One), self.width.saturating_sub(2)) {
            self.line(&format!("  {line}"));
        }
        if let Some(wrapped) = &report.wrapped {
            let (mark, ink) = if wrapped.succeeded() { ("✔", Ink::Good) } else { ("✘", Ink::Bad) };
            let mark = self.style.paint(ink, mark);
            self.line(&format!("  {:<11}{mark} {}", "command", wrapped.in_words()));
            self.whole("", &format!("  {}", wrapped.command.join(" ")));
        }
    }

    /// What runs it again: as it was given, and from the saved plan, which needs no other file.
    fn again(&mut self, run: &RunFacts) {
        let commands = run.given.iter().chain([&run.command]);
        for (index, command) in commands.enumerate() {
            self.whole(if index == 0 { "again" } else { "" }, command);
        }
    }

    fn checks(&mut self, report: &Report, group: CheckGroup, label: &str) {
        let checks: Vec<&Check> = report.checks.iter().filter(|check| check.group == group).collect();
        let name_width = report.checks.iter().map(|check| check.property.chars().count()).max().unwrap_or(0);
        for (index, check) in checks.into_iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            let (mark, ink) = match check.verdict {
                CheckVerdict::Valid => ("✔", Ink::Good),
                CheckVerdict::Invalid => ("✘", Ink::Bad),
                CheckVerdict::Unknown => ("?", Ink::Doubtful),
            };
            let basis = visible(&check.basis_in_words(), Lines::One);
            let lead = format!("  {label:<11}{} {:<name_width$}  ", self.style.paint(ink, mark), check.property);
            let room = self.width.saturating_sub(INDENT + name_width + 4).max(24);
            let mut lines = wrap(&basis, room).into_iter();
            let first = self.style.paint(Ink::Faint, &lines.next().unwrap_or_default());
            self.line(&format!("{lead}{first}"));
            for line in lines {
                let faint = self.style.paint(Ink::Faint, &line);
                self.line(&format!("{}{faint}", " ".repeat(INDENT + name_width + 4)));
            }
            self.witness(check, &report.sentence);
        }
    }

    /// The argument; its sentence too, unless that is the report's headline already.
    fn witness(&mut self, check: &Check, headline: &str) {
        let Some(witness) = &check.witness else { return };
        if !headline.contains(&witness.sentence) {
            self.labelled("", Ink::Strong, &visible(&witness.sentence, Lines::One));
        }
        for (number, step) in witness.steps.iter().enumerate() {
            let room = self.width.saturating_sub(INDENT + 3);
            for (index, line) in wrap(&visible(step, Lines::One), room).iter().enumerate() {
                let number = if index == 0 { format!("{}.", number + 1) } else { String::new() };
                self.line(&format!("{}{number:<2} {line}", " ".repeat(INDENT)));
            }
        }
        if let Some(picture) = &witness.picture {
            for line in crate::picture::to_lines(picture, self.width.saturating_sub(INDENT)) {
                self.line(&format!("{}{line}", " ".repeat(INDENT)));
            }
        }
    }

    fn failovers(&mut self, report: &Report) {
        let measured = &report.measured;
        if measured.failovers.is_empty() {
            self.labelled("failover", Ink::Strong, "none: no fault took a leader away");
            return;
        }
        for kind in FaultKind::ALL {
            let of_kind = measured.failovers.iter().filter(|failover| failover.kind == kind);
            let (n, split): (Vec<_>, Vec<u64>) =
                of_kind.map(|f| (f.fault, f.terms_without_leader.unwrap_or(0))).unzip();
            if n.is_empty() {
                continue;
            }
            let title = format!("by {}, n={}", kind.name(), n.len());
            let head = format!("  {:<11}{title:<22}{:>9}{:>9}{:>9}{:>9}", "failover", "p50", "p90", "max", "floor");
            let head = self.style.paint(Ink::Strong, &head);
            self.line(&head);
            for row in measured.distributions.iter().filter(|row| row.kind == kind) {
                self.distribution(row, measured.floor.as_ref());
            }
            let unsupported = |percent: &u8| samples_needed(*percent).filter(|needed| *needed > n.len() as u64);
            if let Some((percent, needed)) = [50, 90].iter().find_map(|percent| Some((percent, unsupported(percent)?)))
            {
                self.labelled("", Ink::Faint, &format!("p{percent} needs {needed} failovers of one kind"));
            }
            let split: u64 = split.iter().sum();
            if split > 0 {
                self.labelled("", Ink::Faint, &format!("{} without a leader (split votes)", count(split, "term")));
            }
        }
        if let Some(reasons) = never(report) {
            self.labelled("", Ink::Doubtful, &reasons);
        }
    }

    fn distribution(&mut self, row: &Distribution, floor: Option<&Floor>) {
        let figures = row.figures;
        let optional = |value: Option<Duration>| value.map_or("–".to_owned(), duration);
        let fewer = if figures.n < row.failovers { format!(" ({})", figures.n) } else { String::new() };
        let mut line = format!("{}{:<22}", " ".repeat(INDENT), format!("  {}{fewer}", row.phase.name()));
        let floor = floor.and_then(|floor| floor.of_failovers(row.kind, row.phase)).map(|floor| floor.min);
        for cell in [optional(figures.p50), optional(figures.p90), duration(figures.max), optional(floor)] {
            let _ = write!(line, "{cell:>9}");
        }
        self.line(&line);
    }

    fn service(&mut self, report: &Report) {
        let operations = &report.measured.operations;
        let Some(text) = crate::words::clients(operations) else { return };
        self.labelled("clients", Ink::Strong, &text);
        if let Some(longest) = report.measured.outage_max() {
            let outages = count(report.measured.outages.len() as u64, "outage");
            self.labelled("", Ink::Strong, &format!("{outages}, the longest {}", duration(longest)));
        }
    }

    fn expectations(&mut self, report: &Report) {
        for (index, result) in report.expectations.iter().enumerate() {
            let (mark, ink, value) = match &result.judgement {
                Judgement::Met { value } => ("✔", Ink::Good, figure(*value)),
                Judgement::Missed { value } => ("✘", Ink::Bad, figure(*value)),
                Judgement::NotTold { reason } => ("?", Ink::Doubtful, visible(reason, Lines::One)),
            };
            let label = if index == 0 { "expect" } else { "" };
            let text = visible(&result.text, Lines::One);
            let value = self.style.paint(Ink::Faint, &value);
            self.line(&format!("  {label:<11}{} {text}  {value}", self.style.paint(ink, mark)));
        }
    }
}

/// Why some failovers never came, most frequent reason first.
fn never(report: &Report) -> Option<String> {
    let mut reasons: Vec<(&str, u64)> = Vec::new();
    for failover in &report.measured.failovers {
        let chaos_failover::PhaseOutcome::NotReached(missing) = &failover.phases.elected else { continue };
        match reasons.iter_mut().find(|(text, _)| *text == missing.why.text()) {
            Some((_, n)) => *n += 1,
            None => reasons.push((missing.why.text(), 1)),
        }
    }
    reasons.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let parts: Vec<String> = reasons.iter().map(|(text, n)| format!("{n} × {text}")).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Breaks a text between words into lines of at most `width` characters; longer words stand alone.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is always a line under way");
        let used = last.chars().count();
        if used > 0 && used + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if used > 0 {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}
